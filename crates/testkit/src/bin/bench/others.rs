//! Programs of others that a bench runs beside ours: a Python environment, processes that end with
//! the bench, what they cost, and waiting for them.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::{Fallible, measure};

/// A process that ends when this is dropped.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The interpreter of an environment of its own with these packages. It is made once, and again
/// when other packages are asked for.
pub(crate) fn python(bench: &str, packages: &[&str]) -> Fallible<PathBuf> {
    let venv = folder(bench)?.join("venv");
    let python = venv.join("bin/python");
    let (stamp, wanted) = (venv.join("made-from.txt"), packages.join("\n"));
    if std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(python);
    }
    // Standard output is the report's.
    let done = |command: &mut Command| -> Fallible<bool> {
        Ok(command.stdout(std::io::stderr()).status()?.success())
    };
    let made = done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?
        && done(Command::new(&python).args(["-m", "pip", "install", "-q"]).args(packages))?;
    if !made {
        return Err("the Python environment of the bench could not be made".into());
    }
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

/// Where a bench keeps what it makes once, beside the programs that cargo builds.
pub(crate) fn folder(bench: &str) -> Fallible<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program stands nowhere")?;
    let folder = target.join(format!("bench-{bench}"));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Time on the CPU of all threads of a process, as the scheduler counts it.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Waits until something is ready, for a minute at most.
pub(crate) fn wait(mut ready: impl FnMut() -> bool) -> Fallible<()> {
    let until = measure::monotonic() + Duration::from_mins(1);
    while !ready() {
        if measure::monotonic() > until {
            return Err("something did not start within a minute".into());
        }
        // tidy: sleeps because programs of others offer no event to wait for.
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
