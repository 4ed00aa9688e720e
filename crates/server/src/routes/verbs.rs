//! What operators ask of a ring: rotate, promote, approve, roll back, pause, resume.

use axum::response::Response;
use hyper::Method;
use keywheel_api::problem::Kind;
use keywheel_api::ring::{RingStatus, Verb as WireVerb};
use keywheel_engine::{AfterRotation, Verb};

use crate::authz::Right;
use crate::call::{Call, ring_json};
use crate::operation::{Access, Answer, Answering, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::routes::rings;

pub(crate) const OPERATIONS: &[Operation] = &[
    operation("rotateRing", "/v1/rings/{ring}/rotate", "Begins a rotation.", |call| {
        Box::pin(rotate(call))
    }),
    operation(
        "promoteRing",
        "/v1/rings/{ring}/promote",
        "Promotes now, if every gate is open; never skips one.",
        |call| Box::pin(plain(call, Verb::Promote)),
    ),
    operation(
        "approveRing",
        "/v1/rings/{ring}/approve",
        "Approves the promotion of the rotation in progress.",
        |call| Box::pin(plain(call, Verb::Approve)),
    ),
    operation(
        "rollbackRing",
        "/v1/rings/{ring}/rollback",
        "Takes the rotation back, from whatever stage it is at.",
        |call| Box::pin(plain(call, Verb::Rollback)),
    ),
    operation("pauseRing", "/v1/rings/{ring}/pause", "Holds the ring still.", |call| {
        Box::pin(plain(call, Verb::Pause))
    }),
    operation("resumeRing", "/v1/rings/{ring}/resume", "Lets a paused ring go on.", |call| {
        Box::pin(plain(call, Verb::Resume))
    }),
];

const fn operation(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    handler: fn(Call) -> Answering,
) -> Operation {
    Operation {
        id,
        method: Method::POST,
        path,
        summary,
        access: Access::Right(Right::Operate),
        query: &[],
        conditional: true,
        body: Body::Optional(schema::<WireVerb>),
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[Kind::GateClosed, Kind::Exists],
        handler,
    }
}

async fn rotate(call: Call) -> Result<Response, Refusal> {
    let wire: WireVerb = call.body_or_default()?;
    only(&wire, &["reason", "import", "revoke_active", "revoke_issued"])?;
    let import = wire.import.map(rings::imported).transpose()?;
    let revoke = AfterRotation { active: wire.revoke_active, issued: wire.revoke_issued };
    let verb = if revoke.is_nothing() {
        Verb::Rotate { import }
    } else {
        Verb::RotateAndRevoke { import, revoke }
    };
    act(call, verb, wire.reason).await
}

/// A verb that takes a reason and nothing else.
pub(crate) async fn plain(call: Call, verb: Verb) -> Result<Response, Refusal> {
    let wire: WireVerb = call.body_or_default()?;
    only(&wire, &["reason"])?;
    act(call, verb, wire.reason).await
}

/// A verb that takes a reason and nothing else, and does not go without one.
pub(crate) async fn reasoned(call: Call, verb: Verb) -> Result<Response, Refusal> {
    let wire: WireVerb = call.body_or_default()?;
    only(&wire, &["reason"])?;
    let reason = required_reason(wire.reason)?;
    act(call, verb, Some(reason)).await
}

/// The reason that bends a law.
pub(crate) fn required_reason(reason: Option<String>) -> Result<String, Refusal> {
    reason.ok_or_else(|| {
        Refusal::invalid("reason", "it is missing", "Say in words why; the record keeps it")
    })
}

/// Refuses a field that means nothing to this verb.
pub(crate) fn only(wire: &WireVerb, fields: &[&str]) -> Result<(), Refusal> {
    let given = [
        ("reason", wire.reason.is_some()),
        ("order", wire.order.is_some()),
        ("import", wire.import.is_some()),
        ("revoke_active", wire.revoke_active),
        ("revoke_issued", wire.revoke_issued),
        ("lose_data", wire.lose_data),
    ];
    let stray = given.iter().find(|(name, given)| *given && !fields.contains(name));
    match stray {
        Some((name, _)) => {
            Err(Refusal::invalid(*name, "it means nothing to this verb", "Leave it out"))
        }
        None => Ok(()),
    }
}

/// Does it, and shows how the ring stands then.
pub(crate) async fn act(
    call: Call,
    verb: Verb,
    reason: Option<String>,
) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let context = call.context(reason)?;
    let snapshot = call.engine(move |engine| engine.act(&ring, &verb, &context)).await?;
    ring_json(&rings::visible(call.caller()?, &snapshot)?)
}
