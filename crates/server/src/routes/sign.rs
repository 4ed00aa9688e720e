//! Tokens that the server signs, for those who must not hold the key. What a signature may promise
//! is decided by the engine.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::problem::Kind;
use keywheel_api::sign::{Sign, Signed};
use keywheel_core::time::Span;

use crate::authz::Right;
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "signToken",
    method: Method::POST,
    path: "/v1/rings/{ring}/sign",
    summary: "Makes a token with the primary key of a signing ring, and adds `kid`, `jti`, `iat` \
              and `exp`; one that would outlive the ring's longest lifetime is refused.",
    access: Access::Right(Right::Sign),
    query: &[],
    conditional: false,
    body: Body::Required(schema::<Sign>),
    answer: Answer::Json(200, schema::<Signed>),
    refusals: &[Kind::IllegalTransition],
    handler: |call| Box::pin(sign(call)),
}];

async fn sign(call: Call) -> Result<Response, Refusal> {
    let Sign { claims, expires_in } = call.body()?;
    let lifetime = match expires_in {
        None => None,
        Some(text) => Some(text.parse::<Span>().map_err(|error| {
            Refusal::invalid("expires_in", error, "Write a length of time, such as 10m")
        })?),
    };
    let ring = call.ring()?;
    let signed = call.engine(move |engine| engine.sign(&ring, &claims, lifetime)).await?;
    let wire =
        Signed { token: signed.token, kid: signed.kid.0, jti: signed.jti, expires: signed.expires };
    json(StatusCode::OK, &wire)
}
