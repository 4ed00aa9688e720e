//! What a move has done, kept in the database itself: jobs, ranges with their checkpoints, and
//! rows that no key opens.
//!
//! A checkpoint is written in the transaction of its batch, so a killed mover goes on where the
//! last batch ended. Keys are known again by a message that is sealed under them; nothing that
//! could be guessed against faster than a value of the column itself is kept.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use keywheel_codec::{Format, Key, Limits, Opened, Shape, WriteOptions, pgp};
use postgres::{Client, GenericClient};

use crate::error::{Doing as _, Error};
use crate::statement::{RowKey, Span};
use crate::target::Keys;

/// The tables of a mover, made where they are missing.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS keywheel.reencrypt_job ( \
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
    relation text NOT NULL, column_name text NOT NULL, \
    from_names text[] NOT NULL, to_name text NOT NULL, \
    from_marks bytea[] NOT NULL, to_mark bytea NOT NULL, \
    state text NOT NULL DEFAULT 'running' \
        CHECK (state IN ('running', 'stopped', 'moved', 'superseded')), \
    pass int NOT NULL DEFAULT 1, \
    started_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz); \
CREATE TABLE IF NOT EXISTS keywheel.reencrypt_range ( \
    job bigint NOT NULL REFERENCES keywheel.reencrypt_job ON DELETE CASCADE, \
    pass int NOT NULL, number int NOT NULL, relation text NOT NULL, \
    low text[], high text[], reached text[], done boolean NOT NULL DEFAULT false, \
    rows_read bigint NOT NULL DEFAULT 0, rows_moved bigint NOT NULL DEFAULT 0, \
    rows_current bigint NOT NULL DEFAULT 0, rows_null bigint NOT NULL DEFAULT 0, \
    rows_missed bigint NOT NULL DEFAULT 0, rows_quarantined bigint NOT NULL DEFAULT 0, \
    PRIMARY KEY (job, pass, number)); \
CREATE TABLE IF NOT EXISTS keywheel.reencrypt_quarantine ( \
    job bigint NOT NULL REFERENCES keywheel.reencrypt_job ON DELETE CASCADE, \
    relation text NOT NULL, row_key text[] NOT NULL, reason text NOT NULL, \
    seen_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (job, relation, row_key))";

/// The plaintext of marks.
const MARK: &[u8] = b"keywheel reencrypt";

/// How many rows became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows read.
    pub read: u64,
    /// Rows moved to the new key.
    pub moved: u64,
    /// Rows that were under the new key already.
    pub current: u64,
    /// Rows where the column is NULL.
    pub null: u64,
    /// Rows that somebody else changed meanwhile, left to the next pass.
    pub missed: u64,
    /// Rows that no key opens.
    pub quarantined: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.moved += other.moved;
        self.current += other.current;
        self.null += other.null;
        self.missed += other.missed;
        self.quarantined += other.quarantined;
    }
}

/// One range of a job.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) number: i32,
    pub(crate) leaf: usize,
    /// What is left of it.
    pub(crate) span: Span,
}

/// A job, held by a lock of this session.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) id: i64,
    pub(crate) pass: i32,
    pub(crate) resumed: bool,
}

/// A job as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// The table.
    pub relation: String,
    /// The column.
    pub column: String,
    /// The names of the keys that it moves from.
    pub from: Vec<String>,
    /// The name of the key that it moves to.
    pub to: String,
    /// `running`, `stopped`, `moved` or `superseded`. A job that was killed says `running`.
    pub state: String,
    /// The pass over the table.
    pub pass: i32,
    /// What it did, over all passes; what one pass left the next one counts again.
    pub counts: Counts,
    /// How many rows are in quarantine now.
    pub in_quarantine: u64,
    /// Whether a mover holds it now.
    pub is_held: bool,
}

const COUNTS: &str = "COALESCE(sum(rows_read), 0)::int8, COALESCE(sum(rows_moved), 0)::int8, \
    COALESCE(sum(rows_current), 0)::int8, COALESCE(sum(rows_null), 0)::int8, \
    COALESCE(sum(rows_missed), 0)::int8, COALESCE(sum(rows_quarantined), 0)::int8";

const DOING: &str = "reading the jobs";

