//! Which key a value is under, found out by trying; and the same plaintext under the new key.

use std::collections::HashMap;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use keywheel_codec::{Format, Header, Limits, OpenError, Opened, Shape, WriteOptions, pgp};

use zeroize::Zeroizing;

use crate::error::Error;
use crate::settings::Settings;
use crate::target::Keys;

/// The most headers for which it is remembered which key fitted.
const HINTS_MAX: usize = 4_096;
/// Values of more bytes, and those that inflate to more, are opened one by one: a page of
/// compressed values may hold a thousand times its own length.
const TOGETHER_BYTES_MAX: usize = 64 << 10;

/// What became of a value.
pub(crate) enum Found {
    /// It is under the new key.
    Current,
    /// It is under the old key with this place in the list.
    Old(usize, Opened),
    /// Several keys open it, to different plaintexts: nothing tells which one is right.
    Several,
    /// No key opens it.
    None(OpenError),
}

/// Tries keys, in an order that it learns.
pub(crate) struct Trial<'a> {
    format: &'a Format,
    keys: &'a Keys,
    limits: Limits,
    hints: HashMap<Header, usize>,
    write: WriteOptions,
}

/// Takes what was found of some values, each with its place among all.
pub(crate) type Take<'t, 'a> =
    &'t mut dyn FnMut(&Trial<'a>, Vec<(usize, Found)>) -> Result<(), Error>;

impl<'a> Trial<'a> {
    pub(crate) fn new(format: &'a Format, keys: &'a Keys, settings: &Settings) -> Self {
        let write = WriteOptions { pgp: pgp::Write::for_key(&keys.to.1), version: keys.version };
        let limits = Limits { plain_bytes_max: settings.plain_bytes_max };
        Self { format, keys, limits, hints: HashMap::new(), write }
    }

    /// Opens values with whatever key opens them, and hands over what was found: of small values
    /// at once, of large ones one by one, so that few plaintexts are in memory at a time.
    pub(crate) fn each(&mut self, values: &[&[u8]], take: Take<'_, 'a>) -> Result<(), Error> {
        let length = |at: &usize| values.get(*at).map_or(0, |value| value.len());
        let (small, mut large): (Vec<usize>, Vec<usize>) =
            (0..values.len()).partition(|at| length(at) <= TOGETHER_BYTES_MAX);
        let views: Vec<&[u8]> = small.iter().filter_map(|at| values.get(*at).copied()).collect();
        let most = TOGETHER_BYTES_MAX.min(self.limits.plain_bytes_max);
        let mut together = Vec::with_capacity(small.len());
        for (at, found) in small.into_iter().zip(self.open(&views, most)) {
            if matches!(found, Found::None(OpenError::TooLarge { .. })) {
                large.push(at);
            } else {
                together.push((at, found));
            }
        }
        take(self, together)?;
        for at in large {
            let Some(value) = values.get(at) else { continue };
            let found = self.open(&[value], self.limits.plain_bytes_max);
            take(self, found.into_iter().map(|found| (at, found)).collect())?;
        }
        Ok(())
    }

    /// Values that look alike are likely to be under the same key, so each is tried first with the
    /// key that opened the last one of its kind; otherwise with an old one, which is most likely.
    fn open(&mut self, values: &[&[u8]], plain_bytes_max: usize) -> Vec<Found> {
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
                        let first = firsts.get(*at).copied().unwrap_or(0);
                        let is_settled = self.is_settled(found.get(*at).and_then(Option::as_ref));
                        !is_settled && (first + round) % count == place
                    })
                    .collect();
                let some: Vec<&[u8]> =
                    mine.iter().filter_map(|at| values.get(*at).copied()).collect();
                if some.is_empty() {
                    continue;
                }
                let opened = self.format.open_many(&some, key, Limits { plain_bytes_max });
                for (at, opened) in mine.into_iter().zip(opened) {
                    if opened.is_ok()
                        && self.hints.len() < HINTS_MAX
                        && let Some(Some(header)) = headers.get(at)
                    {
                        self.hints.insert(header.clone(), place);
                    }
                    if let Some(slot) = found.get_mut(at) {
                        *slot = Some(joined(slot.take(), place, opened));
                    }
                }
            }
        }
        found.into_iter().map(|one| one.unwrap_or(Found::None(OpenError::WrongKey))).collect()
    }

    /// Whether no further key need be tried. Without integrity each one must be: a wrong key opens
    /// some values, and what it gives may pass for a plaintext.
    fn is_settled(&self, found: Option<&Found>) -> bool {
        match found {
            Some(Found::Current | Found::Old(..)) => !matches!(self.format, Format::Raw(_)),
            Some(Found::Several) => true,
            Some(Found::None(_)) | None => false,
        }
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

/// What is known of a value after one more key.
fn joined(before: Option<Found>, place: usize, opened: Result<Opened, OpenError>) -> Found {
    match (before, opened) {
        (Some(Found::Old(at, one)), Ok(other)) if place > 0 && one.plain == other.plain => {
            Found::Old(at, one)
        }
        (Some(Found::Current | Found::Old(..) | Found::Several), Ok(_)) => Found::Several,
        (_, Ok(_)) if place == 0 => Found::Current,
        (_, Ok(opened)) => Found::Old(place - 1, opened),
        // A key that fitted is not made unknown by one that does not.
        (
            Some(
                known @ (Found::Current
                | Found::Old(..)
                | Found::Several
                | Found::None(OpenError::TooLarge { .. })),
            ),
            Err(_),
        ) => known,
        (_, Err(error)) => Found::None(error),
    }
}
