//! What happens in the world: time, servers, messages and processes. The store's rules (swap and
//! fence) and the cluster clock stand here too, so that a flaw can take one away.

use std::collections::BTreeMap;
use std::rc::Rc;

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::ring::Ring;
use keywheel_core::rotation::{self, Input};
use keywheel_core::time::{ClusterTime, Span};
use keywheel_core::view::{Held, Instance, Server as ServerView, View};

use super::action::Action;
use super::flaw::Flaw;
use super::memo;
use super::state::{Keys, Next, Node, Passive, Pending, Phase, Report, Setup, World, bit, members};

/// What the core answered that it never should.
pub(crate) type Fault = String;

impl World {
    /// The world after an action, or nothing when the action cannot happen or changes nothing.
    ///
    /// # Errors
    /// When the core broke its own contract on the way.
    pub(crate) fn apply(&self, action: Action) -> Result<Option<Self>, Fault> {
        let mut next = self.clone();
        let happened = match action {
            Action::Time => next.pass_time(),
            Action::Tick => next.tick()?,
            Action::Sleep { decided } => next.fall_asleep(decided)?,
            Action::Wake(server) => next.wake(usize::from(server))?,
            Action::Takeover(server) => next.take_over(usize::from(server)),
            Action::Crash => next.crash(),
            Action::Jump(by) => next.jump(by),
            Action::TakeUp(server) => next.take_up(usize::from(server)),
            Action::Fetch(server) => next.fetch(usize::from(server)),
            Action::Sync { .. }
            | Action::EndWork(_)
            | Action::Delay(_)
            | Action::Deliver(_)
            | Action::DelayReport(_)
            | Action::DeliverReport(_)
            | Action::Cut(_)
            | Action::Heal(_)
            | Action::Goodbye(_)
            | Action::Register(_)
            | Action::Load { .. } => next.happen_to_node(action),
            operator => next.operate(operator)?,
        };
        if !happened {
            return Ok(None);
        }
        next.settle();
        Ok(Some(next))
    }

    /// What follows at once from any action: whoever may protect does, and what has run out is
    /// forgotten. A process that may protect is taken to do so all the time.
    pub(crate) fn settle(&mut self) {
        let (real, skew) = (self.real, self.skew());
        for index in 0..self.nodes.len() {
            for (kid, lifetime) in self.protecting(index) {
                let until = real.saturating_add(lifetime).saturating_add(skew);
                if let Some(known) = self.lives.get_mut(usize::from(kid)) {
                    *known = until.max(*known);
                }
            }
        }
        for node in &mut self.nodes {
            node.forget(real);
        }
    }

    /// What a process may protect with now, and for how long.
    pub(crate) fn protecting(&self, index: usize) -> impl Iterator<Item = (u8, u64)> + use<> {
        let node = self.nodes.get(index).copied().unwrap_or(Node::ABSENT);
        let patience = node.keys.map_or(0, |keys| keys.offline_max).saturating_add(self.skew());
        let may = self.setup.protectors & (1 << index) != 0;
        let waited = self.real.saturating_sub(node.patient_since(self.current.life));
        let fresh = waited <= patience || self.setup.rules.has(Flaw::OfflineMaxIgnored);
        let active = node.phase == Phase::Running && may && fresh;
        let work = node.work.map(|work| (work.kid, work.lifetime));
        node.protects().into_iter().chain(work).filter(move |_| active)
    }

    fn pass_time(&mut self) -> bool {
        self.real += 1;
        if let Some(leader) = self.leader {
            self.advance_clock(leader);
        }
        for index in 0..self.nodes.len() {
            self.heartbeat(index);
        }
        true
    }

    /// Moves the recorded cluster clock by what a server vouches for.
    fn advance_clock(&mut self, server: usize) {
        let (real, wall) = (self.real, self.wall());
        let Some(server) = self.servers.get_mut(server) else { return };
        let by_monotonic = real.saturating_sub(server.mark.0);
        let by_wall = u64::try_from(wall.saturating_sub(server.mark.1)).unwrap_or(0);
        server.mark = (real, wall);
        let step = if self.setup.rules.has(Flaw::WallClock) {
            by_wall
        } else {
            by_wall.min(by_monotonic).min(self.setup.leader_lease)
        };
        self.cluster = self.cluster.saturating_add(step);
    }

