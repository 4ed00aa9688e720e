//! Rings: list, status, declaration, deletion.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{Method, StatusCode};
use keywheel_api::problem::Kind;
use keywheel_api::ring::{Import, PutRing, RefusedRing, RingStatus, Rings, Verb as WireVerb};
use keywheel_core::id::RingName;
use keywheel_engine::{Caller, Engine, EngineError, ImportedKey, RingScope, Role, Snapshot, Verb};
use zeroize::{Zeroize as _, Zeroizing};

use crate::authz::{self, Right};
use crate::call::{Call, json, ring_json};
use crate::operation::{Access, Answer, Body, Operation, Parameter, Shape, schema};
use crate::refusal::Refusal;
use crate::routes::verbs;
use crate::status;

const PAGE: u64 = 100;
const PAGE_MAX: u64 = 500;

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "listRings",
        method: Method::GET,
        path: "/v1/rings",
        summary: "Lists the rings that the token is good for, in order of name.",
        access: Access::Right(Right::ReadStatus),
        query: &[
            Parameter {
                name: "after",
                description: "Goes on after this ring.",
                required: false,
                shape: Shape::Name,
            },
            Parameter {
                name: "limit",
                description: "At most this many; 100 when absent.",
                required: false,
                shape: Shape::Integer { least: 1, most: PAGE_MAX },
            },
        ],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<Rings>),
        refusals: &[],
        handler: |call| Box::pin(list(call)),
    },
    Operation {
        id: "showRing",
        method: Method::GET,
        path: "/v1/rings/{ring}",
        summary: "Shows how a ring stands: versions, gates, instances, policy.",
        access: Access::Right(Right::ReadStatus),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[],
        handler: |call| Box::pin(show(call)),
    },
    Operation {
        id: "putRing",
        method: Method::PUT,
        path: "/v1/rings/{ring}",
        summary: "Creates a ring, or changes its policy. Removing a consumer that has instances \
                  needs a reason and a token of role breakglass.",
        access: Access::Right(Right::PutRing),
        query: &[],
        conditional: true,
        body: Body::Required(schema::<PutRing>),
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[Kind::Exists],
        handler: |call| Box::pin(put(call)),
    },
    Operation {
        id: "deleteRing",
        method: Method::DELETE,
        path: "/v1/rings/{ring}",
        summary: "Turns a ring into a tombstone; refused while an instance accepts anything of it. \
                  Giving up what it protected (lose_data) needs a token of role breakglass.",
        access: Access::Right(Right::DeleteRing),
        query: &[],
        conditional: true,
        body: Body::Optional(schema::<WireVerb>),
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[Kind::GateClosed],
        handler: |call| Box::pin(delete(call)),
    },
];

/// What a caller may see of a ring. A consumer sees the rings that declare it, without the
/// processes of others.
pub(crate) fn visible(caller: &Caller, snapshot: &Snapshot) -> Result<RingStatus, Refusal> {
    let mut status = status::ring_status(snapshot);
    if !authz::sees_places(&caller.role) {
        status::hide_places(&mut status);
    }
    match (&caller.role, &caller.consumer) {
        (Role::Consumer, Some(own)) if snapshot.ring.policy.consumers.contains_key(own) => {
            Ok(status::for_consumer(status, own))
        }
        (Role::Consumer, _) => Err(Refusal::no_such_ring()),
        _ => Ok(status),
    }
}

async fn list(call: Call) -> Result<Response, Refusal> {
    let limit = call.query.integer("limit").unwrap_or(PAGE);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after: Option<RingName> = call.query.name("after").and_then(|name| name.parse().ok());
    let scope = call.caller()?.rings.clone();
    let (snapshots, refused, next) =
        call.engine(move |engine| page(engine, &scope, after.as_ref(), limit)).await?;
    let caller = call.caller()?;
    let rings = snapshots.iter().filter_map(|snapshot| visible(caller, snapshot).ok()).collect();
    // What a consumer may know of a ring that cannot be read cannot be told either.
    let refused = if matches!(caller.role, Role::Consumer) { Vec::new() } else { refused };
    json(StatusCode::OK, &Rings { rings, refused, next })
}

type Page = (Vec<Snapshot>, Vec<RefusedRing>, Option<String>);

/// The rings after a name. One that is not believed does not hide the others.
fn page(
    engine: &Engine,
    scope: &RingScope,
    after: Option<&RingName>,
    limit: usize,
) -> Result<Page, EngineError> {
    let mut names = match scope {
        RingScope::All => engine.ring_names(after, limit.saturating_add(1))?,
        RingScope::Only(rings) => {
            let mut names: Vec<_> =
                rings.iter().filter(|ring| after < Some(ring)).cloned().collect();
            names.sort();
            names.dedup();
            names
        }
    };
    let more = names.len() > limit;
    names.truncate(limit);
    let next = if more { names.last().map(ToString::to_string) } else { None };
    let (mut snapshots, mut refused) = (Vec::with_capacity(names.len()), Vec::new());
    for name in &names {
        match engine.snapshot(name) {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(EngineError::NotFound { .. }) => {}
            Err(error @ EngineError::Distrusted { .. }) => refused.push(RefusedRing {
                name: name.to_string(),
                cause: error.to_string(),
                remedy: error.remedy(),
            }),
            Err(error) => return Err(error),
        }
    }
    Ok((snapshots, refused, next))
}

async fn show(call: Call) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let snapshot = call.engine(move |engine| engine.snapshot(&ring)).await?;
    ring_json(&visible(call.caller()?, &snapshot)?)
}

async fn put(call: Call) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let PutRing { policy, import, removing_because } = call.body()?;
    authz::needs_breakglass(call.caller()?, removing_because.is_some())?;
    let import = import.map(imported).transpose()?;
    let context = call.context(removing_because.clone())?;
    let only_change = removing_because.is_some() || context.if_match.is_some();
    let snapshot = call
        .engine(move |engine| {
            if only_change {
                // Whoever may only remove consumers, or expects a revision, must not create rings.
                engine.snapshot(&ring)?;
            }
            engine.put_ring(&ring, &policy, import.as_ref(), removing_because, &context)
        })
        .await?;
    let revision = snapshot.ring.revision.0;
    tracing::info!(ring = %snapshot.ring.name, revision, "ring declared");
    ring_json(&visible(call.caller()?, &snapshot)?)
}

/// Key material on its way in.
pub(crate) fn imported(mut import: Import) -> Result<ImportedKey, Refusal> {
    let format = import.format.parse().map_err(|_| {
        Refusal::invalid(
            "import.format",
            "there is no such format",
            "Use raw, text, hex, base64, base64url, pem or jwk",
        )
    })?;
    let bytes = URL_SAFE_NO_PAD.decode(import.value.as_bytes()).map(Zeroizing::new);
    import.value.zeroize();
    let bytes = bytes.map_err(|_| {
        Refusal::invalid(
            "import.value",
            "it is not base64url without padding",
            "Encode the bytes of the key, whatever their own format is",
        )
    })?;
    Ok(ImportedKey { format, bytes })
}

async fn delete(call: Call) -> Result<Response, Refusal> {
    let wire: WireVerb = call.body_or_default()?;
    verbs::only(&wire, &["reason", "lose_data"])?;
    authz::needs_breakglass(call.caller()?, wire.lose_data)?;
    let verb = Verb::Delete { lose_data: wire.lose_data };
    verbs::act(call, verb, wire.reason).await
}
