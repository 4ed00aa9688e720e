//! What stands in the way of a move: triggers, rules, policies, publications, missing rights.

use postgres::Client;

use crate::catalog::Table;
use crate::error::{Doing as _, Error};
use crate::settings::Triggers;
use crate::target::Target;

/// Something that stands in the way, or that one should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obstacle {
    /// The table.
    pub table: String,
    /// What it is.
    pub why: String,
    /// What to do.
    pub remedy: String,
    /// Whether the move is refused because of it.
    pub refuses: bool,
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Self {
        Self::Target { table: obstacle.table, why: obstacle.why, remedy: obstacle.remedy }
    }
}

/// Triggers of users that fire when the column is updated.
const TRIGGERS: &str = "SELECT t.tgname::text FROM pg_catalog.pg_trigger t \
    WHERE t.tgrelid = $1::oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') \
    AND (t.tgtype & 16) <> 0 AND (t.tgtype & 1) <> 0 AND (pg_catalog.cardinality(t.tgattr::int2[]) = 0 \
        OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.tgrelid \
            AND a.attname = $2::text AND a.attnum = ANY (t.tgattr::int2[]))) ORDER BY 1";

/// Triggers per statement fire as well, once per batch.
const STATEMENT_TRIGGERS: &str = "SELECT t.tgname::text FROM pg_catalog.pg_trigger t \
    WHERE t.tgrelid = $1::oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') \
    AND (t.tgtype & 16) <> 0 AND (t.tgtype & 1) = 0 AND (pg_catalog.cardinality(t.tgattr::int2[]) = 0 \
        OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.tgrelid \
            AND a.attname = $2::text AND a.attnum = ANY (t.tgattr::int2[]))) ORDER BY 1";

const RULES: &str = "SELECT rulename::text FROM pg_catalog.pg_rewrite \
    WHERE ev_class = $1::oid AND ev_type = '2' AND ev_enabled <> 'D' ORDER BY 1";

const FACTS: &str = "SELECT \
    c.relrowsecurity AND NOT ( \
        (SELECT r.rolsuper OR r.rolbypassrls FROM pg_catalog.pg_roles r \
         WHERE r.rolname = current_user) \
        OR (pg_catalog.pg_has_role(c.relowner, 'USAGE') AND NOT c.relforcerowsecurity)), \
    (c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS ( \
        SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))) \
    AND (EXISTS (SELECT FROM pg_catalog.pg_publication p WHERE p.puballtables AND p.pubupdate) \
        OR EXISTS (SELECT FROM pg_catalog.pg_publication_tables t \
            JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname \
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
            WHERE t.schemaname = n.nspname AND t.tablename = c.relname AND p.pubupdate)), \
    EXISTS (SELECT FROM pg_catalog.pg_publication_tables t \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE t.schemaname = n.nspname AND t.tablename = c.relname), \
    EXISTS (SELECT FROM pg_catalog.pg_partitioned_table p \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid \
        WHERE p.partrelid = $3::oid AND a.attname = $2::text \
        AND a.attnum = ANY (p.partattrs::int2[])), \
    EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
        ON a.attrelid = i.indrelid AND a.attname = $2::text \
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey::int2[])), \
    c.relpersistence = 'u' \
    FROM pg_catalog.pg_class c WHERE c.oid = $1::oid";

/// Rights on a leaf: the whole table, or its columns.
const RIGHTS: &str = "SELECT pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE'), \
    pg_catalog.has_column_privilege(c.oid, $2::text, 'UPDATE'), \
    pg_catalog.has_column_privilege(c.oid, $2::text, 'SELECT'), \
    (SELECT pg_catalog.array_agg(pg_catalog.quote_ident(a.attname)) \
     FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
     AND pg_catalog.quote_ident(a.attname) = ANY ($3::text[]) \
     AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')), \
    pg_catalog.quote_ident(current_user), pg_catalog.quote_ident(n.nspname), \
    pg_catalog.has_table_privilege(c.oid, 'SELECT') \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.oid = $1::oid";

const DOING: &str = "reading the catalog";

