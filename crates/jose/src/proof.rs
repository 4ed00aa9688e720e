//! The proof that an instance holds a version, and means exactly this state of the ring.
//!
//! `HMAC-SHA256(HKDF-SHA256(material or SPKI, proof salt of the version), statement)`. The server
//! computes the same from what it knows; that the nonce is fresh and the sequence grows is for the
//! server to check. This guards against bugs, stale caches and forked children that answer for
//! their parents, not against a consumer that lies about what it does with the key.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{digest, hmac};
use keywheel_core::id::{Incarnation, InstanceId, Kid, Revision, RingName, VersionNumber};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::derive;
use crate::encode::Base64;
use crate::framing::Framed;

const KEY_INFO: &str = "keywheel/proof-key/v1";
const LABEL: &str = "keywheel/proof/v1";
const ACCEPTED_SET_LABEL: &str = "keywheel/accepted-set/v1";

/// Text that is not 32 bytes in base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not 32 bytes in base64url without padding; copy all 43 characters")]
pub struct DigestTextError;

macro_rules! digest_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&Base64::Url.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = DigestTextError;
            fn from_str(text: &str) -> Result<Self, DigestTextError> {
                let bytes = Base64::Url.decode(text.as_bytes()).ok_or(DigestTextError)?;
                bytes.as_slice().try_into().map(Self).map_err(|_| DigestTextError)
            }
        }

        impl TryFrom<String> for $name {
            type Error = DigestTextError;
            fn try_from(text: String) -> Result<Self, DigestTextError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

/// The digest of the versions that a consumer accepts, and of what it may do with each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AcceptedSetDigest([u8; 32]);

/// A proof. It has no equality: [`check`] compares in constant time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proof([u8; 32]);

digest_text!(AcceptedSetDigest);
digest_text!(Proof);

/// One version of an accepted set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcceptedVersion<'a> {
    /// Its number.
    pub version: VersionNumber,
    /// Its kid.
    pub kid: &'a Kid,
    /// What may be done with it; the byte is the caller's, and one meaning has one byte.
    pub usage: u8,
}

/// The digest of an accepted set. The order in which the versions are given does not matter: they
/// are taken in the order of their numbers.
pub fn accepted_set_digest(
    incarnation: &Incarnation,
    revision: Revision,
    versions: &[AcceptedVersion<'_>],
) -> AcceptedSetDigest {
    let mut ordered: Vec<_> = versions.iter().collect();
    ordered.sort_unstable();
    let head = Framed::new(ACCEPTED_SET_LABEL)
        .bytes(incarnation.0.as_bytes())
        .number(revision.0)
        .number(ordered.len() as u64);
    let message = ordered.into_iter().fold(head, |message, accepted| {
        message
            .number(u64::from(accepted.version.0))
            .bytes(accepted.kid.0.as_bytes())
            .bytes(&[accepted.usage])
    });
    let hash = digest::digest(&digest::SHA256, message.as_slice());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.as_ref());
    AcceptedSetDigest(bytes)
}

/// What an instance says when it proves. It carries a secret, and so has no Debug.
#[derive(Clone, Copy)]
pub struct Statement<'a> {
    /// The ring.
    pub ring: &'a RingName,
    /// Which life of the ring.
    pub incarnation: &'a Incarnation,
    /// The revision of the ring that the instance has applied.
    pub revision: Revision,
    /// What the instance accepts after applying it.
    pub accepted_set: &'a AcceptedSetDigest,
    /// The version that it proves to hold.
    pub version: VersionNumber,
    /// Who proves.
    pub instance: &'a InstanceId,
    /// How many reports the instance has made; grows with each.
    pub sequence: u64,
    /// The server's nonce.
    pub nonce: &'a [u8],
    /// What the instance, and no child that it forked, got at its registration.
    pub instance_secret: &'a [u8],
}

impl Statement<'_> {
    fn message(&self) -> Framed {
        Framed::new(LABEL)
            .bytes(self.ring.as_str().as_bytes())
            .bytes(self.incarnation.0.as_bytes())
            .number(self.revision.0)
            .bytes(&self.accepted_set.0)
            .number(u64::from(self.version.0))
            .bytes(self.instance.as_str().as_bytes())
            .number(self.sequence)
            .bytes(self.nonce)
            .bytes(self.instance_secret)
    }
}

/// Proves a statement with the proof secret of a version (`Material::proof_secret`,
/// `Holder::proof_secret`) and the proof salt of that version.
pub fn prove(proof_secret: &[u8], salt: &[u8], statement: &Statement<'_>) -> Proof {
    let key = derive::mac_key(proof_secret, salt, KEY_INFO);
    let tag = hmac::sign(&key, statement.message().as_slice());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    Proof(bytes)
}

/// Whether a proof proves this statement. Takes the same time wherever they differ.
pub fn check(proof_secret: &[u8], salt: &[u8], statement: &Statement<'_>, proof: &Proof) -> bool {
    prove(proof_secret, salt, statement).0.ct_eq(&proof.0).into()
}
