//! What is told before a move, and what of it comes true.

use keywheel_reencrypt::inspect;

use crate::support::{Database, OLD, keys, people};

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
