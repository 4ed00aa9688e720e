//! What a delivery does beside writing files: checks, reloads, probes, commands. Tests put a world
//! of their own in its place.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;

use crate::hook;
use crate::nginx::{self, Reloading, WorkersError};
use crate::probe;
use crate::redact::Redactor;
use crate::reload;
use crate::settings::{
    Attempt, Check, Content, Delivery, Hook, Nginx, Probe, Reload, Sink, Target,
};
use crate::values::AllValues;

/// How often the workers of nginx are looked at.
const LOOK: Span = Span::from_millis(50);

/// What went wrong, in words that give nothing away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
    /// The new content is in use, but not everywhere yet: to take it back would help nobody.
    pub is_pending: bool,
}

impl Trouble {
    /// A trouble of these words.
    pub fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into(), is_pending: false }
    }

    /// An error with everything below it, and what to do about it.
    pub fn of(error: &(dyn std::error::Error + 'static), remedy: impl Into<String>) -> Self {
        Self::new(keywheel_core::text::chain(error), remedy)
    }
}

/// Everything that a delivery does beside writing files. Each may be done twice.
pub trait World {
    /// Judges a staged file that is to take the place of `target`.
    ///
    /// # Errors
    /// When it may not.
    fn check(
        &self,
        check: &Check,
        target: &Path,
        staged: &Path,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble>;

    /// Makes the consumer take new content.
    ///
    /// # Errors
    /// When it was not told, or refused.
    fn reload(
        &self,
        sink: &Sink,
        reload: &Reload,
        values: &AllValues,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble>;

    /// Tries the real path.
    ///
    /// # Errors
    /// When it does not work with these values.
    fn probe(
        &self,
        probe: &Probe,
        values: &AllValues,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble>;

    /// Runs a command with this input.
    ///
    /// # Errors
    /// When it failed.
    fn run(&self, hook: &Hook, input: &[u8], stop: &dyn Fn() -> bool) -> Result<(), Trouble>;
}

/// This host.
pub struct Host<'a> {
    delivery: &'a Delivery,
    /// What no message may show.
    hide: Redactor,
    /// Each nginx as it was right before its last reload, by its pid file.
    reloading: RefCell<BTreeMap<PathBuf, Reloading>>,
}

impl<'a> Host<'a> {
    /// This host, for one delivery; `hide` is taken out of messages.
    pub const fn new(delivery: &'a Delivery, hide: Redactor) -> Self {
        Self { delivery, hide, reloading: RefCell::new(BTreeMap::new()) }
    }

    /// Remembers what nginx is like when it is about to be reloaded: only so can its new workers be
    /// told from the old ones.
    fn note_nginx(&self, sink: &Sink, reload: &Reload) {
        let of_probe = |probe: &'a Probe| match &probe.attempt {
            Attempt::NginxWorkers(nginx) => Some(nginx),
            _ => None,
        };
        let of_sinks = self.delivery.sinks.iter().flat_map(|sink| &sink.probes);
        for nginx in of_sinks.chain(&self.delivery.probes).filter_map(of_probe) {
            if is_reloaded(nginx, sink, reload) {
                let mark = Reloading::about_to(nginx);
                self.reloading.borrow_mut().insert(nginx.pid_file.clone(), mark);
            }
        }
    }

    fn workers(&self, nginx: &Nginx, within: Span, stop: &dyn Fn() -> bool) -> Result<(), Trouble> {
        let until = boot_time().after(within);
        loop {
            let mark = self.reloading.borrow().get(&nginx.pid_file).cloned();
            let seen = match &mark {
                Some(mark) => mark.taken(nginx, &self.hide).map(drop),
                None => nginx::old_workers(nginx, None).and_then(|old| {
                    if old.is_empty() { Ok(()) } else { Err(WorkersError::Old { workers: old }) }
                }),
            };
            let Err(error) = seen else { return Ok(()) };
            if error.is_final() || boot_time() >= until || stop() {
                let is_pending = matches!(error, WorkersError::Old { .. });
                return Err(Trouble { is_pending, ..Trouble::of(&error, error.remedy()) });
            }
            std::thread::park_timeout(LOOK.to_std());
        }
    }
}

/// Whether a sink's reload is one of this nginx.
fn is_reloaded(nginx: &Nginx, sink: &Sink, reload: &Reload) -> bool {
    if let Reload::Signal { pid_file, .. } = reload {
        return *pid_file == nginx.pid_file;
    }
    let is_checked =
        matches!(&sink.check, Some(Check::Nginx(checked)) if checked.pid_file == nginx.pid_file);
    let is_probed = sink.probes.iter().any(|probe| {
        matches!(&probe.attempt, Attempt::NginxWorkers(probed) if probed.pid_file == nginx.pid_file)
    });
    let is_include = matches!(&sink.target, Target::File { content: Content::Nginx(_), .. });
    is_checked || is_probed || is_include
}

impl World for Host<'_> {
    fn check(
        &self,
        check: &Check,
        target: &Path,
        staged: &Path,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        match check {
            Check::Command(hook) => {
                let staged = staged.to_string_lossy();
                hook::run(hook, &[("staged", &staged)], None, &self.hide, stop)
                    .map(drop)
                    .map_err(|error| Trouble::of(&error, error.remedy()))
            }
            Check::Nginx(settings) => {
                nginx::check_staged(settings, target, staged, &self.hide, stop)
                    .map_err(|error| Trouble::of(&error, error.remedy()))
            }
        }
    }

    fn reload(
        &self,
        sink: &Sink,
        reload: &Reload,
        values: &AllValues,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        self.note_nginx(sink, reload);
        reload::reload(reload, values, &self.hide, stop)
            .map(drop)
            .map_err(|error| Trouble::of(&error, error.remedy()))
    }

    fn probe(
        &self,
        probe: &Probe,
        values: &AllValues,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        if let Attempt::NginxWorkers(nginx) = &probe.attempt {
            return self.workers(nginx, probe.within, stop);
        }
        let seen = probe::probe(probe, values, &self.hide, stop)
            .map_err(|error| Trouble::of(&error, error.remedy()))?;
        tracing::debug!(
            probe = probe.name,
            tries = seen.tries,
            workers = ?seen.workers,
            not_shown = ?seen.not_shown,
            "the probe passed"
        );
        Ok(())
    }

    fn run(&self, hook: &Hook, input: &[u8], stop: &dyn Fn() -> bool) -> Result<(), Trouble> {
        hook::run(hook, &[], Some(input), &self.hide, stop)
            .map(drop)
            .map_err(|error| Trouble::of(&error, error.remedy()))
    }
}

/// Whether a probe says something about values: it cannot judge a content whose values are not
/// known any more.
pub(super) fn needs_values(probe: &Probe) -> bool {
    match &probe.attempt {
        Attempt::Http(http) => http.artefact.is_some() || http.fingerprint.is_some(),
        Attempt::Command { artefact, .. } => artefact.is_some(),
        Attempt::NginxWorkers(_) | Attempt::Tcp { .. } => false,
    }
}
