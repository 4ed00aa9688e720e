//! Telling people: notices that the engine keeps until somebody took them, delivered to webhooks,
//! Slack-compatible webhooks and commands.
//!
//! Delivery is at least once. The engine's outbox remembers what is undelivered and when to try
//! again; this module adds a spread to those moments, so that many notices do not come back at
//! once, and remembers (in memory) which targets have had a notice, so that a target that is down
//! does not make the others hear it again. `id` tells a repetition from news.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use keywheel_engine::{Engine, EngineError, PendingNotice, notice_name};

use crate::error::StartError;

mod command;
mod message;
mod webhook;

use message::Message;

/// Someone who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyTarget {
    /// What it is called in logs.
    pub name: String,
    /// Which notices it gets; every one when empty. See [`NOTICES`].
    pub on: BTreeSet<String>,
    /// About which rings; about every one when empty.
    pub rings: BTreeSet<RingName>,
    /// How it is reached.
    pub sink: Sink,
}

/// How a target is reached. Secrets are read from their files at each delivery, so that replacing a
/// file is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A signed `POST` of the notice as JSON. `Keywheel-Signature: t=<unix seconds>,v1=<hex>` is
    /// HMAC-SHA256 under the secret over `<unix seconds>.<body>`; `Keywheel-Notice` is the id.
    Webhook {
        /// A file with the URL: `https`, or `http` to loopback.
        url_file: PathBuf,
        /// A file with the secret; at least 16 bytes after trimming.
        secret_file: PathBuf,
        /// A PEM file with the authorities to trust instead of the well-known ones.
        ca_file: Option<PathBuf>,
    },
    /// A `POST` of `{"text": …}`, as Slack, Mattermost and others take it.
    Slack {
        /// A file with the URL, which is a secret by itself.
        url_file: PathBuf,
        /// A PEM file with the authorities to trust instead of the well-known ones.
        ca_file: Option<PathBuf>,
    },
    /// A program that reads the notice as JSON from standard input. No shell is involved, and of
    /// the environment it sees `PATH`, `HOME`, `LANG` and `TZ` only.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// It is killed when it takes longer.
        timeout: Duration,
    },
}

/// The names of notices.
pub const NOTICES: [&str; 27] = [
    "created",
    "started",
    "published",
    "served",
    "promoted",
    "done",
    "draining",
    "retired",
    "dropped",
    "destroyed",
    "rolled_back",
    "stalled",
    "failed",
    "overdue",
    "compromised",
    "refused",
    "suspended",
    "resumed_version",
    "waived",
    "instance_ended",
    "approved",
    "evidence",
    "paused",
    "resumed",
    "edited",
    "restored",
    "deleted",
];

/// How many targets there can be; each is told on a thread of its own.
const TARGETS_MAX: usize = 16;

/// How often the outbox is looked at.
const PAUSE: Duration = Duration::from_millis(500);

/// How many notices are looked at in one round.
const ROUND: usize = 256;

/// Why a target was not told. Its words never contain a URL or a secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Undelivered(pub(crate) String);

/// Targets that were checked and wait for the engine.
pub(crate) struct Prepared(Vec<NotifyTarget>);

/// The thread that delivers.
pub(crate) struct Postman {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Postman {
    /// Checks targets, so that a mistake is met at the start and not at the first incident.
    pub(crate) fn prepare(targets: &[NotifyTarget]) -> Result<Prepared, StartError> {
        let refuse = |name: &str, cause: String| StartError::Notify { name: name.into(), cause };
        if targets.len() > TARGETS_MAX {
            return Err(refuse("all", format!("there are more than {TARGETS_MAX} targets")));
        }
        for target in targets {
            if let Some(unknown) = target.on.iter().find(|name| !NOTICES.contains(&name.as_str())) {
                let known = NOTICES.join(", ");
                let cause = format!("`{unknown}` is no notice; there are {known}");
                return Err(refuse(&target.name, cause));
            }
            let checked = match &target.sink {
                Sink::Webhook { url_file, secret_file, ca_file } => {
                    webhook::check(url_file, Some(secret_file), ca_file.as_deref())
                }
                Sink::Slack { url_file, ca_file } => {
                    webhook::check(url_file, None, ca_file.as_deref())
                }
                Sink::Command { argv, .. } if argv.is_empty() => {
                    Err(Undelivered("its command is empty".into()))
                }
                Sink::Command { .. } => Ok(()),
            };
            checked.map_err(|error| refuse(&target.name, error.to_string()))?;
        }
        Ok(Prepared(targets.to_vec()))
    }

    /// Ends after the delivery in progress. Blocks until then.
    pub(crate) fn stop(mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the thread that delivers notices had panicked");
            }
        }
    }
}

