//! Brings keys to consumers that cannot speak: files, environment variables, nginx. Writes, checks,
//! reloads, and tries the real path before anything is proved in the consumer's name.

pub mod file;
pub mod render;
pub mod settings;
pub mod values;

mod secret;

pub use secret::SecretText;
