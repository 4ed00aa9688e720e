//! Which unknown kids a process refused, and how often, in bounded memory: whoever sends tokens
//! chooses the kids. The server, which knows the kids that it gave out, makes something of it.

use std::collections::BTreeMap;

/// So many kids are told apart. The server takes no more.
const KIDS_MAX: usize = 16;

/// A longer kid is counted and not noted.
const KID_CHARS_MAX: usize = 128;

/// The most frequent unknown kids. By the algorithm of Misra and Gries (1982), a kid that makes up
/// more than a seventeenth of them is noted whatever else is sent, and no kid is noted more often
/// than it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownKids {
    total: u64,
    kids: BTreeMap<String, u64>,
}

impl UnknownKids {
    /// Counts one refusal.
    pub fn count(&mut self, kid: &str) {
        self.total = self.total.saturating_add(1);
        let fits = kid.len() <= KID_CHARS_MAX && kid.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            self.note(kid.to_owned(), 1);
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        for (kid, times) in other.kids {
            self.note(kid, times);
        }
    }

    /// How many refusals there were.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The kids that are noted, each with how often it came at least.
    pub const fn kids(&self) -> &BTreeMap<String, u64> {
        &self.kids
    }

    /// The same, taken out.
    pub fn into_kids(self) -> BTreeMap<String, u64> {
        self.kids
    }

    fn note(&mut self, kid: String, times: u64) {
        if let Some(noted) = self.kids.get_mut(&kid) {
            *noted = noted.saturating_add(times);
            return;
        }
        let least = self.kids.values().copied().min().unwrap_or(0);
        if self.kids.len() < KIDS_MAX {
            self.kids.insert(kid, times);
            return;
        }
        // There is no room: everybody loses as much as the weakest has, the newcomer too.
        let lost = least.min(times);
        self.kids.retain(|_, noted| {
            *noted = noted.saturating_sub(lost);
            *noted > 0
        });
        let left = times.saturating_sub(lost);
        if left > 0 {
            self.kids.insert(kid, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kid_that_came_often_is_noted_in_a_flood_of_others() {
        let mut kids = UnknownKids::default();
        for index in 0..10_000 {
            kids.count(&format!("garbage-{index}"));
            if index % 10 == 0 {
                kids.count("missed");
            }
        }
        assert_eq!(kids.total(), 11_000);
        assert!(kids.kids().len() <= KIDS_MAX);
        let noted = kids.kids()["missed"];
        assert!((300..=1_000).contains(&noted), "{noted}");
    }

    #[test]
    fn long_and_strange_kids_are_only_counted() {
        let mut kids = UnknownKids::default();
        kids.count(&"x".repeat(KID_CHARS_MAX + 1));
        kids.count("two words");
        kids.count("ümlaut");
        assert_eq!((kids.total(), kids.kids().len()), (3, 0));
    }

    #[test]
    fn what_is_merged_stays_within_the_bounds_and_below_the_truth() {
        let mut sum = UnknownKids::default();
        for round in 0..50 {
            let mut more = UnknownKids::default();
            for index in 0..20 {
                more.count(&format!("k{}", (round * 7 + index) % 40));
            }
            more.count("missed");
            more.count("missed");
            sum.merge(more);
        }
        assert_eq!(sum.total(), 1_100);
        assert!(sum.kids().len() <= KIDS_MAX);
        assert!(sum.kids().values().sum::<u64>() <= 1_100);
        assert!(sum.kids().get("missed").is_none_or(|noted| *noted <= 100));
    }
}
