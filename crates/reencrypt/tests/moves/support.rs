//! A server on a socket in a temporary folder, shared by the tests that run at the same time, each
//! with a database of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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

/// A server that ends with the last test that uses it.
pub(crate) struct Server {
    pub(crate) folder: tempfile::TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    child: Option<Child>,
    databases: AtomicU32,
}

/// Whom a server runs as that refuses root: its own user where there is one.
fn other_user(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    of("postgres").or_else(|| of("nobody"))
}

/// Where Debian keeps the programs of the newest version.
fn programs() -> PathBuf {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .expect("apt-get install postgresql")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().expect("apt-get install postgresql")
}

impl Server {
    /// A server with further settings.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = other_user(folder.path());
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let databases = AtomicU32::new(0);
        let mut server = Self { folder, programs: programs(), user, child: None, databases };
        let made = server
            .program("initdb")
            .args(["-D", "data", "-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut program = server.program("postgres");
        program.args(["-D", "data", "-F", "-c", "listen_addresses=", "-c", "autovacuum=off"]);
        program.args(["-c", "max_prepared_transactions=10", "-c", "wal_level=logical"]);
        for setting in settings {
            program.args(["-c", setting]);
        }
        server.spawn(program);
        server
    }

    /// A standby that follows this server, as its own programs make one.
    pub(crate) fn standby(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some((uid, gid)) = self.user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let databases = AtomicU32::new(0);
        let (programs, user) = (self.programs.clone(), self.user);
        let mut standby = Self { folder, programs, user, child: None, databases };
        let made = standby
            .program("pg_basebackup")
            .args(["-D", "data", "-U", "owner", "-R", "-c", "fast", "--no-sync", "-h"])
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut program = standby.program("postgres");
        program.args(["-D", "data", "-F", "-c", "listen_addresses="]);
        program.args(["-c", "max_prepared_transactions=10"]);
        standby.spawn(program);
        standby
    }

    fn spawn(&mut self, mut program: Command) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = program.arg("-k").arg(self.folder.path()).stderr(Stdio::from(log));
        self.child = Some(child.spawn().unwrap());
        self.wait();
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

    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("TZ", "UTC").env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn wait(&mut self) {
        let url = self.url("owner", "postgres");
        while Client::connect(&url, NoTls).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {ended:?}");
            // tidy: sleeps because the server says in no other way that it is ready.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@/{database}?host={}", self.folder.path().display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.program("pg_ctl").args(["-D", "data", "-m", "immediate", "stop"]).output();
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
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
        self.server.url(user, &self.name)
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
        let mut owner = Client::connect(&server.url("owner", "postgres"), NoTls).unwrap();
        owner.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        let mut client = Client::connect(&server.url("owner", &name), NoTls).unwrap();
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
