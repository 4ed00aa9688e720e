//! The questions for definitions, and for the names of settings.

use postgres::Transaction;

use super::{DatabaseError, DatabaseScan, ObjectSites, query};
use crate::finding::{Confidence, Kind, Source};
use crate::names;
use crate::site::{Link, Site, Sites};
use crate::source::Position;
use crate::sql::Within;

/// A question for the names and definitions of objects.
pub(super) struct Question {
    /// What it asks for.
    pub(super) about: &'static str,
    /// The question: a name, and a definition.
    pub(super) sql: &'static str,
    /// Whether all of a definition is SQL.
    pub(super) within: Within,
}

const fn question(about: &'static str, sql: &'static str) -> Question {
    Question { about, sql, within: Within::Sql }
}

/// What is the server's own is left out, and what belongs to an extension.
pub(super) const QUESTIONS: &[Question] = &[
    question(
        "functions",
        "SELECT format('%I.%I(%s)', n.nspname, p.proname, \
                pg_get_function_identity_arguments(p.oid)), pg_get_functiondef(p.oid) \
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind IN ('f', 'p') \
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid \
                           AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e') \
         ORDER BY 1 LIMIT 20001",
    ),
    question(
        "views",
        "SELECT format('%I.%I', n.nspname, c.relname), pg_get_viewdef(c.oid) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind IN ('v', 'm') \
         ORDER BY 1 LIMIT 20001",
    ),
    question(
        "triggers",
        "SELECT format('%s (trigger %I)', t.tgrelid::regclass, t.tgname), pg_get_triggerdef(t.oid) \
         FROM pg_trigger t WHERE NOT t.tgisinternal ORDER BY 1 LIMIT 20001",
    ),
    question(
        "defaults",
        "SELECT format('%s.%I (default)', d.adrelid::regclass, a.attname), \
                'SELECT ' || pg_get_expr(d.adbin, d.adrelid) \
         FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
         ORDER BY 1 LIMIT 20001",
    ),
    question(
        "policies",
        "SELECT format('%s (policy %I)', p.polrelid::regclass, p.polname), \
                'SELECT ' || coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') || \
                E';\\nSELECT ' || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') \
         FROM pg_policy p ORDER BY 1 LIMIT 20001",
    ),
    question(
        "constraints",
        "SELECT format('%s (check %I)', \
                       coalesce(nullif(c.conrelid, 0)::regclass::text, c.contypid::regtype::text), \
                       c.conname), pg_get_constraintdef(c.oid) \
         FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace \
         WHERE c.contype = 'c' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         ORDER BY 1 LIMIT 20001",
    ),
    question(
        "indexes",
        "SELECT format('%s (index)', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid) \
         FROM pg_index i WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL \
         ORDER BY 1 LIMIT 20001",
    ),
    question(
        "rules",
        "SELECT format('%s (rule %I)', r.ev_class::regclass, r.rulename), pg_get_ruledef(r.oid) \
         FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE r.rulename <> '_RETURN' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
         ORDER BY 1 LIMIT 20001",
    ),
    Question {
        about: "comments",
        sql: "SELECT format('%s (comment)', pg_describe_object(d.classoid, d.objoid, d.objsubid)), \
                     d.description \
              FROM pg_description d WHERE d.objoid >= 16384 AND d.description ~* 'crypt' \
              ORDER BY 1 LIMIT 20001",
        within: Within::Code,
    },
];

/// Asks for the jobs of `pg_cron` where it is installed, and for the names of settings and options.
pub(super) fn settings(
    transaction: &mut Transaction<'_>,
    scan: &mut DatabaseScan,
) -> Result<(), DatabaseError> {
    jobs(transaction, scan)?;
    for (about, sql) in NAMES {
        match query(transaction, sql)? {
            Ok(rows) => rows.iter().for_each(|row| named(row, scan)),
            Err(why) => scan.notes.push(format!("{about} could not be read: {why}")),
        }
    }
    Ok(())
}

/// Reads the jobs of `pg_cron`, which shows each role its own alone.
fn jobs(transaction: &mut Transaction<'_>, scan: &mut DatabaseScan) -> Result<(), DatabaseError> {
    let about = "jobs of pg_cron";
    let are_there = "SELECT row_security_active(c.oid) FROM pg_class c \
                     JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE n.nspname = 'cron' AND c.relname = 'job'";
    let rows = match query(transaction, are_there)? {
        Ok(rows) => rows,
        Err(why) => {
            scan.notes.push(format!("{about} could not be read: {why}"));
            return Ok(());
        }
    };
    let Some(row) = rows.first() else { return Ok(()) };
    if row.try_get(0).unwrap_or(true) {
        scan.notes.push(format!("{about} that belong to other roles are not shown to this one"));
    }
    let jobs = question(
        about,
        "SELECT format('cron.job %s', jobid), command FROM cron.job ORDER BY jobid LIMIT 20001",
    );
    super::ask(transaction, &jobs, scan)
}

/// Questions for where a setting stands and what it is called. Values are not asked for.
const NAMES: &[(&str, &str)] = &[
    (
        "settings of databases and roles",
        "SELECT format('database %s, role %s', coalesce(d.datname, '*'), \
                       coalesce(r.rolname, '*')), split_part(given, '=', 1) \
         FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase \
         LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS given \
         ORDER BY 1, 2 LIMIT 20000",
    ),
    (
        "settings of functions",
        "SELECT p.oid::regprocedure::text, split_part(given, '=', 1) \
         FROM pg_proc p, unnest(p.proconfig) AS given ORDER BY 1, 2 LIMIT 20000",
    ),
    (
        "settings of the server",
        "SELECT 'postgresql.conf', name FROM pg_settings \
         WHERE name LIKE '%.%' AND source IN ('configuration file', 'command line') ORDER BY 2 \
         LIMIT 20000",
    ),
    (
        "options of foreign servers",
        "SELECT format('server %I', s.srvname), split_part(given, '=', 1) \
         FROM pg_foreign_server s, unnest(s.srvoptions) AS given ORDER BY 1, 2 LIMIT 20000",
    ),
    (
        "options of foreign tables",
        "SELECT format('foreign table %s', t.ftrelid::regclass), split_part(given, '=', 1) \
         FROM pg_foreign_table t, unnest(t.ftoptions) AS given ORDER BY 1, 2 LIMIT 20000",
    ),
    (
        "options of user mappings",
        "SELECT format('user mapping %s on %I', m.usename, m.srvname), split_part(given, '=', 1) \
         FROM pg_user_mappings m, unnest(m.umoptions) AS given ORDER BY 1, 2 LIMIT 20000",
    ),
];

/// A setting or option that is named as a secret.
fn named(row: &postgres::Row, scan: &mut DatabaseScan) {
    let (Ok(place), Ok(name)) = (row.try_get::<_, String>(0), row.try_get::<_, String>(1)) else {
        return;
    };
    let Some(class) = names::judge(&name) else { return };
    let mut site = Site::new(Kind::Sql, "sql/setting", Position { line: 1, column: 1 });
    site.links = vec![Link::Setting(name.clone())];
    site.name = Some(name);
    site.class = class;
    site.source = Source::Database;
    site.confidence = Confidence::High;
    site.reason =
        "the database keeps the key as a setting, which a connection takes when it begins".into();
    site.remedy = Some("hand the key to statements as a bound argument instead".into());
    let sites = Sites { found: vec![site], ..Sites::default() };
    scan.objects.push(ObjectSites { path: format!("postgresql:{place}").into(), sites });
}
