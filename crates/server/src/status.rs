//! From what the engine shows to what travels: names, times and words, and nothing decided.

use std::collections::BTreeMap;

use keywheel_api::column::{ColumnStatus, ReportedColumn};
use keywheel_api::ring::{
    BentLaw, ConsumerStatus, Counts, ExposureStatus, GateStatus, InstanceStatus, Laggard, Mark,
    PathStatus, RevocationCount, RingStatus, StageGates, VersionStatus,
};
use keywheel_core::gate::{self, Gate};
use keywheel_core::id::{ConsumerName, InstanceId, VersionNumber};
use keywheel_core::kind::{EncryptionAlgorithm, Kind, SecretEncoding};
use keywheel_core::policy::Role;
use keywheel_core::ring::{Attribution, Direction, Exception, Law, Origin, Ring, State, Version};
use keywheel_core::schedule::Cause;
use keywheel_core::time::{Span, WallTime};
use keywheel_core::view::{BlockingPlace, Instance, Standing};
use keywheel_engine::{InstanceInfo, Snapshot};

/// How a ring stands, for a caller who may see all of it.
pub(crate) fn ring_status(snapshot: &Snapshot) -> RingStatus {
    let ring = &snapshot.ring;
    RingStatus {
        name: ring.name.to_string(),
        kind: snapshot.spec.kind.clone(),
        incarnation: ring.incarnation.to_string(),
        revision: ring.revision.0,
        keyset_revision: ring.keyset_revision.0,
        stage: ring.path.as_ref().map_or("rest", |path| path.stage.name()).into(),
        path: ring.path.as_ref().map(|path| PathStatus {
            version: path.target.0,
            direction: direction(path.direction).into(),
            cause: cause(&path.cause),
            since: path.since.wall.to_string(),
            stalled: path.stalled.is_some(),
            approved: path.approved.as_ref().map(|by| mark(by, None)),
        }),
        primary: ring.primary().map(|number| number.0),
        versions: ring
            .versions
            .iter()
            .map(|(number, one)| {
                let mut shown = version(*number, one);
                if matches!(one.state, State::Compromised { .. }) {
                    shown.exposure.extend(server_exposure(*number, snapshot));
                }
                shown
            })
            .collect(),
        gates: stage_gates(snapshot),
        consumers: consumers(snapshot),
        next_rotation: snapshot.scheduled.as_ref().map(|(at, _)| at.to_string()),
        overdue: is_overdue(snapshot),
        paused: ring.paused.as_ref().map(|paused| mark(&paused.by, Some(paused.since.wall))),
        revocations: snapshot
            .revocations
            .map(|count| RevocationCount { kept: count.kept, newest: count.newest }),
        deleted: ring.deleted.map(|at| at.wall.to_string()),
        columns: columns(ring),
        bent: ring
            .bent
            .iter()
            .map(|bent| BentLaw {
                law: law(bent.law).into(),
                version: bent.version.0,
                exception: exception(bent.exception).into(),
                by: mark(&bent.by, Some(bent.at.wall)),
            })
            .collect(),
        policy: snapshot.spec.clone(),
    }
}

/// Takes out what a consumer must not see: the processes of others.
pub(crate) fn for_consumer(mut status: RingStatus, own: &ConsumerName) -> RingStatus {
    let own = own.as_str();
    for consumer in status.consumers.iter_mut().filter(|consumer| consumer.name != own) {
        consumer.instances.clear();
    }
    for gate in status.gates.iter_mut().flat_map(|stage| &mut stage.gates) {
        gate.missing.retain(|laggard| laggard.consumer == own);
    }
    for version in &mut status.versions {
        version.exposure.retain(|exposure| exposure.consumer == own);
    }
    status
}

/// Takes out where in the code a key stands; that the gate is closed may be known.
pub(crate) fn hide_places(status: &mut RingStatus) {
    for gate in status.gates.iter_mut().flat_map(|stage| &mut stage.gates) {
        if gate.name == gate::FINDINGS && gate.status == "failed" {
            gate.detail = Some("see `keywheel ring findings` with a token that may".into());
            gate.places.clear();
        }
    }
}

/// Whether the scheduled moment has passed without a rotation.
pub(crate) fn is_overdue(snapshot: &Snapshot) -> bool {
    let passed = snapshot.scheduled.as_ref().is_some_and(|(at, _)| *at <= snapshot.now.wall);
    passed && snapshot.ring.path.is_none() && snapshot.ring.deleted.is_none()
}

/// Why a rotation begins, in words.
pub(crate) fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Interval => "the interval is over".into(),
        Cause::Cron => "the schedule says so".into(),
        Cause::AgeAtUse => "the primary was used at too great an age".into(),
        Cause::Uses => "the primary was used too often".into(),
        Cause::Event { name } => format!("event {name}"),
        Cause::Operator { by, reason: None } => format!("{by} asked for it"),
        Cause::Operator { by, reason: Some(reason) } => format!("{by} asked for it: {reason}"),
        Cause::WeakImport => "the imported key is weak".into(),
        Cause::Compromise => "a version is compromised".into(),
    }
}

