//! The scenarios: each a small world, what may go wrong in it, and how often. Together they cover
//! what the issue asks of the model check; each is searched to its end.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{ConsumerName, Incarnation, InstanceId, Revision, RingName};
use keywheel_core::kind::{Kind, SigningAlgorithm};
use keywheel_core::policy::{self, Consumer, Health, OnCompromise, OnStall, Policy, Role};
use keywheel_core::rotation;
use keywheel_core::schedule::Triggers;
use keywheel_core::time::{ClusterTime, Now, Span, WallTime};

use super::flaw::Rules;
use super::operator::minted;
use super::state::{
    Budget, KIDS, Keys, Node, Passive, Phase, Presence, SERVERS, Server, Setup, World, members,
    ticks,
};

/// When every clock of the small world begins; late enough that nothing lies before zero.
const BEGIN: u64 = 100;

/// How long a waiver holds, and how long a compromised version may stay accepted.
pub(crate) const WITHIN: u64 = 2;

/// A small world and what may happen in it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is about, in words.
    pub about: &'static str,
    /// What may happen, and how often.
    pub budget: Budget,
    /// The policies that an edit may choose from; the first is in force at the start.
    pub(crate) policies: Vec<Policy>,
    /// The processes: whose, and whether they run at the start.
    pub(crate) nodes: Vec<(&'static str, bool)>,
    pub(crate) passive: bool,
    pub(crate) lagging_servers: bool,
    pub(crate) leader_lease: u64,
    pub(crate) keeps_contacts: bool,
}

/// A signing ring with one protector and two consumers that only check. Spans are a few ticks.
pub(crate) fn policy() -> Policy {
    Policy {
        kind: Kind::Signing { algorithm: SigningAlgorithm::EdDsa },
        triggers: Triggers::default(),
        longest_lifetime: ticks(1),
        skew: Span::ZERO,
        hold: Span::ZERO,
        quiet_use: Span::ZERO,
        max_accepted: 3,
        stall_after: ticks(1_000_000),
        on_stall: OnStall::Hold,
        lease_ttl: ticks(1),
        offline_max: ticks(2),
        destroy_after: None,
        on_compromise: OnCompromise::RejectFirst,
        approval: false,
        required_gates: BTreeSet::new(),
        findings_max_age: None,
        columns: BTreeMap::new(),
        health: Health { max_rejected_percent: 5, min_samples: 20 },
        passive: BTreeMap::new(),
        consumers: ["issuer", "gateway", "worker"]
            .map(|name| {
                let role = if name == "issuer" { Role::Protect } else { Role::Process };
                let min_evidence = EvidenceLevel::Attested;
                (consumer(name), Consumer { role, min_instances: 1, cutover: false, min_evidence })
            })
            .into(),
        revocations_stale_after: None,
        ledger: false,
    }
}

fn consumer(name: &str) -> ConsumerName {
    match ConsumerName::try_from(name.to_owned()) {
        Ok(name) => name,
        Err(_) => unreachable!("the scenarios use plain names"),
    }
}

impl Scenario {
    /// The world at its start: one version, held by everybody who runs.
    pub(crate) fn world(&self, rules: Rules) -> World {
        let now = Now { cluster: ClusterTime(BEGIN), wall: WallTime(100) };
        let first = self.policies.first().cloned().unwrap_or_else(policy);
        let Ok(name) = RingName::try_from("ring".to_owned()) else { unreachable!("a plain name") };
        let key = minted(&first.kind, 1);
        let ring =
            rotation::create(name, Incarnation("life1".into()), first.clone(), key, now).ring;
        let current = Keys::of(&ring.keyset());
        let server = |index: usize| Server {
            fence: u32::from(index == 0),
            asleep: false,
            pending: None,
            mark: (BEGIN, 100),
            serves: current,
        };
        let mut counts = BTreeMap::new();
        let ids = self.nodes.iter().map(|(owner, _)| {
            let count = counts.entry(*owner).or_insert(0);
            *count += 1;
            match InstanceId::try_from(format!("{owner}-{count}")) {
                Ok(id) => id,
                Err(_) => unreachable!("the scenarios use plain names"),
            }
        });
        let owners: Vec<_> = self.nodes.iter().map(|(owner, _)| consumer(owner)).collect();
        let declared = members(&owners, |owner| first.consumers.contains_key(owner));
        let protectors = members(&owners, |owner| {
            first.consumers.get(owner).is_some_and(|consumer| first.protects(consumer))
        });
        let setup = Setup {
            rules,
            policies: self.policies.clone(),
            ids: ids.collect(),
            classes: self.classes(),
            owners,
            protectors,
            memo: RefCell::default(),
            leader_lease: self.leader_lease,
            keeps_contacts: self.keeps_contacts,
            // Where contacts outlive a leader no more is allowed for than can happen.
            clock_lags: !self.keeps_contacts || self.budget.sleep > 0,
            far: self.policies.iter().map(longest_wait).max().unwrap_or(0)
                + 2
                + self.leader_lease * (1 + u64::from(self.keeps_contacts)),
            lagging_servers: self.lagging_servers,
        };
        let mut world = World {
            setup: Rc::new(setup),
            doc: Rc::new(ring),
            declared,
            current,
            cluster: BEGIN,
            fence: 1,
            leader: Some(0),
            settled_at: 0,
            real: BEGIN,
            jumped: 0,
            servers: std::array::from_fn::<_, SERVERS, _>(server),
            presence: self.nodes.iter().map(|(_, runs)| presence(*runs)).collect(),
            nodes: self.nodes.iter().map(|(_, runs)| node(*runs, current)).collect(),
            passive: self.passive.then_some(Passive { accepted: current.accepted, fetched: BEGIN }),
            lives: [0; KIDS],
            backup: None,
            pardoned: 0,
            minted: 1,
            ring_lives: 1,
            budget: self.budget,
        };
        world.settle();
        world
    }

