//! Every hazard that is known of such moves, by its name.

use std::time::Duration;

use keywheel_codec::{Format, Key, Limits, Shape};
use keywheel_reencrypt::{Error, Triggers};

use crate::basic::{fill, opened};
use crate::support::{Database, NEW, OLD, keys, keys_of, of, people, until_blocked};

const PEOPLE: &str = "CREATE TABLE people (n int PRIMARY KEY, secret bytea)";

fn filled(schema: &str, rows: u32) -> Database {
    let mut database = Database::new(schema);
    database.client.batch_execute(&fill(rows)).unwrap();
    database
}

#[test]
fn a_row_of_a_wrong_key_goes_to_quarantine_and_aborts_nothing() {
    let mut database = filled(PEOPLE, 500);
    database
        .client
        .batch_execute(
            "UPDATE people SET secret = pgp_sym_encrypt('x', 'a third key', 's2k-count=1024') \
             WHERE n IN (7, 400); UPDATE people SET secret = '\\x0102' WHERE n = 8",
        )
        .unwrap();
    let outcome = database.run(&people(), &keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.in_quarantine), (398, 3));
    let rows = database
        .client
        .query(
            "SELECT relation, row_key, reason FROM keywheel.reencrypt_quarantine ORDER BY 2",
            &[],
        )
        .unwrap();
    let keys: Vec<Vec<String>> = rows.iter().map(|row| row.get(1)).collect();
    assert_eq!(keys, [["400"], ["7"], ["8"]]);
    let reasons: Vec<String> = rows.iter().map(|row| row.get(2)).collect();
    assert_eq!(reasons[0], "wrong key or damaged value");
}

#[test]
fn a_wrong_old_key_is_noticed_before_all_rows_are_in_quarantine() {
    let mut database = filled(PEOPLE, 2_000);
    let error = database.run(&people(), &keys_of("not the old key", NEW)).unwrap_err();
    assert!(matches!(error, Error::Unopened { .. }), "{error}");
    let noted = database.number("SELECT count(*) FROM keywheel.reencrypt_quarantine");
    assert!((1_000..1_600).contains(&noted), "{noted}");
    // With the right one a new job begins, and nothing is left in its way.
    let outcome = database.run(&people(), &keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.in_quarantine), (1_600, 0));
}

#[test]
fn generated_columns_and_functional_indexes_follow() {
    let mut database = filled(
        "CREATE TABLE people (n int PRIMARY KEY, secret bytea, \
         bytes int GENERATED ALWAYS AS (octet_length(secret)) STORED); \
         CREATE FUNCTION first_bytes(bytea) RETURNS bytea IMMUTABLE LANGUAGE sql \
            AS $$ SELECT substring($1 FROM 1 FOR 40) $$; \
         CREATE FUNCTION unqualified(bytea) RETURNS bytea IMMUTABLE LANGUAGE plpgsql \
            AS $$ BEGIN RETURN first_bytes($1); END $$; \
         CREATE INDEX by_function ON people (unqualified(secret))",
        300,
    );
    database.run(&people(), &keys()).unwrap();
    assert_eq!(database.number(&opened(NEW)), 300);
    assert_eq!(
        database.number("SELECT count(*) FROM people WHERE bytes <> octet_length(secret)"),
        0
    );
    database.client.batch_execute("SET enable_seqscan = off").unwrap();
    let by_index = "SELECT count(*) FROM people p WHERE EXISTS (SELECT FROM people q \
                    WHERE unqualified(q.secret) = unqualified(p.secret) AND q.n = p.n)";
    assert_eq!(database.number(by_index), 240);
}

#[test]
fn a_check_that_refuses_new_values_ends_the_move_and_is_named() {
    let mut database = filled(PEOPLE, 50);
    database
        .client
        .batch_execute(
            "ALTER TABLE people ADD CONSTRAINT short CHECK (octet_length(secret) < 1) NOT VALID",
        )
        .unwrap();
    let error = database.run(&people(), &keys()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("23514") && text.contains("constraint short"), "{text}");
    assert_eq!(database.number(&opened(OLD)), 50);
}

#[test]
fn rows_without_a_key_move_by_their_place() {
    let mut database = filled(
        "CREATE TABLE people (n int, secret bytea, padding text DEFAULT repeat('x', 900))",
        2_000,
    );
    let outcome = database.run(&people(), &keys()).unwrap();
    assert!(outcome.is_complete && outcome.passes >= 2);
    assert_eq!(outcome.counts.moved, 1_600);
    assert_eq!(database.number(&opened(NEW)), 2_000);
}

