//! What the tests of the core share: small policies, rings, views, and a driver that brings a ring
//! into any state.

use std::collections::{BTreeMap, BTreeSet};

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{
    ColumnName, ConsumerName, Incarnation, InstanceId, Kid, Revision, VersionNumber,
};
use keywheel_core::kind::{Kind, SigningAlgorithm};
use keywheel_core::policy::{
    Column, ColumnFormat, Consumer, Health, OnCompromise, OnStall, Policy, Role,
};
use keywheel_core::ring::{Attribution, Origin, Ring};
use keywheel_core::rotation::{self, Input, Minted, Refused, Step};
use keywheel_core::schedule::{Cause, Triggers};
use keywheel_core::time::{ClusterTime, Now, Span, WallTime};
use keywheel_core::view::{Held, Instance, View};

/// One consumer of each role; short, different spans.
pub(crate) fn policy() -> Policy {
    let min_evidence = EvidenceLevel::Attested;
    let consumer = |role| Consumer { role, min_instances: 1, cutover: false, min_evidence };
    Policy {
        kind: Kind::Signing { algorithm: SigningAlgorithm::EdDsa },
        triggers: Triggers::default(),
        longest_lifetime: Span::from_secs(600),
        skew: Span::from_secs(10),
        hold: Span::ZERO,
        quiet_use: Span::from_secs(10),
        max_accepted: 5,
        stall_after: Span::from_secs(1_800),
        on_stall: OnStall::Hold,
        lease_ttl: Span::from_secs(30),
        offline_max: Span::from_secs(3_600),
        destroy_after: Some(Span::from_secs(86_400)),
        on_compromise: OnCompromise::SwitchFirst { within: Span::from_secs(60) },
        approval: false,
        required_gates: BTreeSet::new(),
        findings_max_age: None,
        health: Health { max_rejected_percent: 5, min_samples: 20 },
        passive: BTreeMap::new(),
        consumers: BTreeMap::from([
            (consumer_name("issuer"), consumer(Role::Protect)),
            (consumer_name("gateway"), consumer(Role::Process)),
        ]),
        revocations_stale_after: None,
        ledger: false,
        columns: BTreeMap::new(),
    }
}

pub(crate) fn consumer_name(name: &str) -> ConsumerName {
    name.parse().unwrap()
}

/// A column that `gateway` moves.
pub(crate) fn column(name: &str) -> (ColumnName, Column) {
    let (table, column) = name.split_once('.').unwrap();
    let column = Column {
        table: table.into(),
        column: column.into(),
        format: ColumnFormat::Pgp,
        worker: consumer_name("gateway"),
    };
    (name.parse().unwrap(), column)
}

pub(crate) fn by() -> Attribution {
    Attribution { who: "alice".into(), reason: "a test".into() }
}

pub(crate) fn minted(kind: &Kind, number: u32) -> Minted {
    Minted {
        kid: Kid(format!("k{number}")),
        kind: kind.clone(),
        fingerprint: format!("f{number}"),
        origin: Origin::Generated,
        recovery_tested: true,
    }
}

pub(crate) fn at(secs: u64) -> Now {
    let millis = secs * 1_000;
    Now {
        cluster: ClusterTime(millis),
        wall: WallTime(1_700_000_000_000 + i64::try_from(millis).unwrap()),
    }
}

pub(crate) fn new_ring(policy: Policy) -> Ring {
    let first = minted(&policy.kind, 1);
    let name = "ring".parse().unwrap();
    rotation::create(name, Incarnation("one".into()), policy, first, at(1_000)).ring
}

/// A ring among processes that all keep up, at a time that the test moves.
pub(crate) struct Driver {
    pub(crate) ring: Ring,
    pub(crate) now: Now,
    pub(crate) next_key: u32,
}

impl Driver {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { ring: new_ring(policy), now: at(1_000), next_key: 2 }
    }

    /// Everybody is live and holds the present keyset.
    pub(crate) fn view(&self) -> View {
        let held = Held {
            revision: self.ring.keyset_revision,
            oldest_guard: self.ring.keyset_revision,
            level: EvidenceLevel::Held,
        };
        let instances = self.ring.policy.consumers.keys().map(|consumer| Instance {
            id: InstanceId::try_from(format!("{consumer}-1")).unwrap(),
            consumer: consumer.clone(),
            last_contact: self.now.cluster,
            process: format!("{consumer}-1/7"),
            heard_later: Span::ZERO,
            ended: false,
            endures: false,
            held: Some(held),
            trouble: None,
            counts: BTreeMap::new(),
        });
        View { instances: instances.collect(), ..View::default() }
    }

    /// Nobody has heard of the newest keyset yet.
    pub(crate) fn stale_view(&self) -> View {
        let mut view = self.view();
        for instance in &mut view.instances {
            instance.held = Some(Held {
                revision: Revision(0),
                oldest_guard: Revision(0),
                level: EvidenceLevel::Held,
            });
        }
        view
    }

    pub(crate) fn fresh(&mut self) -> Minted {
        self.next_key += 1;
        minted(&self.ring.policy.kind, self.next_key - 1)
    }

    pub(crate) fn ask(&self, input: Input) -> Result<Step, Refused> {
        rotation::step(&self.ring, input, self.now)
    }

    #[track_caller]
    pub(crate) fn go(&mut self, input: Input) -> &mut Self {
        self.ring = self.ask(input).unwrap().ring;
        self.ring.check().unwrap();
        self
    }

    pub(crate) fn tick(&mut self) -> &mut Self {
        let view = self.view();
        self.go(Input::Tick { view })
    }

    pub(crate) fn wait(&mut self, secs: u64) -> &mut Self {
        self.now.cluster = self.now.cluster.after(Span::from_secs(secs));
        self.now.wall = self.now.wall.after(Span::from_secs(secs));
        self
    }

    pub(crate) fn rotate(&mut self) -> &mut Self {
        let minted = self.fresh();
        self.go(Input::Rotate {
            cause: Cause::Operator { by: "alice".into(), reason: None },
            minted,
        })
    }

    /// Brings the present path to its end.
    pub(crate) fn finish(&mut self) -> &mut Self {
        for _ in 0..8 {
            self.tick();
        }
        assert_eq!(self.ring.path, None);
        self
    }

    pub(crate) fn state(&self, number: u32) -> &'static str {
        self.ring.versions[&VersionNumber(number)].state.name()
    }
}
