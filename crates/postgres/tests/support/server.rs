//! A real PostgreSQL, started here on a socket in a temporary folder.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use postgres::{Client, NoTls};

/// Ciphers like Blowfish are in a part of OpenSSL that has to be asked for.
const LEGACY: &str = "openssl_conf = all
[all]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
";

/// A server that ends with the test.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    legacy: bool,
    port: u16,
    child: Option<Child>,
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
pub(crate) fn programs() -> PathBuf {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .expect("apt-get install postgresql")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().expect("apt-get install postgresql")
}

impl Server {
    /// Starts one; `legacy` says whether its OpenSSL has the ciphers of old.
    pub(crate) fn start(legacy: bool) -> Self {
        Self::start_with(legacy, |_| Vec::new())
    }

    /// Starts one with further settings, which may tell of files that are put into its folder.
    pub(crate) fn start_with(legacy: bool, settings: impl Fn(&Self) -> Vec<String>) -> Self {
        let mut server = Self::new(legacy);
        let made = server
            .program("initdb")
            .args(["-D", "data", "-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run(&[&["autovacuum=off".to_owned()], settings(&server).as_slice()].concat());
        server
    }

    /// A standby that follows this server, as its own programs make one.
    pub(crate) fn standby(&self, settings: &[String]) -> Self {
        let mut standby = Self::new(self.legacy);
        let made = standby
            .program("pg_basebackup")
            .args(["-D", "data", "-U", "owner", "-R", "-c", "fast", "--no-sync", "-h"])
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        standby.run(settings);
        standby
    }

    fn new(legacy: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = other_user(folder.path());
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        fs::write(folder.path().join("openssl.cnf"), LEGACY).unwrap();
        Self { folder, programs: programs(), user, legacy, port: 5432, child: None }
    }

    /// Starts the program itself, whose log is the file `log` beside the data.
    fn run(&mut self, settings: &[String]) {
        let mut program = self.program("postgres");
        program.args(["-D", "data", "-F", "-c", "listen_addresses=", "-k"]);
        program.arg(self.folder.path());
        for setting in settings {
            if let Some(port) = setting.strip_prefix("port=") {
                self.port = port.parse().unwrap();
            }
            program.args(["-c", setting]);
        }
        let log = fs::File::create(self.path("log")).unwrap();
        self.child = Some(program.stderr(Stdio::from(log)).spawn().unwrap());
    }

    /// One of its programs, run as its user and in the folder of its data.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("TZ", "UTC").env("LC_ALL", "C");
        let openssl = if self.legacy { "openssl.cnf" } else { "none.cnf" };
        command.env("OPENSSL_CONF", self.folder.path().join(openssl));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Where it is, for its owner.
    pub(crate) fn url(&self) -> String {
        self.url_of("owner", "postgres")
    }

    /// Where a database is, for a user.
    pub(crate) fn url_of(&self, user: &str, database: &str) -> String {
        let folder = self.folder.path().display();
        format!("postgresql://{user}@/{database}?host={folder}&port={}", self.port)
    }

    /// A file beside its data.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file beside its data that only its user may read.
    pub(crate) fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        path
    }

    /// A connection, once the server takes one.
    pub(crate) fn connect(&mut self) -> Client {
        let url = self.url();
        loop {
            match Client::connect(&url, NoTls) {
                Ok(client) => return client,
                Err(error) => {
                    let ended = self.child.as_mut().unwrap().try_wait().unwrap();
                    assert!(ended.is_none(), "the server ended: {ended:?}, {error}");
                    // tidy: sleeps because the server says in no other way that it is ready.
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }

    /// The same, with pgcrypto.
    pub(crate) fn client(&mut self) -> Client {
        let mut client = self.connect();
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS pgcrypto").unwrap();
        client
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
