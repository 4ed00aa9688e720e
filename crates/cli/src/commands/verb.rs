//! What the operator verbs have in common: a ring, a reason, a revision, and how the ring stands
//! afterwards.

use keywheel_api::ring::{RingStatus, Verb};
use keywheel_core::id::RingName;
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show;

/// The arguments of a verb on a ring.
#[derive(clap::Args, Clone, Debug)]
pub struct OnRing {
    /// The ring
    pub ring: RingName,
    /// Why, in words, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only if the ring still is at this revision
    #[arg(long, value_name = "N")]
    pub if_revision: Option<u64>,
}

/// The arguments of a verb on one version, which bends a law and therefore needs a reason.
#[derive(clap::Args, Clone, Debug)]
pub struct OnVersion {
    /// The ring
    pub ring: RingName,
    /// The version: 7 or v7
    #[arg(value_parser = version_number)]
    pub version: u32,
    /// Why, in words, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only if the ring still is at this revision
    #[arg(long, value_name = "N")]
    pub if_revision: Option<u64>,
}

/// Reads `7` or `v7`.
///
/// # Errors
/// When it is neither.
pub fn version_number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('v').unwrap_or(text);
    match digits.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a version is a number from 1, such as 7 or v7".to_owned()),
    }
}

/// Asks for a verb on a ring and shows how the ring stands then.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn act(invocation: &Invocation, verb: &str, on: &OnRing) -> Outcome {
    let body = Verb { reason: on.reason.clone(), ..Verb::default() };
    let path = format!("/v1/rings/{}/{verb}", on.ring);
    show_after(invocation, &send(invocation, &path, &body, on.if_revision)?)
}

/// Asks for a verb on one version and shows how the ring stands then.
///
/// # Errors
/// As [`act`].
pub fn act_on_version(invocation: &Invocation, verb: &str, on: &OnVersion, body: &Verb) -> Outcome {
    let path = format!("/v1/rings/{}/versions/{}/{verb}", on.ring, on.version);
    let body = Verb { reason: Some(on.reason.clone()), ..body.clone() };
    show_after(invocation, &send(invocation, &path, &body, on.if_revision)?)
}

/// Posts a body and reads how the ring stands then.
///
/// # Errors
/// As [`act`].
pub fn send(
    invocation: &Invocation,
    path: &str,
    body: &impl Serialize,
    if_revision: Option<u64>,
) -> Result<RingStatus, Failure> {
    Remote::open(invocation)?.change("POST", path, body, if_revision)
}

/// Shows how a ring stands after a change.
///
/// # Errors
/// When standard output cannot be written.
pub fn show_after(invocation: &Invocation, ring: &RingStatus) -> Outcome {
    if invocation.console.json() {
        invocation.console.value(ring)?;
    } else {
        invocation.console.tell(&show::ring::line(ring))?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_their_letter() {
        assert_eq!(version_number("7"), Ok(7));
        assert_eq!(version_number("v12"), Ok(12));
        for text in ["0", "v0", "", "v", "-1", "7.0", "vv7"] {
            assert!(version_number(text).is_err(), "{text}");
        }
    }
}