    /// A connected process renews its lease. One that the store does not know registers again.
    fn heartbeat(&mut self, index: usize) {
        let (cluster, real, current) = (self.cluster, self.real, self.current);
        let (Some(node), Some(presence)) =
            (self.nodes.get_mut(index), self.presence.get_mut(index))
        else {
            return;
        };
        if node.cut || !matches!(node.phase, Phase::Joining | Phase::Running) {
            return;
        }
        node.heard = real;
        if node.keys == Some(current) {
            node.current_at = real;
        }
        presence.contact = cluster;
        presence.volatile = true;
        presence.registered = true;
    }

    /// What the leader sees of the world.
    pub(crate) fn view(&self) -> View {
        let instances = self.presence.iter().enumerate().filter(|(_, one)| one.registered);
        let instances = instances.filter_map(|(index, one)| {
            Some(Instance {
                id: self.setup.ids.get(index)?.clone(),
                consumer: self.setup.owners.get(index)?.clone(),
                process: String::new(),
                last_contact: ClusterTime(one.contact),
                heard_later: self.heard_later(),
                ended: one.ended,
                endures: false,
                trouble: None,
                held: one.held.map(|(revision, oldest_guard)| Held {
                    revision,
                    oldest_guard,
                    level: EvidenceLevel::Held,
                }),
                counts: BTreeMap::new(),
            })
        });
        let servers = self.servers.iter().enumerate().map(|(index, server)| ServerView {
            id: format!("s{index}"),
            serves: server.serves.revision,
        });
        View {
            instances: instances.collect(),
            servers: servers.collect(),
            settled_at: ClusterTime(self.settled_at),
            ..View::default()
        }
    }

    /// A contact was stamped with the recorded clock, which may stand behind the leader's by one
    /// lease; where contacts outlive a leader, those of one lease more may be lost. Counted from
    /// the stamp alone, a process would seem gone too early.
    fn heard_later(&self) -> Span {
        let Setup { rules, keeps_contacts, clock_lags, leader_lease, .. } = &*self.setup;
        let lags = *clock_lags && !rules.has(Flaw::StampsTrusted);
        let loses = *keeps_contacts && !rules.has(Flaw::LossForgotten);
        Span::from_millis(leader_lease * (u64::from(lags) + u64::from(loses)))
    }

    /// Asks the core, and checks the form of its answer.
    pub(crate) fn ask(
        &self,
        ring: &Rc<Ring>,
        action: Action,
        input: impl FnOnce() -> Option<Input>,
    ) -> Result<Option<Rc<Ring>>, Fault> {
        let question = memo::question(self, ring, action);
        if let Some(known) = self.setup.memo.borrow().answer(question) {
            return Ok(known);
        }
        let Some(input) = input() else { return Ok(None) };
        let answer = match rotation::step_with(ring, input, self.now(), self.setup.rules.guards) {
            Ok(step) if step.ring == **ring => None,
            Ok(step) => Some(self.setup.memo.borrow_mut().intern(step.ring)),
            Err(refused) if refused.cause.is_empty() || refused.remedy.is_empty() => {
                return Err(format!("refusal without cause or remedy: {refused:?}"));
            }
            Err(_) => None,
        };
        self.setup.memo.borrow_mut().learn(question, answer.clone());
        Ok(answer)
    }

    pub(crate) fn replace(&mut self, next: Rc<Ring>) {
        self.doc = next;
        self.current = Keys::of(&self.doc.keyset());
        let consumers = &self.doc.policy.consumers;
        self.declared = members(&self.setup.owners, |owner| consumers.contains_key(owner));
        if self.setup.lagging_servers {
            return;
        }
        for server in &mut self.servers {
            server.serves = self.current;
        }
    }

    fn decision(&self) -> Result<Option<Rc<Ring>>, Fault> {
        self.ask(&self.doc, Action::Tick, || Some(Input::Tick { view: self.view() }))
    }

    fn tick(&mut self) -> Result<bool, Fault> {
        if self.leader.is_none() {
            return Ok(false);
        }
        let Some(next) = self.decision()? else { return Ok(false) };
        self.replace(next);
        Ok(true)
    }

