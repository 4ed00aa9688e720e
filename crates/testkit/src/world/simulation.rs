//! The world's clockwork: a queue of events in the order of true time, and what each of them does.

mod revocations;
mod work;

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::rc::Rc;
use std::sync::Arc;

use keywheel_client::clock::BootTime;
use keywheel_client::session::Action;
use keywheel_core::id::{ConsumerName, InstanceId, RingName};
use keywheel_core::time::Span;
use keywheel_engine::ports::Seq;
use keywheel_engine::{
    Engine, EngineError, KeysetMaterial, NewInstance, Parts, Registration, ReportOutcome,
    RevocationPage, RingChange,
};
use keywheel_store::{MemoryHighWater, MemorySnapshot, MemoryStore, Sealer};
use serde_json::Value;

use super::machine::{FaultyStore, ServerClock, Shared, StoreClock};
use super::master::WorldKek;
use super::process::{Process, Reports};
use super::random::{Random, SeededEntropy};
use super::scenario::Scenario;
use super::truth::{Check, Truth};
use super::{Flaw, Run, Tally, Violation, laws};

/// How long a server's lease lasts, in milliseconds.
const LEASE_MILLIS: u64 = 2_000;
/// A call that was not answered for so long has failed.
const CALL_TIMEOUT: u64 = 3_000;
/// The most lines of a kept log.
const LOG_LINES_MAX: usize = 200_000;

/// What a process asks of a server.
#[derive(Clone)]
pub(crate) enum Body {
    Register,
    Load { index: usize, instance: InstanceId },
    Report { indices: Rc<Vec<usize>>, instance: InstanceId, reports: Reports, goodbye: bool },
    Revocations { index: usize, since: u64 },
    OpenFeed,
}

/// What a server answers.
pub(crate) enum Answer {
    Registered(Registration),
    Material(usize, KeysetMaterial),
    Reports(Rc<Vec<usize>>, Vec<ReportOutcome>),
    Revocations(usize, RevocationPage),
    FeedOpened,
    /// The instance is not known.
    Unknown(Body),
    /// The server cannot, or will not.
    Failed(Body),
}

/// Something that happens at a moment.
pub(crate) enum Event {
    Drive { server: usize },
    Start { server: usize },
    Request { server: usize, process: usize, call: u64, body: Body },
    Answer { process: usize, call: u64, server: usize, answer: Rc<Answer> },
    Timeout { process: usize, call: u64, body: Body },
    Hint { process: usize, change: RingChange },
    FeedEnds { process: usize, server: usize },
    Step { process: usize },
    Work { process: usize },
    WorkEnds { process: usize, index: usize, work: u64 },
    Join { service: usize },
    Fault,
    Act,
}

/// A server, its engine apart.
pub(crate) struct Server {
    pub(crate) clock: Arc<ServerClock>,
    high_water: Arc<MemoryHighWater>,
    sealer: Arc<Sealer>,
    entropy: Arc<SeededEntropy>,
    next_drive: u64,
    feed: Seq,
}

/// A whole world.
pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) random: Random,
    pub(crate) scenario: Scenario,
    pub(crate) store: MemoryStore,
    pub(crate) kek: Arc<WorldKek>,
    pub(crate) servers: Vec<Server>,
    pub(crate) processes: Vec<Process>,
    pub(crate) policies: Vec<Value>,
    pub(crate) truth: Truth,
    /// Which process cannot reach which server, and until when.
    pub(crate) blocked: BTreeMap<(usize, usize), u64>,
    pub(crate) network_bad_until: u64,
    pub(crate) backups: Vec<MemorySnapshot>,
    pub(crate) is_calm: bool,
    queue: BTreeMap<(u64, u64), Event>,
    ticket: u64,
    events: u64,
    flaw: Option<Flaw>,
    log: Option<Vec<String>>,
}

pub(crate) fn run(seed: u64, flaw: Option<Flaw>, keep_log: bool) -> Result<Run, Box<Violation>> {
    let mut world = World::new(seed, flaw, keep_log);
    match world.live() {
        Ok(()) => Ok(Run { tally: world.tally(), log: world.log.take().unwrap_or_default() }),
        Err(why) => Err(Box::new(Violation {
            seed,
            at_millis: world.now(),
            why,
            log: world.log.take().unwrap_or_default(),
        })),
    }
}

