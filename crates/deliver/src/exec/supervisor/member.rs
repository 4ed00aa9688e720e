//! One child as the supervisor keeps it: its process, the client that answers for it, what it was
//! given, and how far it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keywheel_client::Client;
use keywheel_client::clock::BootTime;
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::RingName;
use rustix::process::Signal;

use super::super::environment::{Given, Position, awaits_newer, position};
use super::super::plan::{Child, ChildId, Edition, Phase};
use super::super::process::Process;
use super::super::settings::{ExecSettings, OWN_SOCKET, Ready, is_own};
use super::super::sockets::Socket;
use crate::settings::{Attempt, Parent, Probe};
use crate::values::AllValues;

/// One child.
pub(super) struct Member {
    pub(super) id: ChildId,
    pub(super) slot: usize,
    pub(super) phase: Phase,
    pub(super) process: Process,
    pub(super) client: Client,
    /// The socket that this child alone listens on, and where.
    pub(super) own: Option<(Socket, PathBuf)>,
    /// What its client holds now.
    pub(super) held: Option<Arc<AllValues>>,
    /// What the program was started with, and which edition that is.
    pub(super) given: Option<(Edition, Arc<Given>)>,
    /// Whether the program would be given the same now.
    pub(super) is_current: bool,
    /// Where the keys stood when the edition came about that it was given.
    pub(super) born_at: Position,
    /// How it is known that it uses what it was given.
    pub(super) level: Option<EvidenceLevel>,
    /// Whether checks run.
    pub(super) is_checking: bool,
    /// When it is looked at again: the time by which it must have settled, or its next check.
    pub(super) look_at: Option<BootTime>,
    /// When it is killed.
    pub(super) kill_at: Option<BootTime>,
    /// Whether it ever was ready.
    pub(super) was_ready: bool,
    /// Tells its checks that nobody wants to know any more.
    pub(super) checks_over: Arc<AtomicBool>,
}

impl Member {
    /// As the planner looks at it. One that waits for its environment will get what is wanted.
    pub(super) fn view(&self, wanted: Edition) -> Child {
        let edition = self.given.as_ref().map_or(wanted, |(edition, _)| *edition);
        Child { id: self.id, slot: self.slot, edition, phase: self.phase }
    }

    /// Tells it to end: the program by a signal, and a shim that still waits at once.
    pub(super) fn stop(&mut self, signal: Signal, kill_at: BootTime) {
        self.phase = Phase::Stopping;
        self.look_at = None;
        self.kill_at.get_or_insert(kill_at);
        self.checks_over.store(true, Ordering::Release);
        if self.given.is_some() { self.process.signal(signal) } else { self.process.kill() }
    }

    /// Proves in its name what its client holds, if the program was given just that.
    pub(super) fn confirm(&self, one_slot: &[RingName]) {
        let (Some(level), Some(held)) = (self.level, &self.held) else { return };
        if !self.is_current || self.phase == Phase::Stopping {
            return;
        }
        let born = position(held) == self.born_at;
        for (ring, values) in held.iter() {
            // One that holds a single value cannot accept the next one before it is used. That it
            // still runs with the present one says nothing about the next.
            if one_slot.contains(ring) && awaits_newer(values) && !born {
                continue;
            }
            let Ok(handle) = self.client.ring(ring.as_str()) else { continue };
            if let Err(error) = handle.confirm(values.incarnation(), values.revision(), level) {
                tracing::warn!(%ring, pid = self.process.pid(), "nothing can be proved: {error}");
            }
        }
    }

    /// Tells the server what is wrong with it, or with what is to follow it.
    pub(super) fn trouble(&self, text: &str) {
        for ring in self.held.iter().flat_map(|held| held.keys()) {
            let Ok(handle) = self.client.ring(ring.as_str()) else { continue };
            if let Err(error) = handle.trouble(text) {
                tracing::debug!(%ring, "the trouble cannot be told: {error}");
            }
        }
    }

    /// Whether its client has not reached a server for longer than the program may go on.
    pub(super) fn is_offline(&self) -> bool {
        let Some(held) = &self.held else { return false };
        held.keys()
            .any(|ring| self.client.ring(ring.as_str()).is_ok_and(|handle| handle.health().offline))
    }

    /// What shows that it works before its predecessor goes; nothing when time shows it.
    pub(super) fn ready_probes(&self, settings: &ExecSettings) -> Vec<Probe> {
        let ready = match &settings.ready {
            Ready::Settled(_) => None,
            Ready::Probed(probe) | Ready::Own(probe) => Some(probe),
        };
        let own = settings.probes.iter().filter(|probe| is_own(probe));
        ready.into_iter().chain(own).map(|probe| self.for_me(probe)).collect()
    }

    /// What shows that it uses the keys, and may be answered by any child.
    pub(super) fn common_probes(&self, settings: &ExecSettings) -> Vec<Probe> {
        let common = settings.probes.iter().filter(|probe| !is_own(probe));
        common.map(|probe| self.for_me(probe)).collect()
    }

    /// A probe with the socket of this child, and with its workers.
    fn for_me(&self, probe: &Probe) -> Probe {
        let mut probe = probe.clone();
        if let Attempt::Http(http) = &mut probe.attempt {
            if let (Some(path), Some((_, socket))) = (http.url.strip_prefix(OWN_SOCKET), &self.own)
            {
                http.url = format!("unix:{}:{path}", socket.display());
            }
            if let Some(workers) = &mut http.workers {
                workers.parent = Parent::Pid(self.process.pid());
            }
        }
        probe
    }
}