    fn fall_asleep(&mut self, decided: bool) -> Result<bool, Fault> {
        let Some(leader) = self.leader else { return Ok(false) };
        if self.budget.sleep == 0 {
            return Ok(false);
        }
        self.budget.sleep -= 1;
        let (life, base) = (self.current.life, self.doc.revision);
        let quorum = self.quorum();
        let next = if decided {
            self.decision()?.map(Next::Decided)
        } else {
            Some(Next::Read {
                doc: self.doc.clone(),
                presence: self.presence.clone(),
                settled_at: self.settled_at,
            })
        };
        if let Some(server) = self.servers.get_mut(leader) {
            server.asleep = true;
            server.pending = next.map(|next| Pending { life, base, quorum, next });
        }
        self.leader = None;
        Ok(true)
    }

    /// A server that stood still goes on where it was, with what it had read, and with the clock
    /// as it is now.
    fn wake(&mut self, index: usize) -> Result<bool, Fault> {
        let newest = self.fence;
        let Some(server) = self.servers.get_mut(index).filter(|server| server.asleep) else {
            return Ok(false);
        };
        server.asleep = false;
        let pending = server.pending.take();
        let deposed = server.fence != newest;
        if deposed {
            server.fence = 0;
        }
        if deposed && !self.setup.rules.has(Flaw::NoFencing) {
            return Ok(true);
        }
        self.advance_clock(index);
        if let Some(pending) = pending {
            let next = match pending.next {
                Next::Decided(next) => Some(next),
                Next::Read { doc, presence, settled_at } => {
                    let mut then = self.clone();
                    then.presence = presence;
                    then.settled_at = settled_at;
                    let tick = || Some(Input::Tick { view: then.view() });
                    then.ask(&doc, Action::Tick, tick)?
                }
            };
            let swaps = pending.base == self.doc.revision && pending.life == self.current.life;
            if let Some(next) = next
                && (swaps || self.setup.rules.has(Flaw::NoCompareAndSwap))
            {
                self.replace(next);
            }
        }
        if !deposed {
            self.leader = Some(index);
        }
        Ok(true)
    }

    /// A server gets the lease. Where contacts outlive a leader, only the latest are lost.
    /// Elsewhere all are, so it keeps the gates closed until whoever was heard just before has had
    /// its time to be silent; and for one lease more, because so much may pass between what a tick
    /// reads and what it decides.
    fn take_over(&mut self, index: usize) -> bool {
        if self.leader.is_some() || self.servers.get(index).is_none_or(|server| server.asleep) {
            return false;
        }
        let (real, wall) = (self.real, self.wall());
        if self.setup.rules.has(Flaw::DowntimeCredited) {
            let last = self.servers.iter().map(|server| server.mark.1).max().unwrap_or(wall);
            let missed = u64::try_from(wall.saturating_sub(last)).unwrap_or(0);
            self.cluster = self.cluster.saturating_add(missed);
        }
        self.fence += 1;
        if let Some(server) = self.servers.get_mut(index) {
            server.fence = self.fence;
            server.mark = (real, wall);
        }
        let settles = if self.setup.keeps_contacts {
            self.lose_contacts();
            self.policy().lease_ttl
        } else {
            for one in &mut self.presence {
                one.contact = 0;
            }
            self.doc.silence().plus(Span::from_millis(1 + self.setup.leader_lease))
        };
        self.settled_at = self.cluster.saturating_add(settles.as_millis());
        self.leader = Some(index);
        true
    }

    /// What the former leader heard of a process within its last lease is lost; what was written
    /// down before is not lost again.
    fn lose_contacts(&mut self) {
        let lease = self.setup.leader_lease;
        for one in self.presence.iter_mut().filter(|one| one.volatile) {
            one.contact = one.contact.saturating_sub(lease);
            one.volatile = false;
        }
    }

    fn crash(&mut self) -> bool {
        let Some(leader) = self.leader.filter(|_| self.budget.crash > 0) else { return false };
        self.budget.crash -= 1;
        if let Some(server) = self.servers.get_mut(leader) {
            server.fence = 0;
        }
        self.leader = None;
        true
    }

