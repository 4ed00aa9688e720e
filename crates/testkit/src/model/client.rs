//! The rules of a client: what it takes, what it keeps, what it protects with, and what it says.
//! The real client follows the same ones.

use keywheel_core::id::Revision;

use super::flaw::{Flaw, Rules};
use super::state::{Former, Keys, Node, Phase, Report, Work};

impl Node {
    pub(crate) const ABSENT: Self = Self {
        phase: Phase::Absent,
        keys: None,
        former: None,
        ever: 0,
        left_lives: 0,
        work: None,
        cut: false,
        heard: 0,
        current_at: 0,
        inbox: None,
        outbox: None,
    };

    /// The key for new work and how long its product may live. While a new life of the ring has no
    /// primary, work goes on with the former one's.
    pub(crate) fn protects(&self) -> Option<(u8, u64)> {
        let keys = self.keys?;
        if let Some(primary) = keys.primary {
            return Some((primary, keys.lifetime));
        }
        let former = self.former?;
        Some((former.primary?, former.lifetime))
    }

    /// The set of kids that it accepts.
    pub(crate) fn accepts(&self) -> u32 {
        self.keys.map_or(0, |keys| keys.accepted) | self.former.map_or(0, |former| former.accepted)
    }

    /// Whether it takes a keyset: a newer one of the same life, or one of a life that it has not
    /// left.
    pub(crate) fn takes(&self, new: &Keys, rules: Rules) -> bool {
        let Some(own) = self.keys else { return true };
        if rules.has(Flaw::OlderKeysetTaken) {
            return *new != own;
        }
        if own.life == new.life || rules.has(Flaw::IncarnationIgnored) {
            return new.revision > own.revision;
        }
        self.left_lives & (1 << new.life) == 0 || rules.has(Flaw::FormerLifeRevived)
    }

    /// Swaps to a keyset. `keep` says that work which began before is still in progress.
    pub(crate) fn swap(&mut self, new: Keys, keep: bool, real: u64, skew: u64, rules: Rules) {
        if let Some(own) = self.keys {
            if keep && let Some((kid, lifetime)) = self.protects() {
                let work = Work { kid, lifetime, life: own.life, revision: own.revision };
                self.work.get_or_insert(work);
            }
            if own.life != new.life {
                self.left_lives |= 1 << own.life;
                let (primary, lifetime) =
                    self.protects().map_or((None, 0), |(kid, lifetime)| (Some(kid), lifetime));
                let accepted = self.accepts();
                self.former = Some(Former { accepted, primary, lifetime, until: None });
            }
        }
        self.keys = Some(new);
        self.current_at = real;
        self.ever |= new.accepted;
        if let Some(former) = &mut self.former
            && new.primary.is_some()
            && former.until.is_none()
        {
            // Others may hear of the new primary, and stop to protect with the former one, as much
            // later as they may be without contact.
            let patience = new.offline_max.saturating_add(skew);
            let lifetime = former.lifetime.saturating_add(skew);
            former.until = Some(real.saturating_add(patience).saturating_add(lifetime));
        }
        if rules.has(Flaw::FormerLifeForgotten) {
            self.former = None;
        }
    }

    /// What it may say about itself. Work from a former life is older than any revision.
    pub(crate) fn report(&self) -> Option<Report> {
        let keys = self.keys?;
        let oldest_guard = match self.work {
            None => keys.revision,
            Some(work) if work.life == keys.life => work.revision.min(keys.revision),
            Some(_) => Revision(0),
        };
        Some(Report { life: keys.life, revision: keys.revision, oldest_guard })
    }

    /// Since when it has to count its patience. Work with a former life's key goes on only while it
    /// knows that there is no later life, or no primary in it yet: others forget that key a while
    /// after they hear of one. Within a life the real client is as strict; that this one is not
    /// only lets it do more.
    pub(crate) fn patient_since(&self, life: u8) -> u64 {
        let strict = self.keys.is_some_and(|keys| keys.primary.is_none() || keys.life != life);
        if strict { self.current_at.min(self.heard) } else { self.heard }
    }

    /// Forgets what has run out by now.
    pub(crate) fn forget(&mut self, real: u64) {
        if self.former.is_some_and(|former| former.until.is_some_and(|until| real >= until)) {
            self.former = None;
        }
    }
}
