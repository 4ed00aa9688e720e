//! Ctrl-C and its like: the director ends what it has started, and only then itself.

use std::sync::Arc;

use rustix::process::Signal;

use super::board::Shared;
use crate::failure::Failure;
use crate::signals::listen;

/// Watches for signals that ask for an end.
///
/// # Errors
/// When signals cannot be received.
pub(super) fn watch(shared: &Arc<Shared>) -> Result<(), Failure> {
    let shared = Arc::clone(shared);
    listen(&[Signal::INT, Signal::TERM, Signal::HUP], move |_| shared.interrupt())
}