    /// Processes that only check, each alone for its consumer, differ in name only. So do processes
    /// of one consumer.
    fn classes(&self) -> Vec<u8> {
        let number = |name: &str| self.nodes.iter().position(|(owner, _)| *owner == name);
        let class = |(owner, _): &(&str, bool)| {
            let alone = self.nodes.iter().filter(|(other, _)| other == owner).count() == 1;
            let everywhere = self.policies.iter().all(|policy| {
                let consumer = policy.consumers.get(&consumer(owner));
                consumer.is_some_and(|one| one.role == Role::Process && one.min_instances == 1)
            });
            let place = number(owner).and_then(|place| u8::try_from(place).ok()).unwrap_or(0);
            if alone && everywhere { u8::MAX } else { place }
        };
        self.nodes.iter().map(class).collect()
    }
}

/// The longest wait that a policy can ask for, except to report what takes too long.
fn longest_wait(policy: &Policy) -> u64 {
    let stall = if policy.on_stall == OnStall::Rollback { policy.stall_after } else { Span::ZERO };
    let waits = [
        policy.promises().accepted_for(),
        policy.offline_max.plus(policy.skew),
        policy.destroy_after.unwrap_or(Span::ZERO),
        policy.lease_ttl,
        ticks(WITHIN),
        stall,
    ];
    waits.into_iter().max().unwrap_or(Span::ZERO).as_millis()
}

fn presence(runs: bool) -> Presence {
    let held = runs.then_some((Revision(1), Revision(1)));
    if runs {
        Presence { registered: true, ended: false, contact: BEGIN, volatile: true, held }
    } else {
        Presence::UNKNOWN
    }
}

fn node(runs: bool, current: Keys) -> Node {
    if runs {
        Node {
            phase: Phase::Running,
            keys: Some(current),
            ever: current.accepted,
            heard: BEGIN,
            ..Node::ABSENT
        }
    } else {
        Node::ABSENT
    }
}

const THREE: [(&str, bool); 3] = [("issuer", true), ("gateway", true), ("worker", true)];

fn base(name: &'static str, about: &'static str, budget: Budget) -> Scenario {
    Scenario {
        name,
        about,
        budget,
        policies: vec![policy()],
        nodes: THREE.to_vec(),
        passive: false,
        lagging_servers: false,
        leader_lease: 1,
        keeps_contacts: false,
    }
}

const NONE: Budget = Budget {
    rotate: 0,
    rollback: 0,
    pause: 0,
    compromise: 0,
    suspend: 0,
    edit: 0,
    waive: 0,
    restore: 0,
    sleep: 0,
    crash: 0,
    jump: 0,
    cut: 0,
    work: 0,
    late: 0,
    join: 0,
    leave: 0,
};

/// The same policy, changed.
fn with(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = policy();
    change(&mut policy);
    policy
}

/// The policy for two consumers, or at full scale three.
fn few(full: bool) -> Policy {
    with(|policy| {
        if !full {
            policy.consumers.remove(&consumer("worker"));
        }
    })
}

/// Their processes.
fn hands(full: bool) -> Vec<(&'static str, bool)> {
    THREE.into_iter().take(if full { 3 } else { 2 }).collect()
}

