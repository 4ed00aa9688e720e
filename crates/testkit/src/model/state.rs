//! The state of the small world: one document in a store, three servers, a few processes, and what
//! they have protected. It holds data only; what may happen to it stands in `apply` and `operator`.

use std::cell::RefCell;
use std::rc::Rc;

use keywheel_core::id::{ConsumerName, InstanceId, Kid, Revision};
use keywheel_core::policy::Policy;
use keywheel_core::ring::{Keyset, Ring};
use keywheel_core::time::{ClusterTime, Now, Span, WallTime};

use super::flaw::Rules;
use super::memo::Memo;

/// How many servers there are.
pub(crate) const SERVERS: usize = 3;

/// How many different keys a run may mint.
pub(crate) const KIDS: usize = 16;

/// A keyset as a process holds it. Keys are known by their kid, never by the version's number: a
/// restored ring may give a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) life: u8,
    pub(crate) revision: Revision,
    pub(crate) primary: Option<u8>,
    pub(crate) accepted: u32,
    pub(crate) lifetime: u64,
    pub(crate) offline_max: u64,
}

impl Keys {
    pub(crate) fn of(keyset: &Keyset) -> Self {
        let mut accepted = 0;
        for kid in keyset.accepted.values() {
            accepted |= bit(kid_number(kid));
        }
        let primary = keyset.primary.and_then(|number| keyset.accepted.get(&number));
        Self {
            life: life_number(&keyset.incarnation.0),
            revision: keyset.revision,
            primary: primary.map(kid_number),
            accepted,
            lifetime: keyset.longest_lifetime.as_millis(),
            offline_max: keyset.offline_max.as_millis(),
        }
    }
}

/// The set that holds one kid.
pub(crate) const fn bit(kid: u8) -> u32 {
    1 << kid
}

/// The number in a kid that this world minted, such as `k3`.
pub(crate) fn kid_number(kid: &Kid) -> u8 {
    kid.0.trim_start_matches('k').parse().unwrap_or(0)
}

/// The number in an incarnation that this world drew, such as `life1`.
pub(crate) fn life_number(incarnation: &str) -> u8 {
    incarnation.trim_start_matches("life").parse().unwrap_or(0)
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not started yet.
    Absent,
    /// Registered, without keys so far.
    Joining,
    /// It serves requests.
    Running,
    /// It ended.
    Ended,
}

/// Work in progress that began under an older keyset and protects with that keyset's primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) kid: u8,
    pub(crate) lifetime: u64,
    pub(crate) life: u8,
    pub(crate) revision: Revision,
}

/// What a client keeps of a ring's former life after a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Former {
    pub(crate) accepted: u32,
    pub(crate) primary: Option<u8>,
    pub(crate) lifetime: u64,
    /// Real time after which it is forgotten; absent while the new life has no primary.
    pub(crate) until: Option<u64>,
}

/// What a process says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) life: u8,
    pub(crate) revision: Revision,
    pub(crate) oldest_guard: Revision,
}

/// One process of a consumer, as it really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) phase: Phase,
    pub(crate) keys: Option<Keys>,
    pub(crate) former: Option<Former>,
    /// Every key that it has ever accepted, as a set.
    pub(crate) ever: u32,
    /// The lives that it has left, as a set.
    pub(crate) left_lives: u8,
    pub(crate) work: Option<Work>,
    /// Whether it is cut off from every server.
    pub(crate) cut: bool,
    /// Real time of its last contact, on its own account.
    pub(crate) heard: u64,
    /// Real time at which it last knew that its keyset was the current one.
    pub(crate) current_at: u64,
    /// An answer on its way to it.
    pub(crate) inbox: Option<Keys>,
    /// A report on its way to a server.
    pub(crate) outbox: Option<Report>,
}

/// What the store knows of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Presence {
    pub(crate) registered: bool,
    pub(crate) ended: bool,
    /// The last contact, in cluster time, as the present leader has it in memory.
    pub(crate) contact: u64,
    /// Whether some of that would be lost with the leader.
    pub(crate) volatile: bool,
    /// Held revision and oldest guard of the present life.
    pub(crate) held: Option<(Revision, Revision)>,
}

impl Presence {
    pub(crate) const UNKNOWN: Self =
        Self { registered: false, ended: false, contact: 0, volatile: false, held: None };
}

/// A tick in the middle of which a server stands still.
#[derive(Clone)]
pub(crate) struct Pending {
    /// The life and revision of the document that it had read.
    pub(crate) life: u8,
    pub(crate) base: Revision,
    /// Whether each consumer had as many processes as it needs when the tick looked at them.
    pub(crate) quorum: Result<(), String>,
    pub(crate) next: Next,
}

/// How far that tick had come.
#[derive(Clone)]
pub(crate) enum Next {
    /// It had read the document and what is known of the processes.
    Read { doc: Rc<Ring>, presence: Vec<Presence>, settled_at: u64 },
    /// It had decided on the next document.
    Decided(Rc<Ring>),
}

/// One server.
#[derive(Clone)]
pub(crate) struct Server {
    /// The fence it was granted; zero when it never led or knows that it no longer does.
    pub(crate) fence: u32,
    /// Whether it stands still in the middle of a tick.
    pub(crate) asleep: bool,
    pub(crate) pending: Option<Pending>,
    /// Real time and wall time when it last moved the cluster clock.
    pub(crate) mark: (u64, i64),
    /// The keyset that it serves.
    pub(crate) serves: Keys,
}

/// A consumer that cannot report, such as a JWKS cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passive {
    pub(crate) accepted: u32,
    pub(crate) fetched: u64,
}

