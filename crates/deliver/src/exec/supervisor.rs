//! Does what the planner says: starts children, gives them their keys, checks them, proves for
//! them, and ends them. One thread, the one that calls [`Supervisor::run`]; whatever waits does so
//! on a thread of its own, as the followers of rings do, and tells this one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use keywheel_client::Client;
use keywheel_client::clock::{BootTime, boot_time};
use keywheel_core::id::RingName;
use keywheel_core::time::Span;

use super::environment::{Given, Position};
use super::error::ExecError;
use super::follow::{self, Event};
use super::plan::{self, Child, ChildId, Edition, Phase, Step};
use super::process::{self, Process, Start};
use super::reaper::Reaper;
use super::settings::{ExecSettings, OfflineExec, Ready};
use super::shim::CoreLimit;
use super::sockets::{Address, Socket};

mod heed;
mod member;

use member::Member;

/// So often the supervisor looks around when nothing happens.
const LOOK: Span = Span::from_secs(2);
/// A slot whose child failed waits this long, then twice as long, and so on.
const RETRY_FIRST: Span = Span::from_secs(1);
const RETRY_LAST: Span = Span::from_secs(60);
/// So often in a row a child may fail that replaces one which is gone, before it counts as the end
/// of a program that is not to be restarted.
const REPLACEMENTS_MAX: u32 = 5;
/// Goodbyes take no longer at the end.
const GOODBYES: Span = Span::from_secs(3);
/// How often checks that passed are made again: about as often as leases are renewed.
const CHECK_AGAIN: Span = Span::from_secs(15);
/// How often checks that did not pass are made again.
const CHECK_FAILED: Span = Span::from_secs(5);

/// What the supervisor needs of whoever starts it.
pub struct World<'a> {
    /// Makes the client that answers for a child, from the child's process id and a place that no
    /// other client has.
    pub connect: &'a dyn Fn(u32, usize) -> Result<Client, String>,
    /// The sockets of the program, in the order in which it gets them.
    pub sockets: Vec<Socket>,
    /// A folder that only this user may enter, for the sockets of single children.
    pub own_sockets: Option<PathBuf>,
    /// The limit for core files that the program gets.
    pub core: CoreLimit,
    /// Called when all copies are ready for the first time.
    pub on_ready: &'a dyn Fn(),
    /// Where signals are told, and everything else that happens.
    pub events: (SyncSender<Event>, Receiver<Event>),
}

/// What the program is to be given.
struct Wanted {
    edition: Edition,
    given: Option<Arc<Given>>,
    /// Where the keys stand.
    at: Position,
    /// Where they stood when the edition came about; nothing for the first one, of which nobody
    /// knows.
    born_at: Position,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    failures: u32,
    retry_at: BootTime,
}

/// Everything is to end.
struct Ending {
    /// The exit code, when it does not come from the children that end now.
    code: Option<u8>,
    error: Option<ExecError>,
    /// How the children ended: the first code that is not 0.
    seen: u8,
    /// The code for a child that was told to end before it became the program.
    unstarted: u8,
}

/// Runs a program and its copies.
pub struct Supervisor<'a> {
    settings: &'a ExecSettings,
    world: World<'a>,
    rings: Vec<RingName>,
    one_slot: Vec<RingName>,
    members: BTreeMap<ChildId, Member>,
    next_id: u64,
    wanted: Wanted,
    slots: Vec<Slot>,
    ending: Option<Ending>,
    /// Whether all copies were ready once.
    has_started: bool,
    /// Whether children were stopped because no server is reached.
    is_offline: bool,
    /// Tells the threads that wait for a server that the end has come.
    over: Arc<AtomicBool>,
    /// The clients that have not said goodbye, and the place of each.
    places: BTreeMap<ChildId, usize>,
    reaper: Reaper,
}

impl<'a> Supervisor<'a> {
    /// Prepares to run the program; nothing is started yet.
    pub fn new(settings: &'a ExecSettings, world: World<'a>) -> Self {
        Self {
            settings,
            world,
            rings: settings.rings(),
            one_slot: settings.one_slot(),
            members: BTreeMap::new(),
            next_id: 0,
            wanted: Wanted {
                edition: Edition(0),
                given: None,
                at: Position::new(),
                born_at: Position::new(),
            },
            slots: vec![Slot::default(); settings.shape.copies],
            ending: None,
            has_started: false,
            is_offline: false,
            over: Arc::new(AtomicBool::new(false)),
            places: BTreeMap::new(),
            reaper: Reaper::default(),
        }
    }

