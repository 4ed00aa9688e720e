//! Random bytes. Whatever matters as a secret is drawn from the system each time, and nothing of it
//! is kept, so a fork copies nothing. Names of tokens are drawn many at once, because asking the
//! system costs as much as signing does; what is left over in a forked child is never used there.

use std::cell::RefCell;

use crate::fork;

/// Random bytes of the system, without a generator of our own that a fork could copy.
pub(crate) fn fill(buffer: &mut [u8]) {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled = filled.saturating_add(count),
            Err(rustix::io::Errno::INTR) => {}
            // Kernels without this call are older than Rust's own floor.
            Err(_) => return,
        }
    }
}

pub(crate) fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

const NAME_BYTES: usize = 16;
/// How many names are drawn at once.
const NAMES: usize = 16;

/// Names that a thread has drawn and not given away.
struct Names {
    /// Of which process, counted in forks.
    generation: u64,
    left: usize,
    drawn: [[u8; NAME_BYTES]; NAMES],
}

impl Names {
    fn next(&mut self, generation: u64) -> [u8; NAME_BYTES] {
        if self.generation != generation || self.left == 0 {
            fill(self.drawn.as_flattened_mut());
            (self.generation, self.left) = (generation, NAMES);
        }
        self.left = self.left.saturating_sub(1);
        // A name that was given away is not kept.
        self.drawn.get_mut(self.left).map(std::mem::take).unwrap_or_default()
    }
}

thread_local! {
    static NAMES_LEFT: RefCell<Names> =
        const { RefCell::new(Names { generation: 0, left: 0, drawn: [[0; 16]; NAMES] }) };
}

/// 128 random bits that name a token: nobody can guess them, and no two processes draw the same.
/// The caller has made sure that forks are noticed ([`fork::notice`]), as everybody has who holds a
/// guard.
pub(crate) fn name() -> [u8; NAME_BYTES] {
    let next = |names: &RefCell<Names>| names.borrow_mut().next(fork::generation());
    NAMES_LEFT.try_with(next).unwrap_or_else(|_| {
        // The thread is about to end, and its names have gone already.
        let mut name = [0; NAME_BYTES];
        fill(&mut name);
        name
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_comes_twice() {
        let draw = || (0..1_000).map(|_| name()).collect::<Vec<_>>();
        let others: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let mut all = draw();
        all.extend(others.into_iter().flat_map(|thread| thread.join().unwrap()));
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), 5_000);
        assert!(!distinct.contains(&[0; NAME_BYTES]));
    }

    /// A fork copies what is left over, as this does.
    #[test]
    fn what_a_child_inherits_is_not_used() {
        let mut parent = Names { generation: 0, left: 0, drawn: [[0; NAME_BYTES]; NAMES] };
        let given = parent.next(0);
        assert!(!parent.drawn.contains(&given), "it is not kept");
        let copy = || Names { drawn: parent.drawn, ..parent };
        let (mut one, mut other) = (copy(), copy());
        let left: BTreeSet<_> = (1..NAMES).map(|_| parent.next(0)).collect();
        let mut seen = left.clone();
        for child in [&mut one, &mut other] {
            for _ in 0..=NAMES {
                assert!(seen.insert(child.next(1)), "the other side has it too");
            }
        }
        assert_eq!(left.len(), NAMES - 1);
    }
}
