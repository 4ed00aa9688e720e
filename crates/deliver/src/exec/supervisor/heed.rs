//! What the supervisor does about each event.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keywheel_client::clock::boot_time;
use keywheel_core::gate::EvidenceLevel;
use rustix::process::Signal;

use super::member::Member;
use super::{CHECK_AGAIN, CHECK_FAILED, LOOK, REPLACEMENTS_MAX, Supervisor};
use crate::exec::environment::{Given, Position, is_behind, position};
use crate::exec::error::ExecError;
use crate::exec::follow::{self, Checked, Event};
use crate::exec::plan::{ChildId, Edition, Phase};
use crate::exec::process;
use crate::exec::settings::{Ready, Restart};
use crate::values::AllValues;

impl Supervisor<'_> {
    pub(super) fn heed(&mut self, event: Event) {
        match event {
            Event::Signal(signal) => self.heed_signal(signal),
            Event::Keys(id, Ok(values)) => self.heed_keys(id, values),
            Event::Keys(id, Err(cause)) => self.heed_no_keys(id, cause),
            Event::Checked(id, checked, outcome) => self.heed_check(id, checked, outcome),
            Event::Ended(id, status) => self.heed_end(id, &status),
            Event::Left(id) => drop(self.places.remove(&id)),
        }
    }

    /// Signals that ask for an end end everything; SIGTERM in the way that the program understands
    /// best. The others are passed on as they are. SIGHUP too: programs reopen logs on it, but none
    /// reads its environment again.
    fn heed_signal(&mut self, signal: Signal) {
        let ends = [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal);
        if !ends {
            let given = self.members.values().filter(|member| member.given.is_some());
            given.for_each(|member| member.process.signal(signal));
            return;
        }
        tracing::info!("told to end");
        self.end(None, None);
        if let Some(ending) = &mut self.ending {
            ending.unstarted = u8::try_from(signal.as_raw()).unwrap_or(0).saturating_add(128);
        }
        let signal = if signal == Signal::TERM { self.settings.stop_signal } else { signal };
        let kill_at = boot_time().after(self.settings.stop_timeout);
        self.members.values_mut().for_each(|member| member.stop(signal, kill_at));
    }

    fn heed_keys(&mut self, id: ChildId, values: AllValues) {
        let at = position(&values);
        let given = match Given::of(&self.settings.variables, &values) {
            Ok(given) => given,
            Err(error) => return self.heed_unusable(id, error.into()),
        };
        self.is_offline = false;
        if !is_behind(&at, &self.wanted.at) {
            self.want(given, &at);
        }
        let Some(member) = self.members.get_mut(&id) else { return };
        member.held = Some(Arc::new(values));
        // A client that is behind the others will soon hold what they do.
        let is_newest = at == self.wanted.at;
        let same =
            member.given.as_ref().is_some_and(|(edition, _)| *edition == self.wanted.edition);
        member.is_current = is_newest && same;
        if is_newest && member.given.is_none() && member.phase == Phase::Starting {
            self.give(id);
        } else if let Some(member) = self.members.get(&id) {
            member.confirm(&self.one_slot);
        }
    }

    /// Notes what the program is to be given from now on.
    fn want(&mut self, given: Given, at: &Position) {
        let is_first = self.wanted.given.is_none();
        if self.wanted.given.as_ref().is_none_or(|present| !present.is_same(&given)) {
            self.wanted.given = Some(Arc::new(given));
            if !is_first {
                tracing::info!("what the program is given has changed: its copies are replaced");
                self.wanted.edition = Edition(self.wanted.edition.0.saturating_add(1));
                self.wanted.born_at.clone_from(at);
            }
        }
        self.wanted.at.clone_from(at);
        for member in self.members.values_mut() {
            let edition = member.given.as_ref().map(|(edition, _)| *edition);
            // Until its client holds the same, which it will tell, nothing new is proved for it.
            member.is_current &= edition == Some(self.wanted.edition);
        }
    }

    /// Lets a shim become the program.
    fn give(&mut self, id: ChildId) {
        let Some(given) = self.wanted.given.clone() else { return };
        let Some(member) = self.members.get_mut(&id) else { return };
        let (pid, slot) = (member.process.pid(), member.slot);
        if let Err(error) = member.process.give(&given, slot) {
            // Its end will be told, and is dealt with there.
            tracing::warn!(pid, slot, "a child ended before it got its keys: {error}");
            return;
        }
        tracing::info!(pid, slot, "a child starts the program");
        member.given = Some((self.wanted.edition, given));
        member.is_current = true;
        member.born_at.clone_from(&self.wanted.born_at);
        let probes = member.ready_probes(self.settings);
        match &self.settings.ready {
            Ready::Settled(span) if probes.is_empty() => {
                member.look_at = Some(boot_time().after(*span));
            }
            _ => self.check(id, Checked::Ready, probes),
        }
    }

    fn check(&mut self, id: ChildId, checked: Checked, probes: Vec<crate::settings::Probe>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(values) = member.held.clone() else { return };
        let (events, stop) = (self.world.events.0.clone(), Arc::clone(&member.checks_over));
        let started = follow::thread("keywheel-check", move || {
            follow::check(id, checked, &probes, &values, &stop, &events);
        });
        match started {
            Ok(()) => member.is_checking = true,
            Err(error) => self.heed_check(id, checked, Err(error.to_string())),
        }
    }

    /// Without a keyset nothing is started.
    fn heed_no_keys(&mut self, id: ChildId, cause: String) {
        self.heed_unusable(id, ExecError::NoKeys { cause });
    }

    fn heed_unusable(&mut self, id: ChildId, error: ExecError) {
        let Some(member) = self.members.get_mut(&id) else { return };
        tracing::error!(pid = member.process.pid(), "{}", follow::words(&error));
        if member.given.is_some() {
            // The program goes on with what it has.
            member.is_current = false;
            member.trouble(&follow::words(&error));
            return;
        }
        let slot = member.slot;
        member.stop(self.settings.stop_signal, boot_time());
        self.failed(slot);
        if !self.has_started {
            self.end(None, Some(error));
        }
    }

    fn heed_check(&mut self, id: ChildId, checked: Checked, outcome: Result<(), String>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.is_checking = false;
        match (checked, member.phase, outcome) {
            (_, Phase::Stopping, _) => {}
            (Checked::Used, _, Err(_)) if !member.is_current => {
                member.look_at = Some(boot_time().after(LOOK));
            }
            (Checked::Ready, Phase::Starting, Ok(())) => self.ready(id),
            (Checked::Ready, Phase::Starting, Err(cause)) => self.not_ready(id, &cause),
            (_, _, Ok(())) => {
                member.level = Some(EvidenceLevel::Probed);
                member.look_at = Some(boot_time().after(CHECK_AGAIN));
                member.confirm(&self.one_slot);
            }
            (_, _, Err(cause)) => {
                tracing::warn!(pid = member.process.pid(), "a child fails its checks: {cause}");
                member.level = None;
                member.look_at = Some(boot_time().after(CHECK_FAILED));
                member.trouble(&cause);
            }
        }
    }

    /// A child works. Its predecessor may go, and it is proved, unless its use of the keys is to be
    /// seen first.
    pub(super) fn ready(&mut self, id: ChildId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        tracing::info!(pid = member.process.pid(), slot = member.slot, "a child is ready");
        member.phase = Phase::Ready;
        member.was_ready = true;
        if let Some(slot) = self.slots.get_mut(member.slot) {
            slot.failures = 0;
        }
        let is_probed = !member.ready_probes(self.settings).is_empty();
        if member.common_probes(self.settings).is_empty() {
            let level = if is_probed { EvidenceLevel::Probed } else { EvidenceLevel::Attested };
            member.level = Some(level);
            member.confirm(&self.one_slot);
            member.look_at = is_probed.then(|| boot_time().after(CHECK_AGAIN));
        } else {
            member.look_at = Some(boot_time());
        }
        let ready = self.members.values().filter(|member| member.phase == Phase::Ready).count();
        if !self.has_started && ready == self.settings.shape.copies {
            self.has_started = true;
            (self.world.on_ready)();
        }
    }

    /// Checks whether a child uses the keys. What is asked over common sockets may be answered by
    /// any child, so that waits until none holds anything older.
    pub(super) fn check_use(&mut self, id: ChildId) {
        let wanted = self.wanted.edition;
        let others_are_older = self.members.values().any(|member| {
            let edition = member.given.as_ref().map(|(edition, _)| *edition);
            edition.is_some_and(|edition| edition != wanted)
        });
        let Some(member) = self.members.get_mut(&id) else { return };
        let mut probes = member.ready_probes(self.settings);
        let common = member.common_probes(self.settings);
        let too_early = others_are_older && !common.is_empty();
        if too_early || member.is_checking || !member.is_current {
            // One that is about to be replaced cannot accept what its client holds already. The end
            // of a child is an event, after which this is asked again.
            member.look_at = Some(boot_time().after(LOOK));
            return;
        }
        probes.extend(common);
        self.check(id, Checked::Used, probes);
    }

    /// A child does not get ready. What it was to replace goes on, and the server is told why.
    fn not_ready(&mut self, id: ChildId, cause: &str) {
        let Some(member) = self.members.get(&id) else { return };
        let (pid, slot) = (member.process.pid(), member.slot);
        tracing::error!(pid, slot, "a child does not get ready: {cause}");
        self.stop(id);
        self.failed(slot);
        self.tell_predecessors(slot, pid, cause);
        if !self.has_started && self.settings.restart == Restart::Never {
            self.end(Some(1), Some(ExecError::NotReady { cause: cause.to_owned() }));
        }
    }

    fn tell_predecessors(&self, slot: usize, pid: u32, cause: &str) {
        let text = format!("its successor, pid {pid}, does not get ready: {cause}");
        let here = self.members.values().filter(|member| member.slot == slot);
        here.filter(|member| member.phase == Phase::Ready && !member.is_current)
            .for_each(|member| member.trouble(&text));
    }

    fn heed_end(&mut self, id: ChildId, status: &io::Result<ExitStatus>) {
        let Some(member) = self.members.remove(&id) else { return };
        member.checks_over.store(true, Ordering::Release);
        let (code, told) = match status {
            Ok(status) => (process::exit_code(*status), process::told(*status)),
            Err(error) => (1, format!("is gone: {error}")),
        };
        tracing::info!(pid = member.process.pid(), slot = member.slot, "a child {told}");
        self.check_again_soon();
        if let Some(ending) = &mut self.ending {
            // A shim that never became the program says nothing about it.
            let code = if member.given.is_some() { code } else { ending.unstarted };
            if ending.seen == 0 {
                ending.seen = code;
            }
        } else if member.phase != Phase::Stopping {
            self.ended_by_itself(&member, code, &told);
        }
    }

    /// Those that wait until nobody holds anything older need wait no longer.
    fn check_again_soon(&mut self) {
        let now = boot_time();
        let waiting = self.members.values_mut().filter(|member| member.level.is_none());
        for member in waiting.filter(|member| member.phase == Phase::Ready) {
            member.look_at = member.look_at.map(|at| at.min(now));
        }
    }

    fn ended_by_itself(&mut self, member: &Member, code: u8, told: &str) {
        let restarts = match self.settings.restart {
            Restart::Always => true,
            Restart::OnFailure => code != 0,
            Restart::Never => false,
        };
        let failures = self.slots.get(member.slot).map_or(0, |slot| slot.failures);
        // One that is to take the place of another has not been what the user watches yet.
        let is_replacement = self.has_started && !member.was_ready;
        let has_other = self.members.values().any(|other| other.slot == member.slot);
        let goes_on = is_replacement && (has_other || failures < REPLACEMENTS_MAX);
        if !restarts && !goes_on {
            self.end(Some(code), None);
            return;
        }
        self.failed(member.slot);
        self.tell_predecessors(member.slot, member.process.pid(), told);
    }
}
