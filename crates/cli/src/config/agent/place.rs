//! Where in the file a fault stands, and the small values that stand in many places: lengths of
//! time, paths, programs.

use std::path::{Path, PathBuf};

use keywheel_core::id::RingName;
use keywheel_core::time::Span;

use crate::config::error::Faults;

/// A table of the file, to which fields are judged.
pub(super) struct Place<'faults, 'text> {
    faults: &'faults mut Faults<'text>,
    path: Vec<String>,
}

impl<'faults, 'text> Place<'faults, 'text> {
    pub(super) fn new(faults: &'faults mut Faults<'text>, path: &[&str]) -> Self {
        Self { faults, path: path.iter().map(|segment| (*segment).to_owned()).collect() }
    }

    /// A table within this one.
    pub(super) fn under(&mut self, segments: &[&str]) -> Place<'_, 'text> {
        let mut path = self.path.clone();
        path.extend(segments.iter().map(|segment| (*segment).to_owned()));
        Place { faults: self.faults, path }
    }

    /// Notes that a field of this table is wrong; the table itself when `field` is empty.
    pub(super) fn fault(
        &mut self,
        field: &str,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let mut path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        path.extend(field.split('.').filter(|segment| !segment.is_empty()));
        self.faults.add(&path, cause, remedy);
    }

    /// Reads a length of time.
    pub(super) fn span(&mut self, field: &str, raw: Option<&str>, default: Span) -> Span {
        match raw.map(str::parse::<Span>) {
            None => default,
            Some(Ok(span)) => span,
            Some(Err(error)) => {
                self.fault(field, error.to_string(), format!("{default} is the default"));
                default
            }
        }
    }

    /// Reads a length of time that has to be between two others.
    pub(super) fn span_within(
        &mut self,
        field: &str,
        raw: Option<&str>,
        default: Span,
        (least, most): (Span, Span),
    ) -> Span {
        let span = self.span(field, raw, default);
        if span < least || span > most {
            self.fault(
                field,
                format!("{span} is outside {least} to {most}"),
                format!("{default} is the default"),
            );
            return default;
        }
        span
    }

    /// Takes a path that has to be complete.
    pub(super) fn path(&mut self, field: &str, path: PathBuf) -> Option<PathBuf> {
        let is_plain = |part: std::path::Component<'_>| {
            !matches!(part, std::path::Component::ParentDir | std::path::Component::CurDir)
        };
        if !path.is_absolute() {
            self.fault(
                field,
                format!("{} is relative, and the agent may be started anywhere", path.display()),
                "write the whole path, from /",
            );
        } else if !path.components().all(is_plain) || path.file_name().is_none() {
            self.fault(
                field,
                format!("{} has no plain form", path.display()),
                "write the path without . and .., to a file or a folder",
            );
        } else {
            return Some(path);
        }
        None
    }

    /// Reads the name of a ring.
    pub(super) fn ring(&mut self, field: &str, name: &str) -> Option<RingName> {
        match name.parse() {
            Ok(ring) => Some(ring),
            Err(error) => {
                self.fault(field, format!("{error}"), "name the ring as `keywheel ring list` does");
                None
            }
        }
    }

    /// Takes a program and its arguments, which may name only these placeholders.
    pub(super) fn argv(
        &mut self,
        field: &str,
        argv: Vec<String>,
        placeholders: &[&str],
    ) -> Option<Vec<String>> {
        let Some(program) = argv.first().filter(|program| !program.is_empty()) else {
            self.fault(field, "is empty", "name the program and its arguments");
            return None;
        };
        if program.contains('/') && !Path::new(program).is_absolute() {
            self.fault(
                field,
                format!("{program} is relative, and the agent may be started anywhere"),
                "write the program's whole path, or its name alone to look for it in PATH",
            );
            return None;
        }
        if argv.iter().any(|argument| argument.contains('\0')) {
            self.fault(field, "has an argument with a NUL character", "remove it");
            return None;
        }
        for unknown in ["{staged}", "{target}", "{artefact}"] {
            let is_known = placeholders.contains(&unknown);
            if !is_known && argv.iter().any(|argument| argument.contains(unknown)) {
                let remedy = match unknown {
                    "{artefact}" => {
                        "others can read arguments; the command gets the artefacts as JSON on \
                         standard input"
                    }
                    _ => "remove it",
                };
                self.fault(field, format!("{unknown} has no meaning in this command"), remedy);
                return None;
            }
        }
        Some(argv)
    }
}

/// How many of these are there.
pub(super) fn count(present: &[bool]) -> usize {
    present.iter().filter(|is_there| **is_there).count()
}
