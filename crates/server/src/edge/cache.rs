//! Tokens whose signature was checked, so that a caller who shows one token again and again pays
//! for it once. Only what never changes about a token is remembered; whether it passes now is asked
//! anew on every hit.
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
}

/// The memory.
pub(super) struct Cache<T> {
    sets: Box<[Mutex<Set<T>>]>,
    hasher: RandomState,
}

impl<T> Cache<T> {
    /// Room for about this many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        let sets = tokens.div_ceil(WAYS).next_power_of_two();
        let empty = || Mutex::new(Set { ways: [None, None, None, None], next: 0 });
        Self { sets: (0..sets).map(|_| empty()).collect(), hasher: RandomState::new() }
    }

    fn set(&self, hash: u64) -> Option<&Mutex<Set<T>>> {
        let mask = (self.sets.len() as u64).checked_sub(1)?;
        self.sets.get(usize::try_from(hash & mask).ok()?)
    }

    /// What is known of a token.
    pub(super) fn find(&self, route: usize, generation: u64, token: &[u8]) -> Option<Arc<T>> {
        let hash = self.hasher.hash_one(token);
        let set = self.set(hash)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = set.ways.iter().flatten().find(|entry| {
            entry.hash == hash
                && entry.route == route
                && entry.generation == generation
                && *entry.token == *token
        });
        entry.map(|entry| Arc::clone(&entry.known))
    }

    /// Remembers a token, in the place of what it was before or of an older one.
    pub(super) fn keep(&self, route: usize, generation: u64, token: &[u8], known: Arc<T>) {
        if token.len() > TOKEN_BYTES_MAX {
            return;
        }
        let hash = self.hasher.hash_one(token);
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

    #[test]
    fn only_the_same_token_on_the_same_route_in_the_same_generation_is_found() {
        let cache = Cache::new(16);
        cache.keep(0, 7, b"token", Arc::new(1));
        assert_eq!(cache.find(0, 7, b"token").as_deref(), Some(&1));
        for (route, generation, token) in
            [(1, 7, &b"token"[..]), (0, 8, b"token"), (0, 6, b"token"), (0, 7, b"tokem")]
        {
            assert!(cache.find(route, generation, token).is_none());
        }
        cache.keep(0, 8, b"token", Arc::new(2));
        assert!(cache.find(0, 7, b"token").is_none());
        assert_eq!(cache.find(0, 8, b"token").as_deref(), Some(&2));
    }

    #[test]
    fn the_memory_is_bounded_and_long_tokens_are_not_kept() {
        let cache = Cache::new(64);
        for number in 0..10_000_u32 {
            cache.keep(0, 1, &number.to_be_bytes(), Arc::new(number));
        }
        let kept = (0..10_000_u32).filter(|n| cache.find(0, 1, &n.to_be_bytes()).is_some()).count();
        assert!((32..=64).contains(&kept), "{kept}");
        let long = vec![b'a'; TOKEN_BYTES_MAX + 1];
        cache.keep(0, 1, &long, Arc::new(0));
        assert!(cache.find(0, 1, &long).is_none());
    }
}
