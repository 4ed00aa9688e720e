//! How long the stages of a rotation took, from the server's own record.

use keywheel_api::audit::AuditEntry;
use keywheel_api::ring::RingStatus;
use keywheel_core::time::{Span, WallTime};
use serde::Serialize;

use crate::show::moment;

/// The length of each stage; absent where it was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Stages {
    pub(super) stage: Option<Span>,
    pub(super) publish: Option<Span>,
    pub(super) confirm: Option<Span>,
    pub(super) promote: Option<Span>,
    /// From the order to go back until everybody was back.
    pub(super) back: Option<Span>,
    pub(super) drain: Option<Span>,
    pub(super) retire: Option<Span>,
}

impl Stages {
    /// Reads the entries of one rotation.
    pub(super) fn read(entries: &[AuditEntry]) -> Self {
        let turned = entries.iter().position(|entry| entry.action == "rolled_back");
        let (there, back) = entries.split_at(turned.unwrap_or(entries.len()));
        let (started, published) = (first(there, "started"), first(there, "published"));
        let (served, promoted) = (first(there, "served"), first(there, "promoted"));
        let rolled_back = back.first().and_then(at);
        let done = first(there, "done");
        let drains = first(back, "done").or(done);
        let (retired, dropped) = (first(entries, "retired"), first(entries, "dropped"));
        Self {
            stage: between(started, published),
            publish: between(published, served),
            confirm: between(served, promoted),
            promote: between(promoted, done.or(rolled_back)),
            back: between(rolled_back, first(back, "done")),
            drain: between(drains, retired),
            retire: between(retired, dropped),
        }
    }

    /// Their sum.
    pub(super) fn all(&self) -> Span {
        let Self { stage, publish, confirm, promote, back, drain, retire } = *self;
        let stages = [stage, publish, confirm, promote, back, drain, retire];
        stages.into_iter().flatten().fold(Span::ZERO, Span::plus)
    }
}

/// The stages in their order, apart from the last, which lies days ahead.
pub(super) const STAGES: [&str; 6] = ["stage", "publish", "confirm", "promote", "drain", "retire"];

/// Where a ring stands: on its forward path, else on the tail of a replaced version.
pub(super) fn present(ring: &RingStatus) -> Option<&'static str> {
    let tail = ring.gates.iter().find(|gates| gates.stage != "destroy");
    let name = match &ring.path {
        Some(_) => ring.stage.as_str(),
        None => tail?.stage.as_str(),
    };
    STAGES.into_iter().find(|stage| *stage == name)
}

/// The stage that the ring had reached at a moment.
pub(super) fn reached(entries: &[AuditEntry], by: WallTime) -> Option<&'static str> {
    let before = entries.iter().filter(|entry| at(entry).is_some_and(|at| at.0 <= by.0));
    before.rev().find_map(|entry| stage_after(&entry.action))
}

/// The stage that begins with an action.
fn stage_after(action: &str) -> Option<&'static str> {
    match action {
        "started" => Some("stage"),
        "published" => Some("publish"),
        "served" => Some("confirm"),
        "promoted" => Some("promote"),
        "done" => Some("drain"),
        "retired" => Some("retire"),
        _ => None,
    }
}

fn at(entry: &AuditEntry) -> Option<WallTime> {
    moment(&entry.at)
}

fn first(entries: &[AuditEntry], action: &str) -> Option<WallTime> {
    entries.iter().find(|entry| entry.action == action).and_then(at)
}

fn between(from: Option<WallTime>, to: Option<WallTime>) -> Option<Span> {
    Some(to?.since(from?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(action: &str, secs: u64) -> AuditEntry {
        AuditEntry {
            number: 1,
            at: format!("2026-01-01T00:00:{secs:02}Z"),
            actor: "keywheel".into(),
            ring: None,
            action: action.into(),
            detail: serde_json::Value::Null,
            previous: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn a_rotation_that_went_back_has_a_way_back() {
        let entries = [
            entry("started", 0),
            entry("published", 1),
            entry("served", 3),
            entry("promoted", 6),
            entry("done", 8),
            entry("rolled_back", 10),
            entry("done", 15),
            entry("retired", 21),
            entry("dropped", 28),
        ];
        let stages = Stages::read(&entries);
        assert_eq!(stages.confirm, Some(Span::from_secs(3)));
        assert_eq!(stages.promote, Some(Span::from_secs(2)));
        assert_eq!(stages.back, Some(Span::from_secs(5)));
        assert_eq!(stages.drain, Some(Span::from_secs(6)));
        assert_eq!(stages.retire, Some(Span::from_secs(7)));
    }

    #[test]
    fn a_promotion_that_was_cut_short_ends_with_the_order_to_go_back() {
        let entries =
            [entry("served", 3), entry("promoted", 6), entry("rolled_back", 10), entry("done", 15)];
        let stages = Stages::read(&entries);
        assert_eq!(stages.promote, Some(Span::from_secs(4)));
        assert_eq!(stages.back, Some(Span::from_secs(5)));
    }

    #[test]
    fn stages_that_were_not_reached_have_no_length() {
        let stages = Stages::read(&[entry("started", 0), entry("published", 1)]);
        assert_eq!(stages.stage, Some(Span::from_secs(1)));
        assert_eq!((stages.back, stages.retire), (None, None));
    }
}
