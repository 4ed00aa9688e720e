//! A real PostgreSQL, started here on a socket in a temporary folder: what its definitions and
//! columns say of keys is found, nothing is written, and no value leaves the server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails by panicking"
)]

#[path = "../../postgres/tests/support/server.rs"]
mod server;

use std::fmt::Write as _;
use std::path::Path;

use keywheel_postgres::{Address, Environment};
use keywheel_scan::database::{DatabaseError, DatabaseScan};
use keywheel_scan::finding::{Class, Source};
use keywheel_scan::site::Site;
use postgres::Client;

use server::Server;

/// Scans the database of a URL.
fn scan(url: &str) -> Result<DatabaseScan, DatabaseError> {
    let address = Address::parse(url, &Environment::default(), false)?;
    keywheel_scan::database::scan(&address)
}

/// Where the database is for a user, whose password nobody should read.
fn url(server: &Server, user: &str) -> String {
    server.url_of(&format!("{user}:url-password"), "postgres")
}

/// Every kind of object, each with a key in one of the ways in which one can be there. The
/// functions of pgcrypto are stood in for, so that its package is not needed.
const SCHEMA: &str = r"
CREATE SCHEMA crypto;
CREATE FUNCTION crypto.pgp_sym_encrypt(text, text) RETURNS bytea IMMUTABLE LANGUAGE sql
    AS $$ SELECT convert_to($1, 'UTF8') $$;
CREATE FUNCTION crypto.pgp_sym_decrypt(bytea, text) RETURNS text IMMUTABLE LANGUAGE sql
    AS $$ SELECT convert_from($1, 'UTF8') $$;
CREATE FUNCTION crypto.hmac(text, text, text) RETURNS bytea IMMUTABLE LANGUAGE sql
    AS $$ SELECT convert_to($1, 'UTF8') $$;

CREATE TABLE people (
    id int PRIMARY KEY,
    name text,
    sealed bytea DEFAULT crypto.pgp_sym_encrypt('', 'planted-default'),
    mark bytea GENERATED ALWAYS AS (crypto.hmac(name, 'planted-generated', 'sha256')) STORED,
    note text,
    armored text,
    photo bytea,
    CONSTRAINT sound CHECK (crypto.hmac(name, 'planted-check', 'sha256') IS NOT NULL)
);
CREATE FUNCTION seal_literal(a text) RETURNS bytea LANGUAGE plpgsql AS $f$
BEGIN
    RETURN crypto.pgp_sym_encrypt(a, 'planted-literal');
END $f$;
CREATE FUNCTION seal_setting(a text) RETURNS bytea LANGUAGE sql AS $f$
    SELECT crypto.pgp_sym_encrypt(a, current_setting('app.data_key'));
$f$;
CREATE PROCEDURE seal_argument(a text, data_key text) LANGUAGE plpgsql AS $f$
BEGIN
    PERFORM crypto.pgp_sym_encrypt(a, data_key);
END $f$;
CREATE FUNCTION seal_standard(a text) RETURNS bytea LANGUAGE sql
    RETURN crypto.pgp_sym_encrypt(a, 'planted-standard');
CREATE FUNCTION harmless(a text) RETURNS text LANGUAGE sql AS $f$ SELECT upper(a) $f$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RETURN NEW; END $f$;
CREATE VIEW open_people AS
    SELECT id, crypto.pgp_sym_decrypt(sealed, 'planted-view') AS name FROM people;
CREATE MATERIALIZED VIEW kept_people AS
    SELECT id, crypto.pgp_sym_decrypt(sealed, current_setting('app.data_key', true)) AS name
    FROM people WITH NO DATA;
CREATE TRIGGER watch AFTER UPDATE ON people FOR EACH ROW
    WHEN (NEW.mark = crypto.hmac(NEW.name, 'planted-trigger', 'sha256')) EXECUTE FUNCTION touch();
CREATE INDEX by_name ON people (crypto.hmac(name, 'planted-index', 'sha256'));
CREATE POLICY own ON people USING (crypto.pgp_sym_decrypt(sealed, 'planted-policy') = 'a');
CREATE RULE twice AS ON DELETE TO people
    DO ALSO SELECT crypto.pgp_sym_encrypt('a', 'planted-rule');
COMMENT ON TABLE people IS 'SELECT crypto.pgp_sym_decrypt(sealed, ''planted-comment'') FROM people';
ALTER DATABASE postgres SET app.jwt_secret TO 'planted-setting';
ALTER DATABASE postgres SET work_mem TO '4MB';
ALTER FUNCTION harmless(text) SET app.signing_key TO 'planted-function-setting';

