//! A `keywheel` of its own for one test: a folder with a configuration, the real binary, and its
//! server as a process that can be killed. What is done with it is the test's business.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use keywheel_api::ring::{RingStatus, Verb};
use keywheel_api::token::{CreateToken, CreatedToken};
use keywheel_client::Token;
use keywheel_client::clock::boot_time;
use keywheel_client::http::{Endpoint, Http, HttpError, TlsOptions};
use keywheel_core::time::Span;
use serde_json::Value;

/// Whatever goes wrong is told in words.
pub type Fallible<T> = Result<T, String>;

/// No condition that a test waits for takes this long, however busy the machine is.
pub const PATIENCE: Span = Span::from_secs(180);
const ANSWERS_WITHIN: Span = Span::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The environment of the user says nothing about the server of a test.
const FOREIGN_VARIABLES: [&str; 5] = [
    "KEYWHEEL_CONFIG",
    "KEYWHEEL_SERVER",
    "KEYWHEEL_TOKEN_FILE",
    "KEYWHEEL_CA_FILE",
    "KEYWHEEL_LOG",
];

/// What every server of a test has in its configuration; rings follow.
pub const SERVER: &str = "[server]\nlisten = [\"unix:s\"]\nstate_dir = \"state\"\nname = \"test\"\n\
                          lease_ttl = \"2s\"\n";

/// A folder with a configuration, and the binary that uses it.
pub struct Installation {
    binary: PathBuf,
    folder: tempfile::TempDir,
}

impl Installation {
    /// Makes the folder, and writes this configuration into it.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn new(binary: &Path, configuration: &str) -> Fallible<Self> {
        // The path of a unix socket has a hundred bytes at most, so the folder has a short name.
        let folder =
            tempfile::Builder::new().prefix("kw").rand_bytes(6).tempdir().map_err(words)?;
        let installation = Self { binary: binary.to_owned(), folder };
        installation.configure(configuration)?;
        Ok(installation)
    }

    /// Replaces the configuration.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, configuration: &str) -> Fallible<()> {
        std::fs::write(self.path("keywheel.toml"), configuration).map_err(words)
    }

    /// A file or folder of this installation.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where clients find the server.
    pub fn endpoint(&self) -> String {
        format!("unix:{}", self.path("state/s").display())
    }

    /// A command of the binary, as somebody would type it in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for variable in FOREIGN_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Fallible<Output> {
        self.command(arguments).output().map_err(words)
    }

    /// Starts the server without waiting for it; its words are appended to `server.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &[&str]) -> Fallible<Process> {
        let mut command = self.command(&["serve"]);
        command.args(arguments);
        self.spawn_command(command)
    }

    /// Starts a server in another way than [`Installation::spawn`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_command(&self, mut command: Command) -> Fallible<Process> {
        let log = File::options().create(true).append(true).open(self.path("server.log"));
        command.stdout(Stdio::null()).stderr(log.map_err(words)?);
        Ok(Process(command.spawn().map_err(words)?))
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// When it ends by itself, or does not answer.
    pub fn start(&self, arguments: &[&str]) -> Fallible<Process> {
        let mut process = self.spawn(arguments)?;
        self.until_ready(&mut process)?;
        Ok(process)
    }

    /// Waits until a server answers.
    ///
    /// # Errors
    /// When it ends by itself, or does not answer.
    pub fn until_ready(&self, process: &mut Process) -> Fallible<()> {
        let http = self.http(None)?;
        eventually("the server answers", || {
            if let Some(status) = process.ended()? {
                return Err(format!("the server ended ({status}):\n{}", self.log()));
            }
            Ok(is_ready(&http).then_some(()))
        })
    }

    /// What servers of this installation have said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("server.log")).unwrap_or_default()
    }

    /// The API, as the holder of this token sees it.
    ///
    /// # Errors
    /// When the address is none.
    pub fn http(&self, token: Option<&Token>) -> Fallible<Http> {
        let endpoint = Endpoint::parse(&self.endpoint()).map_err(words)?;
        let http = Http::new(endpoint, token, &TlsOptions::default()).map_err(words)?;
        Ok(http.with_timeout(ANSWERS_WITHIN))
    }

    /// The token of the first administrator.
    ///
    /// # Errors
    /// When the server has not made one.
    pub fn admin_token(&self) -> Fallible<Token> {
        Token::from_file(&self.path("state/admin.token")).map_err(words)
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`Installation::admin_token`].
    pub fn admin_token_text(&self) -> Fallible<String> {
        let text = std::fs::read_to_string(self.path("state/admin.token")).map_err(words)?;
        Ok(text.trim().to_owned())
    }

    /// The API, as the first administrator sees it.
    ///
    /// # Errors
    /// When there is no administrator yet.
    pub fn admin(&self) -> Fallible<Admin> {
        Ok(Admin { http: self.http(Some(&self.admin_token()?))? })
    }
}