/// A backup of the store.
#[derive(Clone)]
pub(crate) struct Backup {
    pub(crate) doc: Rc<Ring>,
    pub(crate) presence: Vec<Presence>,
    pub(crate) cluster: u64,
}

/// How often each out of the ordinary thing may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Rotations.
    pub rotate: u8,
    /// Rollbacks by an operator.
    pub rollback: u8,
    /// Pauses, each with a resume.
    pub pause: u8,
    /// Compromises.
    pub compromise: u8,
    /// Suspensions, each with a resume.
    pub suspend: u8,
    /// Policy edits.
    pub edit: u8,
    /// Waivers.
    pub waive: u8,
    /// Restores from the backup that an operator took.
    pub restore: u8,
    /// Leaders that fall asleep between reading and committing.
    pub sleep: u8,
    /// Leaders that crash.
    pub crash: u8,
    /// Jumps of the wall clock.
    pub jump: u8,
    /// Processes that are cut off.
    pub cut: u8,
    /// Pieces of work that outlive a swap.
    pub work: u8,
    /// Messages that arrive late.
    pub late: u8,
    /// Processes that join.
    pub join: u8,
    /// Processes that say goodbye.
    pub leave: u8,
}

/// What does not change during a run.
pub(crate) struct Setup {
    pub(crate) rules: Rules,
    /// The policies that an edit chooses from; the first is the one in force at the start.
    pub(crate) policies: Vec<Policy>,
    pub(crate) owners: Vec<ConsumerName>,
    pub(crate) ids: Vec<InstanceId>,
    /// Processes of one class are interchangeable: same duties, same company.
    pub(crate) classes: Vec<u8>,
    /// The lease of a leader; the cluster clock never moves by more at once.
    pub(crate) leader_lease: u64,
    /// Whether what the store knows of contacts is at most a lease old, as with the engine.
    pub(crate) keeps_contacts: bool,
    /// Whether the recorded clock may stand behind the leader's.
    pub(crate) clock_lags: bool,
    /// Longer than any wait that the policies can ask for.
    pub(crate) far: u64,
    /// Whether servers take up a new keyset in their own time.
    pub(crate) lagging_servers: bool,
    /// Which processes may protect at all, as a set.
    pub(crate) protectors: u8,
    pub(crate) memo: RefCell<Memo>,
}

/// The whole world at one moment.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) setup: Rc<Setup>,
    pub(crate) doc: Rc<Ring>,
    /// Which processes belong to a declared consumer, as a set; follows from the document.
    pub(crate) declared: u8,
    /// What the document gives to consumers; follows from it.
    pub(crate) current: Keys,
    /// The recorded cluster clock.
    pub(crate) cluster: u64,
    /// The newest fence granted.
    pub(crate) fence: u32,
    pub(crate) leader: Option<usize>,
    /// Before this cluster time the leader has not heard of everybody.
    pub(crate) settled_at: u64,
    /// Time as it really passes; every process's own monotonic clock.
    pub(crate) real: u64,
    /// How far the wall clock has jumped.
    pub(crate) jumped: i64,
    pub(crate) servers: [Server; SERVERS],
    pub(crate) presence: Vec<Presence>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) passive: Option<Passive>,
    /// For each kid, the real time until which something that it protected may live.
    pub(crate) lives: [u64; KIDS],
    pub(crate) backup: Option<Rc<Backup>>,
    /// The kids for which an exception was recorded in a former life, as a set.
    pub(crate) pardoned: u32,
    /// How many keys were minted so far.
    pub(crate) minted: u8,
    /// How many lives the ring had.
    pub(crate) ring_lives: u8,
    pub(crate) budget: Budget,
}

impl World {
    pub(crate) fn wall(&self) -> i64 {
        i64::try_from(self.real).unwrap_or(i64::MAX).saturating_add(self.jumped)
    }

    pub(crate) fn now(&self) -> Now {
        Now { cluster: ClusterTime(self.cluster), wall: WallTime(self.wall()) }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.doc.policy
    }

    /// How long a process has been silent, on its own clock.
    pub(crate) fn silent(&self, node: &Node) -> u64 {
        self.real.saturating_sub(node.heard)
    }

    /// Whether a process still counts: it serves, belongs to a declared consumer, and has not been
    /// silent for longer than it was told.
    pub(crate) fn counts(&self, index: usize) -> bool {
        let Some(node) = self.nodes.get(index) else { return false };
        let patience = node.keys.map_or(0, |keys| keys.offline_max);
        node.phase == Phase::Running
            && self.declared & (1 << index) != 0
            && self.silent(node) <= patience.saturating_add(self.skew())
    }

    /// Whether each consumer has as many processes as its policy asks for; otherwise says whose are
    /// too few.
    pub(crate) fn quorum(&self) -> Result<(), String> {
        for (name, consumer) in &self.policy().consumers {
            let owners = self.setup.owners.iter().zip(&self.nodes);
            let there = owners.filter(|(owner, node)| {
                *owner == name && matches!(node.phase, Phase::Joining | Phase::Running)
            });
            let (there, least) = (there.count(), consumer.min_instances);
            if there < least {
                return Err(format!("{there} of {least} processes of {name}"));
            }
        }
        Ok(())
    }

    pub(crate) fn skew(&self) -> u64 {
        self.policy().skew.as_millis()
    }
}

/// The set of processes whose owner fits.
pub(crate) fn members(owners: &[ConsumerName], fits: impl Fn(&ConsumerName) -> bool) -> u8 {
    let mut set = 0;
    for (index, owner) in owners.iter().enumerate() {
        if fits(owner) {
            set |= 1 << index;
        }
    }
    set
}

/// A length of time in the ticks of this world, which are milliseconds.
pub(crate) const fn ticks(count: u64) -> Span {
    Span::from_millis(count)
}
