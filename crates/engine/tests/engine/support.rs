//! A small world for the engine's tests: a manual clock, seeded entropy, a store that can be made
//! to fail, engines, and processes that prove with real keys.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{ConsumerName, InstanceId, RingName, VersionNumber};
use keywheel_core::policy::Spec;
use keywheel_core::ring::{Stage, State};
use keywheel_core::time::Span;
use keywheel_engine::ports::{
    Caps, Change, Commit, CommitError, Entropy, Expect, Fence, Key, Seq, Store, StoreError, Stored,
    Write,
};
use keywheel_engine::{
    Context, Engine, EngineError, KeysetMaterial, NewInstance, Parts, Registration, ReportInput,
    ReportOutcome, ReportVerdict, Verb,
};
use keywheel_jose::Holder;
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{self, AcceptedVersion, Statement};
use keywheel_store::kek::FileKek;
use keywheel_store::{KekRing, ManualClock, MemoryHighWater, MemoryStore, Sealer};

/// Entropy that is the same in every run.
pub(crate) struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    pub(crate) fn new(seed: u64) -> Self {
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

/// What happens to the next commit.
pub(crate) enum Fate {
    /// It goes through.
    Done,
    /// The disk is full.
    Full,
    /// The store is away.
    Away,
    /// It happens, and the answer is lost.
    DoneUnheard,
    /// It does not happen, and the answer is lost.
    LostUnheard,
}

type Hook = Box<dyn FnMut() + Send>;

/// A connection to the store that counts its calls, and whose commits fail on demand.
pub(crate) struct Probe {
    inner: MemoryStore,
    pub(crate) calls: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) fates: Mutex<VecDeque<Fate>>,
    /// Done just before each fenced commit; one that is under way is not disturbed again.
    pub(crate) before: Mutex<Option<Hook>>,
}

impl Probe {
    fn new(inner: MemoryStore) -> Arc<Self> {
        Arc::new(Self {
            inner,
            calls: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            fates: Mutex::default(),
            before: Mutex::default(),
        })
    }

    pub(crate) fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        self.fates.lock().unwrap().extend(fates);
    }

    pub(crate) fn disturb(&self, hook: impl FnMut() + Send + 'static) {
        *self.before.lock().unwrap() = Some(Box::new(hook));
    }

    pub(crate) fn calm(&self) {
        *self.before.lock().unwrap() = None;
        self.fates.lock().unwrap().clear();
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

impl Store for Probe {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.count();
        self.inner.read(key)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.count();
        self.inner.list(prefix, after, limit)
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        self.count();
        self.commits.fetch_add(1, Ordering::Relaxed);
        if commit.fence.is_some() {
            let hook = self.before.lock().unwrap().take();
            if let Some(mut hook) = hook {
                hook();
                self.before.lock().unwrap().get_or_insert(hook);
            }
        }
        let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Done);
        let unheard = || CommitError::Unknown("the connection broke".into());
        match fate {
            Fate::Done => self.inner.commit(commit),
            Fate::Full => Err(StoreError::Full("no room".into()).into()),
            Fate::Away => Err(StoreError::Unavailable("nobody answers".into()).into()),
            Fate::DoneUnheard => self.inner.commit(commit).and_then(|_| Err(unheard())),
            Fate::LostUnheard => Err(unheard()),
        }
    }

    fn head(&self) -> Result<Seq, StoreError> {
        self.count();
        self.inner.head()
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.count();
        self.inner.changes(since, limit)
    }

    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError> {
        self.inner.wait(since, at_most)
    }

    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        self.count();
        self.inner.acquire(holder, ttl)
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        self.count();
        self.inner.renew(fence, ttl)
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        self.inner.release(fence)
    }
}