fn and(
    mut nodes: Vec<(&'static str, bool)>,
    one: (&'static str, bool),
) -> Vec<(&'static str, bool)> {
    nodes.push(one);
    nodes
}

/// How much is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// What a test run can wait for.
    Ci,
    /// More of most things.
    Full,
}

/// Every scenario at a scale. Both scales have the same names.
pub fn scenarios(scale: Scale) -> Vec<Scenario> {
    let full = scale == Scale::Full;
    let mut all = forward(full);
    all.extend(leaders(full));
    all.extend(company(full));
    all.extend(backward(full));
    all.extend(exceptions(full));
    all.extend(restores(full));
    all
}

/// One of them by name.
pub fn scenario(scale: Scale, name: &str) -> Option<Scenario> {
    scenarios(scale).into_iter().find(|scenario| scenario.name == name)
}

/// Rotations among processes that fall silent or hold on to older work.
fn forward(full: bool) -> Vec<Scenario> {
    let more = u8::from(full);
    vec![
        base(
            "handover",
            "rotations; a process is cut off, older work outlives a swap",
            Budget { rotate: 1 + more, cut: 1, work: 1, ..NONE },
        ),
        Scenario {
            policies: vec![with(|policy| policy.offline_max = ticks(3))],
            ..base(
                "silence",
                "processes are lost for a while before they are gone",
                Budget { rotate: 1, cut: 1 + more, ..NONE },
            )
        },
        Scenario {
            policies: vec![with(|policy| {
                policy.longest_lifetime = ticks(3);
                policy.max_accepted = 4;
            })],
            ..base(
                "overlapping tails",
                "rotations whose replaced versions drain at the same time",
                Budget { rotate: 2 + more, work: 1, ..NONE },
            )
        },
        base(
            "late messages",
            "keysets and reports arrive late and out of order",
            Budget { rotate: 2, late: 1 + more, ..NONE },
        ),
        Scenario {
            policies: vec![with(|policy| {
                policy.kind = Kind::Signing { algorithm: SigningAlgorithm::Hs256 };
                policy.skew = ticks(1);
            })],
            ..base(
                "symmetric",
                "everybody who holds the key counts as a protector; clocks differ",
                Budget { rotate: 1 + more, work: 1, cut: 1, ..NONE },
            )
        },
    ]
}

/// Leaders that crash, sleep and wake late, under clocks that jump.
fn leaders(full: bool) -> Vec<Scenario> {
    let more = u8::from(full);
    let joiner = and(THREE.to_vec(), ("gateway", false));
    vec![
        Scenario {
            // A sleeping leader besides is too much for three processes.
            policies: vec![few(!full)],
            nodes: hands(!full),
            ..base(
                "takeover",
                "the leader crashes or sleeps while a process is cut off",
                Budget { rotate: 1, cut: 1, crash: 1, sleep: more, ..NONE },
            )
        },
        Scenario {
            policies: vec![few(false)],
            nodes: hands(false),
            keeps_contacts: true,
            ..base(
                "kept contacts",
                "a new leader goes on from contacts that the last one had written down",
                Budget { rotate: 1, cut: 1, crash: 1, sleep: more, ..NONE },
            )
        },
        base(
            "sleeping leader",
            "a leader stands still in the middle of a tick, while an operator rolls back",
            Budget { rotate: 1, sleep: 1, rollback: 1, ..NONE },
        ),
        Scenario {
            leader_lease: 2,
            policies: vec![few(full)],
            nodes: hands(full),
            ..base(
                "lagging clock",
                "contacts are stamped by a clock that stands behind, because the leader sleeps",
                Budget { rotate: 1, sleep: 1, cut: 1, ..NONE },
            )
        },
        Scenario {
            nodes: joiner,
            ..base(
                "stale leader",
                "a leader wakes late; a process joined or left meanwhile",
                Budget { rotate: 1, sleep: 1, join: 1, leave: more, ..NONE },
            )
        },
        Scenario {
            policies: vec![few(full)],
            nodes: and(hands(full), ("gateway", false)),
            ..base(
                "stale leader and late messages",
                "a leader wakes late, and so do keysets and reports; a process joined meanwhile",
                Budget { rotate: 1, sleep: 1, join: 1, late: 1, ..NONE },
            )
        },
        base(
            "clocks",
            "the wall clock jumps while a leader sleeps or leads",
            Budget { rotate: 1, jump: 1 + more, sleep: 1, ..NONE },
        ),
        Scenario {
            policies: vec![with(|policy| policy.longest_lifetime = ticks(6))],
            ..base(
                "downtime",
                "the wall clock jumps while nobody leads",
                Budget { rotate: 1, jump: 1, crash: 1, cut: more, ..NONE },
            )
        },
    ]
}

/// Processes that join and leave, servers that lag, consumers that cannot report.
fn company(full: bool) -> Vec<Scenario> {
    let more = u8::from(full);
    vec![
        Scenario {
            nodes: and(THREE.to_vec(), ("issuer", false)),
            lagging_servers: true,
            ..base(
                "join",
                "a protector joins at any moment, also between confirm and promote; servers lag",
                Budget { rotate: 1, join: 1, leave: more, cut: more, ..NONE },
            )
        },
        Scenario {
            nodes: vec![("issuer", true), ("gateway", false), ("worker", true)],
            ..base(
                "absent consumer",
                "a declared consumer has no process yet, or its last one leaves",
                Budget { rotate: 1 + more, join: 1, leave: 1, ..NONE },
            )
        },
        Scenario {
            policies: vec![with(|policy| {
                let slow = policy::Passive::declared(ticks(2), ticks(2));
                policy.passive = [("cache".to_owned(), slow)].into();
            })],
            passive: true,
            lagging_servers: true,
            ..base(
                "passive consumer",
                "a cache that cannot report fetches from servers that lag",
                Budget { rotate: 1, rollback: more, ..NONE },
            )
        },
    ]
}

/// Ways back, and what must stay so that there is one.
fn backward(full: bool) -> Vec<Scenario> {
    let more = u8::from(full);
    vec![
        base(
            "rollback",
            "rotations taken back at any moment",
            Budget { rotate: 1 + more, rollback: 1, cut: more, work: 1, ..NONE },
        ),
        base(
            "rollback twice",
            "rotations taken back, also to a version that had retired",
            Budget { rotate: 2, rollback: 2, ..NONE },
        ),
        Scenario {
            policies: vec![with(|policy| policy.max_accepted = 2)],
            ..base(
                "narrow",
                "only two versions may be accepted, among rollbacks and a suspension",
                Budget { rotate: 2 + more, rollback: 1, suspend: 1, ..NONE },
            )
        },
        Scenario {
            policies: vec![with(|policy| policy.destroy_after = Some(ticks(1)))],
            ..base(
                "destroy",
                "retired versions are destroyed, among rollbacks",
                Budget { rotate: 1 + more, rollback: 1, cut: more, ..NONE },
            )
        },
        Scenario {
            policies: vec![with(|policy| {
                policy.on_stall = OnStall::Rollback;
                policy.stall_after = ticks(2);
            })],
            ..base(
                "stall",
                "a stage that takes too long is taken back by itself; pauses",
                Budget { rotate: 1, pause: 1, cut: more, ..NONE },
            )
        },
    ]
}

/// Compromise, suspension, edits and waivers.
fn exceptions(full: bool) -> Vec<Scenario> {
    let more = u8::from(full);
    vec![
        base(
            "compromise",
            "any version is compromised at any moment, in both orders",
            Budget { rotate: 1, compromise: 1, rollback: 1, cut: more, ..NONE },
        ),
        base(
            "compromise twice",
            "the successor is compromised too",
            Budget { rotate: more, compromise: 2, ..NONE },
        ),
        base(
            "suspend",
            "versions are suspended and resumed among rollbacks and a compromise",
            Budget { rotate: 1, suspend: 1, rollback: 1, compromise: 1, ..NONE },
        ),
        Scenario {
            policies: vec![
                with(|policy| policy.longest_lifetime = ticks(3)),
                with(|policy| policy.offline_max = ticks(1)),
                with(|policy| policy.skew = ticks(1)),
            ],
            ..base(
                "edit",
                "the policy changes in mid-rotation and mid-drain",
                Budget { rotate: 1, edit: 1 + more, cut: 1, ..NONE },
            )
        },
        base(
            "waive",
            "gates are waived, for all or for one process",
            Budget { rotate: 1, waive: 1, cut: more, ..NONE },
        ),
    ]
}

/// Restores of an older backup, while processes run on with what the lost time gave them.
fn restores(full: bool) -> Vec<Scenario> {
    let more = u8::from(full);
    vec![
        base(
            "restore",
            "an older backup is restored at any moment of a rotation",
            Budget { rotate: 1, restore: 1, cut: more, ..NONE },
        ),
        Scenario {
            policies: vec![few(full)],
            nodes: hands(full),
            ..base(
                "restore and late messages",
                "a keyset or a report of the former life arrives in the new one",
                Budget { rotate: 1, restore: 1, late: 1, ..NONE },
            )
        },
        Scenario {
            policies: vec![few(full)],
            nodes: and(hands(full), ("gateway", false)),
            ..base(
                "restore and join",
                "a process that the backup does not know runs on",
                Budget { rotate: 1, restore: 1, join: 1, ..NONE },
            )
        },
        base(
            "restore and compromise",
            "a ring is compromised before or after a restore, rolled back, suspended",
            Budget { restore: 1, compromise: 1, rollback: 1, suspend: 1, ..NONE },
        ),
        Scenario {
            policies: vec![few(false)],
            nodes: hands(false),
            ..base(
                "restore and rotate",
                "a ring is rotated and compromised before or after a restore",
                Budget { rotate: 1, restore: 1, compromise: 1, ..NONE },
            )
        },
    ]
}
