//! The hash-chained record of who did what.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::audit::{Audit, AuditEntry};
use keywheel_engine::RingScope;

use crate::authz::Right;
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, Parameter, Shape, schema};
use crate::refusal::Refusal;

const PAGE: u64 = 100;
const PAGE_MAX: u64 = 1_000;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "readAudit",
    method: Method::GET,
    path: "/v1/audit",
    summary: "Reads the audit record, oldest first. A token for some rings sees their entries \
              only, so the numbers it sees have gaps; `verified` speaks of the whole page.",
    access: Access::Right(Right::ReadAudit),
    query: &[
        Parameter {
            name: "after",
            description: "Goes on after the entry with this number.",
            required: false,
            shape: Shape::Integer { least: 0, most: i64::MAX.unsigned_abs() },
        },
        Parameter {
            name: "limit",
            description: "Looks at this many entries at most; 100 when absent.",
            required: false,
            shape: Shape::Integer { least: 1, most: PAGE_MAX },
        },
    ],
    conditional: false,
    body: Body::Nothing,
    answer: Answer::Json(200, schema::<Audit>),
    refusals: &[],
    handler: |call| Box::pin(read(call)),
}];

async fn read(call: Call) -> Result<Response, Refusal> {
    let after = call.query.integer("after").unwrap_or(0);
    let limit = call.query.integer("limit").unwrap_or(PAGE);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let page = call.engine(move |engine| engine.audit(after, limit)).await?;
    let scope = &call.caller()?.rings;
    let visible = page.entries.into_iter().filter(|entry| match (&entry.ring, scope) {
        (_, RingScope::All) => true,
        (Some(ring), scope) => scope.contains(ring),
        (None, RingScope::Only(_)) => false,
    });
    let entries = visible.map(|entry| AuditEntry {
        number: entry.number,
        at: entry.at,
        actor: entry.actor,
        ring: entry.ring.map(Into::into),
        action: entry.action,
        detail: entry.detail,
        previous: entry.previous,
        hash: entry.hash,
    });
    let audit = Audit { entries: entries.collect(), verified: page.verified, head: page.head };
    json(StatusCode::OK, &audit)
}
