//! A first look that takes no lock: most of what was never kept is told apart in one word.
//!
//! One part of a table has one filter, a blocked Bloom filter: what is kept sets three bits of one
//! word. Only the writer of that part changes it, behind the part's lock; readers read words and
//! nothing else. What is written never lacks a bit of what the table keeps, so a filter may take
//! what was not kept for what was, and never the other way round.
//!
//! A filter that is full goes on in one of twice the words. The smaller ones stay as they are
//! for who still reads them, and are used again when the table has become small.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::hash::Place;

/// As many sizes as there can be. The last one serves 196,608 entries of a part well, which are
/// more than ten million in all parts, and more of them less well.
const LEVELS: usize = 11;

/// The words of the smallest size; each size has twice those of the one before.
const FIRST: usize = 16;

/// How many entries share one word, at most: then 8 of 100 that were not kept pass for kept, and 2
/// of 100 after the filter has grown.
const A_WORD: usize = 12;

/// The filter of one part.
#[derive(Default)]
pub(super) struct Filter {
    current: AtomicUsize,
    levels: [OnceLock<Box<[AtomicU64]>>; LEVELS],
}

impl Filter {
    /// Whether it may be kept; when not, it is not. Takes no lock.
    pub(super) fn may_have(&self, place: Place) -> bool {
        let level = self.levels.get(self.current.load(Ordering::Acquire)).and_then(OnceLock::get);
        // Where no word is, nothing was kept yet.
        let Some(word) = level.and_then(|words| words.get(word_of(place, words.len()))) else {
            return false;
        };
        let bits = bits_of(place);
        word.load(Ordering::Acquire) & bits == bits
    }

    /// Takes in what was added to a table that now keeps all of this. Only behind the table's lock.
    pub(super) fn add(&self, place: Place, kept: impl ExactSizeIterator<Item = Place>) {
        let level = self.current.load(Ordering::Relaxed);
        if kept.len() > room(level) && level + 1 < LEVELS {
            self.fill(level + 1, kept);
            return;
        }
        let words = self.words(level);
        if let Some(word) = words.get(word_of(place, words.len())) {
            word.fetch_or(bits_of(place), Ordering::AcqRel);
        }
    }

    /// Begins again from what a table keeps. Only behind the table's lock.
    pub(super) fn renew(&self, kept: impl ExactSizeIterator<Item = Place>) {
        let fits = (0..LEVELS).find(|level| kept.len() <= room(*level)).unwrap_or(LEVELS - 1);
        // What is larger than anything before would be memory for nothing.
        self.fill(fits.min(self.current.load(Ordering::Relaxed)), kept);
    }

    /// Writes the words of one size and turns readers to them. A reader that still reads another
    /// size began before; one that reads this size, from an earlier time, finds at each moment
    /// every bit of what is kept and was kept when it began.
    fn fill(&self, level: usize, kept: impl Iterator<Item = Place>) {
        let words = self.words(level);
        let mut fresh = vec![0; words.len()];
        for place in kept {
            if let Some(word) = fresh.get_mut(word_of(place, words.len())) {
                *word |= bits_of(place);
            }
        }
        for (word, fresh) in words.iter().zip(fresh) {
            word.store(fresh, Ordering::Release);
        }
        self.current.store(level, Ordering::Release);
    }

    fn words(&self, level: usize) -> &[AtomicU64] {
        let level_words = FIRST << level;
        self.levels.get(level).map_or(&[], |level| {
            level.get_or_init(|| (0..level_words).map(|_| AtomicU64::new(0)).collect())
        })
    }

    /// The memory that its words take.
    pub(super) fn allocated(&self) -> usize {
        let words: usize = self.levels.iter().filter_map(OnceLock::get).map(|all| all.len()).sum();
        words * size_of::<AtomicU64>()
    }
}

/// How many entries a size serves well.
const fn room(level: usize) -> usize {
    (FIRST << level) * A_WORD
}

/// The word of an entry among a power of two of them.
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is wanted")]
const fn word_of(place: Place, words: usize) -> usize {
    place.0 as usize & words.wrapping_sub(1)
}

/// Its bits in that word, from bits of the hash that say nothing about words.
const fn bits_of(place: Place) -> u64 {
    let rest = place.0 >> 20;
    1 << (rest & 63) | 1 << (rest >> 6 & 63) | 1 << (rest >> 12 & 63)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few words and few bits, so that all of them meet.
    fn place() -> impl Strategy<Value = u64> {
        (0..64_u64, 0..4_u64).prop_map(|(word, bits)| bits << 20 | word)
    }

    proptest! {
        #[test]
        fn invariant_what_is_kept_may_be_there(
            steps in prop::collection::vec((place(), 0..40_u8), 1..1_000),
        ) {
            let (filter, mut kept) = (Filter::default(), Vec::new());
            for (place, step) in steps {
                let place = Place(place);
                if step == 0 {
                    kept.truncate(kept.len() / 3);
                    filter.renew(kept.iter().copied());
                } else {
                    kept.push(place);
                    filter.add(place, kept.iter().copied());
                }
                prop_assert!(kept.iter().all(|known| filter.may_have(*known)));
            }
        }
    }

    /// A place that follows from a number as if it were random.
    fn scattered(number: usize) -> Place {
        let mix = |x: u64| (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = u64::try_from(number).unwrap();
        Place(mix(mix(mix(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))))
    }

    #[test]
    fn few_that_were_not_kept_pass_at_every_size_and_after_it_shrank() {
        let filter = Filter::default();
        let kept: Vec<Place> = (0..70_000).map(scattered).collect();
        let passing =
            || (0..10_000).filter(|number| filter.may_have(scattered(1 << 30 | number))).count();
        for (index, place) in kept.iter().enumerate() {
            filter.add(*place, kept.iter().copied().take(index + 1));
            let full = (0..LEVELS).any(|level| room(level) == index + 1);
            if full || index.is_power_of_two() {
                assert!(passing() < 1_000, "{} of 10,000 with {index}", passing());
            }
        }
        let full = filter.allocated();
        filter.renew(kept.iter().copied().take(100));
        assert!(kept.iter().take(100).all(|known| filter.may_have(*known)));
        assert!(passing() < 1_000, "{} of 10,000", passing());
        assert_eq!(filter.allocated(), full, "the smallest size was there already");
        for (index, place) in kept.iter().enumerate().skip(100) {
            filter.add(*place, kept.iter().copied().take(index + 1));
        }
        assert!(kept.iter().all(|known| filter.may_have(*known)));
        assert!(passing() < 1_000, "{} of 10,000 when it grew again", passing());
    }
}
