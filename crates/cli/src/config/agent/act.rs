//! What is run and called: hooks, checks, reloads.

use keywheel_core::time::Span;
use keywheel_deliver::reload;
use keywheel_deliver::settings::{Check, Hook, Nginx, Reload};

use super::place::{Place, count};
use super::probe::probes;
use super::raw::{RawCheck, RawHook, RawNginx, RawReload, RawRolling};

const TIMEOUT: Span = Span::from_secs(30);
const KILL_AFTER: Span = Span::from_secs(5);
/// Whatever runs has an end within these.
const TIMEOUTS: (Span, Span) = (Span::from_millis(100), Span::from_secs(3_600));
const KILL_AFTERS: (Span, Span) = (Span::ZERO, Span::from_secs(60));

/// The fields of a hook, wherever they stand.
pub(super) struct HookFields<'raw> {
    pub(super) argv: Vec<String>,
    pub(super) timeout: Option<&'raw str>,
    pub(super) kill_after: Option<&'raw str>,
}

pub(super) fn hook(
    raw: HookFields<'_>,
    placeholders: &[&str],
    at: &mut Place<'_, '_>,
) -> Option<Hook> {
    let argv = at.argv("command", raw.argv, placeholders);
    let timeout = at.span_within("timeout", raw.timeout, TIMEOUT, TIMEOUTS);
    let kill_after = at.span_within("kill_after", raw.kill_after, KILL_AFTER, KILL_AFTERS);
    Some(Hook { argv: argv?, timeout, kill_after })
}

pub(super) fn whole_hook(raw: RawHook, at: &mut Place<'_, '_>) -> Option<Hook> {
    let fields = HookFields {
        argv: raw.command,
        timeout: raw.timeout.as_deref(),
        kill_after: raw.kill_after.as_deref(),
    };
    hook(fields, &[], at)
}

pub(super) fn check(raw: RawCheck, mut at: Place<'_, '_>) -> Option<Check> {
    match (raw.command, raw.nginx) {
        (Some(argv), None) => {
            if !argv.iter().any(|argument| argument.contains("{staged}")) {
                at.fault(
                    "command",
                    "names no {staged}, so it would judge the present file instead of the new one",
                    "put {staged} where the file's path belongs",
                );
            }
            let fields = HookFields {
                argv,
                timeout: raw.timeout.as_deref(),
                kill_after: raw.kill_after.as_deref(),
            };
            hook(fields, &["{staged}"], &mut at).map(Check::Command)
        }
        (None, Some(nginx)) => {
            if raw.timeout.is_some() || raw.kill_after.is_some() {
                at.fault("", "has a time that only a command has", "remove it");
            }
            self::nginx(nginx, &mut at.under(&["nginx"])).map(Check::Nginx)
        }
        _ => {
            at.fault("", "needs exactly one of command and nginx", "keep one");
            None
        }
    }
}

pub(super) fn nginx(raw: RawNginx, at: &mut Place<'_, '_>) -> Option<Nginx> {
    let program = at.path("program", raw.program.unwrap_or_else(|| "/usr/sbin/nginx".into()));
    let config = at.path("config", raw.config.unwrap_or_else(|| "/etc/nginx/nginx.conf".into()));
    let pid_file = at.path("pid_file", raw.pid_file.unwrap_or_else(|| "/run/nginx.pid".into()));
    Some(Nginx { program: program?, config: config?, pid_file: pid_file? })
}

pub(super) fn reloads(raw: Vec<RawReload>, at: &mut Place<'_, '_>) -> Vec<Reload> {
    raw.into_iter()
        .enumerate()
        .filter_map(|(index, raw)| reload(raw, at.under(&["reload", &index.to_string()])))
        .collect()
}

fn reload(raw: RawReload, mut at: Place<'_, '_>) -> Option<Reload> {
    let kinds =
        [raw.signal.is_some(), raw.command.is_some(), raw.http.is_some(), raw.rolling.is_some()];
    if count(&kinds) != 1 {
        at.fault("", "needs exactly one of signal, command, http and rolling", "keep one");
        return None;
    }
    let strays = [
        ("pid_file", raw.pid_file.is_some() && raw.signal.is_none()),
        ("method", raw.method.is_some() && raw.http.is_none()),
        ("timeout", raw.timeout.is_some() && raw.command.is_none() && raw.http.is_none()),
        ("kill_after", raw.kill_after.is_some() && raw.command.is_none()),
    ];
    for (field, _) in strays.iter().filter(|(_, is_stray)| *is_stray) {
        at.fault(field, "has no meaning here", "remove it");
    }
    if let Some(signal) = raw.signal {
        return self::signal(&signal, raw.pid_file, &mut at);
    }
    if let Some(argv) = raw.command {
        let fields = HookFields {
            argv,
            timeout: raw.timeout.as_deref(),
            kill_after: raw.kill_after.as_deref(),
        };
        return hook(fields, &[], &mut at).map(Reload::Command);
    }
    if let Some(rolling) = raw.rolling {
        return self::rolling(rolling, at.under(&["rolling"]));
    }
    let url = raw.http?;
    let timeout = at.span_within("timeout", raw.timeout.as_deref(), TIMEOUT, TIMEOUTS);
    let method = super::probe::method(raw.method, "POST", &["GET", "POST", "PUT"], &mut at)?;
    if !super::probe::url("http", &url, &mut at) {
        return None;
    }
    let reload = Reload::Http { method, url, timeout };
    if let Err(error) = reload::check(&reload) {
        at.fault("http", error.to_string(), error.remedy());
    }
    Some(reload)
}

fn signal(
    name: &str,
    pid_file: Option<std::path::PathBuf>,
    at: &mut Place<'_, '_>,
) -> Option<Reload> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    let Some(pid_file) = pid_file else {
        at.fault("pid_file", "is missing", "name the file with the process id");
        return None;
    };
    let pid_file = at.path("pid_file", pid_file)?;
    let reload = Reload::Signal { signal: bare.to_owned(), pid_file };
    if let Err(error) = reload::check(&reload) {
        at.fault("signal", error.to_string(), error.remedy());
    }
    Some(reload)
}

fn rolling(raw: RawRolling, mut at: Place<'_, '_>) -> Option<Reload> {
    if !raw.command.iter().any(|argument| argument.contains("{target}")) {
        at.fault("command", "names no {target}", "put {target} where the target belongs");
    }
    let floor = raw.floor.unwrap_or(1);
    if raw.targets.len() <= floor {
        at.fault(
            "floor",
            format!(
                "{floor} of {} targets are to be left alone, so none may be restarted",
                raw.targets.len()
            ),
            "name more targets, or lower the floor",
        );
    }
    if raw.ready.is_empty() {
        at.fault(
            "ready",
            "is missing, so a target that never comes back would not be noticed",
            "name a probe of {target}",
        );
    }
    let fields = HookFields {
        argv: raw.command,
        timeout: raw.timeout.as_deref(),
        kill_after: raw.kill_after.as_deref(),
    };
    let restart = hook(fields, &["{target}"], &mut at);
    let ready = probes("ready", raw.ready, &mut at);
    Some(Reload::Rolling { restart: restart?, targets: raw.targets, floor, ready })
}
