//! Token introspection (RFC 7662): whether a token is good now, for resource servers that ask
//! instead of verifying. Callers authenticate with a token of keywheel as the bearer. Whatever is
//! wrong with the token that is asked about, the answer is `{"active":false}` and no more.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::oauth::{Introspection, TokenForm};
use keywheel_jose::token::{Claims, TokenError, UnixSeconds};

use crate::authz::Right;
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;

/// The claims that RFC 7662 section 2.2 names.
const SHOWN: [&str; 10] =
    ["scope", "client_id", "username", "exp", "iat", "nbf", "sub", "aud", "iss", "jti"];

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "introspect",
    method: Method::POST,
    path: "/oauth/introspect",
    summary: "Says whether a token of one of the caller's rings is good now (RFC 7662).",
    access: Access::Right(Right::Introspect),
    query: &[],
    conditional: false,
    body: Body::Form(schema::<TokenForm>),
    answer: Answer::Json(200, schema::<Introspection>),
    refusals: &[],
    handler: |call| Box::pin(async move { introspect(&call) }),
}];

fn introspect(call: &Call) -> Result<Response, Refusal> {
    let form: TokenForm = call.form()?;
    json(StatusCode::OK, &look(call, &form.token)?.unwrap_or_default())
}

/// What is to be said about a token, or nothing.
fn look(call: &Call, token: &str) -> Result<Option<Introspection>, Refusal> {
    let caller = call.caller()?;
    let now = UnixSeconds(call.app.wall().0.div_euclid(1000));
    let found = call.app.shelf.verify(
        token.as_bytes(),
        |ring| caller.rings.contains(ring),
        now,
        |ring, verified| Introspection {
            active: true,
            token_type: Some("Bearer".into()),
            ring: Some(ring.to_string()),
            kid: verified.key.kid().map(ToOwned::to_owned),
            claims: shown(&verified.claims),
        },
    );
    Ok(found.inspect_err(|error: &TokenError| {
        tracing::debug!(kind = error.kind(), "a token that was asked about is not good");
    })
    .ok())
}

fn shown(claims: &Claims) -> serde_json::Map<String, serde_json::Value> {
    let value = |name: &str| serde_json::from_str(claims.raw(name)?).ok();
    SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect()
}
