//! Tokens whose signature was checked, so that a caller who shows one token again and again pays
//! for it once. Only what never changes about a token is remembered; whether it passes now is asked
//! anew on every hit. Only tokens that passed get here, so nobody fills the memory who has none.
//!
//! The memory is bounded: sets of four places each, found by a hash under a random key, so that
//! nobody can choose tokens that push each other, or those of others, out. A hit needs the whole
//! token to be equal, the same route, and the same generation of the ring.

use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};

use std::collections::hash_map::RandomState;

/// So many places are looked at for one token.
const WAYS: usize = 4;

/// Longer tokens are not remembered.
const TOKEN_BYTES_MAX: usize = 2 * 1024;

/// The hash is over so much of a token's end, which is its signature: no two good tokens share it,
/// and the rest of the token is not read for it.
const HASHED_BYTES: usize = 64;

/// A place: which token, on which route, under which generation, and what is known of it.
struct Entry<T> {
    hash: u64,
    route: usize,
    generation: u64,
    token: Box<[u8]>,
    known: Arc<T>,
}

struct Set<T> {
    ways: [Option<Entry<T>>; WAYS],
    /// The way that is given up next.
    next: usize,
    /// Marks of tokens that passed once and were cheap to check, and the one that is given up next.
    seen: [u32; WAYS],
    seen_next: usize,
}

/// Where a token is looked for.
#[derive(Clone, Copy)]
pub(super) struct Spot(u64);

/// The memory.
pub(super) struct Cache<T> {
    sets: Box<[Mutex<Set<T>>]>,
    hasher: RandomState,
}

impl<T> Cache<T> {
    /// Room for about this many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        let sets = tokens.div_ceil(WAYS).next_power_of_two();
        let ways = || [None, None, None, None];
        let empty = || Mutex::new(Set { ways: ways(), next: 0, seen: [0; WAYS], seen_next: 0 });
        Self { sets: (0..sets).map(|_| empty()).collect(), hasher: RandomState::new() }
    }

    fn set(&self, hash: u64) -> Option<&Mutex<Set<T>>> {
        let mask = (self.sets.len() as u64).checked_sub(1)?;
        self.sets.get(usize::try_from(hash & mask).ok()?)
    }

    /// Where a token would be.
    pub(super) fn spot(&self, token: &[u8]) -> Spot {
        let end = token.len().saturating_sub(HASHED_BYTES);
        Spot(self.hasher.hash_one(token.get(end..).unwrap_or_default()))
    }

    /// What is known of a token.
    pub(super) fn find(
        &self,
        Spot(hash): Spot,
        route: usize,
        generation: u64,
        token: &[u8],
    ) -> Option<Arc<T>> {
        let set = self.set(hash)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = set.ways.iter().flatten().find(|entry| {
            entry.hash == hash
                && entry.route == route
                && entry.generation == generation
                && *entry.token == *token
        });
        entry.map(|entry| Arc::clone(&entry.known))
    }

    /// Whether a token is seen again, as far as is known. A flood of tokens that each come once
    /// leaves marks here, and pushes out nothing that is remembered.
    pub(super) fn is_again(&self, Spot(hash): Spot) -> bool {
        let Some(set) = self.set(hash) else { return false };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        // The low bits chose the set. An empty place is no mark.
        let mark = u32::try_from(hash >> 32).unwrap_or(0) | 1;
        let is_again = set.seen.contains(&mark);
        if !is_again {
            set.seen_next = set.seen_next.wrapping_add(1) % WAYS;
            let place = set.seen_next;
            if let Some(place) = set.seen.get_mut(place) {
                *place = mark;
            }
        }
        is_again
    }

    /// Remembers a token, in the place of what it was before or of an older one.
    pub(super) fn keep(
        &self,
        Spot(hash): Spot,
        route: usize,
        generation: u64,
        token: &[u8],
        known: Arc<T>,
    ) {
        if token.len() > TOKEN_BYTES_MAX {
            return;
        }
        let Some(set) = self.set(hash) else { return };
        let mut set = set.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |entry: &Entry<T>| entry.route == route && *entry.token == *token;
        // What an older generation left is of no use to anybody.
        let place = set.ways.iter().position(|way| match way {
            Some(entry) => same(entry) || (entry.route == route && entry.generation < generation),
            None => true,
        });
        let place = place.unwrap_or_else(|| {
            set.next = set.next.wrapping_add(1) % WAYS;
            set.next
        });
        if let Some(way) = set.ways.get_mut(place) {
            *way = Some(Entry { hash, route, generation, token: token.into(), known });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep<T>(cache: &Cache<T>, route: usize, generation: u64, token: &[u8], known: T) {
        cache.keep(cache.spot(token), route, generation, token, Arc::new(known));
    }

    fn find<T: Copy>(cache: &Cache<T>, route: usize, generation: u64, token: &[u8]) -> Option<T> {
        cache.find(cache.spot(token), route, generation, token).as_deref().copied()
    }

    #[test]
    fn only_the_same_token_on_the_same_route_in_the_same_generation_is_found() {
        let cache = Cache::new(16);
        keep(&cache, 0, 7, b"token", 1);
        assert_eq!(find(&cache, 0, 7, b"token"), Some(1));
        for (route, generation, token) in
            [(1, 7, &b"token"[..]), (0, 8, b"token"), (0, 6, b"token"), (0, 7, b"tokem")]
        {
            assert_eq!(find(&cache, route, generation, token), None);
        }
        keep(&cache, 0, 8, b"token", 2);
        assert_eq!(find(&cache, 0, 7, b"token"), None);
        assert_eq!(find(&cache, 0, 8, b"token"), Some(2));
    }

    #[test]
    fn tokens_with_the_same_end_are_different_tokens() {
        let (one, other) = ([b"a", [b'x'; 80].as_slice()].concat(), [b'x'; 81]);
        let cache = Cache::new(16);
        keep(&cache, 0, 7, &one, 1);
        assert_eq!((find(&cache, 0, 7, &one), find(&cache, 0, 7, &other)), (Some(1), None));
        keep(&cache, 0, 7, &other, 2);
        assert_eq!((find(&cache, 0, 7, &one), find(&cache, 0, 7, &other)), (Some(1), Some(2)));
    }

    #[test]
    fn the_memory_is_bounded_and_long_tokens_are_not_kept() {
        let cache = Cache::new(64);
        for number in 0..10_000_u32 {
            keep(&cache, 0, 1, &number.to_be_bytes(), number);
        }
        let is_kept = |n: &u32| find(&cache, 0, 1, &n.to_be_bytes()).is_some();
        let kept = (0..10_000_u32).filter(is_kept).count();
        assert!((32..=64).contains(&kept), "{kept}");
        let long = vec![b'a'; TOKEN_BYTES_MAX + 1];
        keep(&cache, 0, 1, &long, 0);
        assert!(find(&cache, 0, 1, &long).is_none());
    }

    #[test]
    fn a_token_is_seen_again_unless_many_others_came_between() {
        let cache = Cache::<u32>::new(64);
        let is_again = |number: u32| cache.is_again(cache.spot(&number.to_be_bytes()));
        assert!(!is_again(1));
        assert!(is_again(1));
        let again = (2..10_000_u32).filter(|number| is_again(*number)).count();
        assert_eq!(again, 0);
        assert!(!is_again(1));
    }
}
