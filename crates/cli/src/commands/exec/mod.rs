//! `keywheel exec`: runs a program with keys in its environment, anew when they change. How that is
//! done is in `keywheel_deliver::exec`; here arguments become its settings, and signals its events.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use keywheel_client::{Client, TlsOptions, TokenSource};
use keywheel_core::time::Span;
use keywheel_deliver::exec::ExecError;
use keywheel_deliver::exec::settings::{ExecSettings, OfflineExec};
use keywheel_deliver::exec::shim::CoreLimit;
use keywheel_deliver::exec::sockets::Socket;
use keywheel_deliver::exec::supervisor::{Supervisor, World};

use super::serve::{hardening, logging, supervisor as service};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;
use crate::remote;

mod explain;
mod settle;
mod signals;

/// No more happens at once than fits here; whoever tells more waits.
const EVENTS_MAX: usize = 1_024;

/// The arguments of `keywheel exec`.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The consumer that the program is, as the policies of its rings declare it
    #[arg(long, value_name = "NAME", env = "KEYWHEEL_CONSUMER", hide_env_values = true)]
    #[arg(required_unless_present = "explain")]
    consumer: Option<String>,
    /// A variable of the program: NAME=ring:RING is the primary; NAME=ring:RING:others,join=, or
    /// NAME=ring:RING:accepted,json a list. Options before json or join: order=primary-last,
    /// form=base64|hex|public-pem|kid|fingerprint. NAME=text{index} differs between copies
    #[arg(long = "env", value_name = "VARIABLE", required_unless_present = "explain")]
    variables: Vec<String>,
    /// An address that outlives the program: 127.0.0.1:8000 or unix:/path. It is opened once and
    /// handed to each child (LISTEN_FDS), so that a successor starts beside its predecessor
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// How many copies run; {index} in arguments is the number of each
    #[arg(long, value_name = "N", default_value_t = 1)]
    copies: usize,
    /// At least so many copies stay ready while others are replaced. Default: all with --listen,
    /// else all but one
    #[arg(long, value_name = "M")]
    floor: Option<usize>,
    /// What answers 2xx when a child works: a URL, or a path such as /healthz, which is asked over
    /// a socket of the child's own (with --listen, for programs that take several). Without it a
    /// child works when it still runs after --settle
    #[arg(long, value_name = "URL|PATH")]
    ready: Option<String>,
    /// A child must be ready within this, or it is ended and started again later
    #[arg(long, value_name = "TIME", default_value = "60s")]
    ready_timeout: Span,
    /// Without --ready: how long a child must run to count as ready
    #[arg(long, value_name = "TIME", default_value = "1s")]
    settle: Span,
    /// A file of [[probe]] tables as in agent.toml, which show that the program uses its keys. They
    /// must pass before anything is proved, and are tried again about as often as the lease is
    /// renewed. An http that is a path is asked over a socket of the child's own
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
    /// The signal with which the program ends in good order. Default: see --explain
    #[arg(long, value_name = "SIGNAL", value_parser = signals::parse)]
    stop_signal: Option<rustix::process::Signal>,
    /// After this much longer it is killed, with everything in its process group
    #[arg(long, value_name = "TIME", default_value = "30s")]
    stop_timeout: Span,
    /// The keys must arrive within this, or nothing is started
    #[arg(long, value_name = "TIME", default_value = "30s")]
    start_timeout: Span,
    /// What happens when the program ends by itself: never restarts, and gives back its exit code.
    /// Default: never for one copy, always for several
    #[arg(long, value_enum)]
    restart: Option<settle::RestartWhen>,
    /// What happens when no server was reached for the ring's offline_max: keep goes on, and
    /// rotations wait for this program however long it takes; stop ends it until one is reached
    #[arg(long, value_enum, default_value = "keep")]
    when_offline: settle::OfflineWhat,
    /// A folder of mode 0700 for who the children are at the server: when exec was killed, its next
    /// start then ends what it left there at once. Use it for one exec only
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY", hide_env_values = true)]
    state_dir: Option<PathBuf>,
    /// Shows what is known of the program and what would be done, and runs nothing
    #[arg(long)]
    explain: bool,
    /// The program and its arguments
    #[arg(last = true, value_name = "PROGRAM", required_unless_present = "explain")]
    argv: Vec<std::ffi::OsString>,
}

const AFTER_HELP: &str = "The exit code is that of the program; 128 and more when a signal ended \
                          it. Standard input of the program is empty.\n\n\
                          Example:\n  keywheel exec --consumer web --listen 127.0.0.1:8000 \
                          --ready /healthz \\\n    --env SECRET_KEY=ring:web-session \\\n    \
                          --env SECRET_KEY_FALLBACKS=ring:web-session:others,join=, \\\n    \
                          -- gunicorn --workers 4 app:app";

