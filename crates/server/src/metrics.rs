//! What Prometheus reads: counters of this server, and gauges of the rings, in its text format.
//!
//! Labels come from closed sets (operations, statuses, stages) and from declared names (rings,
//! consumers, gates, accepted versions); nothing that a caller can make up becomes a label.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use keywheel_core::gate::GateStatus;
use keywheel_core::ring::{Stage, State};
use keywheel_core::view::Standing;
use keywheel_engine::{EngineError, Health, RevocationCount, Snapshot};

/// The media type of the text format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters of this server since its start.
#[derive(Default)]
pub(crate) struct Counters {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    engine_errors: Mutex<BTreeMap<&'static str, u64>>,
    turned_away: AtomicU64,
}

impl Counters {
    pub(crate) fn request(&self, operation: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((operation, status)).or_default() += 1;
    }

    /// Counts what is the matter with store or cluster; what callers did wrong is no error here.
    pub(crate) fn engine_error(&self, error: &EngineError) {
        let kind = match error {
            EngineError::Store(_) | EngineError::HighWater(_) => "store",
            EngineError::Unknown(_) => "unknown_outcome",
            EngineError::Contended(_) => "contended",
            EngineError::Distrusted { .. } => "distrusted",
            EngineError::NotLeader => "not_leader",
            EngineError::Defect(_) => "defect",
            _ => return,
        };
        let mut errors = self.engine_errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(kind).or_default() += 1;
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }
}

/// Everything that one answer shows.
pub(crate) struct Scrape<'a> {
    pub(crate) counters: &'a Counters,
    pub(crate) health: &'a Health,
    pub(crate) watchers: usize,
    pub(crate) notices_waiting: usize,
    pub(crate) rings: &'a [Snapshot],
    pub(crate) rings_omitted: usize,
}

const STAGES: [&str; 5] = ["rest", "stage", "publish", "confirm", "promote"];

