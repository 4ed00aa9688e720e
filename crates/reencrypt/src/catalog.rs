//! What the catalog says of a table: its leaves, and by which columns rows are named.

use postgres::Client;

use crate::error::{Doing as _, Error};
use crate::target::Target;

/// What a column's values are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `bytea`.
    Bytes,
    /// Any kind of text.
    Text,
}

/// A column that names rows.
#[derive(Clone, Debug)]
pub(crate) struct KeyColumn {
    /// Its name, quoted where needed.
    pub(crate) name: String,
    /// Its type, as SQL casts to it.
    pub(crate) type_name: String,
}

/// A table that holds rows itself.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) oid: u32,
    /// Its schema and name, quoted where needed.
    pub(crate) name: String,
    /// The column, quoted where needed.
    pub(crate) column: String,
    pub(crate) kind: Kind,
    /// What names a row; empty where only its place does.
    pub(crate) keys: Vec<KeyColumn>,
    /// How many pages it has.
    pub(crate) pages: u32,
    /// How many rows it is thought to have.
    pub(crate) rows: u64,
}

impl Leaf {
    /// Whether rows are named by their place, which an update changes.
    pub(crate) fn is_by_place(&self) -> bool {
        self.keys.is_empty()
    }
}

/// A table with all that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) oid: u32,
    pub(crate) name: String,
    pub(crate) leaves: Vec<Leaf>,
    /// The schemas of the types of keys, quoted where needed: their operators live there.
    pub(crate) schemas: Vec<String>,
}

const ROOT: &str = "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), \
    c.relkind::text, pg_catalog.current_setting('server_version_num')::int4 \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.oid = pg_catalog.to_regclass($1::text)";

/// What lets the role find a table by its name.
const SCHEMA_GRANT: &str = "SELECT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I;', \
    (pg_catalog.parse_ident($1::text))[1], current_user)";

const LEAVES: &str = "WITH RECURSIVE tree(oid) AS ( \
        SELECT $1::oid UNION \
        SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid), \
    base(start, oid, typtype, typbasetype, typcategory) AS ( \
        SELECT oid, oid, typtype, typbasetype, typcategory FROM pg_catalog.pg_type \
        WHERE oid IN (SELECT atttypid FROM pg_catalog.pg_attribute JOIN tree ON attrelid = tree.oid \
                      WHERE attname = $2::text) \
        UNION ALL SELECT b.start, t.oid, t.typtype, t.typbasetype, t.typcategory \
        FROM pg_catalog.pg_type t JOIN base b ON b.typtype = 'd' AND t.oid = b.typbasetype) \
    SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind::text, \
        pg_catalog.quote_ident($2::text), b.oid = 'pg_catalog.bytea'::regtype, \
        b.typcategory = 'S', a.attgenerated <> '', \
        (CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END \
            / pg_catalog.current_setting('block_size')::int8)::int8, \
        GREATEST(c.reltuples::int8, s.n_live_tup, 0) \
    FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_attribute a \
        ON a.attrelid = c.oid AND a.attname = $2::text AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN base b ON b.start = a.atttypid AND b.typtype <> 'd' \
    LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid \
    ORDER BY c.oid";

/// The columns of the primary key, or else of an index that is as good.
const KEYS: &str = "SELECT pg_catalog.quote_ident(a.attname), \
        pg_catalog.format_type(a.atttypid, -1), pg_catalog.quote_ident(n.nspname) \
    FROM (SELECT i.* FROM pg_catalog.pg_index i \
        JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
        JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree' \
        WHERE i.indrelid = $1::oid AND i.indisunique AND i.indisvalid AND i.indisready \
        AND i.indpred IS NULL AND i.indexprs IS NULL \
        AND (SELECT pg_catalog.bool_and(a.attnotnull AND a.attname <> $2::text AND o.opcdefault) \
             FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) k \
             JOIN pg_catalog.pg_attribute a \
                ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k] \
             JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[k]) \
        ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) i \
    CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) k \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k] \
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
    ORDER BY k";

