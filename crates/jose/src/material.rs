//! The key of one version, whole. This is the type that must not leak: it zeroizes itself, and can
//! be neither printed, compared, cloned nor serialized.
//!
//! `expose`, `to_stored` and `delivery` are the only ways out, and each names its reader: the
//! application, the sealed document, the wire.

use aws_lc_rs::{aead, hmac};
use keywheel_core::id::Kid;
use keywheel_core::kind::{EncryptionAlgorithm, Kind, RsaBits, SecretEncoding, SigningAlgorithm};
use keywheel_core::policy::Role;
use zeroize::Zeroizing;

use crate::delivery::{Delivery, DeliveryFormat};
use crate::encode::Base64;
use crate::fingerprint::Fingerprint;
use crate::generate::{self, GenerateError};
use crate::import::{self, ImportError, ImportFormat, Imported};
use crate::jwk::PublicJwk;
use crate::name::{asymmetric, kind_name};
use crate::pair::{Der, KeyParts, Pair};
use crate::public::PublicKey;
use crate::weakness::{self, Weakness};
use crate::{Fill, derive, pem};

/// A key of any ring kind.
///
/// It shows itself to nobody by accident; none of these compiles:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_jose::Material>();
/// ```
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Display>() {}
/// needs::<keywheel_jose::Material>();
/// ```
/// ```compile_fail,E0277
/// fn needs<T: serde::Serialize>() {}
/// needs::<keywheel_jose::Material>();
/// ```
/// ```compile_fail,E0277
/// fn needs<T: PartialEq>() {}
/// needs::<keywheel_jose::Material>();
/// ```
/// ```compile_fail,E0277
/// fn needs<T: Clone>() {}
/// needs::<keywheel_jose::Material>();
/// ```
pub struct Material {
    // Behind a box, so that moving the key does not leave copies of it on stacks.
    inner: Box<Inner>,
}

struct Inner {
    kind: Kind,
    /// What an application is handed, or the PKCS#8 DER.
    bytes: Zeroizing<Vec<u8>>,
    keys: Option<Keys>,
}

/// What an asymmetric key has beside its bytes.
struct Keys {
    pair: Pair,
    public: PublicKey,
}

/// Why a key could not be used in this way. It never says more, so that nothing can be probed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UseError {
    /// Keys of this kind do not do that.
    #[error("{kind} keys cannot {what}; use a ring of a kind that can")]
    WrongKind {
        /// What was asked.
        what: &'static str,
        /// The kind of the key.
        kind: &'static str,
    },
    /// The signature is not this key's signature of this message.
    #[error("the signature is not valid; check which version signed, and that nothing was changed")]
    BadSignature,
    /// The sealed bytes do not open.
    #[error(
        "the sealed bytes do not open; check which version sealed, and that nothing was changed"
    )]
    BadSeal,
    /// The cryptographic library refused.
    #[error("aws-lc refused the operation; check the machine's memory and random generator")]
    Provider,
}

/// Why stored material could not be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// It was written by a newer keywheel.
    #[error("the stored key has format {0}, which this keywheel does not read; run a newer one")]
    UnknownVersion(u8),
    /// It is a key of another kind.
    #[error("the stored key is not a {wanted} key; restore the document that belongs to this ring")]
    OtherKind {
        /// The kind that was asked for.
        wanted: &'static str,
    },
    /// It was changed or torn.
    #[error("the stored key is damaged; restore it from a backup")]
    Damaged,
}

const STORED_VERSION: u8 = 1;
const MAC_INFO: &str = "keywheel/secret-mac/v1";
const SEAL_INFO: &str = "keywheel/seal/v1";

impl Material {
    /// Makes a key out of the entropy that `fill` brings. Only RSA keys come from aws-lc's own
    /// generator instead, because it takes no other source of primes.
    ///
    /// # Errors
    /// When the kind makes no keys of its own, cannot be satisfied, or the source is stuck.
    pub fn generate(kind: &Kind, fill: &mut Fill<'_>) -> Result<Self, GenerateError> {
        match generate::generate(kind, fill)? {
            KeyParts::Symmetric(bytes) => Ok(Self::symmetric(kind, bytes)),
            KeyParts::Asymmetric(pair) => {
                Self::asymmetric(kind, pair).ok_or(GenerateError::Provider)
            }
        }
    }

