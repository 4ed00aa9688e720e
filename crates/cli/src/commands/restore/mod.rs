//! `keywheel restore`: puts a backup in the place of the store, or accepts a store that is older
//! than what this machine has seen. Either way each ring begins a new life, so that nothing which
//! was proved to the former one counts.

use std::path::PathBuf;

use keywheel_core::id::RingName;
use keywheel_engine::{Adopted, Context};
use serde_json::json;

use crate::config::ServerConfig;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;
use crate::show::counted;
use crate::state::{Lock, State, engine_failure, lead, make_folders};

mod replace;

/// The arguments of `keywheel restore`.
#[derive(clap::Args, Debug)]
#[group(id = "what", required = true, multiple = false)]
pub struct Args {
    /// Puts this backup in the place of the store; the present one is kept beside it
    #[arg(long, value_name = "FILE", group = "what")]
    from: Option<PathBuf>,
    /// Accepts the store as it is, although it is older than what this machine has seen
    #[arg(long, group = "what")]
    adopt: bool,
    /// Why, in words, for the record
    #[arg(long, value_name = "TEXT", default_value = "restored from a backup")]
    reason: String,
}

/// Restores.
///
/// # Errors
/// When a server runs, the backup is none or is sealed under another master key, or the disk
/// refuses. The present store is then as it was.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let config = invocation.config()?;
    let server = &config.server;
    make_folders(server)?;
    let lock = Lock::take(&server.lock_file())?;
    let kept = match &args.from {
        Some(backup) => replace::replace(server, backup)?,
        None => None,
    };
    let Adopted { rings, left } = adopt(server, lock, &args.reason)?;
    let names: Vec<&str> = rings.iter().map(RingName::as_str).collect();
    let exit = if left.is_empty() { Exit::Done } else { Exit::Failed };
    let console = &invocation.console;
    if console.json() {
        let kept = kept.as_ref().map(|path| path.display().to_string());
        let left = left.iter().map(|(ring, error)| {
            json!({ "ring": ring.as_str(), "cause": error.to_string(), "remedy": error.remedy() })
        });
        let left: Vec<_> = left.collect();
        console.value(&json!({ "rings": names, "left": left, "kept": kept }))?;
        return Ok(exit);
    }
    if let Some(kept) = kept {
        console.tell(&format!("The former store is kept as {}.", kept.display()))?;
    }
    console.tell(&format!(
        "{} began a new life: {}. Each consumer proves anew; gates stay closed until then.",
        counted(rings.len(), "ring"),
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    ))?;
    for (ring, error) in &left {
        console.tell(&format!(
            "Ring {ring} is left as it was and stays refused: {error}. {}.",
            error.remedy()
        ))?;
    }
    let admin_token = server.admin_token();
    if !admin_token.exists() {
        console.tell(&format!(
            "{} is not there, and no backup holds it: start once with keywheel serve \
             --new-admin-token",
            admin_token.display()
        ))?;
    }
    console.tell("Start the server, then look at: keywheel status")?;
    Ok(exit)
}

fn adopt(server: &ServerConfig, lock: Lock, reason: &str) -> Result<Adopted, Failure> {
    let state = State::open_with(server, lock)?;
    state.store.leap_after_restore().map_err(|error| {
        Failure::failed(chain(&error), "run it again; nothing else was changed")
    })?;
    let engine = state.engine_set_back(server)?;
    lead(&engine, server)?;
    let context = Context {
        actor: "keywheel restore".into(),
        reason: Some(reason.to_owned()),
        ..Context::default()
    };
    let rings = engine.adopt(&context).map_err(|error| engine_failure(&error));
    engine.stop();
    rings
}
