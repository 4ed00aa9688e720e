//! Keys of every ring kind: generation, strict parsing, JWK and thumbprints on aws-lc-rs.
//!
//! Two types hold keys. [`Material`] is the whole key of a version; it zeroizes itself and can be
//! neither printed, compared nor serialized. [`PublicKey`] is the half that only verifies. Around
//! them stand [`Delivery`] (what travels to a consumer), [`Holder`] (what the consumer then has),
//! [`proof`] (how it shows that it has it) and [`challenge`] (how a protector shows what it uses).
//!
//! ```
//! use keywheel_core::kind::{Kind, SigningAlgorithm};
//! use keywheel_jose::{Holder, Material, Use};
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
//! let signature = material.sign(b"a message")?;
//!
//! let processor = Holder::from_delivery(&kind, &material.delivery(Use::Process))?;
//! assert!(!processor.can_protect());
//! processor.verify(b"a message", &signature)?;
//! # Ok(())
//! # }
//! ```
//!
//! Entropy is an argument, with one exception that [`Material::generate`] names. Whole tokens are
//! made and verified in [`token`]. Sealing at rest is left to `keywheel-store`, and the decision
//! which version is used to `keywheel-core`.

mod curve;
mod delivery;
mod derive;
mod encode;
mod fingerprint;
mod framing;
mod generate;
mod import;
mod jwk;
mod material;
mod name;
mod pair;
mod pasted;
mod pem;
mod public;
mod roca;
mod weakness;

pub mod challenge;
pub mod proof;
pub mod token;

pub use delivery::{DangerDelivery, Delivery, DeliveryError, DeliveryFormat, Holder};
pub use fingerprint::Fingerprint;
pub use generate::GenerateError;
pub use import::{ImportError, ImportFormat, Imported, MAX_INPUT_BYTES};
pub use jwk::{JwkError, PublicJwk};
/// What a consumer does with a key decides which half of it is delivered.
pub use keywheel_core::policy::Role as Use;
pub use material::{Material, StoredError, UseError};
pub use name::jose_name;
pub use pasted::Mark;
pub use pem::PemError;
pub use public::{PublicKey, PublicKeyError};
pub use weakness::Weakness;

/// A source of random bytes, as this crate takes it: it fills the whole buffer. The engine's
/// `Entropy` port stands behind it in production, a seeded stream in tests.
pub type Fill<'a> = dyn FnMut(&mut [u8]) + 'a;
