//! Brings keys to consumers that cannot speak: files, environment variables, nginx. Writes, checks,
//! reloads, and tries the real path before anything is proved in the consumer's name.

pub mod agent;
pub mod artefact;
pub mod exec;
pub mod file;
pub mod hook;
pub mod journal;
pub mod nginx;
pub mod probe;
pub mod redact;
pub mod reload;
pub mod render;
pub mod saga;
pub mod settings;
pub mod values;

mod processes;
mod secret;
#[cfg(test)]
mod testing;

pub use processes::PidFileError;
pub use secret::SecretText;
