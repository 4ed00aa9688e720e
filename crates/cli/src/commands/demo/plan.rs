//! How large the demonstration is, and the policy of its ring: real rules, short times.

use std::path::PathBuf;

use keywheel_core::time::Span;

use super::Args;

/// How many rotations the script has.
pub(super) const ROTATIONS_MAX: u8 = 4;
/// The ring's name.
pub(super) const RING: &str = "requests";
/// How long a request lives; also the ring's `longest_lifetime`.
pub(super) const LIFETIME: Span = Span::from_millis(3_000);
/// How long the stopped process sleeps after the gate has named it.
pub(super) const STOPPED_FOR: Span = Span::from_millis(4_000);
/// How long the new version signs before the rotation is taken back.
pub(super) const USED_BEFORE_ROLLBACK: Span = Span::from_millis(800);
/// How long the killed server stays away.
pub(super) const SERVER_AWAY_FOR: Span = Span::from_millis(2_000);

/// The server's configuration. Everything in it is what users write too.
pub(super) const CONFIGURATION: &str = r#"
[server]
listen = ["unix:kw.sock"]
state_dir = "state"
name = "demo"
lease_ttl = "2s"

[ring.requests]
kind = "signing"
algorithm = "EdDSA"
longest_lifetime = "3s"
skew = "500ms"
lease_ttl = "1s"
offline_max = "15s"
destroy_after = "1d"
passive = ["jwks-cache=1s"]

[[ring.requests.consumer]]
name = "api"
role = "protect"

[[ring.requests.consumer]]
name = "billing"
role = "protect"
"#;

/// What is done to a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    Plain,
    Stopped,
    RolledBack,
    Killed,
}

impl Trial {
    /// In the order of the script.
    const ALL: [Self; ROTATIONS_MAX as usize] =
        [Self::Plain, Self::Stopped, Self::RolledBack, Self::Killed];

    /// What is done to it, in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Plain => "nothing special",
            Self::Stopped => "a worker is stopped (SIGSTOP)",
            Self::RolledBack => "rolled back half way",
            Self::Killed => "the server is killed (SIGKILL)",
        }
    }
}

/// How large the demonstration is.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) trials: Vec<Trial>,
    /// Workers of `api`, and of `billing`.
    pub(super) workers: (usize, usize),
    /// How many requests each worker sends.
    pub(super) requests_per_sec: u32,
    /// Fewer requests than this prove nothing.
    pub(super) requests_min: u64,
    /// Whether keys are swapped in one step.
    pub(super) naive: bool,
    /// Where to draw the screen.
    pub(super) snapshot: Option<PathBuf>,
}

impl Plan {
    /// Sizes the demonstration.
    pub(super) fn new(args: &Args) -> Self {
        let workers = usize::from(args.workers);
        // The same load whatever the number of workers.
        let load = if args.quick { 210 } else { 560 };
        let rotations = usize::from(args.rotations);
        let share = u64::from(args.rotations) * if args.quick { 250 } else { 2_500 };
        Self {
            trials: Trial::ALL.into_iter().take(rotations).collect(),
            workers: (workers / 2, workers - workers / 2),
            requests_per_sec: (load / u32::from(args.workers)).max(1),
            requests_min: share,
            naive: args.naive,
            snapshot: args.snapshot.clone(),
        }
    }
}
