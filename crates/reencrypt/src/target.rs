//! What is moved, and under which keys.

use keywheel_codec::{Format, Key};

/// A table, written as in SQL: `people`, `public.people`, `"My".people`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    /// Takes a name as it stands in SQL.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One column.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its table; partitions and children belong to it.
    pub table: TableName,
    /// Its name, without quotes.
    pub column: String,
    /// How its values are written.
    pub format: Format,
}

/// The keys of a move. The names are for messages, such as `v3`.
pub struct Keys {
    /// The keys that values may be under still.
    pub from: Vec<(String, Key)>,
    /// The key that all values shall be under.
    pub to: (String, Key),
    /// The version that formats write which say it.
    pub version: u32,
}

impl Keys {
    /// All keys, the new one first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &(String, Key)> {
        std::iter::once(&self.to).chain(&self.from)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.from.iter().map(|(name, _)| name).collect();
        f.debug_struct("Keys").field("from", &names).field("to", &self.to.0).finish_non_exhaustive()
    }
}
