//! The transition function is total: whatever comes in whatever state, it moves or it says why not.

use std::collections::BTreeMap;

use crate::common::{by, column, consumer_name, minted, new_ring, policy};
use keywheel_core::gate::{ColumnReport, EvidenceLevel, Verdict};
use keywheel_core::id::{GateName, Incarnation, InstanceId, Revision, VersionNumber};
use keywheel_core::kind::{EncryptionAlgorithm, Kind, SecretEncoding};
use keywheel_core::plan::plan;
use keywheel_core::policy::{OnCompromise, OnStall, Passive, Policy};
use keywheel_core::ring::Ring;
use keywheel_core::rotation::{self, Input};
use keywheel_core::schedule::{Cause, Cron, QuietHours};
use keywheel_core::time::{ClusterTime, Now, Span, WallTime};
use keywheel_core::view::{
    BlockingPlace, Counts, Held, Instance, Moment, PlaceWaiver, Scan, Server, View,
};
use proptest::prelude::*;

/// One random thing that happens: numbers that are read in the light of the ring as it then is.
#[derive(Clone, Debug)]
struct Roll {
    verb: u8,
    version: u32,
    choice: u8,
    cluster_secs: u64,
    wall_secs: i64,
    behind: [Option<u8>; 3],
    silent_secs: [u64; 3],
}

fn rolls() -> impl Strategy<Value = Vec<Roll>> {
    let roll = (
        0u8..30,
        0u32..6,
        any::<u8>(),
        prop_oneof![3 => Just(0u64), 2 => 0u64..120, 1 => 0u64..100_000],
        prop_oneof![4 => Just(0i64), 1 => -100_000i64..100_000],
        prop::array::uniform3(prop::option::weighted(
            0.9,
            prop_oneof![4 => Just(0u8), 1 => 0u8..6],
        )),
        prop::array::uniform3(prop_oneof![5 => Just(0u64), 1 => 0u64..5_000]),
    );
    let roll = roll.prop_map(|(verb, version, choice, cluster_secs, wall, behind, silent_secs)| {
        let wall_secs = i64::try_from(cluster_secs).unwrap() + wall;
        Roll { verb, version, choice, cluster_secs, wall_secs, behind, silent_secs }
    });
    prop::collection::vec(roll, 1..60)
}

fn policies() -> Vec<Policy> {
    let plain = policy();
    let mut encryption = policy();
    encryption.kind = Kind::Encryption { algorithm: EncryptionAlgorithm::Aes256Gcm };
    encryption.destroy_after = None;
    let mut strict = policy();
    strict.approval = true;
    strict.required_gates = ["probes", "findings"].map(|gate| gate.parse().unwrap()).into();
    strict.findings_max_age = Some(Span::from_secs(100));
    strict.passive =
        [("cache".to_owned(), Passive::declared(Span::from_secs(300), Span::from_secs(300)))]
            .into();
    strict.max_accepted = 2;
    strict.on_stall = OnStall::Rollback;
    let mut eager = policy();
    eager.kind = Kind::Secret { length: 32, encoding: SecretEncoding::Hex };
    eager.triggers.rotate_every = Some(Span::from_secs(5_000));
    eager.triggers.cron = Some(Cron::new("0 3 * * *", "Europe/Berlin").unwrap());
    eager.triggers.max_uses = Some(3);
    eager.triggers.on_event = ["login".to_owned()].into();
    eager.triggers.quiet_hours = Some(QuietHours::new("22:00-06:00", "UTC").unwrap());
    eager.on_compromise = OnCompromise::RejectFirst;
    let mut lonely = policy();
    lonely.consumers.remove(&consumer_name("gateway"));
    lonely.offline_max = Span::from_secs(60);
    let mut columns = encryption.clone();
    columns.columns = [column("orders.card"), column("users.ssn")].into();
    vec![plain, encryption, strict, eager, lonely, columns]
}

fn view(ring: &Ring, now: Now, roll: &Roll) -> View {
    let names = ["issuer", "issuer", "gateway"];
    let mut instances = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let held = roll.behind[index].map(|behind| {
            let revision = Revision(ring.keyset_revision.0.saturating_sub(behind.into()));
            let oldest_guard = Revision(revision.0.saturating_sub(u64::from(roll.choice % 5 == 4)));
            Held { revision, oldest_guard, level: EvidenceLevel::Held }
        });
        let moment = Moment { cluster: now.cluster, wall: now.wall };
        let counts = Counts {
            processed: roll.choice.into(),
            rejected: u64::from(roll.choice > 250) * 1_000,
            unknown: u64::from(roll.choice % 23 == 22) * 1_000,
            last_processed: (roll.choice.is_multiple_of(7)).then_some(moment),
        };
        instances.push(Instance {
            id: InstanceId::try_from(format!("{name}-{index}")).unwrap(),
            consumer: consumer_name(name),
            process: String::new(),
            last_contact: ClusterTime(
                now.cluster.0.saturating_sub(roll.silent_secs[index] * 1_000),
            ),
            heard_later: Span::from_secs((roll.choice % 3).into()),
            ended: roll.choice % 31 == 30,
            endures: roll.choice % 13 == 12,
            held,
            trouble: (roll.choice % 17 == 16).then(|| "a trouble".into()),
            counts: BTreeMap::from([(VersionNumber(roll.version), counts)]),
        });
    }
    let serves = Revision(ring.keyset_revision.0.saturating_sub(u64::from(roll.choice % 6 == 5)));
    View {
        instances,
        servers: vec![Server { id: "s".into(), serves }],
        settled_at: ClusterTime(now.cluster.0 + u64::from(roll.choice % 9 == 8) * 30_000),
        uses: u64::from(roll.choice % 5),
        last_use: (roll.choice.is_multiple_of(4)).then_some(now.wall),
        scans: scans(now, roll.choice),
        digest: "digest".into(),
    }
}

