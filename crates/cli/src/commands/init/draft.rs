//! The configuration that is drafted for an application, and the way from its present key to a
//! ring. Everything in it is to be read and changed by people, so it says where it comes from.

use std::fmt::Write as _;
use std::path::Path;

use keywheel_core::id::RingName;
use keywheel_core::time::Span;

use crate::python::{KeyState, Report};

const DAY_SECS: u64 = 24 * 3600;
/// Nobody rotates the key of sessions more often without a reason.
const ROTATE_EVERY_DAYS_MIN: u64 = 30;
/// What cookies live where nothing says it.
const UNKNOWN_LIFETIME: Span = Span::from_secs(31 * DAY_SECS);

/// The text of the configuration.
pub(super) fn draft(report: &Report, ring: &RingName, key_file: &Path) -> String {
    let mut text = String::new();
    let app = &report.application;
    let version = app.version.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
    let longest = longest(report);
    let lifetime = longest.unwrap_or(UNKNOWN_LIFETIME);
    let name = printable(&app.name);
    // Writing to a String never fails.
    let _ = write!(
        text,
        "# Drafted from {name} ({}{version}). `keywheel init` explains every setting.\n\n\
         [server]\n\
         listen = [\"unix:keywheel.sock\"]\n\n\
         # {}\n\
         [ring.{ring}]\n\
         kind = \"secret\"\n",
        app.framework,
        purpose(report),
    );
    let _ = write!(text, "{}", sources(report));
    let _ = writeln!(text, "longest_lifetime = \"{lifetime}\"");
    let _ = writeln!(text, "rotate_every = \"{}\"", rotate_every(lifetime));
    let _ = write!(
        text,
        "\n# Each process that serves the application. It is waited for in every rotation.\n\
         [[ring.{ring}.consumer]]\n\
         name = \"web\"\n\
         role = \"protect\"\n"
    );
    match report.processes {
        Some(count) if count > 0 => {
            let _ = writeln!(text, "min_instances = {count}  # WEB_CONCURRENCY");
        }
        _ => {
            let _ = write!(
                text,
                "# At least as many must have come before a rotation goes on: say how many \
                 workers you have.\n#min_instances = 4\n"
            );
        }
    }
    let _ = write!(text, "\n# From here to there:\n");
    for step in steps(report, ring, key_file) {
        let _ = writeln!(text, "#   {}", printable(&step));
    }
    text
}

/// What is to be done after the draft was read, one command a line.
pub(super) fn steps(report: &Report, ring: &RingName, key_file: &Path) -> Vec<String> {
    let mut steps = vec!["keywheel serve --no-apply &".to_owned()];
    if report.key.written_bytes.is_some() {
        let file = key_file.display();
        steps.push(format!("keywheel ring import {ring} {file} --format raw && rm {file}"));
    }
    steps.push("keywheel apply".to_owned());
    steps.push(format!(
        "keywheel token create web --role consumer --consumer web --ring {ring} --out web.token"
    ));
    steps.extend(lines_for(&report.application.framework, ring));
    steps
}

/// The lines of the application that change.
fn lines_for(framework: &str, ring: &RingName) -> Option<String> {
    Some(match framework {
        "flask" => format!("in the application: keywheel.flask.init_app(app, session=\"{ring}\")"),
        "django" => format!(
            "in settings.py: SECRET_KEY, SECRET_KEY_FALLBACKS = \
             keywheel.django.secret_key(\"{ring}\")"
        ),
        "fastapi" | "starlette" => format!(
            "in the application: app.add_middleware(keywheel.asgi.SessionMiddleware, \
             ring=keywheel.ring(\"{ring}\"))"
        ),
        _ => return None,
    })
}

fn purpose(report: &Report) -> String {
    let setting = &report.key.setting;
    match report.key.state {
        KeyState::Static => format!("In the place of {setting}."),
        KeyState::Live => format!("{setting} is already given by a ring."),
        KeyState::Absent => "The application has no key yet; the ring makes one.".to_owned(),
    }
}

/// Where the lifetime comes from, as comments.
fn sources(report: &Report) -> String {
    let mut text = String::new();
    if report.lifetimes.is_empty() {
        text.push_str("# Nothing says how long what it protects lives: check this.\n");
    } else {
        text.push_str("# The longest of what the application protects with it:\n");
        for lifetime in &report.lifetimes {
            let length = Span::from_secs(lifetime.seconds);
            let _ = writeln!(text, "#   {} = {length}", printable(&lifetime.setting));
        }
    }
    if report.key.fallbacks > 0 {
        let _ = writeln!(
            text,
            "# The application also accepts older keys ({}), which are not taken over: begin when \
             nothing\n# that they signed is in use any more.",
            report.key.fallbacks
        );
    }
    text
}

fn longest(report: &Report) -> Option<Span> {
    report.lifetimes.iter().map(|lifetime| Span::from_secs(lifetime.seconds)).max()
}

/// At half a lifetime, so that there are never many versions at once.
fn rotate_every(lifetime: Span) -> Span {
    let half = lifetime.as_secs().div_ceil(2 * DAY_SECS);
    Span::from_secs(half.max(ROTATE_EVERY_DAYS_MIN) * DAY_SECS)
}

/// A comment ends with its line, so nothing may end it earlier.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::python::{Application, Key, Lifetime};

    fn report(seconds: &[u64]) -> Report {
        let lifetime = |seconds: &u64| Lifetime { setting: "AGE".into(), seconds: *seconds };
        Report {
            application: Application {
                name: "shop:app\n[ring.x]".into(),
                framework: "flask".into(),
                version: None,
                python: "3.13.0".into(),
            },
            key: Key {
                setting: "SECRET_KEY".into(),
                state: KeyState::Static,
                fallbacks: 2,
                written_bytes: Some(24),
            },
            lifetimes: seconds.iter().map(lifetime).collect(),
            processes: None,
            findings: Vec::new(),
        }
    }

    #[test]
    fn every_draft_is_a_configuration() {
        let ring: RingName = "web".parse().unwrap();
        for seconds in [&[][..], &[1], &[3600], &[31 * DAY_SECS, 60], &[365 * DAY_SECS]] {
            let text = draft(&report(seconds), &ring, Path::new("web.key"));
            let config = Config::parse(Path::new("keywheel.toml"), &text);
            assert!(config.is_ok(), "{seconds:?}: {text}");
            assert_eq!(config.map(|config| config.rings.len()).unwrap_or_default(), 1, "{text}");
        }
    }
}
