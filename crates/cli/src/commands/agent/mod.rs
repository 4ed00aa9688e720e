//! `keywheel agent`: answers for consumers that cannot speak. What it does is in
//! `keywheel_deliver::agent`; here it is started, told what changed, and ended.

use std::path::PathBuf;

use keywheel_client::TlsOptions;
use keywheel_core::id::{ConsumerName, RingName};
use keywheel_core::time::Span;
use keywheel_deliver::agent::{Agent, AgentError, Consumer, Settings, Standing, Standings};
use keywheel_server::Listen;

use crate::commands::serve::logging::{self, LogFormat};
use crate::commands::serve::{hardening, supervisor};
use crate::config::agent::{AgentConfig, EXAMPLE, Serving};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;

mod authz;
mod check;
mod declared;
mod signals;
mod standalone;

use authz::AgentEdge;
use signals::Signals;
use standalone::Standalone;

/// The agent's file, unless `--config` names another one.
const FILE: &str = "agent.toml";
/// The server's file, which `--config` means everywhere else.
const SERVER_FILE: &str = "keywheel.toml";
/// How often standings are looked at, beside when they change.
const LOOK: Span = Span::from_secs(5);
/// With `--once`: how long the server may take beside the deliveries.
const ONCE_GRACE: Span = Span::from_secs(30);

/// The arguments of `keywheel agent`.
#[derive(clap::Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Args {
    /// Delivers once; succeeds when the server has acknowledged all of it
    #[arg(long)]
    once: bool,
    /// Looks at configuration, files, programs, tokens and server, and delivers nothing
    #[arg(long, conflicts_with = "once")]
    check: bool,
    /// Prints a commented agent.toml with every field
    #[arg(long, conflicts_with_all = ["once", "check", "standalone"])]
    example: bool,
    /// Is the server too, for this host alone: with the rings of the server's file
    #[arg(long)]
    standalone: bool,
    /// With --standalone: the server's file
    #[arg(long, value_name = "FILE", requires = "standalone", default_value = SERVER_FILE)]
    server_config: PathBuf,
    /// Answers proxies at this address too: unix:/path.sock or a loopback address. What requests
    /// need stands in [authz] of the agent's file
    #[arg(long, value_name = "ADDRESS", conflicts_with = "once")]
    authz: Option<Listen>,
    /// How logs are written to standard error
    #[arg(long, value_enum, default_value = "human")]
    log: LogFormat,
}

/// Runs the agent until it is told to end.
///
/// # Errors
/// When the configuration is wrong, the agent cannot start, or with `--once` something could not
/// be delivered.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    if args.example {
        invocation.console.bytes(EXAMPLE.as_bytes())?;
        return Ok(Exit::Done);
    }
    hardening::no_core_dumps_of_hooks();
    let serving = if args.standalone { Serving::Standalone } else { Serving::Elsewhere };
    let file = agent_file(invocation)?;
    let mut config = AgentConfig::load(&file, serving)?;
    ask_at(&mut config, args.authz.as_ref(), args.check || args.once)?;
    if args.check {
        return check::run(invocation, &config);
    }
    logging::start(args.log, invocation.global.verbose, invocation.global.quiet);
    let signals = Signals::watch()?;
    let standalone = match serving {
        Serving::Elsewhere => None,
        Serving::Standalone => Some(Standalone::start(&args.server_config, &config)?),
    };
    let outcome = work(&config, serving, standalone.as_ref(), &signals, args.once);
    match standalone.map_or(Ok(Exit::Done), Standalone::stop) {
        Ok(_) => outcome,
        Err(failure) => outcome.and(Err(failure)),
    }
}

