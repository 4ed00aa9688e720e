//! What a rotation would do and when, before anybody starts it.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::ring::{Plan, PlannedStage};

use crate::authz::Right;
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::status;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "planRing",
    method: Method::GET,
    path: "/v1/rings/{ring}/plan",
    summary: "Foretells the next rotation: its stages, what each waits for, and what is unsafe.",
    access: Access::Right(Right::Plan),
    query: &[],
    conditional: false,
    body: Body::Nothing,
    answer: Answer::Json(200, schema::<Plan>),
    refusals: &[],
    handler: |call| Box::pin(plan(call)),
}];

async fn plan(call: Call) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let plan = call.engine(move |engine| engine.plan(&ring)).await?;
    let (begins, cause) = plan.begins.unzip();
    let stages = plan.stages.into_iter().map(|stage| PlannedStage {
        stage: stage.stage,
        earliest_end: stage.earliest_end.to_string(),
        waits_for: stage.waits_for,
        cutover: stage.cutover,
        unsafe_if_skipped: stage.unsafe_if_skipped,
    });
    let plan = Plan {
        begins: begins.map(|at| at.to_string()),
        cause: cause.map(|cause| status::cause(&cause)),
        stages: stages.collect(),
        warnings: plan.warnings,
    };
    json(StatusCode::OK, &plan)
}