    fn jump(&mut self, by: i8) -> bool {
        if self.budget.jump == 0 {
            return false;
        }
        self.budget.jump -= 1;
        self.jumped += i64::from(by);
        true
    }

    fn take_up(&mut self, index: usize) -> bool {
        let current = self.current;
        let Some(server) = self.servers.get_mut(index).filter(|one| one.serves != current) else {
            return false;
        };
        server.serves = current;
        true
    }

    fn fetch(&mut self, index: usize) -> bool {
        let real = self.real;
        let (Some(passive), Some(server)) = (&mut self.passive, self.servers.get(index)) else {
            return false;
        };
        let fetched = Passive { accepted: server.serves.accepted, fetched: real };
        let changed = *passive != fetched;
        *passive = fetched;
        changed
    }

    pub(crate) fn happen_to_node(&mut self, action: Action) -> bool {
        match action {
            Action::Sync { node, keep } => self.sync(usize::from(node), keep),
            Action::EndWork(node) => self.end_work(usize::from(node)),
            Action::Delay(node) => self.delay(usize::from(node)),
            Action::Deliver(node) => self.deliver(usize::from(node)),
            Action::DelayReport(node) => self.delay_report(usize::from(node)),
            Action::DeliverReport(node) => self.deliver_report(usize::from(node)),
            Action::Cut(node) => self.cut(usize::from(node)),
            Action::Heal(node) => self.heal(usize::from(node)),
            Action::Goodbye(node) => self.goodbye(usize::from(node)),
            Action::Register(node) => self.register(usize::from(node)),
            Action::Load { node, server } => self.load(usize::from(node), usize::from(server)),
            _ => false,
        }
    }

    fn connected(&self, index: usize, phase: Phase) -> Option<Node> {
        self.nodes.get(index).copied().filter(|node| node.phase == phase && !node.cut)
    }

    fn put(&mut self, index: usize, node: Node) {
        if let Some(place) = self.nodes.get_mut(index) {
            *place = node;
        }
    }

    /// A contact that carries a report: durable, unlike a renewal.
    pub(crate) fn hear(&mut self, index: usize, report: Option<Report>) {
        let (cluster, life) = (self.cluster, self.current.life);
        let ignored = self.setup.rules.has(Flaw::IncarnationIgnored);
        let Some(presence) = self.presence.get_mut(index) else { return };
        presence.registered = true;
        presence.contact = cluster;
        presence.volatile = true;
        if let Some(report) = report.filter(|report| report.life == life || ignored) {
            presence.held = Some((report.revision, report.oldest_guard));
        }
    }

    /// Whether a process has something to take or to say.
    pub(crate) fn has_news(&self, index: usize) -> bool {
        let (Some(node), Some(presence)) = (self.nodes.get(index), self.presence.get(index)) else {
            return false;
        };
        let said = node.report().map(|report| (report.revision, report.oldest_guard));
        presence.held != said || node.takes(&self.current, self.setup.rules)
    }

    fn sync(&mut self, index: usize, keep: bool) -> bool {
        let Some(mut node) = self.connected(index, Phase::Running) else { return false };
        let rules = self.setup.rules;
        let takes = node.takes(&self.current, rules);
        if keep && (!takes || node.work.is_some() || self.budget.work == 0) {
            return false;
        }
        if !self.has_news(index) {
            return false;
        }
        if keep {
            self.budget.work -= 1;
        }
        if takes {
            node.swap(self.current, keep, self.real, self.skew(), rules);
        }
        node.heard = self.real;
        node.outbox = None;
        self.put(index, node);
        self.hear(index, node.report());
        true
    }

    fn end_work(&mut self, index: usize) -> bool {
        let Some(mut node) = self.nodes.get(index).copied().filter(|node| node.work.is_some())
        else {
            return false;
        };
        node.work = None;
        let connected = node.phase == Phase::Running && !node.cut;
        if connected {
            node.heard = self.real;
            node.outbox = None;
        }
        self.put(index, node);
        if connected {
            self.hear(index, node.report());
        }
        true
    }

    fn delay(&mut self, index: usize) -> bool {
        let current = self.current;
        let Some(mut node) = self.connected(index, Phase::Running) else { return false };
        if self.budget.late == 0 || node.inbox.is_some() || node.keys == Some(current) {
            return false;
        }
        self.budget.late -= 1;
        node.inbox = Some(current);
        self.put(index, node);
        true
    }