/// Reads a table and all its leaves.
pub(crate) fn read(client: &mut Client, target: &Target) -> Result<Table, Error> {
    const DOING: &str = "reading the catalog";
    let refuse = |why: &str, remedy: &str| Error::Target {
        table: target.table.as_str().to_owned(),
        why: why.to_owned(),
        remedy: remedy.to_owned(),
    };
    let root = match client.query_opt(ROOT, &[&target.table.as_str()]).doing(DOING) {
        Err(error) if error.sqlstate() == "42501" => {
            let grant = client.query_one(SCHEMA_GRANT, &[&target.table.as_str()]).doing(DOING)?;
            let grant: String = grant.try_get(0).doing(DOING)?;
            return Err(refuse("the role may not look into its schema", &grant));
        }
        root => root?,
    };
    let Some(root) = root else {
        return Err(refuse("there is no such table", "name it with its schema, as in SQL"));
    };
    let kind: String = root.try_get(2).doing(DOING)?;
    if kind != "r" && kind != "p" {
        return Err(refuse("it is no table", "name the table that holds the rows"));
    }
    let version: i32 = root.try_get(3).doing(DOING)?;
    let mut table = Table {
        oid: root.try_get(0).doing(DOING)?,
        name: root.try_get(1).doing(DOING)?,
        leaves: Vec::new(),
        schemas: Vec::new(),
    };
    let column = target.column.as_str();
    for row in client.query(LEAVES, &[&table.oid, &column]).doing(DOING)? {
        let kind: String = row.try_get(2).doing(DOING)?;
        if kind == "p" {
            continue;
        }
        let mut leaf = leaf(&row, target)?;
        if kind != "r" {
            return Err(Error::Target {
                table: leaf.name,
                why: "it is a foreign table".to_owned(),
                remedy: "move it where it lives, and detach it here meanwhile".to_owned(),
            });
        }
        for row in client.query(KEYS, &[&leaf.oid, &column]).doing(DOING)? {
            leaf.keys.push(KeyColumn {
                name: row.try_get(0).doing(DOING)?,
                type_name: row.try_get(1).doing(DOING)?,
            });
            let schema: String = row.try_get(2).doing(DOING)?;
            if schema != "pg_catalog" && !table.schemas.contains(&schema) {
                table.schemas.push(schema);
            }
        }
        if leaf.is_by_place() && version < 140_000 {
            return Err(Error::Target {
                table: leaf.name,
                why: "it has no primary key, and the server is older than version 14".to_owned(),
                remedy: "add a primary key or a unique index over NOT NULL columns".to_owned(),
            });
        }
        table.leaves.push(leaf);
    }
    Ok(table)
}

fn leaf(row: &postgres::Row, target: &Target) -> Result<Leaf, Error> {
    const DOING: &str = "reading the catalog";
    let name: String = row.try_get(1).doing(DOING)?;
    let refuse = |why: &str, remedy: &str| Error::Target {
        table: name.clone(),
        why: format!("column {}: {why}", target.column),
        remedy: remedy.to_owned(),
    };
    let is_bytes: Option<bool> = row.try_get(4).doing(DOING)?;
    let is_text: Option<bool> = row.try_get(5).doing(DOING)?;
    let kind = match (is_bytes, is_text) {
        (Some(true), _) => Kind::Bytes,
        (_, Some(true)) => Kind::Text,
        (None, _) => return Err(refuse("there is none", "name it without quotes")),
        _ => return Err(refuse("it holds neither bytea nor text", "name the one that does")),
    };
    if row.try_get::<_, Option<bool>>(6).doing(DOING)? == Some(true) {
        return Err(refuse("it is generated", "move the column that it is computed from"));
    }
    let pages: i64 = row.try_get(7).doing(DOING)?;
    let rows: Option<i64> = row.try_get(8).doing(DOING)?;
    Ok(Leaf {
        oid: row.try_get(0).doing(DOING)?,
        column: row.try_get(3).doing(DOING)?,
        kind,
        keys: Vec::new(),
        pages: u32::try_from(pages).unwrap_or(u32::MAX),
        rows: rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0),
        name,
    })
}