    /// Takes over a key that a team already uses, weak or not, and says what is weak about it.
    ///
    /// # Errors
    /// When the bytes are not strictly a key of that kind in that format.
    pub fn import(
        kind: &Kind,
        bytes: &[u8],
        format: ImportFormat,
    ) -> Result<Imported, ImportError> {
        import::import(kind, bytes, format)
    }

    pub(crate) fn symmetric(kind: &Kind, bytes: Zeroizing<Vec<u8>>) -> Self {
        Self { inner: Box::new(Inner { kind: kind.clone(), bytes, keys: None }) }
    }

    pub(crate) fn asymmetric(kind: &Kind, pair: Pair) -> Option<Self> {
        let algorithm = asymmetric(kind)?;
        let bytes = pair.to_pkcs8().ok()?;
        let public = PublicKey::from_spki_der(algorithm, &pair.to_spki().ok()?).ok()?;
        let keys = Some(Keys { pair, public });
        Some(Self { inner: Box::new(Inner { kind: kind.clone(), bytes, keys }) })
    }

    /// The kind of the key.
    pub fn kind(&self) -> &Kind {
        &self.inner.kind
    }

    /// Writes the key for the sealed document: a format byte, a kind byte, the length (32 bits,
    /// big-endian), and the bytes of [`Material::expose`].
    pub fn to_stored(&self) -> Zeroizing<Vec<u8>> {
        let bytes = self.expose();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut stored = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_add(6)));
        stored.extend_from_slice(&[STORED_VERSION, kind_byte(self.kind())]);
        stored.extend_from_slice(&length.to_be_bytes());
        stored.extend_from_slice(bytes);
        stored
    }

    /// Reads what [`Material::to_stored`] wrote. The length, encoding and modulus of `kind` do not
    /// have to match: a ring's policy may have changed since.
    ///
    /// # Errors
    /// When it is of another format or kind, or not whole.
    pub fn from_stored(kind: &Kind, stored: &[u8]) -> Result<Self, StoredError> {
        let Some(([version, kind_tag, length @ ..], bytes)) = stored.split_first_chunk::<6>()
        else {
            return Err(StoredError::Damaged);
        };
        if *version != STORED_VERSION {
            return Err(StoredError::UnknownVersion(*version));
        }
        if *kind_tag != kind_byte(kind) {
            return Err(StoredError::OtherKind { wanted: kind_name(kind) });
        }
        if usize::try_from(u32::from_be_bytes(*length)) != Ok(bytes.len()) {
            return Err(StoredError::Damaged);
        }
        Self::from_exposed(kind, bytes).ok_or(StoredError::Damaged)
    }

    /// Takes bytes that this crate wrote once.
    pub(crate) fn from_exposed(kind: &Kind, bytes: &[u8]) -> Option<Self> {
        if let Some(algorithm) = asymmetric(kind) {
            let pair = Pair::from_der(algorithm, bytes, Der::Pkcs8).ok()?;
            return Self::asymmetric(kind, pair);
        }
        import::check_symmetric(kind, bytes).ok()?;
        Some(Self::symmetric(kind, Zeroizing::new(bytes.to_vec())))
    }

    /// Exactly what an application is handed: the text or bytes of a secret, passphrase, Fernet or
    /// HMAC key, and the PKCS#8 DER of an asymmetric one.
    pub fn expose(&self) -> &[u8] {
        &self.inner.bytes
    }

    /// What a consumer in this role may hold. Whoever processes with an asymmetric key gets its
    /// public half; a symmetric key has no half.
    pub fn delivery(&self, role: Role) -> Delivery {
        match (&self.inner.keys, role) {
            (Some(_), Role::Protect) => {
                Delivery::new(DeliveryFormat::Pkcs8Pem, pem::write(pem::PKCS8, self.expose()))
            }
            (Some(keys), Role::Process) => {
                Delivery::new(DeliveryFormat::SpkiPem, Zeroizing::new(keys.public.spki_pem()))
            }
            (None, _) => match self.as_text() {
                Some(text) => Delivery::new(DeliveryFormat::Text, Zeroizing::new(text.to_owned())),
                None => Delivery::new(DeliveryFormat::Base64url, Base64::Url.encode(self.expose())),
            },
        }
    }

    /// The key as text, when it is text: never for kinds that are bytes by definition, and not for
    /// bytes that an environment variable or a C string could not carry.
    fn as_text(&self) -> Option<&str> {
        let bytes_by_definition = matches!(
            self.kind(),
            Kind::Secret { encoding: SecretEncoding::Raw, .. }
                | Kind::Encryption {
                    algorithm: EncryptionAlgorithm::Aes256Gcm
                        | EncryptionAlgorithm::ChaCha20Poly1305
                }
        );
        let text = str::from_utf8(self.expose()).ok()?;
        (!bytes_by_definition && !text.contains('\0')).then_some(text)
    }

    /// The kid of the key: the RFC 7638 thumbprint of a public key, 128 random bits for others,
    /// since a name that follows from a secret would give it away to whoever can guess.
    pub fn kid(&self, fill: &mut Fill<'_>) -> Kid {
        if let Some(keys) = &self.inner.keys {
            return keys.public.thumbprint();
        }
        let mut random = [0; 16];
        fill(&mut random);
        Kid(Base64::Url.encode(&random).to_string())
    }

    /// A name for the key that logs may carry, keyed so that nobody can test guesses against it.
    /// Both halves of an asymmetric key have the same.
    pub fn fingerprint(&self, fingerprint_key: &[u8; 32]) -> Fingerprint {
        Fingerprint::of(fingerprint_key, &self.proof_secret())
    }

    /// What makes it easier to guess than a key should be; nothing for one that was generated here.
    pub fn weaknesses(&self) -> Vec<Weakness> {
        let kind = self.kind();
        let Some(public) = self.public_key() else {
            return weakness::of_symmetric(kind, self.expose());
        };
        let wanted_bits = public.algorithm().rsa_bits().map_or(0, RsaBits::count);
        match public.modulus_bits() {
            Some(bits) if bits < wanted_bits => vec![Weakness::SmallModulus { bits, wanted_bits }],
            _ => Vec::new(),
        }
    }

    /// The verifying half; `None` for symmetric keys.
    pub fn public_key(&self) -> Option<&PublicKey> {
        self.inner.keys.as_ref().map(|keys| &keys.public)
    }

    /// The public half as a JWK for a JWKS document; `None` for symmetric keys.
    pub fn public_jwk(&self, kid: &Kid) -> Option<PublicJwk> {
        self.public_key().map(|public| public.jwk(kid))
    }

    /// The public half as a DER SubjectPublicKeyInfo; `None` for symmetric keys.
    pub fn spki_der(&self) -> Option<Vec<u8>> {
        self.public_key().map(|public| public.spki_der().to_vec())
    }

    /// What every rightful holder can prove with: the bytes of a symmetric key, the DER
    /// SubjectPublicKeyInfo of an asymmetric one, which protectors and processors both have.
    pub fn proof_secret(&self) -> Zeroizing<Vec<u8>> {
        match &self.inner.keys {
            Some(keys) => keys.public.proof_secret(),
            None => self.inner.bytes.clone(),
        }
    }

    /// Signs in the form that JOSE uses: R and S side by side for ES*, the bare tag for HS*. Secret
    /// and external keys give an HMAC-SHA256 under a key derived from them, so that it means
    /// nothing to the application that uses the secret itself.
    ///
    /// # Errors
    /// When the key is one that encrypts, or aws-lc refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, UseError> {
        if let Some(keys) = &self.inner.keys {
            return keys.pair.sign(message).map_err(|_| UseError::Provider);
        }
        Ok(hmac::sign(&self.mac_key("sign")?, message).as_ref().to_vec())
    }

    /// Checks what [`Material::sign`] made, in constant time.
    ///
    /// # Errors
    /// When it is not this key's signature of this message, or the key is one that encrypts.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), UseError> {
        if let Some(keys) = &self.inner.keys {
            return keys.public.verify(message, signature);
        }
        let key = self.mac_key("verify")?;
        hmac::verify(&key, message, signature).map_err(|_| UseError::BadSignature)
    }

    fn mac_key(&self, what: &'static str) -> Result<hmac::Key, UseError> {
        let algorithm = match self.kind() {
            Kind::Secret { .. } | Kind::External => {
                return Ok(derive::mac_key(self.expose(), &[], MAC_INFO));
            }
            Kind::Signing { algorithm: SigningAlgorithm::Hs256 } => hmac::HMAC_SHA256,
            Kind::Signing { algorithm: SigningAlgorithm::Hs384 } => hmac::HMAC_SHA384,
            Kind::Signing { algorithm: SigningAlgorithm::Hs512 } => hmac::HMAC_SHA512,
            kind => return Err(UseError::WrongKind { what, kind: kind_name(kind) }),
        };
        Ok(hmac::Key::new(algorithm, self.expose()))
    }

    /// Seals a short message with AES-256-GCM under a key derived from an encryption key, whatever
    /// its scheme. It serves challenges: it takes nothing from the nonces of the scheme itself, and
    /// is not meant for data. The result is the nonce, the ciphertext and the tag.
    ///
    /// # Errors
    /// When the key is not one that encrypts.
    pub fn seal(
        &self,
        associated: &[u8],
        message: &[u8],
        fill: &mut Fill<'_>,
    ) -> Result<Vec<u8>, UseError> {
        let key = self.aead_key("seal")?;
        let mut nonce = [0; aead::NONCE_LEN];
        fill(&mut nonce);
        let mut sealed = Zeroizing::new(message.to_vec());
        let tag = key
            .seal_in_place_separate_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(associated),
                &mut sealed,
            )
            .map_err(|_| UseError::Provider)?;
        Ok([&nonce, sealed.as_slice(), tag.as_ref()].concat())
    }

    /// Opens what [`Material::seal`] sealed.
    ///
    /// # Errors
    /// When anything of it differs, or the key is not one that encrypts.
    pub fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, UseError> {
        let key = self.aead_key("open")?;
        let (nonce, rest) =
            sealed.split_first_chunk::<{ aead::NONCE_LEN }>().ok_or(UseError::BadSeal)?;
        let mut buffer = Zeroizing::new(rest.to_vec());
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let length = key
            .open_in_place(nonce, aead::Aad::from(associated), &mut buffer)
            .map_err(|_| UseError::BadSeal)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn aead_key(&self, what: &'static str) -> Result<aead::LessSafeKey, UseError> {
        if self.kind().is_encryption() {
            Ok(derive::aead_key(self.expose(), &[], SEAL_INFO))
        } else {
            Err(UseError::WrongKind { what, kind: kind_name(self.kind()) })
        }
    }
}

