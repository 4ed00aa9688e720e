//! From arguments to what `keywheel_deliver::exec` runs: everything that cannot work is refused
//! before anything starts.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use keywheel_core::time::Span;
use keywheel_deliver::exec::plan::Shape;
use keywheel_deliver::exec::programs::{self, Sockets, UNKNOWN};
use keywheel_deliver::exec::settings::{
    ExecSettings, OWN_SOCKET, OfflineExec, Ready, Restart, Variable, VariableError,
};
use keywheel_deliver::exec::sockets::{Address, AddressError};
use keywheel_deliver::settings::{Attempt, HttpAttempt, Probe};

use super::Args;
use crate::config;
use crate::exit::Exit;
use crate::failure::Failure;

/// One request of a readiness check takes no longer.
const ONE_TRY: Span = Span::from_secs(5);

/// When the program is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RestartWhen {
    /// Never
    Never,
    /// When it failed
    OnFailure,
    /// Always
    Always,
}

/// What happens without a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OfflineWhat {
    /// The program goes on
    Keep,
    /// The program ends
    Stop,
}

fn usage(cause: impl Into<String>, remedy: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, cause, remedy)
}

/// Settles the arguments.
pub(super) fn settings(args: &Args) -> Result<ExecSettings, Failure> {
    let program = programs::known(&args.argv).copied().unwrap_or(UNKNOWN);
    let beside = !args.listen.is_empty();
    let floor = args.floor.unwrap_or_else(|| Shape::highest_floor(args.copies, beside));
    let shape = Shape { copies: args.copies, floor, beside }
        .checked()
        .map_err(|error| usage(error.to_string(), error.remedy()))?;
    let restart = match args.restart {
        Some(RestartWhen::OnFailure) => Restart::OnFailure,
        Some(RestartWhen::Never) => Restart::Never,
        Some(RestartWhen::Always) => Restart::Always,
        None => default_restart(args.copies),
    };
    let settings = ExecSettings {
        argv: args.argv.clone(),
        program,
        variables: variables(args)?,
        shape,
        stop_signal: args.stop_signal.unwrap_or(program.stop),
        stop_timeout: args.stop_timeout,
        start_timeout: args.start_timeout,
        ready: ready(args),
        probes: probes(args)?,
        restart,
        when_offline: match args.when_offline {
            OfflineWhat::Keep => OfflineExec::Keep,
            OfflineWhat::Stop => OfflineExec::Stop,
        },
    };
    if settings.rings().is_empty() {
        return Err(usage(
            "no variable is of a ring",
            "add one: --env SECRET_KEY=ring:web-session",
        ));
    }
    if settings.needs_own_sockets() && !(beside && program.sockets == Sockets::All) {
        return Err(usage(
            "a path is asked over a socket of each child's own, and this program takes none",
            "give a URL, such as http://127.0.0.1:8000/healthz; paths are for programs that take \
             all sockets of --listen, see --explain",
        ));
    }
    Ok(settings)
}

const fn default_restart(copies: usize) -> Restart {
    if copies == 1 { Restart::Never } else { Restart::Always }
}

/// Reads the variables here rather than while arguments are parsed, so that no error repeats a
/// value, which may be a secret by mistake.
fn variables(args: &Args) -> Result<Vec<Variable>, Failure> {
    let mut variables = Vec::<Variable>::with_capacity(args.variables.len());
    for text in &args.variables {
        let variable: Variable = text
            .parse()
            .map_err(|error: VariableError| usage(error.to_string(), error.remedy()))?;
        if variables.iter().any(|other| other.name == variable.name) {
            let cause = format!("--env {} is given twice", variable.name);
            return Err(usage(cause, "keep one of the two"));
        }
        variables.push(variable);
    }
    Ok(variables)
}

/// The addresses that the program is handed.
pub(super) fn listen(args: &Args) -> Result<Vec<Address>, Failure> {
    let addresses = args.listen.iter().map(|text| text.parse());
    addresses
        .collect::<Result<_, AddressError>>()
        .map_err(|error| usage(format!("--listen: {error}"), AddressError::REMEDY))
}

fn ready(args: &Args) -> Ready {
    let Some(text) = &args.ready else { return Ready::Settled(args.settle) };
    if !text.starts_with('/') {
        return Ready::Probed(ready_probe(args, text.clone()));
    }
    Ready::Own(ready_probe(args, format!("{OWN_SOCKET}{text}")))
}

fn ready_probe(args: &Args, url: String) -> Probe {
    let attempt = HttpAttempt {
        url,
        tls: None,
        method: "GET".to_owned(),
        headers: Vec::new(),
        artefact: None,
        fresh: 1,
        accepted: Vec::new(),
        refused: Vec::new(),
        fingerprint: None,
        workers: None,
    };
    Probe {
        name: "ready".to_owned(),
        attempt: Attempt::Http(attempt),
        within: args.ready_timeout,
        timeout: ONE_TRY.min(args.ready_timeout),
    }
}

fn probes(args: &Args) -> Result<Vec<Probe>, Failure> {
    let Some(file) = &args.probe else { return Ok(Vec::new()) };
    config::agent::probes_of(file)
}

/// Looks for the program as the kernel would, so that a misspelt name is told at once.
pub(super) fn find_program(settings: &ExecSettings) -> Result<(), Failure> {
    let Some(program) = settings.argv.first() else {
        return Err(usage("no program was named", "name it behind --"));
    };
    if found(program) {
        return Ok(());
    }
    let shown = program.to_string_lossy();
    Err(Failure::new(
        Exit::Program(127),
        format!("there is no program {shown}"),
        "check the name, and PATH",
    ))
}

fn found(program: &OsStr) -> bool {
    let is_file = |path: &Path| path.is_file();
    if Path::new(program).components().count() > 1 {
        return is_file(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.iter().any(|folder| is_file(&folder.join(program)))
}
