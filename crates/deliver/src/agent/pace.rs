//! When a consumer is delivered to, and when it is probed anew: pure, the time is an argument.

use std::collections::BTreeMap;

use keywheel_client::clock::BootTime;
use keywheel_core::id::{Incarnation, Revision, RingName};
use keywheel_core::time::Span;

use crate::settings::Wait;

/// The first time until a failed delivery is tried again; it doubles with each failure.
const RETRY_FIRST: Span = Span::from_secs(5);
const RETRY_MOST: Span = Span::from_secs(60);

/// What tells the state of a file from any other: device, inode, size, time of change.
pub(super) type FileMark = (u64, u64, u64, (i64, i64));

/// Everything that a delivery depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) keysets: BTreeMap<RingName, (Incarnation, Revision)>,
    /// Of templates; nothing for one that is not there.
    pub(super) templates: Vec<Option<FileMark>>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Deliver what has changed, or what failed before.
    Deliver,
    /// See whether what was delivered still stands.
    Probe,
    /// Nothing until then.
    At(BootTime),
}

#[derive(Clone, Debug)]
struct Collecting {
    marks: Marks,
    first: BootTime,
    last: BootTime,
    splay: Span,
}

#[derive(Clone, Debug)]
struct Failed {
    marks: Marks,
    retry_at: BootTime,
    next_wait: Span,
}

/// When things are due for one consumer.
#[derive(Debug)]
pub(super) struct Pace {
    wait: Wait,
    splay: Span,
    delivered: Option<Marks>,
    probe_at: BootTime,
    collecting: Option<Collecting>,
    failed: Option<Failed>,
}

impl Pace {
    pub(super) const fn new(wait: Wait, splay: Span) -> Self {
        Self { wait, splay, delivered: None, probe_at: BootTime(0), collecting: None, failed: None }
    }

    /// Decides. `random` gives a number below its argument.
    pub(super) fn due(
        &mut self,
        now: BootTime,
        marks: &Marks,
        random: &mut dyn FnMut(u64) -> u64,
    ) -> Due {
        if let Some(failed) = self.failed.as_ref().filter(|failed| failed.marks == *marks) {
            return if now >= failed.retry_at { Due::Deliver } else { Due::At(failed.retry_at) };
        }
        if self.delivered.as_ref() == Some(marks) {
            return if now >= self.probe_at { Due::Probe } else { Due::At(self.probe_at) };
        }
        // Nobody waits for company at the start: what the consumer has may be long out of date.
        if self.delivered.is_none() && self.failed.is_none() {
            return Due::Deliver;
        }
        let splay = self.splay;
        let collecting = self.collecting.get_or_insert_with(|| Collecting {
            marks: marks.clone(),
            first: now,
            last: now,
            splay: Span::from_millis(random(splay.as_millis().saturating_add(1))),
        });
        if collecting.marks != *marks {
            collecting.marks.clone_from(marks);
            collecting.last = now;
        }
        let quiet = collecting.last.after(self.wait.least);
        let due = quiet.min(collecting.first.after(self.wait.most)).after(collecting.splay);
        if now >= due { Due::Deliver } else { Due::At(due) }
    }

    /// These were delivered and stand; with every half lease they are probed.
    pub(super) fn delivered(&mut self, now: BootTime, marks: Marks, lease: Span) {
        self.delivered = Some(marks);
        self.probe_at = now.after(Span::from_millis(lease.as_millis() / 2));
        self.collecting = None;
        self.failed = None;
    }

    /// These are in use, but not everywhere yet: they are looked at again soon, as often as it
    /// takes.
    pub(super) fn pending(&mut self, now: BootTime, marks: Marks) {
        self.failed =
            Some(Failed { marks, retry_at: now.after(RETRY_FIRST), next_wait: RETRY_FIRST });
        self.collecting = None;
    }

    /// These could not be delivered, or do not stand any more.
    pub(super) fn failed(&mut self, now: BootTime, marks: Marks) {
        let wait = self
            .failed
            .as_ref()
            .filter(|failed| failed.marks == marks)
            .map_or(RETRY_FIRST, |failed| failed.next_wait);
        let next_wait = Span::from_millis(wait.as_millis().saturating_mul(2)).min(RETRY_MOST);
        self.failed = Some(Failed { marks, retry_at: now.after(wait), next_wait });
        self.collecting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(revision: u64) -> Marks {
        let ring: RingName = "web".parse().unwrap();
        let keysets = BTreeMap::from([(ring, (Incarnation("i".into()), Revision(revision)))]);
        Marks { keysets, templates: Vec::new() }
    }

    fn pace() -> Pace {
        let wait = Wait { least: Span::from_secs(1), most: Span::from_secs(4) };
        Pace::new(wait, Span::from_secs(10))
    }

    const fn at(millis: u64) -> BootTime {
        BootTime(1_000_000 + millis)
    }

    #[test]
    fn the_first_delivery_does_not_wait_and_later_changes_are_collected() {
        let mut pace = pace();
        let none = &mut |_| 0;
        assert_eq!(pace.due(at(0), &marks(1), none), Due::Deliver);
        pace.delivered(at(0), marks(1), Span::from_secs(30));
        assert_eq!(pace.due(at(10), &marks(1), none), Due::At(at(15_000)));
        assert_eq!(pace.due(at(15_000), &marks(1), none), Due::Probe);
        // A change each 900 ms is never quiet, and is delivered after `most` all the same.
        for step in 0..5 {
            let now = at(20_000 + step * 900);
            let due = pace.due(now, &marks(2 + step), none);
            let expected = at((20_000 + step * 900 + 1_000).min(24_000));
            assert_eq!(due, Due::At(expected), "{step}");
        }
        assert_eq!(pace.due(at(24_000), &marks(6), none), Due::Deliver);
    }

    #[test]
    fn a_splay_is_drawn_once_for_a_change() {
        let mut pace = pace();
        pace.delivered(at(0), marks(1), Span::from_secs(30));
        let mut drawn = Vec::new();
        let mut random = |below| {
            drawn.push(below);
            7_000
        };
        assert_eq!(pace.due(at(100), &marks(2), &mut random), Due::At(at(8_100)));
        assert_eq!(pace.due(at(200), &marks(2), &mut random), Due::At(at(8_100)));
        assert_eq!(drawn, [10_001]);
    }

    #[test]
    fn failures_are_tried_again_less_and_less_often_and_at_once_when_something_changed() {
        let mut pace = pace();
        let none = &mut |_| 0;
        let mut now = at(0);
        for wait in [5, 10, 20, 40, 60, 60] {
            pace.failed(now, marks(1));
            let retry = now.after(Span::from_secs(wait));
            assert_eq!(pace.due(now, &marks(1), none), Due::At(retry));
            assert_eq!(pace.due(retry, &marks(1), none), Due::Deliver);
            now = retry;
        }
        assert_eq!(pace.due(now, &marks(2), none), Due::At(now.after(Span::from_secs(1))));
        pace.failed(now, marks(2));
        assert_eq!(pace.due(now, &marks(2), none), Due::At(now.after(Span::from_secs(5))));
        pace.delivered(now, marks(2), Span::from_secs(30));
        pace.failed(now, marks(2));
        assert_eq!(pace.due(now, &marks(2), none), Due::At(now.after(Span::from_secs(5))));
    }
}
