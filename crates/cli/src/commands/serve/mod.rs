//! `keywheel serve`: opens the state, drives the engine on one thread, serves the API, and takes
//! everything down in order. What a server is, is in the crates below.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use keywheel_engine::Engine;
use keywheel_server::{Listen, Running, Server, Settings, StartError};

use crate::config::Config;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;
use crate::state::State;

mod admin_token;
pub(in crate::commands) mod hardening;
pub(in crate::commands) mod logging;
mod rings;
pub(in crate::commands) mod supervisor;

use logging::LogFormat;

/// How long requests in progress may take to end.
const DRAIN: Duration = Duration::from_secs(10);

/// The arguments of `keywheel serve`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How logs are written to standard error
    #[arg(long, value_enum, default_value = "human")]
    log: LogFormat,
    /// Leaves the rings as they are on the server; send them later with: keywheel apply
    #[arg(long)]
    no_apply: bool,
    /// Makes another administrator's token when the file with the first one is gone
    #[arg(long)]
    new_admin_token: bool,
}

/// Runs the server until it is told to end.
///
/// # Errors
/// When the configuration is wrong, the state cannot be opened, or an address cannot be used.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    hardening::no_core_dumps();
    let config = invocation.config()?;
    logging::start(args.log, invocation.global.verbose, invocation.global.quiet);
    let driven = Driven::start(&config, args.new_admin_token, !args.no_apply)?;
    let served = serve(&config, &driven.engine, || {
        // Before the first answer: whoever sees one may tell the server to end.
        let mut signals = Signals::listen()?;
        Ok(|addresses: String| async move {
            supervisor::notify(&format!("READY=1\nSTATUS={addresses}"));
            signals.next().await;
            tracing::info!("told to end");
            supervisor::notify("STOPPING=1");
            Ok(async move {
                signals.next().await;
                tracing::warn!("told again: ending at once");
            })
        })
    });
    driven.stop();
    served
}

/// The state of a server, opened, and its engine, driven by a thread.
pub(in crate::commands) struct Driven {
    /// The engine.
    pub(in crate::commands) engine: Arc<Engine>,
    driver: Driver,
    state: State,
}

impl Driven {
    /// Opens what a server keeps, makes what is missing, and leads.
    ///
    /// # Errors
    /// When the state cannot be opened.
    pub(in crate::commands) fn start(
        config: &Config,
        wants_another_token: bool,
        applies: bool,
    ) -> Result<Self, Failure> {
        let mut state = State::open_or_create(&config.server)?;
        state.announce();
        if state.is_new {
            tracing::info!(
                state_dir = %config.server.state_dir.display(),
                "first start: keep a copy of the master key elsewhere, no backup opens without it"
            );
        }
        if !state.kek.former_ids().is_empty() {
            tracing::warn!(
                "the master key is being replaced, and both keys are needed: \
                 stop the server and run keywheel kek rotate to finish"
            );
        }
        let engine = Arc::new(state.engine(&config.server, !config.notify.is_empty())?);
        admin_token::ensure(&engine, &config.server.admin_token(), wants_another_token)?;
        let driver = Driver::start(Arc::clone(&engine))?;
        if applies {
            rings::apply(&engine, &config.rings);
        }
        Ok(Self { engine, driver, state })
    }

    /// Ends the thread, and closes the state.
    pub(in crate::commands) fn stop(self) {
        self.driver.stop();
        self.engine.stop();
        drop(self.state);
    }
}

/// Serves until what `prepare` gives, which is told the addresses, is over. What that gives back
/// cuts the end short, if it comes first. `prepare` runs before anything is served.
///
/// # Errors
/// When an address cannot be used, or `prepare` or what it gives fails.
pub(in crate::commands) fn serve<Prepared, Until, Again>(
    config: &Config,
    engine: &Arc<Engine>,
    prepare: impl FnOnce() -> Result<Prepared, Failure>,
) -> Outcome
where
    Prepared: FnOnce(String) -> Until,
    Until: Future<Output = Result<Again, Failure>>,
    Again: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("keywheel-http")
        .build()
        .map_err(|error| {
            Failure::failed(format!("threads cannot be started: {error}"), "check ulimit -u")
        })?;
    let settings = Settings {
        listen: config.server.listen.clone(),
        tls: config.server.tls.clone(),
        notify: config.notify.clone(),
        open_metrics_on_loopback: config.server.open_metrics,
        authz: config.authz.clone(),
        issuer: config.issuer.clone(),
        ..Settings::default()
    };
    let exit = runtime.block_on(async {
        let until = prepare()?;
        let running = Server::start(Arc::clone(engine), settings)
            .await
            .map_err(|error| start_failure(&error))?;
        let again = until(addresses(&running)).await?;
        tokio::select! {
            () = running.stop(DRAIN) => Ok(Exit::Done),
            () = again => Ok(Exit::Failed),
        }
    });
    // Calls that still wait for a store that does not answer must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    exit
}

fn addresses(running: &Running) -> String {
    let texts: Vec<String> = running.addresses().iter().map(Listen::to_string).collect();
    format!("listening on {}", texts.join(", "))
}

fn start_failure(error: &StartError) -> Failure {
    let exit = match error {
        StartError::Bind { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Exit::Permission
        }
        StartError::Tls(_) | StartError::Notify { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, chain(error), error.remedy())
}

/// The signals that end a server.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let refused = |error: std::io::Error| {
            Failure::failed(format!("signals cannot be received: {error}"), "check the sandbox")
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(refused)?,
            interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The thread that drives the engine.
struct Driver {
    engine: Arc<Engine>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Driver {
    /// Does one round here, so that this server leads before it is asked anything, and the others
    /// on the thread.
    fn start(engine: Arc<Engine>) -> Result<Self, Failure> {
        engine.drive();
        let stopping = Arc::new(AtomicBool::new(false));
        let (driven, stop) = (Arc::clone(&engine), Arc::clone(&stopping));
        let thread = std::thread::Builder::new()
            .name("keywheel-engine".into())
            .spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    let nap = driven.drive();
                    driven.nap(nap);
                }
            })
            .map_err(|error| {
                Failure::failed(format!("a thread cannot be started: {error}"), "check ulimit -u")
            })?;
        Ok(Self { engine, stopping, thread })
    }

    fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        self.engine.poke();
        if self.thread.join().is_err() {
            tracing::error!("the engine's thread had panicked");
        }
    }
}