fn is_ready(http: &Http) -> bool {
    let deadline = boot_time().after(ANSWERS_WITHIN);
    http.call("GET", "/readyz", None, &[], deadline, None).is_ok()
}

/// A server that runs. Dropping it kills it.
pub struct Process(Child);

impl Process {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        // A process that is gone already was what this is for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Tells it to end (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(&mut self) -> Fallible<ExitStatus> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(words)?;
        self.until_ended()
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not.
    pub fn until_ended(&mut self) -> Fallible<ExitStatus> {
        eventually("the server ends", || self.ended())
    }

    /// How it ended, when it has.
    ///
    /// # Errors
    /// When the system does not know.
    pub fn ended(&mut self) -> Fallible<Option<ExitStatus>> {
        self.0.try_wait().map_err(words)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The API, as an administrator sees it.
pub struct Admin {
    /// The calls below are made over this.
    pub http: Http,
}

impl Admin {
    /// How a ring stands.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub fn ring(&self, name: &str) -> Result<RingStatus, HttpError> {
        self.http.get(&format!("/v1/rings/{name}"))
    }

    /// Begins a rotation.
    ///
    /// # Errors
    /// As [`Admin::ring`].
    pub fn rotate(&self, name: &str) -> Result<RingStatus, HttpError> {
        let body = Verb { reason: Some("a test".into()), ..Verb::default() };
        self.http.post(&format!("/v1/rings/{name}/rotate"), Some(&body), &[])
    }

    /// Makes a token; role `consumer` belongs to the consumer of the same name.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub fn token(&self, name: &str, role: &str, rings: &[&str]) -> Fallible<Token> {
        Token::new(self.token_text(name, role, rings)?).map_err(words)
    }

    /// The same as text, for those who do not speak through the client library.
    ///
    /// # Errors
    /// As [`Admin::token`].
    pub fn token_text(&self, name: &str, role: &str, rings: &[&str]) -> Fallible<String> {
        let body = CreateToken {
            name: name.into(),
            role: role.into(),
            rings: rings.iter().map(|ring| (*ring).to_owned()).collect(),
            consumer: (role == "consumer").then(|| name.to_owned()),
            cidr: None,
            uid: None,
            expires_in: None,
        };
        let created: Result<CreatedToken, _> = self.http.post("/v1/tokens", Some(&body), &[]);
        Ok(created.map_err(words)?.token)
    }

    /// Any document.
    ///
    /// # Errors
    /// As [`Admin::ring`].
    pub fn document(&self, path: &str) -> Result<Value, HttpError> {
        self.http.get(path)
    }

    /// What a metric without labels says.
    ///
    /// # Errors
    /// When the server does not answer, or does not say it.
    pub fn metric(&self, name: &str) -> Fallible<f64> {
        let deadline = boot_time().after(ANSWERS_WITHIN);
        let answer = self.http.call("GET", "/metrics", None, &[], deadline, None).map_err(words)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| format!("/metrics does not have {name}"))
    }
}

/// Waits until `look` finds something.
///
/// # Errors
/// When it fails, or does not find anything in time.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Fallible<Option<T>>) -> Fallible<T> {
    let deadline = boot_time().after(PATIENCE);
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if boot_time() >= deadline {
            return Err(format!("{what}: it did not happen within {PATIENCE}"));
        }
        // tidy: sleeps because it looks again whether it has happened.
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Writes a file that only its owner may read.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> Fallible<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(words)
}

/// An error in words, with what caused it.
pub fn words(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
