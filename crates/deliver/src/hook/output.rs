//! The last words of a program, bounded while it speaks.

use zeroize::Zeroizing;

use crate::redact::{Redactor, clean};

/// How much of each stream is kept for a message.
pub(super) const KEPT_BYTES: usize = 4 * 1024;

/// The end of one stream. It may hold secrets until it is told.
pub(super) struct Tail {
    bytes: Zeroizing<Vec<u8>>,
    /// The part before [`KEPT_BYTES`] that is needed to recognise a secret that begins in it.
    margin: usize,
    is_cut: bool,
}

impl Tail {
    pub(super) fn new(hide: &Redactor) -> Self {
        let margin = hide.longest();
        // Twice the bound, so that the front is moved away seldom; it never grows, which would
        // leave a copy behind.
        let room = KEPT_BYTES.saturating_add(margin).saturating_mul(2);
        Self { bytes: Zeroizing::new(Vec::with_capacity(room)), margin, is_cut: false }
    }

    pub(super) fn push(&mut self, said: &[u8]) {
        let bound = KEPT_BYTES.saturating_add(self.margin);
        for piece in said.chunks(bound) {
            let piece = clean(piece);
            let surplus = self.bytes.len().saturating_add(piece.len()).saturating_sub(bound);
            if self.bytes.len().saturating_add(piece.len()) > bound.saturating_mul(2) {
                self.cut(surplus);
            }
            self.bytes.extend_from_slice(&piece);
        }
    }

    fn cut(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        self.is_cut |= count > 0;
    }

    /// What may be shown.
    pub(super) fn told(mut self, hide: &Redactor) -> String {
        let bound = KEPT_BYTES.saturating_add(self.margin);
        self.cut(self.bytes.len().saturating_sub(bound));
        // What was cut may have ended in the first part of a secret, whose rest would not be
        // recognised; no such rest is longer than the margin.
        let from = if self.is_cut { self.margin } else { 0 };
        let from = from.max(self.bytes.len().saturating_sub(KEPT_BYTES));
        hide.text(&self.bytes, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_whatever_the_pieces() {
        let hide = Redactor::none();
        let said: Vec<u8> = (b'a'..=b'z').cycle().take(100_000).collect();
        let end = String::from_utf8(said[said.len() - KEPT_BYTES..].to_vec()).unwrap();
        for size in [1, 7, 1000, 4096, 5000, 70_000] {
            let mut tail = Tail::new(&hide);
            let room = tail.bytes.capacity();
            said.chunks(size).for_each(|piece| tail.push(piece));
            assert_eq!(tail.bytes.capacity(), room, "a copy may be left behind");
            assert_eq!(tail.told(&hide), end);
        }
    }

    #[test]
    fn a_secret_at_the_cut_is_not_shown_in_part() {
        let mut hide = Redactor::none();
        hide.hide(b"0123456789");
        for filler in KEPT_BYTES - 12..KEPT_BYTES + 12 {
            for before in [0, 5, 50_000] {
                let said = format!("{}0123456789{}", "x".repeat(before), "y".repeat(filler));
                let mut tail = Tail::new(&hide);
                tail.push(said.as_bytes());
                let told = tail.told(&hide);
                assert!(!told.contains(|c: char| c.is_ascii_digit()), "{filler} {before}");
            }
        }
    }
}
