//! Ctrl-C and its like: the director ends what it has started, and only then itself.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::board::Shared;
use super::process;
use crate::failure::Failure;

/// Watches for signals that ask for an end.
///
/// # Errors
/// When signals cannot be received.
pub(super) fn watch(shared: &Arc<Shared>) -> Result<(), Failure> {
    let refused = |error: std::io::Error| {
        Failure::failed(format!("signals cannot be received: {error}"), "check the sandbox")
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(refused)?;
    drop(entered);
    let shared = Arc::clone(shared);
    process::thread(move || {
        runtime.block_on(async {
            loop {
                any(&mut interrupt, &mut terminate, &mut hangup).await;
                shared.interrupt();
            }
        });
    })
}

async fn any(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
