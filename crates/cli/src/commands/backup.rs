//! `keywheel backup`: a copy of the store, sealed as it is, while the server runs.

use std::path::PathBuf;
use std::sync::Arc;

use keywheel_store::{BackupError, SqliteStore, SystemClock};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::progress;
use crate::state::{must_exist, open_failure, sealed_under};

/// The arguments of `keywheel backup`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Makes the copy.
///
/// # Errors
/// When there is no store, or the file exists or cannot be written.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let config = invocation.config()?;
    must_exist(&config.server)?;
    let store = SqliteStore::open(&config.server.store, Arc::new(SystemClock))
        .map_err(|error| open_failure(&error))?;
    let spinner = progress::spinner(&invocation.console, "copying the store");
    let copied = store.backup_to(&args.to);
    spinner.finish_and_clear();
    copied.map_err(|error| backup_failure(&error))?;
    let bytes = std::fs::metadata(&args.to).map(|facts| facts.len()).unwrap_or_default();
    let kek = sealed_under(&store)?.unwrap_or_default();
    let shown = args.to.display().to_string();
    let console = &invocation.console;
    if console.json() {
        console.value(&json!({ "file": shown, "bytes": bytes, "master_key": kek }))?;
        return Ok(Exit::Done);
    }
    console.tell(&format!("Wrote {shown}, {bytes} bytes, sealed under master key {kek}."))?;
    console.tell(
        "It opens only with that master key: keep a copy of the key too, and keep it elsewhere.",
    )?;
    Ok(Exit::Done)
}

fn backup_failure(error: &BackupError) -> Failure {
    let exit = match error {
        BackupError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::Permission
        }
        _ => Exit::Failed,
    };
    Failure::from_error(exit, error, error.remedy())
}