    fn deliver(&mut self, index: usize) -> bool {
        let Some(mut node) = self.nodes.get(index).copied() else { return false };
        let Some(keys) = node.inbox.take() else { return false };
        let rules = self.setup.rules;
        if node.phase == Phase::Running && node.takes(&keys, rules) {
            node.swap(keys, false, self.real, self.skew(), rules);
        }
        self.put(index, node);
        true
    }

    fn delay_report(&mut self, index: usize) -> bool {
        let Some(mut node) = self.connected(index, Phase::Running) else { return false };
        if self.budget.late == 0 || node.outbox.is_some() {
            return false;
        }
        self.budget.late -= 1;
        node.outbox = node.report();
        self.put(index, node);
        true
    }

    fn deliver_report(&mut self, index: usize) -> bool {
        let Some(mut node) = self.nodes.get(index).copied() else { return false };
        let Some(report) = node.outbox.take() else { return false };
        self.put(index, node);
        self.hear(index, Some(report));
        true
    }

    fn cut(&mut self, index: usize) -> bool {
        let Some(mut node) = self.connected(index, Phase::Running) else { return false };
        if self.budget.cut == 0 {
            return false;
        }
        self.budget.cut -= 1;
        node.cut = true;
        self.put(index, node);
        true
    }

    /// A process that was silent for longer than it may be comes back as a new one.
    fn heal(&mut self, index: usize) -> bool {
        let Some(mut node) = self.nodes.get(index).copied().filter(|node| node.cut) else {
            return false;
        };
        let patience = node.keys.map_or(0, |keys| keys.offline_max);
        if self.silent(&node) > patience {
            let left_lives = node.left_lives;
            node = Node { left_lives, phase: Phase::Joining, ..Node::ABSENT };
            if let Some(presence) = self.presence.get_mut(index) {
                presence.held = None;
            }
        }
        node.cut = false;
        node.heard = self.real;
        if node.keys == Some(self.current) {
            node.current_at = self.real;
        }
        self.put(index, node);
        self.hear(index, None);
        true
    }

    fn goodbye(&mut self, index: usize) -> bool {
        let Some(node) = self.connected(index, Phase::Running) else { return false };
        if self.budget.leave == 0 {
            return false;
        }
        self.budget.leave -= 1;
        self.put(index, Node { phase: Phase::Ended, work: None, keys: None, ..node });
        if let Some(presence) = self.presence.get_mut(index) {
            presence.ended = true;
        }
        true
    }

    fn register(&mut self, index: usize) -> bool {
        let Some(mut node) = self.connected(index, Phase::Absent) else { return false };
        if self.budget.join == 0 {
            return false;
        }
        self.budget.join -= 1;
        node.phase = Phase::Joining;
        node.heard = self.real;
        self.put(index, node);
        self.hear(index, None);
        true
    }

    /// A joining process gets its first keyset: from the store, whatever a server has cached.
    fn load(&mut self, index: usize, server: usize) -> bool {
        let Some(mut node) = self.connected(index, Phase::Joining) else { return false };
        let cached = self.servers.get(server).map(|server| server.serves);
        let keys = if self.setup.rules.has(Flaw::JoinFromCache) {
            cached
        } else {
            Some(self.current).filter(|_| server == 0)
        };
        let Some(keys) = keys else { return false };
        node.phase = Phase::Running;
        node.keys = Some(keys);
        node.ever = keys.accepted;
        node.heard = self.real;
        node.current_at = self.real;
        self.put(index, node);
        self.hear(index, node.report());
        true
    }

    /// Whether the passive consumer's copy is still in use, and what it accepts.
    pub(crate) fn passive_accepts(&self) -> Option<u32> {
        let delay = self.policy().propagation().as_millis();
        self.passive
            .filter(|passive| self.real.saturating_sub(passive.fetched) < delay)
            .map(|passive| passive.accepted)
    }

    /// The kids of which something may live now, as a set.
    pub(crate) fn alive(&self) -> u32 {
        let mut set = 0;
        for (kid, until) in (0u8..).zip(self.lives) {
            if self.real < until {
                set |= bit(kid);
            }
        }
        set
    }
}
