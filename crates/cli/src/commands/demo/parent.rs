//! How a child of the demonstration hears from its parent: lines on standard input. When the parent
//! ends, in whatever way, that input ends, and the child follows.

use std::io::{self, BufRead as _};

/// What a parent says to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Begin to send requests.
    Go,
    /// Send no more, and finish what is under way.
    Rest,
    /// Read the key again, as after a restart.
    Reload,
}

impl Order {
    /// The line that says so.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Rest => "rest",
            Self::Reload => "reload",
        }
    }

    fn parse(line: &str) -> Option<Self> {
        [Self::Go, Self::Rest, Self::Reload].into_iter().find(|order| order.word() == line.trim())
    }
}

/// Hears the parent out until it ends.
pub(super) fn listen(mut heed: impl FnMut(Order)) {
    for line in io::stdin().lock().lines() {
        match line {
            Ok(line) => {
                if let Some(order) = Order::parse(&line) {
                    heed(order);
                }
            }
            Err(_) => return,
        }
    }
}
