//! Tries the real path, and says what was seen. Only what passes here is proved in a consumer's
//! name; what does not is named precisely, because somebody has to mend it.

use keywheel_client::clock::{BootTime, boot_time, wall_millis};
use keywheel_core::id::VersionNumber;
use keywheel_core::time::Span;

use crate::artefact::{self, ArtefactError};
use crate::hook::replaced;
use crate::redact::Redactor;
use crate::settings::{Artefact, Attempt, Parent, Probe, Workers};
use crate::values::{AllValues, Value, Values};

mod command;
mod error;
mod http;
mod nginx;
mod tcp;
#[cfg(test)]
mod tests;
mod workers;

pub use error::{Missing, ProbeError};

/// The pause after a try that failed grows from this, by doubling,
const PAUSE_LEAST: Span = Span::from_millis(25);
/// to this.
const PAUSE_MOST: Span = Span::from_millis(500);
/// How often `stop` is asked during a pause.
const LOOK: Span = Span::from_millis(25);
/// However long it may take, no probe tries more often.
const TRIES_MAX: u32 = 1_000_000;

/// What a probe saw when it passed: the evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many requests, connections or runs it took.
    pub tries: u32,
    /// The processes that answered, by the number that they gave.
    pub workers: Vec<u32>,
    /// Accepted versions that could not be shown, because this agent does not hold all of their
    /// key.
    pub not_shown: Vec<VersionNumber>,
}

/// Tries until it passes, at most [`Probe::within`]. `hide` is taken out of what programs and
/// servers say, beside the secrets of `values`. It ends early when `stop` says so.
///
/// # Errors
/// When it did not pass in time, or never can.
pub fn probe(
    probe: &Probe,
    values: &AllValues,
    hide: &Redactor,
    stop: &dyn Fn() -> bool,
) -> Result<Seen, ProbeError> {
    let hide = hide.and(values);
    let mut course = Course::of(probe, stop);
    let never = |missing| ProbeError::Never { probe: probe.name.clone(), missing };
    match &probe.attempt {
        Attempt::Http(attempt) => {
            let session = http::Session::new(attempt, values, &hide).map_err(never)?;
            session.run(&mut course)
        }
        Attempt::Command { hook, artefact } => {
            let shown = artefact.as_ref().map(|artefact| Shown::of(artefact, values));
            let shown = shown.transpose().map_err(|error| never(error.into()))?;
            command::run(hook, shown.as_ref(), &hide, &mut course)
        }
        Attempt::NginxWorkers(settings) => nginx::run(settings, &mut course),
        Attempt::Tcp { address, tls } => {
            let tls = tcp::name(tls.as_ref()).map_err(never)?;
            tcp::run(address, tls.as_ref(), &mut course)
        }
    }
}

/// The tries of one probe: how many they were, and how long they may go on.
struct Course<'a> {
    probe: &'a Probe,
    stop: &'a dyn Fn() -> bool,
    deadline: BootTime,
    tries: u32,
    pause: Span,
    /// What was missing in the last try that had its whole time.
    last: Option<Missing>,
}

impl<'a> Course<'a> {
    fn of(probe: &'a Probe, stop: &'a dyn Fn() -> bool) -> Self {
        let deadline = boot_time().after(probe.within);
        Self { probe, stop, deadline, tries: 0, pause: PAUSE_LEAST, last: None }
    }

    /// Counts a request, connection or run, and says until when it must be over.
    fn begin(&mut self) -> BootTime {
        self.tries = self.tries.saturating_add(1);
        let whole = boot_time().after(self.probe.timeout);
        // The first one gets its whole time, however short the patience is.
        if self.tries == 1 { whole } else { whole.min(self.deadline) }
    }