fn counts(row: &postgres::Row, first: usize) -> Result<Counts, Error> {
    let one = |at: usize| -> Result<u64, Error> {
        let count: i64 = row.try_get(first + at).doing(DOING)?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    Ok(Counts {
        read: one(0)?,
        moved: one(1)?,
        current: one(2)?,
        null: one(3)?,
        missed: one(4)?,
        quarantined: one(5)?,
    })
}

/// Whether the tables of the mover are there.
pub(crate) fn exists(client: &mut Client) -> Result<bool, Error> {
    let row = client
        .query_one("SELECT pg_catalog.to_regclass('keywheel.reencrypt_job') IS NOT NULL", &[])
        .doing(DOING)?;
    row.try_get(0).doing(DOING)
}

/// The jobs of a column, the newest first.
///
/// # Errors
/// The server cannot be asked.
pub(crate) fn jobs(client: &mut Client, relation: &str, column: &str) -> Result<Vec<Job>, Error> {
    if !exists(client)? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT j.id, j.from_names, j.to_name, j.state, j.pass, \
         (SELECT count(*) FROM keywheel.reencrypt_quarantine q WHERE q.job = j.id), \
         EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted \
            AND ((l.classid::int8 << 32) | l.objid::int8) = {LOCK}), \
         r.* FROM keywheel.reencrypt_job j CROSS JOIN LATERAL (SELECT {COUNTS} \
            FROM keywheel.reencrypt_range WHERE job = j.id) r \
         WHERE j.relation = $1::text AND j.column_name = $2::text ORDER BY j.id DESC LIMIT 100"
    );
    let rows = client.query(&sql, &[&relation, &column]).doing(DOING)?;
    let job = |row: &postgres::Row| {
        let in_quarantine: i64 = row.try_get(5).doing(DOING)?;
        let state: String = row.try_get(3).doing(DOING)?;
        Ok(Job {
            id: row.try_get(0).doing(DOING)?,
            relation: relation.to_owned(),
            column: column.to_owned(),
            from: row.try_get(1).doing(DOING)?,
            to: row.try_get(2).doing(DOING)?,
            pass: row.try_get(4).doing(DOING)?,
            in_quarantine: u64::try_from(in_quarantine).unwrap_or(0),
            is_held: state == "running" && row.try_get(6).doing(DOING)?,
            counts: counts(row, 7)?,
            state,
        })
    };
    rows.iter().map(job).collect()
}

/// The number of the lock of a column, from `$1` and `$2`.
const LOCK: &str =
    "pg_catalog.hashtextextended('keywheel reencrypt ' || $1::text || ' ' || $2::text, 0)";

/// Takes the lock of a column for this session, and the job with these keys: the last one if it
/// is not at its end, or else a new one.
pub(crate) fn hold(
    client: &mut Client,
    relation: &str,
    column: &str,
    keys: &Keys,
) -> Result<Held, Error> {
    const DOING: &str = "making the tables of the mover";
    let lock = format!("SELECT pg_catalog.pg_try_advisory_lock({LOCK})");
    let row = client.query_one(&lock, &[&relation, &column]).doing(DOING)?;
    if !row.try_get::<_, bool>(0).doing(DOING)? {
        return Err(Error::Busy { table: relation.to_owned() });
    }
    if !exists(client)? {
        // Asking for a schema that is there takes the right to make one.
        let sql = "SELECT pg_catalog.to_regnamespace('keywheel') IS NULL";
        if client.query_one(sql, &[]).doing(DOING)?.try_get(0).doing(DOING)? {
            client.batch_execute("CREATE SCHEMA keywheel").doing(DOING)?;
        }
        client.batch_execute(TABLES).doing(DOING)?;
    }
    let last = client
        .query_opt(
            "SELECT id, pass, from_marks, to_mark FROM keywheel.reencrypt_job \
             WHERE relation = $1::text AND column_name = $2::text \
             AND state IN ('running', 'stopped') ORDER BY id DESC LIMIT 1",
            &[&relation, &column],
        )
        .doing(DOING)?;
    if let Some(row) = last {
        let held = Held {
            id: row.try_get(0).doing(DOING)?,
            pass: row.try_get(1).doing(DOING)?,
            resumed: true,
        };
        let froms: Vec<Vec<u8>> = row.try_get(2).doing(DOING)?;
        let to: Vec<u8> = row.try_get(3).doing(DOING)?;
        let same = is_marked(&to, &keys.to.1)
            && froms.len() == keys.from.len()
            && froms.iter().zip(&keys.from).all(|(mark, (_, key))| is_marked(mark, key));
        if same {
            client
                .execute(
                    "UPDATE keywheel.reencrypt_job SET state = 'running', ended_at = NULL \
                     WHERE id = $1",
                    &[&held.id],
                )
                .doing(DOING)?;
            return Ok(held);
        }
    }
    make(client, relation, column, keys)
}

