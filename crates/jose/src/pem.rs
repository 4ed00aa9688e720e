//! Reads and writes PEM (RFC 7468), strictly: whole blocks, nothing between them. What the DER
//! inside means is left to the caller.

use zeroize::Zeroizing;

use crate::encode::Base64;

/// The label of a PKCS#8 private key.
pub(crate) const PKCS8: &str = "PRIVATE KEY";
/// The label of a SEC1 private key.
pub(crate) const SEC1: &str = "EC PRIVATE KEY";
/// The label of a PKCS#1 private key.
pub(crate) const PKCS1: &str = "RSA PRIVATE KEY";
/// The label of a SubjectPublicKeyInfo.
pub(crate) const SPKI: &str = "PUBLIC KEY";

/// PEM text that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// There is no block in it, or text outside the blocks.
    #[error(
        "line {line} stands outside a PEM block; keep only the lines from `-----BEGIN …-----` to \
         `-----END …-----`"
    )]
    Outside {
        /// The line, from 1.
        line: usize,
    },
    /// The text has no block at all.
    #[error("there is no PEM block in it; it must start with `-----BEGIN …-----`")]
    NoBlock,
    /// A block that does not end, or ends under another label.
    #[error("the PEM block `{label}` has no matching `-----END {label}-----`; copy the whole file")]
    Unfinished {
        /// Its label.
        label: String,
    },
    /// The body is not base64.
    #[error("the body of the PEM block `{label}` is not base64; copy the file again")]
    NotBase64 {
        /// The label of the block.
        label: String,
    },
    /// The key is encrypted under a password.
    #[error(
        "the private key is encrypted under a password; decrypt it first, for example with \
         `openssl pkcs8 -in key.pem -out plain.pem`"
    )]
    Encrypted,
    /// Another number of keys than one.
    #[error("the text has {count} keys, and one is wanted; import them one at a time")]
    NotOneKey {
        /// How many there are.
        count: usize,
    },
    /// A block that is not the kind of key that is wanted.
    #[error("the PEM block `{label}` cannot be used here; {remedy}")]
    Label {
        /// Its label.
        label: String,
        /// What to do about it.
        remedy: &'static str,
    },
}

/// One block.
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// Reads the one key in a PEM text. The curve parameters that `openssl ecparam` writes before a key
/// are passed over, because the key repeats them.
pub(crate) fn parse_one(text: &[u8]) -> Result<Block, PemError> {
    let mut blocks = parse(text)?;
    blocks.retain(|block| block.label != "EC PARAMETERS");
    match blocks.pop() {
        Some(block) if blocks.is_empty() => Ok(block),
        Some(_) => Err(PemError::NotOneKey { count: blocks.len().saturating_add(1) }),
        None => Err(PemError::NoBlock),
    }
}

fn parse(text: &[u8]) -> Result<Vec<Block>, PemError> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Zeroizing<Vec<u8>>)> = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii_end();
        if let Some((label, mut body)) = open.take() {
            if let Some(ended) = marker(line, b"-----END ") {
                if ended != label {
                    return Err(PemError::Unfinished { label });
                }
                let Some(der) = Base64::Padded.decode(&body) else {
                    return Err(PemError::NotBase64 { label });
                };
                blocks.push(Block { label, der });
            } else if line.starts_with(b"Proc-Type: 4,ENCRYPTED") {
                return Err(PemError::Encrypted);
            } else {
                body.extend_from_slice(line);
                open = Some((label, body));
            }
        } else if let Some(label) = marker(line, b"-----BEGIN ") {
            // The body never outgrows the text, so it never leaves a copy behind by growing.
            open = Some((label, Zeroizing::new(Vec::with_capacity(text.len()))));
        } else if !line.is_empty() {
            return Err(PemError::Outside { line: index.saturating_add(1) });
        }
    }
    match open {
        Some((label, _)) => Err(PemError::Unfinished { label }),
        None => Ok(blocks),
    }
}

/// The label in a `-----BEGIN label-----` or `-----END label-----` line.
fn marker(line: &[u8], start: &[u8]) -> Option<String> {
    let label = line.strip_prefix(start)?.strip_suffix(b"-----")?;
    let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let fits = (1..=40).contains(&label.len()) && label.iter().all(plain);
    fits.then(|| String::from_utf8_lossy(label).into_owned())
}

/// Writes one block, 64 characters a line.
pub(crate) fn write(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Base64::Padded.encode(der);
    let lines = body.as_bytes().chunks(64);
    let capacity = body.len().saturating_add(lines.len()).saturating_add(label.len() * 2 + 40);
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for line in lines {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// What to do about a block that is not a private key.
pub(crate) fn wants_private(label: String) -> PemError {
    let remedy = match label.as_str() {
        "ENCRYPTED PRIVATE KEY" => return PemError::Encrypted,
        SPKI | "RSA PUBLIC KEY" | "CERTIFICATE" => {
            "it holds no private key; give the private key that belongs to it"
        }
        "OPENSSH PRIVATE KEY" => {
            "rewrite a copy of the key as PKCS#8, for example with `ssh-keygen -p -m PKCS8`"
        }
        _ => "give a key in PKCS#8, SEC1 or PKCS#1 form",
    };
    PemError::Label { label, remedy }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> PemError {
        parse_one(text.as_bytes()).err().unwrap()
    }

    #[test]
    fn refuses_what_is_not_exactly_one_block() {
        let block = write(PKCS8, b"1234");
        let twice = format!("{}{}", *block, *block);
        assert_eq!(refusal(&twice), PemError::NotOneKey { count: 2 });
        assert_eq!(refusal(""), PemError::NoBlock);
        assert_eq!(refusal("hello"), PemError::Outside { line: 1 });
        let junk = format!("{}junk", *block);
        assert_eq!(refusal(&junk), PemError::Outside { line: 4 });
        let half = block.trim_end().strip_suffix("-----END PRIVATE KEY-----").unwrap();
        assert_eq!(refusal(half), PemError::Unfinished { label: PKCS8.into() });
        let crossed = block.replace("END PRIVATE", "END PUBLIC");
        assert_eq!(refusal(&crossed), PemError::Unfinished { label: PKCS8.into() });
        let broken = block.replace('=', "!");
        assert_eq!(refusal(&broken), PemError::NotBase64 { label: PKCS8.into() });
        let locked = block.replace("KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\n\nM");
        assert_eq!(refusal(&locked), PemError::Encrypted);
    }

    #[test]
    fn passes_over_curve_parameters_and_carriage_returns() {
        let text = format!("{}{}", *write("EC PARAMETERS", b"12"), *write(SEC1, b"3456"));
        let block = parse_one(text.replace('\n', "\r\n").as_bytes()).unwrap();
        assert_eq!((block.label.as_str(), &block.der[..]), (SEC1, &b"3456"[..]));
    }

    proptest! {
        #[test]
        fn reads_back_what_it_wrote(der in proptest::collection::vec(any::<u8>(), 1..400)) {
            let block = parse_one(write(PKCS8, &der).as_bytes()).ok().unwrap();
            prop_assert_eq!(&block.der[..], &der[..]);
        }

        #[test]
        fn never_panics(text in "(-----(BEGIN|END) [A-Z ]{0,9}-----|[A-Za-z=\n\r -]{0,20}|\n){0,12}") {
            let _ = parse_one(text.as_bytes());
        }
    }
}
