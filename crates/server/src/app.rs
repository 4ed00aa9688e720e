//! What every request shares: the engine, the settings, the feed and the counters; and the door to
//! the engine, which lets only so many through at once.

use std::sync::Arc;

use keywheel_api::problem::Kind;
use keywheel_core::time::WallTime;
use keywheel_engine::{Engine, EngineError};
use tokio::sync::Semaphore;

use crate::edge::{Edge, Shelf};
use crate::feed::Feed;
use crate::jwks::Fetches;
use crate::metrics::Counters;
use crate::refusal::Refusal;
use crate::settings::{Limits, Settings};

/// What every request shares.
pub(crate) struct App {
    engine: Arc<Engine>,
    pub(crate) limits: Limits,
    pub(crate) open_metrics_on_loopback: bool,
    pub(crate) feed: Arc<Feed>,
    pub(crate) counters: Counters,
    /// What is answered from memory.
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) edge: Arc<Edge>,
    pub(crate) fetches: Fetches,
    pub(crate) issuer: Option<String>,
    turns: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(
        engine: Arc<Engine>,
        settings: &Settings,
        feed: Arc<Feed>,
        shelf: Arc<Shelf>,
        edge: Arc<Edge>,
    ) -> Self {
        let limits = settings.limits.clone();
        let turns = Arc::new(Semaphore::new(limits.engine_calls.max(1)));
        Self {
            engine,
            limits,
            open_metrics_on_loopback: settings.open_metrics_on_loopback,
            feed,
            counters: Counters::default(),
            shelf,
            edge,
            fetches: Fetches::default(),
            issuer: settings.issuer.clone(),
            turns,
        }
    }

    /// The wall clock.
    pub(crate) fn wall(&self) -> WallTime {
        self.engine.clock().wall()
    }

    /// Calls the engine on the blocking pool. The turn is held until the call itself ends, also
    /// when nobody waits for it any more: a store that became slow thus answers with 503 instead of
    /// gathering threads.
    ///
    /// # Errors
    /// What the engine refuses, and 503 when no turn comes in time.
    pub(crate) async fn engine<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    {
        let waiting = Arc::clone(&self.turns).acquire_owned();
        let waited = tokio::time::timeout(self.limits.queue_timeout, waiting).await;
        let Ok(Ok(turn)) = waited else { return Err(busy()) };
        let engine = Arc::clone(&self.engine);
        let done = tokio::task::spawn_blocking(move || {
            let answer = work(&engine);
            drop(turn);
            answer
        });
        match done.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.counters.engine_error(&error);
                Err(error.into())
            }
            Err(_) => Err(Refusal::defect(&"a call into the engine panicked")),
        }
    }
}

fn busy() -> Refusal {
    Refusal::new(
        Kind::StoreUnavailable,
        "every turn at the store is taken, and none came free in time",
        "Try again in a second; if it lasts, see that the store answers",
    )
}
