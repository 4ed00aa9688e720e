//! Which key a value is under, found out by trying; and the same plaintext under the new key.

use std::collections::HashMap;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use keywheel_codec::{Format, Header, Limits, OpenError, Opened, Shape, WriteOptions, pgp};

use zeroize::Zeroizing;

use crate::error::Error;
use crate::target::Keys;

/// The most headers for which it is remembered which key fitted.
const HINTS_MAX: usize = 4_096;

/// What became of a value.
pub(crate) enum Found {
    /// It is under the new key.
    Current,
    /// It is under the old key with this place in the list.
    Old(usize, Opened),
    /// No key opens it.
    None(OpenError),
}

/// Tries keys, in an order that it learns.
pub(crate) struct Trial<'a> {
    format: &'a Format,
    keys: &'a Keys,
    hints: HashMap<Header, usize>,
    write: WriteOptions,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(format: &'a Format, keys: &'a Keys) -> Self {
        let write = WriteOptions { pgp: pgp::Write::for_key(&keys.to.1), version: keys.version };
        Self { format, keys, hints: HashMap::new(), write }
    }

    /// Opens values with whatever key opens them.
    ///
    /// Values that look alike are likely to be under the same key, so each is tried first with the
    /// key that opened the last one of its kind; otherwise with an old one, which is most likely.
    pub(crate) fn open(&mut self, values: &[&[u8]]) -> Vec<Found> {
        let count = self.keys.from.len() + 1;
        let headers: Vec<Option<Header>> =
            values.iter().map(|value| self.format.census(value).ok()).collect();
        let first = |header: &Option<Header>| {
            let hint = header.as_ref().and_then(|header| self.hints.get(header));
            hint.copied().unwrap_or(usize::from(count > 1))
        };
        let firsts: Vec<usize> = headers.iter().map(first).collect();
        let mut found: Vec<Option<Found>> = values.iter().map(|_| None).collect();
        for round in 0..count {
            for (place, (_, key)) in self.keys.all().enumerate() {
                // The first key of a value comes first, then the others in a ring.
                let mine: Vec<usize> = (0..values.len())
                    .filter(|at| {
                        let is_open =
                            matches!(found.get(*at), Some(Some(Found::Current | Found::Old(..))));
                        let first = firsts.get(*at).copied().unwrap_or(0);
                        !is_open && (first + round) % count == place
                    })
                    .collect();
                let some: Vec<&[u8]> =
                    mine.iter().filter_map(|at| values.get(*at).copied()).collect();
                if some.is_empty() {
                    continue;
                }
                let opened = self.format.open_many(&some, key, Limits::default());
                for (at, opened) in mine.into_iter().zip(opened) {
                    if opened.is_ok()
                        && self.hints.len() < HINTS_MAX
                        && let Some(Some(header)) = headers.get(at)
                    {
                        self.hints.insert(header.clone(), place);
                    }
                    if let Some(slot) = found.get_mut(at) {
                        *slot = Some(match opened {
                            Ok(_) if place == 0 => Found::Current,
                            Ok(opened) => Found::Old(place - 1, opened),
                            Err(error) => Found::None(error),
                        });
                    }
                }
            }
        }
        found.into_iter().map(|one| one.unwrap_or(Found::None(OpenError::WrongKey))).collect()
    }

    /// Seals plaintexts under the new key, and sees that each opens to what it was.
    pub(crate) fn seal(&self, opened: &[&Opened]) -> Result<Vec<Vec<u8>>, Error> {
        let key = &self.keys.to.1;
        let mut random = Random::default();
        let sealed =
            self.format.seal_many(opened, key, &self.write, &mut |bytes| random.fill(bytes));
        if random.has_failed {
            return Err(Error::Entropy);
        }
        let sealed: Vec<Vec<u8>> = sealed
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Seal(error.to_string()))?;
        let views: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
        let again = self.format.open_many(&views, key, Limits::default());
        let same = again.len() == opened.len()
            && again.iter().zip(opened).all(|(again, opened)| {
                again.as_ref().is_ok_and(|again| {
                    again.plain == opened.plain && is_kept(&opened.shape, &again.shape)
                })
            });
        if same { Ok(sealed) } else { Err(Error::OwnOutput) }
    }
}

/// Random bytes, drawn many at once: each value takes a few, and to ask for them costs more than
/// they do.
struct Random {
    drawn: Zeroizing<[u8; 1024]>,
    taken: usize,
    has_failed: bool,
}

impl Default for Random {
    fn default() -> Self {
        let drawn = Zeroizing::new([0; 1024]);
        Self { taken: drawn.len(), drawn, has_failed: false }
    }
}

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        let end = self.taken.saturating_add(bytes.len());
        if let Some(drawn) = self.drawn.get_mut(self.taken..end) {
            bytes.copy_from_slice(drawn);
            // No byte is given twice.
            drawn.fill(0);
            self.taken = end;
            return;
        }
        let random = SystemRandom::new();
        self.has_failed |= random.fill(bytes).is_err() || random.fill(&mut *self.drawn).is_err();
        self.taken = 0;
    }
}

/// Whether nothing of a value changed but its key.
fn is_kept(old: &Shape, new: &Shape) -> bool {
    match (old, new) {
        (Shape::Pgp(old), Shape::Pgp(new)) => old.is_kept_by(new),
        _ => old == new,
    }
}
