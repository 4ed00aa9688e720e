//! Why the engine could not do what was asked: cause in the message, remedy beside it.

use keywheel_core::id::RingName;
use keywheel_core::policy::PolicyErrors;
use keywheel_core::rotation::Refused;

use crate::ports::{CommitError, HighWaterError, SealFault, StoreError};

/// Why the engine could not do what was asked. State is as it was, but for `Unknown`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The transition function refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The declared policy cannot be.
    #[error("the policy cannot be: {0}")]
    Policy(#[from] PolicyErrors),
    /// A value of the request is wrong.
    #[error("{field}: {cause}")]
    Invalid {
        /// Which.
        field: String,
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Something of that name exists.
    #[error("{what} `{name}` exists already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The ring changed since the caller looked.
    #[error("the ring is at revision {present}, not {expected}")]
    RevisionConflict {
        /// What the caller expected.
        expected: u64,
        /// What it is.
        present: u64,
    },
    /// The idempotency key was used for something else.
    #[error("this idempotency key was used for another request")]
    IdempotencyConflict,
    /// The caller lacks the right.
    #[error("{cause}")]
    Forbidden {
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// The token is none, or is not valid here and now.
    #[error("the token is not valid")]
    Unauthenticated,
    /// A registration is refused because of these rings, in order of name: each has its reason.
    #[error("{} of the rings cannot be registered for", .0.len())]
    Rings(Vec<(RingName, EngineError)>),
    /// There are too many of something.
    #[error("{0}")]
    TooMany(String),
    /// Another server leads, or nobody does at the moment.
    #[error("this server does not lead")]
    NotLeader,
    /// Other writers were faster again and again.
    #[error("other writers kept changing {0}")]
    Contended(String),
    /// The answer of the store was lost; the change may have happened.
    #[error("it is unknown whether the change happened: {0}")]
    Unknown(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds is not believed.
    #[error("{subject} is not believed: {cause}")]
    Distrusted {
        /// The store key.
        subject: String,
        /// Why.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// The memory outside the store failed.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
    /// A defect of keywheel.
    #[error("keywheel has a defect: {0}")]
    Defect(String),
}

impl EngineError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Refused(refused) => refused.remedy.clone(),
            Self::Policy(_) => "Correct the fields named above".into(),
            Self::Invalid { remedy, .. }
            | Self::Forbidden { remedy, .. }
            | Self::Distrusted { remedy, .. } => remedy.clone(),
            Self::NotFound { .. } => "Check the name; `keywheel status` lists what there is".into(),
            Self::Exists { .. } => "Choose another name, or change the one that exists".into(),
            Self::RevisionConflict { .. } => "Read it again, and decide again".into(),
            Self::IdempotencyConflict => "Draw a new key for each new request".into(),
            Self::Unauthenticated => {
                "Give a token that exists, has not expired and is bound to this place".into()
            }
            Self::Rings(_) => "Register for the others".into(),
            Self::TooMany(_) => "Remove some first".into(),
            Self::NotLeader => "Ask the leading server, or try again in a few seconds".into(),
            Self::Contended(_) => "Try again".into(),
            Self::Unknown(_) => "Read the ring again before you repeat anything".into(),
            Self::Store(StoreError::Full(_)) => {
                "Free space on its disk; nothing was lost and nothing is retired meanwhile".into()
            }
            Self::Store(_) => {
                "See that the store runs; consumers go on with what they hold meanwhile".into()
            }
            Self::HighWater(_) => "See that the state directory can be written".into(),
            Self::Defect(_) => "Please report it".into(),
        }
    }

    pub(crate) fn sealing(subject: &str, fault: &SealFault) -> Self {
        let remedy = match fault {
            SealFault::WrongKey { .. } => {
                "Start the server with the master key that it names; nothing was changed"
            }
            SealFault::Damaged(_) => {
                "Put the undamaged row back, or restore the store from a backup"
            }
            SealFault::Provider(_) => "See that the master key provider works",
        };
        Self::Distrusted {
            subject: subject.into(),
            cause: fault.to_string(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn defect(cause: impl std::fmt::Display) -> Self {
        Self::Defect(cause.to_string())
    }
}

impl From<CommitError> for EngineError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(key) => Self::Contended(key.as_str().into()),
            CommitError::Fenced => Self::NotLeader,
            CommitError::Unknown(cause) => Self::Unknown(cause),
            CommitError::Store(error) => Self::Store(error),
        }
    }
}
