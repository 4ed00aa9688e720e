//! A command of the user's that tries what only it knows how to try. It gets the artefacts as JSON
//! on standard input, the one place that other processes do not see.

use serde::Serialize;
use zeroize::Zeroizing;

use super::{Course, Missing, ProbeError, Seen, Shown};
use crate::SecretText;
use crate::artefact::ArtefactError;
use crate::hook::{self, HookError};
use crate::redact::Redactor;
use crate::settings::Hook;

/// What a version needs in JSON beside its artefacts and its kid, which may all be escaped.
const ROOM_BYTES: usize = 256;

/// What the command reads.
#[derive(Serialize)]
struct Input<'a> {
    ring: &'a str,
    primary: Option<u32>,
    versions: Vec<Version<'a>>,
}

#[derive(Serialize)]
struct Version<'a> {
    #[serde(rename = "version")]
    number: u32,
    kid: &'a str,
    good: &'a str,
    bogus: &'a str,
}

pub(super) fn run(
    hook: &Hook,
    shown: Option<&Shown<'_>>,
    hide: &Redactor,
    course: &mut Course<'_>,
) -> Result<Seen, ProbeError> {
    let timeout = hook.timeout.min(course.probe.timeout);
    let hook = Hook { timeout, ..hook.clone() };
    loop {
        course.unless_stopped()?;
        course.begin();
        let made = shown.map(|shown| input(shown, hide)).transpose();
        let made = made.map_err(|error| course.never(error.into()))?;
        let (input, hide) = match &made {
            Some((input, hide)) => (Some(input.as_slice()), hide),
            None => (None, hide),
        };
        let Err(error) = hook::run(&hook, &[], input, hide, course.stop) else { break };
        let missing = Missing::other(error.to_string(), error.remedy());
        match error {
            HookError::Stopped { .. } => return Err(course.stopped()),
            HookError::ExitCode { .. }
            | HookError::Timeout { .. }
            | HookError::Signalled { .. } => {
                course.wait(missing)?;
            }
            _ => return Err(course.never(missing)),
        }
    }
    let not_shown = shown.map(|shown| shown.halves.clone()).unwrap_or_default();
    Ok(Seen { tries: course.tries, workers: Vec::new(), not_shown })
}

/// Makes the artefacts, and hides them in what the command says.
fn input(
    shown: &Shown<'_>,
    hide: &Redactor,
) -> Result<(Zeroizing<Vec<u8>>, Redactor), ArtefactError> {
    let mut hide = hide.clone();
    let mut made: Vec<(SecretText, SecretText)> = Vec::new();
    for version in &shown.versions {
        let (good, bogus) = (shown.good(version)?, shown.bogus(version)?);
        hide.hide(good.expose().as_bytes());
        hide.hide(bogus.expose().as_bytes());
        made.push((good, bogus));
    }
    let mut versions = Vec::new();
    let mut room = ROOM_BYTES;
    for (version, (good, bogus)) in shown.versions.iter().zip(&made) {
        let (good, bogus, kid) = (good.expose(), bogus.expose(), version.kid().0.as_str());
        let text_bytes = [good, bogus, kid].iter().map(|text| text.len()).sum::<usize>();
        // The longest escape makes six bytes of one.
        room = room.saturating_add(text_bytes.saturating_mul(6)).saturating_add(ROOM_BYTES);
        versions.push(Version { number: version.number().0, kid, good, bogus });
    }
    let primary = shown.ring.primary().map(|primary| primary.number().0);
    let input = Input { ring: shown.artefact.ring.as_str(), primary, versions };
    // Written into a buffer that does not grow, which would leave copies behind.
    let mut json = Zeroizing::new(Vec::with_capacity(room));
    if serde_json::to_writer(&mut *json, &input).is_err() {
        return Err(ArtefactError::WrongKind("JSON"));
    }
    Ok((json, hide))
}
