//! The statements of one leaf: read a page, read rows again, write.
//!
//! No statement and no parameter ever holds a key or a plaintext: what travels is ciphertext and
//! the names of rows, as text.

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::ToSql;
use postgres::{Client, GenericClient, Row, Statement};

use crate::catalog::{Kind, Leaf};
use crate::error::{Doing as _, Error};

/// The text of a row's key columns, or its place.
pub(crate) type RowKey = Vec<String>;

/// A row as it was read.
pub(crate) struct Item {
    pub(crate) key: RowKey,
    /// None where the column is NULL.
    pub(crate) value: Option<Vec<u8>>,
}

/// A part of a leaf: after `low`, up to and with `high`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) low: Option<RowKey>,
    pub(crate) high: Option<RowKey>,
}

/// What a page may hold.
#[derive(Clone, Copy)]
pub(crate) struct PageLimit {
    pub(crate) rows: usize,
    /// A page ends with the value that goes beyond this. The server has sent the rest for nothing
    /// then, so whoever asks again asks for what [`PageLimit::fitting`] says.
    pub(crate) bytes: usize,
}

impl PageLimit {
    /// How many rows like these are likely to fit.
    pub(crate) fn fitting(self, last: &[Item]) -> usize {
        let bytes: usize = last.iter().map(|item| item.value.as_ref().map_or(0, Vec::len)).sum();
        let each = bytes / last.len().max(1);
        (self.bytes / each.max(1)).max(1)
    }
}

/// The prepared statements of one leaf on one connection.
pub(crate) struct Statements {
    kind: Kind,
    width: usize,
    /// By whether there is a low and a high end.
    pages: [Statement; 4],
    again: Statement,
    update: Statement,
    boundary: [Statement; 2],
}

/// A new value for a row, if its old one still stands.
pub(crate) struct Write<'a> {
    pub(crate) key: &'a RowKey,
    pub(crate) old: &'a [u8],
    pub(crate) new: &'a [u8],
}

/// What an update did.
pub(crate) struct Written {
    /// For each write whether its old value still stood.
    pub(crate) done: Vec<bool>,
    /// Whether the new values stand in all rows that were written.
    pub(crate) stand: bool,
}

struct Names<'a> {
    leaf: &'a Leaf,
    columns: Vec<(String, String)>,
    wire: &'static str,
}

impl<'a> Names<'a> {
    fn new(leaf: &'a Leaf) -> Self {
        let mut columns: Vec<_> =
            leaf.keys.iter().map(|key| (key.name.clone(), key.type_name.clone())).collect();
        if columns.is_empty() {
            columns.push(("ctid".to_owned(), "pg_catalog.tid".to_owned()));
        }
        let wire = match leaf.kind {
            Kind::Bytes => "pg_catalog.bytea",
            Kind::Text => "pg_catalog.text",
        };
        Self { leaf, columns, wire }
    }

    /// One text for each column of the key, between commas.
    fn each(&self, text: impl Fn(usize, &str, &str) -> String) -> String {
        let texts = self.columns.iter().zip(1..);
        texts.map(|((name, kind), n)| text(n, name, kind)).collect::<Vec<_>>().join(", ")
    }

    fn all(&self, text: impl Fn(usize, &str, &str) -> String) -> String {
        let texts = self.columns.iter().zip(1..);
        texts.map(|((name, kind), n)| text(n, name, kind)).collect::<Vec<_>>().join(" AND ")
    }

    fn order(&self) -> String {
        self.each(|_, name, _| format!("t.{name}"))
    }

    /// Where a key stands towards parameters that begin with this one.
    fn beyond(&self, operator: &str, first: usize) -> String {
        let parameters = self.each(|n, _, kind| format!("${}::text::{kind}", first + n - 1));
        let names = self.order();
        if self.columns.len() == 1 {
            return format!("{names} {operator} {parameters}");
        }
        format!("({names}) {operator} ({parameters})")
    }

    fn page(&self, has_low: bool, has_high: bool) -> String {
        let mut ends = Vec::new();
        let mut next = 1;
        if has_low {
            ends.push(self.beyond(">", next));
            next += self.columns.len();
        }
        if has_high {
            ends.push(self.beyond("<=", next));
            next += self.columns.len();
        }
        let ends =
            if ends.is_empty() { String::new() } else { format!("WHERE {}", ends.join(" AND ")) };
        let Self { leaf: Leaf { name, column, .. }, wire, .. } = self;
        format!(
            "SELECT {keys}, t.{column}::{wire} FROM ONLY {name} t {ends} \
             ORDER BY {order} LIMIT ${next}::int8",
            keys = self.each(|_, name, _| format!("t.{name}::text")),
            order = self.order(),
        )
    }

