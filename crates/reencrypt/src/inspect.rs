//! What a move would meet and cost, told before anything is written.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use keywheel_codec::{Header, OpenError};
use postgres::{Client, GenericClient};

use crate::catalog::{self, Leaf};
use crate::error::{Doing as _, Error};
use crate::obstacle::{self, Obstacle};
use crate::scan::{self, count};
use crate::session::{self, now};
use crate::settings::{Settings, Triggers};
use crate::statement::{Item, PageLimit, Span, Statements};
use crate::target::{Keys, Target};
use crate::trial::{Found, Trial};

/// How many rows of each leaf are looked at.
const SAMPLE_ROWS: usize = 400;
/// How many leaves are sampled.
const SAMPLE_LEAVES: usize = 64;
/// What a row costs the server, as measured with batches of 500 and more.
const SERVER_TIME_PER_ROW: Duration = Duration::from_micros(13);
/// What a written row costs in WAL besides its own length: heap, index, header.
const WAL_BYTES_PER_ROW: u64 = 450;

/// What a sample says of a column's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows where the column is NULL.
    pub null: u64,
    /// Values by what their header says.
    pub headers: BTreeMap<Header, u64>,
    /// Values that are none of the format, by the reason.
    pub malformed: BTreeMap<String, u64>,
    /// Values by the name of the key that opens them; empty when no keys were given.
    pub keys: BTreeMap<String, u64>,
    /// Values that no key opens.
    pub unopened: u64,
    /// The length of a value, on average, in bytes.
    pub bytes_mean: u64,
}

/// What a move would cost, from the sample. All of it is a guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prediction {
    /// Rows to be moved.
    pub rows: u64,
    /// Processor time of the mover, on the machine that asks.
    pub client_time: Duration,
    /// Processor time of the server.
    pub server_time: Duration,
    /// How long one worker takes.
    pub duration: Duration,
    /// WAL, in bytes.
    pub wal_bytes: u64,
    /// By how much the table and its indexes grow at most while dead rows wait to be removed.
    pub bloat_bytes: u64,
}

/// What stands in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The table, with its schema.
    pub table: String,
    /// The tables that hold the rows, and what names a row there; empty where only its place does.
    pub leaves: Vec<(String, Vec<String>)>,
    /// How many rows there are thought to be.
    pub rows_about: u64,
    /// How many bytes the tables and their indexes have.
    pub bytes: u64,
    /// Generated columns that are computed from it, which follow by themselves.
    pub generated: Vec<String>,
    /// Indexes that hold it or what is computed from it, which follow by themselves.
    pub indexes: Vec<String>,
    /// What stands in the way, or should be known.
    pub obstacles: Vec<Obstacle>,
    /// What a sample says; none where the role may not read the rows.
    pub census: Option<Census>,
    /// What it would cost; none without keys.
    pub prediction: Option<Prediction>,
}

const GENERATED: &str = "SELECT DISTINCT pg_catalog.format('%s (%I)', c.oid::regclass, g.attname) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
    JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid \
    JOIN pg_catalog.pg_attribute g ON g.attrelid = c.oid AND g.attnum = d.adnum \
    JOIN pg_catalog.pg_depend p ON p.classid = 'pg_catalog.pg_attrdef'::regclass \
        AND p.objid = d.oid AND p.refclassid = 'pg_catalog.pg_class'::regclass \
        AND p.refobjid = c.oid AND p.refobjsubid = a.attnum \
    WHERE c.oid = ANY ($1::oid[]) AND a.attname = $2::text AND g.attgenerated <> '' \
    AND g.attnum <> a.attnum ORDER BY 1";

const INDEXES: &str = "SELECT DISTINCT p.objid::regclass::text FROM pg_catalog.pg_depend p \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = p.refobjid AND a.attnum = p.refobjsubid \
    JOIN pg_catalog.pg_class i ON i.oid = p.objid AND i.relkind IN ('i', 'I') \
    WHERE p.classid = 'pg_catalog.pg_class'::regclass \
    AND p.refclassid = 'pg_catalog.pg_class'::regclass AND p.refobjid = ANY ($1::oid[]) \
    AND a.attname = $2::text ORDER BY 1";

const DOING: &str = "inspecting the column";