fn mark(by: &Attribution, at: Option<WallTime>) -> Mark {
    Mark { who: by.who.clone(), reason: by.reason.clone(), at: at.map(|at| at.to_string()) }
}

fn version(number: VersionNumber, version: &Version) -> VersionStatus {
    let exposure = match &version.state {
        State::Compromised { exposure, .. } => exposure
            .iter()
            .map(|(consumer, exposure)| ExposureStatus {
                consumer: consumer.to_string(),
                last_accepted: exposure.last_accepted.map(|at| at.to_string()),
                refused_since: exposure.refused_since.map(|at| at.to_string()),
            })
            .collect(),
        _ => Vec::new(),
    };
    VersionStatus {
        number: number.0,
        kid: version.kid.to_string(),
        state: version.state.name().into(),
        since: version.state.since().wall.to_string(),
        created: version.created.wall.to_string(),
        algorithm: algorithm(&version.kind),
        fingerprint: version.fingerprint.clone(),
        origin: match &version.origin {
            Origin::Generated => "generated".into(),
            Origin::Imported { .. } => "imported".into(),
        },
        weaknesses: version.weaknesses().to_vec(),
        exposure,
    }
}

/// What servers accepted of a compromised version by themselves.
fn server_exposure(
    number: VersionNumber,
    snapshot: &Snapshot,
) -> impl Iterator<Item = ExposureStatus> + '_ {
    snapshot.served.iter().filter_map(move |server| {
        let last = server.counts.get(&number)?.last_processed;
        Some(ExposureStatus {
            consumer: format!("server {}", server.server),
            last_accepted: last.map(|moment| moment.wall.to_string()),
            refused_since: None,
        })
    })
}

fn algorithm(kind: &Kind) -> String {
    match kind {
        Kind::Secret { length, encoding } => match encoding {
            SecretEncoding::Raw => format!("{length} bytes"),
            SecretEncoding::Hex => format!("{length} bytes, hex"),
            SecretEncoding::Base64url => format!("{length} bytes, base64url"),
            SecretEncoding::Alphabet(letters) => {
                format!("{length} of {} characters", letters.chars().count())
            }
        },
        Kind::Signing { algorithm } => {
            let name = keywheel_jose::jose_name(*algorithm);
            match algorithm.rsa_bits() {
                Some(bits) => format!("{name}, {} bits", bits.count()),
                None => name.into(),
            }
        }
        Kind::Encryption { algorithm } => match algorithm {
            EncryptionAlgorithm::Aes256Gcm => "AES-256-GCM".into(),
            EncryptionAlgorithm::ChaCha20Poly1305 => "ChaCha20-Poly1305".into(),
            EncryptionAlgorithm::Fernet => "Fernet".into(),
            EncryptionAlgorithm::Passphrase => "passphrase".into(),
        },
        Kind::External => "external".into(),
    }
}

fn stage_gates(snapshot: &Snapshot) -> Vec<StageGates> {
    let processes: BTreeMap<_, _> =
        snapshot.instances.iter().map(|info| (&info.id, process(info))).collect();
    snapshot
        .gates
        .iter()
        .map(|(version, stage, gates)| StageGates {
            version: version.0,
            stage: (*stage).into(),
            gates: gates.iter().map(|gate| gate_status(gate, snapshot, &processes)).collect(),
        })
        .collect()
}

fn gate_status(
    gate: &Gate,
    snapshot: &Snapshot,
    processes: &BTreeMap<&InstanceId, String>,
) -> GateStatus {
    let now = snapshot.now.cluster;
    let mut status = GateStatus {
        name: gate.name.clone(),
        status: String::new(),
        level: None,
        detail: None,
        remaining: None,
        missing: Vec::new(),
        places: Vec::new(),
    };
    match &gate.status {
        gate::GateStatus::Open { level } => {
            status.status = "open".into();
            status.level = Some(level.name().into());
        }
        gate::GateStatus::Waiting { on, until, missing } => {
            status.status = "waiting".into();
            status.detail = Some(on.clone());
            status.remaining = until.map(|until| until.since(now).to_string());
            status.missing = missing
                .iter()
                .map(|laggard| Laggard {
                    consumer: laggard.consumer.to_string(),
                    instance: laggard.instance.as_ref().map(ToString::to_string),
                    process: laggard.instance.as_ref().and_then(|id| processes.get(id).cloned()),
                    standing: standing(laggard.standing).into(),
                    silent_for: laggard
                        .instance
                        .is_some()
                        .then(|| silence(now.since(laggard.last_contact))),
                    why: laggard.why.clone(),
                })
                .collect();
        }
        gate::GateStatus::Failed { why } => {
            status.status = "failed".into();
            status.detail = Some(why.clone());
            if gate.name == gate::FINDINGS {
                status.places = places(snapshot);
            }
        }
        gate::GateStatus::Waived { by, until } => {
            status.status = "waived".into();
            status.detail = Some(format!("{}: {}", by.who, by.reason));
            status.remaining = Some(until.since(now).to_string());
        }
    }
    status
}

