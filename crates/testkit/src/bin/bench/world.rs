//! What several benches need: an engine in a folder of its own, rings in great number, and a
//! process that proves as the client library does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{ConsumerName, InstanceId, RingName};
use keywheel_core::policy::Spec;
use keywheel_core::time::Span;
use keywheel_engine::ports::{Clock, Commit, Expect, HighWater, Store, Stored, Write};
use keywheel_engine::{
    Context, Engine, KeysetMaterial, NewInstance, Parts, ReportInput, ReportOutcome,
};
use keywheel_jose::Holder;
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{self, AcceptedVersion, Statement};
use keywheel_store::kek::FileKek;
use keywheel_store::{Sealer, SystemEntropy};
use zeroize::Zeroizing;

use crate::Fallible;
use crate::counting::Counting;

/// The lease of every server of the benches: the default of `keywheel serve`.
pub(crate) const LEASE_TTL: Span = Span::from_secs(10);

/// Who does everything.
pub(crate) fn context() -> Context {
    Context { actor: "bench".into(), ..Context::default() }
}

/// A sealer whose master key stands in this folder.
pub(crate) fn sealer(folder: &Path) -> Fallible<Arc<Sealer>> {
    let entropy = Arc::new(SystemEntropy);
    let kek = FileKek::open_or_create(&folder.join("master.key"), entropy.clone())?;
    Ok(Arc::new(Sealer::new(Arc::new(kek), entropy)))
}

/// Opens an engine. It is not driven yet.
pub(crate) fn engine(
    store: Arc<Counting>,
    seal: Arc<Sealer>,
    high_water: Arc<dyn HighWater>,
    clock: Arc<dyn Clock>,
) -> Fallible<Engine> {
    Ok(Engine::open(Parts {
        store,
        seal,
        high_water,
        clock,
        entropy: Arc::new(SystemEntropy),
        server: "bench".into(),
        lease_ttl: LEASE_TTL,
        keep_notices: false,
    })?)
}

/// A policy from JSON.
pub(crate) fn spec(value: serde_json::Value) -> Fallible<Spec> {
    Ok(serde_json::from_value(value)?)
}

/// Copies everything from one store to another.
pub(crate) fn copy(from: &dyn Store, to: &dyn Store) -> Fallible<()> {
    let mut after = None;
    loop {
        let page = from.list("", after.as_ref(), 2_000)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(last.clone());
        let write = |(key, stored): (_, Stored)| Write {
            key,
            expect: Expect::Absent,
            value: Some(stored.value),
        };
        let writes = page.into_iter().map(write).collect();
        to.commit(&Commit { fence: None, writes })?;
    }
}

/// A process that holds a ring and proves it, without a network in between.
pub(crate) struct Worker {
    ring: RingName,
    consumer: ConsumerName,
    instance: InstanceId,
    secret: Zeroizing<Vec<u8>>,
    nonce: Vec<u8>,
    sequence: u64,
}

impl Worker {
    pub(crate) fn join(engine: &Engine, ring: &RingName, consumer: &str) -> Fallible<Self> {
        let consumer: ConsumerName = consumer.parse()?;
        let new = NewInstance {
            consumer: consumer.clone(),
            rings: vec![ring.clone()],
            host: "bench".into(),
            pid: 1,
            endures: false,
            succeeds: None,
        };
        let registration = engine.register(&new)?;
        let nonce = registration.nonces.get(ring).cloned().unwrap_or_default();
        Ok(Self {
            ring: ring.clone(),
            consumer,
            instance: registration.instance,
            secret: registration.secret,
            nonce,
            sequence: 0,
        })
    }

    pub(crate) fn load(&self, engine: &Engine) -> Fallible<KeysetMaterial> {
        Ok(engine.material(&self.ring, &self.consumer, &self.instance)?)
    }

    /// The next report, with a proof of every version that is held.
    pub(crate) fn report(&mut self, held: &KeysetMaterial) -> Fallible<ReportInput> {
        self.sequence += 1;
        let keyset = &held.keyset;
        let accepted: Vec<_> = held
            .versions
            .iter()
            .map(|version| AcceptedVersion {
                version: version.number,
                kid: &version.kid,
                usage: if Some(version.number) == keyset.primary { 2 } else { 1 },
            })
            .collect();
        let digest = proof::accepted_set_digest(&keyset.incarnation, keyset.revision, &accepted);
        let mut proofs = BTreeMap::new();
        let mut answer = None;
        for version in &held.versions {
            let holder = Holder::from_delivery(&version.kind, &version.delivery)?;
            let statement = Statement {
                ring: &self.ring,
                incarnation: &keyset.incarnation,
                revision: keyset.revision,
                accepted_set: &digest,
                version: version.number,
                instance: &self.instance,
                sequence: self.sequence,
                nonce: &self.nonce,
                instance_secret: &self.secret,
            };
            let salt = URL_SAFE_NO_PAD.decode(&version.salt)?;
            proofs.insert(version.number, proof::prove(&holder.proof_secret(), &salt, &statement));
            let Some(material) = holder.material() else { continue };
            if Some(version.number) == keyset.primary {
                let challenge = Challenge {
                    ring: &self.ring,
                    incarnation: &keyset.incarnation,
                    revision: keyset.revision,
                    version: version.number,
                    instance: &self.instance,
                    nonce: &self.nonce,
                };
                answer = Some(challenge.answer(material, &mut |buffer| buffer.fill(9))?);
            }
        }
        Ok(ReportInput {
            ring: self.ring.clone(),
            incarnation: keyset.incarnation.clone(),
            revision: keyset.revision,
            sequence: self.sequence,
            nonce: self.nonce.clone(),
            accepted_set: digest,
            proofs,
            answer,
            evidence: EvidenceLevel::Held,
            trouble: None,
            oldest_guard: keyset.revision,
            counts: BTreeMap::new(),
            unknown: 0,
            unknown_kids: BTreeMap::new(),
        })
    }

    /// Sends a report and takes the next nonce.
    pub(crate) fn send(&mut self, engine: &Engine, report: ReportInput) -> Fallible<ReportOutcome> {
        let outcomes = engine.report(&self.consumer, &self.instance, &[report], false)?;
        let outcome = outcomes.into_iter().next().ok_or("a report was not answered")?;
        self.nonce.clone_from(&outcome.nonce);
        Ok(outcome)
    }
}
