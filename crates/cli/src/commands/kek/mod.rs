//! `keywheel kek`: which master key seals the store, and its replacement.

use std::collections::BTreeMap;
use std::sync::Arc;

use keywheel_engine::ports::{Kek as _, Store as _};
use keywheel_store::kek::FileRotation;
use keywheel_store::{Envelope, KekSource, SqliteStore, SystemClock, SystemEntropy};
use serde_json::json;

use crate::config::{Config, ServerConfig};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;
use crate::progress;
use crate::state::{State, engine_failure, kek_failure, must_exist, open_failure};

/// The arguments of `keywheel kek`.
#[derive(clap::Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Shows the master key's id, and what in the store is sealed under which
    Status,
    /// Replaces the master key file, with the server stopped; an interrupted run is taken up again
    Rotate,
}

/// Runs a task.
///
/// # Errors
/// When the master key or the store cannot be opened.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let config = invocation.config()?;
    must_exist(&config.server)?;
    match args.task {
        Task::Status => status(invocation, &config.server),
        Task::Rotate => rotate(invocation, &config),
    }
}

fn status(invocation: &Invocation, server: &ServerConfig) -> Outcome {
    let store = SqliteStore::open(&server.store, Arc::new(SystemClock))
        .map_err(|error| open_failure(&error))?;
    let sealed = sealed_values(&store)?;
    let needed = sealed.keys().next().map(String::as_str);
    let kek =
        server.kek.open(Arc::new(SystemEntropy)).map_err(|error| kek_failure(&error, needed))?;
    let (present, source) = (kek.id().0, source_text(&server.kek));
    let former: Vec<String> = kek.former_ids().into_iter().map(|id| id.0).collect();
    let console = &invocation.console;
    if console.json() {
        let report = json!({
            "id": present, "source": source, "former": former, "sealed_values": sealed,
        });
        console.value(&report)?;
    } else {
        console.line(&format!("master key  {present}  ({source})"))?;
        for id in &former {
            console.line(&format!(
                "former key  {id}  still needed: finish with keywheel kek rotate"
            ))?;
        }
        for (id, count) in &sealed {
            console.line(&format!("sealed      {count} values under {id}"))?;
        }
    }
    let all_at_hand = sealed.keys().all(|id| *id == present || former.contains(id));
    if all_at_hand {
        return Ok(Exit::Done);
    }
    Err(Failure::failed(
        "the store holds values that no master key at hand opens",
        "give the server the master key that is named, or restore a backup",
    ))
}

/// How many values are sealed under each master key.
fn sealed_values(store: &SqliteStore) -> Result<BTreeMap<String, usize>, Failure> {
    let mut counts = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store.list("", after.as_ref(), 500).map_err(|error| {
            Failure::failed(chain(&error), "run: keywheel doctor; or restore a backup")
        })?;
        let Some((last, _)) = page.last() else { return Ok(counts) };
        after = Some(last.clone());
        for (_, stored) in &page {
            let id = Envelope::parse(&stored.value)
                .map_or_else(|_| "nothing".to_owned(), |envelope| envelope.kek().0.clone());
            *counts.entry(id).or_default() += 1;
        }
    }
}

fn rotate(invocation: &Invocation, config: &Config) -> Outcome {
    let KekSource::File { path } = &config.server.kek else {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "the master key is {}, which keywheel does not make",
                source_text(&config.server.kek)
            ),
            "only key files are replaced here; move to one by a backup and a restore",
        ));
    };
    let state = State::open(&config.server)?;
    let refused = |error: &keywheel_store::KekOpenError| kek_failure(error, None);
    let former = state.kek.former_ids().first().map_or_else(|| state.kek.id(), Clone::clone);
    let rotation =
        FileRotation::begin(path, Arc::new(SystemEntropy)).map_err(|error| refused(&error))?;
    state.kek.promote(rotation.next());
    let engine = state.engine(&config.server, false)?;
    let spinner = progress::spinner(&invocation.console, "sealing under the new master key");
    let moved = engine.rewrap_all();
    spinner.finish_and_clear();
    let moved = moved.map_err(|error| {
        let mut failure = engine_failure(&error);
        failure.remedy.push_str("; then run this again, it goes on where it ended");
        failure
    })?;
    let present = state.kek.id().0;
    // What the former key sealed lingers in the write-ahead log until that is emptied.
    if let Err(error) = state.store.scrub() {
        invocation.console.warn(&format!("the store's log was not emptied: {error}"));
    }
    let kept = rotation.finish().map_err(|error| refused(&error))?;
    let console = &invocation.console;
    let kept = kept.display().to_string();
    if console.json() {
        console.value(&json!({
            "id": present, "former": former.0, "former_file": kept, "values": moved,
        }))?;
        return Ok(Exit::Done);
    }
    console.tell(&format!("{moved} values are sealed under master key {present} now."))?;
    console.tell(&format!(
        "The former key {} is kept as {kept}: backups made before need it as long as they live.",
        former.0
    ))?;
    console.tell("Keep a copy of the new key elsewhere, then start the server.")?;
    Ok(Exit::Done)
}

fn source_text(source: &KekSource) -> String {
    match source {
        KekSource::File { path } => format!("file {}", path.display()),
        KekSource::Credential { name } => format!("the systemd credential `{name}`"),
        KekSource::Passphrase { path, .. } => format!("the passphrase in {}", path.display()),
        _ => "of another kind".to_owned(),
    }
}