    /// Runs until everything has ended, and gives back the exit code.
    ///
    /// # Errors
    /// When the program could not be started.
    pub fn run(mut self) -> Result<u8, ExecError> {
        loop {
            self.follow_plan();
            if self.members.is_empty()
                && let Some(ending) = self.ending.take()
            {
                self.await_goodbyes();
                let code = ending.code.unwrap_or(ending.seen);
                return ending.error.map_or(Ok(code), Err);
            }
            let wait = self.next_look().since(boot_time());
            if let Ok(event) = self.world.events.1.recv_timeout(wait.to_std()) {
                self.heed(event);
            }
            self.look_around(boot_time());
        }
    }

    fn follow_plan(&mut self) {
        let now = boot_time();
        let children: Vec<Child> =
            self.members.values().map(|member| member.view(self.wanted.edition)).collect();
        let steps = if self.ending.is_some() {
            plan::end(&children)
        } else {
            let may_start = |slot: usize| {
                let slot = self.slots.get(slot);
                slot.is_some_and(|slot| slot.retry_at <= now) && !self.waits_for_server()
            };
            plan::next(self.settings.shape, &children, self.wanted.edition, may_start)
        };
        for step in steps {
            match step {
                Step::Start(slot) => self.start(slot),
                Step::Stop(id) => self.stop(id),
            }
        }
    }

    /// While the program is stopped because no server is reached, one child at a time asks whether
    /// that is over.
    fn waits_for_server(&self) -> bool {
        self.is_offline && !self.members.is_empty()
    }

    fn start(&mut self, slot: usize) {
        let id = ChildId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        if let Err(error) = self.try_start(id, slot) {
            tracing::error!(slot, "{}", follow::words(&error));
            self.failed(slot);
            if !self.has_started {
                self.end(None, Some(error));
            }
        }
    }

    fn try_start(&mut self, id: ChildId, slot: usize) -> Result<(), ExecError> {
        let own = self.own_socket(id)?;
        let open = self.world.sockets.iter().chain(own.iter().map(|(socket, _)| socket));
        let sockets: Result<Vec<_>, _> = open.map(Socket::handle).collect();
        let sockets = sockets.map_err(|source| ExecError::Start { source })?;
        let start = Start { argv: &self.settings.argv, slot, sockets, core: self.world.core };
        let started = Process::start(start).map_err(|source| ExecError::Start { source })?;
        let (process, unattended) = started;
        let pid = process.pid();
        // From here on a failure ends the child: its shim gets no environment.
        let place = self.free_place();
        let client = (self.world.connect)(pid, place);
        let client = client.map_err(|cause| ExecError::Client { cause })?;
        self.attend(id, &client, unattended)?;
        tracing::info!(pid, slot, "a child waits for its keys");
        let member = Member {
            id,
            slot,
            phase: Phase::Starting,
            process,
            client,
            own,
            held: None,
            given: None,
            is_current: false,
            born_at: Position::new(),
            level: None,
            is_checking: false,
            look_at: None,
            kill_at: None,
            was_ready: false,
            checks_over: Arc::new(AtomicBool::new(false)),
        };
        self.members.insert(id, member);
        self.places.insert(id, place);
        Ok(())
    }

    /// Starts the two threads that a child has for all its life.
    fn attend(
        &mut self,
        id: ChildId,
        client: &Client,
        process: process::Unattended,
    ) -> Result<(), ExecError> {
        let failed = |source| ExecError::Start { source };
        let (events, rings) = (self.world.events.0.clone(), self.rings.clone());
        let (followed, within) = (client.clone(), self.settings.start_timeout);
        follow::thread("keywheel-keys", move || {
            follow::keys(id, &followed, &rings, within, &events);
        })
        .map_err(failed)?;
        let (events, over) = (self.world.events.0.clone(), Arc::clone(&self.over));
        let (left, ring) = (client.clone(), self.rings.first().cloned());
        follow::thread("keywheel-child", move || {
            follow::end(id, process, &left, ring.as_ref(), &over, &events);
        })
        .map_err(failed)
    }

