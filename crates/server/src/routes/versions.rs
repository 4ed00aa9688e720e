//! What bends a law for one version: suspend, resume, compromise, destroy.

use axum::response::Response;
use hyper::Method;
use keywheel_api::problem::Kind;
use keywheel_api::ring::{RingStatus, Verb as WireVerb};
use keywheel_core::policy::OnCompromise;
use keywheel_core::time::Span;
use keywheel_engine::Verb;

use crate::authz::Right;
use crate::call::Call;
use crate::operation::{Access, Answer, Answering, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::routes::verbs;

pub(crate) const OPERATIONS: &[Operation] = &[
    operation(
        "suspendVersion",
        "/v1/rings/{ring}/versions/{version}/suspend",
        "Takes a version out for a while; needs a reason.",
        Body::Required(schema::<WireVerb>),
        |call| Box::pin(suspend(call)),
    ),
    operation(
        "resumeVersion",
        "/v1/rings/{ring}/versions/{version}/resume",
        "Lets a suspended version be accepted again.",
        Body::Optional(schema::<WireVerb>),
        |call| Box::pin(resume(call)),
    ),
    operation(
        "compromiseVersion",
        "/v1/rings/{ring}/versions/{version}/compromise",
        "Says that a version is in wrong hands; needs a reason, and never waits.",
        Body::Required(schema::<WireVerb>),
        |call| Box::pin(compromise(call)),
    ),
    operation(
        "destroyVersion",
        "/v1/rings/{ring}/versions/{version}/destroy",
        "Erases the material of a retired version whose time has come.",
        Body::Optional(schema::<WireVerb>),
        |call| Box::pin(destroy(call)),
    ),
];

const fn operation(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    body: Body,
    handler: fn(Call) -> Answering,
) -> Operation {
    Operation {
        id,
        method: Method::POST,
        path,
        summary,
        access: Access::Right(Right::BreakGlass),
        query: &[],
        conditional: true,
        body,
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[Kind::GateClosed],
        handler,
    }
}

async fn suspend(call: Call) -> Result<Response, Refusal> {
    let version = call.version()?;
    verbs::reasoned(call, Verb::Suspend(version)).await
}

async fn resume(call: Call) -> Result<Response, Refusal> {
    let version = call.version()?;
    verbs::plain(call, Verb::ResumeVersion(version)).await
}

async fn compromise(call: Call) -> Result<Response, Refusal> {
    let version = call.version()?;
    let wire: WireVerb = call.body()?;
    verbs::only(&wire, &["reason", "order"])?;
    let reason = verbs::required_reason(wire.reason)?;
    let order = match wire.order.as_deref() {
        None => None,
        Some("reject_first") => Some(OnCompromise::RejectFirst),
        Some("switch_first") => Some(OnCompromise::SwitchFirst { within: within(&call).await? }),
        Some(_) => {
            return Err(Refusal::invalid(
                "order",
                "there is no such order",
                "Use reject_first or switch_first, or leave the choice to the policy",
            ));
        }
    };
    verbs::act(call, Verb::Compromise { version, order }, Some(reason)).await
}

/// How long the bad version may stay accepted: as the policy says, or its default.
async fn within(call: &Call) -> Result<Span, Refusal> {
    let ring = call.ring()?;
    let snapshot = call.engine(move |engine| engine.snapshot(&ring)).await?;
    Ok(match snapshot.ring.policy.on_compromise {
        OnCompromise::SwitchFirst { within } => within,
        OnCompromise::RejectFirst => Span::from_secs(60),
    })
}

async fn destroy(call: Call) -> Result<Response, Refusal> {
    let version = call.version()?;
    verbs::plain(call, Verb::Destroy(version)).await
}
