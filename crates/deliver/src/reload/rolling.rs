//! One restart after the other. A target that is not back ends it, so that no more than that one
//! is ever missing.

use std::collections::BTreeSet;

use super::{ReloadError, at_target};
use crate::hook::{self, HookError};
use crate::probe::{self, ProbeError};
use crate::redact::Redactor;
use crate::settings::{Hook, Probe};
use crate::values::AllValues;

pub(super) fn check(targets: &[String], floor: usize) -> Result<(), ReloadError> {
    let different: BTreeSet<&String> = targets.iter().collect();
    let is_named = !targets.iter().any(String::is_empty);
    if targets.is_empty() || different.len() < targets.len() || !is_named {
        return Err(ReloadError::Targets);
    }
    if targets.len().saturating_sub(1) < floor {
        return Err(ReloadError::Floor { targets: targets.len(), floor });
    }
    Ok(())
}

pub(super) fn restart(
    restart: &Hook,
    targets: &[String],
    ready: &[Probe],
    values: &AllValues,
    hide: &Redactor,
    stop: &dyn Fn() -> bool,
) -> Result<(), ReloadError> {
    let of = targets.len();
    for (done, target) in targets.iter().enumerate() {
        if stop() {
            return Err(ReloadError::Stopped);
        }
        let run = hook::run(restart, &[("target", target)], None, hide, stop);
        run.map_err(|source| match source {
            HookError::Stopped { .. } => ReloadError::Stopped,
            source => ReloadError::Restart { target: target.clone(), done, of, source },
        })?;
        for probe in ready {
            let seen = probe::probe(&at_target(probe, target), values, hide, stop);
            seen.map_err(|source| match source {
                ProbeError::Stopped { .. } => ReloadError::Stopped,
                source => {
                    let source = Box::new(source);
                    ReloadError::Ready { target: target.clone(), done, of, source }
                }
            })?;
        }
    }
    Ok(())
}