fn make(client: &mut Client, relation: &str, column: &str, keys: &Keys) -> Result<Held, Error> {
    const DOING: &str = "beginning a job";
    let froms: Vec<Vec<u8>> =
        keys.from.iter().map(|(_, key)| mark(key)).collect::<Result<_, _>>()?;
    let names: Vec<&str> = keys.from.iter().map(|(name, _)| name.as_str()).collect();
    let mut transaction = client.transaction().doing(DOING)?;
    transaction
        .execute(
            "UPDATE keywheel.reencrypt_job SET state = 'superseded', ended_at = now() \
             WHERE relation = $1::text AND column_name = $2::text \
             AND state IN ('running', 'stopped')",
            &[&relation, &column],
        )
        .doing(DOING)?;
    let row = transaction
        .query_one(
            "INSERT INTO keywheel.reencrypt_job \
             (relation, column_name, from_names, to_name, from_marks, to_mark) \
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
            &[&relation, &column, &names, &keys.to.0, &froms, &mark(&keys.to.1)?],
        )
        .doing(DOING)?;
    let id = row.try_get(0).doing(DOING)?;
    transaction.commit().doing(DOING)?;
    Ok(Held { id, pass: 1, resumed: false })
}

/// A message under a key, by which the key is known again.
fn mark(key: &Key) -> Result<Vec<u8>, Error> {
    let random = SystemRandom::new();
    let mut is_random = true;
    let mut fill = |bytes: &mut [u8]| is_random &= random.fill(bytes).is_ok();
    let opened = Opened { plain: MARK.to_vec().into(), shape: Shape::Pgp(pgp::Shape::bytes()) };
    let write = WriteOptions { pgp: pgp::Write::for_key(key), version: 0 };
    let sealed = Format::Pgp.seal(&opened, key, &write, &mut fill);
    if !is_random {
        return Err(Error::Entropy);
    }
    sealed.map_err(|error| Error::Seal(error.to_string()))
}

fn is_marked(mark: &[u8], key: &Key) -> bool {
    let opened = Format::Pgp.open(mark, key, Limits { plain_bytes_max: 64 });
    opened.is_ok_and(|opened| opened.plain.as_slice() == MARK)
}

/// Refuses keys that cannot be told apart.
pub(crate) fn check(keys: &Keys) -> Result<(), Error> {
    if keys.from.is_empty() {
        return Err(Error::NoOldKey);
    }
    let mark = mark(&keys.to.1)?;
    if keys.from.iter().any(|(_, key)| is_marked(&mark, key)) {
        return Err(Error::SameKey);
    }
    Ok(())
}

/// Writes down how far a range is, within the transaction of its batch. Gives back how many
/// sessions wait for that transaction to end, because it holds rows that they want.
pub(crate) fn checkpoint(
    client: &mut impl GenericClient,
    held: &Held,
    range: &Range,
    reached: Option<&RowKey>,
    counts: Counts,
) -> Result<u64, Error> {
    const DOING: &str = "writing the checkpoint";
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let row = client
        .query_opt(
            "UPDATE keywheel.reencrypt_range SET reached = COALESCE($4::text[], reached), \
             rows_read = rows_read + $5, rows_moved = rows_moved + $6, \
             rows_current = rows_current + $7, rows_null = rows_null + $8, \
             rows_missed = rows_missed + $9, rows_quarantined = rows_quarantined + $10 \
             WHERE job = $1 AND pass = $2 AND number = $3 \
             RETURNING (SELECT count(*) FROM pg_catalog.pg_locks l WHERE NOT l.granted \
                AND l.locktype = 'transactionid' \
                AND l.transactionid = pg_catalog.pg_current_xact_id()::pg_catalog.xid)",
            &[
                &held.id,
                &held.pass,
                &range.number,
                &reached,
                &number(counts.read),
                &number(counts.moved),
                &number(counts.current),
                &number(counts.null),
                &number(counts.missed),
                &number(counts.quarantined),
            ],
        )
        .doing(DOING)?;
    let waiters: i64 = row.map_or(Ok(0), |row| row.try_get(0)).doing(DOING)?;
    Ok(u64::try_from(waiters).unwrap_or(0))
}

