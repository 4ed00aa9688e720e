//! Columns that hold what a key encrypted. The server looks at the first letters of a few rows and
//! counts; no value and no part of one is asked for.

use postgres::Transaction;

use super::{DatabaseError, DatabaseScan, ObjectSites, query};
use crate::finding::{Confidence, Does, Kind, Source};
use crate::site::{Site, Sites};
use crate::source::Position;

/// The most columns that are sampled.
const COLUMNS_MAX: usize = 2_000;
/// The rows of each that are looked at.
const ROWS: u32 = 20;

/// Columns of bytes or texts in tables, with how much is in the table.
const COLUMNS: &str = "\
    SELECT format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), a.atttypid = 17, \
           c.relpages \
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
    JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND a.attnum > 0 AND NOT a.attisdropped \
      AND a.atttypid IN (17, 25, 1043) AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
      AND n.nspname !~ '^pg_' AND has_column_privilege(c.oid, a.attnum, 'SELECT') \
    ORDER BY 1, 2 LIMIT 2001";

/// What the beginnings of ciphertext are, as conditions on `v` (of bytes, of text).
const FORMS: &[(&str, &str, &str)] = &[
    (
        "OpenPGP messages under a passphrase",
        "get_byte(v, 0) IN (195, 140) AND get_byte(v, 2) = 4",
        "v ~ '^(ww0E|jA0E|\\\\xc30d04|\\\\x8c0d04)' OR v LIKE '-----BEGIN PGP MESSAGE%'",
    ),
    (
        "OpenPGP messages for a public key",
        "get_byte(v, 0) IN (193, 132, 133) AND (get_byte(v, 2) = 3 OR get_byte(v, 3) = 3)",
        "v ~ '^(wcBM|hQEM|hQIM|wcFM|\\\\xc1c04c03)'",
    ),
    ("Fernet tokens", "substring(v FROM 1 FOR 6) = 'gAAAAA'::bytea", "v LIKE 'gAAAAA%'"),
    (
        "sealed values of Vault, age or OpenSSL",
        "substring(v FROM 1 FOR 8) = 'Salted__'::bytea",
        "v LIKE 'vault:v%' OR v LIKE '-----BEGIN AGE ENCRYPTED%' OR v LIKE 'U2FsdGVkX1%'",
    ),
];

/// Samples every column that may hold ciphertext.
pub(super) fn sample(
    transaction: &mut Transaction<'_>,
    scan: &mut DatabaseScan,
) -> Result<(), DatabaseError> {
    let rows = match query(transaction, COLUMNS)? {
        Ok(rows) => rows,
        Err(why) => {
            scan.notes.push(format!("columns could not be listed: {why}"));
            return Ok(());
        }
    };
    if rows.len() > COLUMNS_MAX {
        scan.notes.push(format!("only {COLUMNS_MAX} columns were sampled"));
    }
    for row in rows.iter().take(COLUMNS_MAX) {
        let (Ok(table), Ok(column), Ok(is_bytes), Ok(pages)) = (
            row.try_get::<_, String>(0),
            row.try_get::<_, String>(1),
            row.try_get::<_, bool>(2),
            row.try_get::<_, i32>(3),
        ) else {
            continue;
        };
        scan.columns += 1;
        match query(transaction, &counts(&table, &column, is_bytes, pages))? {
            Ok(rows) => {
                if let Some(row) = rows.first() {
                    judge(row, &table, &column, scan);
                }
            }
            Err(why) => scan.notes.push(format!("{table}.{column} could not be sampled: {why}")),
        }
    }
    Ok(())
}

/// The question how many of a few values begin as ciphertext of each form.
fn counts(table: &str, column: &str, is_bytes: bool, pages: i32) -> String {
    let forms = FORMS.iter().map(|(_, bytes, text)| {
        format!(", count(*) FILTER (WHERE {})", if is_bytes { bytes } else { text })
    });
    let forms: String = forms.collect();
    // Of a large table only some pages, lest a column without values be looked through in whole.
    let some = if pages > 10_000 {
        format!(" TABLESAMPLE SYSTEM ({})", 100_000.0 / f64::from(pages))
    } else {
        String::new()
    };
    format!(
        "SELECT count(*){forms} FROM (SELECT {column} AS v FROM {table}{some} \
         WHERE length({column}) >= 16 LIMIT {ROWS}) s"
    )
}

fn judge(row: &postgres::Row, table: &str, column: &str, scan: &mut DatabaseScan) {
    let count = |index: usize| row.try_get::<_, i64>(index).unwrap_or_default();
    let all = count(0);
    for (index, (form, ..)) in FORMS.iter().enumerate() {
        let some = count(index + 1);
        // One that happens to begin so among many others is chance.
        if some == 0 || some.saturating_mul(2) < all {
            continue;
        }
        let mut site = Site::new(Kind::Sql, "sql/ciphertext", Position { line: 1, column: 1 });
        site.name = Some(column.trim_matches('"').to_owned());
        site.does = Some(Does::EncryptsAndDecrypts);
        site.source = Source::Unknown;
        site.confidence = Confidence::Medium;
        site.reason = format!(
            "{some} of {all} sampled values begin as {form}: what is stored needs the old key \
             until it is encrypted anew"
        )
        .into();
        site.remedy =
            Some("keep the old key for decryption until the column is encrypted anew".into());
        let path = format!("postgresql:{table}.{column}").into();
        let sites = Sites { found: vec![site], ..Sites::default() };
        scan.objects.push(ObjectSites { path, sites });
    }
}
