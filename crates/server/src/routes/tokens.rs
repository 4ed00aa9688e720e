//! Tokens: make, list, revoke. A caller gives and sees only what lies within its own rings.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::problem::Kind;
use keywheel_api::token::{CreateToken, CreatedToken, TokenInfo as WireInfo, Tokens};
use keywheel_core::time::Span;
use keywheel_engine::{Cidr, EngineError, NewToken, RingScope, Role, TokenInfo};
use zeroize::Zeroize as _;

use crate::authz::Right;
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;

/// The most rings that a token can name one by one.
const RINGS_MAX: usize = 1_000;

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "createToken",
        method: Method::POST,
        path: "/v1/tokens",
        summary: "Makes a token. Its text is shown this once.",
        access: Access::Right(Right::ManageTokens),
        query: &[],
        conditional: false,
        body: Body::Required(schema::<CreateToken>),
        answer: Answer::Json(201, schema::<CreatedToken>),
        refusals: &[Kind::TooMany],
        handler: |call| Box::pin(create(call)),
    },
    Operation {
        id: "listTokens",
        method: Method::GET,
        path: "/v1/tokens",
        summary: "Lists tokens without their secrets, in order of creation.",
        access: Access::Right(Right::ManageTokens),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<Tokens>),
        refusals: &[],
        handler: |call| Box::pin(list(call)),
    },
    Operation {
        id: "revokeToken",
        method: Method::DELETE,
        path: "/v1/tokens/{token}",
        summary: "Ends a token. Doing it twice is doing it once.",
        access: Access::Right(Right::ManageTokens),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<WireInfo>),
        refusals: &[],
        handler: |call| Box::pin(revoke(call)),
    },
];

async fn create(call: Call) -> Result<Response, Refusal> {
    let wire: CreateToken = call.body()?;
    let new = settle(wire)?;
    if !within(&new.rings, &call.caller()?.rings) {
        return Err(Refusal::new(
            Kind::Forbidden,
            "the new token would be good for rings that yours is not good for",
            "Name rings of your own token only",
        ));
    }
    let context = call.context(None)?;
    let (text, info) = call.engine(move |engine| engine.create_token(new, &context)).await?;
    let mut created = CreatedToken { token: text.as_str().to_owned(), info: wire_info(info) };
    let response = json(StatusCode::CREATED, &created);
    created.token.zeroize();
    response
}

fn settle(wire: CreateToken) -> Result<NewToken, Refusal> {
    let role = Role::try_from(wire.role).map_err(|error| {
        Refusal::invalid(
            "role",
            error,
            "Use admin, operator, breakglass, consumer, auditor or evidence:<gate>",
        )
    })?;
    let consumer = wire.consumer.map(|name| name.parse()).transpose();
    let cidr = wire.cidr.map(Cidr::try_from).transpose();
    let expires_in = wire.expires_in.map(|text| text.parse::<Span>()).transpose();
    let expires_in = expires_in
        .map_err(|error| Refusal::invalid("expires_in", error, "Write for example 90d"))?;
    if expires_in == Some(Span::ZERO) {
        let cause = "it would end before it began";
        return Err(Refusal::invalid("expires_in", cause, "Give it some time, or leave it out"));
    }
    Ok(NewToken {
        name: wire.name,
        role,
        rings: scope(&wire.rings)?,
        consumer: consumer.map_err(|error: keywheel_core::id::NameError| {
            Refusal::invalid("consumer", error, "Give its name as the policy has it")
        })?,
        cidr: cidr
            .map_err(|error| Refusal::invalid("cidr", error, "Write for example 10.0.0.0/8"))?,
        uid: wire.uid,
        expires_in,
    })
}

fn scope(rings: &[String]) -> Result<RingScope, Refusal> {
    if rings.is_empty() || rings.len() > RINGS_MAX {
        return Err(Refusal::invalid(
            "rings",
            format!("{} rings were named", rings.len()),
            format!("Name 1 to {RINGS_MAX} rings, or `*` for all"),
        ));
    }
    if rings.iter().any(|ring| ring == "*") {
        return if rings.len() == 1 {
            Ok(RingScope::All)
        } else {
            Err(Refusal::invalid("rings", "`*` stands beside other names", "Give `*` alone"))
        };
    }
    let named: Result<Vec<_>, keywheel_core::id::NameError> =
        rings.iter().map(|ring| ring.parse()).collect();
    let mut named = named.map_err(|error| Refusal::invalid("rings", error, "Correct the name"))?;
    named.sort();
    named.dedup();
    Ok(RingScope::Only(named))
}

/// Whether everything in one scope is in the other.
fn within(inner: &RingScope, outer: &RingScope) -> bool {
    match (inner, outer) {
        (_, RingScope::All) => true,
        (RingScope::All, RingScope::Only(_)) => false,
        (RingScope::Only(rings), outer) => rings.iter().all(|ring| outer.contains(ring)),
    }
}

async fn list(call: Call) -> Result<Response, Refusal> {
    let tokens = call.engine(keywheel_engine::Engine::tokens).await?;
    let own = &call.caller()?.rings;
    let visible = tokens.into_iter().filter(|token| within(&token.rings, own));
    json(StatusCode::OK, &Tokens { tokens: visible.map(wire_info).collect() })
}

async fn revoke(call: Call) -> Result<Response, Refusal> {
    let id = call.token().to_owned();
    let context = call.context(None)?;
    let own = call.caller()?.rings.clone();
    let info = call
        .engine(move |engine| {
            let known = engine.tokens()?;
            let mine = known.iter().any(|token| token.id == id && within(&token.rings, &own));
            if mine {
                engine.revoke_token(&id, &context)
            } else {
                Err(EngineError::NotFound { what: "token", name: id.chars().take(16).collect() })
            }
        })
        .await?;
    json(StatusCode::OK, &wire_info(info))
}

fn wire_info(info: TokenInfo) -> WireInfo {
    WireInfo {
        id: info.id,
        name: info.name,
        role: info.role.into(),
        rings: match info.rings {
            RingScope::All => vec!["*".into()],
            RingScope::Only(rings) => rings.into_iter().map(Into::into).collect(),
        },
        consumer: info.consumer.map(Into::into),
        cidr: info.cidr.map(Into::into),
        uid: info.uid,
        created: info.created.to_string(),
        expires: info.expires.map(|at| at.to_string()),
        revoked: info.revoked.map(|at| at.to_string()),
    }
}