INSERT INTO people (id, name, sealed, note, armored, photo)
    SELECT n, 'a', '\xc30d04070302'::bytea || decode(repeat('5a', 40), 'hex'),
           'a note that is long enough',
           'ww0EBwMC' || repeat('YWJj', 10), decode(repeat('89504e47', 10), 'hex')
    FROM generate_series(1, 30) n;
CREATE ROLE auditor LOGIN;
GRANT pg_read_all_data TO auditor;
CREATE ROLE stranger LOGIN;
";

/// The sites of the objects whose path has this in it.
fn of<'s>(scan: &'s DatabaseScan, part: &str) -> Vec<&'s Site> {
    let objects = scan.objects.iter();
    let objects = objects.filter(|object| object.path.to_string_lossy().contains(part));
    objects.flat_map(|object| &object.sites.found).collect()
}

fn changes(client: &mut Client) -> i64 {
    let sql = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint \
               FROM pg_stat_user_tables";
    client.query_one(sql, &[]).unwrap().get(0)
}

fn only_ciphertext_is_called_so(found: &DatabaseScan) {
    for (column, holds) in [
        ("people.sealed", true),
        ("people.armored", true),
        ("people.photo", false),
        ("people.note", false),
    ] {
        let sites = of(found, &format!("postgresql:public.{column}"));
        let some = sites.iter().any(|site| site.rule == "sql/ciphertext");
        assert_eq!(some, holds, "{column}");
    }
}

/// Whatever was planted is nowhere in what can be shown.
fn nothing_planted_is_shown(found: &DatabaseScan) {
    let mut shown = found.notes.join("\n");
    for object in &found.objects {
        shown += &object.path.to_string_lossy();
        for site in &object.sites.found {
            let Site { rule, name, reason, remedy, .. } = site;
            write!(shown, "{rule} {name:?} {reason} {remedy:?}").unwrap();
        }
    }
    for planted in ["planted", "url-password", "ww0E", "c30d0407"] {
        assert!(!shown.contains(planted), "{planted} leaves the server");
    }
}

#[test]
fn every_kind_of_object_is_read_and_nothing_leaves_or_changes() {
    let mut server = Server::start(false);
    let mut client = server.connect();
    client.batch_execute(SCHEMA).unwrap();
    client.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
    let before = changes(&mut client);

    let found = scan(&url(&server, "auditor")).unwrap();
    assert_eq!(found.notes, [""; 0]);
    for (object, source) in [
        ("public.seal_literal(", Source::Literal),
        ("public.seal_setting(", Source::Database),
        ("public.seal_argument(", Source::Argument),
        ("public.seal_standard(", Source::Literal),
        ("public.open_people", Source::Literal),
        ("public.kept_people", Source::Database),
        ("(trigger watch)", Source::Literal),
        ("people.sealed (default)", Source::Literal),
        ("people.mark (default)", Source::Literal),
        ("(policy own)", Source::Literal),
        ("(check sound)", Source::Literal),
        ("by_name (index)", Source::Literal),
        ("(rule twice)", Source::Literal),
        ("(comment)", Source::Literal),
        ("database postgres, role *", Source::Database),
    ] {
        let sites = of(&found, object);
        assert!(
            sites.iter().any(|site| site.source == source && site.class == Class::Key),
            "{object}: {} sites, {:?}",
            sites.len(),
            found.objects.iter().map(|object| &object.path).collect::<Vec<_>>()
        );
        let is_setting = object.starts_with("database");
        let marks = sites.iter().any(|site| site.literal.is_some());
        assert_eq!(marks, source == Source::Literal && !is_setting, "{object}");
    }
    let literal = of(&found, "public.seal_literal(");
    assert_eq!(literal.first().unwrap().at.line, 6, "the line within the definition");
    let settings = of(&found, "harmless");
    assert_eq!(settings.first().unwrap().name.as_deref(), Some("app.signing_key"));
    assert!(of(&found, "public.touch").is_empty());
    assert!(of(&found, "work_mem").is_empty());

    only_ciphertext_is_called_so(&found);
    nothing_planted_is_shown(&found);
    client.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
    assert_eq!(changes(&mut client), before, "the scan writes nothing");

    // Who may see little gets little, not an error.
    let little = scan(&url(&server, "stranger")).unwrap();
    assert!(of(&little, "public.seal_literal(").len() == 1);
    assert!(
        of(&little, "postgresql:public.people.sealed")
            .iter()
            .all(|site| site.rule != "sql/ciphertext")
    );
}

