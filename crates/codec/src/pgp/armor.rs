//! Armor: a message as text, as pgcrypto's `armor` and `dearmor` have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::OpenError;

const BEGIN: &str = "-----BEGIN PGP MESSAGE-----";
const END: &str = "-----END PGP MESSAGE-----";
/// Characters of base64 in a line.
const LINE_BYTES: usize = 76;
/// The start and the polynomial of the checksum (RFC 4880, 6.1).
const CRC_START: u32 = 0x00B7_04CE;
const CRC_POLYNOMIAL: u32 = 0x0186_4CFB;

/// A message, and what stood above it.
pub(super) struct Armored {
    /// The message.
    pub message: Vec<u8>,
    /// The header lines, as they are.
    pub headers: Vec<String>,
}

fn malformed(at: usize, why: &'static str) -> OpenError {
    OpenError::Malformed { at, why }
}

fn crc(data: &[u8]) -> [u8; 3] {
    let crc = data.iter().fold(CRC_START, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 16), |crc, _| {
            let shifted = crc << 1;
            if shifted & 0x0100_0000 == 0 { shifted } else { shifted ^ CRC_POLYNOMIAL }
        })
    });
    let [_, bytes @ ..] = crc.to_be_bytes();
    bytes
}

/// Reads armor. What stands above and below it is ignored, as pgcrypto does.
pub(super) fn read(value: &[u8]) -> Result<Armored, OpenError> {
    let text = std::str::from_utf8(value)
        .map_err(|err| malformed(err.valid_up_to(), "armor is text, and this is none"))?;
    let mut lines = text.lines().map(str::trim_end);
    if !lines.by_ref().any(|line| line == BEGIN) {
        return Err(malformed(0, "no armor begins here"));
    }
    let headers: Vec<String> =
        lines.by_ref().take_while(|line| !line.is_empty()).map(ToOwned::to_owned).collect();
    if headers.iter().any(|line| !line.contains(": ")) {
        return Err(malformed(0, "a header line of the armor without a colon"));
    }
    let mut encoded = String::with_capacity(value.len());
    let mut check = None;
    for line in lines {
        if line == END {
            return finish(&encoded, check, headers);
        }
        match line.strip_prefix('=') {
            Some(line) if check.is_none() => check = Some(line),
            Some(_) => return Err(malformed(0, "two checksums in the armor")),
            None if check.is_none() => encoded.extend(line.split_ascii_whitespace()),
            None if line.is_empty() => {}
            None => return Err(malformed(0, "something follows the armor's checksum")),
        }
    }
    Err(malformed(value.len(), "the armor is cut short"))
}

fn finish(encoded: &str, check: Option<&str>, headers: Vec<String>) -> Result<Armored, OpenError> {
    let message =
        STANDARD.decode(encoded).map_err(|_| malformed(0, "the armor holds no base64"))?;
    if let Some(check) = check {
        let check = STANDARD
            .decode(check)
            .map_err(|_| malformed(0, "the armor's checksum is no base64"))?;
        if check != crc(&message) {
            return Err(malformed(0, "the armor's checksum does not fit"));
        }
    }
    Ok(Armored { message, headers })
}

/// Writes armor.
pub(super) fn write(message: &[u8], headers: &[String]) -> Vec<u8> {
    let encoded = STANDARD.encode(message);
    let mut out = String::with_capacity(encoded.len() + encoded.len() / LINE_BYTES + 128);
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(BEGIN);
    for header in headers {
        line(header);
    }
    line("");
    let mut rest = encoded.as_str();
    while let Some((first, behind)) = rest.split_at_checked(LINE_BYTES.min(rest.len())) {
        if first.is_empty() {
            break;
        }
        line(first);
        rest = behind;
    }
    line(&format!("={}", STANDARD.encode(crc(message))));
    line(END);
    out.into_bytes()
}
