//! The canonical form of a world, as bytes. Two worlds with the same bytes behave alike from here
//! on: times count from the present and stop where no wait can tell them apart, revisions keep
//! their order only, and processes of one consumer are interchangeable.

use std::hash::Hasher;

use keywheel_core::id::Revision;
use keywheel_core::ring::{Refusal, Ring, State, Version};
use keywheel_core::time::{ClusterTime, Span};

use super::state::{Keys, Next, Node, Phase, Presence, Server, World, kid_number};

/// A 128-bit fingerprint of a world's canonical form.
pub(crate) fn fingerprint(world: &World) -> u128 {
    let bytes = encode(world);
    let half = |seed: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u8(seed);
        hasher.write(&bytes);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}

/// The canonical form.
pub(crate) fn encode(world: &World) -> Vec<u8> {
    let mut out = Writer::new(world);
    out.ring(&world.doc);
    out.byte(world.leader.is_some());
    out.cluster(ClusterTime(world.settled_at.max(world.cluster)));
    let mut servers: Vec<_> = (0..)
        .zip(&world.servers)
        .map(|(index, server)| out.aside(|out| out.server(world, index, server)))
        .collect();
    servers.sort();
    let mut nodes: Vec<_> = world
        .nodes
        .iter()
        .zip(&world.presence)
        .zip(&world.setup.classes)
        .map(|((node, presence), class)| (*class, out.aside(|out| out.node(node, presence))))
        .collect();
    // A waiver may name an instance; then they are not alike.
    if world.doc.waivers.iter().all(|waiver| waiver.instance.is_none()) {
        nodes.sort();
    }
    for (_, node) in nodes {
        out.bytes.extend(node);
    }
    for server in servers {
        out.bytes.extend(server);
    }
    for until in world.lives {
        out.byte(u8::try_from(until.saturating_sub(world.real)).unwrap_or(u8::MAX));
    }
    if let Some(passive) = world.passive {
        out.word(passive.accepted);
        out.byte(u8::try_from(world.real - passive.fetched).unwrap_or(u8::MAX).min(10));
    }
    if let Some(backup) = &world.backup {
        out.byte(1);
        out.ring(&backup.doc);
        out.relative(backup.cluster, world.cluster);
        for one in &backup.presence {
            let bytes = out.aside(|out| out.presence(one));
            out.bytes.extend(bytes);
        }
    }
    out.budget(world);
    out.bytes
}

struct Writer {
    bytes: Vec<u8>,
    cluster: u64,
    real: u64,
    revisions: Vec<(u8, Revision)>,
    /// Beyond this many milliseconds no wait of this world tells two moments apart.
    far: i64,
    /// Whether any policy destroys by itself.
    destroys: bool,
    /// Whether contacts outlive a leader.
    keeps_contacts: bool,
    /// Whether there was a restore, or one may come.
    restored: bool,
    current: Keys,
}

impl Writer {
    fn new(world: &World) -> Self {
        let mut out = Self {
            bytes: Vec::with_capacity(512),
            cluster: world.cluster,
            real: world.real,
            revisions: Vec::with_capacity(64),
            far: i64::try_from(world.setup.far).unwrap_or(i64::MAX),
            restored: world.ring_lives > 1 || world.budget.restore > 0,
            keeps_contacts: world.setup.keeps_contacts,
            current: world.current,
            destroys: world.setup.policies.iter().any(|policy| policy.destroy_after.is_some()),
        };
        out.collect(world);
        out.revisions.sort_unstable();
        out.revisions.dedup();
        out
    }

    /// Gathers every revision that matters, so that only their order is written.
    fn collect(&mut self, world: &World) {
        let life = world.current.life;
        self.collect_ring(life, &world.doc);
        for server in &world.servers {
            self.revisions.push((server.serves.life, server.serves.revision));
            if let Some(pending) = &server.pending {
                self.revisions.push((pending.life, pending.base));
                match &pending.next {
                    Next::Decided(doc) => self.collect_ring(pending.life, doc),
                    Next::Read { doc, presence, .. } => {
                        self.collect_ring(pending.life, doc);
                        self.collect_held(pending.life, presence);
                    }
                }
            }
        }
        if let Some(backup) = &world.backup {
            self.collect_ring(life, &backup.doc);
        }
        for node in &world.nodes {
            let keys = node.keys.into_iter().chain(node.inbox);
            self.revisions.extend(keys.map(|keys| (keys.life, keys.revision)));
            self.revisions.extend(node.work.map(|work| (work.life, work.revision)));
            if let Some(report) = node.outbox {
                self.revisions.push((report.life, report.revision));
                self.revisions.push((report.life, report.oldest_guard));
            }
        }
        self.collect_held(life, &world.presence);
    }