    /// A try went well: should the next one fail, the pauses begin short again.
    const fn went_well(&mut self) {
        self.pause = PAUSE_LEAST;
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// When there is no time for one.
    fn wait(&mut self, missing: Missing) -> Result<(), ProbeError> {
        let now = boot_time();
        // An answer that was cut off by the end of the whole time says less than what came before.
        let is_cut_off = now >= self.deadline && matches!(missing, Missing::Answer { .. });
        let missing = self.last.take().filter(|_| is_cut_off).unwrap_or(missing);
        self.last = Some(missing.clone());
        let until = now.after(self.pause);
        if until >= self.deadline || self.tries >= TRIES_MAX {
            let (probe, within) = (self.probe.name.clone(), self.probe.within);
            return Err(ProbeError::NotInTime { probe, within, tries: self.tries, missing });
        }
        self.pause = self.pause.plus(self.pause).min(PAUSE_MOST);
        while boot_time() < until {
            self.unless_stopped()?;
            std::thread::sleep(LOOK.min(until.since(boot_time())).to_std());
        }
        self.unless_stopped()
    }

    fn unless_stopped(&self) -> Result<(), ProbeError> {
        if (self.stop)() { Err(self.stopped()) } else { Ok(()) }
    }

    fn stopped(&self) -> ProbeError {
        ProbeError::Stopped { probe: self.probe.name.clone() }
    }

    fn never(&self, missing: Missing) -> ProbeError {
        ProbeError::Never { probe: self.probe.name.clone(), missing }
    }
}

/// The versions of a ring that can be shown, and how.
struct Shown<'a> {
    artefact: &'a Artefact,
    ring: &'a Values,
    versions: Vec<&'a Value>,
    /// Those that were accepted before and must be refused by now.
    dropped: Vec<&'a Value>,
    /// Those of which only the half that verifies is held.
    halves: Vec<VersionNumber>,
}

impl<'a> Shown<'a> {
    /// Makes one artefact of each, so that what can never be made is known at once.
    fn of(artefact: &'a Artefact, values: &'a AllValues) -> Result<Self, ArtefactError> {
        let unknown = || ArtefactError::UnknownRing(artefact.ring.clone());
        let ring = values.get(&artefact.ring).ok_or_else(unknown)?;
        let (versions, dropped, halves) = (Vec::new(), Vec::new(), Vec::new());
        let mut shown = Self { artefact, ring, versions, dropped, halves };
        for version in ring.versions() {
            match shown.bogus(version) {
                Ok(_) => shown.versions.push(version),
                Err(ArtefactError::OnlyHalf(number)) => shown.halves.push(number),
                Err(error) => return Err(error),
            }
        }
        let is_whole = |version: &&Value| shown.good(version).is_ok();
        let dropped = ring.dropped().iter().filter(is_whole).collect();
        shown.dropped = dropped;
        // A probe that shows nothing would pass without having tried anything.
        match (shown.versions.is_empty(), shown.halves.last()) {
            (true, Some(number)) => Err(ArtefactError::OnlyHalf(*number)),
            (true, None) => Err(ArtefactError::NoVersion(artefact.ring.clone())),
            (false, _) => Ok(shown),
        }
    }

    fn good(&self, version: &Value) -> Result<crate::SecretText, ArtefactError> {
        artefact::good(self.artefact, version, now_secs())
    }

    fn bogus(&self, version: &Value) -> Result<crate::SecretText, ArtefactError> {
        artefact::bogus(self.artefact, self.ring, version, now_secs())
    }
}

fn now_secs() -> i64 {
    wall_millis().div_euclid(1_000)
}

/// The same probe with texts in the places `{name}` of its address, headers and arguments.
pub(crate) fn with(probe: &Probe, replace: &[(&str, &str)]) -> Probe {
    let text = |text: &mut String| *text = replaced(text, replace);
    let path = |path: &mut std::path::PathBuf| {
        if let Some(word) = path.to_str() {
            *path = replaced(word, replace).into();
        }
    };
    let mut probe = probe.clone();
    match &mut probe.attempt {
        Attempt::Http(attempt) => {
            text(&mut attempt.url);
            attempt.headers.iter_mut().for_each(|(_, value)| text(value));
            if let Some(Workers { parent: Parent::PidFile(file), .. }) = &mut attempt.workers {
                path(file);
            }
            if let Some(tls) = &mut attempt.tls {
                text(&mut tls.name);
            }
        }
        Attempt::Command { hook, .. } => hook.argv.iter_mut().for_each(text),
        Attempt::NginxWorkers(nginx) => path(&mut nginx.pid_file),
        Attempt::Tcp { address, tls } => {
            text(address);
            if let Some(tls) = tls {
                text(&mut tls.name);
            }
        }
    }
    probe
}

/// Refuses what could never pass, when settings are read. `{target}` may still stand in addresses,
/// so a probe of a rolling restart is checked with a target in its place.
///
/// # Errors
/// When the address, the method or the statuses make no sense.
pub fn check(probe: &Probe) -> Result<(), Missing> {
    match &probe.attempt {
        Attempt::Http(attempt) => http::check(attempt).map(|_| ()),
        Attempt::Command { .. } | Attempt::NginxWorkers(_) | Attempt::Tcp { .. } => Ok(()),
    }
}
