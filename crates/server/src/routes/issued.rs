//! The ledger of issued tokens, where the policy of a ring keeps one.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::problem::Kind;
use keywheel_api::revocation::{RecordedIssued, ReportIssued};
use keywheel_core::id::Kid;
use keywheel_engine::Issued;

use crate::authz::{self, Right};
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "reportIssued",
    method: Method::POST,
    path: "/v1/rings/{ring}/issued",
    summary: "Writes down tokens that were issued, by whichever library, until they expire.",
    access: Access::Right(Right::ReportIssued),
    query: &[],
    conditional: false,
    body: Body::Required(schema::<ReportIssued>),
    answer: Answer::Json(200, schema::<RecordedIssued>),
    refusals: &[Kind::TooMany],
    handler: |call| Box::pin(report(call)),
}];

async fn report(call: Call) -> Result<Response, Refusal> {
    let wire: ReportIssued = call.body()?;
    let ring = call.ring()?;
    let asked = ring.clone();
    let policy = call.engine(move |engine| engine.policy(&asked)).await?;
    authz::check_protects(call.caller()?, &policy)?;
    let issued: Vec<_> = wire
        .issued
        .into_iter()
        .map(|one| Issued { jti: one.jti, expires: one.expires, kid: one.kid.map(Kid) })
        .collect();
    let count = u64::try_from(issued.len()).unwrap_or(u64::MAX);
    let named = ring.clone();
    call.engine(move |engine| engine.record_issued(&named, &issued)).await?;
    json(StatusCode::OK, &RecordedIssued { ring: ring.into(), count })
}