/// Everything that engines stand on, and one engine, `a`.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: MemoryStore,
    pub(crate) probe: Arc<Probe>,
    pub(crate) high_water: Arc<MemoryHighWater>,
    pub(crate) kek: Arc<KekRing>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(7));
        let key = FileKek::open_or_create(&folder.path().join("master.key"), Arc::clone(&entropy));
        let kek = Arc::new(KekRing::new(Arc::new(key.unwrap()), Vec::new()));
        let sealer = Arc::new(Sealer::new(kek.clone(), entropy));
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        let probe = Probe::new(store.clone());
        let high_water = Arc::new(MemoryHighWater::default());
        let parts = parts(&clock, &probe, &high_water, &sealer, "a");
        let engine = Arc::new(Engine::open(parts).unwrap());
        engine.drive();
        Self { clock, store, probe, high_water, kek, sealer, engine, folder }
    }

    /// What another server would be opened with: its own connection and its own memory.
    pub(crate) fn parts(&self, server: &str) -> Parts {
        let probe = Probe::new(self.store.clone());
        parts(&self.clock, &probe, &Arc::default(), &self.sealer, server)
    }

    /// What the same server would be opened with after a restart.
    pub(crate) fn parts_again(&self) -> Parts {
        parts(&self.clock, &self.probe, &self.high_water, &self.sealer, "a")
    }

    /// Another server over the same store.
    pub(crate) fn second(&self, server: &str) -> Arc<Engine> {
        Arc::new(Engine::open(self.parts(server)).unwrap())
    }

    /// Lets time pass in small steps, driving the engine.
    pub(crate) fn pass(&self, span: Duration) {
        self.pass_with(&[&self.engine], span);
    }

    pub(crate) fn pass_secs(&self, secs: u64) {
        self.pass(Duration::from_secs(secs));
    }

    pub(crate) fn pass_with(&self, engines: &[&Engine], span: Duration) {
        let step = Duration::from_millis(200);
        let mut left = span;
        while !left.is_zero() {
            let now = left.min(step);
            self.clock.advance(now);
            for engine in engines {
                engine.drive();
            }
            left -= now;
        }
    }

    /// Lets time pass while these workers hold on to what they should.
    pub(crate) fn live(&self, workers: &mut [&mut Worker], secs: u64) {
        for _ in 0..secs * 2 {
            for worker in &mut *workers {
                worker.converge(&self.engine);
            }
            self.pass(Duration::from_millis(500));
        }
    }

    pub(crate) fn create(&self, name: &RingName, spec: &Spec) {
        self.engine.put_ring(name, spec, None, None, &context()).unwrap();
    }

    pub(crate) fn rotate(&self) {
        self.engine.act(&ring(), &Verb::Rotate { import: None }, &context()).unwrap();
    }

    /// A ring with one protector and one processor that hold its first key, past the takeover.
    pub(crate) fn settled(&self, spec: &Spec) -> (Worker, Worker) {
        self.create(&ring(), spec);
        let (mut api, mut edge) =
            (Worker::join(&self.engine, "api"), Worker::join(&self.engine, "edge"));
        self.live(&mut [&mut api, &mut edge], 3);
        (api, edge)
    }

    pub(crate) fn stage(&self) -> Option<Stage> {
        stage(&self.engine)
    }

    pub(crate) fn state(&self, number: u32) -> State {
        self.engine.snapshot(&ring()).unwrap().ring.versions[&version(number)].state.clone()
    }

    pub(crate) fn primary(&self) -> Option<VersionNumber> {
        self.engine.snapshot(&ring()).unwrap().ring.primary()
    }

    /// The actions of the audit record, which must be whole.
    pub(crate) fn audit(&self) -> Vec<String> {
        let page = self.engine.audit(0, 10_000).unwrap();
        assert!(page.verified);
        page.entries.into_iter().map(|entry| entry.action).collect()
    }

    /// Writes a row past every engine.
    pub(crate) fn overwrite(&self, key: &str, value: Option<Vec<u8>>) {
        let key = Key::new(&[key]);
        let writes = vec![Write { key, expect: Expect::Any, value }];
        self.store.commit(&Commit { fence: None, writes }).unwrap();
    }

    pub(crate) fn row(&self, key: &str) -> Vec<u8> {
        self.store.read(&Key::new(&[key])).unwrap().unwrap().value
    }
}

fn parts(
    clock: &Arc<ManualClock>,
    probe: &Arc<Probe>,
    high_water: &Arc<MemoryHighWater>,
    sealer: &Arc<Sealer>,
    server: &str,
) -> Parts {
    let seed = server.bytes().fold(11, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    Parts {
        store: probe.clone(),
        seal: sealer.clone(),
        high_water: high_water.clone(),
        clock: clock.clone(),
        entropy: Arc::new(SeededEntropy::new(seed)),
        server: server.into(),
        lease_ttl: Span::from_secs(2),
        keep_notices: true,
    }
}

pub(crate) fn stage(engine: &Engine) -> Option<Stage> {
    engine.snapshot(&ring()).unwrap().ring.path.map(|path| path.stage)
}

pub(crate) fn ring() -> RingName {
    "web".parse().unwrap()
}

pub(crate) fn named(name: &str) -> RingName {
    name.parse().unwrap()
}

pub(crate) fn context() -> Context {
    Context { actor: "tester".into(), reason: Some("a test".into()), ..Context::default() }
}

pub(crate) fn spec(kind: &str) -> Spec {
    with(kind, serde_json::json!({}))
}

/// The usual policy with these fields besides.
pub(crate) fn with(kind: &str, more: serde_json::Value) -> Spec {
    let mut spec = serde_json::json!({
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
    });
    let fields = spec.as_object_mut().unwrap();
    if let serde_json::Value::Object(more) = more {
        fields.extend(more);
    }
    serde_json::from_value(spec).unwrap()
}

/// A process that does what the client library does.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) consumer: ConsumerName,
    pub(crate) ring: RingName,
    pub(crate) id: InstanceId,
    pub(crate) registration: Arc<Registration>,
    pub(crate) nonce: Vec<u8>,
    pub(crate) sequence: u64,
    pub(crate) held: Option<Arc<KeysetMaterial>>,
}