impl Drop for Postman {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

impl Prepared {
    /// Begins to deliver. Without targets there is nothing to begin.
    pub(crate) fn start(self, engine: Arc<Engine>) -> std::io::Result<Postman> {
        let stopping = Arc::new(AtomicBool::new(false));
        if self.0.is_empty() {
            return Ok(Postman { stopping, thread: None });
        }
        let thread = std::thread::Builder::new().name("keywheel-notify".into()).spawn({
            let stopping = Arc::clone(&stopping);
            move || {
                let mut round = Round { targets: self.0, had: HashSet::new() };
                while !stopping.load(Ordering::Relaxed) {
                    if let Err(error) = round.deliver(&engine, &stopping) {
                        tracing::warn!(cause = %error, "notices wait: the store does not answer");
                    }
                    std::thread::park_timeout(PAUSE);
                }
            }
        })?;
        Ok(Postman { stopping, thread: Some(thread) })
    }
}

struct Round {
    targets: Vec<NotifyTarget>,
    /// Which target has had which undelivered notice.
    had: HashSet<(u64, usize)>,
}

impl Round {
    /// Delivers what is due. Only the leader does, so that two servers do not tell the same twice.
    fn deliver(&mut self, engine: &Engine, stopping: &AtomicBool) -> Result<(), EngineError> {
        let pending = engine.due_notices(ROUND)?;
        if pending.is_empty() || !engine.health().leads {
            return Ok(());
        }
        for notice in pending {
            if stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
            let now = engine.now().wall;
            if now < notice.next_attempt.after(spread(&notice)) {
                continue;
            }
            let failures = self.tell(&notice, now.seconds());
            if failures.is_empty() {
                engine.notice_delivered(notice.id)?;
                self.had.retain(|(id, _)| *id != notice.id);
                continue;
            }
            let why = failures.join("; ");
            let attempts = notice.attempts + 1;
            tracing::warn!(notice = notice.id, attempts, %why, "not delivered");
            if !engine.notice_failed(notice.id, &why)? {
                tracing::error!(notice = notice.id, "given up: see the audit record");
                self.had.retain(|(id, _)| *id != notice.id);
            }
        }
        Ok(())
    }

    /// Tells every target that wants to know and has not been told, side by side.
    fn tell(&mut self, notice: &PendingNotice, unix_secs: i64) -> Vec<String> {
        let message = Message::of(notice);
        let wanting: Vec<_> = self
            .targets
            .iter()
            .enumerate()
            .filter(|(index, target)| {
                target.wants(notice) && !self.had.contains(&(notice.id, *index))
            })
            .collect();
        let results: Vec<(usize, Result<(), Undelivered>)> = std::thread::scope(|scope| {
            let told: Vec<_> = wanting
                .iter()
                .map(|(index, target)| {
                    let message = &message;
                    (*index, scope.spawn(move || target.tell(message, unix_secs)))
                })
                .collect();
            told.into_iter()
                .map(|(index, thread)| {
                    let panicked = |_| Err(Undelivered("the delivery panicked".into()));
                    (index, thread.join().unwrap_or_else(panicked))
                })
                .collect()
        });
        let mut failures = Vec::new();
        for (index, result) in results {
            let name = self.targets.get(index).map_or("", |target| target.name.as_str());
            match result {
                Ok(()) => {
                    tracing::info!(target_name = name, notice = notice.id, "told");
                    self.had.insert((notice.id, index));
                }
                Err(why) => failures.push(format!("{name}: {why}")),
            }
        }
        failures
    }
}

impl NotifyTarget {
    fn wants(&self, notice: &PendingNotice) -> bool {
        let named = self.on.is_empty() || self.on.contains(notice_name(&notice.notice));
        named && (self.rings.is_empty() || self.rings.contains(&notice.ring))
    }

    fn tell(&self, message: &Message, unix_secs: i64) -> Result<(), Undelivered> {
        match &self.sink {
            Sink::Webhook { url_file, secret_file, ca_file } => {
                webhook::post_signed(url_file, secret_file, ca_file.as_deref(), message, unix_secs)
            }
            Sink::Slack { url_file, ca_file } => {
                webhook::post_slack(url_file, ca_file.as_deref(), message)
            }
            Sink::Command { argv, timeout } => command::run(argv, *timeout, message),
        }
    }
}

/// Up to a quarter of the pause before this attempt, drawn from the notice itself: the first
/// attempt is made at once.
fn spread(notice: &PendingNotice) -> Span {
    if notice.attempts == 0 {
        return Span::ZERO;
    }
    let pause_millis = 1_000u64 << notice.attempts.min(12);
    let drawn = notice.id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(notice.attempts) % 256;
    Span::from_millis((pause_millis / 4).min(900_000) * drawn / 256)
}
