//! How far a process has followed what is revoked in a ring, and since when it is sure of that.
//! Pure, but for the look itself; the set is [`keywheel_core::revocation::RevocationSet`], and the
//! watcher fills it.
//!
//! Only an answer to a question counts as a confirmation: the newest number that a server read from
//! its store after the question was asked. That a stream goes on says nothing, because a server
//! whose store is away goes on to say that it is there.

use keywheel_core::id::Incarnation;
use keywheel_core::revocation::{Facts, Revoked};
use keywheel_core::time::Span;

use crate::clock::{BootTime, boot_time};
use crate::error::RevocationsStale;
use crate::keyset::Keyset;
use crate::live::Slot;
use crate::session::Backoff;

/// Where the log of one ring is followed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Following {
    /// The life of the ring that the numbers belong to.
    life: Option<Incarnation>,
    followed: u64,
    /// The newest number that was heard of.
    newest: u64,
    confirmed_at: Option<BootTime>,
    pub(crate) fetch: Backoff,
}

impl Following {
    /// What a server said the newest number is; `asked_at` is when it was asked, or nothing when
    /// it said so unasked.
    pub(crate) fn told(&mut self, life: &Incarnation, newest: u64, asked_at: Option<BootTime>) {
        if self.life.as_ref() != Some(life) {
            // Another life has a log of its own. What was taken in before stays revoked.
            self.life = Some(life.clone());
            (self.followed, self.newest) = (0, 0);
        }
        self.newest = self.newest.max(newest);
        if !self.is_wanting() {
            self.confirmed_at = self.confirmed_at.max(asked_at);
        }
    }

    /// A part of the log was taken in.
    pub(crate) fn took_in(
        &mut self,
        life: &Incarnation,
        next: u64,
        newest: u64,
        asked_at: BootTime,
    ) {
        self.fetch.succeed();
        let same_life = self.life.as_ref() == Some(life);
        if same_life {
            self.followed = self.followed.max(next);
        }
        self.told(life, newest, Some(asked_at));
    }

    /// Whether there is something to fetch.
    pub(crate) const fn is_wanting(&self) -> bool {
        self.followed < self.newest
    }

    /// Where to fetch from, and not before when.
    pub(crate) fn due(&self) -> Option<(u64, BootTime)> {
        self.is_wanting().then(|| (self.followed, self.fetch.not_before()))
    }

    /// When the set was last known to be complete; nothing before it first was.
    pub(crate) const fn confirmed_at(&self) -> Option<BootTime> {
        self.confirmed_at
    }
}

/// Whether what is known is too old to go by.
pub(crate) fn is_stale(confirmed_at: Option<BootTime>, limit: Span, now: BootTime) -> bool {
    confirmed_at.is_none_or(|at| now.since(at) > limit)
}

/// Looks a token up among what is revoked, as far as that is known here.
pub(crate) fn check(
    slot: &Slot,
    keyset: &Keyset,
    facts: &Facts<'_>,
) -> Result<Option<Revoked>, RevocationsStale> {
    if let Some(revoked) = slot.revoked.check(facts) {
        return Ok(Some(revoked));
    }
    let Some(limit) = keyset.revocations_stale_after else { return Ok(None) };
    let (confirmed_at, now) = (slot.revocations_confirmed(), boot_time());
    if is_stale(confirmed_at, limit, now) {
        let known_for = confirmed_at.map(|at| now.since(at));
        return Err(RevocationsStale { ring: slot.ring.to_string(), known_for, limit });
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn life(name: &str) -> Incarnation {
        Incarnation(name.into())
    }

    #[test]
    fn nothing_is_confirmed_before_everything_was_taken_in() {
        let mut following = Following::default();
        assert_eq!(following.confirmed_at(), None);
        following.told(&life("a"), 7, Some(BootTime(10)));
        assert_eq!((following.due(), following.confirmed_at()), (Some((0, BootTime(0))), None));
        following.took_in(&life("a"), 4, 7, BootTime(20));
        assert_eq!((following.due(), following.confirmed_at()), (Some((4, BootTime(0))), None));
        following.took_in(&life("a"), 7, 7, BootTime(30));
        assert_eq!((following.due(), following.confirmed_at()), (None, Some(BootTime(30))));
        // Heard unasked: no confirmation, but something to fetch.
        following.told(&life("a"), 7, None);
        assert_eq!(following.confirmed_at(), Some(BootTime(30)));
        following.told(&life("a"), 8, None);
        assert_eq!(following.due(), Some((7, BootTime(0))));
    }

    #[test]
    fn a_ring_in_which_nothing_was_revoked_has_nothing_to_fetch() {
        let mut following = Following::default();
        following.told(&life("a"), 0, Some(BootTime(10)));
        assert_eq!((following.due(), following.confirmed_at()), (None, Some(BootTime(10))));
    }

    #[test]
    fn another_life_is_followed_from_the_beginning() {
        let mut following = Following::default();
        following.told(&life("a"), 7, None);
        following.took_in(&life("a"), 7, 7, BootTime(30));
        following.told(&life("b"), 3, Some(BootTime(40)));
        assert_eq!(following.due(), Some((0, BootTime(0))));
        assert_eq!(following.confirmed_at(), Some(BootTime(30)));
        // What was asked of the former life does not count in this one.
        following.took_in(&life("b"), 3, 3, BootTime(50));
        assert_eq!((following.due(), following.confirmed_at()), (None, Some(BootTime(50))));
    }

    proptest! {
        /// It is confirmed at a moment only if what a server had then was taken in.
        #[test]
        fn a_confirmation_is_never_later_than_what_was_known(
            steps in prop::collection::vec((0_u64..4, 0_u64..3, any::<bool>()), 1..60),
        ) {
            let (mut following, mut server, mut now) = (Following::default(), 0_u64, 1_u64);
            let mut complete = Vec::new();
            let mut known = 0;
            for (revoked, fetched, asks) in steps {
                now += 1;
                server += revoked;
                if asks {
                    following.told(&life("a"), server, Some(BootTime(now)));
                }
                if let Some((since, _)) = following.due() {
                    prop_assert_eq!(since, known);
                    known = server.min(known + fetched);
                    following.took_in(&life("a"), known, server, BootTime(now));
                }
                if known == server {
                    complete.push(BootTime(now));
                }
                if let Some(at) = following.confirmed_at() {
                    prop_assert!(complete.contains(&at));
                }
            }
        }
    }
}
