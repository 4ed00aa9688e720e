//! The signals of this process, told to the supervisor in the order in which they come.

use std::sync::mpsc::SyncSender;

use keywheel_deliver::exec::Event;
use rustix::process::Signal;

use crate::failure::Failure;

/// The signals that are passed on, or end everything.
const PASSED_ON: [Signal; 7] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
];

/// Names of signals that may be given to `--stop-signal`.
const NAMES: [(&str, Signal); 8] = [
    ("TERM", Signal::TERM),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("HUP", Signal::HUP),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
    ("KILL", Signal::KILL),
];

/// Reads the name of a signal, with or without `SIG`.
pub(super) fn parse(text: &str) -> Result<Signal, String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, signal)| *signal).ok_or_else(|| {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        format!("no such signal; use {}", names.join(", "))
    })
}

/// The name of a signal.
pub(super) fn name(signal: Signal) -> &'static str {
    NAMES.iter().find(|(_, known)| *known == signal).map_or("another signal", |(name, _)| *name)
}

/// Begins to tell signals. From now on none of them ends this process by itself.
///
/// # Errors
/// When signals cannot be received.
pub(super) fn listen(events: SyncSender<Event>) -> Result<(), Failure> {
    crate::signals::listen(&PASSED_ON, move |signal| {
        // Without a supervisor there is nobody to tell.
        let _ = events.send(Event::Signal(signal));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_with_and_without_the_prefix() {
        assert_eq!(parse("TERM"), Ok(Signal::TERM));
        assert_eq!(parse("sigquit"), Ok(Signal::QUIT));
        assert!(parse("SIGFOO").unwrap_err().contains("WINCH"));
        assert_eq!(name(Signal::HUP), "HUP");
    }
}