/// Jobs of the real extension, whose worker has to be there before it can be made.
const JOBS: &str = r"
CREATE EXTENSION pg_cron;
SELECT cron.schedule('reseal', '0 0 1 1 *',
    $$UPDATE people SET sealed = pgp_sym_encrypt(name, 'planted-job')$$);
SELECT cron.schedule('sweep', '0 0 1 1 *', 'DELETE FROM sessions');
CREATE ROLE auditor LOGIN;
GRANT pg_read_all_data TO auditor;
CREATE ROLE stranger LOGIN;
";

#[test]
fn jobs_of_pg_cron_are_read() {
    // Not every release of Debian has the package for its PostgreSQL.
    let version = server::programs().parent().and_then(Path::file_name).unwrap().to_owned();
    let extension = Path::new("/usr/share/postgresql").join(version).join("extension");
    if !extension.join("pg_cron.control").exists() {
        return;
    }
    let library = ["shared_preload_libraries=pg_cron", "cron.database_name=postgres"];
    let mut server = Server::start_with(false, |_| library.map(str::to_owned).to_vec());
    let mut client = server.connect();
    client.batch_execute(JOBS).unwrap();
    let found = scan(&url(&server, "owner")).unwrap();
    assert_eq!(found.notes, [""; 0]);
    let jobs = of(&found, "cron.job");
    let [job] = jobs.as_slice() else { panic!("{} sites", jobs.len()) };
    assert_eq!((job.source, job.class), (Source::Literal, Class::Key));
    nothing_planted_is_shown(&found);

    // pg_cron shows a role its own jobs alone, so that what is not seen has to be said.
    let little = scan(&url(&server, "auditor")).unwrap();
    assert!(of(&little, "cron.job").is_empty());
    assert_eq!(
        little.notes,
        ["jobs of pg_cron that belong to other roles are not shown to this one"]
    );
}

/// Servers of the real extensions, and of a wrapper that takes any option.
const FOREIGN: &str = r"
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
CREATE SERVER archive FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'planted-host');
CREATE USER MAPPING FOR owner SERVER archive OPTIONS (user 'a', password 'planted-mapping');
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE people (line text) SERVER files
    OPTIONS (program 'curl -H X-Api-Key:planted-program http://localhost');
CREATE FOREIGN DATA WRAPPER store;
CREATE SERVER vault FOREIGN DATA WRAPPER store OPTIONS (encryption_key 'planted-server');
CREATE USER MAPPING FOR PUBLIC SERVER vault OPTIONS (signing_key 'planted-public');
CREATE FOREIGN TABLE sealed (line text) SERVER vault OPTIONS (secret_key 'planted-table');
";

#[test]
fn options_of_foreign_servers_are_named_and_never_shown() {
    let mut server = Server::start(false);
    let mut client = server.connect();
    client.batch_execute(FOREIGN).expect("apt-get install postgresql-contrib");
    let found = scan(&url(&server, "owner")).unwrap();
    assert_eq!(found.notes, [""; 0]);
    let named = |object: &str| -> Vec<_> {
        let sites = of(&found, object).into_iter();
        sites.map(|site| (site.name.as_deref().unwrap_or_default(), site.class)).collect()
    };
    assert_eq!(named(":server vault"), [("encryption_key", Class::Key)]);
    assert_eq!(named(":user mapping public on vault"), [("signing_key", Class::Key)]);
    assert_eq!(named(":user mapping owner on archive"), [("password", Class::Password)]);
    assert_eq!(named(":foreign table public.sealed"), [("secret_key", Class::Key)]);
    assert!(
        named(":server archive").is_empty() && named(":foreign table public.people").is_empty()
    );
    assert!(
        found.objects.iter().all(|one| one.sites.found.iter().all(|site| site.literal.is_none()))
    );
    nothing_planted_is_shown(&found);
}

#[test]
fn errors_say_what_to_do_and_nothing_of_the_url() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().display();
    for (url, wanted) in [
        ("mysql://a:planted@localhost/x".to_owned(), "not one of PostgreSQL"),
        ("postgresql://a:planted@localhost:nope/x".to_owned(), "the option port"),
        ("postgresql://a:planted@db.example/x?sslmode=prefer".to_owned(), "not be encrypted"),
        (format!("postgresql://a:planted@/x?host={socket}"), "cannot be reached"),
    ] {
        let Err(error) = scan(&url) else { panic!("{wanted}: it was scanned") };
        let text = format!("{error} {error:?} {}", error.remedy());
        assert!(text.contains(wanted), "{text}");
        assert!(!text.contains("planted"), "{text}");
        assert!(!matches!(error, DatabaseError::Query(_)));
    }
}