/// Where rows are named by their place, another row may take the place of one that is gone.
#[test]
fn a_place_that_another_row_took_is_not_overwritten() {
    let mut database = filled("CREATE TABLE people (n int, secret bytea)", 30);
    // The first batch is read, and cannot be written until this test lets it.
    database
        .client
        .batch_execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$; \
             CREATE TRIGGER hold BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION hold(); \
             SELECT pg_advisory_lock(1)",
        )
        .unwrap();
    let mut this = people();
    this.settings.triggers = Triggers::Fire;
    this.settings.lock_timeout = Duration::from_millis(20);
    let place = "SELECT ctid::text FROM people WHERE n = 4";
    let place: String = database.client.query_one(place, &[]).unwrap().get(0);
    let mut watcher = database.connect();
    let outcome = std::thread::scope(|scope| {
        let access = &database.access;
        let moves = scope.spawn(|| access.run(&this, &keys()));
        until_blocked(&mut watcher);
        database.client.batch_execute("DELETE FROM people WHERE n = 4").unwrap();
        let insert = format!(
            "INSERT INTO people SELECT 104, pgp_sym_encrypt('text 104', '{OLD}') RETURNING ctid::text"
        );
        loop {
            database.client.batch_execute("VACUUM people").unwrap();
            if database.client.query_one(&insert, &[]).unwrap().get::<_, String>(0) == place {
                break;
            }
            database.client.batch_execute("DELETE FROM people WHERE n = 104").unwrap();
        }
        database.client.batch_execute("SELECT pg_advisory_unlock(1)").unwrap();
        moves.join().unwrap().unwrap()
    });
    assert!(outcome.is_complete && outcome.in_quarantine == 0, "{outcome:?}");
    assert_eq!(database.number(&opened(NEW)), 30);
    assert_eq!(database.number("SELECT count(*) FROM people WHERE n = 104"), 1);
}

/// `pgp_sym_decrypt` refuses bytes, and who asked for compression or UTF-8 wants to keep it.
#[test]
fn a_text_stays_a_text_and_bytes_stay_bytes() {
    let mut database = filled(PEOPLE, 0);
    let options = ["", "unicode-mode=1", "compress-algo=1", "compress-algo=2", "disable-mdc=1"];
    for (n, options) in options.iter().enumerate() {
        let sql = format!(
            "INSERT INTO people VALUES ({n}, pgp_sym_encrypt('text', '{OLD}', '{options}')), \
             ({n} + 100, pgp_sym_encrypt_bytea('text', '{OLD}', '{options}'))"
        );
        database.client.batch_execute(&sql).unwrap();
    }
    let mut shapes = |key: &str| -> Vec<keywheel_codec::pgp::Shape> {
        let key = Key::passphrase(key.as_bytes().to_vec());
        let rows = database.client.query("SELECT secret FROM people ORDER BY n", &[]).unwrap();
        let shape = |row: &postgres::Row| match Format::Pgp
            .open(row.get(0), &key, Limits::default())
            .unwrap()
            .shape
        {
            Shape::Pgp(shape) => shape,
            other => panic!("{other:?}"),
        };
        rows.iter().map(shape).collect()
    };
    let before = shapes(OLD);
    database.access.run(&people(), &keys()).unwrap();
    let after = shapes(NEW);
    assert!(before.len() == 10 && before.iter().zip(&after).all(|(old, new)| old.is_kept_by(new)));
    let texts = format!("SELECT pgp_sym_decrypt(secret, '{NEW}') FROM people WHERE n");
    assert_eq!(database.client.query(&format!("{texts} < 100"), &[]).unwrap().len(), 5);
    let error = database.client.query(&format!("{texts} >= 100"), &[]).unwrap_err();
    let said = error.as_db_error().unwrap().message();
    assert!(said.contains("Not text data"), "{said}");
}

