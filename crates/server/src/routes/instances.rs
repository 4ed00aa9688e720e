//! Processes: one becomes known, durably, before it gets any key; one that is silent for good is
//! ended by a person.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{Method, StatusCode};
use keywheel_api::instance::{EndInstance, EndedInstance, Register, Registered};
use keywheel_api::problem::Kind;
use keywheel_core::id::{ConsumerName, InstanceId, RingName};
use keywheel_engine::{Engine, EngineError, NewInstance, Predecessor, RingScope};
use zeroize::Zeroizing;

use crate::authz::{self, Right};
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
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
    },
    Operation {
        id: "endInstance",
        method: Method::POST,
        path: "/v1/instances/{instance}/end",
        summary: "Ends a silent process that cannot say goodbye; needs a reason. Doing it twice is \
                  doing it once.",
        access: Access::Right(Right::BreakGlass),
        query: &[],
        conditional: true,
        body: Body::Required(schema::<EndInstance>),
        answer: Answer::Json(200, schema::<EndedInstance>),
        refusals: &[],
        handler: |call| Box::pin(end(call)),
    },
];

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

/// The rings named in a body. The refusal names every one that the token is not good for, whether
/// there is such a ring or not.
fn named_rings(call: &Call, names: &[String]) -> Result<Vec<RingName>, Refusal> {
    let mut rings = Vec::with_capacity(names.len());
    let mut refused = Vec::new();
    for name in names {
        // What cannot be a ring's name is not repeated.
        let ring: RingName = name.parse().map_err(|_| Refusal::no_such_ring())?;
        match named_ring(call, name) {
            Ok(_) => rings.push(ring),
            Err(refusal) => refused.push((ring, refusal)),
        }
    }
    Refusal::because_of(refused).map_or(Ok(rings), Err)
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
    if wire.consumer.is_some_and(|named| named != consumer.as_str()) {
        return Err(Refusal::new(
            Kind::Forbidden,
            format!("the token belongs to consumer {consumer}, and to no other"),
            "Use the token of the service itself",
        ));
    }
    let rings = named_rings(&call, &wire.rings)?;
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

async fn end(call: Call) -> Result<Response, Refusal> {
    let instance = call.instance()?;
    let wire: EndInstance = call.body()?;
    let context = call.context(Some(wire.reason))?;
    let ring = wire.ring.map(|name| ring_to_end_in(&call, &name)).transpose()?;
    if context.if_match.is_some() && ring.is_none() {
        return Err(Refusal::invalid(
            "ring",
            "If-Match is about one ring, and none is named",
            "Name the ring, or leave If-Match out",
        ));
    }
    let scope = call.caller()?.rings.clone();
    let name = instance.to_string();
    let rings = call
        .engine(move |engine| {
            let rings = match ring {
                Some(ring) => vec![ring],
                None => rings_to_end_in(engine, &scope, &instance)?,
            };
            engine.end_instance(&instance, &rings, &context)?;
            Ok(rings)
        })
        .await?;
    let rings = rings.into_iter().map(Into::into).collect();
    json(StatusCode::OK, &EndedInstance { instance: name, rings })
}

fn ring_to_end_in(call: &Call, name: &str) -> Result<RingName, Refusal> {
    let ring = name.parse().map_err(|_| Refusal::no_such_ring())?;
    authz::check(call.caller()?, Right::BreakGlass, Some(&ring))?;
    Ok(ring)
}

/// Every ring of an instance. A token that is good for some of them only does not end it in part
/// without being asked to.
fn rings_to_end_in(
    engine: &Engine,
    scope: &RingScope,
    instance: &InstanceId,
) -> Result<Vec<RingName>, EngineError> {
    let rings = engine.rings_of(instance)?;
    let own = rings.iter().filter(|ring| scope.contains(ring)).count();
    match own {
        0 => Err(EngineError::NotFound { what: "instance", name: instance.to_string() }),
        own if own < rings.len() => Err(EngineError::Forbidden {
            cause: format!("instance {instance} uses rings that this token is not good for"),
            remedy: "Name the ring in which it is to end, or use a token that is good for all \
                     of them"
                .into(),
        }),
        _ => Ok(rings),
    }
}