/// What kind of key the stored bytes are. Numbers are never given to another kind.
const fn kind_byte(kind: &Kind) -> u8 {
    match kind {
        Kind::Secret { .. } => 0x01,
        Kind::External => 0x02,
        Kind::Signing { algorithm } => match algorithm {
            SigningAlgorithm::EdDsa => 0x10,
            SigningAlgorithm::Es256 => 0x11,
            SigningAlgorithm::Es384 => 0x12,
            SigningAlgorithm::Es512 => 0x13,
            SigningAlgorithm::Rs256(_) => 0x14,
            SigningAlgorithm::Ps256(_) => 0x15,
            SigningAlgorithm::Rs384(_) => 0x1b,
            SigningAlgorithm::Rs512(_) => 0x1c,
            SigningAlgorithm::Ps384(_) => 0x1d,
            SigningAlgorithm::Ps512(_) => 0x1e,
            SigningAlgorithm::Hs256 => 0x18,
            SigningAlgorithm::Hs384 => 0x19,
            SigningAlgorithm::Hs512 => 0x1a,
        },
        Kind::Encryption { algorithm } => match algorithm {
            EncryptionAlgorithm::Aes256Gcm => 0x20,
            EncryptionAlgorithm::ChaCha20Poly1305 => 0x21,
            EncryptionAlgorithm::Fernet => 0x22,
            EncryptionAlgorithm::Passphrase => 0x23,
        },
    }
}
