//! What a move would meet and cost, told before anything is written.

use std::collections::BTreeMap;
use std::time::Duration;

use keywheel_codec::{Header, OpenError};
use postgres::{Client, GenericClient};

use crate::catalog::{self, Leaf};
use crate::error::{Doing as _, Error};
use crate::obstacle::{self, Obstacle};
use crate::scan::count;
use crate::session::{self, now};
use crate::settings::{Settings, Triggers};
use crate::statement::{self, PageLimit};
use crate::target::{Keys, Target};
use crate::trial::{Found, Trial};

/// How many rows of each leaf are looked at.
const SAMPLE_ROWS: usize = 400;
/// From about how many pages of it, which stand anywhere.
const SAMPLE_PAGES: u32 = 64;
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
    let sampled = match sample(client, &table.leaves, target, keys, settings) {
        Ok(sampled) => Some(sampled),
        // What is missing stands among the obstacles.
        Err(error) if error.sqlstate() == "42501" => None,
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
        census: None,
        prediction: None,
    };
    if let Some(sampled) = sampled {
        inspection.prediction = keys.map(|_| predict(inspection.bytes, &sampled, settings));
        inspection.census = Some(sampled.census);
    }
    Ok(inspection)
}

fn named(leaf: &Leaf) -> (String, Vec<String>) {
    (leaf.name.clone(), leaf.keys.iter().map(|key| key.name.clone()).collect())
}

/// What was seen of some rows.
#[derive(Default)]
struct Sample {
    census: Census,
    /// How long the rows took that are to be moved.
    time: Duration,
    /// How many of them were seen.
    seen: u64,
    /// How many rows there are to be moved in all leaves, each counted by its own sample.
    to_move: u64,
}

/// Looks at some rows of each leaf, from all over it.
fn sample(
    client: &mut Client,
    leaves: &[Leaf],
    target: &Target,
    keys: Option<&Keys>,
    settings: &Settings,
) -> Result<Sample, Error> {
    let mut sampled = Sample::default();
    let mut bytes = 0;
    let mut rows_of_sampled = 0;
    let mut trial = keys.map(|keys| Trial::new(&target.format, keys, settings));
    // Partitions stand in the order of their age, so some of all ages are taken.
    let step = leaves.len().div_ceil(SAMPLE_LEAVES).max(1);
    for leaf in leaves.iter().step_by(step) {
        let before = (sampled.census.rows, sampled.seen);
        for value in values(client, leaf, settings)? {
            sampled.census.rows += 1;
            let Some(value) = &value else {
                sampled.census.null += 1;
                continue;
            };
            bytes += count(value.len());
            match target.format.census(value) {
                Ok(header) => *sampled.census.headers.entry(header).or_default() += 1,
                Err(error) => *sampled.census.malformed.entry(reason(&error)).or_default() += 1,
            }
            if let (Some(trial), Some(keys)) = (&mut trial, keys) {
                sampled.tried(trial, keys, value)?;
            }
        }
        let rows = sampled.census.rows - before.0;
        let about = leaf.rows.max(rows);
        rows_of_sampled += about;
        let part = about.saturating_mul(sampled.seen - before.1).checked_div(rows);
        sampled.to_move += part.unwrap_or(0);
    }
    let rows: u64 = leaves.iter().map(|leaf| leaf.rows).sum::<u64>().max(rows_of_sampled);
    if let Some(all) = sampled.to_move.saturating_mul(rows).checked_div(rows_of_sampled) {
        sampled.to_move = all;
    }
    let census = &mut sampled.census;
    census.bytes_mean = bytes.checked_div(census.rows - census.null).unwrap_or(0);
    Ok(sampled)
}

impl Sample {
    /// Tries the keys on a value, and seals it again as a move would.
    fn tried(&mut self, trial: &mut Trial<'_>, keys: &Keys, value: &[u8]) -> Result<(), Error> {
        let begun = now();
        let mut name = None;
        trial.each(&[value], &mut |trial, found| {
            for (_, found) in found {
                name = match &found {
                    Found::Current => Some(&keys.to.0),
                    Found::Old(place, opened) => {
                        trial.seal(&[opened])?;
                        keys.from.get(*place).map(|(name, _)| name)
                    }
                    Found::Several | Found::None(_) => None,
                };
                self.seen += u64::from(matches!(found, Found::Old(..)));
            }
            Ok(())
        })?;
        self.time += begun.elapsed();
        match name {
            Some(name) => *self.census.keys.entry(name.clone()).or_default() += 1,
            None => self.census.unopened += 1,
        }
        Ok(())
    }
}

/// Values of a leaf from all over it. Where nearly all pages are empty, more of them are read.
fn values(
    client: &mut impl GenericClient,
    leaf: &Leaf,
    settings: &Settings,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let limit = PageLimit { rows: SAMPLE_ROWS, bytes: settings.batch_bytes_max };
    let mut pages = SAMPLE_PAGES;
    loop {
        let sampled = statement::sample(client, leaf, pages, limit)?;
        if !sampled.is_empty() || pages >= leaf.pages {
            return Ok(sampled);
        }
        pages = pages.saturating_mul(16);
    }
}

/// A reason without the place of the byte, so that equal ones are counted together.
fn reason(error: &OpenError) -> String {
    match error {
        OpenError::Malformed { why, .. } => (*why).to_owned(),
        other => other.to_string(),
    }
}

fn predict(bytes: u64, sampled: &Sample, settings: &Settings) -> Prediction {
    let rows = sampled.to_move;
    let times = |each: Duration| {
        Duration::from_nanos(u64::try_from(each.as_nanos()).unwrap_or(0).saturating_mul(rows))
    };
    let each = u32::try_from(sampled.seen).ok().and_then(|rows| sampled.time.checked_div(rows));
    let client_time = times(each.unwrap_or_default());
    let server_time = times(SERVER_TIME_PER_ROW);
    let wal_bytes = rows.saturating_mul(sampled.census.bytes_mean + WAL_BYTES_PER_ROW);
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
    let bloat_bytes = (bytes as f64 * share.clamp(0.0, 1.0)) as u64;
    Prediction {
        rows,
        client_time,
        server_time,
        duration: client_time + server_time,
        wal_bytes,
        bloat_bytes,
    }
}
