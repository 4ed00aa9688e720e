//! Waits while the server or its standbys have enough to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::Client;

use crate::catalog::Leaf;
use crate::error::{Doing as _, Error};
use crate::progress::{Pause, Reporter};
use crate::session::now;
use crate::settings::{Settings, Vacuum};

/// How often the server is asked.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long dead rows are waited for where the role may not remove them.
const DEAD_WAIT_MAX: Duration = Duration::from_mins(1);

/// What one worker knows of the server's load.
pub(crate) struct Throttle<'a> {
    settings: &'a Settings,
    reporter: &'a Reporter<'a>,
    stop: &'a AtomicBool,
    looked: Option<Instant>,
    /// When how much WAL there was.
    wal: Option<(Instant, u64)>,
    /// Rows moved since the last vacuum, in leaves by their number.
    moved: std::collections::HashMap<u32, u64>,
    dead_waited: Duration,
}

const LOAD: &str = "SELECT \
    (SELECT max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn))::int8 \
     FROM pg_catalog.pg_stat_replication WHERE replay_lsn IS NOT NULL), \
    pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::int8, \
    (SELECT n_dead_tup FROM pg_catalog.pg_stat_all_tables WHERE relid = $1::oid), \
    (SELECT n_live_tup FROM pg_catalog.pg_stat_all_tables WHERE relid = $1::oid)";

struct Load {
    lag: u64,
    wal: u64,
    dead: u64,
    live: u64,
}

impl<'a> Throttle<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        reporter: &'a Reporter<'a>,
        stop: &'a AtomicBool,
    ) -> Self {
        Self {
            settings,
            reporter,
            stop,
            looked: None,
            wal: None,
            moved: std::collections::HashMap::new(),
            dead_waited: Duration::ZERO,
        }
    }

    /// Waits until there is no reason to, or somebody says stop.
    pub(crate) fn wait(&mut self, client: &mut Client, leaf: &Leaf) -> Result<(), Error> {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return Ok(());
        }
        while !self.stop.load(Ordering::Relaxed) {
            let load = look(client, leaf)?;
            let at = now();
            self.looked = Some(at);
            let Some(pause) = self.pause(&load, at) else { break };
            if pause == Pause::Dead {
                if self.settings.vacuum == Vacuum::Auto && vacuum(client, self.settings, leaf)? {
                    self.moved.remove(&leaf.oid);
                    break;
                }
                self.dead_waited += LOOK_EVERY;
            }
            self.reporter.pause(pause);
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn pause(&mut self, load: &Load, at: Instant) -> Option<Pause> {
        if self.settings.replica_lag_bytes_max.is_some_and(|most| load.lag > most) {
            return Some(Pause::Replica);
        }
        if let (Some(most), Some((then, wal))) = (self.settings.wal_bytes_per_sec_max, self.wal) {
            let allowed =
                Duration::from_secs_f64(as_f64(load.wal.saturating_sub(wal)) / as_f64(most.max(1)));
            if at.saturating_duration_since(then) < allowed {
                return Some(Pause::Wal);
            }
        }
        self.wal = Some((at, load.wal));
        let rows = as_f64(load.live + load.dead);
        let is_much =
            load.dead > 1_000 && as_f64(load.dead) > rows * self.settings.dead_fraction_max;
        (is_much && self.dead_waited < DEAD_WAIT_MAX).then_some(Pause::Dead)
    }

    /// After a range: removes dead rows once they are a good part of the table.
    pub(crate) fn ranged(
        &mut self,
        client: &mut Client,
        leaf: &Leaf,
        moved: u64,
    ) -> Result<(), Error> {
        let since = self.moved.entry(leaf.oid).or_default();
        *since += moved;
        let is_much = as_f64(*since) > as_f64(leaf.rows) * self.settings.dead_fraction_max / 2.0;
        if self.settings.vacuum == Vacuum::Auto && *since > 0 && is_much {
            *since = 0;
            vacuum(client, self.settings, leaf)?;
        }
        Ok(())
    }
}

fn as_f64(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
    let count = count as f64;
    count
}

fn look(client: &mut Client, leaf: &Leaf) -> Result<Load, Error> {
    const DOING: &str = "looking at the load of the server";
    let row = client.query_one(LOAD, &[&leaf.oid]).doing(DOING)?;
    let count = |at: usize| -> Result<u64, Error> {
        let count: Option<i64> = row.try_get(at).doing(DOING)?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    };
    Ok(Load { lag: count(0)?, wal: count(1)?, dead: count(2)?, live: count(3)? })
}

/// Removes dead rows; false where the role may not.
fn vacuum(client: &mut Client, settings: &Settings, leaf: &Leaf) -> Result<bool, Error> {
    const DOING: &str = "removing dead rows";
    const MAY: &str = "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') \
        OR (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user) \
        OR (SELECT pg_catalog.pg_has_role(d.datdba, 'USAGE') FROM pg_catalog.pg_database d \
            WHERE d.datname = pg_catalog.current_database()) \
        FROM pg_catalog.pg_class c WHERE c.oid = $1::oid";
    let row = client.query_opt(MAY, &[&leaf.oid]).doing(DOING)?;
    let may = match row {
        Some(row) => row.try_get::<_, Option<bool>>(0).doing(DOING)?.unwrap_or(false),
        None => false,
    };
    if !may {
        return Ok(false);
    }
    client.batch_execute("SET statement_timeout = 0").doing(DOING)?;
    let done = client.batch_execute(&format!("VACUUM (SKIP_LOCKED) {}", leaf.name)).doing(DOING);
    let reset = format!("SET statement_timeout = {}", settings.statement_timeout.as_millis());
    client.batch_execute(&reset).doing(DOING)?;
    match done {
        // Somebody else holds a lock that vacuum needs; it can wait.
        Err(error) if error.sqlstate() == "55P03" => Ok(false),
        done => done.map(|()| true),
    }
}
