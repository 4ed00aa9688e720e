//! Requests that show which key a service uses. Each is made on a connection of its own, so that
//! every one may reach another worker and none is answered from what an earlier one established.
//!
//! One round shows a good artefact of every accepted version and, after it, its bogus like: a cache
//! that ignores credentials has then been filled by the good one. `fresh` rounds in a row must go
//! well, and a failure starts the row and the coverage of workers anew, because a worker that fails
//! now and then is one that fails.

use std::collections::BTreeSet;

use keywheel_client::TlsOptions;
use keywheel_client::http::{Answer, OnceError, Target, TlsName, once};
use zeroize::Zeroizing;

use super::workers::{Answered, Tree};
use super::{Course, Missing, ProbeError, Seen, Shown};
use crate::SecretText;
use crate::redact::Redactor;
use crate::settings::{HttpAttempt, Workers};
use crate::values::{AllValues, Value};

/// What a bogus artefact is refused with unless said otherwise.
const REFUSED: [u16; 2] = [401, 403];
const METHODS: [&str; 3] = ["GET", "HEAD", "POST"];
/// The place of the artefact in a header.
const PLACE: &str = "{artefact}";
/// A fingerprint has so many hexadecimal digits. Anything else in its header is not shown: it may
/// be the key itself.
const FINGERPRINT_DIGITS: usize = 16;

/// What does not change between the tries.
pub(super) struct Session<'a> {
    attempt: &'a HttpAttempt,
    target: Target,
    tls: Option<TlsName>,
    shown: Option<Shown<'a>>,
    /// The header and the fingerprint of the primary.
    fingerprint: Option<(String, String)>,
    hide: &'a Redactor,
}

