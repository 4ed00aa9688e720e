//! Brings keys to consumers that cannot speak: files, environment variables, nginx. Writes, checks,
//! reloads, and tries the real path before anything is proved in the consumer's name.

pub mod artefact;
pub mod hook;
pub mod nginx;
pub mod probe;
pub mod redact;
pub mod reload;
pub mod settings;
pub mod values;

mod processes;