    /// Values of rows of pages that stand anywhere in the table.
    fn sample(&self) -> String {
        let Self { leaf: Leaf { name, column, .. }, wire, .. } = self;
        let length = "pg_catalog.octet_length(s.c)";
        format!(
            "SELECT p.c FROM (SELECT s.c, \
             pg_catalog.sum(COALESCE({length}, 0)) OVER (ORDER BY s.r \
             ROWS UNBOUNDED PRECEDING) - COALESCE({length}, 0) AS bytes \
             FROM (SELECT t.{column}::{wire} AS c, pg_catalog.random() AS r \
             FROM ONLY {name} t TABLESAMPLE SYSTEM ($1::float4) ORDER BY r LIMIT $2::int8) s) p \
             WHERE p.bytes <= $3::int8"
        )
    }

    /// The key that ends the next so many rows.
    fn boundary(&self, has_low: bool) -> String {
        let (low, next) = if has_low {
            (format!("WHERE {}", self.beyond(">", 1)), self.columns.len() + 1)
        } else {
            (String::new(), 1)
        };
        format!(
            "SELECT {} FROM ONLY {} t {low} ORDER BY {} OFFSET ${next}::int8 LIMIT 1",
            self.each(|_, name, _| format!("t.{name}::text")),
            self.leaf.name,
            self.order(),
        )
    }

    /// Keys as rows. In the list of a SELECT a function gives one row after the other, where in
    /// FROM all of them are kept first.
    fn unnest(&self, further: &str) -> String {
        let keys = self.each(|n, _, _| format!("pg_catalog.unnest(${n}::text[]) AS k{n}"));
        format!("(SELECT {keys}{further}) u")
    }

    fn again(&self) -> String {
        format!(
            "SELECT {}, t.{}::{} FROM {} JOIN ONLY {} t ON {}",
            self.each(|_, name, _| format!("t.{name}::text")),
            self.leaf.column,
            self.wire,
            self.unnest(""),
            self.leaf.name,
            self.all(|n, name, kind| format!("t.{name} = u.k{n}::{kind}")),
        )
    }

    /// Equality is of bytes, whatever the column's collation says. What was done is told in one
    /// row: the numbers of the rows that were written, which take less than their keys.
    fn update(&self) -> String {
        let Self { leaf: Leaf { name, column, kind, .. }, wire, .. } = self;
        let exact = match kind {
            Kind::Bytes => "",
            Kind::Text => " COLLATE \"C\"",
        };
        let (old, new) = (self.columns.len() + 1, self.columns.len() + 2);
        let further = format!(
            ", pg_catalog.unnest(${old}::{wire}[]) AS old, \
             pg_catalog.unnest(${new}::{wire}[]) AS new, \
             pg_catalog.generate_subscripts(${new}::{wire}[], 1) AS n"
        );
        format!(
            "WITH w AS (UPDATE ONLY {name} AS t SET {column} = u.new FROM {} \
             WHERE {} AND t.{column}::{wire}{exact} = u.old \
             RETURNING u.n, t.{column}::{wire}{exact} = u.new AS stands) \
             SELECT pg_catalog.array_agg(n), pg_catalog.bool_and(stands IS TRUE) FROM w",
            self.unnest(&further),
            self.all(|n, name, kind| format!("t.{name} = u.k{n}::{kind}")),
        )
    }
}

/// Values of so many rows at most, of about so many pages that stand anywhere in a leaf. Reads no
/// more than these pages.
pub(crate) fn sample(
    client: &mut impl GenericClient,
    leaf: &Leaf,
    pages: u32,
    limit: PageLimit,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    const DOING: &str = "reading a sample";
    let rows = i64::try_from(limit.rows).unwrap_or(i64::MAX);
    let bytes = i64::try_from(limit.bytes).unwrap_or(i64::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "it is about so many")]
    let percent = (100.0 * f64::from(pages) / f64::from(leaf.pages.max(1))).min(100.0) as f32;
    let sql = Names::new(leaf).sample();
    let found = client.query(&sql, &[&percent, &rows, &bytes]).doing(DOING)?;
    found.iter().map(|row| value(row, 0, leaf.kind).doing(DOING)).collect()
}

/// A value on the wire.
fn value(row: &Row, at: usize, kind: Kind) -> Result<Option<Vec<u8>>, postgres::Error> {
    match kind {
        Kind::Bytes => row.try_get(at),
        Kind::Text => row.try_get::<_, Option<String>>(at).map(|text| text.map(String::into_bytes)),
    }
}

type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;

impl Statements {
    pub(crate) fn prepare(client: &mut Client, leaf: &Leaf) -> Result<Self, Error> {
        let names = Names::new(leaf);
        let mut make = |sql: &str| client.prepare(sql).doing("preparing the statements of a move");
        Ok(Self {
            kind: leaf.kind,
            width: names.columns.len(),
            pages: [
                make(&names.page(false, false))?,
                make(&names.page(true, false))?,
                make(&names.page(false, true))?,
                make(&names.page(true, true))?,
            ],
            again: make(&names.again())?,
            update: make(&names.update())?,
            boundary: [make(&names.boundary(false))?, make(&names.boundary(true))?],
        })
    }