impl Scrape<'_> {
    /// The text.
    pub(crate) fn write(&self) -> String {
        let mut page = Page(String::with_capacity(16 * 1024));
        self.server(&mut page);
        self.requests(&mut page);
        self.rotations(&mut page);
        self.gates(&mut page);
        self.instances(&mut page);
        self.versions(&mut page);
        self.revocations(&mut page);
        page.0
    }

    fn server(&self, page: &mut Page) {
        let health = self.health;
        page.one("leader", "gauge", "Whether this server leads.", u8::from(health.leads));
        page.one("fence", "gauge", "The fencing token while it leads.", health.fence.unwrap_or(0));
        page.one("store_up", "gauge", "Whether the store answers.", u8::from(health.store.is_ok()));
        page.one(
            "cluster_clock_seconds",
            "gauge",
            "The clock that waits count; it stands still while nobody leads.",
            seconds(health.cluster.0),
        );
        page.one("watchers", "gauge", "Open change feeds.", self.watchers);
        page.one(
            "notices_waiting",
            "gauge",
            "Notices that wait for delivery.",
            self.notices_waiting,
        );
        page.one(
            "rings_distrusted",
            "gauge",
            "Rings that this server refuses to believe.",
            health.refused.len(),
        );
        page.one(
            "rings_omitted",
            "gauge",
            "Rings that are not shown because there are too many.",
            self.rings_omitted,
        );
        page.one(
            "connections_turned_away_total",
            "counter",
            "Connections closed because there were too many.",
            self.counters.turned_away.load(Ordering::Relaxed),
        );
    }

    fn requests(&self, page: &mut Page) {
        page.head("requests_total", "counter", "Requests by operation and status.");
        let requests = self.counters.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((operation, status), count) in requests.iter() {
            let status = status.to_string();
            page.line(
                "requests_total",
                &[("operation", operation), ("status", status.as_str())],
                count,
            );
        }
        drop(requests);
        page.head("engine_errors_total", "counter", "What failed behind requests, by kind.");
        let errors = self.counters.engine_errors.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, count) in errors.iter() {
            page.line("engine_errors_total", &[("kind", kind)], count);
        }
    }

    fn rotations(&self, page: &mut Page) {
        page.head("ring_primary_age_seconds", "gauge", "Since when the primary is primary.");
        for (name, snapshot) in self.named() {
            let primary =
                snapshot.ring.versions.values().find_map(|version| match &version.state {
                    State::Primary { since, .. } => Some(since.wall),
                    _ => None,
                });
            if let Some(since) = primary {
                let age = seconds(snapshot.now.wall.since(since).as_millis());
                page.line("ring_primary_age_seconds", &[("ring", name)], age);
            }
        }
        page.head("ring_overdue", "gauge", "Whether the scheduled rotation is late.");
        for (name, snapshot) in self.named() {
            let overdue = crate::status::is_overdue(snapshot);
            page.line("ring_overdue", &[("ring", name)], u8::from(overdue));
        }
        page.head("ring_stage", "gauge", "1 for the stage of the forward path.");
        for (name, snapshot) in self.named() {
            let present = snapshot.ring.path.as_ref().map(|path| path.stage);
            for stage in STAGES {
                let here = present.map_or("rest", Stage::name) == stage;
                page.line("ring_stage", &[("ring", name), ("stage", stage)], u8::from(here));
            }
        }
        page.head("ring_stage_seconds", "gauge", "How long the present stage has lasted.");
        for (name, snapshot) in self.named() {
            if let Some(path) = &snapshot.ring.path {
                let lasted = snapshot.now.cluster.since(path.since.cluster).as_millis();
                page.line("ring_stage_seconds", &[("ring", name)], seconds(lasted));
            }
        }
        page.head("ring_stalled", "gauge", "Whether a stage has outlived stall_after.");
        for (name, snapshot) in self.named() {
            let path = snapshot.ring.path.as_ref().and_then(|path| path.stalled);
            let mut tails = snapshot.ring.versions.values().map(|version| version.stalled);
            let stalled = path.is_some() || tails.any(|stalled| stalled.is_some());
            page.line("ring_stalled", &[("ring", name)], u8::from(stalled));
        }
    }

    fn gates(&self, page: &mut Page) {
        page.head("ring_gate_laggards", "gauge", "How many instances a closed gate waits for.");
        for (name, snapshot) in self.named() {
            let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
            for gate in snapshot.gates.iter().flat_map(|(_, _, gates)| gates) {
                if let GateStatus::Waiting { missing: laggards, .. } = &gate.status {
                    *missing.entry(gate.name.as_str()).or_default() += laggards.len();
                }
            }
            for (gate, count) in missing {
                page.line("ring_gate_laggards", &[("ring", name), ("gate", gate)], count);
            }
        }
    }

    fn instances(&self, page: &mut Page) {
        page.head("ring_instances", "gauge", "Instances of a consumer by standing.");
        for (name, snapshot) in self.named() {
            let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            for consumer in snapshot.ring.policy.consumers.keys() {
                counts.insert((consumer.as_str(), "live"), 0);
                counts.insert((consumer.as_str(), "lost"), 0);
            }
            for instance in &snapshot.view.instances {
                let standing = match instance.standing(&snapshot.ring, snapshot.now.cluster) {
                    Standing::Live => "live",
                    Standing::Lost => "lost",
                    Standing::Gone => continue,
                };
                *counts.entry((instance.consumer.as_str(), standing)).or_default() += 1;
            }
            for ((consumer, standing), count) in counts {
                page.line(
                    "ring_instances",
                    &[("ring", name), ("consumer", consumer), ("standing", standing)],
                    count,
                );
            }
        }
    }

    fn versions(&self, page: &mut Page) {
        let counted = |snapshot: &Snapshot, of: fn(&keywheel_core::view::Counts) -> u64| {
            let accepted = snapshot.ring.accepted();
            accepted
                .map(|(number, _)| {
                    let counts = snapshot.view.instances.iter();
                    let counts = counts.filter_map(|instance| instance.counts.get(&number));
                    (number.to_string(), counts.map(of).sum::<u64>())
                })
                .collect::<Vec<_>>()
        };
        page.head(
            "ring_version_processed",
            "gauge",
            "What the instances of now said they accepted with a version since its promotion.",
        );
        for (name, snapshot) in self.named() {
            for (version, count) in counted(snapshot, |counts| counts.processed) {
                let labels = [("ring", name), ("version", version.as_str())];
                page.line("ring_version_processed", &labels, count);
            }
        }
        page.head(
            "ring_version_rejected",
            "gauge",
            "What the instances of now said they rejected with a version since its promotion.",
        );
        for (name, snapshot) in self.named() {
            for (version, count) in counted(snapshot, |counts| counts.rejected) {
                let labels = [("ring", name), ("version", version.as_str())];
                page.line("ring_version_rejected", &labels, count);
            }
        }
        page.head(
            "ring_version_unknown",
            "gauge",
            "What the instances of now refused because they did not know a version's kid.",
        );
        for (name, snapshot) in self.named() {
            for (version, count) in counted(snapshot, |counts| counts.unknown) {
                let labels = [("ring", name), ("version", version.as_str())];
                page.line("ring_version_unknown", &labels, count);
            }
        }
    }

    fn revocations(&self, page: &mut Page) {
        let mut each = |name: &str, help: &str, of: fn(&RevocationCount) -> u64| {
            page.head(name, "gauge", help);
            for (ring, snapshot) in self.named() {
                // A log that is not believed has no number.
                if let Some(count) = &snapshot.revocations {
                    page.line(name, &[("ring", ring)], of(count));
                }
            }
        };
        each("ring_revocations", "How many revocations are kept.", |count| count.kept);
        let newest = "The number of the newest revocations, as clients follow it.";
        each("ring_revocations_newest", newest, |count| count.newest);
    }

    fn named(&self) -> impl Iterator<Item = (&str, &Snapshot)> {
        self.rings.iter().map(|snapshot| (snapshot.ring.name.as_str(), snapshot))
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

/// Lines of the text format. Writing to a string cannot fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP keywheel_{name} {help}\n# TYPE keywheel_{name} {kind}\n");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(name, &[], value);
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "keywheel_{name}");
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
