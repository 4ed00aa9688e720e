//! What can go wrong for the application, each with its cause and a remedy.

use std::sync::Arc;

use keywheel_core::time::Span;
use keywheel_jose::UseError;

/// Settings with which there can be no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address of the server.
    #[error(transparent)]
    Endpoint(#[from] crate::http::EndpointError),
    /// A name.
    #[error(transparent)]
    Name(#[from] keywheel_core::id::NameError),
    /// Keys that were given by hand contradict themselves.
    #[error(
        "the keys are none, or two have one number or kid, or the primary is none of them; give \
         each version a number and a kid of its own"
    )]
    StillKeys,
    /// Keys were given by hand to a client that gets them from a server.
    #[error("this client gets its keys from a server; rotate the ring there")]
    NotStill,
    /// No ring was named, or too many, or one twice.
    #[error("{count} rings were named; name each ring that this process uses once, at most 64")]
    Rings {
        /// How many.
        count: usize,
    },
    /// A label for the host that cannot be shown.
    #[error("the host label is empty, longer than 64 characters, or not printable; shorten it")]
    Host,
    /// A ring was asked for that was not named.
    #[error("this client does not watch ring {0}; name it with .ring(…) when building the client")]
    UnknownRing(String),
}

const NO_ANSWER_YET: &str = "the server has not answered yet; check that it runs, then try again";

/// Why the client cannot do its work now.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The watcher cannot start.
    #[error("the watcher cannot start: {cause}; raise the limits of this process, then try again")]
    Start {
        /// What the system said.
        cause: String,
    },
    /// No keyset has arrived.
    #[error("ring {ring} has not arrived: {}", trouble.as_deref().unwrap_or(NO_ANSWER_YET))]
    NotLoaded {
        /// The ring.
        ring: String,
        /// What the last attempt ended with, cause and remedy.
        trouble: Option<Arc<str>>,
    },
    /// A server refuses this ring, and no keyset of it is held. The other rings go on.
    #[error(
        "ring {ring} is refused: {refusal}; the other rings of this process go on without it, and \
         it is asked for again within seconds"
    )]
    Refused {
        /// The ring.
        ring: String,
        /// What the server said, cause and remedy.
        refusal: Arc<String>,
    },
    /// The client was shut down.
    #[error("this client was shut down; build a new one")]
    Closed,
    /// The client speaks for itself.
    #[error("this client proves what it holds by itself; build it with .deferred() to confirm")]
    NotDeferred,
    /// A confirmation without evidence.
    #[error(
        "that a time passed does not show what a consumer uses; confirm with attested, held,          exercised or probed"
    )]
    NotEvidence,
}

/// Why nothing may be protected now.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// The client cannot do its work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The last contact is too long ago: the servers may count on this process having stopped.
    #[error(
        "no server has been reached for {silent_for}, longer than offline_max of {offline_max}; \
         check that a server runs and that this process reaches it"
    )]
    Offline {
        /// How long ago the last contact was.
        silent_for: Span,
        /// How long is permitted.
        offline_max: Span,
    },
    /// What is held came from the host cache, and may only be processed with.
    #[error(
        "what this process holds came from the host cache and is too old or too uncertain to \
         protect with; it will protect as soon as it reaches a server"
    )]
    Unconfirmed,
    /// The ring has no primary.
    #[error(
        "the ring has no primary version; a restored ring gets one when its consumers have \
         confirmed it: see `keywheel status`"
    )]
    NoPrimary,
    /// This process holds the half that verifies.
    #[error(
        "this consumer may only verify; give it the role `protect` in the ring's policy to let it \
         sign"
    )]
    NotAProtector,
    /// The key refused.
    #[error(transparent)]
    Use(#[from] UseError),
}

/// It is not known whether a token was revoked, and the ring's policy does not permit to go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what was revoked in ring {ring} {}, and its policy permits {limit}; check that a server runs, \
     that its store answers, and that this process reaches it",
    last_known(*known_for)
)]
pub struct RevocationsStale {
    /// The ring.
    pub ring: String,
    /// How long ago what is known was complete; nothing when it never was in this process.
    pub known_for: Option<Span>,
    /// How long is permitted: `revocations_stale_after`.
    pub limit: Span,
}

fn last_known(ago: Option<Span>) -> String {
    match ago {
        Some(ago) => format!("was last known {ago} ago"),
        None => "has not arrived yet".into(),
    }
}

/// Why a token's revocation could not be looked up.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationCheckError {
    /// The client cannot do its work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What is known is too old.
    #[error(transparent)]
    Stale(#[from] RevocationsStale),
}

/// Why something was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The client cannot do its work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No accepted version has this kid, and the server knows none either.
    #[error(
        "no accepted version has this kid; what it protected is too old, or of another issuer: \
         let the user obtain it anew"
    )]
    UnknownKid,
    /// The key refused.
    #[error(transparent)]
    Use(#[from] UseError),
}
