//! A table in parts, each behind its own lock: writers of one part let readers of the others pass,
//! and only one part at a time grows. What was never kept is mostly told by a part's filter,
//! without its lock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::filter::Filter;
use super::hash::{Fingerprint, Place};

/// How many parts there are.
const PARTS: usize = 64;

/// What a table needs to know of what it keeps.
pub(super) trait Kept {
    fn fingerprint(&self) -> Fingerprint;
    /// The hour in which it may go.
    fn forgotten_in(&self) -> u32;
    /// Takes in another statement about the same thing; the more lasting and stricter one holds.
    fn join(&mut self, other: Self);
}

/// The table. One in which nothing was ever kept takes no memory besides itself.
pub(super) struct Parts<T> {
    parts: OnceLock<Box<[Part<T>; PARTS]>>,
    /// So that a look for what nobody revoked ends here. Never less than what the parts keep.
    known: AtomicUsize,
}

/// One part. It has its cache lines to itself, so that two cores do not fight over two locks.
#[repr(align(64))]
struct Part<T> {
    /// Changed only behind the lock of the table.
    filter: Filter,
    table: RwLock<HashTable<T>>,
}

impl<T: Kept> Parts<T> {
    pub(super) const fn new() -> Self {
        Self { parts: OnceLock::new(), known: AtomicUsize::new(0) }
    }

    /// Keeps something, or joins it with what is there. When this returns, every later look finds
    /// it.
    pub(super) fn insert(&self, entry: T) {
        let parts = self.parts.get_or_init(|| Box::new(std::array::from_fn(|_| Part::new())));
        let Some(part) = parts.get(part_of(entry.fingerprint().place())) else { return };
        let fingerprint = entry.fingerprint();
        let same = |known: &T| known.fingerprint() == fingerprint;
        let mut table = part.write();
        match table.entry(fingerprint.place().0, same, |known| place_of(known).0) {
            Entry::Occupied(mut known) => known.get_mut().join(entry),
            Entry::Vacant(place) => {
                place.insert(entry);
                part.filter.add(fingerprint.place(), table.iter().map(place_of));
                self.known.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// What is kept in this place under the fingerprint that `whole` makes, read by `read`.
    pub(super) fn find<R>(
        &self,
        place: Place,
        whole: impl FnOnce() -> Fingerprint,
        read: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        let part = self.parts.get()?.get(part_of(place))?;
        if !part.filter.may_have(place) {
            return None;
        }
        let fingerprint = whole();
        let table = part.read();
        table.find(place.0, |known| known.fingerprint() == fingerprint).map(read)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.load(Ordering::Acquire)
    }

    /// Removes what is over by this hour, and gives back memory of tables that have become much too
    /// large. The words of the filters stay, less than three bytes for each of the most entries
    /// that there ever were.
    pub(super) fn sweep(&self, hour: u32) {
        for part in self.parts.get().into_iter().flat_map(|parts| parts.iter()) {
            let mut table = part.write();
            let before = table.len();
            table.retain(|entry| entry.forgotten_in() > hour);
            let dropped = before - table.len();
            if dropped > 0 {
                part.filter.renew(table.iter().map(place_of));
                self.known.fetch_sub(dropped, Ordering::AcqRel);
            }
            if table.capacity() > 4 * table.len() {
                let room = table.len();
                table.shrink_to(room, |known| place_of(known).0);
            }
        }
    }

    /// The memory that it takes besides itself.
    pub(super) fn allocated(&self) -> usize {
        let Some(parts) = self.parts.get() else { return 0 };
        let each = |part: &Part<T>| part.read().allocation_size() + part.filter.allocated();
        size_of_val(&**parts) + parts.iter().map(each).sum::<usize>()
    }
}

impl<T> Part<T> {
    fn new() -> Self {
        Self { filter: Filter::default(), table: RwLock::new(HashTable::new()) }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashTable<T>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashTable<T>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place_of<T: Kept>(entry: &T) -> Place {
    entry.fingerprint().place()
}

/// The part that a hash chooses. The last one has about twice the share of the first, the others
/// lie between them, so that the parts double their room at different times: all together, an
/// entry takes about as much memory at every size, instead of twice as much after all have grown.
///
/// With 13 bits of the hash as a fraction u, this is u (4 − u) ÷ 3, which is log₂ (1 + u) within a
/// hundredth.
const fn part_of(place: Place) -> usize {
    let fraction = place.0 >> 44 & 0x1fff;
    let share = fraction * ((4 << 13) - fraction) / 3;
    (share >> 20) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_between_one_and_two_shares() {
        let mut shares = [0_u32; PARTS];
        for choice in 0..1 << 13 {
            shares[part_of(Place(choice << 44))] += 1;
        }
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        assert!(*least > 85 && *most < 205, "{least} to {most}");
        assert_eq!((part_of(Place(0)), part_of(Place(u64::MAX))), (0, PARTS - 1));
    }
}
