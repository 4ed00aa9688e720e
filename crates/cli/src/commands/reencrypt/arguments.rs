//! What is moved and how, as it is given on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum as _;
use keywheel_api::column::ColumnStatus;
use keywheel_codec::Format;
use keywheel_codec::raw::{self, Validator};
use keywheel_core::id::{ConsumerName, RingName};
use keywheel_postgres::Address;
use keywheel_reencrypt::{Keys, Settings, TableName, Target, Triggers, Vacuum};

use super::keys;
use super::refused;
use crate::exit::Exit;
use crate::failure::Failure;

/// Bytes of a mebibyte.
const MEBIBYTE: u64 = 1 << 20;

/// Which column, and which keys.
#[derive(clap::Args, Debug)]
pub(super) struct What {
    /// The database: postgresql://user@host/database, or for a socket
    /// postgresql://user@/database?host=/run/postgresql
    #[arg(long, value_name = "URL")]
    database: String,
    /// Moves the columns that this ring declares, from its other versions to its primary; the
    /// keys come from the server, and it is told what is left
    #[arg(long, value_name = "RING", requires = "consumer",
          conflicts_with_all = ["table", "old_key_file", "new_key_file"])]
    pub(super) ring: Option<RingName>,
    /// As which consumer of the ring; it must be the worker of the columns
    #[arg(long, value_name = "NAME", requires = "ring")]
    pub(super) consumer: Option<ConsumerName>,
    /// The table, as in SQL: people, app.people
    #[arg(long, value_name = "TABLE", required_unless_present = "ring", requires = "column")]
    table: Option<String>,
    /// The column; with --ring, the name of the one declared column that is meant
    #[arg(long, value_name = "COLUMN")]
    pub(super) column: Option<String>,
    /// How the values are written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Form::Pgp)]
    format: Form,
    /// The type that pgcrypto's `encrypt` was given, for --format raw
    #[arg(long, value_name = "TYPE", default_value = "aes-cbc/pad:pkcs")]
    cipher: String,
    /// What a plaintext is; --format raw needs it, because there a wrong key opens silently too
    #[arg(long, value_enum, value_name = "WHAT", required_if_eq("format", "raw"))]
    plaintext: Option<Plaintext>,
    /// A file with a key that values may still be under; may be given again
    #[arg(long, value_name = "FILE")]
    old_key_file: Vec<PathBuf>,
    /// A file with the key that all values shall be under
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// Says that the keys were drawn at random with 128 bits or more: stretching adds nothing
    /// there, so values are written with the least of it. Default: as for a passphrase
    #[arg(long)]
    generated_keys: bool,
    /// Connects to another machine even if the connection is not encrypted
    #[arg(long)]
    allow_plaintext: bool,
    /// How many seconds `verify` waits for transactions that are open when it begins
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// pgp_sym_encrypt
    Pgp,
    /// armor(pgp_sym_encrypt(…))
    PgpArmored,
    /// Fernet tokens
    Fernet,
    /// keywheel's own format
    Keywheel,
    /// encrypt(…), without integrity
    Raw,
}

/// What plaintexts of a format without integrity look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Plaintext {
    /// JSON
    Json,
    /// Printable text
    Text,
    /// Digits, blanks and -+./
    Digits,
}

