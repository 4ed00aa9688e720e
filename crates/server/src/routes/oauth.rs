//! Token introspection (RFC 7662) for resource servers that ask instead of verifying, and
//! revocation (RFC 7009) by the token itself. Callers authenticate with a token of keywheel as the
//! bearer. Whatever is wrong with a token that is asked about, the answer is `{"active":false}` and
//! no more; a token that is not good is revoked already.

use std::borrow::Cow;

use axum::response::{IntoResponse as _, Response};
use hyper::{Method, StatusCode};
use keywheel_api::oauth::{Introspection, TokenForm};
use keywheel_api::problem::Kind;
use keywheel_core::id::RingName;
use keywheel_core::revocation::Revocation;
use keywheel_jose::token::{Claims, NumericDate, TokenError, UnixSeconds, Verified};

use crate::authz::{self, Right};
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;

/// The claims that RFC 7662 section 2.2 names.
const SHOWN: [&str; 10] =
    ["scope", "client_id", "username", "exp", "iat", "nbf", "sub", "aud", "iss", "jti"];

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "revokeToken7009",
        method: Method::POST,
        path: "/oauth/revoke",
        summary: "Revokes a token of one of the caller's rings by its jti (RFC 7009); one that is \
                  not good is no error.",
        access: Access::Right(Right::Revoke),
        query: &[],
        conditional: false,
        body: Body::Form(schema::<TokenForm>),
        answer: Answer::Text("text/plain"),
        refusals: &[Kind::TooMany],
        handler: |call| Box::pin(revoke(call)),
    },
    Operation {
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
    },
];

async fn revoke(call: Call) -> Result<Response, Refusal> {
    let form: TokenForm = call.form()?;
    let found = verified(&call, &form.token, |ring, verified| {
        let expires = verified.claims.expires().map_or(i64::MAX, NumericDate::ceil);
        (ring.clone(), verified.claims.jti().map(Cow::into_owned), expires)
    })?;
    let Some((ring, jti, expires)) = found else { return Ok("".into_response()) };
    let Some(jti) = jti else {
        return Err(Refusal::invalid(
            "token",
            "it has no jti by which it could be revoked",
            "Revoke by subject or by issued_before with POST /v1/revocations",
        ));
    };
    let entry = Revocation::jti(jti, expires)
        .map_err(|error| Refusal::invalid("token", error, "Revoke it by its subject"))?;
    let asked = ring.clone();
    let policy = call.engine(move |engine| engine.policy(&asked)).await?;
    authz::check_protects(call.caller()?, &policy)?;
    let context = call.context(None)?;
    call.engine(move |engine| engine.revoke(&ring, &[entry], &context)).await?;
    Ok("".into_response())
}

fn introspect(call: &Call) -> Result<Response, Refusal> {
    let form: TokenForm = call.form()?;
    json(StatusCode::OK, &look(call, &form.token)?.unwrap_or_default())
}

/// What is to be said about a token, or nothing.
fn look(call: &Call, token: &str) -> Result<Option<Introspection>, Refusal> {
    verified(call, token, |ring, verified| Introspection {
        active: true,
        token_type: Some("Bearer".into()),
        ring: Some(ring.to_string()),
        kid: verified.key.kid().map(ToOwned::to_owned),
        claims: shown(&verified.claims),
    })
}

/// What there is of a token that is good and of one of the caller's rings.
fn verified<T>(
    call: &Call,
    token: &str,
    found: impl FnOnce(&RingName, &Verified<'_>) -> T,
) -> Result<Option<T>, Refusal> {
    let caller = call.caller()?;
    let now = UnixSeconds(call.app.wall().seconds());
    let within = |ring: &RingName| caller.rings.contains(ring);
    let found = call.app.shelf.verify(token.as_bytes(), within, now, found);
    Ok(found
        .inspect_err(|error: &TokenError| {
            tracing::debug!(kind = error.kind(), "a token that was asked about is not good");
        })
        .ok())
}

fn shown(claims: &Claims) -> serde_json::Map<String, serde_json::Value> {
    let value = |name: &str| serde_json::from_str(claims.raw(name)?).ok();
    SHOWN.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect()
}
