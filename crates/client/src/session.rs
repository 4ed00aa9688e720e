//! What to do next: registers, loads, reports and listens for all rings of one process, in the
//! right order and never too often. Pure, like [`crate::state`]: the watcher asks
//! [`Session::next`], does it, and tells what came of it. Random numbers for the jitter are
//! arguments.

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{Incarnation, Revision, RingName};
use keywheel_core::time::Span;

use crate::clock::BootTime;
use crate::revocations::Following;
use crate::state::{Acknowledged, Applied, ConsumerState, Epoch, Offer, Then};

const FIRST_DELAY: Span = Span::from_millis(200);
const LONGEST_DELAY: Span = Span::from_secs(10);
/// How long one ring after the other reports alone, after a batch was refused as a whole.
const ALONE_FOR: Span = Span::from_secs(60);
/// How long the long poll serves, before the stream is tried again.
const POLL_FOR: Span = Span::from_secs(300);
/// One long poll waits for so long.
pub const POLL_WAIT: Span = Span::from_secs(25);
/// What is issued within this time is reported together.
const ISSUED_DELAY: Span = Span::from_secs(1);
/// Without a feed and without a lease to renew, the keyset is loaded this often.
const SLOW_POLL: Span = Span::from_secs(60);

/// When something that failed may be tried again: after a random time that doubles at most
/// (full jitter), so that a thousand processes do not come back in the same moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
    not_before: BootTime,
}

impl Backoff {
    /// Notes a failure. `random` is spread evenly over all numbers.
    pub fn fail(&mut self, now: BootTime, random: u64) {
        let doubled =
            FIRST_DELAY.as_millis().checked_shl(self.failures.min(16)).unwrap_or(u64::MAX);
        let most = doubled.min(LONGEST_DELAY.as_millis());
        self.failures = self.failures.saturating_add(1);
        let delay = random.checked_rem(most).unwrap_or(0).saturating_add(1);
        self.not_before = now.after(Span::from_millis(delay));
    }

    /// Something changed that may let the next attempt succeed: it is made at once. Should it fail
    /// too, the one after it waits as long as if nothing had been.
    pub const fn hurry(&mut self) {
        self.not_before = BootTime(0);
    }

    /// The moment before which nothing is tried.
    pub const fn not_before(&self) -> BootTime {
        self.not_before
    }