/// Looks for all that stands in the way.
pub(crate) fn find(
    client: &mut Client,
    table: &Table,
    target: &Target,
    triggers: Triggers,
) -> Result<Vec<Obstacle>, Error> {
    let mut found = Vec::new();
    let column = target.column.as_str();
    for leaf in &table.leaves {
        let mut add = |refuses: bool, why: String, remedy: &str| {
            found.push(Obstacle {
                table: leaf.name.clone(),
                why,
                remedy: remedy.to_owned(),
                refuses,
            });
        };
        for (sql, per) in [(TRIGGERS, "row"), (STATEMENT_TRIGGERS, "batch")] {
            for row in client.query(sql, &[&leaf.oid, &column]).doing(DOING)? {
                let name: String = row.try_get(0).doing(DOING)?;
                add(
                    triggers == Triggers::Refuse,
                    format!("trigger {name} fires once per {per} when the column is updated"),
                    "see what it does; let it fire (triggers = fire), or disable it meanwhile",
                );
            }
        }
        for row in client.query(RULES, &[&leaf.oid]).doing(DOING)? {
            let name: String = row.try_get(0).doing(DOING)?;
            add(true, format!("rule {name} rewrites updates"), "drop the rule meanwhile");
        }
        let facts = client.query_one(FACTS, &[&leaf.oid, &column, &table.oid]).doing(DOING)?;
        let fact = |at: usize| -> Result<bool, Error> {
            Ok(facts.try_get::<_, Option<bool>>(at).doing(DOING)?.unwrap_or(false))
        };
        if fact(0)? {
            add(
                true,
                "row security may hide rows from this role".to_owned(),
                "give the role BYPASSRLS for the time of the move: ALTER ROLE … BYPASSRLS",
            );
        }
        if fact(1)? {
            add(
                true,
                "it is published and has no replica identity, so it takes no updates".to_owned(),
                "add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL (or USING INDEX)",
            );
        }
        if fact(2)? {
            add(
                false,
                "it is published: subscribers get every moved row".to_owned(),
                "see that subscribers keep up, and that their readers have the new key",
            );
        }
        if fact(3)? || fact(4)? {
            add(
                true,
                "the column is part of the primary or partition key".to_owned(),
                "move such a column by hand: its new values name the row anew",
            );
        }
        rights(client, leaf, column, &mut found)?;
    }
    schema_rights(client, table, &mut found)?;
    Ok(found)
}

/// The rights that are missing on a leaf, as statements.
fn rights(
    client: &mut Client,
    leaf: &crate::catalog::Leaf,
    column: &str,
    found: &mut Vec<Obstacle>,
) -> Result<(), Error> {
    let keys: Vec<&str> = leaf.keys.iter().map(|key| key.name.as_str()).collect();
    let row = client.query_one(RIGHTS, &[&leaf.oid, &column, &keys]).doing(DOING)?;
    let has = |at: usize| -> Result<bool, Error> {
        Ok(row.try_get::<_, Option<bool>>(at).doing(DOING)?.unwrap_or(false))
    };
    let role: String = row.try_get(4).doing(DOING)?;
    let schema: String = row.try_get(5).doing(DOING)?;
    let mut grants = Vec::new();
    if !has(0)? {
        grants.push(format!("GRANT USAGE ON SCHEMA {schema} TO {role};"));
    }
    let mut reads: Vec<String> =
        row.try_get::<_, Option<Vec<String>>>(3).doing(DOING)?.unwrap_or_default();
    if !has(2)? {
        reads.push(leaf.column.clone());
    }
    if leaf.is_by_place() && !has(6)? {
        // The place of a row is readable to who may read the whole table only.
        grants.push(format!("GRANT SELECT ON {} TO {role};", leaf.name));
    } else if !reads.is_empty() {
        grants.push(format!("GRANT SELECT ({}) ON {} TO {role};", reads.join(", "), leaf.name));
    }
    if !has(1)? {
        grants.push(format!("GRANT UPDATE ({}) ON {} TO {role};", leaf.column, leaf.name));
    }
    if !grants.is_empty() {
        found.push(Obstacle {
            table: leaf.name.clone(),
            why: "the role lacks rights".to_owned(),
            remedy: grants.join(" "),
            refuses: true,
        });
    }
    Ok(())
}

/// Whether the mover can keep its own tables.
fn schema_rights(
    client: &mut Client,
    table: &Table,
    found: &mut Vec<Obstacle>,
) -> Result<(), Error> {
    const SQL: &str = "SELECT pg_catalog.to_regnamespace('keywheel') IS NULL \
            AND NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
        EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = 'keywheel' \
            AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
                AND (pg_catalog.has_schema_privilege(n.oid, 'CREATE') OR EXISTS ( \
                    SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid \
                    AND c.relname = 'reencrypt_job' \
                    AND pg_catalog.has_table_privilege(c.oid, 'INSERT'))))), \
        pg_catalog.quote_ident(current_user)";
    let row = client.query_one(SQL, &[]).doing(DOING)?;
    let lacks =
        row.try_get::<_, bool>(0).doing(DOING)? || row.try_get::<_, bool>(1).doing(DOING)?;
    if lacks {
        let role: String = row.try_get(2).doing(DOING)?;
        found.push(Obstacle {
            table: table.name.clone(),
            why: "the role cannot make the tables of the mover".to_owned(),
            remedy: format!("CREATE SCHEMA keywheel AUTHORIZATION {role};"),
            refuses: true,
        });
    }
    Ok(())
}