/// None, or one that is clean, or has a place with or without a waiver.
fn scans(now: Now, choice: u8) -> Vec<Scan> {
    let until = now.cluster.after(Span::from_secs(5));
    let waiver = (choice % 8 > 5).then(|| PlaceWaiver { by: by(), until });
    let place = BlockingPlace { place: "app.py:1".into(), waiver };
    let scan = Scan {
        name: "shop".parse().unwrap(),
        at: Moment { cluster: now.cluster, wall: now.wall },
        blocking: if choice.is_multiple_of(8) { Vec::new() } else { vec![place] },
        more: usize::from(choice % 8 == 1),
    };
    if (4..=5).contains(&(choice % 8)) { Vec::new() } else { vec![scan] }
}

fn input(ring: &Ring, now: Now, roll: &Roll) -> Input {
    let view = view(ring, now, roll);
    let version = VersionNumber(roll.version);
    let fresh = minted(&ring.policy.kind, ring.next_number().0);
    let gates =
        ["instances", "protectors", "expiry", "drop", "probes", "capacity", "health", "findings"];
    let gate: GateName = gates[usize::from(roll.choice) % gates.len()].parse().unwrap();
    let verdicts = [Verdict::Pass, Verdict::Fail { why: "no".into() }];
    match roll.verb {
        9 => Input::Rotate { cause: Cause::Interval, minted: fresh },
        10 => Input::Promote { view },
        11 => Input::Approve { by: by() },
        12 => Input::Rollback { by: by() },
        13 => Input::Pause { by: by() },
        14 => Input::Resume,
        15 => Input::Suspend { version, by: by() },
        16 => Input::ResumeVersion { version },
        17 => Input::Compromise { version, by: by(), order: None, fresh, view },
        18 => Input::Destroy { version, view },
        19 => Input::Waive {
            gate,
            version: (roll.choice.is_multiple_of(2)).then_some(version),
            instance: view
                .instances
                .first()
                .filter(|_| roll.choice.is_multiple_of(3))
                .map(|i| i.id.clone()),
            by: by(),
            lasts: Span::from_secs(roll.choice.into()),
            view,
        },
        20 => Input::Evidence {
            gate: if roll.choice.is_multiple_of(2) {
                "reencryption".parse().unwrap()
            } else {
                gate
            },
            version: (roll.choice.is_multiple_of(3)).then_some(version),
            verdict: verdicts[usize::from(roll.choice) % 2].clone(),
            level: EvidenceLevel::Probed,
            by: "scanner".into(),
        },
        21 => Input::Event { name: "login".into() },
        22 => {
            let policies = policies();
            let mut policy = policies[usize::from(roll.choice) % policies.len()].clone();
            if !roll.choice.is_multiple_of(3) {
                policy.kind = ring.policy.kind.clone();
            }
            let removing = (roll.choice.is_multiple_of(2)).then(by);
            Input::Edit { policy: Box::new(policy), removing, view }
        }
        23 => Input::Restore {
            incarnation: Incarnation(format!("life{}", ring.revision.0)),
            by: by(),
        },
        24 if roll.choice.is_multiple_of(8) => {
            Input::Delete { by: by(), lose_data: roll.choice.is_multiple_of(16), view }
        }
        25 => Input::EndInstance {
            instance: view.instances[usize::from(roll.choice) % 3].id.clone(),
            by: by(),
            view,
        },
        26..=28 => column_input(ring, roll),
        _ => Input::Tick { view },
    }
}

