//! Runs a program without a shell, for a bounded time, and says how it went.
//!
//! A hook gets a small environment, a process group of its own and nothing secret but what is
//! written to its standard input. When it ends, whatever it left in its group is ended too; a
//! service that it starts and that shall live on leaves the group as daemons do (`setsid`, or a
//! service manager). What it said is kept bounded, without control characters and without the
//! secrets that the caller knows.
//!
//! Core files of hooks are prevented by this process's own limit, which children inherit: the only
//! way without `unsafe` that leaves no moment in which a child runs without it, and right for this
//! process too, which holds the same secrets. The limit is one byte instead of none, because Linux
//! hands cores to a program in `core_pattern` whatever the limit, except when it is one
//! (`fs/coredump.c`); a core *file* of one byte is never written either. The hard limit stays, so
//! that whoever starts an application can give it its own back.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use keywheel_client::clock::{BootTime, boot_time};
use keywheel_core::time::Span;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::redact::Redactor;
use crate::settings::Hook;

mod error;
mod group;
mod output;
#[cfg(test)]
mod tests;

use error::Ending;
pub use error::HookError;
use group::Group;

/// How often `stop` is asked while a hook runs.
const LOOK: Span = Span::from_millis(50);
/// A process that was killed is gone within this, unless the kernel holds it.
const GONE_WITHIN: Span = Span::from_secs(5);
/// Variables that hooks get from this process's environment, beside those that begin with `LC_`.
const ENVIRONMENT: [&str; 6] =
    ["PATH", "HOME", "LANG", "TZ", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];
/// Where programs are looked for when this process has no `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The largest core that the kernel takes for "none, also not through a pipe".
const CORE_BYTES: u64 = 1;

/// A hook that ended with exit code 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The end of what it wrote to standard output and then of what it wrote to standard error,
    /// without secrets and without control characters but line ends.
    pub output_tail: String,
}

/// Runs a hook until it has ended. In its arguments each `{name}` of `replace` becomes the text
/// beside it; never put a secret there, because everybody sees the arguments of a process.
/// `input` becomes its standard input, and `hide` what is taken out of its output. When `stop`
/// says so, it is ended early.
///
/// # Errors
/// When it does not start, does not end in time, or does not end with exit code 0.
pub fn run(
    hook: &Hook,
    replace: &[(&str, &str)],
    input: Option<&[u8]>,
    hide: &Redactor,
    stop: &dyn Fn() -> bool,
) -> Result<Ran, HookError> {
    forbid_core_files();
    let argv: Vec<String> = hook.argv.iter().map(|word| replaced(word, replace)).collect();
    let Some((program, arguments)) = argv.split_first().filter(|(program, _)| !program.is_empty())
    else {
        return Err(HookError::Empty);
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment());
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let group = Group::start(&mut command, input.unwrap_or_default(), hide);
    let mut group = group.map_err(|error| HookError::start(program, error))?;
    let ending = attend(&mut group, hook, stop);
    let output = group.told(hide);
    match ending {
        Ending::Code(0) => Ok(Ran { output_tail: output.both() }),
        ending => Err(HookError::ended(program, hook, ending, &output)),
    }
}

/// Waits for the end, or brings it about.
fn attend(group: &mut Group<'_>, hook: &Hook, stop: &dyn Fn() -> bool) -> Ending {
    let deadline = boot_time().after(hook.timeout);
    let cut_short = loop {
        if group.has_ended() {
            break None;
        }
        if stop() {
            break Some(Ending::Stopped);
        }
        let now = boot_time();
        if now >= deadline {
            break Some(Ending::TimedOut { was_killed: false });
        }
        group.serve(LOOK.min(deadline.since(now)));
    };
    if cut_short.is_none() {
        // Somebody else's wait may be long over here, so the rest of the group gets its own time.
        end_rest(group, boot_time().after(hook.kill_after));
        return group.reap();
    }
    let kill_at = boot_time().after(hook.kill_after);
    group.terminate();
    while !group.has_ended() && boot_time() < kill_at {
        group.serve(LOOK.min(kill_at.since(boot_time())));
    }
    let was_killed = !group.has_ended();
    if was_killed {
        group.kill();
        let give_up = boot_time().after(GONE_WITHIN);
        while !group.has_ended() && boot_time() < give_up {
            group.serve(LOOK);
        }
    } else {
        end_rest(group, kill_at);
    }
    group.reap();
    match cut_short {
        Some(Ending::TimedOut { .. }) => Ending::TimedOut { was_killed },
        _ => Ending::Stopped,
    }
}

/// Ends what the program left in its group: asks first, and kills what does not listen.
fn end_rest(group: &mut Group<'_>, kill_at: BootTime) {
    if group.has_others() {
        group.terminate();
        while group.has_others() && boot_time() < kill_at {
            group.serve(Span::from_millis(20));
        }
    }
    group.kill();
}

fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    let wanted = |name: &OsString| {
        name.to_str().is_some_and(|name| ENVIRONMENT.contains(&name) || name.starts_with("LC_"))
    };
    let default = [(OsString::from("PATH"), OsString::from(PATH))];
    default.into_iter().chain(std::env::vars_os().filter(move |(name, _)| wanted(name)))
}

/// Puts texts into the places that are made for them, in one pass: what was put in is not looked
/// at again.
pub(crate) fn replaced(word: &str, replace: &[(&str, &str)]) -> String {
    let mut result = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        result.push_str(before);
        let found = replace
            .iter()
            .find_map(|(name, text)| Some((after.strip_prefix(name)?.strip_prefix('}')?, *text)));
        let (next, text) = found.unwrap_or((after, "{"));
        result.push_str(text);
        rest = next;
    }
    result.push_str(rest);
    result
}

/// Makes sure that neither this process nor what it starts writes a core. Call it early in a
/// process that will hold secrets; [`run`] makes sure by itself.
pub fn forbid_core_files() {
    let limit = getrlimit(Resource::Core);
    let current = Some(limit.maximum.unwrap_or(CORE_BYTES).min(CORE_BYTES));
    if limit.current != current {
        // One's own soft limit may be anything up to the hard one.
        let _ = setrlimit(Resource::Core, Rlimit { current, maximum: limit.maximum });
    }
}