    /// The next rows of a span, in the order of their keys; none when it has no more.
    pub(crate) fn page(
        &self,
        client: &mut impl GenericClient,
        span: &Span,
        limit: PageLimit,
    ) -> Result<Vec<Item>, Error> {
        const DOING: &str = "reading rows";
        let rows = i64::try_from(limit.rows).unwrap_or(i64::MAX);
        let mut parameters = Parameters::new();
        for text in span.low.iter().chain(&span.high).flatten() {
            parameters.push(text);
        }
        parameters.push(&rows);
        let [none, low, high, both] = &self.pages;
        let statement = match (&span.low, &span.high) {
            (None, None) => none,
            (Some(_), None) => low,
            (None, Some(_)) => high,
            (Some(_), Some(_)) => both,
        };
        let mut rows = client.query_raw(statement, parameters).doing(DOING)?;
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        while bytes <= limit.bytes
            && let Some(row) = rows.next().doing(DOING)?
        {
            let item = self.item(&row)?;
            bytes = bytes.saturating_add(item.value.as_ref().map_or(0, Vec::len));
            items.push(item);
        }
        Ok(items)
    }

    /// Rows as they are now; those that are gone are not among them.
    pub(crate) fn again(
        &self,
        client: &mut impl GenericClient,
        keys: &[RowKey],
    ) -> Result<Vec<Item>, Error> {
        let columns = self.columns(keys.iter());
        let parameters = columns.iter().map(|column| column as &(dyn ToSql + Sync));
        let parameters: Parameters<'_> = parameters.collect();
        let rows = client.query(&self.again, &parameters).doing("reading rows again")?;
        rows.iter().map(|row| self.item(row)).collect()
    }

    /// Writes new values where the old ones still stand.
    pub(crate) fn update(
        &self,
        client: &mut impl GenericClient,
        writes: &[Write<'_>],
    ) -> Result<Written, Error> {
        const DOING: &str = "writing rows";
        let columns = self.columns(writes.iter().map(|write| write.key));
        let mut parameters: Parameters<'_> =
            columns.iter().map(|column| column as &(dyn ToSql + Sync)).collect();
        let (olds, news): (Vec<_>, Vec<_>) =
            writes.iter().map(|write| (write.old, write.new)).unzip();
        let texts = |values: &[&[u8]]| -> Vec<String> {
            values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
        };
        let (old_texts, new_texts) = match self.kind {
            Kind::Bytes => (Vec::new(), Vec::new()),
            Kind::Text => (texts(&olds), texts(&news)),
        };
        match self.kind {
            Kind::Bytes => parameters.extend([&olds as &(dyn ToSql + Sync), &news]),
            Kind::Text => parameters.extend([&old_texts as &(dyn ToSql + Sync), &new_texts]),
        }
        let row = client.query_one(&self.update, &parameters).doing(DOING)?;
        let numbers: Option<Vec<i32>> = row.try_get(0).doing(DOING)?;
        let stand: Option<bool> = row.try_get(1).doing(DOING)?;
        let mut done = vec![false; writes.len()];
        for number in numbers.unwrap_or_default() {
            let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
            if let Some(done) = at.and_then(|at| done.get_mut(at)) {
                *done = true;
            }
        }
        Ok(Written { done, stand: stand.unwrap_or(true) })
    }

    /// The key up to which the next so many rows after `low` reach; none where fewer are left.
    pub(crate) fn boundary(
        &self,
        client: &mut impl GenericClient,
        low: Option<&RowKey>,
        rows: usize,
    ) -> Result<Option<RowKey>, Error> {
        let offset = i64::try_from(rows.saturating_sub(1)).unwrap_or(i64::MAX);
        let mut parameters = Parameters::new();
        for text in low.into_iter().flatten() {
            parameters.push(text);
        }
        parameters.push(&offset);
        let [first, after] = &self.boundary;
        let statement = if low.is_some() { after } else { first };
        let row = client.query_opt(statement, &parameters).doing("sharing out ranges")?;
        row.map(|row| self.key(&row)).transpose()
    }

    fn key(&self, row: &Row) -> Result<RowKey, Error> {
        (0..self.width).map(|at| row.try_get(at).doing("reading rows")).collect()
    }

    fn item(&self, row: &Row) -> Result<Item, Error> {
        let value = value(row, self.width, self.kind).doing("reading rows")?;
        Ok(Item { key: self.key(row)?, value })
    }

    /// The columns of keys, each an array.
    fn columns<'a>(&self, keys: impl Iterator<Item = &'a RowKey>) -> Vec<Vec<&'a str>> {
        let mut columns = vec![Vec::new(); self.width];
        for key in keys {
            for (column, text) in columns.iter_mut().zip(key) {
                column.push(text.as_str());
            }
        }
        columns
    }
}
