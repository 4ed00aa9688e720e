//! A real PostgreSQL, started here on a socket in a temporary folder, with pgcrypto.

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
    /// Starts one; `legacy` says whether its OpenSSL has the ciphers of old.
    pub(crate) fn start(legacy: bool) -> Self {
        Self::start_with(legacy, |_| Vec::new())
    }

    /// Starts one with further settings, which may tell of files that are put into its folder.
    pub(crate) fn start_with(legacy: bool, settings: impl Fn(&Self) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = other_user(folder.path());
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        fs::write(folder.path().join("openssl.cnf"), LEGACY).unwrap();
        let mut server =
            Self { folder, programs: programs(), user, legacy, port: 5432, child: None };
        let made = server
            .program("initdb")
            .args(["-D", "data", "-U", "owner", "--auth=trust", "--no-sync", "-E", "UTF8"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut program = server.program("postgres");
        program.args(["-D", "data", "-F", "-c", "listen_addresses=", "-c", "autovacuum=off", "-k"]);
        program.arg(server.folder.path());
        for setting in settings(&server) {
            if let Some(port) = setting.strip_prefix("port=") {
                server.port = port.parse().unwrap();
            }
            program.args(["-c", &setting]);
        }
        let child = program.stderr(Stdio::null()).spawn().unwrap();
        server.child = Some(child);
        server
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("TZ", "UTC").env("LC_ALL", "C");
        let openssl = if self.legacy { "openssl.cnf" } else { "none.cnf" };
        command.env("OPENSSL_CONF", self.folder.path().join(openssl));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().display();
        format!("postgresql://owner@/postgres?host={folder}&port={}", self.port)
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

    /// A connection, once the server takes one, with pgcrypto.
    pub(crate) fn client(&mut self) -> Client {
        let url = self.url();
        loop {
            match Client::connect(&url, NoTls) {
                Ok(mut client) => {
                    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pgcrypto").unwrap();
                    return client;
                }
                Err(error) => {
                    let ended = self.child.as_mut().unwrap().try_wait().unwrap();
                    assert!(ended.is_none(), "the server ended: {ended:?}, {error}");
                    // tidy: sleeps because the server says in no other way that it is ready.
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
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
