//! The classic way, for comparison: one key in one file, swapped in one step. Each worker takes the
//! new key when it is restarted, and restarts take their time.

use std::sync::Arc;

use keywheel_core::time::Span;
use keywheel_engine::ports::Entropy as _;
use keywheel_store::SystemEntropy;
use serde::Serialize;

use super::board::Shared;
use super::director::rest;
use super::parent::Order;
use super::plan::Plan;
use super::scene::Scene;
use super::tally::Tally;
use super::worker::Source;
use super::worker::keys::write_key_file;
use crate::failure::Failure;
use crate::show::Tone;

/// Between the restarts of two workers. Real ones take longer.
const RESTART_EVERY: Span = Span::from_millis(200);
const PAUSE: Span = Span::from_millis(1_000);
/// What was signed just before a swap may still come back.
const TELLS_WITHIN: Span = Span::from_millis(300);

/// What one swap cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Swap {
    pub(super) number: usize,
    pub(super) requests: u64,
    pub(super) failed: u64,
    /// From the first restart to the last.
    #[serde(rename = "took_millis")]
    pub(super) took: Span,
}

/// Swaps a key as often as planned.
///
/// # Errors
/// When a process does not come up, or ends by itself.
pub(super) fn swap(plan: &Plan, shared: &Arc<Shared>) -> Result<(Vec<Swap>, Tally), Failure> {
    shared.board().title = "one-step swap".into();
    shared.board().subtitle = "one key in one file, taken at each restart".into();
    let mut scene = Scene::new(shared, plan)?;
    let file = scene.folder().join("the.key");
    let write = |version| {
        write_key_file(&file, version, &mut |bytes| SystemEntropy.fill(bytes)).map_err(|cause| {
            Failure::failed(format!("the key file cannot be written: {cause}"), "check the disk")
        })
    };
    write(1)?;
    let (api, billing) = plan.workers;
    shared.tell(Tone::Plain, format!("starting {api} workers of api and {billing} of billing"));
    scene.start_workers(plan, |_, _| Source::File(file.clone()))?;
    scene.say_to_all(Order::Go)?;
    scene.pass(PAUSE)?;
    let mut swaps = Vec::new();
    for number in 1..=plan.trials.len() {
        let version = u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
        shared.board().title = format!("one-step swap {number} of {}", plan.trials.len());
        shared.tell(Tone::Waiting, format!("key-{version} is in the file; workers restart"));
        write(version)?;
        swaps.push(restart_all(&mut scene, number)?);
        scene.pass(PAUSE)?;
    }
    let total = rest(&mut scene)?;
    scene.end();
    Ok((swaps, total))
}

fn restart_all(scene: &mut Scene, number: usize) -> Result<Swap, Failure> {
    let before = scene.tally();
    let began = scene.shared.board().elapsed();
    for index in 0..scene.workers.len() {
        if let Some(worker) = scene.workers.get_mut(index) {
            worker.say(Order::Reload)?;
        }
        scene.pass(RESTART_EVERY)?;
        if index == scene.workers.len() / 2 {
            scene.draw()?;
        }
    }
    let took = scene.shared.board().elapsed().minus(began);
    scene.pass(TELLS_WITHIN)?;
    let after = scene.tally();
    let failed = after.failures.all().saturating_sub(before.failures.all());
    scene.shared.tell(Tone::Bad, format!("swap {number} cost {failed} failures"));
    Ok(Swap { number, requests: after.requests.saturating_sub(before.requests), failed, took })
}