    /// Notes a success.
    pub fn succeed(&mut self) {
        *self = Self::default();
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Register this process for these rings: all of them, but those that a server refused.
    Register(Vec<usize>),
    /// Register this process anew for these rings, in the place of its present instance: one of
    /// them was refused, and may not be any more.
    Extend(Vec<usize>),
    /// Open the change feed after this cursor.
    OpenFeed {
        /// The last cursor that is known.
        since: Option<u64>,
    },
    /// Ask for changes and wait for them so long.
    Poll {
        /// The last cursor that is known.
        since: Option<u64>,
        /// How long the server may wait.
        wait: Span,
    },
    /// Load the keyset of this ring.
    Load(usize),
    /// Report on these rings.
    Report(Vec<usize>),
    /// Fetch what was revoked in this ring.
    FetchRevocations {
        /// The ring.
        index: usize,
        /// The number that was taken in last.
        since: u64,
    },
    /// Report what was issued in this ring.
    ReportIssued(usize),
    /// Listen to the feed, where it is open, until this moment.
    Rest {
        /// The moment.
        until: BootTime,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Closed,
    Open,
    Polling { until: BootTime },
}

/// One ring of the session.
#[derive(Clone, Debug)]
struct Member {
    state: ConsumerState,
    load_wanted: bool,
    /// Whether to ask by a report if what is held is still current.
    check_wanted: bool,
    loaded_at: BootTime,
    load: Backoff,
    report: Backoff,
    revocations: Following,
    /// When what was issued is to be reported; nothing while there is nothing.
    issued_due: Option<BootTime>,
    issued: Backoff,
    refusal: Refusal,
}

/// Whether a server refuses to register this process for a ring.
#[derive(Clone, Copy, Debug, Default)]
struct Refusal {
    stands: bool,
    again: Backoff,
}

/// All rings of one process.
#[derive(Clone, Debug)]
pub struct Session {
    members: Vec<Member>,
    registered: bool,
    registration: Backoff,
    feed: Feed,
    feed_backoff: Backoff,
    cursor: Option<u64>,
    alone_until: BootTime,
}

impl Session {
    /// A session of these rings.
    pub fn new(rings: impl IntoIterator<Item = RingName>) -> Self {
        Self::of(rings.into_iter().map(ConsumerState::new))
    }

    /// A session of these rings that answers for a consumer which cannot speak: it proves what was
    /// confirmed, not what it merely loaded.
    pub fn deferred(rings: impl IntoIterator<Item = RingName>) -> Self {
        Self::of(rings.into_iter().map(ConsumerState::deferred))
    }

    fn of(states: impl Iterator<Item = ConsumerState>) -> Self {
        let members = states.map(|state| Member {
            state,
            load_wanted: true,
            check_wanted: false,
            loaded_at: BootTime(0),
            load: Backoff::default(),
            report: Backoff::default(),
            revocations: Following::default(),
            issued_due: None,
            issued: Backoff::default(),
            refusal: Refusal::default(),
        });
        Self {
            members: members.collect(),
            registered: false,
            registration: Backoff::default(),
            feed: Feed::Closed,
            feed_backoff: Backoff::default(),
            cursor: None,
            alone_until: BootTime(0),
        }
    }

    /// The state of one ring.
    pub fn state(&self, index: usize) -> Option<&ConsumerState> {
        self.members.get(index).map(|member| &member.state)
    }

    /// The state of one ring, to plan a report.
    pub fn state_mut(&mut self, index: usize) -> Option<&mut ConsumerState> {
        self.members.get_mut(index).map(|member| &mut member.state)
    }

    /// The consumer was shown to use a keyset; see [`ConsumerState::confirm`].
    pub fn confirm(
        &mut self,
        index: usize,
        life: &Incarnation,
        revision: Revision,
        level: EvidenceLevel,
    ) -> bool {
        let member = self.members.get_mut(index);
        member.is_some_and(|member| member.state.confirm(life, revision, level))
    }

    /// Something is wrong at the consumer; see [`ConsumerState::trouble`].
    pub fn trouble(&mut self, index: usize, text: &str) {
        if let Some(member) = self.members.get_mut(index) {
            member.state.trouble(text);
        }
    }

    /// Whether the process is registered.
    pub const fn is_registered(&self) -> bool {
        self.registered
    }

    /// Whether changes are announced to this process.
    pub const fn is_listening(&self) -> bool {
        matches!(self.feed, Feed::Open | Feed::Polling { .. })
    }

    /// What to do next; `oldest` gives the oldest epoch that work on a ring still holds.
    pub fn next(&self, now: BootTime, oldest: impl Fn(usize) -> Option<Epoch>) -> Action {
        if !self.registered {
            let due = self.registration.not_before;
            return if due <= now {
                Action::Register(self.permitted_and(None))
            } else {
                Action::Rest { until: due }
            };
        }
        // The first keyset comes first: the application waits for it. What changes until the feed
        // is open shows in the answer to the report that proves.
        let missing = self
            .members
            .iter()
            .position(|member| member.state.held().is_none() && member.load_due(false) <= now);
        if let Some(index) = missing {
            return Action::Load(index);
        }
        let since = self.cursor;
        if self.feed == Feed::Closed && self.feed_backoff.not_before <= now {
            return Action::OpenFeed { since };
        }
        let mut until = match self.feed {
            Feed::Closed => self.feed_backoff.not_before,
            Feed::Open => BootTime(u64::MAX),
            Feed::Polling { until } => until,
        };
        for (index, member) in self.members.iter().enumerate() {
            let due = member.load_due(self.is_listening());
            if due <= now {
                return Action::Load(index);
            }
            until = until.min(due);
        }
        let dues: Vec<_> = self
            .members
            .iter()
            .enumerate()
            .map(|(index, member)| member.report_due(oldest(index)))
            .collect();
        let earliest = dues.iter().flatten().min();
        if earliest.is_some_and(|due| *due <= now) {
            return Action::Report(self.reporting(&dues, now));
        }
        until = earliest.map_or(until, |due| until.min(*due));
        match self.errand(now) {
            Ok(action) => return action,
            Err(due) => until = until.min(due),
        }
        if matches!(self.feed, Feed::Polling { .. }) {
            let wait = until.since(now).min(POLL_WAIT);
            return Action::Poll { since, wait };
        }
        Action::Rest { until }
    }

    /// What is fetched or reported besides the lease, or when something will be due.
    fn errand(&self, now: BootTime) -> Result<Action, BootTime> {
        let mut until = BootTime(u64::MAX);
        for (index, member) in self.members.iter().enumerate() {
            if member.refusal.stands {
                let due = member.refusal.again.not_before;
                if due <= now {
                    return Ok(Action::Extend(self.permitted_and(Some(index))));
                }
                until = until.min(due);
            }
        }
        let permitted = || self.members.iter().enumerate().filter(|(_, one)| !one.refusal.stands);
        for (index, member) in permitted() {
            if let Some((since, due)) = member.revocations.due() {
                if due <= now {
                    return Ok(Action::FetchRevocations { index, since });
                }
                until = until.min(due);
            }
        }
        for (index, member) in permitted() {
            if let Some(due) = member.issued_due.map(|due| due.max(member.issued.not_before)) {
                if due <= now {
                    return Ok(Action::ReportIssued(index));
                }
                until = until.min(due);
            }
        }
        Err(until)
    }

    /// Whoever reports takes the others along, unless one of them spoils it for all.
    fn reporting(&self, dues: &[Option<BootTime>], now: BootTime) -> Vec<usize> {
        let alone = now < self.alone_until;
        let together = dues.iter().enumerate().filter_map(|(index, due)| {
            let member = self.members.get(index)?;
            let is_due = (*due)? <= now;
            let goes_along = !alone && !member.load_wanted && member.report.not_before <= now;
            (is_due || goes_along).then_some(index)
        });
        together.take(if alone { 1 } else { usize::MAX }).collect()
    }

    /// The rings that no server refuses, and one more.
    fn permitted_and(&self, one: Option<usize>) -> Vec<usize> {
        let all = self.members.iter().enumerate();
        let chosen = all.filter(|(index, member)| !member.refusal.stands || one == Some(*index));
        chosen.map(|(index, _)| index).collect()
    }

    /// The registration for these rings was answered, with a nonce for each in the same order.
    pub fn registered(&mut self, indices: &[usize], nonces: Vec<Vec<u8>>, asked_at: BootTime) {
        self.registered = true;
        for (index, nonce) in indices.iter().zip(nonces) {
            let Some(member) = self.members.get_mut(*index) else { continue };
            member.state.registered(nonce, asked_at);
            member.report.succeed();
            member.load_wanted = true;
            member.refusal = Refusal::default();
        }
    }

    /// The registration was refused because of these rings. Says whether others are left: then the
    /// next one is for them, at once, and these are asked for again from time to time. Where none
    /// is left, the registration failed; see [`Session::unregistered`].
    pub fn refused(&mut self, indices: &[usize], now: BootTime, random: u64) -> bool {
        let permitted = self.permitted_and(None);
        let are_left = permitted.iter().any(|index| !indices.contains(index));
        if !are_left {
            // The next attempt is for all of them: another one may be permitted by then.
            self.members.iter_mut().for_each(|member| member.refusal.stands = false);
        }
        if !are_left || indices.is_empty() {
            return false;
        }
        for index in indices {
            if let Some(member) = self.members.get_mut(*index) {
                member.refusal.stands = true;
                member.refusal.again.fail(now, random);
            }
        }
        true
    }

    /// The registration for one ring more did not come about; that ring waits again.
    pub fn not_extended(&mut self, indices: &[usize], now: BootTime, random: u64) {
        for index in indices {
            if let Some(member) = self.members.get_mut(*index)
                && member.refusal.stands
            {
                member.refusal.again.fail(now, random);
            }
        }
    }

    /// The registration failed, or the server forgot the instance that it gave.
    pub fn unregistered(&mut self, now: BootTime, random: u64) {
        self.registered = false;
        self.registration.fail(now, random);
        for member in &mut self.members {
            member.state.forgotten();
        }
    }

    /// When what is revoked in a ring was last known to be complete.
    pub fn revocations_confirmed_at(&self, index: usize) -> Option<BootTime> {
        self.members.get(index).and_then(|member| member.revocations.confirmed_at())
    }

    /// A server said, when it was asked, which the newest number of what is revoked is.
    pub fn revocations_told(
        &mut self,
        index: usize,
        life: &Incarnation,
        newest: u64,
        asked_at: BootTime,
    ) {
        if let Some(member) = self.members.get_mut(index) {
            member.revocations.told(life, newest, Some(asked_at));
        }
    }

    /// A part of what is revoked was taken in.
    pub fn revocations_took_in(
        &mut self,
        index: usize,
        life: &Incarnation,
        next: u64,
        newest: u64,
        asked_at: BootTime,
    ) {
        if let Some(member) = self.members.get_mut(index) {
            member.revocations.took_in(life, next, newest, asked_at);
        }
    }

    /// What is revoked could not be fetched.
    pub fn revocations_failed(&mut self, index: usize, now: BootTime, random: u64) {
        if let Some(member) = self.members.get_mut(index) {
            member.revocations.fetch.fail(now, random);
        }
    }

    /// Something was issued that is to be reported: soon, together with what is issued meanwhile,
    /// or at once when there is much of it.
    pub fn issued(&mut self, index: usize, now: BootTime, is_much: bool) {
        if let Some(member) = self.members.get_mut(index) {
            let due = if is_much { now } else { now.after(ISSUED_DELAY) };
            member.issued_due = Some(member.issued_due.map_or(due, |known| known.min(due)));
        }
    }

    /// What was issued was reported; `more` says whether some is left.
    pub fn issued_reported(&mut self, index: usize, now: BootTime, more: bool) {
        if let Some(member) = self.members.get_mut(index) {
            member.issued.succeed();
            member.issued_due = more.then_some(now);
        }
    }

    /// What was issued could not be reported.
    pub fn issued_failed(&mut self, index: usize, now: BootTime, random: u64) {
        if let Some(member) = self.members.get_mut(index) {
            member.issued.fail(now, random);
        }
    }

    /// A keyset arrived.
    pub fn loaded(&mut self, index: usize, offer: Offer, now: BootTime, random: u64) -> Applied {
        let Some(member) = self.members.get_mut(index) else { return Applied::Unchanged };
        let applied = member.state.apply(offer, now);
        member.load_wanted = false;
        member.loaded_at = now;
        if applied == Applied::Refused {
            member.load.fail(now, random);
        } else {
            member.load.succeed();
            member.report.succeed();
        }
        applied
    }

    /// No keyset arrived.
    pub fn load_failed(&mut self, index: usize, now: BootTime, random: u64) {
        if let Some(member) = self.members.get_mut(index) {
            member.load_wanted = true;
            member.load.fail(now, random);
        }
    }

    /// The application met a version that it does not know: load at once.
    pub fn refresh(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            member.load_wanted = true;
            member.load.succeed();
        }
    }

    /// A report was answered. Says whether to register anew and say goodbye as the former instance.
    pub fn acknowledged(
        &mut self,
        index: usize,
        answer: Acknowledged,
        asked_at: BootTime,
        now: BootTime,
        random: u64,
    ) -> bool {
        let Some(member) = self.members.get_mut(index) else { return false };
        member.check_wanted = false;
        if let Some(newest) = answer.revocations {
            member.revocations.told(&answer.incarnation, newest, Some(asked_at));
        }
        match member.state.acknowledge(answer, asked_at, now) {
            Then::Rest => {
                member.report.succeed();
                self.registration.succeed();
            }
            Then::Load => member.load_wanted = true,
            Then::Prove => member.report.fail(now, random),
            Then::Reregister => return true,
        }
        false
    }

    /// A report was not answered. When a server refused a batch as a whole, the rings report one by
    /// one for a while, so that a broken one does not let the leases of the others end.
    pub fn report_failed(&mut self, indices: &[usize], refused: bool, now: BootTime, random: u64) {
        if refused && indices.len() > 1 {
            self.alone_until = now.after(ALONE_FOR);
            return;
        }
        for index in indices {
            if let Some(member) = self.members.get_mut(*index) {
                member.report.fail(now, random);
            }
        }
    }

    /// The stream is open. What changed before may have been missed; one report for all rings
    /// tells.
    pub fn feed_opened(&mut self) {
        self.feed = Feed::Open;
        self.check();
    }

    /// One ring is to be reported on at once: its primary was used, and that matters.
    pub fn check_one(&mut self, index: usize) {
        if let Some(member) = self.members.get_mut(index) {
            member.check_wanted = true;
        }
    }

    fn check(&mut self) {
        for member in &mut self.members {
            member.check_wanted = true;
        }
    }

    /// The stream cannot be had, but the server answers: poll for a while.
    pub fn feed_unusable(&mut self, now: BootTime) {
        self.feed = Feed::Polling { until: now.after(POLL_FOR) };
        self.check();
    }

    /// The stream ended, or a poll failed.
    pub fn feed_closed(&mut self, now: BootTime, random: u64) {
        self.feed = Feed::Closed;
        self.feed_backoff.fail(now, random);
    }

    /// The feed said something, so it works.
    pub fn feed_alive(&mut self, now: BootTime) {
        self.feed_backoff.succeed();
        if let Feed::Polling { until } = self.feed
            && until <= now
        {
            self.feed = Feed::Closed;
        }
    }

    /// The feed announced a change.
    pub fn changed(
        &mut self,
        seq: u64,
        ring: &str,
        life: &Incarnation,
        revision: Revision,
        revocations: Option<u64>,
    ) {
        self.cursor = self.cursor.max(Some(seq));
        let member = self.members.iter_mut().find(|member| member.state.ring().as_str() == ring);
        let Some(member) = member else { return };
        // Whoever is told of a ring may be permitted it by now.
        member.refusal.again.hurry();
        if let Some(newest) = revocations {
            member.revocations.told(life, newest, None);
        }
        let held = member.state.held().map(|held| &held.keyset);
        if held.is_none_or(|held| held.incarnation != *life || held.revision != revision) {
            member.load_wanted = true;
        }
    }

    /// The feed lost its place: everything may have changed.
    pub fn resync(&mut self, cursor: Option<u64>) {
        self.cursor = cursor;
        for member in &mut self.members {
            member.load_wanted = true;
        }
    }

    /// Where the feed goes on.
    pub fn move_cursor(&mut self, seq: u64) {
        self.cursor = self.cursor.max(Some(seq));
    }
}

impl Member {
    fn load_due(&self, listening: bool) -> BootTime {
        if self.refusal.stands {
            BootTime(u64::MAX)
        } else if self.load_wanted {
            self.load.not_before
        } else if listening {
            BootTime(u64::MAX)
        } else {
            self.loaded_at.after(SLOW_POLL).max(self.load.not_before)
        }
    }

    /// While a newer keyset is on its way only the lease is renewed.
    fn report_due(&self, oldest: Option<Epoch>) -> Option<BootTime> {
        let due = self.state.report_due(oldest)?;
        let due = if self.check_wanted { BootTime(0) } else { due };
        let due = if self.load_wanted { due.max(self.state.renew_at()?) } else { due };
        Some(due.max(self.report.not_before))
    }
}

#[cfg(test)]
mod tests;