/// Looks at a column, and at a bounded sample of its values; with keys these are tried.
///
/// # Errors
/// There is no such column, or the server refuses.
pub fn inspect(
    client: &mut Client,
    target: &Target,
    keys: Option<&Keys>,
    settings: &Settings,
) -> Result<Inspection, Error> {
    session::prepare(client, settings)?;
    let table = catalog::read(client, target)?;
    session::see(client, &table.schemas)?;
    let triggers =
        if settings.triggers == Triggers::Fire { Triggers::Fire } else { Triggers::Refuse };
    let obstacles = obstacle::find(client, &table, target, triggers)?;
    let oids: Vec<u32> = table.leaves.iter().map(|leaf| leaf.oid).collect();
    let mut names = |sql: &str| -> Result<Vec<String>, Error> {
        let rows = client.query(sql, &[&oids, &target.column]).doing(DOING)?;
        rows.iter().map(|row| row.try_get(0).doing(DOING)).collect()
    };
    let (generated, indexes) = (names(GENERATED)?, names(INDEXES)?);
    let sql = "SELECT COALESCE(sum(pg_catalog.pg_total_relation_size(o)), 0)::int8 \
               FROM unnest($1::oid[]) o";
    let bytes: i64 = client.query_one(sql, &[&oids]).doing(DOING)?.try_get(0).doing(DOING)?;
    let rows_about = table.leaves.iter().map(|leaf| leaf.rows).sum();
    let sampled = sample(client, &table.leaves, target, keys, settings);
    let (census, time) = match sampled {
        Ok((census, time)) => (Some(census), time),
        // What is missing stands among the obstacles.
        Err(error) if error.sqlstate() == "42501" => (None, Duration::ZERO),
        Err(error) => return Err(error),
    };
    let mut inspection = Inspection {
        table: table.name,
        leaves: table.leaves.iter().map(named).collect(),
        rows_about,
        bytes: u64::try_from(bytes).unwrap_or(0),
        generated,
        indexes,
        obstacles,
        census,
        prediction: None,
    };
    if let (Some(keys), Some(census)) = (keys, &inspection.census) {
        inspection.prediction = Some(predict(&inspection, census, keys, time, settings));
    }
    Ok(inspection)
}

fn named(leaf: &Leaf) -> (String, Vec<String>) {
    (leaf.name.clone(), leaf.keys.iter().map(|key| key.name.clone()).collect())
}

/// The first rows of each leaf, and how long they took to move.
fn sample(
    client: &mut Client,
    leaves: &[Leaf],
    target: &Target,
    keys: Option<&Keys>,
    settings: &Settings,
) -> Result<(Census, Duration), Error> {
    let mut census = Census::default();
    let mut time = Duration::ZERO;
    let mut bytes = 0;
    let mut trial = keys.map(|keys| Trial::new(&target.format, keys));
    let limit = PageLimit { rows: SAMPLE_ROWS, bytes: settings.batch_bytes_max };
    for leaf in leaves.iter().take(SAMPLE_LEAVES) {
        let statements = Statements::prepare(client, leaf)?;
        for item in rows(client, leaf, &statements, limit)? {
            census.rows += 1;
            let Some(value) = &item.value else {
                census.null += 1;
                continue;
            };
            bytes += count(value.len());
            match target.format.census(value) {
                Ok(header) => *census.headers.entry(header).or_default() += 1,
                Err(error) => *census.malformed.entry(reason(&error)).or_default() += 1,
            }
            let (Some(trial), Some(keys)) = (&mut trial, keys) else { continue };
            let begun = now();
            let found = trial.open(&[value]).pop();
            let name = match &found {
                Some(Found::Current) => Some(&keys.to.0),
                Some(Found::Old(place, opened)) => {
                    trial.seal(&[opened])?;
                    keys.from.get(*place).map(|(name, _)| name)
                }
                _ => None,
            };
            time += begun.elapsed();
            match name {
                Some(name) => *census.keys.entry(name.clone()).or_default() += 1,
                None => census.unopened += 1,
            }
        }
    }
    census.bytes_mean = bytes.checked_div(census.rows - census.null).unwrap_or(0);
    Ok((census, time))
}

fn rows(
    client: &mut impl GenericClient,
    leaf: &Leaf,
    statements: &Statements,
    limit: PageLimit,
) -> Result<Vec<Item>, Error> {
    if !leaf.is_by_place() {
        return statements.page(client, &Span::default(), limit);
    }
    let mut sampled = Vec::new();
    let stop = AtomicBool::new(false);
    scan::each_page(client, leaf, statements, limit, &stop, &mut |items| {
        sampled.extend(items);
        stop.store(sampled.len() >= limit.rows, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    })?;
    sampled.truncate(limit.rows);
    Ok(sampled)
}

/// A reason without the place of the byte, so that equal ones are counted together.
fn reason(error: &OpenError) -> String {
    match error {
        OpenError::Malformed { why, .. } => (*why).to_owned(),
        other => other.to_string(),
    }
}

fn predict(
    inspection: &Inspection,
    census: &Census,
    keys: &Keys,
    time: Duration,
    settings: &Settings,
) -> Prediction {
    let to_move: u64 = keys.from.iter().filter_map(|(name, _)| census.keys.get(name)).sum();
    let about = inspection.rows_about.max(census.rows);
    let part = |of: u64| about.saturating_mul(of).checked_div(census.rows).unwrap_or(0);
    let rows = part(to_move);
    let times = |each: Duration| {
        Duration::from_nanos(u64::try_from(each.as_nanos()).unwrap_or(0).saturating_mul(rows))
    };
    let each = u32::try_from(to_move).ok().and_then(|rows| time.checked_div(rows));
    let client_time = times(each.unwrap_or_default());
    let server_time = times(SERVER_TIME_PER_ROW);
    let wal_bytes = rows.saturating_mul(census.bytes_mean + WAL_BYTES_PER_ROW);
    let share = match settings.vacuum {
        crate::settings::Vacuum::Auto => settings.dead_fraction_max,
        crate::settings::Vacuum::Never => 1.0,
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a guess"
    )]
    let bloat_bytes = (inspection.bytes as f64 * share.clamp(0.0, 1.0)) as u64;
    Prediction {
        rows,
        client_time,
        server_time,
        duration: client_time + server_time,
        wal_bytes,
        bloat_bytes,
    }
}
