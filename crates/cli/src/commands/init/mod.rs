//! `keywheel init`: writes a commented `keywheel.toml`, or drafts one from a live application. It
//! never replaces a file.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use keywheel_core::id::RingName;

use crate::config::TEMPLATE;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::python::{self, Interpreter, Report};

mod draft;

/// The arguments of `keywheel init`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Imports this Python application, `module:attribute` or `module:factory()`, in the folder of
    /// this process, and drafts a ring for the key of its sessions: with the longest lifetime that
    /// its settings say, and its present key in a file of its own, for `keywheel ring import`
    #[arg(long, value_name = "APP")]
    from_app: Option<String>,
    #[command(flatten)]
    interpreter: Interpreter,
    /// The name of the ring that is drafted
    #[arg(long, value_name = "RING", default_value = "web", requires = "from_app")]
    ring: RingName,
    /// Where the present key is kept until it is imported: a new file of mode 0600. Default:
    /// RING.key beside the configuration
    #[arg(long, value_name = "FILE", requires = "from_app")]
    key_file: Option<PathBuf>,
}

/// Writes the file that `--config` names.
///
/// # Errors
/// When it exists or cannot be written, or the application cannot be imported.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let file = &invocation.global.config;
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let opened = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::failed(
            format!("{} exists, and it is never replaced", file.display()),
            "edit it, move it away, or name another file with --config",
        ),
        _ => Failure::io("written", file, &error),
    })?;
    let Some(application) = &args.from_app else {
        write(opened, file, TEMPLATE)?;
        let shown = file.display();
        let told = format!("Wrote {shown}: one ring, and every setting explained.");
        invocation.console.tell(&told)?;
        invocation.console.tell("Next: edit it, then start the server with: keywheel serve")?;
        return Ok(Exit::Done);
    };
    let key_file = args.key_file.clone().unwrap_or_else(|| {
        file.parent().unwrap_or(Path::new("")).join(format!("{}.key", args.ring))
    });
    let drafted = python::inspect(invocation, &args.interpreter, application, Some(&key_file))
        .and_then(|report| {
            write(opened, file, &draft::draft(&report, &args.ring, &key_file))?;
            Ok(report)
        });
    match drafted {
        Ok(report) => tell(invocation, &report, &args.ring, &key_file),
        Err(failure) => {
            // Ours alone: it was made a moment ago, under a name that nothing had.
            let _ = std::fs::remove_file(file);
            Err(failure)
        }
    }
}

fn write(mut opened: File, file: &Path, text: &str) -> Result<(), Failure> {
    opened
        .write_all(text.as_bytes())
        .and_then(|()| opened.sync_all())
        .map_err(|error| Failure::io("written", file, &error))
}

/// Says what was done and what comes next.
fn tell(invocation: &Invocation, report: &Report, ring: &RingName, key_file: &Path) -> Outcome {
    let console = &invocation.console;
    let file = invocation.global.config.display();
    let app = &report.application;
    console.tell(&format!("Wrote {file}: ring `{ring}` for {} ({}).", app.name, app.framework))?;
    if report.key.written_bytes.is_some() {
        let shown = key_file.display();
        console.tell(&format!("Kept the present key in {shown}, which only you can read."))?;
    }
    console.tell("Next, so that nothing in use becomes invalid:")?;
    for step in draft::steps(report, ring, key_file) {
        console.tell(&format!("  {step}"))?;
    }
    Ok(Exit::Done)
}
