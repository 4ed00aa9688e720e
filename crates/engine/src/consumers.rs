//! What consumers do: register their processes, fetch what they may hold, and prove that they hold
//! it.

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{
    ConsumerName, Incarnation, InstanceId, Kid, Revision, RingName, VersionNumber,
};
use keywheel_core::kind::Kind;
use keywheel_core::policy::{Consumer, Role};
use keywheel_core::ring::{Keyset, Ring};
pub use keywheel_core::text::TROUBLE_CHARS_MAX;
use keywheel_core::text::is_printable;
use keywheel_core::time::{Now, Span};
use keywheel_core::view::Moment;
use keywheel_jose::Delivery;
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{self, AcceptedSetDigest, AcceptedVersion, Proof, Statement};
use zeroize::Zeroizing;

use crate::document::SecretText;
use crate::engine::{Contact, Engine};
use crate::error::EngineError;
use crate::presence::{HeldOf, Process};
use crate::rings::Loaded;

/// A process that wants to be known.
#[derive(Clone)]
pub struct NewInstance {
    /// Which consumer it belongs to.
    pub consumer: ConsumerName,
    /// The rings that it will use, at most [`RINGS_MAX`].
    pub rings: Vec<RingName>,
    /// Where it runs, for people; at most 64 characters.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Whether silence never means that it has stopped.
    pub endures: bool,
    /// Whose place it takes.
    pub succeeds: Option<Predecessor>,
}

/// An instance that another one takes the place of, with the secret that shows the right to it.
#[derive(Clone)]
pub struct Predecessor {
    /// Its name.
    pub instance: InstanceId,
    /// What only it knows.
    pub secret: Zeroizing<Vec<u8>>,
}

/// How many rings one process may register for.
pub const RINGS_MAX: usize = 64;

/// How many processes of one consumer a ring carries.
pub const INSTANCES_MAX: usize = 10_000;

/// A process that is known from now on.
pub struct Registration {
    /// Its name.
    pub instance: InstanceId,
    /// What only this process knows.
    pub secret: Zeroizing<Vec<u8>>,
    /// The nonce for the first report of each ring.
    pub nonces: BTreeMap<RingName, Vec<u8>>,
}

/// What a process says that it holds of one ring.
pub struct ReportInput {
    /// The ring.
    pub ring: RingName,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The keyset revision.
    pub revision: Revision,
    /// Grows with each report.
    pub sequence: u64,
    /// The nonce that the proofs were made with.
    pub nonce: Vec<u8>,
    /// The digest of the accepted set.
    pub accepted_set: AcceptedSetDigest,
    /// A proof for each accepted version; none in a renewal.
    pub proofs: BTreeMap<VersionNumber, Proof>,
    /// Protectors: the answer to the challenge with the primary.
    pub answer: Option<Vec<u8>>,
    /// How it is known that the consumer uses what is proved.
    pub evidence: EvidenceLevel,
    /// Why what was proved before does not stand any more; not beside proofs.
    pub trouble: Option<String>,
    /// The oldest keyset revision that work in progress protects with.
    pub oldest_guard: Revision,
    /// What it did with each version since the last acknowledged report.
    pub counts: BTreeMap<VersionNumber, Done>,
    /// How often it refused a kid that it does not know.
    pub unknown: u64,
    /// Which kids these were, as far as they were noted.
    pub unknown_kids: BTreeMap<String, u64>,
}

/// What a process did with one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Signed or encrypted.
    pub protected: u64,
    /// Verified, decrypted or accepted.
    pub processed: u64,
    /// Refused although it knew the version.
    pub rejected: u64,
    /// Refused because it did not know the version's kid.
    pub unknown: u64,
}

/// What was made of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportOutcome {
    /// The ring.
    pub ring: RingName,
    /// The verdict.
    pub verdict: ReportVerdict,
    /// The keyset revision that is served now.
    pub revision: Revision,
    /// Which life of the ring is served now.
    pub incarnation: Incarnation,
    /// The nonce for the next report.
    pub nonce: Vec<u8>,
    /// The number of the ring's newest revocations; nothing when they are not believed.
    pub revocations: Option<u64>,
}

