//! What is told before a move, and what of it comes true.

use keywheel_reencrypt::inspect;

use crate::support::{Database, NEW, OLD, keys, people};

#[test]
fn inspect_counts_headers_and_keys_and_names_what_follows() {
    let mut database = Database::new(
        "CREATE TABLE people (n int PRIMARY KEY, secret bytea, \
         bytes int GENERATED ALWAYS AS (octet_length(secret)) STORED); \
         CREATE INDEX by_secret ON people (secret); CREATE INDEX by_n ON people ((n + 1))",
    );
    database
        .client
        .batch_execute(&format!(
            "INSERT INTO people SELECT n, CASE n % 4 WHEN 0 THEN NULL \
             WHEN 1 THEN pgp_sym_encrypt('a', '{OLD}', 'cipher-algo=aes256,s2k-count=1024') \
             WHEN 2 THEN pgp_sym_encrypt('a', 'third', 's2k-count=1024') \
             ELSE '\\x00'::bytea END FROM generate_series(1, 80) n; ANALYZE people"
        ))
        .unwrap();
    let mut client = database.connect();
    let this = people();
    let seen = inspect(&mut client, &this.target, Some(&keys()), &this.settings).unwrap();
    assert_eq!(seen.table, "public.people");
    assert_eq!(seen.leaves, [("public.people".to_owned(), vec!["n".to_owned()])]);
    assert_eq!(seen.generated, ["people (bytes)"]);
    assert_eq!(seen.indexes, ["by_secret"]);
    assert_eq!(seen.obstacles, []);
    let census = seen.census.unwrap();
    assert_eq!((census.rows, census.null, census.unopened), (80, 20, 40));
    assert_eq!(census.keys["old"], 20);
    assert_eq!(census.headers.values().sum::<u64>(), 40);
    assert_eq!(census.malformed.values().sum::<u64>(), 20);
    assert_eq!(seen.prediction.unwrap().rows, 20);
    // Nothing was made.
    assert_eq!(database.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'keywheel'"), 0);
}

#[test]
fn the_sample_is_from_all_over_the_table_and_bounded() {
    // The first half of the rows is under a key that nobody has; each page holds but a few.
    let mut database = Database::new(&format!(
        "CREATE TABLE people (n int PRIMARY KEY, secret bytea, padding text); \
         ALTER TABLE people ALTER padding SET STORAGE PLAIN; \
         INSERT INTO people SELECT n, pgp_sym_encrypt('a', \
            CASE WHEN n <= 3000 THEN 'third' ELSE '{OLD}' END, 's2k-count=1024'), \
            repeat('x', 800) FROM generate_series(1, 6000) n; ANALYZE people"
    ));
    assert!(database.number("SELECT pg_relation_size('people') / 8192") > 600);
    // Who may read the column alone gets a sample.
    let role = format!("looks_{}", database.name);
    let grant = format!("CREATE ROLE {role} LOGIN; GRANT SELECT (secret, n) ON people TO {role}");
    database.client.batch_execute(&grant).unwrap();
    let url = database.url(&role);
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    let this = people();
    let seen = inspect(&mut client, &this.target, Some(&keys()), &this.settings).unwrap();
    let census = seen.census.unwrap();
    assert!(census.rows <= 400 && census.rows > 100, "{census:?}");
    let (old, unopened) = (census.keys["old"], census.unopened);
    assert!(old > census.rows / 10 && unopened > census.rows / 10, "{old} {unopened}");
    let predicted = seen.prediction.unwrap().rows;
    assert!((600..5_400).contains(&predicted), "{predicted}");
}

#[test]
fn what_is_predicted_counts_each_partition_by_its_size() {
    // A large partition under the old key, and a small one that is moved.
    let mut database = Database::new(&format!(
        "CREATE TABLE people (n int PRIMARY KEY, secret bytea) PARTITION BY RANGE (n); \
         CREATE TABLE small PARTITION OF people FOR VALUES FROM (0) TO (500); \
         CREATE TABLE large PARTITION OF people FOR VALUES FROM (500) TO (99999); \
         INSERT INTO people SELECT n, pgp_sym_encrypt('a', \
            CASE WHEN n < 500 THEN '{NEW}' ELSE '{OLD}' END, 's2k-count=1024') \
         FROM generate_series(0, 8499) n; ANALYZE people"
    ));
    let this = people();
    let mut client = database.connect();
    let seen = inspect(&mut client, &this.target, Some(&keys()), &this.settings).unwrap();
    assert_eq!(seen.census.unwrap().keys["new"], 400);
    assert_eq!(seen.prediction.unwrap().rows, 8_000);
    assert_eq!(database.number("SELECT count(*) FROM large"), 8_000);
}