/// What is small and inflates to much is not kept in memory to its end.
#[test]
fn a_value_that_inflates_to_more_than_is_allowed_goes_to_quarantine() {
    let mut database = filled(PEOPLE, 50);
    let bomb = "UPDATE people SET secret = pgp_sym_encrypt(repeat('x', 3000000 / (CASE n WHEN 7 \
                THEN 1 ELSE 30 END)), $$KEY$$, 'compress-algo=1,s2k-count=1024') WHERE n IN (7, 8)";
    database.client.batch_execute(&bomb.replace("KEY", OLD)).unwrap();
    let mut this = people();
    this.settings.plain_bytes_max = 1_000_000;
    let outcome = database.run(&this, &keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.in_quarantine), (39, 1));
    let row =
        database.client.query_one("SELECT row_key, reason FROM keywheel.reencrypt_quarantine", &[]);
    let row = row.unwrap();
    assert_eq!(row.get::<_, Vec<String>>(0), ["7"]);
    assert!(row.get::<_, String>(1).contains("more than 1000000 bytes"));
    // Whoever allows for it moves it.
    let outcome = database.run(&people(), &keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.in_quarantine), (1, 0));
    let sql = format!(
        "SELECT sum(length(pgp_sym_decrypt(secret, '{NEW}')))::int8 FROM people WHERE n IN (7, 8)"
    );
    assert_eq!(database.number(&sql), 3_100_000);
}

#[test]
fn a_unique_index_takes_the_place_of_a_primary_key() {
    let mut database = filled(
        "CREATE TABLE people (n int NOT NULL, secret bytea, \
         m text NOT NULL DEFAULT 'it''s \\ \"m\" {,} NULL'); CREATE UNIQUE INDEX ON people (m, n)",
        500,
    );
    let outcome = database.run(&people(), &keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.passes), (400, 1));
    assert_eq!(database.number(&opened(NEW)), 500);
}

#[test]
fn keys_of_many_types_name_their_rows() {
    let keys_of_rows = [
        ("uuid", "md5(n::text)::uuid"),
        ("timestamptz", "'2026-03-29 00:30+01'::timestamptz + n * interval '7.000001 s'"),
        ("double precision", "n / 3.0::float8"),
        ("numeric", "n / 7.0"),
        ("char(9)", "lpad(n::text, 5, 'x')"),
        ("bytea", "decode(lpad(to_hex(n), 8, '0'), 'hex')"),
        ("inet", "'10.0.0.0'::inet + n"),
        ("text COLLATE \"en_US_test\"", "'Ä' || n"),
        ("other.label", "('L' || n)::other.label"),
    ];
    for (kind, value) in keys_of_rows {
        let database = Database::new(&format!(
            "CREATE SCHEMA other; CREATE DOMAIN other.label AS text; \
             CREATE COLLATION en_US_test FROM \"C\"; CREATE COLLATION \"en_US_test\" FROM \"C\"; \
             CREATE TABLE keyed (k {kind} PRIMARY KEY, secret bytea); \
             INSERT INTO keyed SELECT {value}, \
                pgp_sym_encrypt('text ' || n, '{OLD}', 's2k-count=1024') \
             FROM generate_series(1, 300) n"
        ));
        let outcome = database.run(&of("keyed", "secret"), &keys()).unwrap();
        assert_eq!((outcome.counts.moved, outcome.counts.read), (300, 300), "{kind}");
    }
}

#[test]
fn armored_text_stays_armored() {
    let mut database = Database::new(&format!(
        "CREATE TABLE letters (n int PRIMARY KEY, \"The text\" text); \
         INSERT INTO letters SELECT n, armor(pgp_sym_encrypt('text ' || n, '{OLD}', \
            's2k-count=1024')) FROM generate_series(1, 200) n"
    ));
    let mut letters = of("letters", "The text");
    letters.target.format = keywheel_codec::Format::PgpArmored;
    assert_eq!(database.run(&letters, &keys()).unwrap().counts.moved, 200);
    let sql = format!(
        "SELECT count(*) FROM letters \
         WHERE pgp_sym_decrypt(dearmor(\"The text\"), '{NEW}') = 'text ' || n"
    );
    assert_eq!(database.number(&sql), 200);
}