/// The verdict on a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportVerdict {
    /// Every accepted version was proved.
    Proved,
    /// The process was heard; what it proved before still stands.
    Renewed,
    /// It must load again and prove.
    Stale,
    /// The proof does not hold.
    Rejected {
        /// Why.
        why: String,
    },
}

/// What one consumer may hold of a ring.
pub struct KeysetMaterial {
    /// The versions, and what they are for.
    pub keyset: Keyset,
    /// How far clocks may be apart.
    pub skew: Span,
    /// The number of its newest revocations; nothing when they are not believed.
    pub revocations: Option<u64>,
    /// For how long yet the primary is younger than the policy's `max_age_at_use`.
    pub fresh_for: Option<Span>,
    /// The versions with their keys.
    pub versions: Vec<DeliveredVersion>,
}

/// One version as a consumer may hold it.
pub struct DeliveredVersion {
    /// Its number.
    pub number: VersionNumber,
    /// Its key id.
    pub kid: Kid,
    /// What kind of key it is.
    pub kind: Kind,
    /// The proof salt, base64url.
    pub salt: String,
    /// The key, or its public half.
    pub delivery: Delivery,
}

/// What a consumer may do with the versions of a keyset, as it goes into the digest of the set.
const USAGE_PROCESS: u8 = 1;
const USAGE_PRIMARY: u8 = 2;

impl Engine {
    /// Makes a process known, durably, before it gets any key.
    ///
    /// # Errors
    /// When rings do not exist, do not declare the consumer or have too many instances of it
    /// already, or are not believed, all of which are named; or the secret of the predecessor is
    /// another one.
    pub fn register(&self, new: &NewInstance) -> Result<Registration, EngineError> {
        check_new(new)?;
        let mut rings = new.rings.clone();
        rings.sort();
        rings.dedup();
        self.check_rings(&rings, &new.consumer)?;
        let former = self.check_predecessor(new, &rings)?;
        let instance: InstanceId = self.random_name().parse().map_err(EngineError::defect)?;
        let mut secret = Zeroizing::new(vec![0u8; 32]);
        self.fill(&mut secret);
        let Contact { now, heard } = self.contact()?;
        let process = Process {
            consumer: new.consumer.clone(),
            host: new.host.clone(),
            pid: new.pid,
            secret: SecretText::encode(&secret),
            last_contact: now.cluster,
            last_contact_wall: now.wall,
            ended: false,
            sequence: 0,
            held: None,
            counts: BTreeMap::new(),
            uses: BTreeMap::new(),
            unknown: 0,
            endures: new.endures,
            given: false,
            trouble: None,
            ended_at: None,
        };
        self.presence.register(&self.records, &rings, &instance, &process, heard)?;
        if let Some(predecessor) = &new.succeeds {
            self.end_predecessor(&predecessor.instance, &former)?;
        }
        let mut nonces = BTreeMap::new();
        for ring in &rings {
            self.enlist_if_moving(ring);
            nonces.insert(ring.clone(), self.nonce(ring, &instance, 0)?);
        }
        Ok(Registration { instance, secret, nonces })
    }

