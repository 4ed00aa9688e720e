//! How long the stages of a rotation took, from the server's own record.

use keywheel_api::audit::AuditEntry;
use keywheel_core::time::{Span, WallTime};
use serde::Serialize;

use crate::show::moment;

/// The length of each stage, in milliseconds; absent where it was not reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Stages {
    pub(super) stage_millis: Option<u64>,
    pub(super) publish_millis: Option<u64>,
    pub(super) confirm_millis: Option<u64>,
    pub(super) promote_millis: Option<u64>,
    /// From the order to go back until everybody was back.
    pub(super) back_millis: Option<u64>,
    pub(super) drain_millis: Option<u64>,
    pub(super) retire_millis: Option<u64>,
}

impl Stages {
    /// Reads the entries of one rotation.
    pub(super) fn read(entries: &[AuditEntry]) -> Self {
        let first = |action: &str| entries.iter().find(|entry| entry.action == action).and_then(at);
        let (started, published, served) = (first("started"), first("published"), first("served"));
        let (promoted, done) = (first("promoted"), first("done"));
        let back = first("rolled_back");
        let (retired, dropped) = (first("retired"), first("dropped"));
        Self {
            stage_millis: between(started, published),
            publish_millis: between(published, served),
            confirm_millis: between(served, promoted),
            promote_millis: between(promoted, earlier(back, done)),
            back_millis: between(back, later(back, done)),
            drain_millis: between(later(back, done), retired),
            retire_millis: between(retired, dropped),
        }
    }

    /// Their sum.
    pub(super) fn all(&self) -> Span {
        let stages = [
            self.stage_millis,
            self.publish_millis,
            self.confirm_millis,
            self.promote_millis,
            self.back_millis,
            self.drain_millis,
            self.retire_millis,
        ];
        Span::from_millis(stages.into_iter().flatten().sum())
    }
}

fn at(entry: &AuditEntry) -> Option<WallTime> {
    moment(&entry.at)
}

fn between(from: Option<WallTime>, to: Option<WallTime>) -> Option<u64> {
    Some(to?.since(from?).as_millis())
}

fn earlier(one: Option<WallTime>, other: Option<WallTime>) -> Option<WallTime> {
    one.into_iter().chain(other).min_by_key(|moment| moment.0)
}

fn later(one: Option<WallTime>, other: Option<WallTime>) -> Option<WallTime> {
    one.into_iter().chain(other).max_by_key(|moment| moment.0)
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
            entry("rolled_back", 10),
            entry("done", 15),
            entry("retired", 21),
            entry("dropped", 28),
        ];
        let stages = Stages::read(&entries);
        assert_eq!(stages.confirm_millis, Some(3_000));
        assert_eq!(stages.promote_millis, Some(4_000));
        assert_eq!(stages.back_millis, Some(5_000));
        assert_eq!(stages.drain_millis, Some(6_000));
        assert_eq!(stages.all(), Span::from_secs(28));
    }

    #[test]
    fn stages_that_were_not_reached_have_no_length() {
        let stages = Stages::read(&[entry("started", 0), entry("published", 1)]);
        assert_eq!(stages.stage_millis, Some(1_000));
        assert_eq!((stages.back_millis, stages.retire_millis), (None, None));
    }
}