#[test]
fn partitions_and_children_move_one_by_one() {
    let mut database = filled(
        "CREATE TABLE people (n int, secret bytea) PARTITION BY RANGE (n); \
         CREATE TABLE low PARTITION OF people FOR VALUES FROM (0) TO (200); \
         CREATE TABLE high PARTITION OF people FOR VALUES FROM (200) TO (9999) \
            PARTITION BY RANGE (n); \
         CREATE TABLE higher (secret bytea, gone int, n int PRIMARY KEY); \
         ALTER TABLE higher DROP COLUMN gone; \
         ALTER TABLE high ATTACH PARTITION higher FOR VALUES FROM (200) TO (9999)",
        500,
    );
    assert_eq!(database.run(&people(), &keys()).unwrap().counts.moved, 400);
    assert_eq!(database.number(&opened(NEW)), 500);

    let mut database = filled(PEOPLE, 100);
    database
        .client
        .batch_execute(
            "CREATE TABLE staff (rank int) INHERITS (people); INSERT INTO staff \
             SELECT n, secret, 1 FROM people; UPDATE staff SET n = n + 1000 WHERE n % 5 <> 1",
        )
        .unwrap();
    assert_eq!(database.run(&people(), &keys()).unwrap().counts.moved, 160);
    assert_eq!(database.run(&people(), &keys()).unwrap().counts.current, 160);
}

