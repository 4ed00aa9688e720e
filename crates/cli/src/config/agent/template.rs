//! The commented file that `keywheel agent --example` prints.

/// Every field with its unit and default. Lines that start with `#` and a letter are fields that
/// may be used by removing the `#`; lines that start with `# ` are for people.
pub const EXAMPLE: &str = include_str!("agent.toml");