    fn collect_held(&mut self, life: u8, presence: &[Presence]) {
        let held = presence.iter().filter_map(|one| one.held);
        self.revisions.extend(held.flat_map(|(held, oldest)| [(life, held), (life, oldest)]));
    }

    fn collect_ring(&mut self, life: u8, ring: &Ring) {
        self.revisions.extend([(life, ring.revision), (life, ring.keyset_revision)]);
        for version in ring.versions.values() {
            self.revisions.push((life, version.revision));
            self.revisions.extend(version.accepted_since.map(|since| (life, since)));
        }
        self.revisions.extend(ring.silence_pin.map(|pin| (life, pin.since)));
    }

    fn aside(&mut self, write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let before = std::mem::take(&mut self.bytes);
        write(self);
        std::mem::replace(&mut self.bytes, before)
    }

    fn byte(&mut self, value: impl Into<u8>) {
        self.bytes.push(value.into());
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    fn relative(&mut self, moment: u64, now: u64) {
        let distance =
            i64::try_from(moment).unwrap_or(i64::MAX) - i64::try_from(now).unwrap_or(i64::MAX);
        self.byte(u8::try_from(distance.clamp(-self.far, self.far) + self.far).unwrap_or(0));
    }

    fn cluster(&mut self, moment: ClusterTime) {
        self.relative(moment.0, self.cluster);
    }

    fn maybe_cluster(&mut self, moment: Option<ClusterTime>) {
        match moment {
            None => self.byte(255),
            Some(moment) => self.cluster(moment),
        }
    }

    fn revision(&mut self, life: u8, revision: Revision) {
        let rank = self.revisions.binary_search(&(life, revision)).unwrap_or(254);
        self.byte(life);
        self.byte(u8::try_from(rank).unwrap_or(253));
    }

    fn span(&mut self, span: Span) {
        self.byte(u8::try_from(span.as_millis()).unwrap_or(u8::MAX));
    }

    fn ring(&mut self, ring: &Ring) {
        let life = super::state::life_number(&ring.incarnation.0);
        self.revision(life, ring.keyset_revision);
        let policy = &ring.policy;
        for span in [policy.longest_lifetime, policy.skew, policy.hold, policy.offline_max] {
            self.span(span);
        }
        self.byte(u8::try_from(policy.consumers.len()).unwrap_or(u8::MAX));
        self.byte(ring.paused.is_some());
        if let Some(path) = &ring.path {
            if path.direction == keywheel_core::ring::Direction::Restore {
                self.cluster(ring.created.cluster);
            }
            self.byte(u8::try_from(path.target.0).unwrap_or(u8::MAX));
            self.byte(path.stage as u8);
            self.byte(path.direction as u8);
            self.byte(path.stalled.is_some());
            if ring.policy.on_stall == keywheel_core::policy::OnStall::Rollback {
                self.cluster(path.since.cluster);
            }
        }
        self.byte(254);
        for (number, version) in &ring.versions {
            self.byte(u8::try_from(number.0).unwrap_or(u8::MAX));
            self.version(life, version);
        }
        if let Some(pin) = ring.silence_pin {
            self.span(pin.silence);
            self.revision(life, pin.since);
        }
        self.byte(253);
        self.marks(ring);
        self.byte(252);
    }

    fn marks(&mut self, ring: &Ring) {
        for waiver in &ring.waivers {
            self.bytes.extend(waiver.gate.as_str().bytes());
            self.byte(u8::try_from(waiver.version.0).unwrap_or(u8::MAX));
            let instance = waiver.instance.as_ref().map_or("", |instance| instance.as_str());
            self.bytes.extend(instance.bytes());
            self.cluster(waiver.until);
        }
        let mut bent: Vec<_> = ring
            .bent
            .iter()
            .map(|bent| [bent.law as u8, bent.version.0.to_le_bytes()[0], bent.exception as u8])
            .collect();
        bent.sort_unstable();
        bent.dedup();
        self.bytes.extend(bent.concat());
    }

    fn version(&mut self, life: u8, version: &Version) {
        self.byte(kid_number(&version.kid));
        self.revision(life, version.revision);
        match version.accepted_since {
            None => self.byte(255),
            Some(since) => self.revision(life, since),
        }
        self.byte(version.protected_since.is_some());
        let promises = version.promises;
        for span in [promises.longest_lifetime, promises.skew, promises.hold, promises.cache] {
            self.span(span);
        }
        match &version.state {
            State::Staged { .. } => self.byte(1),
            State::Published { served, .. } => {
                self.byte(2);
                self.maybe_cluster(*served);
            }
            State::Primary { predecessor, .. } => {
                self.byte(3);
                let predecessor = predecessor.map_or(0, |number| number.0);
                self.byte(u8::try_from(predecessor).unwrap_or(u8::MAX));
            }
            State::Retiring { last_switch, .. } => {
                self.byte(4);
                self.maybe_cluster(*last_switch);
            }
            State::Retired { dropped, .. } => {
                self.byte(5);
                self.byte(dropped.is_some());
                if self.destroys {
                    self.maybe_cluster(*dropped);
                }
            }
            State::Suspended { .. } => self.byte(6),
            State::Compromised { refusal: Refusal::Pending { no_later_than }, .. } => {
                self.byte(7);
                self.cluster(*no_later_than);
            }
            State::Compromised { refusal: Refusal::Since { at }, .. } => {
                self.byte(8);
                if self.destroys {
                    self.cluster(at.cluster);
                }
            }
            State::Compromised { refusal: Refusal::Moved { at }, .. } => {
                self.byte(10);
                if self.destroys {
                    self.cluster(at.cluster);
                }
            }
            State::Destroyed { .. } => self.byte(9),
        }
    }

    fn keys(&mut self, keys: Option<Keys>) {
        let Some(keys) = keys else { return self.byte(255) };
        self.revision(keys.life, keys.revision);
        self.byte(keys.primary.unwrap_or(255));
        self.word(keys.accepted);
        self.byte(u8::try_from(keys.lifetime).unwrap_or(u8::MAX));
        self.byte(u8::try_from(keys.offline_max).unwrap_or(u8::MAX));
    }

    fn server(&mut self, world: &World, index: usize, server: &Server) {
        self.byte(world.leader == Some(index));
        self.byte(server.fence == world.fence);
        self.byte(server.asleep);
        if world.setup.lagging_servers {
            self.keys(Some(server.serves));
        }
        let leads = world.leader == Some(index);
        if leads || server.asleep || world.setup.rules.has(super::flaw::Flaw::DowntimeCredited) {
            self.relative(server.mark.0, self.real);
            let wall = i64::try_from(server.mark.0).unwrap_or(0) - server.mark.1 + world.jumped;
            self.byte(u8::try_from(wall.rem_euclid(256)).unwrap_or(0));
        }
        if let Some(pending) = &server.pending {
            let fits = pending.base == world.doc.revision && pending.life == world.current.life;
            self.byte(fits);
            self.byte(pending.quorum.is_ok());
            match &pending.next {
                Next::Decided(doc) => self.ring(doc),
                Next::Read { doc, presence, settled_at } => {
                    self.byte(250);
                    self.ring(doc);
                    self.cluster(ClusterTime(*settled_at));
                    for one in presence {
                        self.presence(one);
                    }
                }
            }
        }
        self.byte(254);
    }

    fn presence(&mut self, presence: &Presence) {
        self.byte(presence.registered);
        self.byte(presence.ended);
        self.cluster(ClusterTime(presence.contact));
        self.byte(presence.volatile && self.keeps_contacts);
        match presence.held {
            None => self.byte(255),
            Some((revision, oldest)) => {
                let life = self.revisions.last().map_or(0, |(life, _)| *life);
                self.revision(life, revision);
                self.revision(life, oldest);
            }
        }
    }

    fn node(&mut self, node: &Node, presence: &Presence) {
        self.byte(match node.phase {
            Phase::Absent => 0,
            Phase::Joining => 1,
            Phase::Running => 2,
            Phase::Ended => 3,
        });
        self.presence(presence);
        if node.phase == Phase::Absent || node.phase == Phase::Ended {
            return;
        }
        self.keys(node.keys);
        self.keys(node.inbox);
        if let Some(former) = node.former {
            self.word(former.accepted);
            self.byte(former.primary.unwrap_or(255));
            self.byte(u8::try_from(former.lifetime).unwrap_or(u8::MAX));
            self.relative(former.until.unwrap_or(0), self.real);
            self.byte(former.until.is_some());
        }
        self.byte(node.left_lives);
        if self.restored {
            self.word(node.ever);
        }
        if let Some(work) = node.work {
            self.byte(work.kid);
            self.byte(u8::try_from(work.lifetime).unwrap_or(u8::MAX));
            self.revision(work.life, work.revision);
        }
        self.byte(node.cut);
        self.relative(node.heard, self.real);
        // Whoever holds what is served has known it for as long as it was heard.
        if self.restored && node.keys != Some(self.current) {
            self.relative(node.current_at.min(node.heard), self.real);
        }
        if let Some(report) = node.outbox {
            self.revision(report.life, report.revision);
            self.revision(report.life, report.oldest_guard);
        }
        self.byte(251);
    }

    fn budget(&mut self, world: &World) {
        let left = &world.budget;
        self.bytes.extend([
            left.rotate,
            left.rollback,
            left.pause,
            left.compromise,
            left.suspend,
            left.edit,
            left.waive,
            left.restore,
            left.sleep,
            left.crash,
            left.jump,
            left.cut,
            left.work,
            left.late,
            left.join,
            left.leave,
            world.minted,
        ]);
        self.word(world.pardoned);
    }
}