impl What {
    /// The column.
    ///
    /// # Errors
    /// The type of a raw cipher is none.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let (Some(table), Some(column)) = (&self.table, &self.column) else {
            return Err(Failure::new(
                Exit::Usage,
                "it is not said what is moved",
                "give --table and --column; only `run` and `verify` take --ring in their place",
            ));
        };
        let format = self.format(self.format)?;
        Ok(Target { table: TableName::new(table.clone()), column: column.clone(), format })
    }

    /// A column that a ring declares.
    ///
    /// # Errors
    /// The format is one that this release does not know, or raw without what a plaintext is.
    pub(super) fn declared(&self, column: &ColumnStatus) -> Result<Target, Failure> {
        let form = Form::from_str(&column.format, false).map_err(|_| {
            let cause = format!("{} has the format {}", column.name, column.format);
            Failure::failed(cause, "use client and server of one release")
        })?;
        if form == Form::Raw && self.plaintext.is_none() {
            return Err(Failure::new(
                Exit::Usage,
                format!("{} has no integrity: a wrong key would open it silently", column.name),
                "say with --plaintext what a plaintext is",
            ));
        }
        Ok(Target {
            table: TableName::new(column.table.clone()),
            column: column.column.clone(),
            format: self.format(form)?,
        })
    }

    fn format(&self, form: Form) -> Result<Format, Failure> {
        Ok(match form {
            Form::Pgp => Format::Pgp,
            Form::PgpArmored => Format::PgpArmored,
            Form::Fernet => Format::Fernet,
            Form::Keywheel => Format::Sealed,
            Form::Raw => {
                let cipher = self.cipher.parse().map_err(|error: raw::UnknownCipher| {
                    let cause = format!("--cipher: {} is not a type of encrypt()", self.cipher);
                    Failure::new(Exit::Usage, cause, error.to_string())
                })?;
                Format::Raw(raw::Options::new(cipher, self.validator()))
            }
        })
    }

    fn validator(&self) -> Validator {
        match self.plaintext.unwrap_or(Plaintext::Text) {
            Plaintext::Json => Validator::json(),
            Plaintext::Text => Validator::text(|text| {
                text.chars().all(|one| !one.is_control() || matches!(one, '\n' | '\r' | '\t'))
            }),
            Plaintext::Digits => Validator::text(|text| {
                text.chars().all(|one| one.is_ascii_digit() || " -+./".contains(one))
            }),
        }
    }

    /// How long open transactions are waited for.
    pub(super) const fn wait(&self) -> Duration {
        Duration::from_secs(self.wait)
    }

    /// Where the database is.
    ///
    /// # Errors
    /// The URL is none, or nothing would be encrypted on the way.
    pub(super) fn config(&self) -> Result<Address, Failure> {
        keywheel_reencrypt::config(&self.database, self.allow_plaintext)
            .map_err(|error| refused(&error))
    }

    /// The keys, swapped for the way back.
    ///
    /// # Errors
    /// A key is missing, or a file cannot be used.
    pub(super) fn keys(&self, back: bool) -> Result<Keys, Failure> {
        let Some(new) = &self.new_key_file else {
            return Err(Failure::new(
                Exit::Usage,
                "the new key is missing",
                "name its file with --new-key-file",
            ));
        };
        keys::of_files(&self.old_key_file, new, self.generated_keys, back)
    }

    /// The keys, where some are given.
    ///
    /// # Errors
    /// As [`What::keys`].
    pub(super) fn keys_if_any(&self) -> Result<Option<Keys>, Failure> {
        let none = self.old_key_file.is_empty() && self.new_key_file.is_none();
        if none { Ok(None) } else { self.keys(false).map(Some) }
    }
}

/// How the rows are moved.
#[derive(clap::Args, Debug)]
pub(super) struct How {
    /// Opens and seals every value, and writes nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// With --ring: stays, and looks every so many seconds whether a version retires. Default:
    /// moves once and ends
    #[arg(long, value_name = "SECONDS", conflicts_with = "dry_run", requires = "ring",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(super) every: Option<u64>,
    /// How many connections move at once
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// The most rows of a batch; a batch shrinks and grows by itself
    #[arg(long, value_name = "ROWS", default_value_t = 2_000,
          value_parser = clap::value_parser!(u32).range(50..=100_000))]
    batch_rows: u32,
    /// Lets triggers of the table fire for each row. Default: refuses where there are any
    #[arg(long)]
    fire_triggers: bool,
    /// How many seconds a batch waits for a row that somebody else holds
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(1..=3_600))]
    lock_timeout: u64,
    /// How many MiB a standby may be behind before the move waits
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    max_lag: u64,
    /// How many MiB of WAL the server may write a second while the move goes on. Default: any
    #[arg(long, value_name = "MIB")]
    max_wal: Option<u64>,
    /// How many MiB a plaintext may have; a value that inflates to more goes to quarantine
    #[arg(long, value_name = "MIB", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=1_024))]
    max_plaintext: u32,
    /// Leaves dead rows to autovacuum
    #[arg(long)]
    no_vacuum: bool,
}

impl How {
    /// As the mover takes it.
    pub(super) fn settings(&self) -> Settings {
        let mebibytes = |count: u64| count.saturating_mul(MEBIBYTE);
        let rows = usize::try_from(self.batch_rows).unwrap_or(usize::MAX);
        let settings = Settings::default();
        Settings {
            workers: usize::from(self.workers),
            batch_rows_start: settings.batch_rows_start.min(rows),
            batch_rows_max: rows,
            lock_timeout: Duration::from_secs(self.lock_timeout),
            replica_lag_bytes_max: Some(mebibytes(self.max_lag)),
            wal_bytes_per_sec_max: self.max_wal.map(mebibytes),
            plain_bytes_max: usize::try_from(mebibytes(self.max_plaintext.into()))
                .unwrap_or(usize::MAX),
            vacuum: if self.no_vacuum { Vacuum::Never } else { Vacuum::Auto },
            dry_run: self.dry_run,
            triggers: if self.fire_triggers { Triggers::Fire } else { Triggers::Refuse },
            ..settings
        }
    }
}
