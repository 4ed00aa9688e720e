//! Programs that `keywheel exec` knows, as data: how each is told to finish what it has begun and
//! end, and whether it takes sockets that are already open. What is not in the table is told to
//! end with SIGTERM, and takes no sockets unless it is said so.

use std::ffi::OsString;
use std::path::Path;

use rustix::process::Signal;

/// How a program takes sockets that somebody else has opened (sd_listen_fds(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// It reads `LISTEN_FDS` and listens on all of them.
    All,
    /// It must be told to, with this argument; most take a single one.
    Told(&'static str),
    /// It opens its own.
    None,
}

/// What is known of a program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its file name, without a version.
    pub name: &'static str,
    /// The signal with which it finishes what it has begun, and ends.
    pub stop: Signal,
    /// How it takes sockets.
    pub sockets: Sockets,
    /// What else people should know.
    pub hint: &'static str,
}

/// The table. gunicorn's own upgrade (SIGUSR2) is not used: the new master inherits the
/// environment of the old one, and with it the old key. The same holds for SIGHUP everywhere.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "gunicorn",
        stop: Signal::TERM,
        sockets: Sockets::All,
        hint: "keep graceful_timeout below --stop-timeout; --bind gives way to what --listen \
               opened; give --no-control-socket, which a successor would share",
    },
    Program {
        name: "uvicorn",
        stop: Signal::TERM,
        sockets: Sockets::Told("--fd 3"),
        hint: "set --timeout-graceful-shutdown below --stop-timeout, or open streams keep the old \
               process until it is killed",
    },
    Program {
        name: "hypercorn",
        stop: Signal::TERM,
        sockets: Sockets::Told("--bind fd://3"),
        hint: "set --graceful-timeout below --stop-timeout",
    },
    Program {
        name: "uwsgi",
        // SIGTERM reloads uWSGI brutally, and SIGINT ends it so. With exit-on-reload the graceful
        // reload, which is SIGHUP, ends instead of beginning anew with the old environment.
        stop: Signal::HUP,
        sockets: Sockets::Told("--http-socket fd://3 --exit-on-reload"),
        hint: "without exit-on-reload SIGHUP would load the application again with the old key",
    },
    Program {
        name: "puma",
        stop: Signal::TERM,
        sockets: Sockets::Told("--bind-to-activated-sockets only"),
        hint: "its phased restart keeps the old environment; leave restarts to keywheel",
    },
    Program {
        name: "php-fpm",
        stop: Signal::QUIT,
        sockets: Sockets::None,
        hint: "run it with --nodaemonize, and set process_control_timeout below --stop-timeout",
    },
    Program {
        name: "celery",
        stop: Signal::TERM,
        sockets: Sockets::None,
        hint: "a warm shutdown ends running tasks first; give --stop-timeout the length of the \
               longest",
    },
];

/// What is done with a program that is not in the table.
pub const UNKNOWN: Program = Program {
    name: "",
    stop: Signal::TERM,
    sockets: Sockets::None,
    hint: "keywheel does not know it: --stop-signal says how it ends in good order",
};

/// Finds a program by its command line: by its file name, or behind an interpreter by the module
/// or script.
pub fn known(argv: &[OsString]) -> Option<&'static Program> {
    let name = name_of(argv)?;
    PROGRAMS.iter().find(|program| name == program.name)
}

/// `/usr/bin/php-fpm8.2` is `php-fpm`, and `python3 -m uvicorn` is `uvicorn`.
fn name_of(argv: &[OsString]) -> Option<String> {
    let file_name = |argument: &OsString| {
        let name = Path::new(argument).file_name()?.to_string_lossy().into_owned();
        let name = name.strip_suffix(".py").unwrap_or(&name);
        Some(name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned())
    };
    let first = file_name(argv.first()?)?;
    if !matches!(first.as_str(), "python" | "pypy" | "ruby") {
        return Some(first);
    }
    let mut rest = argv.iter().skip(1);
    while let Some(argument) = rest.next() {
        match argument.to_string_lossy().as_ref() {
            "-m" => return rest.next().and_then(file_name),
            // These take a value of their own.
            "-W" | "-X" => drop(rest.next()),
            option if option.starts_with('-') => {}
            _ => return file_name(argument),
        }
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Option<&'static str> {
        let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        known(&argv).map(|program| program.name)
    }

    #[test]
    fn programs_are_found_by_name_module_or_script() {
        assert_eq!(found("gunicorn app:app"), Some("gunicorn"));
        assert_eq!(found("/srv/venv/bin/gunicorn -w 4 app:app"), Some("gunicorn"));
        assert_eq!(found("python3.12 -m uvicorn app:app"), Some("uvicorn"));
        assert_eq!(found("python -X dev -u -m gunicorn app:app"), Some("gunicorn"));
        assert_eq!(found("/usr/bin/python3 /srv/venv/bin/celery worker"), Some("celery"));
        assert_eq!(found("/usr/sbin/php-fpm8.2 --nodaemonize"), Some("php-fpm"));
        assert_eq!(found("python3 manage.py runserver"), None);
        assert_eq!(found("python3"), None);
        assert_eq!(known(&[]).map(|program| program.name), None);
    }

    #[test]
    fn each_program_stands_in_the_table_once_and_has_a_hint() {
        for (index, program) in PROGRAMS.iter().enumerate() {
            assert!(!program.hint.is_empty());
            assert!(PROGRAMS.iter().skip(index + 1).all(|other| other.name != program.name));
        }
    }
}
