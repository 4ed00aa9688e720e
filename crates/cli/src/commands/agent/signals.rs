//! The signals that an agent knows: SIGTERM and SIGINT end it, SIGHUP makes it read its file again.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::process::Signal;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals;

type Waker = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Seen {
    ends: AtomicU32,
    hung_up: AtomicBool,
    ends_at_once: AtomicBool,
    waker: OnceLock<Waker>,
}

impl Seen {
    fn note(&self, signal: Signal) {
        if signal == Signal::HUP {
            self.hung_up.store(true, Ordering::SeqCst);
            return;
        }
        if self.ends_at_once.load(Ordering::SeqCst) {
            tracing::warn!("told again: ending at once");
            std::process::exit(i32::from(Exit::Failed.code()));
        }
        self.ends.fetch_add(1, Ordering::SeqCst);
    }
}

/// What has arrived so far.
pub(super) struct Signals {
    seen: Arc<Seen>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(super) fn watch() -> Result<Self, Failure> {
        let seen = Arc::new(Seen::default());
        let writer = Arc::clone(&seen);
        signals::listen(&[Signal::TERM, Signal::INT, Signal::HUP], move |signal| {
            writer.note(signal);
            if let Some(wake) = writer.waker.get() {
                wake();
            }
        })?;
        Ok(Self { seen })
    }

    /// Calls this with each signal.
    pub(super) fn wake_with(&self, waker: impl Fn() + Send + Sync + 'static) {
        let _ = self.seen.waker.set(Box::new(waker));
    }

    /// How often an end was asked for.
    pub(super) fn ends(&self) -> u32 {
        self.seen.ends.load(Ordering::SeqCst)
    }

    /// Whether a SIGHUP has arrived that was not taken.
    pub(super) fn is_hung_up(&self) -> bool {
        self.seen.hung_up.load(Ordering::SeqCst)
    }

    /// Takes a SIGHUP that has arrived.
    pub(super) fn take_hangup(&self) -> bool {
        self.seen.hung_up.swap(false, Ordering::SeqCst)
    }

    /// From now on, an end that is asked for ends the process at once.
    pub(super) fn end_on_next(&self) {
        self.seen.ends_at_once.store(true, Ordering::SeqCst);
    }
}
