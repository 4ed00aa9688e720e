//! What happened in the application and may trigger a rotation.

use axum::response::Response;
use hyper::Method;
use keywheel_api::ring::{Event, RingStatus};
use keywheel_engine::Verb;

use crate::authz::Right;
use crate::call::Call;
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::routes::{rings, verbs};

/// The longest name of an event, in characters.
const NAME_MAX: usize = 64;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "sendEvent",
    method: Method::POST,
    path: "/v1/rings/{ring}/events",
    summary: "Reports an event of the application, one of the policy's on_event.",
    access: Access::Right(Right::SendEvent),
    query: &[],
    conditional: true,
    body: Body::Required(schema::<Event>),
    answer: Answer::Ring(schema::<RingStatus>),
    refusals: &[],
    handler: |call| Box::pin(send(call)),
}];

async fn send(call: Call) -> Result<Response, Refusal> {
    let Event { name } = call.body()?;
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Refusal::invalid(
            "name",
            format!("it must have 1 to {NAME_MAX} printable characters"),
            "Give the name as the policy's on_event has it",
        ));
    }
    let ring = call.ring()?;
    let snapshot = call.engine(move |engine| engine.snapshot(&ring)).await?;
    // A consumer that the ring does not declare triggers nothing.
    rings::visible(call.caller()?, &snapshot)?;
    verbs::act(call, Verb::Event { name }, None).await
}