#[test]
fn a_trigger_on_updates_is_refused_unless_it_may_fire() {
    let mut database = filled(PEOPLE, 100);
    let trigger = "CREATE TABLE seen (n int); CREATE FUNCTION note() RETURNS trigger \
        LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (NEW.n); RETURN NEW; END $$; \
        CREATE TRIGGER note BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION note()";
    database.client.batch_execute(trigger).unwrap();
    let error = database.run(&people(), &keys()).unwrap_err();
    assert!(error.to_string().contains("trigger note fires"), "{error}");
    let mut fires = people();
    fires.settings.triggers = Triggers::Fire;
    assert_eq!(database.run(&fires, &keys()).unwrap().counts.moved, 80);
    assert_eq!(database.number("SELECT count(*) FROM seen"), 80);
    // One on another column does not fire, and is no reason to refuse.
    database
        .client
        .batch_execute(
            "DROP TRIGGER note ON people; \
             CREATE TRIGGER note BEFORE UPDATE OF n ON people FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .unwrap();
    assert_eq!(database.run(&people(), &keys_of(NEW, OLD)).unwrap().counts.moved, 80);
}

#[test]
fn a_trigger_that_changes_or_swallows_values_is_noticed() {
    for (body, changes) in [("NEW.secret := '\\x00'; RETURN NEW;", true), ("RETURN NULL;", false)] {
        let mut database = filled(PEOPLE, 50);
        database
            .client
            .batch_execute(&format!(
                "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql \
                 AS $$ BEGIN {body} END $$; CREATE TRIGGER meddle BEFORE UPDATE ON people \
                 FOR EACH ROW EXECUTE FUNCTION meddle()"
            ))
            .unwrap();
        let mut fires = people();
        fires.settings.triggers = Triggers::Fire;
        let table = "public.people".to_owned();
        let wanted = if changes { Error::Changed { table } } else { Error::Swallowed { table } };
        assert_eq!(database.run(&fires, &keys()).unwrap_err(), wanted);
        assert_eq!(database.number(&opened(OLD)), 50);
    }
}

#[test]
fn rules_are_refused() {
    let database = &mut filled(PEOPLE, 10);
    database
        .client
        .batch_execute("CREATE RULE nothing AS ON UPDATE TO people DO INSTEAD NOTHING")
        .unwrap();
    let error = database.run(&people(), &keys()).unwrap_err();
    assert!(error.to_string().contains("rule nothing"), "{error}");
}

#[test]
fn a_published_table_without_replica_identity_is_refused_with_a_remedy() {
    let mut database = filled("CREATE TABLE people (n int, secret bytea)", 50);
    database.client.batch_execute("CREATE PUBLICATION all_of_it FOR ALL TABLES").unwrap();
    let error = database.run(&people(), &keys()).unwrap_err();
    assert!(error.to_string().contains("replica identity"), "{error}");
    assert!(error.remedy().contains("REPLICA IDENTITY FULL"), "{}", error.remedy());
    database.client.batch_execute("ALTER TABLE people REPLICA IDENTITY FULL").unwrap();
    assert_eq!(database.run(&people(), &keys()).unwrap().counts.moved, 40);
}

#[test]
fn both_keys_the_same_are_refused() {
    let mut database = filled(PEOPLE, 10);
    assert_eq!(database.run(&people(), &keys_of(OLD, OLD)).unwrap_err(), Error::SameKey);
    assert_eq!(database.number(&opened(OLD)), 10);
}

#[test]
fn a_dry_run_opens_all_and_writes_nothing() {
    let mut database = filled(PEOPLE, 250);
    let before = database.number("SELECT sum(hashtext(secret::text))::int8 FROM people");
    let mut dry = people();
    dry.settings.dry_run = true;
    let outcome = database.run(&dry, &keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.counts.null), (200, 50));
    assert_eq!(before, database.number("SELECT sum(hashtext(secret::text))::int8 FROM people"));
    assert_eq!(database.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'keywheel'"), 0);
}

#[test]
fn missing_rights_are_refused_with_the_grants_that_are_enough() {
    let mut database = filled(PEOPLE, 100);
    let role = format!("mover_{}", database.name);
    database.client.batch_execute(&format!("CREATE ROLE {role} LOGIN")).unwrap();
    let url = database.url(&role);
    let config = keywheel_reencrypt::config(&url, false).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let run = || people().run(&|| keywheel_reencrypt::connect(&config), &keys(), &|_| {}, &stop);
    let mut granted = 0;
    let outcome = loop {
        match run() {
            Ok(outcome) => break outcome,
            Err(Error::Target { remedy, .. }) => database.client.batch_execute(&remedy).unwrap(),
            Err(error) => panic!("{error}"),
        }
        granted += 1;
        assert!(granted < 5);
    };
    assert_eq!(outcome.counts.moved, 80);
    assert_eq!(granted, 2);
    let may = format!("SELECT has_table_privilege('{role}', 'people', 'UPDATE')::int::int8");
    assert_eq!(database.number(&may), 0);

    // Rows that a policy hides would be lost with the old key, so they are an error.
    database
        .client
        .batch_execute(
            "ALTER TABLE people ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY few ON people USING (n < 50)",
        )
        .unwrap();
    database.until_no_mover();
    let error = run().unwrap_err();
    assert!(error.to_string().contains("row security"), "{error}");
    let mut client = keywheel_reencrypt::connect(&config).unwrap();
    let mut verified = || {
        let settings = keywheel_reencrypt::Settings::default();
        let longest = std::time::Duration::from_mins(1);
        let target = people().target;
        keywheel_reencrypt::verify(
            &mut client,
            &target,
            &keys(),
            &settings,
            longest,
            &|_| {},
            &stop,
        )
    };
    let error = verified().unwrap_err();
    assert!(error.to_string().contains("SQLSTATE 42501"), "{error}");
    // Who may read alone can verify.
    database
        .client
        .batch_execute(&format!(
            "ALTER TABLE people DISABLE ROW LEVEL SECURITY; \
             REVOKE UPDATE (secret) ON people FROM {role}"
        ))
        .unwrap();
    assert!(verified().unwrap().is_complete);
}

#[test]
fn columns_and_tables_that_are_none_are_refused() {
    let database = filled(
        "CREATE TABLE people (n int PRIMARY KEY, secret bytea, \
         twice bytea GENERATED ALWAYS AS (secret || secret) STORED); \
         CREATE VIEW seen AS SELECT * FROM people",
        5,
    );
    for (table, column, wanted) in [
        ("nobody", "secret", "no such table"),
        ("seen", "secret", "no table"),
        ("people", "nothing", "there is none"),
        ("people", "n", "neither bytea nor text"),
        ("people", "twice", "generated"),
    ] {
        let error = database.run(&of(table, column), &keys()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn large_values_travel_in_small_batches() {
    let mut database = Database::new(&format!(
        "CREATE TABLE people (n int PRIMARY KEY, secret bytea); INSERT INTO people \
         SELECT n, pgp_sym_encrypt(repeat('x', 300000) || n, '{OLD}', 's2k-count=1024') \
         FROM generate_series(1, 30) n"
    ));
    let mut large = people();
    large.settings.batch_bytes_max = 1_000_000;
    let config = keywheel_reencrypt::config(&database.url("owner"), false).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let steps = std::sync::Mutex::new(vec![0]);
    let watch = |progress: &keywheel_reencrypt::Progress| {
        steps.lock().unwrap().push(progress.counts.read);
    };
    large.run(&|| keywheel_reencrypt::connect(&config), &keys(), &watch, &stop).unwrap();
    let steps = steps.into_inner().unwrap();
    assert!(steps.windows(2).all(|two| two[1] - two[0] <= 4), "{steps:?}");
    let sql = format!(
        "SELECT count(*) FROM people \
         WHERE pgp_sym_decrypt(secret, '{NEW}') = repeat('x', 300000) || n"
    );
    assert_eq!(database.number(&sql), 30);
}
