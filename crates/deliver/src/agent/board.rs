//! How the consumers of an agent stand, for whoever waits for it: the threads write, the command
//! reads.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use keywheel_core::id::ConsumerName;
use keywheel_core::time::Span;

/// How a consumer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No server has been reached yet, or a ring has not arrived.
    Waiting {
        /// Why, as far as it is known.
        why: Option<String>,
    },
    /// Everything is delivered and tried; the server has not acknowledged it yet.
    Delivered,
    /// The server has acknowledged it.
    Confirmed,
    /// The last delivery or probe failed.
    Troubled {
        /// Why.
        why: String,
    },
    /// The consumer was stopped, because no server was reached for too long.
    Stopped,
}

impl Standing {
    /// Whether the consumer has what it is to have.
    pub const fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered | Self::Confirmed)
    }
}

/// How all of them stand.
pub type Standings = BTreeMap<ConsumerName, Standing>;

/// Where it is written.
#[derive(Default)]
pub(super) struct Board {
    standings: Mutex<Standings>,
    changed: Condvar,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Standings> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, consumer: &ConsumerName, standing: Standing) {
        let mut standings = self.lock();
        if standings.get(consumer) != Some(&standing) {
            standings.insert(consumer.clone(), standing);
            self.changed.notify_all();
        }
    }

    pub(super) fn remove(&self, consumer: &ConsumerName) {
        self.lock().remove(consumer);
        self.changed.notify_all();
    }

    /// Lets those who wait look again.
    pub(super) fn nudge(&self) {
        let _held = self.lock();
        self.changed.notify_all();
    }

    pub(super) fn standings(&self) -> Standings {
        self.lock().clone()
    }

    /// Waits for a change, at most for `limit`, unless `ready` says that there is nothing to wait
    /// for.
    pub(super) fn wait(&self, limit: Span, ready: impl Fn(&Standings) -> bool) {
        let held = self.lock();
        let waited =
            self.changed.wait_timeout_while(held, limit.to_std(), |standings| !ready(standings));
        drop(waited);
    }
}