/// Notes rows that no key opens: their keys and reasons, nothing else.
pub(crate) fn quarantine(
    client: &mut impl GenericClient,
    held: &Held,
    relation: &str,
    rows: &[(&RowKey, String)],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    // An array of arrays cannot be taken apart by rows, so keys travel one after the other.
    let width = rows.first().map_or(0, |(key, _)| key.len());
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    let texts: Vec<&str> =
        rows.iter().flat_map(|(key, _)| key.iter().map(String::as_str)).collect();
    let reasons: Vec<&str> = rows.iter().map(|(_, reason)| reason.as_str()).collect();
    client
        .execute(
            "INSERT INTO keywheel.reencrypt_quarantine (job, relation, row_key, reason) \
             SELECT $1, $2, ($3::text[])[(n::int4 - 1) * $4::int4 + 1 : n::int4 * $4::int4], r \
             FROM unnest($5::text[]) WITH ORDINALITY AS u(r, n) \
             ON CONFLICT (job, relation, row_key) \
             DO UPDATE SET reason = EXCLUDED.reason, seen_at = now()",
            &[&held.id, &relation, &texts, &width, &reasons],
        )
        .doing("noting rows that no key opens")
        .map(|_| ())
}

/// The range is done.
pub(crate) fn done(client: &mut Client, held: &Held, range: &Range) -> Result<(), Error> {
    client
        .execute(
            "UPDATE keywheel.reencrypt_range SET done = true \
             WHERE job = $1 AND pass = $2 AND number = $3",
            &[&held.id, &held.pass, &range.number],
        )
        .doing("ending a range")
        .map(|_| ())
}

/// Begins a range.
pub(crate) fn begin(
    client: &mut Client,
    held: &Held,
    range: &Range,
    relation: &str,
) -> Result<(), Error> {
    client
        .execute(
            "INSERT INTO keywheel.reencrypt_range (job, pass, number, relation, low, high) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[&held.id, &held.pass, &range.number, &relation, &range.span.low, &range.span.high],
        )
        .doing("beginning a range")
        .map(|_| ())
}

/// A range as it is kept.
pub(crate) struct Kept {
    pub(crate) number: i32,
    pub(crate) relation: String,
    pub(crate) low: Option<RowKey>,
    pub(crate) high: Option<RowKey>,
    pub(crate) reached: Option<RowKey>,
    pub(crate) done: bool,
}

/// The ranges of a pass, in their order.
pub(crate) fn ranges(client: &mut Client, held: &Held) -> Result<Vec<Kept>, Error> {
    let rows = client
        .query(
            "SELECT number, relation, low, high, reached, done FROM keywheel.reencrypt_range \
             WHERE job = $1 AND pass = $2 ORDER BY number",
            &[&held.id, &held.pass],
        )
        .doing(DOING)?;
    let kept = |row: &postgres::Row| {
        Ok(Kept {
            number: row.try_get(0).doing(DOING)?,
            relation: row.try_get(1).doing(DOING)?,
            low: row.try_get(2).doing(DOING)?,
            high: row.try_get(3).doing(DOING)?,
            reached: row.try_get(4).doing(DOING)?,
            done: row.try_get(5).doing(DOING)?,
        })
    };
    rows.iter().map(kept).collect()
}

/// What a job did, over all passes or in one.
pub(crate) fn total(client: &mut Client, held: &Held, pass: Option<i32>) -> Result<Counts, Error> {
    let sql = format!(
        "SELECT {COUNTS} FROM keywheel.reencrypt_range \
         WHERE job = $1 AND pass = COALESCE($2, pass)"
    );
    counts(&client.query_one(&sql, &[&held.id, &pass]).doing(DOING)?, 0)
}

/// Begins the next pass; rows in quarantine are judged anew by it.
pub(crate) fn next_pass(client: &mut Client, held: &mut Held) -> Result<(), Error> {
    const DOING: &str = "beginning a pass";
    let mut transaction = client.transaction().doing(DOING)?;
    transaction
        .execute("DELETE FROM keywheel.reencrypt_quarantine WHERE job = $1", &[&held.id])
        .doing(DOING)?;
    transaction
        .execute("UPDATE keywheel.reencrypt_job SET pass = pass + 1 WHERE id = $1", &[&held.id])
        .doing(DOING)?;
    transaction.commit().doing(DOING)?;
    held.pass += 1;
    Ok(())
}

/// Ends a job, or lets it rest.
pub(crate) fn end(client: &mut Client, held: &Held, state: &str) -> Result<(), Error> {
    client
        .execute(
            "UPDATE keywheel.reencrypt_job SET state = $2, ended_at = now() WHERE id = $1",
            &[&held.id, &state],
        )
        .doing("ending a job")
        .map(|_| ())
}

/// How many rows are in quarantine.
pub(crate) fn in_quarantine(client: &mut Client, held: &Held) -> Result<u64, Error> {
    let row = client
        .query_one("SELECT count(*) FROM keywheel.reencrypt_quarantine WHERE job = $1", &[&held.id])
        .doing(DOING)?;
    let count: i64 = row.try_get(0).doing(DOING)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
