//! How a column is moved.

use std::time::Duration;

/// What to do where triggers fire on updates of the column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Triggers {
    /// Refuse to move.
    #[default]
    Refuse,
    /// Let them fire once per row.
    Fire,
}

/// Whether dead rows are removed between ranges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vacuum {
    /// Where the role may, as soon as too many rows are dead.
    #[default]
    Auto,
    /// Never: autovacuum does it.
    Never,
}

/// How a column is moved.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many connections move at once. Default: 1.
    pub workers: usize,
    /// How many rows the first batch has. Default: 500.
    pub batch_rows_start: usize,
    /// The fewest rows of a batch. Default: 50.
    pub batch_rows_min: usize,
    /// The most rows of a batch. Default: 2,000.
    pub batch_rows_max: usize,
    /// The most bytes of ciphertext in a batch, save for a single value. Default: 16 MiB.
    pub batch_bytes_max: usize,
    /// The most bytes that a plaintext may have; a value that inflates to more goes to quarantine.
    /// About six times as many are in memory while such a value moves. Default: 256 MiB.
    pub plain_bytes_max: usize,
    /// How many rows a range has, which is what workers share out. Default: 50,000.
    pub range_rows: usize,
    /// How long a batch should take on the server. Default: 200 ms.
    pub batch_time: Duration,
    /// How long a batch waits for a row that somebody else holds. Default: 2 s.
    pub lock_timeout: Duration,
    /// How long a row may stay locked before the move gives up. Default: 60 s.
    pub locked_max: Duration,
    /// How long a statement may take. Default: 60 s.
    pub statement_timeout: Duration,
    /// How many bytes a standby may be behind. Default: 64 MiB.
    pub replica_lag_bytes_max: Option<u64>,
    /// How many bytes of WAL the server may write a second while the move goes on. Default: none.
    pub wal_bytes_per_sec_max: Option<u64>,
    /// Which share of a table's rows may be dead. Default: 0.2.
    pub dead_fraction_max: f64,
    /// Whether dead rows are removed between ranges.
    pub vacuum: Vacuum,
    /// How often a table is gone through before what is left is left to the next run. Default: 5.
    pub passes_max: i32,
    /// How many rows that no key opens end a move, as a wrong key is more likely than so many
    /// damaged rows. Default: 1,000.
    pub quarantine_max: u64,
    /// Opens and seals everything, and writes nothing.
    pub dry_run: bool,
    /// What to do where triggers fire.
    pub triggers: Triggers,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            workers: 1,
            batch_rows_start: 500,
            batch_rows_min: 50,
            batch_rows_max: 2_000,
            batch_bytes_max: 16 << 20,
            plain_bytes_max: 256 << 20,
            range_rows: 50_000,
            batch_time: Duration::from_millis(200),
            lock_timeout: Duration::from_secs(2),
            locked_max: Duration::from_mins(1),
            statement_timeout: Duration::from_mins(1),
            replica_lag_bytes_max: Some(64 << 20),
            wal_bytes_per_sec_max: None,
            dead_fraction_max: 0.2,
            vacuum: Vacuum::Auto,
            passes_max: 5,
            quarantine_max: 1_000,
            dry_run: false,
            triggers: Triggers::Refuse,
        }
    }
}
