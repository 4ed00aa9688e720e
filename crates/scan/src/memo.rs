//! What is known of names, kept from file to file: those of one project come again and again, and
//! to judge one costs far more than to find it here.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::quick::Quick;

/// As many names are kept; then it begins anew.
const MOST: usize = 16_384;

/// What one thread knows of names.
#[derive(Debug)]
pub(crate) struct Memo<V>(RefCell<HashMap<Box<str>, V, Quick>>);

impl<V> Default for Memo<V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<V: Copy> Memo<V> {
    /// What is known of a name, found out the first time.
    pub(crate) fn of(&self, name: &str, find: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.borrow().get(name) {
            return *known;
        }
        let found = find();
        let mut known = self.0.borrow_mut();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(name.into(), found);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_once_and_not_kept_for_ever() {
        let memo = Memo::default();
        assert_eq!((memo.of("a", || 1), memo.of("a", || 2), memo.of("b", || 3)), (1, 1, 3));
        for number in 0..MOST * 2 {
            memo.of(&number.to_string(), || 4);
        }
        assert!(memo.0.borrow().len() <= MOST);
    }
}
