//! Starting a server, and taking it down so that every request which came in is answered.

use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::{Engine, EngineError};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::accept::{Acceptor, Phase};
use crate::app::App;
use crate::edge::{Authority, Edge, EdgeListener, Shelf};
use crate::error::StartError;
use crate::feed::{Feed, Follower};
use crate::notify::Postman;
use crate::settings::{Listen, Settings};
use crate::{listen, pipeline, tls};

/// API v1 over HTTP. See [`Server::start`].
pub struct Server(());

/// A server that runs. Dropping it ends it where it stands; [`Running::stop`] ends it well.
pub struct Running {
    addresses: Vec<Listen>,
    phase: watch::Sender<Phase>,
    room: Arc<Semaphore>,
    connections: u32,
    listeners: JoinSet<()>,
    follower: Follower,
    postman: Postman,
    edge: Option<EdgeListener>,
}

impl Server {
    /// Binds every address and begins to serve. Driving the engine is left to the caller: a thread
    /// that repeats [`Engine::drive`] and [`Engine::nap`].
    ///
    /// # Errors
    /// When an address, a file of TLS or a notification target cannot be used, or the engine does
    /// not answer. Nothing listens then.
    pub async fn start(engine: Arc<Engine>, settings: Settings) -> Result<Running, StartError> {
        let tls = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let postman = Postman::prepare(&settings.notify)?;
        let bound = listen::bind_all(&settings).await?;
        let addresses: Vec<_> = bound.iter().map(|(address, _)| address.clone()).collect();

        let shelf = Arc::new(Shelf::new(engine.clock()));
        let rings = settings.authz.edge.rings();
        let head = ask(Arc::clone(&engine), {
            let shelf = Arc::clone(&shelf);
            move |engine| {
                engine.serves_from_memory()?;
                // The head first: what is written while the rings are read is followed later.
                let head = engine.head()?;
                shelf.load(engine, &rings)?;
                Ok(head)
            }
        })
        .await?;
        let authority: Arc<dyn Authority> = Arc::clone(&shelf) as _;
        let edge = Arc::new(Edge::new(settings.authz.edge.clone(), authority, engine.clock()));
        let feed = Arc::new(Feed::new(head, settings.limits.recent_changes));
        let thread = |source| StartError::Bind { address: "a thread".into(), source };
        let follower = Follower::start(Arc::clone(&engine), Arc::clone(&feed), Arc::clone(&shelf))
            .map_err(thread)?;
        let own = EdgeListener::beside(&edge, &settings.authz).await?;
        let connections = u32::try_from(settings.limits.connections).unwrap_or(u32::MAX).max(1);
        let room = Arc::new(Semaphore::new(connections as usize));
        let (phase, watched) = watch::channel(Phase::Serving);
        let app = App::new(Arc::clone(&engine), &settings, feed, shelf, edge);
        let app = Arc::new(app);
        let postman = postman.start(engine).map_err(thread)?;
        let acceptor = Acceptor {
            router: pipeline::router(Arc::clone(&app)),
            app,
            tls,
            room: Arc::clone(&room),
            phase: watched,
        };
        let mut listeners = JoinSet::new();
        for (address, bound) in bound {
            tracing::info!(%address, tls = acceptor.tls.is_some(), "listening");
            listeners.spawn(acceptor.clone().run(bound));
        }
        Ok(Running { addresses, phase, room, connections, listeners, follower, postman, edge: own })
    }
}

/// Asks the engine, off the threads that serve.
async fn ask<T: Send + 'static>(
    engine: Arc<Engine>,
    work: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
) -> Result<T, StartError> {
    let asked = tokio::task::spawn_blocking(move || work(&engine)).await;
    asked
        .unwrap_or_else(|error| Err(EngineError::Defect(error.to_string())))
        .map_err(StartError::Engine)
}

impl Running {
    /// Where the server listens, in the order of the settings, with the ports that the system
    /// chose.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// Where proxies ask, beside [`Self::addresses`].
    pub fn edge_addresses(&self) -> &[Listen] {
        self.edge.as_ref().map_or(&[], EdgeListener::addresses)
    }

    /// Takes no new connection, tells watchers to come back later, lets requests in progress end,
    /// and after `drain` at the latest ends what is left. The engine goes on; stop it afterwards.
    pub async fn stop(mut self, drain: Duration) {
        self.phase.send_replace(Phase::Draining);
        while self.listeners.join_next().await.is_some() {}
        let (follower, postman, edge) = (self.follower, self.postman, self.edge);
        let threads = tokio::task::spawn_blocking(move || {
            if let Some(edge) = edge {
                edge.stop();
            }
            follower.stop();
            postman.stop();
        });
        let everybody = self.room.acquire_many(self.connections);
        if tokio::time::timeout(drain, everybody).await.is_err() {
            tracing::warn!("connections were cut off because they did not end in time");
            self.phase.send_replace(Phase::Ending);
        }
        // A delivery in progress may take longer; it is repeated by whoever leads next.
        if tokio::time::timeout(drain, threads).await.is_err() {
            tracing::warn!("a notice was on its way when the server ended");
        }
        tracing::info!("stopped");
    }
}
