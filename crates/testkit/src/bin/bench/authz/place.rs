//! Which core each program runs on.

use std::path::Path;
use std::process::Command;

/// A place to run.
#[derive(Clone, Copy)]
pub(super) enum Core {
    /// nginx has a core to itself.
    Nginx,
    /// Whoever asks nginx, and whomever nginx asks.
    Load,
}

/// Whether there are two cores to choose from.
fn is_choice() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
        && Command::new("taskset").arg("--version").output().is_ok()
}

/// A program that is about to run on its core. What it starts stays there.
pub(super) fn on(core: Core, program: &Path) -> Command {
    if !is_choice() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    let core = match core {
        Core::Nginx => "0",
        Core::Load => "1",
    };
    command.args(["-c", core]).arg(program);
    command
}

/// The same in words.
pub(super) fn told() -> &'static str {
    if is_choice() {
        "nginx runs on one core, `wrk` and the server on the other."
    } else {
        "They run on whichever core is free."
    }
}