fn work(
    config: &AgentConfig,
    serving: Serving,
    standalone: Option<&Standalone>,
    signals: &Signals,
    once: bool,
) -> Outcome {
    let endpoint = match (standalone, &config.server.url) {
        (Some(standalone), _) => standalone.endpoint().to_owned(),
        (None, Some(url)) => url.clone(),
        (None, None) => return Err(nowhere()),
    };
    let settings = Settings {
        endpoint,
        tls: TlsOptions { ca_file: config.server.ca_file.clone() },
        state_dir: config.server.state_dir.clone(),
    };
    let consumers = consumers(config, standalone)?;
    declared::must_fit(&settings, &consumers)?;
    let edge = config.authz.as_ref().filter(|_| !once);
    let edge = edge.map(|authz| {
        let token_file = token_of(standalone, authz.token_file.as_ref(), || {
            (&authz.consumer, authz.edge.rings())
        })?;
        AgentEdge::start(config, &settings.endpoint, authz, token_file)
    });
    let edge = edge.transpose()?;
    let mut agent = Agent::start(settings, consumers).map_err(|error| failure(&error))?;
    signals.wake_with(agent.waker());
    let outcome = if once {
        self::once(&agent, config, signals)
    } else {
        follow(&mut agent, config, serving, standalone, signals)
    };
    supervisor::notify("STOPPING=1");
    // A second signal ends the process at once; the journal then says what is left to do.
    signals.end_on_next();
    if let Some(edge) = edge {
        edge.stop();
    }
    agent.stop();
    outcome
}

/// Adds the address of the command line to those of the file.
fn ask_at(config: &mut AgentConfig, more: Option<&Listen>, may_lack: bool) -> Result<(), Failure> {
    let Some(authz) = &mut config.authz else {
        return match more {
            None => Ok(()),
            Some(_) => Err(Failure::new(
                Exit::Usage,
                "--authz has no rules",
                "say in [authz] of the agent's file what requests need; `keywheel agent --example` \
                 shows it",
            )),
        };
    };
    authz.listen.extend(more.cloned());
    if authz.listen.is_empty() && !may_lack {
        return Err(Failure::new(
            Exit::Usage,
            "[authz] has no address to listen on",
            "name one in authz.listen, or with --authz unix:/path.sock",
        ));
    }
    Ok(())
}

/// The consumers and their tokens.
fn consumers(
    config: &AgentConfig,
    standalone: Option<&Standalone>,
) -> Result<Vec<Consumer>, Failure> {
    let with_token = |consumer: &crate::config::agent::AgentConsumer| {
        let token_file = token_of(standalone, consumer.token_file.as_ref(), || {
            (&consumer.delivery.consumer, consumer.delivery.rings.clone())
        })?;
        Ok(Consumer { token_file, delivery: consumer.delivery.clone() })
    };
    config.consumers.iter().map(with_token).collect()
}

/// The file with the token of a consumer: made here where the agent is the server.
fn token_of<'a>(
    standalone: Option<&Standalone>,
    file: Option<&PathBuf>,
    consumer: impl FnOnce() -> (&'a ConsumerName, Vec<RingName>),
) -> Result<PathBuf, Failure> {
    match (standalone, file) {
        (Some(standalone), _) => {
            let (consumer, rings) = consumer();
            standalone.token_for(consumer, &rings)
        }
        (None, Some(file)) => Ok(file.clone()),
        (None, None) => Err(nowhere()),
    }
}

/// Runs until it is told to end.
fn follow(
    agent: &mut Agent,
    config: &AgentConfig,
    serving: Serving,
    standalone: Option<&Standalone>,
    signals: &Signals,
) -> Outcome {
    let mut is_ready = false;
    let mut told = String::new();
    loop {
        if signals.ends() > 0 {
            tracing::info!("told to end");
            return Ok(Exit::Done);
        }
        if signals.take_hangup() {
            supervisor::notify("RELOADING=1");
            read_again(agent, config, serving, standalone);
            supervisor::notify("READY=1");
        }
        let standings = agent.standings();
        let status = in_words(&standings);
        if status != told {
            supervisor::notify(&format!("STATUS={status}"));
            told = status;
        }
        if !is_ready && standings.values().all(Standing::is_delivered) {
            is_ready = true;
            supervisor::notify("READY=1");
            tracing::info!("every consumer has what it is to have");
        }
        agent.wait(LOOK, |present| {
            *present != standings || signals.ends() > 0 || signals.is_hung_up()
        });
    }
}

