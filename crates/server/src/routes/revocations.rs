//! What was revoked: taken in, and told as one log whose beginning is the whole set.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::problem::Kind;
use keywheel_api::revocation::{Revocations, Revoke, RevokedTokens};
use keywheel_core::id::RingName;
use keywheel_engine::{Context, Engine, EngineError, Recorded, RevocationPage};

use crate::authz::{self, Right};
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, Parameter, Shape, schema};
use crate::refusal::Refusal;

const NUMBER_MAX: u64 = i64::MAX.unsigned_abs();

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "revoke",
        method: Method::POST,
        path: "/v1/revocations",
        summary: "Revokes tokens of a ring, for good: by jti, by subject, by kid, or by when they \
                  were issued. Done twice it is done once.",
        access: Access::Right(Right::Revoke),
        query: &[],
        conditional: false,
        body: Body::Required(schema::<Revoke>),
        answer: Answer::Json(200, schema::<RevokedTokens>),
        refusals: &[Kind::NotFound, Kind::TooMany],
        handler: |call| Box::pin(revoke(call)),
    },
    Operation {
        id: "readRevocations",
        method: Method::GET,
        path: "/v1/revocations",
        summary: "Reads what is revoked in a ring, from the beginning or from where the caller has \
                  come to.",
        access: Access::Right(Right::ReadRevocations),
        query: &[
            Parameter {
                name: "ring",
                description: "The ring.",
                required: true,
                shape: Shape::Name,
            },
            Parameter {
                name: "since",
                description: "`next` of the last answer; everything when absent.",
                required: false,
                shape: Shape::Integer { least: 0, most: NUMBER_MAX },
            },
        ],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<Revocations>),
        refusals: &[Kind::NotFound],
        handler: |call| Box::pin(read(call)),
    },
];

fn named_ring(call: &Call, right: Right, name: &str) -> Result<RingName, Refusal> {
    let ring = name.parse().map_err(|_| Refusal::no_such_ring())?;
    authz::check(call.caller()?, right, Some(&ring))?;
    Ok(ring)
}

async fn revoke(call: Call) -> Result<Response, Refusal> {
    let wire: Revoke = call.body()?;
    let ring = named_ring(&call, Right::Revoke, &wire.ring)?;
    authz::check_logout(call.caller()?, &wire)?;
    let kinds = [!wire.revoke.is_empty(), wire.active, wire.issued];
    if kinds.iter().filter(|given| **given).count() != 1 {
        return Err(Refusal::invalid(
            "revoke",
            "it must be exactly one of a list, `active` and `issued`",
            "Name what is to be revoked, or set one of the two",
        ));
    }
    let asked = ring.clone();
    let policy = call.engine(move |engine| engine.policy(&asked)).await?;
    authz::check_protects(call.caller()?, &policy)?;
    let context = call.context(wire.reason.clone())?;
    let named = ring.clone();
    let recorded = call.engine(move |engine| record(engine, &named, &wire, &context)).await?;
    let count = u64::try_from(recorded.count).unwrap_or(u64::MAX);
    json(StatusCode::OK, &RevokedTokens { ring: ring.into(), number: recorded.number, count })
}

fn record(
    engine: &Engine,
    ring: &RingName,
    wire: &Revoke,
    context: &Context,
) -> Result<Recorded, EngineError> {
    if wire.active {
        return engine.revoke_active(ring, context);
    }
    if wire.issued {
        let count = engine.revoke_issued(ring, context)?;
        return Ok(Recorded { number: engine.newest_revocation(ring)?, count });
    }
    engine.revoke(ring, &wire.revoke, context)
}

async fn read(call: Call) -> Result<Response, Refusal> {
    let ring =
        named_ring(&call, Right::ReadRevocations, call.query.name("ring").unwrap_or_default())?;
    let since = call.query.integer("since").unwrap_or(0);
    let asked = ring.clone();
    let policy = call.engine(move |engine| engine.policy(&asked)).await?;
    authz::check_declared(call.caller()?, &policy)?;
    let asked = ring.clone();
    let page = call.engine(move |engine| engine.revocation_page(&asked, since)).await?;
    let RevocationPage { incarnation, entries, next, newest } = page;
    let log = Revocations {
        ring: ring.into(),
        incarnation: incarnation.0,
        revocations: entries,
        next,
        newest,
    };
    json(StatusCode::OK, &log)
}