/// Runs the program until it ends.
///
/// # Errors
/// When something cannot work, or the program cannot be started.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    if args.explain {
        return explain::run(invocation, args);
    }
    let settings = settle::settings(args)?;
    let listen = settle::listen(args)?;
    logging::start(logging::LogFormat::Human, invocation.global.verbose, invocation.global.quiet);
    settle::find_program(&settings)?;
    let connect = connector(invocation, args, &settings)?;
    let core = CoreLimit::lower();
    hardening::not_dumpable();
    warn(args, &settings);
    let sockets: Result<Vec<_>, _> = listen.iter().map(Socket::open).collect();
    let sockets = sockets.map_err(|error| failure(&error.into()))?;
    let folder = own_sockets(&settings)?;
    let events = sync_channel(EVENTS_MAX);
    signals::listen(events.0.clone())?;
    let world = World {
        connect: &connect,
        sockets,
        own_sockets: folder.as_ref().map(|folder| folder.path().to_owned()),
        core,
        on_ready: &|| service::notify("READY=1\nSTATUS=all copies are ready"),
        events,
    };
    // On this thread, because the kernel ends children with the thread that started them.
    let ended = Supervisor::new(&settings, world).run().map_err(|error| failure(&error))?;
    Ok(if ended == 0 { Exit::Done } else { Exit::Program(ended) })
}

/// How each child gets a client, which answers for its process.
fn connector(
    invocation: &Invocation,
    args: &Args,
    settings: &ExecSettings,
) -> Result<impl Fn(u32, usize) -> Result<Client, String> + use<>, Failure> {
    let (endpoint, token_file) = remote::of_consumer(invocation)?;
    let ca_file = invocation.global.ca_file.clone();
    let consumer = args.consumer.clone().unwrap_or_default();
    let rings = settings.rings();
    let endures = settings.when_offline == OfflineExec::Keep;
    let state_dir = args.state_dir.clone();
    if let Some(folder) = &state_dir {
        make_private(folder)?;
    }
    let build = move |pid, place| {
        let token = TokenSource::File(token_file.clone());
        let mut builder = Client::builder(endpoint.clone(), token)
            .consumer(consumer.clone())
            .tls(TlsOptions { ca_file: ca_file.clone() })
            .deferred()
            .pid(pid);
        for ring in &rings {
            builder = builder.ring(ring.as_str());
        }
        if endures {
            builder = builder.endures();
        }
        if let Some(folder) = &state_dir {
            builder = builder.identity_file(folder.join(format!("{consumer}-{place}")));
        }
        builder.build().map_err(|error| error.to_string())
    };
    // What is wrong with names and addresses is told before anything starts.
    build(std::process::id(), 0)
        .map_err(|cause| Failure::new(Exit::Usage, cause, "correct the argument"))?;
    Ok(build)
}

/// Makes a folder that only this user may enter, where it is missing.
fn make_private(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Failure::io("made", folder, &error))
}

/// A folder for sockets of single children.
fn own_sockets(settings: &ExecSettings) -> Result<Option<tempfile::TempDir>, Failure> {
    if !settings.needs_own_sockets() {
        return Ok(None);
    }
    // Names of unix sockets are short, so this folder has a short one; tempfile makes it 0700.
    let made = tempfile::Builder::new().prefix("kw-exec").tempdir();
    let folder = std::env::temp_dir();
    made.map(Some).map_err(|error| Failure::io("used", &folder, &error))
}

/// Says before anything starts what people will otherwise wonder about.
fn warn(args: &Args, settings: &ExecSettings) {
    for ring in settings.one_slot() {
        tracing::warn!(
            %ring,
            "the program is given only the primary, so it cannot accept the next key before it is \
             used: add a variable with {ring}:others or {ring}:accepted, or declare the consumer \
             with one_slot = true and cutover = true and accept what a rotation then refuses"
        );
    }
    if args.listen.is_empty() && settings.shape.floor == 0 {
        tracing::warn!(
            "each change of the keys stops the program and then starts it: with --listen a \
             successor would start beside it, and with --copies one would stay"
        );
    }
}

fn failure(error: &ExecError) -> Failure {
    let exit = match error {
        ExecError::NoKeys { .. } => Exit::Unreachable,
        _ => Exit::Failed,
    };
    Failure::new(exit, chain(error), error.remedy())
}
