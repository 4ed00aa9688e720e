//! What Prometheus reads.

use axum::response::{IntoResponse as _, Response};
use hyper::Method;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use keywheel_engine::{Engine, EngineError, RingScope, Snapshot};

use crate::call::Call;
use crate::metrics::{self, Scrape};
use crate::operation::{Access, Answer, Body, Operation};
use crate::refusal::Refusal;

/// How many names are read at once.
const PAGE: usize = 1_000;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "metrics",
    method: Method::GET,
    path: "/metrics",
    summary: "Shows counters and gauges in the Prometheus text format; of rings, those that the \
              token is good for.",
    access: Access::Metrics,
    query: &[],
    conditional: false,
    body: Body::Nothing,
    answer: Answer::Text(metrics::CONTENT_TYPE),
    refusals: &[],
    handler: |call| Box::pin(show(call)),
}];

async fn show(call: Call) -> Result<Response, Refusal> {
    let scope = call.caller.as_ref().map_or(RingScope::All, |caller| caller.rings.clone());
    let most = call.app.limits.metric_rings;
    let (health, notices_waiting, (rings, rings_omitted)) = call
        .engine(move |engine| {
            // A store that is down is worth a page that says so.
            let waiting = engine.notices_waiting().unwrap_or_default();
            let rings = snapshots(engine, &scope, most).unwrap_or_default();
            Ok((engine.health(), waiting, rings))
        })
        .await?;
    let scrape = Scrape {
        counters: &call.app.counters,
        health: &health,
        watchers: call.app.feed.watchers(),
        notices_waiting,
        rings: &rings,
        rings_omitted,
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, scrape.write()).into_response())
}

/// The rings of a scope that are not deleted, and how many more there are.
fn snapshots(
    engine: &Engine,
    scope: &RingScope,
    most: usize,
) -> Result<(Vec<Snapshot>, usize), EngineError> {
    let (mut shown, mut omitted, mut after) = (Vec::new(), 0, None);
    loop {
        let names = engine.ring_names(after.as_ref(), PAGE)?;
        let Some(last) = names.last() else { return Ok((shown, omitted)) };
        after = Some(last.clone());
        for name in names.into_iter().filter(|name| scope.contains(name)) {
            if shown.len() >= most {
                omitted += 1;
                continue;
            }
            match engine.snapshot(&name) {
                Ok(snapshot) if snapshot.ring.deleted.is_none() => shown.push(snapshot),
                // A ring that is not believed is counted by the engine's own health.
                Ok(_) | Err(EngineError::Distrusted { .. } | EngineError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
