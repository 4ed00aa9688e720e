//! The table of operations. Router, rights, checks of parameters and the OpenAPI document are all
//! made from it, so that none of them can say something else than the others.

use std::pin::Pin;

use axum::response::Response;
use hyper::Method;
use keywheel_api::problem::Kind;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::authz::Right;
use crate::call::Call;
use crate::refusal::Refusal;
use crate::routes;

/// What a handler returns.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// One operation of the API.
pub(crate) struct Operation {
    /// Its stable name, for clients that are generated, and for metrics.
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    /// With `{ring}`, `{version}`, `{gate}`, `{column}`, `{instance}`, `{scan}` and `{token}` where
    /// they stand.
    pub(crate) path: &'static str,
    /// One sentence.
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    pub(crate) query: &'static [Parameter],
    /// Whether `Idempotency-Key` and `If-Match` mean something here.
    pub(crate) conditional: bool,
    pub(crate) body: Body,
    pub(crate) answer: Answer,
    /// What it can refuse besides what follows from the above.
    pub(crate) refusals: &'static [Kind],
    pub(crate) handler: fn(Call) -> Answering,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody who reaches the server.
    Open,
    /// A token with this right.
    Right(Right),
    /// As `Right(ReadMetrics)`, unless the settings open metrics on loopback.
    Metrics,
}

/// A parameter of the query.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

/// What a parameter can be.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A whole number within these bounds.
    Integer { least: u64, most: u64 },
    /// A name as rings and instances have it.
    Name,
    /// A length of time such as `30s`, at most this many seconds.
    Span { most_secs: u64 },
}

/// The most bytes of a large body.
pub(crate) const LARGE_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What a request carries.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    Nothing,
    Optional(SchemaOf),
    Required(SchemaOf),
    /// As `Required`, but it may be longer than other bodies: [`LARGE_BODY_BYTES`].
    Large(SchemaOf),
    /// A form, as OAuth has it (`application/x-www-form-urlencoded`).
    Form(SchemaOf),
}

/// What a request gets.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// JSON of this form, with this status.
    Json(u16, SchemaOf),
    /// The same, with the ring's revision as entity tag.
    Ring(SchemaOf),
    /// Any JSON.
    Document,
    /// Plain text of this media type.
    Text(&'static str),
    /// Server-sent events whose data has the first form, or one JSON document of the second.
    Events(SchemaOf, SchemaOf),
}

/// Names a type's schema.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type, by reference.
pub(crate) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Every operation.
pub(crate) fn all() -> impl Iterator<Item = &'static Operation> {
    [
        routes::root::OPERATIONS,
        routes::rings::OPERATIONS,
        routes::verbs::OPERATIONS,
        routes::versions::OPERATIONS,
        routes::gates::OPERATIONS,
        routes::columns::OPERATIONS,
        routes::scans::OPERATIONS,
        routes::events::OPERATIONS,
        routes::plan::OPERATIONS,
        routes::instances::OPERATIONS,
        routes::reports::OPERATIONS,
        routes::material::OPERATIONS,
        routes::watch::OPERATIONS,
        routes::revocations::OPERATIONS,
        routes::issued::OPERATIONS,
        routes::tokens::OPERATIONS,
        routes::audit::OPERATIONS,
        routes::jwks::OPERATIONS,
        routes::oauth::OPERATIONS,
        routes::sign::OPERATIONS,
        routes::health::OPERATIONS,
        routes::metrics::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

impl Operation {
    /// What anybody who reaches the server may read.
    pub(crate) const fn open(
        id: &'static str,
        path: &'static str,
        summary: &'static str,
        answer: Answer,
        refusals: &'static [Kind],
        handler: fn(Call) -> Answering,
    ) -> Self {
        Self {
            id,
            method: Method::GET,
            path,
            summary,
            access: Access::Open,
            query: &[],
            conditional: false,
            body: Body::Nothing,
            answer,
            refusals,
            handler,
        }
    }

    /// The most bytes of its body, where others take `usual`.
    pub(crate) fn body_bytes(&self, usual: usize) -> usize {
        if matches!(self.body, Body::Large(_)) { usual.max(LARGE_BODY_BYTES) } else { usual }
    }

    /// The statuses that it can refuse with, and why, in order.
    pub(crate) fn all_refusals(&self) -> Vec<Kind> {
        let mut kinds = vec![Kind::Internal, Kind::StoreUnavailable, Kind::StoreRefused];
        if self.access != Access::Open {
            kinds.extend([Kind::Unauthenticated, Kind::Forbidden]);
        }
        if self.path.contains('{') {
            kinds.push(Kind::NotFound);
        }
        kinds.push(Kind::Malformed);
        match self.body {
            Body::Nothing => kinds.push(Kind::TooLarge),
            Body::Optional(_) | Body::Required(_) | Body::Large(_) | Body::Form(_) => kinds
                .extend([Kind::Invalid, Kind::TooLarge, Kind::UnsupportedMediaType, Kind::Timeout]),
        }
        if self.conditional {
            kinds.extend([
                Kind::RevisionConflict,
                Kind::IdempotencyConflict,
                Kind::IllegalTransition,
                Kind::NotLeader,
            ]);
        }
        kinds.extend_from_slice(self.refusals);
        kinds.sort_by_key(|kind| (kind.parts().2, kind.parts().0));
        kinds.dedup();
        kinds
    }
}