impl Worker {
    pub(crate) fn join(engine: &Engine, consumer: &str) -> Self {
        Self::join_ring(engine, consumer, &ring()).unwrap()
    }

    pub(crate) fn join_ring(
        engine: &Engine,
        consumer: &str,
        ring: &RingName,
    ) -> Result<Self, EngineError> {
        Self::join_as(engine, new_instance(consumer, ring))
    }

    pub(crate) fn join_as(engine: &Engine, new: NewInstance) -> Result<Self, EngineError> {
        let registration = engine.register(&new)?;
        let (consumer, ring) = (new.consumer, &new.rings[0]);
        Ok(Self {
            consumer,
            ring: ring.clone(),
            id: registration.instance.clone(),
            nonce: registration.nonces[ring].clone(),
            registration: Arc::new(registration),
            sequence: 0,
            held: None,
        })
    }

    pub(crate) fn load(&mut self, engine: &Engine) {
        let material = engine.material(&self.ring, &self.consumer, &self.id).unwrap();
        self.held = Some(Arc::new(material));
    }

    /// The report that this worker would send, with proofs of what it holds.
    pub(crate) fn report(&mut self) -> ReportInput {
        let held = self.held.clone().unwrap();
        self.report_of(&held)
    }

    pub(crate) fn report_of(&mut self, held: &KeysetMaterial) -> ReportInput {
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
            let holder = Holder::from_delivery(&version.kind, &version.delivery).unwrap();
            let statement = Statement {
                ring: &self.ring,
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
            if Some(version.number) == keyset.primary {
                answer = self.answer(held, version.number);
            }
        }
        ReportInput {
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
        }
    }

    /// The answer to the challenge, made with this version.
    pub(crate) fn answer(&self, held: &KeysetMaterial, with: VersionNumber) -> Option<Vec<u8>> {
        let version = held.versions.iter().find(|version| version.number == with)?;
        let holder = Holder::from_delivery(&version.kind, &version.delivery).unwrap();
        let challenge = Challenge {
            ring: &self.ring,
            incarnation: &held.keyset.incarnation,
            revision: held.keyset.revision,
            version: held.keyset.primary?,
            instance: &self.id,
            nonce: &self.nonce,
        };
        Some(challenge.answer(holder.material()?, &mut |bytes| bytes.fill(9)).unwrap())
    }

    /// A report that only says that it is there.
    pub(crate) fn renewal(&mut self) -> ReportInput {
        let mut report = self.report();
        report.proofs.clear();
        report.answer = None;
        report
    }

    /// Loads, proves, and takes the next nonce.
    pub(crate) fn converge(&mut self, engine: &Engine) -> ReportVerdict {
        self.load(engine);
        self.prove(engine)
    }

    pub(crate) fn prove(&mut self, engine: &Engine) -> ReportVerdict {
        let report = self.report();
        self.send(engine, report)
    }

    pub(crate) fn send(&mut self, engine: &Engine, report: ReportInput) -> ReportVerdict {
        self.try_send(engine, report).unwrap().verdict
    }

    pub(crate) fn try_send(
        &mut self,
        engine: &Engine,
        report: ReportInput,
    ) -> Result<ReportOutcome, EngineError> {
        let outcome = engine.report(&self.consumer, &self.id, &[report], false)?.remove(0);
        self.nonce.clone_from(&outcome.nonce);
        Ok(outcome)
    }
}

pub(crate) fn new_instance(consumer: &str, ring: &RingName) -> NewInstance {
    NewInstance {
        consumer: consumer.parse().unwrap(),
        rings: vec![ring.clone()],
        host: "test".into(),
        pid: 1,
        endures: false,
        succeeds: None,
    }
}

pub(crate) fn why(verdict: &ReportVerdict) -> &str {
    match verdict {
        ReportVerdict::Rejected { why } => why,
        other => panic!("it was {other:?}"),
    }
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn version(number: u32) -> VersionNumber {
    VersionNumber(number)
}