fn ring_name(index: usize) -> Option<RingName> {
    format!("ring-{index}").parse().ok()
}

impl World {
    fn new(seed: u64, flaw: Option<Flaw>, keep_log: bool) -> Self {
        let mut random = Random::new(seed);
        let scenario = Scenario::draw(&mut random);
        let shared = Arc::new(Shared::new(scenario.servers, flaw, &mut random));
        let store = MemoryStore::new(Arc::new(StoreClock(Arc::clone(&shared))));
        let kek = Arc::new(WorldKek::default());
        let sealer = |random: &mut Random| {
            Sealer::new(kek.clone(), Arc::new(SeededEntropy::new(random.fork())))
        };
        let servers = (0..scenario.servers)
            .map(|_| Server {
                clock: Arc::new(ServerClock::new(&shared, &mut random)),
                high_water: Arc::default(),
                sealer: Arc::new(sealer(&mut random)),
                entropy: Arc::new(SeededEntropy::new(random.fork())),
                next_drive: u64::MAX,
                feed: Seq(0),
            })
            .collect();
        let names: Vec<_> = (0..scenario.policies.len()).filter_map(ring_name).collect();
        let truth = Truth::new(store.clone(), sealer(&mut random), &names, shared.now());
        Self {
            policies: scenario.policies.clone(),
            shared,
            random,
            scenario,
            store,
            kek,
            servers,
            processes: Vec::new(),
            truth,
            blocked: BTreeMap::new(),
            network_bad_until: 0,
            backups: Vec::new(),
            is_calm: false,
            queue: BTreeMap::new(),
            ticket: 0,
            events: 0,
            flaw,
            log: keep_log.then(Vec::new),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.shared.now()
    }

    pub(crate) const fn flaw(&self) -> Option<Flaw> {
        self.flaw
    }

    pub(crate) fn say(&mut self, what: Arguments<'_>) {
        let now = self.shared.now();
        if let Some(log) = &mut self.log
            && log.len() < LOG_LINES_MAX
        {
            log.push(format!("{now:>8} {what}"));
        }
    }

    pub(crate) fn at(&mut self, moment: u64, event: Event) {
        self.ticket += 1;
        self.queue.insert((moment.max(self.now()), self.ticket), event);
    }

    pub(crate) fn after(&mut self, millis: u64, event: Event) {
        let moment = self.now().saturating_add(millis);
        self.at(moment, event);
    }

    fn tally(&self) -> Tally {
        let sum = |of: fn(&super::truth::RingTruth) -> u64| self.truth.rings.iter().map(of).sum();
        Tally {
            events: self.events,
            rotations: sum(|ring| ring.done),
            rollbacks: sum(|ring| ring.rolled_back),
            compromises: sum(|ring| ring.emergencies),
            restores: self.truth.rings.first().map_or(0, |ring| u64::from(ring.restored)),
            counted: self.shared.counted(),
        }
    }

    /// From the first start to the last rest.
    fn live(&mut self) -> Check {
        for server in 0..self.servers.len() {
            self.start(server)?;
        }
        self.run_for(100)?;
        self.create_rings()?;
        for service in 0..self.scenario.services.len() {
            for _ in 0..self.scenario.services.get(service).map_or(0, |one| one.begins_with) {
                self.after(1, Event::Join { service });
            }
        }
        self.run_for(3_000)?;
        self.back_up();
        self.after(10, Event::Fault);
        self.after(10, Event::Act);
        self.run_for(self.scenario.rough_for)?;
        self.come_to_rest()
    }

    pub(crate) fn run_for(&mut self, millis: u64) -> Check {
        let end = self.now().saturating_add(millis);
        while let Some(entry) = self.queue.first_entry() {
            let moment = entry.key().0;
            if moment > end {
                break;
            }
            let event = entry.remove();
            self.shared.pass_until(moment);
            self.events += 1;
            self.happen(event)?;
            self.check()?;
        }
        self.shared.pass_until(end);
        Ok(())
    }

    pub(crate) fn check(&mut self) -> Check {
        if let Some(why) = self.shared.broken() {
            return Err(why);
        }
        let now = self.now();
        self.truth.follow(now)?;
        for ring in &self.truth.rings {
            laws::check(ring, &self.processes, now)?;
            revocations::invariant_confirmed_is_complete(ring, &self.processes)?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Check {
        match event {
            Event::Drive { server } => self.drive(server)?,
            Event::Start { server } => self.start(server)?,
            Event::Request { server, process, call, body } => {
                self.serve(server, process, call, body)?;
            }
            Event::Answer { process, call, server, answer } => {
                self.take_answer(process, call, server, &answer)?;
            }
            Event::Timeout { process, call, body } => self.time_out(process, call, &body),
            Event::Hint { process, change } => {
                if self.runs(process)
                    && let Some(one) = self.processes.get_mut(process)
                {
                    one.session.feed_alive(one.boot(self.shared.now()));
                    one.session.changed(
                        change.seq.0,
                        change.ring.as_str(),
                        &change.incarnation,
                        change.revision,
                        change.revocations,
                    );
                    self.step_soon(process, 0);
                }
            }
            Event::FeedEnds { process, server } => self.end_feed(process, server),
            Event::Step { process } => self.step(process),
            Event::Work { process } => self.work(process),
            Event::WorkEnds { process, index, work } => self.end_work(process, index, work),
            Event::Join { service } => self.join(service),
            Event::Fault => self.fault(),
            Event::Act => self.act()?,
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, server: usize) -> Check {
        if self.shared.engine(server).is_some() {
            return Ok(());
        }
        let Some(parts) = self.parts(server) else { return Ok(()) };
        match Engine::open(parts) {
            Ok(engine) => {
                self.say(format_args!("server {server} starts"));
                self.adopt_engine(server, engine);
            }
            Err(EngineError::Store(_) | EngineError::Contended(_) | EngineError::Unknown(_)) => {
                self.after(700, Event::Start { server });
            }
            Err(error) => return Err(format!("invariant_servers_start: server {server}: {error}")),
        }
        Ok(())
    }

    pub(crate) fn adopt_engine(&mut self, server: usize, engine: Engine) {
        if let Ok(head) = engine.head()
            && let Some(slot) = self.servers.get_mut(server)
        {
            slot.feed = head;
        }
        self.shared.set_engine(server, Some(engine));
        self.drive_soon(server, 1);
    }

    pub(crate) fn parts(&self, server: usize) -> Option<Parts> {
        let one = self.servers.get(server)?;
        Some(Parts {
            store: Arc::new(FaultyStore {
                inner: self.store.clone(),
                server,
                shared: Arc::clone(&self.shared),
            }),
            seal: one.sealer.clone(),
            high_water: one.high_water.clone(),
            clock: one.clock.clone(),
            entropy: one.entropy.clone(),
            server: format!("server-{server}"),
            lease_ttl: Span::from_millis(LEASE_MILLIS),
            keep_notices: true,
        })
    }

    /// A server's memory outside the store is lost, or given up.
    pub(crate) fn forget_marks(&mut self, server: usize) {
        if let Some(one) = self.servers.get_mut(server) {
            one.high_water = Arc::default();
        }
    }

    fn drive_soon(&mut self, server: usize, millis: u64) {
        let moment = self.now().saturating_add(millis);
        let Some(one) = self.servers.get_mut(server) else { return };
        if one.next_drive > moment || one.next_drive < self.shared.now() {
            one.next_drive = moment;
            self.at(moment, Event::Drive { server });
        }
    }

    fn drive(&mut self, server: usize) -> Check {
        let now = self.now();
        let Some(engine) = self.shared.engine(server) else { return Ok(()) };
        let Some(one) = self.servers.get_mut(server) else { return Ok(()) };
        if one.next_drive > now {
            return Ok(());
        }
        one.next_drive = u64::MAX;
        if let Some(until) = self.shared.is_paused(server) {
            self.drive_soon(server, until.saturating_sub(now));
            return Ok(());
        }
        let nap = engine.drive();
        Self::refused_nothing(server, &engine)?;
        self.send_hints(server, &engine)?;
        let nap = u64::try_from(nap.as_millis()).unwrap_or(1_000).clamp(5, 1_000);
        self.drive_soon(server, nap);
        Ok(())
    }

    /// Nobody edits the store here, so everything in it must be believed.
    fn refused_nothing(server: usize, engine: &Engine) -> Check {
        match engine.health().refused.first() {
            Some((ring, why)) => {
                Err(format!("invariant_store_is_believed: server {server}, {ring}: {why}"))
            }
            None => Ok(()),
        }
    }

    /// Tells whoever listens on this server what changed.
    fn send_hints(&mut self, server: usize, engine: &Engine) -> Check {
        let since = self.servers.get(server).map_or(Seq(0), |one| one.feed);
        let (changes, cursor) = match engine.changes(since, 100) {
            Ok(answer) => answer,
            Err(error) => return self.permitted("changes", &error),
        };
        if let Some(one) = self.servers.get_mut(server) {
            one.feed = cursor;
        }
        for change in changes {
            for process in 0..self.processes.len() {
                let listens = self.processes.get(process).is_some_and(|one| {
                    one.alive
                        && one.feed == Some(server)
                        && one.locals.iter().any(|local| local.name == change.ring)
                });
                if !listens || self.is_blocked(process, server) {
                    continue;
                }
                let delay = self.delay();
                self.after(delay, Event::Hint { process, change: change.clone() });
            }
        }
        Ok(())
    }

    /// Errors that faults explain. A defect or a distrusted row is none of these.
    pub(crate) fn permitted(&mut self, what: &str, error: &EngineError) -> Check {
        match error {
            EngineError::Defect(_) | EngineError::Distrusted { .. } => {
                Err(format!("invariant_no_defect: {what}: {error}"))
            }
            _ => {
                self.say(format_args!("{what}: {error}"));
                Ok(())
            }
        }
    }

    pub(crate) fn stop_server(&mut self, server: usize, gracefully: bool) {
        let Some(engine) = self.shared.engine(server) else { return };
        if gracefully {
            engine.stop();
        }
        self.shared.set_engine(server, None);
        for process in 0..self.processes.len() {
            if self.processes.get(process).is_some_and(|one| one.feed == Some(server)) {
                let delay = self.random.below(500);
                self.after(delay, Event::FeedEnds { process, server });
            }
        }
    }

    fn delay(&mut self) -> u64 {
        let bad = self.network_bad_until > self.now();
        if bad && self.random.chance(300) {
            self.random.between(200, 6_000)
        } else if self.random.chance(30) {
            self.random.between(100, 1_000)
        } else {
            self.random.between(1, 30)
        }
    }

    fn is_lost(&mut self) -> bool {
        let rate = if self.network_bad_until > self.now() {
            200
        } else if self.is_calm {
            0
        } else {
            5
        };
        let lost = self.random.chance(rate);
        if lost {
            self.shared.count("message lost");
        }
        lost
    }

    pub(crate) fn is_blocked(&self, process: usize, server: usize) -> bool {
        self.blocked.get(&(process, server)).is_some_and(|until| *until > self.now())
    }

    fn send(&mut self, process: usize, server: usize, call: u64, body: &Body) {
        if self.is_blocked(process, server) || self.is_lost() {
            return;
        }
        let delay = self.delay();
        self.after(delay, Event::Request { server, process, call, body: body.clone() });
        let bad = self.network_bad_until > self.now();
        if bad && self.random.chance(200) {
            self.shared.count("message repeated");
            let delay = self.random.between(1, 8_000);
            self.after(delay, Event::Request { server, process, call, body: body.clone() });
        }
    }

    fn serve(&mut self, server: usize, process: usize, call: u64, body: Body) -> Check {
        if let Some(until) = self.shared.is_paused(server) {
            self.at(until, Event::Request { server, process, call, body });
            return Ok(());
        }
        let Some(engine) = self.shared.engine(server) else {
            let answer = Answer::Failed(body);
            self.reply(process, server, call, answer);
            return Ok(());
        };
        let answer = match self.answer(&engine, process, &body) {
            Ok(answer) => answer,
            Err(EngineError::NotFound { .. }) => Answer::Unknown(body),
            Err(error) => {
                self.permitted("a call", &error)?;
                Answer::Failed(body)
            }
        };
        if matches!(answer, Answer::Reports(..)) {
            let delay = self.random.between(1, 60);
            self.drive_soon(server, delay);
        }
        self.reply(process, server, call, answer);
        Ok(())
    }

    fn answer(&self, engine: &Engine, process: usize, body: &Body) -> Result<Answer, EngineError> {
        let missing = || EngineError::Unauthenticated;
        let one = self.processes.get(process).ok_or_else(missing)?;
        match body {
            Body::Register => {
                let registration = engine.register(&NewInstance {
                    consumer: one.consumer.clone(),
                    rings: one.locals.iter().map(|local| local.name.clone()).collect(),
                    host: "world".into(),
                    pid: u32::try_from(process).unwrap_or(0),
                    endures: false,
                    succeeds: None,
                })?;
                Ok(Answer::Registered(registration))
            }
            Body::Load { index, instance } => {
                let ring = one.locals.get(*index).map(|local| &local.name).ok_or_else(missing)?;
                Ok(Answer::Material(*index, engine.material(ring, &one.consumer, instance)?))
            }
            Body::Report { indices, instance, reports, goodbye } => {
                let outcomes = engine.report(&one.consumer, instance, reports, *goodbye)?;
                Ok(Answer::Reports(Rc::clone(indices), outcomes))
            }
            Body::Revocations { index, since } => {
                let ring = one.locals.get(*index).map(|local| &local.name).ok_or_else(missing)?;
                Ok(Answer::Revocations(*index, engine.revocation_page(ring, *since)?))
            }
            Body::OpenFeed => {
                engine.head()?;
                Ok(Answer::FeedOpened)
            }
        }
    }

    fn reply(&mut self, process: usize, server: usize, call: u64, answer: Answer) {
        if self.is_blocked(process, server) || self.is_lost() {
            return;
        }
        let delay = self.delay();
        self.after(delay, Event::Answer { process, call, server, answer: Rc::new(answer) });
    }

    pub(crate) fn join(&mut self, service: usize) {
        let Some(service) = self.scenario.services.get(service) else { return };
        let Ok(consumer) = service.name.parse::<ConsumerName>() else { return };
        let role = service.role;
        let rings: Vec<_> = self
            .truth
            .rings
            .iter()
            .enumerate()
            .filter(|(_, ring)| ring.doc.as_ref().is_none_or(|doc| doc.deleted.is_none()))
            .map(|(index, ring)| (index, ring.name.clone()))
            .collect();
        let server = self.random.index(self.servers.len());
        // One flawed process among sound ones is harder to notice than many.
        let flaw = self.flaw.filter(|_| self.processes.len().is_multiple_of(2));
        let process = Process::new(consumer, role, &rings, server, flaw, &mut self.random);
        self.processes.push(process);
        let number = self.processes.len() - 1;
        self.say(format_args!("p{number} joins, a {role:?}"));
        self.step_soon(number, 0);
        self.after(200, Event::Work { process: number });
    }

    /// Whether a process can act; one that stands still does so later.
    fn runs(&self, process: usize) -> bool {
        self.processes.get(process).is_some_and(|one| one.alive && one.paused_until <= self.now())
    }

    pub(crate) fn step_soon(&mut self, process: usize, millis: u64) {
        let now = self.now();
        let moment = now.saturating_add(millis);
        let Some(one) = self.processes.get_mut(process) else { return };
        let moment = moment.max(one.paused_until);
        if one.alive && (one.next_step > moment || one.next_step < now) {
            one.next_step = moment;
            self.at(moment, Event::Step { process });
        }
    }

    fn step(&mut self, process: usize) {
        let now = self.now();
        let Some(one) = self.processes.get_mut(process) else { return };
        if !one.alive || one.next_step > now {
            return;
        }
        one.next_step = u64::MAX;
        if one.paused_until > now {
            self.step_soon(process, 0);
            return;
        }
        one.expire(now);
        if one.outstanding.is_some() {
            return;
        }
        let boot = one.boot(now);
        let action = one.session.next(boot, |index| one.oldest(index));
        let instance = one.identity.as_ref().map(|identity| identity.instance.clone());
        let body = match (action, instance) {
            (Action::Register(_), _) => Body::Register,
            (Action::OpenFeed { .. } | Action::Poll { .. }, _) => Body::OpenFeed,
            (Action::Load(index), Some(instance)) => Body::Load { index, instance },
            (Action::Report(indices), Some(instance)) => match one.write_reports(&indices, now) {
                Some(reports) => {
                    Body::Report { indices: Rc::new(indices), instance, reports, goodbye: false }
                }
                None => return self.step_soon(process, 50),
            },
            (Action::Rest { until }, _) => {
                let wait = one.moment(until).saturating_sub(now).clamp(1, 1_000);
                return self.step_soon(process, wait);
            }
            (Action::FetchRevocations { index, since }, _) => Body::Revocations { index, since },
            // Nobody here keeps a ledger, or is refused a ring.
            (Action::ReportIssued(_) | Action::Extend(_), _) | (_, None) => {
                return self.step_soon(process, 50);
            }
        };
        self.call(process, body);
    }

    fn call(&mut self, process: usize, body: Body) {
        self.ticket += 1;
        let (call, now) = (self.ticket, self.now());
        let Some(one) = self.processes.get_mut(process) else { return };
        one.outstanding = Some((call, one.boot(now)));
        let server = one.server;
        self.send(process, server, call, &body);
        self.after(CALL_TIMEOUT, Event::Timeout { process, call, body });
    }

    /// Ends the call that this answers. Nothing when it was given up before.
    fn end_call(&mut self, process: usize, call: u64) -> Option<BootTime> {
        let one = self.processes.get_mut(process)?;
        let (under_way, asked_at) = one.outstanding?;
        if under_way != call || !one.alive {
            return None;
        }
        one.outstanding = None;
        Some(asked_at)
    }

    fn time_out(&mut self, process: usize, call: u64, body: &Body) {
        let paused = self.processes.get(process).map_or(0, |one| one.paused_until);
        if paused > self.now() {
            let body = body.clone();
            return self.at(paused, Event::Timeout { process, call, body });
        }
        if self.end_call(process, call).is_some() {
            self.fail_call(process, body);
        }
    }

    fn fail_call(&mut self, process: usize, body: &Body) {
        let now = self.now();
        let servers = self.servers.len();
        let random = &mut self.random;
        let Some(one) = self.processes.get_mut(process) else { return };
        one.server = random.index(servers);
        let boot = one.boot(now);
        match body {
            Body::Register => one.forget_identity(now, random),
            Body::Load { index, .. } => one.session.load_failed(*index, boot, random.next()),
            Body::Report { indices, .. } => {
                one.session.report_failed(indices, false, boot, random.next());
            }
            Body::Revocations { index, .. } => {
                one.session.revocations_failed(*index, boot, random.next());
            }
            Body::OpenFeed => one.session.feed_closed(boot, random.next()),
        }
        self.step_soon(process, 1);
    }

    fn end_feed(&mut self, process: usize, server: usize) {
        let now = self.now();
        let random = self.random.next();
        let Some(one) = self.processes.get_mut(process) else { return };
        if one.feed == Some(server) {
            one.feed = None;
            one.session.feed_closed(one.boot(now), random);
            self.step_soon(process, 1);
        }
    }

    fn take_answer(
        &mut self,
        process: usize,
        call: u64,
        server: usize,
        answer: &Rc<Answer>,
    ) -> Check {
        let paused = self.processes.get(process).map_or(0, |one| one.paused_until);
        if paused > self.now() {
            let answer = Rc::clone(answer);
            self.at(paused, Event::Answer { process, call, server, answer });
            return Ok(());
        }
        let Some(asked_at) = self.end_call(process, call) else { return Ok(()) };
        let now = self.now();
        let random = &mut self.random;
        let Some(one) = self.processes.get_mut(process) else { return Ok(()) };
        one.expire(now);
        match answer.as_ref() {
            Answer::Registered(registration) => {
                one.registered(registration, asked_at);
                let farewell = one.farewell.take();
                let name = registration.instance.clone();
                self.say(format_args!("p{process} is {name}"));
                if let Some((instance, reports)) = farewell {
                    let indices = Rc::new(Vec::new());
                    let body = Body::Report { indices, instance, reports, goodbye: true };
                    self.send(process, server, 0, &body);
                }
            }
            Answer::Material(index, material) => {
                let applied = one.loaded(*index, material, now, random)?;
                let revision = material.keyset.revision;
                self.say(format_args!("p{process} loads {revision}: {applied:?}"));
            }
            Answer::Reports(indices, outcomes) => {
                self.take_outcomes(process, asked_at, indices, outcomes);
            }
            Answer::Revocations(index, page) => one.took_in(*index, page, asked_at),
            Answer::FeedOpened => {
                one.session.feed_opened();
                one.feed = Some(server);
            }
            Answer::Unknown(Body::OpenFeed) => self.fail_call(process, &Body::OpenFeed),
            Answer::Unknown(_) => {
                one.forget_identity(now, random);
                self.shared.count("process was not known");
                self.say(format_args!("p{process} is not known"));
            }
            Answer::Failed(body) => self.fail_call(process, body),
        }
        self.step_soon(process, 1);
        Ok(())
    }
}
