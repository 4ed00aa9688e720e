//! A world for one test: a folder, a configuration, and the real binary, with and without a server.
//! Every wait is for a condition and has a deadline.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "each test binary has its own copy")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// A ring with one consumer, as most tests need it.
pub const WEB: &str = "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                       [[ring.web.consumer]]\nname = \"web\"\nrole = \"protect\"\n";

/// A folder with a configuration.
pub struct World {
    folder: tempfile::TempDir,
}

/// What a command did.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl World {
    /// An empty folder.
    pub fn new() -> Self {
        // Unix sockets have short names, so the folder has one too.
        Self { folder: tempfile::Builder::new().prefix("kw").tempdir().unwrap() }
    }

    /// A folder with rings, on a unix socket only.
    pub fn with(rings: &str) -> Self {
        let world = Self::new();
        world.configure(rings);
        world
    }

    /// Writes the configuration anew.
    pub fn configure(&self, rings: &str) {
        let server = "[server]\nlisten = [\"unix:keywheel.sock\"]\nname = \"test\"\n\n";
        self.write("keywheel.toml", format!("{server}{rings}"));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join(".keywheel").join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywheel"));
        command.current_dir(self.folder.path()).args(args).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KEYWHEEL_") {
                command.env_remove(name);
            }
        }
        command.env_remove("NO_COLOR").env_remove("NOTIFY_SOCKET").env("COLUMNS", "100");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// Runs a command with text on standard input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Ran::from_output(child.wait_with_output().unwrap())
    }

    /// Runs a command that must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Runs a command that must succeed and answers as JSON.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = vec!["--json"];
        all.extend(args);
        serde_json::from_str(&self.ok(&all)).unwrap()
    }

    /// Starts a server and waits until it answers.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, args: &[&str]) -> Server {
        let mut all = vec!["serve"];
        all.extend(args);
        let mut server = self.start(self.command(&all));
        let socket = self.state("keywheel.sock");
        until("the server answers", || {
            assert!(server.child.try_wait().unwrap().is_none(), "{}", server.log());
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        server
    }

    /// Starts a long-running command with its log in a file.
    pub fn start(&self, mut command: Command) -> Server {
        let log = self.path(&format!("log-{}", next_number()));
        let file = std::fs::File::create(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Server { child, log }
    }

    /// What a command wrote, with what differs from run to run left out.
    pub fn clean(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        let text = text.replace(&folder, "[DIR]");
        let mut clean = String::new();
        let mut word = String::new();
        for c in text.chars().chain(std::iter::once('\0')) {
            if c.is_ascii_alphanumeric() {
                word.push(c);
                continue;
            }
            let is_id = word.len() >= 16 && word.chars().all(|c| c.is_ascii_hexdigit());
            clean.push_str(if is_id { "[ID]" } else { &word });
            word.clear();
            if c != '\0' {
                clean.push(c);
            }
        }
        clean
    }

    /// A command, its exit code and what it said, for a snapshot.
    pub fn transcript(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        let mut text = format!("$ keywheel {}\nexit code {}\n", args.join(" "), ran.code);
        text.push_str(&self.clean(&ran.stdout));
        text.push_str(&self.clean(&ran.stderr));
        text
    }
}

impl Ran {
    pub fn of(command: &mut Command) -> Self {
        Self::from_output(command.output().unwrap())
    }

    fn from_output(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Sends SIGTERM and waits; gives back the exit code and the log.
    pub fn stop(mut self) -> (i32, String) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.wait()
    }

    /// Waits for the end; gives back the exit code and the log.
    pub fn wait(&mut self) -> (i32, String) {
        let mut code = None;
        until("the process ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        (code.and_then(|status| status.code()).unwrap_or(-1), self.log())
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    until_or(what, condition, String::new);
}

/// Waits for a condition; where it waited in vain, it says what `told` gives.
pub fn until_or(what: &str, mut condition: impl FnMut() -> bool, told: impl Fn() -> String) {
    let mut left = PATIENCE;
    while !condition() {
        assert!(!left.is_zero(), "waited in vain until {what}\n{}", told());
        // tidy: sleeps because a process of its own offers no event to wait for.
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
}

/// The permission bits of a file.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn next_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
