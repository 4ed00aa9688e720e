//! What a delivery does beside writing files: checks, reloads, probes, commands. Tests put a world
//! of their own in its place.

use std::path::Path;

use crate::hook;
use crate::probe;
use crate::redact::Redactor;
use crate::reload;
use crate::settings::{Attempt, Check, Hook, Probe, Reload};
use crate::values::AllValues;

/// What went wrong, in words that give nothing away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl Trouble {
    /// An error with everything below it, and what to do about it.
    pub fn of(error: &(dyn std::error::Error + 'static), remedy: impl Into<String>) -> Self {
        let mut cause = error.to_string();
        let mut below = error.source();
        while let Some(source) = below {
            let text = source.to_string();
            // An error that is transparent over its source would otherwise say everything twice.
            if !cause.ends_with(&text) {
                cause.push_str(": ");
                cause.push_str(&text);
            }
            below = source.source();
        }
        Self { cause, remedy: remedy.into() }
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
pub struct Host {
    /// What no message may show.
    pub hide: Redactor,
}

impl World for Host {
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
                let _ = (settings, target);
                Err(Trouble { cause: "nginx".into(), remedy: String::new() })
            }
        }
    }

    fn reload(
        &self,
        reload: &Reload,
        values: &AllValues,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
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
