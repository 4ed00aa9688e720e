//! Tokens: compact JWS (RFC 7515) and JWT (RFC 7519) after the best current practices (RFC 8725).
//!
//! The algorithm belongs to the key; what a token says of it is only compared. A key is found by
//! its exact kid. What is expected is required. Names that stand twice, extensions that are not
//! understood, base64 that is not canonical, numbers that are no times: all refused. See
//! `docs/decisions/0014-own-thin-jose.md` for why this is not left to a library.
//!
//! ```
//! use keywheel_core::id::Kid;
//! use keywheel_core::kind::{Kind, SigningAlgorithm};
//! use keywheel_jose::Material;
//! use keywheel_jose::token::{Expected, KeySet, Signer, TokenKey, UnixSeconds, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut seed = 1_u8;
//! # let mut fill = move |buffer: &mut [u8]| {
//! #     for byte in buffer {
//! #         seed = seed.wrapping_mul(5).wrapping_add(7);
//! #         *byte = seed;
//! #     }
//! # };
//! let kind = Kind::Signing { algorithm: SigningAlgorithm::EdDsa };
//! let material = Material::generate(&kind, &mut fill)?;
//! let kid = material.kid(&mut fill);
//! let token = Signer::of_material(&material, &kid)?.sign(br#"{"sub":"ada","exp":2000000000}"#)?;
//!
//! let keys: KeySet = [TokenKey::of_material(&material, &kid)?].into_iter().collect();
//! let now = UnixSeconds(1_900_000_000);
//! let verified = verify(token.as_bytes(), &keys, &Expected::new(), now)?;
//! assert_eq!(verified.claims.subject().as_deref(), Some("ada"));
//!
//! let late = verify(token.as_bytes(), &keys, &Expected::new(), UnixSeconds(2_000_000_000));
//! assert_eq!(late.err().map(|error| error.kind()), Some("expired"));
//! # Ok(())
//! # }
//! ```
//!
//! Revocation is left to `keywheel_core`, and which versions are accepted to whoever makes the
//! keys. No text of a token is ever a name for it: signatures can be rewritten without becoming
//! invalid (ECDSA), so only the `jti` names a token.

mod algorithm;
mod claims;
mod compact;
mod error;
mod expected;
mod header;
mod issue;
mod json;
mod jwk;
mod key;
mod members;
mod peek;
mod set;
mod signer;
mod time;
mod verify;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use claims::{Claims, elements};
pub use error::TokenError;
pub use expected::{Expected, MAX_TOKEN_BYTES};
pub use issue::{Completed, IssueError, Terms, complete};
pub use jwk::KeySetError;
pub use key::TokenKey;
pub use members::HeaderMembers;
pub use peek::{Peeked, danger_kid, danger_peek};
pub use set::{KeySet, Keys, MAX_KEY_SET_BYTES};
pub use signer::Signer;
pub use time::{NumericDate, UnixSeconds};
pub use verify::{Verified, jws, verify};
