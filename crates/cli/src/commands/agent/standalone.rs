//! `keywheel agent --standalone`: the server of `keywheel serve` in this process, for one host. The
//! consumers' tokens are made here; other processes of the host reach the server over its socket as
//! they would any other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use keywheel_core::id::{ConsumerName, RingName};
use keywheel_engine::{Context, Engine, NewToken, RingScope, Role};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::commands::serve::{self, Driven};
use crate::config::Config;
use crate::config::agent::AgentConfig;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::private::{self, Reserved};
use crate::remote::endpoint_of;
use crate::state::engine_failure;

/// A server in this process.
pub(super) struct Standalone {
    endpoint: String,
    tokens: PathBuf,
    driven: Driven,
    end: oneshot::Sender<()>,
    serving: JoinHandle<Outcome>,
}

impl Standalone {
    /// Starts the server, and waits until it listens.
    ///
    /// # Errors
    /// As `keywheel serve`.
    pub(super) fn start(file: &Path, agent: &AgentConfig) -> Result<Self, Failure> {
        let config = Config::load(file)?;
        let endpoint = endpoint_of(&config)?.to_string();
        let tokens = agent.server.state_dir.join("tokens");
        private::make_folder(&tokens)?;
        let driven = Driven::start(&config, false, true)?;
        let (end, ended) = oneshot::channel::<()>();
        let (listening, is_listening) = std::sync::mpsc::sync_channel(1);
        let engine = Arc::clone(&driven.engine);
        let serving = std::thread::Builder::new().name("keywheel-serve".into()).spawn(move || {
            serve::serve(&config, &engine, || {
                Ok(|addresses: String| async move {
                    tracing::info!(addresses, "the server of this host");
                    let _ = listening.send(());
                    // A sender that is gone means the same.
                    let _ = ended.await;
                    Ok(std::future::pending())
                })
            })
        });
        let serving = serving.map_err(|error| {
            Failure::failed(format!("a thread cannot be started: {error}"), "check ulimit -u")
        })?;
        let standalone = Self { endpoint, tokens, driven, end, serving };
        // The other end is dropped when the server could not start.
        if is_listening.recv().is_err() {
            return match standalone.stop() {
                Ok(_) => Err(Failure::failed("the server ended at once", "see its log")),
                Err(failure) => Err(failure),
            };
        }
        Ok(standalone)
    }

    /// Where the server is reached.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The file with a token for a consumer: the one from before, if it is still good for the same.
    ///
    /// # Errors
    /// When none can be made.
    pub(super) fn token_for(
        &self,
        consumer: &ConsumerName,
        rings: &[RingName],
    ) -> Result<PathBuf, Failure> {
        let file = self.tokens.join(format!("{consumer}.token"));
        let name = format!("agent {consumer}");
        let present = present_id(&file);
        let engine = &*self.driven.engine;
        let known = engine.tokens().map_err(|error| engine_failure(&error))?;
        let former = known.iter().filter(|info| info.name == name && info.revoked.is_none());
        let mut is_good = false;
        for info in former {
            if Some(&info.id) == present.as_ref() && fits(&info.rings, rings) {
                is_good = true;
                continue;
            }
            let context = context("the agent makes another one");
            engine.revoke_token(&info.id, &context).map_err(|error| engine_failure(&error))?;
        }
        if !is_good {
            make(engine, &file, name, consumer, rings)?;
        }
        Ok(file)
    }

    /// Ends the server.
    ///
    /// # Errors
    /// When it had failed.
    pub(super) fn stop(self) -> Outcome {
        let _ = self.end.send(());
        let outcome = self.serving.join().unwrap_or_else(|_| {
            tracing::error!("the server's thread had panicked");
            Ok(Exit::Failed)
        });
        self.driven.stop();
        outcome
    }
}

fn fits(scope: &RingScope, rings: &[RingName]) -> bool {
    rings.iter().all(|ring| scope.contains(ring))
}

fn context(reason: &str) -> Context {
    Context { actor: "keywheel agent".into(), reason: Some(reason.into()), ..Context::default() }
}

/// The part of the token in a file that may be shown.
fn present_id(file: &Path) -> Option<String> {
    let text = Zeroizing::new(std::fs::read_to_string(file).ok()?);
    let mut parts = text.trim().splitn(3, '_');
    (parts.next() == Some("kw")).then(|| parts.next().map(str::to_owned))?
}

fn make(
    engine: &Engine,
    file: &Path,
    name: String,
    consumer: &ConsumerName,
    rings: &[RingName],
) -> Result<(), Failure> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::io("replaced", file, &error));
        }
        _ => {}
    }
    let reserved = Reserved::new(file)?;
    let new = NewToken {
        name,
        role: Role::Consumer,
        rings: RingScope::Only(rings.to_vec()),
        consumer: Some(consumer.clone()),
        cidr: None,
        uid: None,
        expires_in: None,
    };
    let context = context("the agent answers for this consumer");
    let (token, _) = engine.create_token(new, &context).map_err(|error| engine_failure(&error))?;
    let mut line = Zeroizing::new(String::with_capacity(token.len() + 1));
    line.push_str(&token);
    line.push('\n');
    reserved.fill(line.as_bytes())
}
