//! Public keys for everybody's libraries: JWK sets (RFC 7517), discovery, and who fetched them.
//! Symmetric keys never stand here.

use axum::response::Response;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{Method, StatusCode};
use keywheel_api::jwks::JwksClients;
use keywheel_api::problem::Kind;
use keywheel_core::id::RingName;
use serde_json::{Value, json as value};

use crate::authz::Right;
use crate::call::{Call, json};
use crate::edge::Jwks;
use crate::jwks;
use crate::operation::{Access, Answer, Answering, Body, Operation, schema};
use crate::refusal::Refusal;

pub(crate) const OPERATIONS: &[Operation] = &[
    open(
        "jwks",
        "/.well-known/jwks.json",
        "Shows the public keys of every ring with asymmetric signing keys as a JWK set, with a \
         strong entity tag; they may be kept for as long as Cache-Control says.",
        |call| Box::pin(async move { document(&call, None) }),
    ),
    open(
        "ringJwks",
        "/v1/rings/{ring}/jwks.json",
        "Shows the public keys of one ring as a JWK set.",
        |call| {
            Box::pin(async move {
                let ring = call.ring()?;
                document(&call, Some(&ring))
            })
        },
    ),
    open(
        "discovery",
        "/.well-known/openid-configuration",
        "Says where the keys are, for clients that begin with an issuer (OpenID Connect Discovery \
         1.0); only where `oidc.issuer` is configured.",
        |call| Box::pin(async move { discovery(&call) }),
    ),
    Operation {
        id: "jwksClients",
        method: Method::GET,
        path: "/v1/rings/{ring}/jwks-clients",
        summary: "Shows who fetched the public keys of a ring from this server, and which.",
        access: Access::Right(Right::ReadFetches),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<JwksClients>),
        refusals: &[],
        handler: |call| Box::pin(clients(call)),
    },
];

const fn open(
    id: &'static str,
    path: &'static str,
    summary: &'static str,
    handler: fn(Call) -> Answering,
) -> Operation {
    Operation::open(id, path, summary, Answer::Document, &[Kind::NotFound], handler)
}

fn document(call: &Call, ring: Option<&RingName>) -> Result<Response, Refusal> {
    match call.app.shelf.jwks(ring) {
        Jwks::Known(document) => {
            let now = call.app.wall();
            call.app.fetches.note(call.peer, &call.headers, &document, ring, now);
            jwks::answer(&call.headers, &document)
        }
        Jwks::Nothing => Err(no_public_keys()),
        Jwks::NotYet => Err(Refusal::new(
            Kind::StoreUnavailable,
            "the server has just started and has not read every ring",
            "Try again in a second",
        )),
    }
}

/// The same words for a ring that does not exist: anybody may ask.
fn no_public_keys() -> Refusal {
    Refusal::new(
        Kind::NotFound,
        "there is no such ring, or it has no public keys",
        "Name a ring of kind signing with an asymmetric algorithm; HS256, HS384 and HS512 have no \
         public keys",
    )
}

fn discovery(call: &Call) -> Result<Response, Refusal> {
    let Some(issuer) = &call.app.issuer else {
        return Err(Refusal::new(
            Kind::NotFound,
            "this server is no issuer",
            "Set oidc.issuer in keywheel.toml to the address at which clients reach this server; \
             the keys themselves are at /.well-known/jwks.json",
        ));
    };
    let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    let algorithms = call.app.shelf.algorithms();
    let document: Value = value!({
        "issuer": issuer,
        "jwks_uri": at("/.well-known/jwks.json"),
        "introspection_endpoint": at("/oauth/introspect"),
        "revocation_endpoint": at("/oauth/revoke"),
        "response_types_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    });
    let mut response = json(StatusCode::OK, &document)?;
    // It changes with the algorithms only.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response)
}

async fn clients(call: Call) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let asked = ring.clone();
    let snapshot = call.engine(move |engine| engine.snapshot(&asked)).await?;
    let revision = snapshot.ring.keyset_revision.0;
    json(StatusCode::OK, &JwksClients { revision, clients: call.app.fetches.of(&ring) })
}
