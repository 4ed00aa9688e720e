//! Thirty-two secret bytes as a master key: how it is named, and how it wraps.
//!
//! Where the bytes come from is left to the files beside this one.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use keywheel_engine::ports::{Entropy, KekError, KekId, WrappedKey};
use zeroize::Zeroizing;

const ID_DOMAIN: &[u8] = b"keywheel/kek-id/v1";
const WRAP_DOMAIN: &[u8] = b"keywheel/kek-wrap/v1";
const SALT_BYTES: usize = 16;
const WRAPPED_BYTES: usize = SALT_BYTES + NONCE_LEN + 32 + 16;

/// A master key. The bytes themselves are not kept, only what was extracted from them.
///
/// Each wrap uses a key of its own, derived with a random salt, besides a random nonce. One master
/// key can so wrap any number of data keys; with the nonce alone, 2³² would be the end.
pub(super) struct MasterKey {
    root: Prk,
    id: KekId,
    entropy: Arc<dyn Entropy>,
}

impl MasterKey {
    pub(super) fn new(bytes: &[u8; 32], entropy: Arc<dyn Entropy>) -> Result<Self, Unspecified> {
        let root = Salt::new(HKDF_SHA256, b"keywheel/kek/v1").extract(bytes);
        let mut fingerprint = [0_u8; 8];
        root.expand(&[ID_DOMAIN], Fingerprint)?.fill(&mut fingerprint)?;
        let id = KekId(format!("{:016x}", u64::from_be_bytes(fingerprint)));
        Ok(Self { root, id, entropy })
    }

    pub(super) fn id(&self) -> KekId {
        self.id.clone()
    }

    pub(super) fn wrap(&self, context: &[u8], data_key: &[u8; 32]) -> Result<WrappedKey, KekError> {
        let failed = |_| KekError::Provider("the cipher refused a data key".to_owned());
        let mut salt = [0; SALT_BYTES];
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut salt);
        self.entropy.fill(&mut nonce);
        let mut sealed = Zeroizing::new(Vec::with_capacity(WRAPPED_BYTES));
        sealed.extend_from_slice(data_key);
        self.cipher(&salt)
            .and_then(|cipher| {
                let nonce = Nonce::assume_unique_for_key(nonce);
                cipher.seal_in_place_append_tag(nonce, self.associated(context), &mut *sealed)
            })
            .map_err(failed)?;
        let bytes = [salt.as_slice(), nonce.as_slice(), sealed.as_slice()].concat();
        Ok(WrappedKey { kek: self.id(), bytes })
    }

    pub(super) fn unwrap(
        &self,
        context: &[u8],
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, KekError> {
        if wrapped.kek != self.id {
            return Err(KekError::WrongKey { needed: wrapped.kek.clone(), given: self.id() });
        }
        let (salt, rest) =
            wrapped.bytes.split_first_chunk::<SALT_BYTES>().ok_or(KekError::Damaged)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(KekError::Damaged)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let cipher = self.cipher(salt).map_err(|_| KekError::Damaged)?;
        let opened = cipher
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                self.associated(context),
                &mut buffer,
            )
            .map_err(|_| KekError::Damaged)?;
        let mut data_key = Zeroizing::new([0; 32]);
        if opened.len() != data_key.len() {
            return Err(KekError::Damaged);
        }
        data_key.copy_from_slice(opened);
        Ok(data_key)
    }

    fn cipher(&self, salt: &[u8; SALT_BYTES]) -> Result<LessSafeKey, Unspecified> {
        let info = [WRAP_DOMAIN, salt.as_slice()];
        let key = self.root.expand(&info, &AES_256_GCM)?;
        Ok(LessSafeKey::new(UnboundKey::from(key)))
    }

    fn associated(&self, context: &[u8]) -> Aad<Vec<u8>> {
        // Both parts before the context have a fixed length, so no other split gives these bytes.
        Aad::from([WRAP_DOMAIN, self.id.0.as_bytes(), context].concat())
    }
}

/// The length of a master key's name, in the form that the derivation asks for.
struct Fingerprint;

impl KeyType for Fingerprint {
    fn len(&self) -> usize {
        8
    }
}
