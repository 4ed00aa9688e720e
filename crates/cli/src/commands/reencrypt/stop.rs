//! Being told to stop: a move ends after the batch at hand, and a mover says goodbye. Told again,
//! it ends at once: what was moved stays moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::process::Signal;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals;

/// Whether somebody said stop, by a TERM or INT.
pub(super) struct Stop {
    is_told: Arc<AtomicBool>,
    told: Receiver<()>,
}

impl Stop {
    /// Begins to listen: from now on the first of these signals does not end this process.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(super) fn listen() -> Result<Self, Failure> {
        let is_told = Arc::new(AtomicBool::new(false));
        let (tell, told) = sync_channel(1);
        let tells = Arc::clone(&is_told);
        signals::listen(&[Signal::TERM, Signal::INT], move |_| {
            if tells.swap(true, Ordering::SeqCst) {
                tracing::warn!("told again: ending at once");
                std::process::exit(i32::from(Exit::Failed.code()));
            }
            let _ = tell.try_send(());
        })?;
        Ok(Self { is_told, told })
    }

    /// Whether it was said.
    pub(super) fn is_told(&self) -> bool {
        self.is_told.load(Ordering::SeqCst)
    }

    /// The same, for the mover to look at.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.is_told
    }

    /// Waits for it, at most so long. Says whether it was said.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        self.is_told() || self.told.recv_timeout(longest).is_ok()
    }
}
