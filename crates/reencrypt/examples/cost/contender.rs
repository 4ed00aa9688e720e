//! Who moves a column, and the table that is moved.

use std::sync::atomic::AtomicBool;

use keywheel_codec::{Format, Key};
use keywheel_reencrypt::{Keys, Move, Settings, TableName, Target};
use postgres::{Client, NoTls};

use crate::usage::{Cluster, Cost};
use crate::{NEW, OLD, Race};

/// How many rows SQL updates at a time.
const BATCH: i64 = 1_000;
/// After how many rows SQL removes dead ones, which is a range of keywheel.
const VACUUM_EVERY: i64 = 50_000;

/// Who moves.
pub(crate) enum Way {
    /// The server, by pgcrypto with these options.
    Sql { options: &'static str },
    /// keywheel with its default settings.
    Keywheel,
}

/// Who moves, from where to where.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) way: Way,
}

/// The plaintext of a row: 100 bytes.
const PLAIN: &str = "rpad(md5(n::text) || md5((n + 1)::text), 100, 'x')";

/// Makes the rows that are moved again and again.
pub(crate) fn source(client: &mut Client, race: &Race) {
    let from = race.contenders.first().expect("there are contenders").from;
    client.batch_execute("DROP TABLE IF EXISTS source").unwrap();
    let options = if from == OLD { "" } else { "s2k-mode=1" };
    let sql = format!(
        "CREATE TABLE source AS SELECT n AS id, \
         pgp_sym_encrypt({PLAIN}, '{OLD}', '{options}') AS c FROM generate_series(1::int8, {}) n",
        race.rows
    );
    client.batch_execute(&sql).unwrap();
    if from == NEW {
        // What keywheel writes is written by it.
        fresh(client);
        let first = Contender { name: "", from: OLD, to: NEW, way: Way::Keywheel };
        first.keywheel(&url(client));
        client.batch_execute("DROP TABLE source; CREATE TABLE source AS TABLE people").unwrap();
    }
}

/// Where the server of a client is.
fn url(client: &mut Client) -> String {
    let folder: String = client.query_one("SHOW unix_socket_directories", &[]).unwrap().get(0);
    format!("postgresql://owner@/postgres?host={folder}")
}

/// A table as nobody has touched it yet.
fn fresh(client: &mut Client) {
    let sql = "DROP TABLE IF EXISTS people; DROP SCHEMA IF EXISTS keywheel CASCADE; \
               CREATE TABLE people (id bigint PRIMARY KEY, c bytea); \
               INSERT INTO people SELECT id, c FROM source ORDER BY id";
    client.batch_execute(sql).unwrap();
    client.batch_execute("VACUUM ANALYZE people").unwrap();
    client.batch_execute("CHECKPOINT").unwrap();
}

impl Contender {
    /// Moves a fresh table, and sees that all is as it was.
    pub(crate) fn measure(
        &self,
        url: &str,
        client: &mut Client,
        cluster: &Cluster,
        rows: i64,
    ) -> Cost {
        fresh(client);
        let before = cluster.usage(client);
        match self.way {
            Way::Sql { options } => self.sql(url, options, rows),
            Way::Keywheel => self.keywheel(url),
        }
        let cost = cluster.usage(client).since(&before, rows);
        // What SQL stretches by default takes long to open.
        let each = if matches!(self.way, Way::Sql { .. }) { 50 } else { 10 };
        let fine = format!(
            "SELECT count(*) FROM people p JOIN (SELECT n, {PLAIN} AS plain \
             FROM generate_series({each}::int8, {rows}, {each}) n) s ON p.id = s.n \
             WHERE pgp_sym_decrypt(p.c, '{}') = s.plain",
            self.to
        );
        let fine: i64 = client.query_one(&fine, &[]).unwrap().get(0);
        assert_eq!(fine, rows / each, "{} has lost rows", self.name);
        cost
    }

    fn sql(&self, url: &str, options: &str, rows: i64) {
        let mut client = Client::connect(url, NoTls).unwrap();
        let update = client
            .prepare(&format!(
                "UPDATE people SET \
                 c = pgp_sym_encrypt(pgp_sym_decrypt(c, '{}'), '{}', '{options}') WHERE id > $1 AND id <= $2",
                self.from, self.to
            ))
            .unwrap();
        let mut low = 0;
        while low < rows {
            client.execute(&update, &[&low, &(low + BATCH)]).unwrap();
            low += BATCH;
            if low % VACUUM_EVERY == 0 || low >= rows {
                client.batch_execute("VACUUM people").unwrap();
            }
        }
    }

    fn keywheel(&self, url: &str) {
        let config = keywheel_reencrypt::config(url, false).unwrap();
        let key = |text: &str| match text {
            OLD => Key::passphrase(text.as_bytes().to_vec()),
            _ => Key::generated(text.as_bytes().to_vec()),
        };
        let keys = Keys {
            from: vec![("old".to_owned(), key(self.from))],
            to: ("new".to_owned(), key(self.to)),
            version: 2,
        };
        let target =
            Target { table: TableName::new("people"), column: "c".to_owned(), format: Format::Pgp };
        let this = Move { target, settings: Settings::default() };
        let stop = AtomicBool::new(false);
        let connect = || keywheel_reencrypt::connect(&config);
        let outcome = this.run(&connect, &keys, &|_| {}, &stop).unwrap();
        assert!(outcome.is_complete && outcome.in_quarantine == 0);
    }
}
