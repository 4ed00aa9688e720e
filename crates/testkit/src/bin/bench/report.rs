//! What one proof report costs the engine. Peer: the bare HMACs that it cannot do without.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use keywheel_core::id::RingName;
use keywheel_engine::{Engine, KeysetMaterial, ReportVerdict, Verb};
use keywheel_store::{ManualClock, MemoryHighWater, MemoryStore};

use crate::counting::Counting;
use crate::measure::{micros, micros_each, thread_cpu};
use crate::table::{Table, figure, ratio};
use crate::world::{self, Worker, context};
use crate::{Fallible, Scale};

/// How many versions are accepted when the reports are made.
const ACCEPTED: u32 = 3;

/// The HMACs of a proof: for each version the extraction and the expansion of HKDF, which sets a
/// key twice, and the proof; then the nonce that is checked and the next one.
const MACS: u32 = ACCEPTED * 4 + 2;

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let reports = scale.pick(500, 5_000);
    let spent = Duration::from_millis(scale.pick(60, 400));
    let bare = micros_each(spent, || Ok(bare_macs()))?;
    let mut text = format!(
        "{ACCEPTED} accepted versions, one protector. The bare work is {MACS} HMAC-SHA256: for each \
         version HKDF and the proof, and one nonce to check and one to give. A signing ring's \
         protector also answers a challenge with its primary, which the engine verifies; a renewal \
         carries no proof.\n\n"
    );
    let mut table = Table::new(&[
        "report",
        "engine CPU µs",
        "bare HMACs µs",
        "to the bare HMACs",
        "bare with the answer µs",
        "to that",
        "making it, CPU µs",
    ]);
    for (algorithm, answer) in [("HS256", bare / f64::from(MACS)), ("EdDSA", ed25519(spent)?)] {
        let world = World::new(algorithm)?;
        for (name, proofs) in [("proof", true), ("renewal", false)] {
            let cost = world.report(reports, proofs)?;
            let (bare, answer) =
                if proofs { (bare, answer) } else { (bare / f64::from(MACS), 0.0) };
            table.row(
                format!("{algorithm}, {name}"),
                &[
                    figure(cost.engine),
                    figure(bare),
                    ratio(cost.engine, bare),
                    figure(bare + answer),
                    ratio(cost.engine, bare + answer),
                    figure(cost.worker),
                ],
            );
        }
    }
    text.push_str(&table.finish());
    Ok(text)
}

/// The HMACs of one report, over messages of the same size.
fn bare_macs() -> u8 {
    let message = [7_u8; 330];
    let mut key = [1_u8; 32];
    for _ in 0..MACS {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &message);
        key.copy_from_slice(tag.as_ref());
    }
    key[0]
}

/// CPU microseconds of one bare verification.
fn ed25519(spent: Duration) -> Fallible<f64> {
    let pair = Ed25519KeyPair::generate()?;
    let message = [7_u8; 200];
    let signature = pair.sign(&message);
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
    micros_each(spent, || Ok(public.verify(&message, signature.as_ref())?))
}

/// CPU microseconds of one report, on both sides.
struct Each {
    engine: f64,
    worker: f64,
}

/// A ring with several accepted versions.
struct World {
    engine: Engine,
    ring: RingName,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(algorithm: &str) -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let clock = Arc::new(ManualClock::default());
        let store = Arc::new(Counting::new(Arc::new(MemoryStore::new(clock.clone()))));
        let sealer = world::sealer(folder.path())?;
        let marks = Arc::new(MemoryHighWater::default());
        let engine = world::engine(store, sealer, marks, clock.clone())?;
        engine.drive();
        let ring: RingName = "access-token".parse()?;
        let spec = world::spec(serde_json::json!({
            "kind": "signing",
            "algorithm": algorithm,
            "longest_lifetime": "30d",
            "consumer": [{ "name": "web", "role": "protect" }],
        }))?;
        engine.put_ring(&ring, &spec, None, None, &context())?;
        let mut worker = Worker::join(&engine, &ring, "web")?;
        for accepted in 1..=ACCEPTED {
            if accepted > 1 {
                engine.act(&ring, &Verb::Rotate { import: None }, &context())?;
            }
            let whole = |engine: &Engine| -> Fallible<bool> {
                let ring = engine.snapshot(&ring)?.ring;
                Ok(ring.path.is_none() && ring.accepted().count() == usize::try_from(accepted)?)
            };
            // Each round is a second of the world; a rotation takes a few of them.
            for _ in 0..120 {
                let held = worker.load(&engine)?;
                let report = worker.report(&held)?;
                worker.send(&engine, report)?;
                clock.advance(Duration::from_secs(1));
                while engine.drive().is_zero() {}
                if whole(&engine)? {
                    break;
                }
            }
            if !whole(&engine)? {
                return Err(format!("the ring did not come to {accepted} versions").into());
            }
        }
        Ok(Self { engine, ring, _folder: folder })
    }

    fn report(&self, reports: u32, proofs: bool) -> Fallible<Each> {
        let mut worker = Worker::join(&self.engine, &self.ring, "web")?;
        let held: KeysetMaterial = worker.load(&self.engine)?;
        let first = worker.report(&held)?;
        worker.send(&self.engine, first)?;
        let (mut engine, mut own) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..reports {
            let before = thread_cpu();
            let mut report = worker.report(&held)?;
            if !proofs {
                report.proofs.clear();
                report.answer = None;
            }
            let made = thread_cpu();
            let outcome = worker.send(&self.engine, report)?;
            own += made.saturating_sub(before);
            engine += thread_cpu().saturating_sub(made);
            let expected = if proofs { ReportVerdict::Proved } else { ReportVerdict::Renewed };
            if outcome.verdict != expected {
                return Err(format!("a report was judged {:?}", outcome.verdict).into());
            }
        }
        let each = |duration: Duration| micros(duration) / f64::from(reports);
        Ok(Each { engine: each(engine), worker: each(own) })
    }
}
