//! Signals, for commands that have no event loop of their own. What follows from one is left to the
//! command.

use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Calls this with each of these signals that arrives, on a thread of its own. From now on none of
/// them ends this process by itself.
///
/// # Errors
/// When signals cannot be received.
pub fn listen(signals: &[Signal], told: impl Fn(Signal) + Send + 'static) -> Result<(), Failure> {
    let refused = |error: std::io::Error| {
        Failure::failed(format!("signals cannot be received: {error}"), "check the sandbox")
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let entered = runtime.enter();
    let mut streams = Vec::with_capacity(signals.len());
    for one in signals {
        streams.push((*one, signal(SignalKind::from_raw(one.as_raw())).map_err(refused)?));
    }
    drop(entered);
    let listens = move || {
        loop {
            let next = std::future::poll_fn(|context| {
                let mut arrived = streams.iter_mut().filter_map(|(one, stream)| {
                    stream.poll_recv(context).is_ready().then_some(*one)
                });
                arrived.next().map_or(Poll::Pending, Poll::Ready)
            });
            told(runtime.block_on(next));
        }
    };
    std::thread::Builder::new()
        .name("keywheel-signals".into())
        .spawn(listens)
        .map(drop)
        .map_err(refused)
}
