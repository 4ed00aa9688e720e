//! Being told to stop: a move ends after the batch at hand, and a mover says goodbye.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Whether somebody said stop, by a TERM or INT.
pub(super) struct Stop {
    is_told: Arc<AtomicBool>,
    told: Receiver<()>,
}

impl Stop {
    /// Begins to listen: from now on neither signal ends this process by itself.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(super) fn listen() -> Result<Self, Failure> {
        let refused = |error: std::io::Error| {
            Failure::failed(format!("signals cannot be received: {error}"), "check the sandbox")
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
        let entered = runtime.enter();
        let mut ends = signal(SignalKind::terminate()).map_err(refused)?;
        let mut breaks = signal(SignalKind::interrupt()).map_err(refused)?;
        drop(entered);
        let is_told = Arc::new(AtomicBool::new(false));
        let (tell, told) = sync_channel(1);
        let tells = Arc::clone(&is_told);
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ends.recv() => {}
                    _ = breaks.recv() => {}
                }
            });
            tells.store(true, Ordering::Relaxed);
            let _ = tell.send(());
        });
        Ok(Self { is_told, told })
    }

    /// Whether it was said, for the mover to look at.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.is_told
    }

    /// Waits for it, at most so long. Says whether it was said.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        self.is_told.load(Ordering::Relaxed) || self.told.recv_timeout(longest).is_ok()
    }
}
