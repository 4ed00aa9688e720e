//! Errors on the wire: RFC 9457 problem documents with a stable type, a cause and a remedy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A stable name: `https://keywheel.dev/problems/` and a [`Kind`].
    pub r#type: String,
    /// The kind in words, the same for every problem of this type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The cause: what about this request, now.
    pub detail: String,
    /// What to do about it.
    pub remedy: String,
    /// Each field that was wrong, where fields were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Each ring because of which a registration was refused; without them it may succeed. Absent
    /// where the problem is not about rings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<RingProblem>,
}

/// One field that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldProblem {
    /// Its name or path.
    pub field: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// One ring that a process cannot be registered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingProblem {
    /// Its name, as the request gave it.
    pub ring: String,
    /// Why not.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// The kinds of problem. Their names are part of the API and do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be understood.
    Malformed,
    /// A field is wrong.
    Invalid,
    /// No token, or one that is not known, expired or revoked.
    Unauthenticated,
    /// The token does not carry the right.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The method does not exist here.
    MethodNotAllowed,
    /// Something of that name exists.
    Exists,
    /// The ring is in a state in which this makes no sense.
    IllegalTransition,
    /// A gate is closed.
    GateClosed,
    /// The ring changed since the revision in `If-Match`.
    RevisionConflict,
    /// An idempotency key came back with another request.
    IdempotencyConflict,
    /// A proof or an instance is not what the server expects.
    ProofRejected,
    /// The body is too large.
    TooLarge,
    /// The content type is not JSON.
    UnsupportedMediaType,
    /// The request did not arrive in time.
    Timeout,
    /// Too many requests, or too many of something.
    TooMany,
    /// This server does not lead.
    NotLeader,
    /// The store does not answer, or is full.
    StoreUnavailable,
    /// The store holds something that this server refuses to believe.
    StoreRefused,
    /// A defect of keywheel.
    Internal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Exists,
        Self::IllegalTransition,
        Self::GateClosed,
        Self::RevisionConflict,
        Self::IdempotencyConflict,
        Self::ProofRejected,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Timeout,
        Self::TooMany,
        Self::NotLeader,
        Self::StoreUnavailable,
        Self::StoreRefused,
        Self::Internal,
    ];

    /// The stable name, the title and the HTTP status.
    pub const fn parts(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::Malformed => ("malformed", "The request cannot be understood", 400),
            Self::Invalid => ("invalid", "The request asks for something that cannot be", 422),
            Self::Unauthenticated => ("unauthenticated", "No valid token was given", 401),
            Self::Forbidden => ("forbidden", "The token does not carry the right", 403),
            Self::NotFound => ("not-found", "There is no such thing", 404),
            Self::MethodNotAllowed => ("method-not-allowed", "This method is not offered", 405),
            Self::Exists => ("exists", "Something of that name exists", 409),
            Self::IllegalTransition => {
                ("illegal-transition", "The ring is in a state that does not allow this", 409)
            }
            Self::GateClosed => ("gate-closed", "A gate is closed", 409),
            Self::RevisionConflict => ("revision-conflict", "The ring has changed", 412),
            Self::IdempotencyConflict => {
                ("idempotency-conflict", "The idempotency key was used for another request", 422)
            }
            Self::ProofRejected => ("proof-rejected", "The proof does not hold", 409),
            Self::TooLarge => ("too-large", "The request is too large", 413),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", "The body must be application/json", 415)
            }
            Self::Timeout => ("timeout", "The request did not arrive in time", 408),
            Self::TooMany => ("too-many", "There are too many of these", 429),
            Self::NotLeader => ("not-leader", "Another server leads", 503),
            Self::StoreUnavailable => ("store-unavailable", "The store does not answer", 503),
            Self::StoreRefused => ("store-refused", "The store cannot be believed", 503),
            Self::Internal => ("internal", "keywheel has a defect", 500),
        }
    }
}

impl Problem {
    /// A problem of this kind.
    pub fn new(kind: Kind, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (name, title, status) = kind.parts();
        Self {
            r#type: format!("https://keywheel.dev/problems/{name}"),
            title: title.into(),
            status,
            detail: detail.into(),
            remedy: remedy.into(),
            fields: Vec::new(),
            rings: Vec::new(),
        }
    }

    /// The kind, when this release knows it.
    pub fn kind(&self) -> Option<Kind> {
        let name = self.r#type.rsplit('/').next()?;
        Kind::ALL.into_iter().find(|kind| kind.parts().0 == name)
    }
}
