//! Commands: a program that reads one notice from standard input. No shell, a bounded time, and
//! nothing of this server's environment but what any program needs.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::Undelivered;
use super::message::Message;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What a program may know of this server's environment.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Runs a program with a message.
pub(super) fn run(
    argv: &[String],
    timeout: Duration,
    message: &Message,
) -> Result<(), Undelivered> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Undelivered("its command is empty".into()));
    };
    let kept = ENVIRONMENT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own, so that what it starts ends with it.
        .process_group(0)
        .spawn()
        .map_err(|error| Undelivered(format!("it does not start: {error}")))?;
    if let Some(mut input) = child.stdin.take()
        && let Err(error) = input.write_all(&message.body)
    {
        // A program that does not read is judged by its exit status alone.
        tracing::debug!(%error, "a notification command did not read the notice");
    }
    match wait(&mut child, timeout) {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) => Err(Undelivered(format!("it ended with {status}"))),
        Ok(None) => {
            end(&mut child);
            Err(Undelivered(format!("it did not end within {} s", timeout.as_secs())))
        }
        Err(error) => {
            end(&mut child);
            Err(Undelivered(format!("it cannot be waited for: {error}")))
        }
    }
}

fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if waited >= timeout {
            return Ok(None);
        }
        std::thread::sleep(LOOK);
        waited += LOOK;
    }
}

fn end(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
