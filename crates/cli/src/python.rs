//! What a Python application says of itself, for `init --from-app` and `doctor --python`. The
//! package `keywheel` of the application's own interpreter looks (`python -m keywheel.inspect`);
//! here its report is read. No key is in it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

/// More than any report has.
const REPORT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How much is read of what an interpreter said when it failed.
const COMPLAINT_BYTES_MAX: u64 = 64 * 1024;
/// The form of the report that is understood here.
const FORMAT: u32 = 1;
const UPGRADE: &str = "upgrade the package in that environment: pip install --upgrade keywheel";

/// Which Python the application runs with.
#[derive(clap::Args, Clone, Debug)]
pub struct Interpreter {
    /// The Python interpreter of the application, with the package `keywheel`
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub python_bin: PathBuf,
}

/// What was found.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// Which application it is.
    pub application: Application,
    /// Its key.
    pub key: Key,
    /// Which of its settings say how long something is protected.
    pub lifetimes: Vec<Lifetime>,
    /// How many processes serve it, where its environment says so.
    pub processes: Option<u32>,
    /// What would stand in the way of a rotation.
    pub findings: Vec<Finding>,
}

/// Which application it is.
#[derive(Clone, Debug, Deserialize)]
pub struct Application {
    /// `module:attribute`.
    pub name: String,
    /// flask, django, fastapi, starlette, celery or other.
    pub framework: String,
    /// The framework's version.
    pub version: Option<String>,
    /// Python's version.
    pub python: String,
}

/// A key, as much as may be said of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    /// The setting that holds it.
    pub setting: String,
    /// Where it comes from.
    pub state: KeyState,
    /// How many older keys are accepted besides.
    pub fallbacks: u32,
    /// How many bytes were written into the file that was asked for.
    pub written_bytes: Option<u64>,
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// There is none.
    Absent,
    /// The setting holds it, and it never changes while the process lives.
    Static,
    /// From keywheel.
    Live,
}

/// A setting that says how long something is protected.
#[derive(Clone, Debug, Deserialize)]
pub struct Lifetime {
    /// Its name.
    pub setting: String,
    /// In seconds.
    pub seconds: u64,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Requests fail, or a retired key goes on being accepted.
    Danger,
    /// Good to know.
    Advice,
}

/// Something that would stand in the way.
#[derive(Clone, Debug, Deserialize)]
pub struct Finding {
    /// The name of the rule.
    pub rule: String,
    /// How much it matters.
    pub weight: Weight,
    /// What happens and why.
    pub detail: String,
    /// What to do.
    pub remedy: String,
    /// The object, as `module.name`.
    pub object: Option<String>,
    /// The file.
    pub file: Option<PathBuf>,
    /// The line in the file.
    pub line: Option<u32>,
}

/// Either a report or why there is none.
#[derive(Deserialize)]
struct Answer {
    format: u32,
    error: Option<Refusal>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Refusal {
    cause: String,
    remedy: String,
}

/// Has the application imported in an interpreter of its own, and reads what is said of it. With
/// `key_file`, its present key is written there by that interpreter: a new file of mode 0600.
///
/// # Errors
/// When there is no such interpreter, the package is not in it, or the application cannot be
/// loaded.
pub fn inspect(
    invocation: &Invocation,
    interpreter: &Interpreter,
    application: &str,
    key_file: Option<&Path>,
) -> Result<Report, Failure> {
    let program = &interpreter.python_bin;
    let failed = |error: &std::io::Error| not_started(program, error);
    let mut complaint = tempfile::tempfile().map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    command.args(["-m", "keywheel.inspect", "--json"]);
    if let Some(file) = key_file {
        command.arg("--key-file").arg(file);
    }
    command.args([OsStr::new("--"), OsStr::new(application)]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    if invocation.global.verbose == 0 {
        // What the application says while it is imported is nobody's answer.
        command.stderr(complaint.try_clone().map_err(|error| failed(&error))?);
    }
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let mut report = Vec::new();
    let read = match child.stdout.take() {
        Some(out) => out.take(REPORT_BYTES_MAX).read_to_end(&mut report),
        None => Ok(0),
    };
    let ended = child.wait();
    read.and(ended.map(|_| 0)).map_err(|error| failed(&error))?;
    match serde_json::from_slice(&report) {
        Ok(answer) => settle(answer),
        Err(_) => Err(no_report(program, &mut complaint)),
    }
}

fn settle(answer: Answer) -> Result<Report, Failure> {
    if let Some(refusal) = answer.error {
        return Err(Failure::failed(refusal.cause, refusal.remedy));
    }
    if answer.format != FORMAT {
        let cause = format!("the package reports in the form {}, not {FORMAT}", answer.format);
        return Err(Failure::failed(cause, UPGRADE));
    }
    serde_json::from_value(answer.rest.into())
        .map_err(|error| Failure::failed(format!("the package's report: {error}"), UPGRADE))
}

fn not_started(program: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("{} could not be started: {error}", program.display()),
        "name the application's Python interpreter with --python-bin",
    )
}

/// The interpreter said something, but no report.
fn no_report(program: &Path, complaint: &mut File) -> Failure {
    let mut bytes = Vec::new();
    let read = complaint
        .seek(SeekFrom::Start(0))
        .and_then(|_| complaint.take(COMPLAINT_BYTES_MAX).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let lacks = |name: &str| last.contains(&format!("No module named {name}"));
    if read.is_ok() && (lacks("keywheel") || lacks("'keywheel")) {
        return Failure::failed(
            format!("{} has no package `keywheel` that can look", program.display()),
            "install it there, pip install keywheel, or name the application's own interpreter \
             with --python-bin",
        );
    }
    Failure::failed(
        format!("{} gave no report: {last}", program.display()),
        "run it yourself to see why: python -m keywheel.inspect module:app",
    )
}
