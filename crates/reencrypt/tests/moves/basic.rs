//! Tables of every shape, moved whole.

use crate::support::{Database, NEW, OLD, keys, keys_of, people};

/// People with secrets of the old key: text with a cheap and a default stretching, bytes, NULL.
pub(crate) fn fill(rows: u32) -> String {
    format!(
        "INSERT INTO people SELECT n, CASE n % 5 \
            WHEN 0 THEN NULL \
            WHEN 1 THEN pgp_sym_encrypt_bytea(decode('00ff' || lpad(to_hex(n), 8, '0'), 'hex'), \
                '{OLD}', 's2k-count=1024') \
            WHEN 2 THEN pgp_sym_encrypt('text ' || n, '{OLD}', 'cipher-algo=aes256,s2k-mode=1') \
            WHEN 3 THEN pgp_sym_encrypt('text ' || n, '{OLD}', 'compress-algo=2,s2k-count=1024') \
            ELSE pgp_sym_encrypt('text ' || n, '{OLD}', 's2k-count=1024') END \
         FROM generate_series(1, {rows}) n"
    )
}

/// How many rows the key opens to what they were.
pub(crate) fn opened(key: &str) -> String {
    format!(
        "SELECT count(*) FROM people WHERE CASE n % 5 WHEN 0 THEN secret IS NULL \
         WHEN 1 THEN pgp_sym_decrypt_bytea(secret, '{key}') = \
            decode('00ff' || lpad(to_hex(n), 8, '0'), 'hex') \
         ELSE pgp_sym_decrypt(secret, '{key}') = 'text ' || n END"
    )
}

#[test]
fn every_row_of_a_table_with_a_primary_key_moves() {
    let mut database = Database::new("CREATE TABLE people (n int PRIMARY KEY, secret bytea)");
    database.client.batch_execute(&fill(3_000)).unwrap();
    let outcome = database.run(&people(), &keys()).unwrap();
    assert!(outcome.is_complete);
    assert_eq!(outcome.counts.moved, 2_400);
    assert_eq!(outcome.counts.null, 600);
    assert_eq!(outcome.counts.read, 3_000);
    assert_eq!(outcome.in_quarantine, 0);
    assert_eq!(database.number(&opened(NEW)), 3_000);

    // Moving again finds nothing to do, and moving back is a move with the keys swapped.
    let outcome = database.run(&people(), &keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.counts.current), (0, 2_400));
    let outcome = database.run(&people(), &keys_of(NEW, OLD)).unwrap();
    assert_eq!(outcome.counts.moved, 2_400);
    assert_eq!(database.number(&opened(OLD)), 3_000);
}
