//! The names of things, each its own type, each parsed once at the edge.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text that cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` cannot name {what}; use 1 to {max} lower-case letters, digits, `-`, `_` or `.`, \
     starting with a letter or digit"
)]
pub struct NameError {
    what: &'static str,
    text: String,
    max: usize,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                let starts = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
                let allowed = |c: char| {
                    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.')
                };
                if starts && text.len() <= $max && text.chars().all(allowed) {
                    Ok(Self(text))
                } else {
                    Err(NameError { what: $what, text: text.chars().take(80).collect(), max: $max })
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a ring: `web-session`.
    RingName, "a ring", 64
);
name!(
    /// The name of a consumer, the declared service that uses a ring: `web`.
    ConsumerName, "a consumer", 64
);
name!(
    /// The name of one process of a consumer, drawn at random by the server at registration.
    InstanceId, "an instance", 64
);
name!(
    /// The name of a gate: `instances`, `propagation`, or one of the user's own.
    GateName, "a gate", 64
);
name!(
    /// The name of a code base whose scans are reported: `shop-backend`.
    ScanName, "a scan", 64
);

name!(
    /// The name of a column that holds values under a ring's keys: `orders.card`.
    ColumnName, "a column", 128
);

/// Which life of a ring this is. Random; a ring that is recreated or restored gets another one, so
/// that nothing said about the former life counts in this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub String);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often a ring document was replaced. Grows by one with each commit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// The number of a key version within its ring, from 1. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionNumber(pub u32);

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The key id that tokens and documents carry: random, or the RFC 7638 thumbprint of a public key,
/// or what an imported key was already called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kid(pub String);

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
