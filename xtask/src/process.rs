//! Running other programs: one place that names a program when it fails, and one that times steps.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Runs a program with this terminal's output and no input; fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    let status = command.stdin(Stdio::null()).status().map_err(|error| missing(&shown, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::found(
        format!("`{shown}` ended with {status}"),
        "its own output above says why; the same command can be run by itself",
    ))
}

/// The same, but shows what the program wrote when it is over; until then it stands in this file.
pub(crate) fn run_apart(command: &mut Command, log: &Path) -> Result<(), Failure> {
    let unwritable = |error| {
        let cause = format!("{} could not be written: {error}", log.display());
        Failure::machine(cause, "make room, or let this user write there")
    };
    let file = File::create(log).map_err(unwritable)?;
    command.stderr(file.try_clone().map_err(unwritable)?).stdout(file);
    let outcome = run(command);
    let said = std::fs::read(log).map_err(unwritable)?;
    println!("{}", String::from_utf8_lossy(&said));
    outcome
}

/// Runs a program quietly and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| missing(&shown, &error))?;
    if !output.status.success() {
        return Err(Failure::found(
            format!("`{shown}` ended with {}", output.status),
            "its own output above says why; the same command can be run by itself",
        ));
    }
    String::from_utf8(output.stdout).map_err(|_| {
        Failure::found(format!("`{shown}` wrote something that is not UTF-8"), "report this")
    })
}

/// Runs a program silently and tells whether it succeeded. A program that is not there did not.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The cargo that runs us, at the root of the workspace.
pub(crate) fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// Git, reading this repository whoever owns the files.
pub(crate) fn git(root: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(root).args(["-c", "safe.directory=*"]);
    command
}

/// The directory that cargo builds in.
pub(crate) fn target_dir(root: &Path) -> Result<PathBuf, Failure> {
    let metadata = metadata(root)?;
    let target = metadata.get("target_directory").and_then(|target| target.as_str());
    target.map(PathBuf::from).ok_or_else(|| {
        Failure::found("cargo metadata names no target directory", "update the Rust toolchain")
    })
}

/// What cargo says about the workspace's own packages.
pub(crate) fn metadata(root: &Path) -> Result<serde_json::Value, Failure> {
    let text =
        output(cargo(root).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::found(format!("cargo metadata is not JSON: {error}"), "update the Rust toolchain")
    })
}

/// A command line as somebody would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn missing(shown: &str, error: &std::io::Error) -> Failure {
    Failure::machine(
        format!("`{shown}` could not be started: {error}"),
        "install the program, or run `cargo xtask test`, which installs what the project needs",
    )
}

/// Steps of a verb: each is announced, timed, and kept for the table at the end.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, Option<Failure>)>,
}

impl Steps {
    /// Runs one step and remembers how it ended, so that later steps can still be tried.
    pub(crate) fn attempt(&mut self, name: &str, step: impl FnOnce() -> Result<(), Failure>) {
        println!("==> {name}");
        let started = stopwatch();
        let failure = step().err();
        if let Some(failure) = &failure {
            eprintln!("{name}: {failure}");
        }
        self.done.push((name.to_owned(), started.elapsed(), failure));
    }

    /// Whether a step has failed so far.
    pub(crate) fn failed(&self) -> bool {
        self.done.iter().any(|(_, _, failure)| failure.is_some())
    }

    /// Prints the table and fails with the first failure, if there was one.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        println!("\n{:>8}  step", "time");
        for (name, took, failure) in &self.done {
            let verdict = if failure.is_some() { "  FAILED" } else { "" };
            println!("{:>6.1} s  {name}{verdict}", took.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        println!("{:>6.1} s  in all", total.as_secs_f64());
        let failed: Vec<_> =
            self.done.into_iter().filter_map(|(name, _, failure)| Some((name, failure?))).collect();
        let Some((_, first)) = failed.first().cloned() else { return Ok(()) };
        if failed.len() == 1 {
            return Err(first);
        }
        let names: Vec<_> = failed.iter().map(|(name, _)| name.as_str()).collect();
        Err(Failure {
            class: first.class,
            cause: format!("{} steps failed: {}", failed.len(), names.join(", ")),
            remedy: "each one's cause and remedy stand above".to_owned(),
        })
    }
}

/// Starts a stopwatch.
#[expect(clippy::disallowed_methods, reason = "a build tool times its own steps; nothing waits")]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}