/// A report that is believed as often as not.
fn column_input(ring: &Ring, roll: &Roll) -> Input {
    let choice = u64::from(roll.choice);
    let retiring = ring.versions.iter().find(|(_, one)| one.switched.is_some());
    let version = retiring.map_or(VersionNumber(roll.version), |(number, _)| *number);
    let ago = if choice.is_multiple_of(5) { choice } else { 0 };
    let columns = ["orders.card", "users.ssn", "orders.card", "users.ssn", "nobody.knows"];
    let incarnation =
        if choice % 17 == 16 { Incarnation("?".into()) } else { ring.incarnation.clone() };
    Input::Column {
        column: columns[usize::from(roll.choice) % columns.len()].parse().unwrap(),
        incarnation,
        report: ColumnReport {
            version: if choice % 7 == 6 { VersionNumber(roll.version) } else { version },
            seen: Revision(ring.revision.0.saturating_sub(ago) + u64::from(choice % 19 == 18)),
            left: u64::from(choice % 4 == 3),
            moved: choice,
            quarantined: u64::from(choice % 11 == 10),
            rows: choice,
            verified: choice % 6 != 5,
        },
        worker: (choice % 3 == 2)
            .then(|| consumer_name(if choice % 2 == 0 { "issuer" } else { "gateway" })),
        by: "mover".into(),
    }
}

fn advance(now: Now, roll: &Roll) -> Now {
    Now {
        cluster: now.cluster.after(Span::from_secs(roll.cluster_secs)),
        wall: WallTime(now.wall.0 + roll.wall_secs * 1_000),
    }
}

/// Feeds random inputs to a ring, and hands every state on the way to the test.
fn run(
    policy: usize,
    rolls: &[Roll],
    mut each: impl FnMut(&Ring, &View, Now) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut ring = new_ring(policies()[policy].clone());
    let mut now = crate::common::at(1_000_000);
    for roll in rolls {
        now = advance(now, roll);
        let input = input(&ring, now, roll);
        match rotation::step(&ring, input.clone(), now) {
            Err(refused) => {
                prop_assert!(!refused.cause.is_empty() && !refused.remedy.is_empty());
                prop_assert_eq!(refused.input, input.name());
            }
            Ok(step) => {
                prop_assert_eq!(step.ring.check(), Ok(()));
                prop_assert!(step.ring.keyset_revision <= step.ring.revision);
                if step.ring.revision == ring.revision {
                    prop_assert_eq!(&step.ring, &ring, "changed without a new revision");
                } else {
                    prop_assert_eq!(step.ring.revision, ring.revision.next());
                }
                let mut keyset = step.ring.keyset();
                let changed = keyset.revision != ring.keyset_revision;
                keyset.revision = ring.keyset_revision;
                prop_assert_eq!(changed, keyset != ring.keyset(), "revision of the keyset");
                prop_assert!(ring.versions.keys().all(|n| step.ring.versions.contains_key(n)));
                ring = step.ring;
            }
        }
        each(&ring, &view(&ring, now, roll), now)?;
    }
    Ok(())
}

fn settle(mut ring: Ring, view: &View, now: Now) -> Result<Ring, TestCaseError> {
    for _ in 0..40 {
        let tick = Input::Tick { view: view.clone() };
        let next = rotation::step(&ring, tick, now).unwrap().ring;
        if next == ring {
            return Ok(ring);
        }
        ring = next;
    }
    Err(TestCaseError::fail("a ring that never comes to rest at one moment"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_input_moves_or_is_refused(policy in 0usize..6, rolls in rolls()) {
        run(policy, &rolls, |_, _, _| Ok(()))?;
    }

    #[test]
    fn documents_survive_their_way_through_the_store(policy in 0usize..6, rolls in rolls()) {
        run(policy, &rolls, |ring, _, _| {
            let text = serde_json::to_string(ring).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Ring>(&text).unwrap(), ring);
            Ok(())
        })?;
    }

    #[test]
    fn what_is_shown_never_fails(policy in 0usize..6, rolls in rolls()) {
        run(policy, &rolls, |ring, view, now| {
            for (_, _, gates) in rotation::gates(ring, view, now) {
                for gate in gates {
                    prop_assert!(!gate.name.is_empty());
                }
            }
            let foretold = plan(ring, view, now);
            prop_assert_eq!(foretold.stages.len(), 7);
            Ok(())
        })?;
    }

    /// The engine sleeps until the moment that `wake` names; nothing may happen by time alone
    /// before.
    #[test]
    fn nobody_oversleeps(policy in 0usize..6, rolls in rolls(), part in 0u64..1_000) {
        run(policy, &rolls, |ring, view, now| {
            let ring = settle(ring.clone(), view, now)?;
            let wake = rotation::wake(&ring, view, now);
            if wake.soon {
                return Ok(());
            }
            let cluster = wake.cluster.map_or(1_000_000, |at| at.since(now.cluster).as_millis());
            let wall = wake.wall.map_or(1_000_000_000, |at| at.since(now.wall).as_millis());
            let slept = Span::from_millis(cluster.min(wall).saturating_sub(1) * part / 1_000);
            let later = Now { cluster: now.cluster.after(slept), wall: now.wall.after(slept) };
            if cluster == 0 || wall == 0 {
                return Ok(());
            }
            let step = rotation::step(&ring, Input::Tick { view: view.clone() }, later).unwrap();
            prop_assert_eq!(&step.ring, &ring, "slept {}, {:?}", slept, wake);
            prop_assert_eq!(step.effects, vec![]);
            Ok(())
        })?;
    }
}
