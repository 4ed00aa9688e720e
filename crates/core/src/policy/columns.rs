//! Columns of databases that hold values under a ring's keys.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::settle::Faults;
use super::{ColumnSpec, Spec};
use crate::id::{ColumnName, ConsumerName};
use crate::text::is_printable;

/// A column whose values are moved from key to key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// The table, as SQL writes it.
    pub table: String,
    /// The column of that table.
    pub column: String,
    /// How a value is written.
    pub format: ColumnFormat,
    /// Which consumer moves its rows, and reports.
    pub worker: ConsumerName,
}

impl Column {
    /// Whether both are the same data, whoever moves it. What was found in other data says nothing.
    pub fn is_same_data(&self, other: &Self) -> bool {
        (&self.table, &self.column, self.format) == (&other.table, &other.column, other.format)
    }
}

/// How the values of a column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ColumnFormat {
    /// OpenPGP messages, as `pgp_sym_encrypt` of pgcrypto writes them.
    #[default]
    Pgp,
    /// The same in ASCII armor.
    PgpArmored,
    /// Fernet tokens.
    Fernet,
    /// keywheel's own format.
    Keywheel,
    /// What `encrypt` and `encrypt_iv` of pgcrypto write.
    Raw,
}

impl ColumnFormat {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pgp => "pgp",
            Self::PgpArmored => "pgp-armored",
            Self::Fernet => "fernet",
            Self::Keywheel => "keywheel",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for ColumnFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The most columns of a ring.
pub const COLUMNS_MAX: usize = 64;

/// The longest name of a table or of a column, in bytes: schema and table, both quoted.
const SQL_NAME_BYTES_MAX: usize = 256;

impl ColumnSpec {
    /// What reports and gates call it.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}.{}", self.table, self.column))
    }
}

pub(super) fn columns(spec: &Spec, faults: &mut Faults) -> BTreeMap<ColumnName, Column> {
    let mut all = BTreeMap::new();
    if !spec.column.is_empty() && spec.kind != "encryption" {
        faults.add(
            "column",
            format!("has no meaning for a ring of kind `{}`", spec.kind),
            "It belongs to kind `encryption`; remove it",
        );
        return all;
    }
    if spec.column.len() > COLUMNS_MAX {
        faults.add(
            "column",
            format!("{} columns are more than {COLUMNS_MAX}", spec.column.len()),
            "Give the others to a second ring",
        );
        return all;
    }
    for raw in &spec.column {
        let Some((name, column)) = column(raw, spec, faults) else { continue };
        if all.insert(name.clone(), column).is_some() {
            faults.add(
                "column.name",
                format!("`{name}` is declared twice"),
                "Keep one of them, or give each a name of its own",
            );
        }
    }
    all
}

fn column(raw: &ColumnSpec, spec: &Spec, faults: &mut Faults) -> Option<(ColumnName, Column)> {
    for (field, text) in [("column.table", &raw.table), ("column.column", &raw.column)] {
        if !(1..=SQL_NAME_BYTES_MAX).contains(&text.len()) || !text.chars().all(is_printable) {
            faults.add(
                field,
                format!("does not have 1 to {SQL_NAME_BYTES_MAX} printable bytes"),
                "Write it as SQL does, for example public.orders",
            );
            return None;
        }
    }
    let name = match ColumnName::try_from(raw.name()) {
        Ok(name) => name,
        Err(error) => {
            faults.add("column.name", error, "Give the column a name of its own with `name`");
            return None;
        }
    };
    let worker = spec.consumer.iter().find(|consumer| consumer.name == raw.worker);
    let Some(worker) = worker.and_then(|worker| worker.name.parse().ok()) else {
        let shown: String = raw.worker.chars().take(64).collect();
        faults.add(
            &format!("column.{name}.worker"),
            format!("`{shown}` is not a consumer of this ring"),
            "Declare the program that moves the rows as a consumer, with role = \"process\" and \
             min_instances = 0",
        );
        return None;
    };
    let format = raw.format.unwrap_or_default();
    let (table, column) = (raw.table.clone(), raw.column.clone());
    Some((name, Column { table, column, format, worker }))
}
