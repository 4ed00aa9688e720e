//! The moment after which no transaction is left that could still write under an old key.
//!
//! Once every writer seals with the new key, transactions that began before may still hold an old
//! value in hand. A horizon names all of them; when all have ended, prepared ones included, what a
//! scan then finds is all that there is.

use std::collections::BTreeSet;
use std::time::Duration;

use postgres::Client;

use crate::error::{Doing as _, Error};
use crate::session::now;

/// All transactions that were open at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// A transaction id above all that were given away.
    pub xmax: u64,
    /// Transactions of this database that had no id yet.
    virtuals: BTreeSet<String>,
}

/// A transaction that is open still.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Holder {
    /// A session.
    Session {
        /// Its process on the server.
        pid: i32,
        /// The role, where it may be seen.
        role: String,
        /// The database.
        database: String,
        /// The name that the program gave itself.
        application: String,
    },
    /// A prepared transaction, which no session holds.
    Prepared {
        /// Its name.
        gid: String,
        /// Who prepared it.
        role: String,
        /// The database.
        database: String,
    },
    /// One that the snapshot shows and no list of the server names.
    Unnamed,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session { pid, role, database, application } => {
                write!(f, "session {pid} of {role} in {database} ({application})")
            }
            Self::Prepared { gid, role, database } => {
                write!(f, "prepared transaction {gid} of {role} in {database}")
            }
            Self::Unnamed => f.write_str("a transaction that the server does not name"),
        }
    }
}

const DOING: &str = "looking for open transactions";

const VIRTUALS: &str = "SELECT DISTINCT l.virtualxid FROM pg_catalog.pg_locks l \
    JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
    WHERE l.locktype = 'virtualxid' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() \
    AND a.datname = pg_catalog.current_database() \
    AND a.backend_type IS DISTINCT FROM 'autovacuum worker'";

/// Those whose ids are older than `$1`, by the locks that every transaction has on its own id.
const OLDER: &str = "SELECT l.pid, COALESCE(a.usename::text, ''), COALESCE(a.datname::text, ''), \
        COALESCE(a.application_name, ''), l.virtualxid \
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
    WHERE l.granted AND l.pid <> pg_catalog.pg_backend_pid() \
    AND ((l.locktype = 'virtualxid' AND l.virtualxid = ANY ($2::text[])) \
        OR (l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' \
            AND (($1::int8 - l.transactionid::text::int8) & 4294967295) \
                BETWEEN 1 AND 2147483647)) ORDER BY l.pid";

const PREPARED: &str = "SELECT gid, owner::text, database::text FROM pg_catalog.pg_prepared_xacts \
    WHERE (($1::int8 - transaction::text::int8) & 4294967295) BETWEEN 1 AND 2147483647 \
    ORDER BY gid";

const XMIN: &str =
    "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::int8";

/// A new id, which is above that of every open transaction. The end of a snapshot is not: it tells
/// of the last id that has ended.
const NEXT: &str = "SELECT pg_catalog.pg_current_xact_id()::text::int8";

/// All transactions that are open now. To be asked once every writer has the new key.
///
/// # Errors
/// The server cannot be asked.
pub fn horizon(client: &mut Client) -> Result<Horizon, Error> {
    // Who had no id when this was asked may have one by now; hence this order.
    let virtuals = client.query(VIRTUALS, &[]).doing(DOING)?;
    let virtuals =
        virtuals.iter().map(|row| row.try_get(0).doing(DOING)).collect::<Result<_, _>>()?;
    let xmax = number(client, NEXT)?;
    Ok(Horizon { xmax, virtuals })
}

fn number(client: &mut Client, sql: &str) -> Result<u64, Error> {
    let number: i64 = client.query_one(sql, &[]).doing(DOING)?.try_get(0).doing(DOING)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

/// Which transactions of a horizon are open still; none means that it has passed.
///
/// # Errors
/// The server cannot be asked.
pub fn holders(client: &mut Client, horizon: &Horizon) -> Result<Vec<Holder>, Error> {
    let xmax = i64::try_from(horizon.xmax).unwrap_or(i64::MAX);
    let virtuals: Vec<&str> = horizon.virtuals.iter().map(String::as_str).collect();
    let mut found = BTreeSet::new();
    for row in client.query(OLDER, &[&xmax, &virtuals]).doing(DOING)? {
        found.insert(Holder::Session {
            pid: row.try_get(0).doing(DOING)?,
            role: row.try_get(1).doing(DOING)?,
            database: row.try_get(2).doing(DOING)?,
            application: row.try_get(3).doing(DOING)?,
        });
    }
    for row in client.query(PREPARED, &[&xmax]).doing(DOING)? {
        found.insert(Holder::Prepared {
            gid: row.try_get(0).doing(DOING)?,
            role: row.try_get(1).doing(DOING)?,
            database: row.try_get(2).doing(DOING)?,
        });
    }
    Ok(found.into_iter().collect())
}

/// Waits until a horizon has passed. Gives back who still holds it when the time is over; none
/// means that it has passed.
///
/// # Errors
/// The server cannot be asked.
pub fn wait_for(
    client: &mut Client,
    horizon: &Horizon,
    longest: Duration,
) -> Result<Vec<Holder>, Error> {
    let begun = now();
    loop {
        let held = holders(client, horizon)?;
        // A transaction that ended between two looks is seen by the snapshot as well.
        let has_passed = held.is_empty() && number(client, XMIN)? >= horizon.xmax;
        if has_passed {
            return Ok(held);
        }
        if begun.elapsed() >= longest {
            return Ok(if held.is_empty() { vec![Holder::Unnamed] } else { held });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