/// The places without a waiver, as far as the view has them.
fn places(snapshot: &Snapshot) -> Vec<String> {
    let now = snapshot.now.cluster;
    let mut places = Vec::new();
    for scan in &snapshot.view.scans {
        let stands =
            |place: &&BlockingPlace| place.waiver.as_ref().is_none_or(|waiver| now >= waiver.until);
        let open = scan.blocking.iter().filter(stands);
        places.extend(open.map(|place| format!("{}: {}", scan.name, place.place)));
    }
    places
}

/// Each declared column with the newest report about each version.
fn columns(ring: &Ring) -> Vec<ColumnStatus> {
    let declared = ring.policy.columns.iter();
    declared
        .map(|(name, column)| {
            let own = ring.columns.iter().filter(|record| record.column == *name);
            let mut reports: Vec<_> = own
                .map(|record| {
                    let (report, number) = (record.report, record.report.version);
                    let version = ring.versions.get(&number);
                    ReportedColumn {
                        version: number.0,
                        left: report.left,
                        moved: report.moved,
                        quarantined: report.quarantined,
                        rows: report.rows,
                        verified: report.verified,
                        seen: report.seen.0,
                        counts: version.is_some_and(|version| record.counts(version)),
                        by: record.by.clone(),
                        at: record.at.wall.to_string(),
                    }
                })
                .collect();
            reports.sort_by_key(|report| report.version);
            ColumnStatus {
                name: name.to_string(),
                table: column.table.clone(),
                column: column.column.clone(),
                format: column.format.to_string(),
                worker: column.worker.to_string(),
                reports,
            }
        })
        .collect()
}

fn consumers(snapshot: &Snapshot) -> Vec<ConsumerStatus> {
    let infos: BTreeMap<_, _> = snapshot.instances.iter().map(|info| (&info.id, info)).collect();
    let of = |name: &ConsumerName| {
        let own = snapshot.view.instances.iter().filter(|one| one.consumer == *name);
        own.filter_map(|one| instance(one, infos.get(&one.id).copied(), snapshot)).collect()
    };
    let consumers = snapshot.ring.policy.consumers.iter();
    consumers
        .map(|(name, consumer)| {
            let instances: Vec<InstanceStatus> = of(name);
            let count =
                |standing: &str| instances.iter().filter(|i| i.standing == standing).count();
            ConsumerStatus {
                name: name.to_string(),
                role: match consumer.role {
                    Role::Protect => "protect".into(),
                    Role::Process => "process".into(),
                },
                min_instances: consumer.min_instances,
                live: count("live"),
                lost: count("lost"),
                instances,
            }
        })
        .collect()
}

fn instance(
    one: &Instance,
    info: Option<&InstanceInfo>,
    snapshot: &Snapshot,
) -> Option<InstanceStatus> {
    let now = snapshot.now.cluster;
    let stands = one.standing(&snapshot.ring, now);
    if stands == Standing::Gone {
        return None;
    }
    let mut counts: BTreeMap<u32, Counts> = BTreeMap::new();
    for (number, count) in &one.counts {
        let entry = counts.entry(number.0).or_default();
        entry.processed = count.processed;
        entry.rejected = count.rejected;
        entry.unknown = count.unknown;
    }
    let accepted = one
        .counts
        .iter()
        .filter_map(|(number, count)| Some((number.0, count.last_processed?.wall.to_string())));
    let last_accepted = accepted.collect();
    for (number, uses) in info.iter().flat_map(|info| &info.uses) {
        counts.entry(number.0).or_default().protected = *uses;
    }
    Some(InstanceStatus {
        id: one.id.to_string(),
        process: info.map(process).unwrap_or_default(),
        standing: standing(stands).into(),
        silent_for: silence(now.since(one.last_contact)),
        endures: one.endures,
        holds: one.held.map(|held| held.revision.0),
        level: one.held.map(|held| held.level.name().into()),
        trouble: one.trouble.clone(),
        counts,
        last_accepted,
        unknown: info.map_or(0, |info| info.unknown),
    })
}

fn process(info: &InstanceInfo) -> String {
    format!("{}/{}", info.host, info.pid)
}

/// Milliseconds of a long silence tell nobody anything.
fn silence(span: Span) -> String {
    let shown = if span < Span::from_secs(1) { span } else { Span::from_secs(span.as_secs()) };
    shown.to_string()
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Live => "live",
        Standing::Lost => "lost",
        Standing::Gone => "gone",
    }
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Back => "back",
        Direction::Emergency => "emergency",
        Direction::Restore => "restore",
    }
}

const fn law(law: Law) -> &'static str {
    match law {
        Law::AcceptBeforeUse => "accept_before_use",
        Law::StopUseBeforeAcceptance => "stop_use_before_acceptance",
        Law::DestroyLast => "destroy_last",
    }
}

const fn exception(exception: Exception) -> &'static str {
    match exception {
        Exception::Compromise => "compromise",
        Exception::Suspend => "suspend",
        Exception::Waiver => "waiver",
        Exception::Cutover => "cutover",
        Exception::RemovedConsumer => "removed_consumer",
        Exception::EndedInstance => "ended_instance",
        Exception::Restore => "restore",
    }
}
