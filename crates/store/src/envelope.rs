//! What a sealed value looks like in the store: a header that anybody can read, and a ciphertext.
//!
//! Parsing needs no key, is total and bounded, and accepts exactly one spelling of each envelope.
//! Whether the contents are genuine is for [`Sealer`](crate::Sealer) to say.

use keywheel_engine::ports::{KekId, WrappedKey};

/// The first byte of every envelope of this layout.
const LAYOUT: u8 = 1;
const NAME_BYTES_MAX: usize = 64;
const WRAPPED_BYTES_MAX: usize = 1_024;
const TAG_BYTES: usize = 16;
/// The largest sealed value; ring documents are a few kilobytes.
pub(crate) const PLAINTEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often one data key may seal. Its nonces are random, so that two of them are alike with a
/// chance below 2⁻⁵⁶ at this count.
pub(crate) const USES_MAX: u32 = 1 << 20;

/// A sealed value, taken apart.
///
/// ```
/// use keywheel_store::{Envelope, EnvelopeError};
/// assert_eq!(Envelope::parse(b"\x07").err(), Some(EnvelopeError::Layout(7)));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub(crate) wrapped: WrappedKey,
    pub(crate) uses: u32,
    pub(crate) incarnation: &'a str,
    pub(crate) revision: u64,
    pub(crate) nonce: [u8; 12],
    pub(crate) ciphertext: &'a [u8],
}

/// Bytes that are no envelope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Written by another version of keywheel, or no envelope at all.
    #[error("it has layout {0}, and this keywheel reads layout 1")]
    Layout(u8),
    /// The bytes end early.
    #[error("it ends before its {0}")]
    Short(&'static str),
    /// A field is outside its bounds.
    #[error("its {0} is out of bounds")]
    Bounds(&'static str),
    /// Bytes follow the end.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
}

impl<'a> Envelope<'a> {
    /// Takes an envelope apart without opening it.
    ///
    /// # Errors
    /// When the bytes are not exactly one envelope.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let mut rest = Rest(bytes);
        let [layout] = rest.array("layout")?;
        if layout != LAYOUT {
            return Err(EnvelopeError::Layout(layout));
        }
        let kek = rest.name("master key id")?;
        let wrapped_bytes = usize::from(u16::from_be_bytes(rest.array("wrapped key")?));
        if wrapped_bytes == 0 || wrapped_bytes > WRAPPED_BYTES_MAX {
            return Err(EnvelopeError::Bounds("wrapped key"));
        }
        let wrapped = rest.bytes(wrapped_bytes, "wrapped key")?;
        let uses = u32::from_be_bytes(rest.array("use count")?);
        if uses == 0 || uses > USES_MAX {
            return Err(EnvelopeError::Bounds("use count"));
        }
        let incarnation = rest.name("incarnation")?;
        let revision = u64::from_be_bytes(rest.array("revision")?);
        let nonce = rest.array("nonce")?;
        let sealed_bytes = u32::from_be_bytes(rest.array("ciphertext")?);
        let sealed_bytes =
            usize::try_from(sealed_bytes).map_err(|_| EnvelopeError::Bounds("ciphertext"))?;
        if !(TAG_BYTES..=PLAINTEXT_BYTES_MAX + TAG_BYTES).contains(&sealed_bytes) {
            return Err(EnvelopeError::Bounds("ciphertext"));
        }
        let ciphertext = rest.bytes(sealed_bytes, "ciphertext")?;
        if !rest.0.is_empty() {
            return Err(EnvelopeError::Trailing(rest.0.len()));
        }
        let wrapped = WrappedKey { kek: KekId(kek.to_owned()), bytes: wrapped.to_vec() };
        Ok(Self { wrapped, uses, incarnation, revision, nonce, ciphertext })
    }

    /// The master key that opens it.
    pub fn kek(&self) -> &KekId {
        &self.wrapped.kek
    }

    /// The incarnation that it says it belongs to. Believed only once it was opened.
    pub fn incarnation(&self) -> &'a str {
        self.incarnation
    }

    /// The revision that it says it is. Believed only once it was opened.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The bytes that [`Envelope::parse`] reads back as the same envelope.
    ///
    /// # Errors
    /// When a field is outside its bounds; an envelope that was parsed never is.
    pub fn encode(&self) -> Result<Vec<u8>, EnvelopeError> {
        let bounds = |what| move |_| EnvelopeError::Bounds(what);
        let wrapped = &self.wrapped.bytes;
        if wrapped.is_empty() || wrapped.len() > WRAPPED_BYTES_MAX {
            return Err(EnvelopeError::Bounds("wrapped key"));
        }
        if self.ciphertext.len() > PLAINTEXT_BYTES_MAX + TAG_BYTES {
            return Err(EnvelopeError::Bounds("ciphertext"));
        }
        let wrapped_bytes = u16::try_from(wrapped.len()).map_err(bounds("wrapped key"))?;
        let sealed_bytes = u32::try_from(self.ciphertext.len()).map_err(bounds("ciphertext"))?;
        let mut out = Vec::with_capacity(256 + wrapped.len() + self.ciphertext.len());
        out.push(LAYOUT);
        push_name(&mut out, &self.wrapped.kek.0, "master key id")?;
        out.extend_from_slice(&wrapped_bytes.to_be_bytes());
        out.extend_from_slice(wrapped);
        out.extend_from_slice(&self.uses.to_be_bytes());
        push_name(&mut out, self.incarnation, "incarnation")?;
        out.extend_from_slice(&self.revision.to_be_bytes());
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&sealed_bytes.to_be_bytes());
        out.extend_from_slice(self.ciphertext);
        Ok(out)
    }
}

fn push_name(out: &mut Vec<u8>, name: &str, what: &'static str) -> Result<(), EnvelopeError> {
    if !is_name(name.as_bytes()) {
        return Err(EnvelopeError::Bounds(what));
    }
    out.push(u8::try_from(name.len()).map_err(|_| EnvelopeError::Bounds(what))?);
    out.extend_from_slice(name.as_bytes());
    Ok(())
}

fn is_name(bytes: &[u8]) -> bool {
    (1..=NAME_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// The bytes that were not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], EnvelopeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(EnvelopeError::Short(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], EnvelopeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(EnvelopeError::Short(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn name(&mut self, what: &'static str) -> Result<&'a str, EnvelopeError> {
        let [length] = self.array(what)?;
        let bytes = self.bytes(usize::from(length), what)?;
        if !is_name(bytes) {
            return Err(EnvelopeError::Bounds(what));
        }
        std::str::from_utf8(bytes).map_err(|_| EnvelopeError::Bounds(what))
    }
}
