//! The signals that an agent knows: SIGTERM and SIGINT end it, SIGHUP makes it read its file again.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::failure::Failure;

type Waker = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Seen {
    ends: AtomicU32,
    hung_up: AtomicBool,
    ends_at_once: AtomicBool,
    waker: OnceLock<Waker>,
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
        let refused = |error: std::io::Error| {
            Failure::failed(format!("signals cannot be received: {error}"), "check the sandbox")
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let entered = runtime.enter();
        let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(refused)?;
        drop(entered);
        let seen = Arc::new(Seen::default());
        let writer = Arc::clone(&seen);
        std::thread::Builder::new()
            .name("keywheel-signals".into())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        next(&mut terminate, &mut interrupt, &mut hangup, &writer).await;
                        if let Some(wake) = writer.waker.get() {
                            wake();
                        }
                    }
                });
            })
            .map_err(refused)?;
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

async fn next(terminate: &mut Signal, interrupt: &mut Signal, hangup: &mut Signal, seen: &Seen) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {
            seen.hung_up.store(true, Ordering::SeqCst);
            return;
        }
    }
    if seen.ends_at_once.load(Ordering::SeqCst) {
        tracing::warn!("told again: ending at once");
        std::process::exit(i32::from(Exit::Failed.code()));
    }
    seen.ends.fetch_add(1, Ordering::SeqCst);
}
