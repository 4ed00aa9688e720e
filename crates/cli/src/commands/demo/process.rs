//! The processes of the demonstration: this program once more, in another part. They end with
//! whoever holds them, and by themselves when their parent does.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;
use rustix::process::{Pid, Signal, kill_process};

use super::parent::Order;
use crate::failure::Failure;

/// How long a process may take to end by itself before it is killed.
const ENDS_WITHIN: Span = Span::from_secs(4);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How much of its log is shown when a process fails.
const LOG_LINES: usize = 12;

/// The environment of the user says nothing about the demonstration's own server.
const FOREIGN_VARIABLES: [&str; 4] =
    ["KEYWHEEL_CONFIG", "KEYWHEEL_SERVER", "KEYWHEEL_TOKEN_FILE", "KEYWHEEL_CA_FILE"];

/// A process that runs. Dropping it kills it.
pub(super) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts this program with other arguments, in a process group of its own, so that Ctrl-C
    /// reaches the parent alone.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        name: &str,
        folder: &Path,
        arguments: &[&std::ffi::OsStr],
    ) -> Result<(Self, ChildStdout), Failure> {
        let log = folder.join(name).with_extension("log");
        let mut command = Command::new(this_program().map_err(|error| failed(name, &error))?);
        command.arg0("keywheel").args(arguments).current_dir(folder).process_group(0);
        for variable in FOREIGN_VARIABLES {
            command.env_remove(variable);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(open_log(&log).map_err(|error| Failure::io("written", &log, &error))?)
            .spawn()
            .map_err(|error| failed(name, &error))?;
        let input = child.stdin.take();
        let output = child.stdout.take();
        let process = Self { name: name.into(), child, input, log };
        let output = output.ok_or_else(|| failed(name, &"it has no standard output"))?;
        Ok((process, output))
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says something to the process.
    ///
    /// # Errors
    /// When it does not listen any more.
    pub(super) fn say(&mut self, order: Order) -> Result<(), Failure> {
        let written = match &mut self.input {
            Some(input) => writeln!(input, "{}", order.word()).and_then(|()| input.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|_| self.ended())
    }

    /// Stops the process where it stands (SIGSTOP).
    ///
    /// # Errors
    /// When there is no such process any more.
    pub(super) fn stop(&self) -> Result<(), Failure> {
        self.signal(Signal::STOP)
    }

    /// Lets a stopped process go on (SIGCONT).
    ///
    /// # Errors
    /// When there is no such process any more.
    pub(super) fn go_on(&self) -> Result<(), Failure> {
        self.signal(Signal::CONT)
    }

    /// Kills the process (SIGKILL) and waits for its end.
    pub(super) fn kill(&mut self) {
        // A process that is gone already was what this is for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Lets the process end by itself, and kills it when it does not.
    pub(super) fn end(&mut self) {
        drop(self.input.take());
        let deadline = boot_time().after(ENDS_WITHIN);
        while self.is_running() && boot_time() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        self.kill();
    }

    /// Checks that the process has not ended by itself.
    ///
    /// # Errors
    /// When it has.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        if self.is_running() { Ok(()) } else { Err(self.ended()) }
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| failed(&self.name, &error))
    }

    fn ended(&self) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default();
        let said = if last.is_empty() { "nothing".into() } else { last.join("\n") };
        failed(&self.name, &format!("it ended by itself; its last words: {said}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// On Linux this finds the program even after its file was replaced, as an upgrade or a build does.
fn this_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

fn open_log(log: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(log)
}

/// Reads what a process writes, line by line, until it ends.
///
/// # Errors
/// When no thread can be started.
pub(super) fn follow(
    output: ChildStdout,
    mut heed: impl FnMut(&str) + Send + 'static,
) -> Result<(), Failure> {
    let lines = move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            heed(&line);
        }
    };
    thread(lines)
}

fn failed(name: &str, cause: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        format!("the process `{name}` of the demonstration failed: {cause}"),
        "run it again; if it stays so, please report it",
    )
}

/// Starts a thread that lives as long as the process.
///
/// # Errors
/// When the system refuses.
pub(super) fn thread(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    std::thread::Builder::new().spawn(work).map(drop).map_err(|error| failed("thread", &error))
}

/// Ends this process as a supervisor would: politely, and for certain.
pub(super) fn end_myself() {
    if kill_process(rustix::process::getpid(), Signal::TERM).is_ok() {
        std::thread::sleep(ENDS_WITHIN.to_std());
    }
    std::process::exit(1);
}