/// Takes over a changed file, unless anything in it is wrong.
fn read_again(
    agent: &mut Agent,
    former: &AgentConfig,
    serving: Serving,
    standalone: Option<&Standalone>,
) {
    let changed = AgentConfig::load(&former.file, serving).and_then(|config| {
        if config.server != former.server {
            tracing::warn!("changes of [server] take effect at the next start");
        }
        let consumers = consumers(&config, standalone)?;
        agent.reconfigure(consumers).map_err(|error| failure(&error))
    });
    match changed {
        Ok(()) => tracing::info!(file = %former.file.display(), "read again"),
        Err(failure) => {
            for (cause, remedy) in failure.lines() {
                tracing::error!(cause, remedy, "the file was read again, and is not used");
            }
        }
    }
}

/// Waits until everything is delivered and acknowledged, or is known to have failed.
fn once(agent: &Agent, config: &AgentConfig, signals: &Signals) -> Outcome {
    let longest = config.consumers.iter().map(|consumer| consumer.delivery.deadline).max();
    let most = longest.unwrap_or_default().plus(ONCE_GRACE);
    let until = keywheel_client::clock::boot_time().after(most);
    loop {
        let standings = agent.standings();
        if signals.ends() > 0 {
            return Err(Failure::failed(
                "told to end before everything was delivered",
                "try again",
            ));
        }
        if standings.values().all(|standing| *standing == Standing::Confirmed) {
            return Ok(Exit::Done);
        }
        for (consumer, standing) in &standings {
            if let Standing::Troubled { why } = standing {
                return Err(Failure::failed(
                    format!("{consumer} was not delivered to: {why}"),
                    "the log names each step that failed and what to do about it",
                ));
            }
        }
        let now = keywheel_client::clock::boot_time();
        if now >= until {
            return Err(Failure::new(
                Exit::Unreachable,
                format!("not delivered within {most}: {}", in_words(&standings)),
                "check that the server runs, and that the tokens are good for these rings",
            ));
        }
        agent.wait(until.since(now).min(LOOK), |present| {
            *present != standings || signals.ends() > 0
        });
    }
}

fn in_words(standings: &Standings) -> String {
    let words = standings.iter().map(|(consumer, standing)| match standing {
        Standing::Waiting { why: None } => format!("{consumer} waits for its keys"),
        Standing::Waiting { why: Some(why) } => format!("{consumer} waits for its keys: {why}"),
        Standing::Delivered => format!("{consumer} is delivered"),
        Standing::Confirmed => format!("{consumer} is confirmed"),
        Standing::Troubled { why } => format!("{consumer} is in trouble: {why}"),
        Standing::Stopped => format!("{consumer} is stopped"),
    });
    words.collect::<Vec<_>>().join("; ").replace('\n', " ")
}

/// `--config` names the agent's file here; where it was not set, the name differs.
fn agent_file(invocation: &Invocation) -> Result<PathBuf, Failure> {
    let named = &invocation.global.config;
    let file = if named.as_os_str() == SERVER_FILE { PathBuf::from(FILE) } else { named.clone() };
    if file.exists() {
        return std::path::absolute(&file).map_err(|error| Failure::io("read", &file, &error));
    }
    Err(Failure::new(
        Exit::Usage,
        format!("there is no {}", file.display()),
        "name the agent's file with --config, or begin with: keywheel agent --example > agent.toml",
    ))
}

fn nowhere() -> Failure {
    Failure::new(Exit::Usage, "no server and no token are named", "name them in the agent's file")
}

fn failure(error: &AgentError) -> Failure {
    let exit = match error {
        AgentError::Exposed { .. } => Exit::Permission,
        AgentError::Client { .. } | AgentError::TooMany { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, chain(error), error.remedy())
}
