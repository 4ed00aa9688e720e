//! Workers of before a reload go on for as long as somebody is connected to them.

use std::path::Path;

use super::scope::Node;
use super::{Finding, of_file};

pub(super) fn look(nodes: &[Node<'_>], main: &Path) -> Option<Finding> {
    let serves = nodes.iter().any(|node| node.is("http"));
    let bounded = nodes.iter().any(|node| node.is("worker_shutdown_timeout"));
    (serves && !bounded).then(|| {
        of_file(
            "no-worker-shutdown-timeout",
            main,
            "after a reload the old workers keep the old keys for as long as one connection of \
             theirs is open, a websocket for days",
            "set worker_shutdown_timeout, for example 30s, at the top of the main file",
        )
    })
}
