//! A small world for the engine's tests: a manual clock, seeded entropy, one engine, and processes
//! that prove with real keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keywheel_core::id::{ConsumerName, InstanceId, RingName, VersionNumber};
use keywheel_core::policy::Spec;
use keywheel_core::time::Span;
use keywheel_engine::ports::{Entropy, Store};
use keywheel_engine::{
    Context, Engine, KeysetMaterial, NewInstance, Parts, Registration, ReportInput, ReportOutcome,
};
use keywheel_jose::Holder;
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{self, AcceptedVersion, Statement};
use keywheel_store::kek::FileKek;
use keywheel_store::{ManualClock, MemoryHighWater, MemoryStore, Sealer};

/// Entropy that is the same in every run.
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let mut x = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (x >> 32).to_le_bytes()[0];
        }
    }
}

/// An engine over a memory store.
pub struct World {
    pub clock: Arc<ManualClock>,
    pub store: Arc<MemoryStore>,
    pub high_water: Arc<MemoryHighWater>,
    pub sealer: Arc<Sealer>,
    pub engine: Engine,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let kek = FileKek::open_or_create(&folder.path().join("master.key"), Arc::clone(&entropy));
        let sealer = Arc::new(Sealer::new(Arc::new(kek.unwrap()), entropy));
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let high_water = Arc::new(MemoryHighWater::default());
        let engine = open(&clock, &store, &high_water, &sealer, "a", 11);
        Self { clock, store, high_water, sealer, engine, _folder: folder }
    }

    /// Another engine over the same store.
    pub fn second(&self, server: &str) -> Engine {
        open(&self.clock, &self.store, &self.high_water, &self.sealer, server, 13)
    }

    /// Lets time pass in small steps, driving the engine.
    pub fn pass(&self, span: Duration) {
        let step = Duration::from_millis(200);
        let mut left = span;
        while !left.is_zero() {
            let now = left.min(step);
            self.clock.advance(now);
            self.engine.drive();
            left -= now;
        }
    }
}

fn open(
    clock: &Arc<ManualClock>,
    store: &Arc<MemoryStore>,
    high_water: &Arc<MemoryHighWater>,
    sealer: &Arc<Sealer>,
    server: &str,
    seed: u64,
) -> Engine {
    let store: Arc<dyn Store> = store.clone();
    let engine = Engine::open(Parts {
        store,
        seal: sealer.clone(),
        high_water: high_water.clone(),
        clock: clock.clone(),
        entropy: Arc::new(SeededEntropy::new(seed)),
        server: server.into(),
        lease_ttl: Span::from_secs(2),
        keep_notices: true,
    })
    .unwrap();
    engine.drive();
    engine
}

pub fn ring() -> RingName {
    "web".parse().unwrap()
}

pub fn context() -> Context {
    Context { actor: "tester".into(), reason: Some("a test".into()), ..Context::default() }
}

pub fn spec(kind: &str) -> Spec {
    serde_json::from_value(serde_json::json!({
        "kind": kind,
        "longest_lifetime": "10s",
        "skew": "1s",
        "lease_ttl": "2s",
        "offline_max": "20s",
        "destroy_after": "1m",
        "consumer": [
            { "name": "api", "role": "protect", "min_instances": 1 },
            { "name": "edge", "role": "process", "min_instances": 1 },
        ],
    }))
    .unwrap()
}

/// A process that does what the client library does.
pub struct Worker {
    pub consumer: ConsumerName,
    pub id: InstanceId,
    pub registration: Registration,
    pub nonce: Vec<u8>,
    pub sequence: u64,
    pub held: Option<KeysetMaterial>,
}

impl Worker {
    pub fn join(engine: &Engine, consumer: &str) -> Self {
        let consumer: ConsumerName = consumer.parse().unwrap();
        let registration = engine
            .register(&NewInstance {
                consumer: consumer.clone(),
                rings: vec![ring()],
                host: "test".into(),
                pid: 1,
            })
            .unwrap();
        let (id, nonce) = (registration.instance.clone(), registration.nonces[&ring()].clone());
        Self { consumer, id, registration, nonce, sequence: 0, held: None }
    }

    pub fn load(&mut self, engine: &Engine) {
        self.held = Some(engine.material(&ring(), &self.consumer, &self.id).unwrap());
    }

    /// The report that this worker would send, with proofs of what it holds.
    pub fn report(&mut self) -> ReportInput {
        self.sequence += 1;
        let held = self.held.as_ref().unwrap();
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
        let name = ring();
        let mut proofs = BTreeMap::new();
        let mut answer = None;
        for version in &held.versions {
            let holder = Holder::from_delivery(&version.kind, &version.delivery).unwrap();
            let statement = Statement {
                ring: &name,
                incarnation: &keyset.incarnation,
                revision: keyset.revision,
                accepted_set: &digest,
                version: version.number,
                instance: &self.id,
                sequence: self.sequence,
                nonce: &self.nonce,
                instance_secret: &self.registration.secret,
            };
            let salt = decode(&version.salt);
            proofs.insert(version.number, proof::prove(&holder.proof_secret(), &salt, &statement));
            if Some(version.number) == keyset.primary
                && let Some(material) = holder.material()
            {
                let challenge = Challenge {
                    ring: &name,
                    incarnation: &keyset.incarnation,
                    revision: keyset.revision,
                    version: version.number,
                    instance: &self.id,
                    nonce: &self.nonce,
                };
                answer = Some(challenge.answer(material, &mut |b| b.fill(9)).unwrap());
            }
        }
        ReportInput {
            ring: ring(),
            incarnation: keyset.incarnation.clone(),
            revision: keyset.revision,
            sequence: self.sequence,
            nonce: self.nonce.clone(),
            accepted_set: digest,
            proofs,
            answer,
            oldest_guard: keyset.revision,
            counts: BTreeMap::new(),
        }
    }

    /// Loads, proves, and takes the next nonce.
    pub fn converge(&mut self, engine: &Engine) -> ReportOutcome {
        self.load(engine);
        let report = self.report();
        self.send(engine, report)
    }

    pub fn send(&mut self, engine: &Engine, report: ReportInput) -> ReportOutcome {
        let outcome = engine.report(&self.consumer, &self.id, &[report], false).unwrap().remove(0);
        self.nonce.clone_from(&outcome.nonce);
        outcome
    }
}

pub fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub fn version(number: u32) -> VersionNumber {
    VersionNumber(number)
}
