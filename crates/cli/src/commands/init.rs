//! `keywheel init`: writes a commented `keywheel.toml`. It never replaces a file.

use std::io::Write as _;

use crate::config::TEMPLATE;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// The arguments of `keywheel init`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Writes the file that `--config` names.
///
/// # Errors
/// When it exists or cannot be written.
pub fn run(invocation: &Invocation, _args: &Args) -> Outcome {
    let file = &invocation.global.config;
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let mut opened = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Failure::failed(
            format!("{} exists, and it is never replaced", file.display()),
            "edit it, move it away, or name another file with --config",
        ),
        _ => Failure::io("written", file, &error),
    })?;
    opened
        .write_all(TEMPLATE.as_bytes())
        .and_then(|()| opened.sync_all())
        .map_err(|error| Failure::io("written", file, &error))?;
    let shown = file.display();
    invocation.console.tell(&format!("Wrote {shown}: one ring, and every setting explained."))?;
    invocation.console.tell("Next: edit it, then start the server with: keywheel serve")?;
    Ok(Exit::Done)
}
