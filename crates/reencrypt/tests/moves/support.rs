//! A server on a socket in a temporary folder, shared by the tests that run at the same time, each
//! with a database of its own.

#[path = "../../../postgres/tests/support/server.rs"]
mod server;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use keywheel_codec::{Format, Key};
use keywheel_reencrypt::{Error, Keys, Move, Outcome, Progress, Settings, TableName, Target};
use postgres::{Client, NoTls};

/// The key that the server sealed with.
pub(crate) const OLD: &str = "old-passphrase-a";
/// The key to move to.
pub(crate) const NEW: &str = "new-passphrase-b";
/// A standby must allow as many as the server that it follows.
const PREPARED: &str = "max_prepared_transactions=10";

/// A server that ends with the last test that uses it.
pub(crate) struct Server {
    running: server::Server,
    databases: AtomicU32,
}

impl std::ops::Deref for Server {
    type Target = server::Server;

    fn deref(&self) -> &server::Server {
        &self.running
    }
}

impl Server {
    /// A server with further settings, which takes connections.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let own = [PREPARED, "wal_level=logical"];
        let all = [own.as_slice(), settings].concat();
        let all = || all.iter().map(|setting| (*setting).to_owned()).collect();
        Self::ready(server::Server::start_with(false, |_| all()))
    }

    /// A standby that follows this server.
    pub(crate) fn standby(&self) -> Self {
        Self::ready(self.running.standby(&[PREPARED.to_owned()]))
    }

    fn ready(mut running: server::Server) -> Self {
        running.connect();
        Self { running, databases: AtomicU32::new(0) }
    }

    /// The server that is shared.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start(&[]));
            *shared = Arc::downgrade(&server);
            server
        })
    }
}

/// Where the database of a test is; threads share it.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) server: Arc<Server>,
    pub(crate) name: String,
}

impl Access {
    pub(crate) fn url(&self, user: &str) -> String {
        self.server.url_of(user, &self.name)
    }

    /// One more connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.url("owner"), NoTls).unwrap()
    }

    /// Waits until the server has noticed that earlier movers are gone, and their locks with them.
    pub(crate) fn until_no_mover(&self) {
        let mut client = self.connect();
        let gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() \
                    AND application_name = 'keywheel reencrypt'";
        while !client.query_one(gone, &[]).unwrap().get::<_, bool>(0) {
            // tidy: sleeps because the server says in no other way that a session has ended.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn run(&self, this: &Move, keys: &Keys) -> Result<Outcome, Error> {
        self.until_no_mover();
        let config = keywheel_reencrypt::config(&self.url("owner"), false)?;
        let stop = AtomicBool::new(false);
        this.run(&|| keywheel_reencrypt::connect(&config), keys, &|_| {}, &stop)
    }
}

/// A database of one test.
pub(crate) struct Database {
    pub(crate) access: Access,
    pub(crate) client: Client,
}

impl std::ops::Deref for Database {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl Database {
    /// One on the shared server.
    pub(crate) fn new(schema: &str) -> Self {
        Self::on(Server::shared(), schema)
    }

    pub(crate) fn on(server: Arc<Server>, schema: &str) -> Self {
        let name = format!("test{}", server.databases.fetch_add(1, Ordering::Relaxed));
        let mut owner = Client::connect(&server.url(), NoTls).unwrap();
        owner.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        let mut client = Client::connect(&server.url_of("owner", &name), NoTls).unwrap();
        client.batch_execute("CREATE EXTENSION pgcrypto").unwrap();
        client.batch_execute(schema).unwrap();
        Self { access: Access { server, name }, client }
    }

    /// One number.
    pub(crate) fn number(&mut self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).unwrap().get(0)
    }
}

/// Old and new, as passphrases without stretching so that tests are quick.
pub(crate) fn keys() -> Keys {
    keys_of(OLD, NEW)
}

pub(crate) fn keys_of(from: &str, to: &str) -> Keys {
    let key = |text: &str| Key::generated(text.as_bytes().to_vec());
    Keys { from: vec![("old".to_owned(), key(from))], to: ("new".to_owned(), key(to)), version: 2 }
}

/// A move of `people.secret`.
pub(crate) fn people() -> Move {
    of("people", "secret")
}

pub(crate) fn of(table: &str, column: &str) -> Move {
    let target =
        Target { table: TableName::new(table), column: column.to_owned(), format: Format::Pgp };
    Move { target, settings: Settings { batch_rows_start: 100, ..Settings::default() } }
}

/// Waits until a question is answered with true.
pub(crate) fn until(client: &mut Client, sql: &str) {
    while !client.query_one(sql, &[]).unwrap().get::<_, bool>(0) {
        // tidy: sleeps because the server can only be asked again.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a session waits for a lock.
pub(crate) fn until_blocked(client: &mut Client) {
    let sql = "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
               WHERE NOT l.granted AND a.datname = current_database()";
    until(client, sql);
}

/// Runs a move, and gives back what was told of it while it ran.
pub(crate) fn told(
    access: &Access,
    this: &Move,
    keys: &Keys,
    watch: &(dyn Fn(&Progress, &AtomicBool) + Sync),
) -> (Outcome, Vec<Progress>) {
    let config = keywheel_reencrypt::config(&access.url("owner"), false).unwrap();
    let (stop, told) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let tell = |progress: &Progress| {
        told.lock().unwrap().push(*progress);
        watch(progress, &stop);
    };
    let outcome = this.run(&|| keywheel_reencrypt::connect(&config), keys, &tell, &stop).unwrap();
    (outcome, told.into_inner().unwrap())
}