    /// Names every ring that refuses the consumer, so that whoever asked can do without them.
    fn check_rings(&self, rings: &[RingName], consumer: &ConsumerName) -> Result<(), EngineError> {
        let mut refused = Vec::new();
        for name in rings {
            match self.check_ring(name, consumer) {
                Ok(()) => {}
                Err(
                    error @ (EngineError::NotFound { .. }
                    | EngineError::Forbidden { .. }
                    | EngineError::TooMany(_)
                    | EngineError::Distrusted { .. }),
                ) => refused.push((name.clone(), error)),
                Err(error) => return Err(error),
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(EngineError::Rings(refused)) }
    }

    fn check_ring(&self, name: &RingName, consumer: &ConsumerName) -> Result<(), EngineError> {
        let loaded = self.load(name)?;
        declared(&loaded.document.ring, consumer)?;
        if self.presence.count(name, consumer) >= INSTANCES_MAX {
            return Err(EngineError::TooMany(format!(
                "consumer {consumer} of ring {name} has {INSTANCES_MAX} instances already"
            )));
        }
        Ok(())
    }

    /// In which of these rings the predecessor still counts. One that is not known any more, or
    /// belongs to another consumer, is none; in the rings that the new process does not register
    /// for nobody takes its place, and it stays.
    fn check_predecessor(
        &self,
        new: &NewInstance,
        rings: &[RingName],
    ) -> Result<Vec<RingName>, EngineError> {
        let Some(predecessor) = &new.succeeds else { return Ok(Vec::new()) };
        let mut own = Vec::new();
        for ring in rings {
            let known = match self.registered(ring, &new.consumer, &predecessor.instance) {
                Ok(known) => known,
                Err(EngineError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            let secret = known.secret.decode();
            let secret =
                secret.ok_or_else(|| EngineError::defect("an instance secret is unreadable"))?;
            if verify_slices_are_equal(&secret, &predecessor.secret).is_err() {
                return Err(EngineError::Forbidden {
                    cause: format!(
                        "the secret is not the one of instance {}, whose place is to be taken",
                        predecessor.instance
                    ),
                    remedy: "Register without `succeeds`; then end the former instance with \
                             `keywheel instance end`, or wait until it is gone"
                        .into(),
                });
            }
            own.push(ring.clone());
        }
        Ok(own)
    }

    /// Ends an instance whose successor is durable. Should this fail, the successor never gets a
    /// key, and whoever asked asks again.
    fn end_predecessor(
        &self,
        instance: &InstanceId,
        rings: &[RingName],
    ) -> Result<(), EngineError> {
        for ring in rings {
            let heard = self.clock.monotonic();
            self.presence.update(ring, instance, heard, |known| known.ended = true);
            self.presence.write_now(&self.records, ring, instance)?;
            self.enlist(ring);
        }
        Ok(())
    }

    /// What a registered process may hold. The ring is read after the registration, from the store
    /// itself: whoever joins while a version is being published is told of it.
    ///
    /// # Errors
    /// When the process is not registered for the ring, or the ring is not believed.
    pub fn material(
        &self,
        ring: &RingName,
        consumer: &ConsumerName,
        instance: &InstanceId,
    ) -> Result<KeysetMaterial, EngineError> {
        let process = self.registered(ring, consumer, instance)?;
        if process.endures && !process.given {
            // From now on its silence means nothing, whichever server remembers it.
            let heard = self.clock.monotonic();
            self.presence.update(ring, instance, heard, |known| known.given = true);
            self.presence.write_now(&self.records, ring, instance)?;
        }
        let loaded = self.load(ring)?;
        let own = &loaded.document.ring;
        let role = declared(own, consumer)?.role;
        let mut versions = Vec::new();
        for (number, version) in own.accepted() {
            let material = loaded.material.get(&number);
            let stored = loaded.document.material.get(&number);
            let (Some(material), Some(stored)) = (material, stored) else {
                return Err(EngineError::defect(format!("{number} has no material")));
            };
            versions.push(DeliveredVersion {
                number,
                kid: version.kid.clone(),
                kind: version.kind.clone(),
                salt: stored.salt.clone(),
                delivery: material.delivery(role),
            });
        }
        let revocations = self.believed_revocations(ring)?;
        let primary = own.primary().and_then(|number| own.versions.get(&number));
        let fresh_for =
            own.policy.triggers.max_age_at_use.zip(primary).map(|(most, version)| {
                version.state.since().wall.after(most).since(self.now().wall)
            });
        let (keyset, skew) = (own.keyset(), own.policy.skew);
        Ok(KeysetMaterial { keyset, skew, revocations, fresh_for, versions })
    }

    /// Takes the reports of one process, in order.
    ///
    /// # Errors
    /// When the process is not registered, a trouble cannot be shown, or the store does not answer.
    pub fn report(
        &self,
        consumer: &ConsumerName,
        instance: &InstanceId,
        reports: &[ReportInput],
        goodbye: bool,
    ) -> Result<Vec<ReportOutcome>, EngineError> {
        reports.iter().try_for_each(check_report)?;
        let contact = self.contact()?;
        let mut outcomes = Vec::with_capacity(reports.len());
        for report in reports {
            outcomes.push(self.report_one(consumer, instance, report, goodbye, contact)?);
        }
        Ok(outcomes)
    }

    fn report_one(
        &self,
        consumer: &ConsumerName,
        instance: &InstanceId,
        report: &ReportInput,
        goodbye: bool,
        contact: Contact,
    ) -> Result<ReportOutcome, EngineError> {
        let ring = &report.ring;
        let process = self.registered(ring, consumer, instance)?;
        let loaded = self.load(ring)?;
        let own = &loaded.document.ring;
        let verdict = self.judge(&loaded, &process, instance, report)?;
        let news = self.presence.update(ring, instance, contact.heard, |known| {
            take_report(known, own, report, &verdict, goodbye, contact.now)
        });
        if report.trouble.is_some() && report.trouble != process.trouble {
            // A proof may be late, what takes it back may not: another server may lead.
            self.presence.write_now(&self.records, ring, instance)?;
        }
        self.presence.secure(&self.records, ring, instance, self.leash())?;
        let (sequence, news) = news.unwrap_or((process.sequence, false));
        let triggers = &own.policy.triggers;
        let by_use = triggers.max_uses.is_some() || triggers.max_age_at_use.is_some();
        if news || (by_use && report.counts.values().any(|done| done.protected > 0)) {
            self.enlist(ring);
        }
        Ok(ReportOutcome {
            ring: ring.clone(),
            verdict,
            revision: own.keyset_revision,
            incarnation: own.incarnation.clone(),
            nonce: self.nonce(ring, instance, sequence)?,
            revocations: self.believed_revocations(ring)?,
        })
    }

    /// Decides what a report shows.
    fn judge(
        &self,
        loaded: &Loaded,
        process: &Process,
        instance: &InstanceId,
        report: &ReportInput,
    ) -> Result<ReportVerdict, EngineError> {
        let ring = &loaded.document.ring;
        if report.sequence <= process.sequence {
            // A process counts on with each report, whether it heard of the last one or not.
            let why = "this sequence was used before: a replay, or a forked child that did not \
                       register for itself";
            return Ok(ReportVerdict::Rejected { why: why.into() });
        }
        let current =
            report.incarnation == ring.incarnation && report.revision == ring.keyset_revision;
        let held = process.held.as_ref();
        let proved = process.proved().is_some_and(|held| {
            held.incarnation == ring.incarnation && held.revision == ring.keyset_revision
        });
        let shown = held.filter(|held| held.incarnation == report.incarnation);
        if let Some(shown) = shown.filter(|held| report.revision < held.revision) {
            let why = format!(
                "it holds {}, but had shown {}: two processes share one identity",
                report.revision, shown.revision
            );
            return Ok(ReportVerdict::Rejected { why });
        }
        if report.trouble.is_some() {
            return Ok(ReportVerdict::Stale);
        }
        if report.proofs.is_empty() {
            let verdict =
                if current && proved { ReportVerdict::Renewed } else { ReportVerdict::Stale };
            return Ok(verdict);
        }
        let expected = self.nonce(&ring.name, instance, process.sequence)?;
        // An old nonce means that the last acknowledgement was lost.
        if !current || report.nonce != expected {
            return Ok(ReportVerdict::Stale);
        }
        let secret = process.secret.decode();
        let secret =
            secret.ok_or_else(|| EngineError::defect("an instance secret is unreadable"))?;
        Ok(match check_proofs(loaded, &secret, &process.consumer, instance, report) {
            Ok(()) => ReportVerdict::Proved,
            Err(why) => ReportVerdict::Rejected { why },
        })
    }

    fn registered(
        &self,
        ring: &RingName,
        consumer: &ConsumerName,
        instance: &InstanceId,
    ) -> Result<Process, EngineError> {
        let mut known = self.presence.process(ring, instance);
        if known.is_none() {
            self.presence.fetch(&self.records, ring, instance, self.now().cluster)?;
            known = self.presence.process(ring, instance);
        }
        // Somebody else's instance looks like none at all.
        known
            .filter(|process| process.consumer == *consumer && !process.ended)
            .ok_or_else(|| EngineError::NotFound { what: "instance", name: instance.to_string() })
    }

    /// The nonce that follows a sequence number. It is computed, not kept, so that it survives a
    /// restart and costs nothing.
    fn nonce(
        &self,
        ring: &RingName,
        instance: &InstanceId,
        sequence: u64,
    ) -> Result<Vec<u8>, EngineError> {
        let key = self.secrets.nonce.decode();
        let key = key.ok_or_else(|| EngineError::defect("cluster secrets cannot be read"))?;
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
        for part in [b"keywheel/nonce/v1", ring.as_str().as_bytes(), instance.as_str().as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.update(&sequence.to_be_bytes());
        Ok(context.sign().as_ref().to_vec())
    }
}

fn invalid(field: &str, cause: String, remedy: &str) -> EngineError {
    EngineError::Invalid { field: field.into(), cause, remedy: remedy.into() }
}

fn check_new(new: &NewInstance) -> Result<(), EngineError> {
    if new.rings.is_empty() || new.rings.len() > RINGS_MAX {
        return Err(invalid(
            "rings",
            format!("{} rings were named", new.rings.len()),
            "Name 1 to 64 rings; a process of more rings registers several times",
        ));
    }
    if new.host.chars().count() > 64 || !new.host.chars().all(is_printable) {
        return Err(invalid(
            "host",
            "it is longer than 64 characters, or not printable".into(),
            "Give the host's name",
        ));
    }
    Ok(())
}

/// What people will read is bounded and printable, or it is refused.
fn check_report(report: &ReportInput) -> Result<(), EngineError> {
    if report.evidence == EvidenceLevel::Assumed {
        return Err(invalid(
            "evidence",
            "that a time passed is no evidence of an instance".into(),
            "Use attested, held, exercised or probed",
        ));
    }
    let Some(trouble) = &report.trouble else { return Ok(()) };
    if !report.proofs.is_empty() {
        return Err(invalid(
            "trouble",
            "it stands beside proofs".into(),
            "Prove when the trouble is over",
        ));
    }
    let length = trouble.chars().count();
    if !(1..=TROUBLE_CHARS_MAX).contains(&length) || !trouble.chars().all(is_printable) {
        return Err(invalid(
            "trouble",
            format!(
                "it is empty, longer than {TROUBLE_CHARS_MAX} characters, or not printable on one \
                 line"
            ),
            "Say in one line what is wrong",
        ));
    }
    Ok(())
}

fn declared<'a>(ring: &'a Ring, consumer: &ConsumerName) -> Result<&'a Consumer, EngineError> {
    if ring.deleted.is_some() {
        return Err(EngineError::NotFound { what: "ring", name: ring.name.to_string() });
    }
    ring.policy.consumers.get(consumer).ok_or_else(|| EngineError::Forbidden {
        cause: format!("ring {} does not declare consumer {consumer}", ring.name),
        remedy: "Declare it in the ring's policy, with its role".into(),
    })
}

fn check_proofs(
    loaded: &Loaded,
    secret: &[u8],
    consumer: &ConsumerName,
    instance: &InstanceId,
    report: &ReportInput,
) -> Result<(), String> {
    let ring = &loaded.document.ring;
    let primary = ring.primary();
    let accepted: Vec<_> = ring
        .accepted()
        .map(|(number, version)| AcceptedVersion {
            version: number,
            kid: &version.kid,
            usage: if Some(number) == primary { USAGE_PRIMARY } else { USAGE_PROCESS },
        })
        .collect();
    let digest = proof::accepted_set_digest(&ring.incarnation, ring.keyset_revision, &accepted);
    if digest != report.accepted_set {
        return Err("the accepted set is another one".into());
    }
    for version in &accepted {
        let number = version.version;
        let claimed = report.proofs.get(&number).ok_or_else(|| format!("no proof of {number}"))?;
        let stored = loaded.document.material.get(&number);
        let salt = stored.and_then(|stored| URL_SAFE_NO_PAD.decode(&stored.salt).ok());
        let material = loaded.material.get(&number);
        let (Some(salt), Some(material)) = (salt, material) else {
            return Err(format!("{number} has no material here"));
        };
        let statement = Statement {
            ring: &ring.name,
            incarnation: &ring.incarnation,
            revision: ring.keyset_revision,
            accepted_set: &digest,
            version: number,
            instance,
            sequence: report.sequence,
            nonce: &report.nonce,
            instance_secret: secret,
        };
        if !proof::check(&material.proof_secret(), &salt, &statement, claimed) {
            return Err(format!("the proof of {number} does not hold"));
        }
    }
    check_answer(loaded, consumer, instance, report, primary)
}

/// A declared protector shows that it protects with the primary, not only that it has it.
fn check_answer(
    loaded: &Loaded,
    consumer: &ConsumerName,
    instance: &InstanceId,
    report: &ReportInput,
    primary: Option<VersionNumber>,
) -> Result<(), String> {
    let ring = &loaded.document.ring;
    let role = ring.policy.consumers.get(consumer).map(|consumer| consumer.role);
    let (Some(Role::Protect), Some(primary)) = (role, primary) else { return Ok(()) };
    let answer = report.answer.as_ref().ok_or("a protector must answer the challenge")?;
    let material = loaded.material.get(&primary).ok_or("the primary has no material here")?;
    let challenge = Challenge {
        ring: &ring.name,
        incarnation: &ring.incarnation,
        revision: ring.keyset_revision,
        version: primary,
        instance,
        nonce: &report.nonce,
    };
    challenge.check(material, answer).map_err(|_| format!("the answer is not made with {primary}"))
}

/// What was done with the versions that there are, kids that a process did not know included: the
/// ring knows which of its versions these are.
fn done_with(ring: &Ring, report: &ReportInput) -> BTreeMap<VersionNumber, Done> {
    let counts = report.counts.iter().filter(|(number, _)| ring.versions.contains_key(number));
    let mut all: BTreeMap<_, _> = counts.map(|(number, done)| (*number, *done)).collect();
    let mut left = report.unknown;
    for (kid, times) in &report.unknown_kids {
        let times = (*times).min(left);
        if let Some(number) = ring.number_of(kid) {
            let done = all.entry(number).or_default();
            done.unknown = done.unknown.saturating_add(times);
            left = left.saturating_sub(times);
        }
    }
    all
}

/// How often a kid was refused that no version of the ring ever had, or that was not noted.
fn foreign(ring: &Ring, report: &ReportInput) -> u64 {
    let own = report.unknown_kids.iter().filter(|(kid, _)| ring.number_of(kid).is_some());
    own.fold(report.unknown, |left, (_, times)| left.saturating_sub(*times))
}

/// Notes what a report said. Returns the sequence that counts now, and whether there are news that
/// could move the ring.
fn take_report(
    known: &mut Process,
    ring: &Ring,
    report: &ReportInput,
    verdict: &ReportVerdict,
    goodbye: bool,
    now: Now,
) -> (u64, bool) {
    if matches!(verdict, ReportVerdict::Rejected { .. }) {
        // Whoever cannot prove is not heard either: it may be a child with its parent's name.
        return (known.sequence, false);
    }
    known.last_contact = known.last_contact.max(now.cluster);
    known.last_contact_wall = now.wall;
    known.given |= known.endures;
    let mut news = goodbye;
    known.ended |= goodbye;
    if report.sequence > known.sequence {
        let moment = Moment { cluster: now.cluster, wall: now.wall };
        for (number, done) in done_with(ring, report) {
            known.count(number, done, moment);
            // Somebody has to look whether this is more than before.
            let refused = done.rejected > 0 || done.unknown > 0;
            news |= refused && ring.watched(now.cluster) == Some(number);
        }
        known.unknown = known.unknown.saturating_add(foreign(ring, report));
        known.sequence = report.sequence;
    }
    if let Some(trouble) = &report.trouble {
        news |= known.trouble.is_none();
        known.trouble = Some(trouble.clone());
    }
    match verdict {
        ReportVerdict::Proved => {
            let held = HeldOf {
                incarnation: report.incarnation.clone(),
                revision: report.revision,
                oldest_guard: report.oldest_guard.min(report.revision),
                level: report.evidence,
            };
            news |= known.proved() != Some(&held);
            known.held = Some(held);
            known.trouble = None;
        }
        ReportVerdict::Renewed => {
            if let Some(held) = &mut known.held {
                let oldest = report.oldest_guard.min(report.revision);
                news |= held.oldest_guard != oldest;
                held.oldest_guard = oldest;
            }
        }
        ReportVerdict::Stale | ReportVerdict::Rejected { .. } => {}
    }
    (known.sequence, news)
}