/// What is shown in one request.
#[derive(Clone, Copy)]
enum Show<'a> {
    Nothing,
    Good(&'a Value),
    Bogus(&'a Value),
    Dropped(&'a Value),
}

/// Why one request did not bring what it should.
enum Fault {
    Missing(Missing),
    Error(ProbeError),
}

impl From<Missing> for Fault {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// Refuses what could never pass, when settings are read.
pub(super) fn check(attempt: &HttpAttempt) -> Result<Target, Missing> {
    let target = Target::parse(&attempt.url);
    let target = target.map_err(|error| Missing::other(error.cause, error.remedy))?;
    let is_clear = target.tls_name().is_none() && !target.is_local();
    if is_clear && attempt.artefact.is_some() {
        return Err(Missing::other(
            "plain http would send what a key makes over the network in clear",
            "use https://, or probe on this machine over 127.0.0.1 or a unix socket",
        ));
    }
    if !METHODS.contains(&attempt.method.as_str()) {
        return Err(Missing::other("the method is none of GET, HEAD and POST", "use one of them"));
    }
    let has_place = attempt.headers.iter().any(|(_, value)| value.contains(PLACE));
    if has_place != attempt.artefact.is_some() {
        return Err(Missing::other(
            "an artefact and a header with {artefact} in it belong together",
            "give both, for example the header Authorization with the value Bearer {artefact}",
        ));
    }
    if attempt.artefact.is_some()
        && (100..600).any(|status| is_accepted(attempt, status) && is_refused(attempt, status))
    {
        return Err(Missing::other(
            "a status counts as accepted and as refused",
            "name it in one of the two lists",
        ));
    }
    Ok(target)
}

fn is_accepted(attempt: &HttpAttempt, status: u16) -> bool {
    match attempt.accepted.as_slice() {
        [] => (200..300).contains(&status),
        named => named.contains(&status),
    }
}

fn is_refused(attempt: &HttpAttempt, status: u16) -> bool {
    match attempt.refused.as_slice() {
        [] => REFUSED.contains(&status),
        named => named.contains(&status),
    }
}

impl<'a> Session<'a> {
    pub(super) fn new(
        attempt: &'a HttpAttempt,
        values: &'a AllValues,
        hide: &'a Redactor,
    ) -> Result<Self, Missing> {
        let target = check(attempt)?;
        let name = attempt.tls.as_ref().map(|tls| tls.name.as_str()).or(target.tls_name());
        let tls = match (target.tls_name(), name) {
            (Some(_), Some(name)) => {
                let ca_file = attempt.tls.as_ref().and_then(|tls| tls.ca_file.clone());
                let tls = TlsName::new(name, &TlsOptions { ca_file });
                Some(tls.map_err(|error| Missing::other(error.cause(), error.remedy()))?)
            }
            _ => None,
        };
        let shown = attempt.artefact.as_ref().map(|artefact| Shown::of(artefact, values));
        let mut fingerprint = None;
        if let Some(header) = &attempt.fingerprint {
            let primary = values.get(&header.ring).and_then(|ring| ring.primary());
            let primary = primary.ok_or_else(|| {
                let cause = format!("the ring {} has no primary here", header.ring);
                Missing::other(cause, "name a delivered ring whose first version is in use")
            })?;
            let name = header.header.to_ascii_lowercase();
            fingerprint = Some((name, primary.fingerprint().to_string()));
        }
        Ok(Self { attempt, target, tls, shown: shown.transpose()?, fingerprint, hide })
    }

    /// Tries until it passes or the time is over.
    pub(super) fn run(&self, course: &mut Course<'_>) -> Result<Seen, ProbeError> {
        let all = |shown: &Shown<'_>| shown.versions.len().saturating_add(shown.dropped.len());
        let mut row = Row::new(self.shown.as_ref().map_or(1, all));
        loop {
            course.unless_stopped()?;
            match self.round(course, &mut row) {
                Ok(()) => {}
                Err(Fault::Error(error)) => return Err(error),
                Err(Fault::Missing(missing)) => {
                    row.begin_anew();
                    course.wait(missing)?;
                    continue;
                }
            }
            row.length = row.length.saturating_add(1);
            course.went_well();
            if row.length < u32::from(self.attempt.fresh) {
                continue;
            }
            match self.silent(&row) {
                Ok(None) => return Ok(self.seen(course, &row)),
                // Requests find workers by chance, so a burst is made before it is called strange
                // that one has not answered.
                Ok(Some(silence)) if !row.length.is_multiple_of(silence.burst) => {
                    course.last = Some(silence.missing);
                }
                Ok(Some(silence)) => course.wait(silence.missing)?,
                Err(missing) => {
                    row.begin_anew();
                    course.wait(missing)?;
                }
            }
        }
    }

    /// Shows everything once.
    fn round(&self, course: &mut Course<'_>, row: &mut Row) -> Result<(), Fault> {
        let Some(shown) = &self.shown else {
            let worker = self.request(Show::Nothing, course)?;
            return self.note(worker, row, 0);
        };
        for (place, version) in shown.versions.iter().enumerate() {
            let worker = self.request(Show::Good(version), course)?;
            self.note(worker, row, place)?;
            self.request(Show::Bogus(version), course)?;
        }
        for (place, version) in (shown.versions.len()..).zip(&shown.dropped) {
            let worker = self.request(Show::Dropped(version), course)?;
            self.note(worker, row, place)?;
        }
        Ok(())
    }

    /// Notes who answered, and when it started.
    fn note(&self, worker: Option<u32>, row: &mut Row, place: usize) -> Result<(), Fault> {
        let Some(Workers { header, parent }) = &self.attempt.workers else { return Ok(()) };
        let pid = worker.ok_or_else(|| Missing::Pid { header: header.clone() })?;
        let answered = row.answered.get_mut(place);
        if let Some(answered) = answered.filter(|answered| !answered.contains_key(&pid)) {
            // Who answers from elsewhere, such as the old master of an upgrade, is not expected to,
            // and covers nobody.
            if let Some(started) = Tree::read(parent)?.started(pid) {
                answered.insert(pid, started);
            }
        }
        Ok(())
    }

    /// Who of the workers that run now has not answered under every version.
    fn silent(&self, row: &Row) -> Result<Option<Silence>, Missing> {
        let Some(workers) = &self.attempt.workers else { return Ok(None) };
        // The kernel's list of children may miss one while another one ends; two looks do not miss
        // the same one.
        let trees = [Tree::read(&workers.parent)?, Tree::read(&workers.parent)?];
        let mut silent = BTreeSet::new();
        for answered in &row.answered {
            for tree in &trees {
                silent.extend(tree.silent(answered));
            }
        }
        if silent.is_empty() {
            return Ok(None);
        }
        let expected = trees.iter().map(Tree::leaves).max().unwrap_or_default();
        let answered = expected.saturating_sub(silent.len());
        let missing = Missing::Workers { silent: silent.into_iter().collect(), answered };
        Ok(Some(Silence { missing, burst: burst(expected) }))
    }

    fn seen(&self, course: &Course<'_>, row: &Row) -> Seen {
        let workers: BTreeSet<u32> =
            row.answered.iter().flat_map(|answered| answered.keys().copied()).collect();
        let not_shown = self.shown.as_ref().map(|shown| shown.halves.clone());
        Seen {
            tries: course.tries,
            workers: workers.into_iter().collect(),
            not_shown: not_shown.unwrap_or_default(),
        }
    }

    /// Makes one request, judges the answer, and says who gave it.
    fn request(&self, show: Show<'_>, course: &mut Course<'_>) -> Result<Option<u32>, Fault> {
        let artefact =
            self.artefact(show).map_err(|missing| Fault::Error(course.never(missing)))?;
        let filled: Vec<(&str, Zeroizing<String>)> = self
            .attempt
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), fill(value, artefact.as_ref())))
            .collect();
        let headers: Vec<(&str, &str)> =
            filled.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let deadline = course.begin();
        let method = &self.attempt.method;
        match once(&self.target, self.tls.as_ref(), method, &headers, deadline, course.stop) {
            Ok(answer) => Ok(self.judge(show, &answer)?),
            Err(OnceError::Stopped) => Err(Fault::Error(course.stopped())),
            Err(OnceError::Request) => Err(Fault::Error(course.never(Missing::other(
                "the artefact or a header has characters that HTTP does not carry",
                "probe with a command, which reads the artefact from its standard input",
            )))),
            Err(error) => {
                let place = self.target.to_string();
                Err(Missing::Answer { place, cause: error.to_string() }.into())
            }
        }
    }

    fn artefact(&self, show: Show<'_>) -> Result<Option<SecretText>, Missing> {
        let Some(shown) = &self.shown else { return Ok(None) };
        Ok(match show {
            Show::Nothing => None,
            Show::Good(version) | Show::Dropped(version) => Some(shown.good(version)?),
            Show::Bogus(version) => Some(shown.bogus(version)?),
        })
    }

    fn judge(&self, show: Show<'_>, answer: &Answer) -> Result<Option<u32>, Missing> {
        let worker = self.attempt.workers.as_ref().and_then(|workers| {
            let value = answer.header(&workers.header.to_ascii_lowercase())?;
            let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
            value.parse().ok().filter(|_| is_number)
        });
        let status = answer.status;
        let is_accepted = is_accepted(self.attempt, status);
        match show {
            Show::Bogus(_) | Show::Dropped(_) if is_refused(self.attempt, status) => {
                return Ok(worker);
            }
            Show::Dropped(version) => {
                let version = version.number();
                return Err(Missing::StillAccepted { version, status, worker });
            }
            Show::Bogus(version) => {
                let version = version.number();
                return Err(Missing::BogusNotRefused { version, status, worker, is_accepted });
            }
            Show::Good(version) if !is_accepted => {
                return Err(Missing::Refused { version: version.number(), status, worker });
            }
            Show::Nothing if !is_accepted => return Err(Missing::Status { status, worker }),
            Show::Good(_) | Show::Nothing => {}
        }
        if let Some((header, wanted)) = &self.fingerprint {
            let value = answer.header(header);
            if value != Some(wanted.as_str()) {
                let seen = value.map(|value| self.shown_fingerprint(value));
                let (header, wanted) = (header.clone(), wanted.clone());
                return Err(Missing::Fingerprint { header, seen, wanted, worker });
            }
        }
        Ok(worker)
    }

    fn shown_fingerprint(&self, value: &str) -> String {
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if value.len() == FINGERPRINT_DIGITS && value.bytes().all(is_digit) {
            self.hide.line(value.as_bytes(), FINGERPRINT_DIGITS)
        } else {
            "something that is no fingerprint".to_owned()
        }
    }
}

