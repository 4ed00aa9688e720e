//! Key material: what this process's consumer may hold in its role, and no more.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::material::{Material, VersionMaterial};
use keywheel_core::id::InstanceId;
use keywheel_jose::DangerDelivery;

use crate::authz::Right;
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, Parameter, Shape, schema};
use crate::refusal::Refusal;
use crate::routes::instances::own_consumer;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "fetchMaterial",
    method: Method::GET,
    path: "/v1/rings/{ring}/material",
    summary: "Fetches the keys that the token's consumer may hold in its role: the whole key, or \
              its public half for those who only process with an asymmetric one.",
    access: Access::Right(Right::Consume),
    query: &[Parameter {
        name: "instance",
        description: "The registered process that asks.",
        required: true,
        shape: Shape::Name,
    }],
    conditional: false,
    body: Body::Nothing,
    answer: Answer::Json(200, schema::<Material>),
    refusals: &[],
    handler: |call| Box::pin(fetch(call)),
}];

async fn fetch(call: Call) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let consumer = own_consumer(&call)?;
    let instance = call.query.name("instance").unwrap_or_default();
    let instance: InstanceId = instance.parse().map_err(|error| {
        Refusal::invalid("instance", error, "Give the name that the registration answered with")
    })?;
    let asked = ring.clone();
    let held = call.engine(move |engine| engine.material(&asked, &consumer, &instance)).await?;
    let versions = held.versions.into_iter().map(|version| VersionMaterial {
        number: version.number.0,
        kid: version.kid.0,
        kind: version.kind,
        salt: version.salt,
        delivery: DangerDelivery(version.delivery),
    });
    let material = Material {
        ring: ring.into(),
        incarnation: held.keyset.incarnation.0,
        revision: held.keyset.revision.0,
        primary: held.keyset.primary.map(|number| number.0),
        versions: versions.collect(),
        longest_lifetime_millis: held.keyset.longest_lifetime.as_millis(),
        offline_max_millis: held.keyset.offline_max.as_millis(),
        skew_millis: held.skew.as_millis(),
        lease_ttl_millis: held.keyset.lease_ttl.as_millis(),
        revocations_stale_after_millis: held
            .keyset
            .revocations_stale_after
            .map(keywheel_core::time::Span::as_millis),
        revocations: held.revocations,
        fresh_for_millis: held.fresh_for.map(keywheel_core::time::Span::as_millis),
        ledger: held.keyset.ledger,
        // The server has no objection; whether a host keeps a sealed cache is the client's setting.
        cacheable: true,
    };
    json(StatusCode::OK, &material)
}
