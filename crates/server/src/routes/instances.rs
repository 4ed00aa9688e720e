//! Registration: a process becomes known, durably, before it gets any key.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{Method, StatusCode};
use keywheel_api::instance::{Register, Registered};
use keywheel_api::problem::Kind;
use keywheel_core::id::{ConsumerName, RingName};
use keywheel_engine::{NewInstance, Predecessor};
use zeroize::Zeroizing;

use crate::authz::{self, Right};
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "registerInstance",
    method: Method::POST,
    path: "/v1/instances",
    summary: "Registers a process of the token's consumer for up to 64 rings.",
    access: Access::Right(Right::Consume),
    query: &[],
    conditional: false,
    body: Body::Required(schema::<Register>),
    answer: Answer::Json(201, schema::<Registered>),
    refusals: &[Kind::NotFound, Kind::TooMany],
    handler: |call| Box::pin(register(call)),
}];

/// The consumer that a token belongs to.
pub(crate) fn own_consumer(call: &Call) -> Result<ConsumerName, Refusal> {
    call.caller()?.consumer.clone().ok_or_else(|| {
        Refusal::new(
            Kind::Forbidden,
            "the token belongs to no consumer",
            "Make a token of role consumer for the service",
        )
    })
}

/// A ring named in a body: as unknown as one in a path when the token is not good for it.
pub(crate) fn named_ring(call: &Call, name: &str) -> Result<RingName, Refusal> {
    let ring = name.parse().map_err(|_| Refusal::no_such_ring())?;
    authz::check(call.caller()?, Right::Consume, Some(&ring))?;
    Ok(ring)
}

fn predecessor(wire: keywheel_api::instance::Predecessor) -> Result<Predecessor, Refusal> {
    let secret = Zeroizing::new(wire.secret);
    let remedy = "Give what the registration of the former instance answered with";
    let instance = wire
        .instance
        .parse()
        .map_err(|error| Refusal::invalid("succeeds.instance", error, remedy))?;
    let secret = URL_SAFE_NO_PAD.decode(secret.as_bytes()).map(Zeroizing::new);
    let secret = secret.map_err(|_| {
        Refusal::invalid("succeeds.secret", "it is not base64url without padding", remedy)
    })?;
    Ok(Predecessor { instance, secret })
}

async fn register(call: Call) -> Result<Response, Refusal> {
    let wire: Register = call.body()?;
    let consumer = own_consumer(&call)?;
    if wire.consumer != consumer.as_str() {
        return Err(Refusal::new(
            Kind::Forbidden,
            format!("the token belongs to consumer {consumer}, and to no other"),
            "Use the token of the service itself",
        ));
    }
    let rings = wire.rings.iter().map(|name| named_ring(&call, name)).collect::<Result<_, _>>()?;
    let succeeds = wire.succeeds.map(predecessor).transpose()?;
    let (host, pid, endures) = (wire.host, wire.pid, wire.endures);
    let new = NewInstance { consumer, rings, host, pid, endures, succeeds };
    let registration = call.engine(move |engine| engine.register(&new)).await?;
    let nonces = registration.nonces.iter();
    let mut registered = Registered {
        instance: registration.instance.to_string(),
        secret: URL_SAFE_NO_PAD.encode(registration.secret.as_slice()),
        nonces: nonces
            .map(|(ring, nonce)| (ring.to_string(), URL_SAFE_NO_PAD.encode(nonce)))
            .collect(),
    };
    let response = json(StatusCode::CREATED, &registered);
    zeroize::Zeroize::zeroize(&mut registered.secret);
    response
}