/// The rounds that went well in a row, and who answered in them under each version.
struct Row {
    length: u32,
    answered: Vec<Answered>,
}

impl Row {
    fn new(versions: usize) -> Self {
        Self { length: 0, answered: vec![Answered::new(); versions] }
    }

    fn begin_anew(&mut self) {
        self.length = 0;
        self.answered.iter_mut().for_each(Answered::clear);
    }
}

/// Workers that have not answered yet.
struct Silence {
    missing: Missing,
    /// So many requests in a row find all of them most of the time.
    burst: u32,
}

/// W workers that take connections by chance have all been met after W·ln W + 3W of them with a
/// probability of 95 % (the coupon collector's problem).
fn burst(workers: usize) -> u32 {
    let workers = u32::try_from(workers).unwrap_or(u32::MAX).clamp(1, 10_000);
    // ln W from above, by the binary logarithm: ln 2 is less than 7/10.
    let log = workers.ilog2().saturating_add(1).saturating_mul(7).div_ceil(10);
    workers.saturating_mul(log.saturating_add(3))
}

/// Puts the artefact into its place, into a buffer that does not grow.
fn fill(value: &str, artefact: Option<&SecretText>) -> Zeroizing<String> {
    let artefact = match artefact {
        Some(artefact) => artefact.expose(),
        None => "",
    };
    let places = value.matches(PLACE).count();
    let room = value.len().saturating_add(places.saturating_mul(artefact.len()));
    let mut filled = Zeroizing::new(String::with_capacity(room));
    for (nth, part) in value.split(PLACE).enumerate() {
        if nth > 0 {
            filled.push_str(artefact);
        }
        filled.push_str(part);
    }
    filled
}
