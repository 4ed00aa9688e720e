//! What holds between the parts of a consumer, and between consumers: names and paths that are
//! used once, the order of sinks, times that fit into each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use keywheel_deliver::settings::{Artefact, Attempt, Content, Probe, Reload, Sink, Take, Target};

use super::place::Place;

/// The most rings that one client follows.
const RINGS_MAX: usize = 64;
/// A consumer with more sinks than this is several.
const SINKS_MAX: usize = 64;

/// Judges the sinks of a consumer together.
pub(super) fn sinks(sinks: &[Sink], at: &mut Place<'_, '_>) {
    if sinks.len() > SINKS_MAX {
        at.fault(
            "sink",
            format!("{} sinks are more than {SINKS_MAX}", sinks.len()),
            "declare several consumers",
        );
    }
    let mut names = BTreeSet::new();
    for (index, sink) in sinks.iter().enumerate() {
        let mut here = at.under(&["sink", &sink.name]);
        if !names.insert(sink.name.as_str()) {
            here.fault("name", format!("`{}` is used twice", sink.name), "give each sink its own");
        }
        let is_last = index.saturating_add(1) == sinks.len();
        if matches!(sink.target, Target::Irreversible(..)) && !is_last {
            here.fault(
                "command",
                "cannot be taken back, and the sinks after it may still fail",
                "make it the last sink; there can be one",
            );
        }
    }
}

/// Judges the names of probes and the times that they may take.
pub(super) fn probes(sinks: &[Sink], probes: &[Probe], deadline: Span, at: &mut Place<'_, '_>) {
    let mut names = BTreeSet::new();
    let all = sinks.iter().flat_map(|sink| &sink.probes).chain(probes);
    for probe in all {
        let mut here = at.under(&["probe", &probe.name]);
        if probe.within > deadline {
            here.fault(
                "within",
                format!("{} is longer than the whole delivery may take, {deadline}", probe.within),
                "raise the consumer's deadline, or lower within",
            );
        }
        // Generated names repeat from sink to sink; only those that people chose must differ.
        let end = probe.name.rsplit_once('-').map(|(_, end)| end);
        let chosen = end.is_none_or(|end| end.parse::<u32>().is_err());
        if chosen && !names.insert(probe.name.as_str()) {
            here.fault("name", format!("`{}` is used twice", probe.name), "give each its own");
        }
    }
}

/// Where sinks write, so that no two write to one place.
#[derive(Default)]
pub(super) struct Places(Vec<(PathBuf, bool)>);

impl Places {
    pub(super) fn claim(&mut self, sink: &Sink, at: &mut Place<'_, '_>) {
        let (path, is_folder) = match &sink.target {
            Target::File { file, .. } => (&file.path, false),
            Target::Credentials { file, .. } => (&file.path, true),
            Target::Irreversible(..) => return,
        };
        let meets = |(other, other_is_folder): &(PathBuf, bool)| {
            path == other
                || (*other_is_folder && path.starts_with(other))
                || (is_folder && other.starts_with(path))
        };
        if self.0.iter().any(meets) {
            at.under(&["sink", &sink.name]).fault(
                "",
                format!("{} is written by two sinks, which would undo each other", path.display()),
                "put everything that stands in one file or folder into one sink",
            );
        }
        self.0.push((path.clone(), is_folder));
    }
}

/// Nothing may be written where the agent keeps its own.
pub(super) fn outside(state_dir: &Path, sink: &Sink, at: &mut Place<'_, '_>) {
    let (Target::File { file, .. } | Target::Credentials { file, .. }) = &sink.target else {
        return;
    };
    if file.path.starts_with(state_dir) || state_dir.starts_with(&file.path) {
        at.under(&["sink", &sink.name]).fault(
            "",
            format!("{} is where the agent keeps its own", file.path.display()),
            "write it elsewhere, or move server.state_dir",
        );
    }
}

/// The rings that sinks and probes name, each once.
pub(super) fn rings(
    sinks: &[Sink],
    of_templates: Vec<RingName>,
    probes: &[Probe],
    at: &mut Place<'_, '_>,
) -> Vec<RingName> {
    let mut rings: BTreeSet<RingName> = of_templates.into_iter().collect();
    for sink in sinks {
        match &sink.target {
            Target::File { content: Content::Jwks(named), .. } => {
                rings.extend(named.iter().cloned());
            }
            target => rings.extend(takes(target).map(|take| take.ring.clone())),
        }
        for reload in &sink.reload {
            if let Reload::Rolling { ready, .. } = reload {
                rings.extend(ready.iter().flat_map(probed_rings));
            }
        }
        rings.extend(sink.probes.iter().flat_map(probed_rings));
    }
    rings.extend(probes.iter().flat_map(probed_rings));
    if rings.len() > RINGS_MAX {
        at.fault(
            "sink",
            format!("names {} rings, more than {RINGS_MAX}", rings.len()),
            "declare several consumers",
        );
    }
    rings.into_iter().collect()
}

fn probed_rings(probe: &Probe) -> impl Iterator<Item = RingName> {
    let of_artefact = |artefact: &Artefact| artefact.ring.clone();
    let (shown, named) = match &probe.attempt {
        Attempt::Http(http) => (
            http.artefact.as_ref().map(of_artefact),
            http.fingerprint.as_ref().map(|header| header.ring.clone()),
        ),
        Attempt::Command { artefact, .. } => (artefact.as_ref().map(of_artefact), None),
        Attempt::NginxWorkers(_) | Attempt::Tcp { .. } => (None, None),
    };
    shown.into_iter().chain(named)
}

/// Everything that a target takes by name.
fn takes(target: &Target) -> Box<dyn Iterator<Item = &Take> + '_> {
    match target {
        Target::Credentials { set, .. } | Target::Irreversible(_, set) => Box::new(set.values()),
        Target::File { content, .. } => match content {
            Content::Raw(take) => Box::new(std::iter::once(take)),
            Content::Env(file) => Box::new(file.set.values()),
            Content::Json(set) => Box::new(set.values()),
            Content::Nginx(include) => Box::new(
                include.set.values().chain(include.accept.values().map(|accept| &accept.take)),
            ),
            Content::Template(_) | Content::Jwks(_) => Box::new(std::iter::empty()),
        },
    }
}
