//! Every error that leaves the server, as an RFC 9457 problem document.

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use keywheel_api::problem::{self, FieldProblem, Kind, Problem, RingProblem};
use keywheel_core::id::RingName;
use keywheel_core::rotation::{Refused, RefusedKind};
use keywheel_engine::EngineError;
use keywheel_engine::ports::StoreError;

/// Why a request was not done; boxed, because it is the rare way out.
#[derive(Debug)]
pub(crate) struct Refusal(Box<Problem>);

impl Refusal {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(kind, detail, remedy)))
    }

    /// One field is wrong.
    pub(crate) fn field(
        kind: Kind,
        field: impl Into<String>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let (field, cause, remedy) = (field.into(), cause.into(), remedy.into());
        let mut problem = Problem::new(kind, format!("{field}: {cause}"), remedy.clone());
        problem.fields.push(FieldProblem { field, cause, remedy });
        Self(Box::new(problem))
    }

    /// A field of a request that was understood, but asks for what cannot be.
    pub(crate) fn invalid(
        field: impl Into<String>,
        cause: impl std::fmt::Display,
        remedy: impl Into<String>,
    ) -> Self {
        Self::field(Kind::Invalid, field, cause.to_string(), remedy)
    }

    /// No such path, or none that this caller may know of: the same words for both.
    pub(crate) fn no_such_ring() -> Self {
        Self::new(
            Kind::NotFound,
            "there is no such ring, or this token is not good for it",
            "Check the name; `keywheel status` lists the rings of a token",
        )
    }

    /// A registration is refused because of these rings. What is wrong with the first of them says
    /// what kind of problem it is; nothing where there is none.
    pub(crate) fn because_of(rings: Vec<(RingName, Self)>) -> Option<Self> {
        let named = rings.iter().map(|(ring, Self(problem))| RingProblem {
            ring: ring.to_string(),
            cause: problem.detail.clone(),
            remedy: problem.remedy.clone(),
        });
        let named = named.collect();
        let (_, Self(mut first)) = rings.into_iter().next()?;
        first.rings = named;
        Some(Self(first))
    }

    /// A defect: the cause goes to the log, not to the caller.
    pub(crate) fn defect(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request met a defect");
        Self::new(
            Kind::Internal,
            "the server could not finish this request because of a defect",
            "Please report it with the server's log of this moment",
        )
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let kind = self.0.kind();
        // The document is strings and numbers, which always serialize.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = Response::new(axum::body::Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if kind == Some(Kind::Unauthenticated) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let error = match error {
            EngineError::Rings(rings) => {
                let rings = rings.into_iter().map(|(ring, error)| (ring, error.into()));
                return Self::because_of(rings.collect())
                    .unwrap_or_else(|| Self::defect(&"no ring is wrong"));
            }
            error => error,
        };
        match &error {
            EngineError::Defect(cause) => return Self::defect(cause),
            // The same words as for a ring that the token is not good for.
            EngineError::NotFound { what: "ring", .. } => return Self::no_such_ring(),
            _ => {}
        }
        let mut problem = Problem::new(kind_of(&error), error.to_string(), error.remedy());
        match error {
            EngineError::Policy(errors) => {
                problem.detail = match errors.0.len() {
                    1 => "one field of the policy is wrong".into(),
                    several => format!("{several} fields of the policy are wrong"),
                };
                problem.fields = errors
                    .0
                    .into_iter()
                    .map(|error| FieldProblem {
                        field: error.field,
                        cause: error.cause,
                        remedy: error.remedy,
                    })
                    .collect();
            }
            EngineError::Invalid { field, cause, remedy } => {
                problem.fields.push(FieldProblem { field, cause, remedy });
            }
            _ => {}
        }
        Self(Box::new(problem))
    }
}

fn kind_of(error: &EngineError) -> Kind {
    match error {
        EngineError::Refused(Refused { kind, .. }) => match kind {
            RefusedKind::GateClosed => Kind::GateClosed,
            RefusedKind::NotFound => Kind::NotFound,
            RefusedKind::Invalid => Kind::Invalid,
            RefusedKind::Forbidden => Kind::Forbidden,
            // `Illegal`, and kinds that a later core adds: the ring's state does not allow it.
            _ => Kind::IllegalTransition,
        },
        EngineError::Policy(_) | EngineError::Invalid { .. } => Kind::Invalid,
        EngineError::NotFound { .. } => Kind::NotFound,
        EngineError::Exists { .. } => Kind::Exists,
        EngineError::RevisionConflict { .. } => Kind::RevisionConflict,
        EngineError::IdempotencyConflict => Kind::IdempotencyConflict,
        EngineError::Forbidden { .. } => Kind::Forbidden,
        EngineError::Unauthenticated => Kind::Unauthenticated,
        EngineError::TooMany(_) => Kind::TooMany,
        EngineError::NotLeader => Kind::NotLeader,
        EngineError::Contended(_)
        | EngineError::Unknown(_)
        | EngineError::HighWater(_)
        | EngineError::Store(StoreError::Unavailable(_) | StoreError::Full(_)) => {
            Kind::StoreUnavailable
        }
        EngineError::Store(_) | EngineError::Distrusted { .. } => Kind::StoreRefused,
        _ => Kind::Internal,
    }
}