    /// The lowest place that no client has. After this process was killed, its next self fills the
    /// same places, and so each child succeeds one that is no more.
    fn free_place(&self) -> usize {
        let is_free = |place: &usize| !self.places.values().any(|taken| taken == place);
        (0..=self.places.len()).find(is_free).unwrap_or_default()
    }

    fn own_socket(&self, id: ChildId) -> Result<Option<(Socket, PathBuf)>, ExecError> {
        let Some(folder) = &self.world.own_sockets else { return Ok(None) };
        let path = folder.join(id.0.to_string());
        let socket = Socket::open(&Address::Unix(path.clone()))?;
        Ok(Some((socket, path)))
    }

    fn stop(&mut self, id: ChildId) {
        let kill_at = boot_time().after(self.settings.stop_timeout);
        let signal = self.settings.stop_signal;
        if let Some(member) = self.members.get_mut(&id) {
            tracing::info!(pid = member.process.pid(), slot = member.slot, "a child is to end");
            member.stop(signal, kill_at);
        }
    }

    /// Notes that a slot's child failed, and lets the slot wait.
    fn failed(&mut self, slot: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            let twice = 1_u64.checked_shl(slot.failures).unwrap_or(u64::MAX);
            let wait = RETRY_FIRST.as_millis().saturating_mul(twice);
            let wait = Span::from_millis(wait).min(RETRY_LAST);
            slot.failures = slot.failures.saturating_add(1);
            slot.retry_at = boot_time().after(wait);
        }
    }

    /// Begins the end of everything. Children are told by the plan.
    fn end(&mut self, code: Option<u8>, error: Option<ExecError>) {
        if self.ending.is_none() {
            self.ending = Some(Ending { code, error, seen: 0, unstarted: 0 });
            self.over.store(true, Ordering::Release);
            self.members.values().for_each(|member| member.client.nudge());
        }
    }

    /// The server is to hear of every end; but the end of this process does not wait for a server
    /// that is not there.
    fn await_goodbyes(&mut self) {
        let deadline = boot_time().after(GOODBYES);
        while !self.places.is_empty() && boot_time() < deadline {
            let left = deadline.since(boot_time()).to_std();
            if let Ok(Event::Left(id)) = self.world.events.1.recv_timeout(left) {
                self.places.remove(&id);
            }
        }
    }

    fn next_look(&self) -> BootTime {
        let now = boot_time();
        let of_members =
            self.members.values().flat_map(|member| [member.look_at, member.kill_at]).flatten();
        let of_slots = self.slots.iter().map(|slot| slot.retry_at).filter(|at| *at > now);
        of_members.chain(of_slots).min().unwrap_or(BootTime(u64::MAX)).min(now.after(LOOK))
    }

    /// Sees to what time brings about.
    fn look_around(&mut self, now: BootTime) {
        let due: Vec<ChildId> = self
            .members
            .values()
            .filter(|member| member.look_at.is_some_and(|at| at <= now))
            .map(|member| member.id)
            .collect();
        for id in due {
            self.look_at(id);
        }
        for member in
            self.members.values_mut().filter(|one| one.kill_at.is_some_and(|at| at <= now))
        {
            tracing::warn!(pid = member.process.pid(), "a child did not end in time and is killed");
            member.kill_at = None;
            member.process.kill();
        }
        self.reaper.look(now);
        self.mind_the_server();
    }

    /// The time of a child has come: it has settled, or is to be checked again.
    fn look_at(&mut self, id: ChildId) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.look_at = None;
        match (member.phase, &self.settings.ready) {
            (Phase::Starting, Ready::Settled(_)) => self.ready(id),
            (Phase::Ready, _) => self.check_use(id),
            _ => {}
        }
    }

    /// Stops everything when no server was reached for too long, if that is wished.
    fn mind_the_server(&mut self) {
        if self.settings.when_offline != OfflineExec::Stop || self.ending.is_some() {
            return;
        }
        let offline: Vec<ChildId> = self
            .members
            .values()
            .filter(|member| member.phase != Phase::Stopping && member.is_offline())
            .map(|member| member.id)
            .collect();
        for id in offline {
            tracing::error!(
                "no server was reached for longer than offline_max, so the program is stopped; \
                 it starts again when a server is reached"
            );
            self.is_offline = true;
            self.stop(id);
        }
    }
}
