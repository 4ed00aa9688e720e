//! A log for each ring: numbered, sealed records with many entries in each, and a head that vouches
//! for them.
//!
//! Readers follow it by number. Records whose last entry is over are removed, small ones are merged
//! under the highest of their numbers, so that whoever stands in between reads it all once more,
//! which must be harmless. What the entries mean is not this module's business.

use std::marker::PhantomData;

use keywheel_core::id::RingName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::ports::{Expect, Key, Seq, Write};
use crate::records::Records;

/// The most entries of one record.
const RECORD_ENTRIES_MAX: usize = 2_000;

/// About the most bytes of one record, before it is sealed; one entry more may fit in.
const RECORD_BYTES_MAX: usize = 256 * 1024;

/// One kind of log, by the first segment of its keys.
pub(crate) struct RingLog<E> {
    family: &'static str,
    head_family: &'static str,
    entries: PhantomData<fn() -> E>,
}

/// What a log may keep.
pub(crate) trait Entry: Clone + Ord + Serialize + DeserializeOwned {
    /// Whether it may be forgotten now, in seconds since the epoch.
    fn is_over(&self, now: i64) -> bool;
}

/// How a log stands. It is sealed like everything else, so that a record that somebody took out of
/// the store is missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// How often this was replaced.
    pub(crate) changes: u64,
    /// The number of the newest record that ever was.
    pub(crate) newest: u64,
    /// How many entries there are.
    pub(crate) entries: u64,
    /// The sum over the records of a digest of number and size.
    pub(crate) digest: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<E> {
    entries: Vec<E>,
}

/// A record as it was read.
pub(crate) struct Numbered<E> {
    pub(crate) ring: RingName,
    pub(crate) number: u64,
    pub(crate) entries: Vec<E>,
    key: Key,
    seq: Seq,
}

impl<E: Entry> RingLog<E> {
    pub(crate) const fn new(family: &'static str, head_family: &'static str) -> Self {
        Self { family, head_family, entries: PhantomData }
    }

    pub(crate) fn head_key(&self, ring: &RingName) -> Key {
        Key::new(&[self.head_family, ring.as_str()])
    }

    fn key(&self, ring: &RingName, number: u64) -> Key {
        Key::new(&[self.family, ring.as_str(), &format!("{number:016}")])
    }

    /// How the log stands, and the commit that wrote that.
    pub(crate) fn head(
        &self,
        records: &Records,
        ring: &RingName,
    ) -> Result<(Head, Option<Seq>), EngineError> {
        let record = records.read::<Head>(&self.head_key(ring))?;
        Ok(record.map_or((Head::default(), None), |record| (record.value, Some(record.seq))))
    }

    /// The write that replaces the head. It comes first in a commit, and conflicts with any other
    /// change of the log.
    pub(crate) fn head_write(
        &self,
        records: &Records,
        ring: &RingName,
        head: &Head,
        was: Option<Seq>,
    ) -> Result<Write, EngineError> {
        let expect = was.map_or(Expect::Absent, Expect::At);
        records.write_as(self.head_key(ring), expect, "-", head.changes, head)
    }

    /// Prepares the writes that append these entries, the head's among them, and moves the head.
    pub(crate) fn append(
        &self,
        records: &Records,
        ring: &RingName,
        head: &mut Head,
        was: Option<Seq>,
        entries: &[E],
    ) -> Result<Vec<Write>, EngineError> {
        let mut appended = Vec::new();
        for chunk in chunks(entries)? {
            head.newest = head.newest.saturating_add(1);
            head.add(head.newest, chunk.len());
            let key = self.key(ring, head.newest);
            appended.push(Self::write(records, key, Expect::Absent, head.newest, chunk)?);
        }
        head.changes = head.changes.saturating_add(1);
        let mut writes = vec![self.head_write(records, ring, head, was)?];
        writes.append(&mut appended);
        Ok(writes)
    }

    fn write(
        records: &Records,
        key: Key,
        expect: Expect,
        number: u64,
        entries: &[E],
    ) -> Result<Write, EngineError> {
        records.write_as(key, expect, "-", number, &Sealed { entries: entries.to_vec() })
    }

    /// The records of a ring after a number, in order, at most `limit`.
    pub(crate) fn page(
        &self,
        records: &Records,
        ring: &RingName,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Numbered<E>>, EngineError> {
        let prefix = format!("{}/{ring}/", self.family);
        Self::list(records, &prefix, Some(&self.key(ring, after)), limit)
    }

    /// The records of every ring after a key, in order, and the key to go on from; nothing when
    /// there are no more.
    pub(crate) fn sweep(
        &self,
        records: &Records,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<(Vec<Numbered<E>>, Option<Key>), EngineError> {
        let page = Self::list(records, &format!("{}/", self.family), after, limit)?;
        let last = page.last().map(|record| record.key.clone());
        Ok((page, last))
    }

    fn list(
        records: &Records,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Numbered<E>>, EngineError> {
        let rows = records.list::<Sealed<E>>(prefix, after, limit)?;
        rows.into_iter()
            .map(|(key, record)| {
                let named = key.as_str().rsplit_once('/').zip(key.tail().split_once('/'));
                let parsed = named.and_then(|((_, number), (ring, _))| {
                    Some((ring.parse().ok()?, number.parse().ok()?))
                });
                let (ring, number) = parsed.ok_or_else(|| EngineError::defect(key.as_str()))?;
                let entries = record.value.entries;
                Ok(Numbered { ring, number, entries, seq: record.seq, key })
            })
            .collect()
    }

    /// Prepares the writes that remove these records, and moves the head; the head's own write is
    /// the caller's.
    pub(crate) fn remove(head: &mut Head, gone: &[Numbered<E>]) -> Vec<Write> {
        for record in gone {
            head.take(record.number, record.entries.len());
        }
        let removal = |record: &Numbered<E>| Write {
            key: record.key.clone(),
            expect: Expect::At(record.seq),
            value: None,
        };
        gone.iter().map(removal).collect()
    }

    /// Prepares the writes that put neighbouring records of one ring in order: without what is
    /// over, and several small ones as one. Nothing when they are in order.
    pub(crate) fn tidy(
        records: &Records,
        head: &mut Head,
        page: &[Numbered<E>],
        is_over: impl Fn(&E) -> bool,
    ) -> Result<Vec<Write>, EngineError> {
        let mut writes = Vec::new();
        for group in groups(page, &is_over)? {
            let mut kept: Vec<E> =
                group.iter().flat_map(|record| &record.entries).cloned().collect();
            let before = kept.len();
            kept.retain(|entry| !is_over(entry));
            kept.sort();
            kept.dedup();
            // A record in which little is over is left alone: it would be written again each hour.
            if group.len() == 1 && !kept.is_empty() && kept.len() * 2 > before {
                continue;
            }
            let Some((last, rest)) = group.split_last() else { continue };
            if kept.is_empty() {
                writes.append(&mut Self::remove(head, group));
                continue;
            }
            writes.append(&mut Self::remove(head, rest));
            head.take(last.number, last.entries.len());
            head.add(last.number, kept.len());
            let (key, expect) = (last.key.clone(), Expect::At(last.seq));
            writes.push(Self::write(records, key, expect, last.number, &kept)?);
        }
        Ok(writes)
    }
}

impl Head {
    fn add(&mut self, number: u64, entries: usize) {
        self.entries = self.entries.saturating_add(entries as u64);
        self.digest = self.digest.wrapping_add(mark(number, entries));
    }

    fn take(&mut self, number: u64, entries: usize) {
        self.entries = self.entries.saturating_sub(entries as u64);
        self.digest = self.digest.wrapping_sub(mark(number, entries));
    }
}

/// The share of one record in [`Head::digest`]: SplitMix64 over its number and size. It need not be
/// keyed, because both the head and the record are sealed.
pub(crate) const fn mark(number: u64, entries: usize) -> u64 {
    let mut x = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(entries as u64);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn size<E: Serialize>(entries: &E) -> Result<usize, EngineError> {
    Ok(serde_json::to_vec(entries).map_err(EngineError::defect)?.len())
}

/// Entries in pieces that each fit into a record.
fn chunks<E: Entry>(entries: &[E]) -> Result<Vec<&[E]>, EngineError> {
    let (mut pieces, mut rest, mut bytes, mut taken) = (Vec::new(), entries, 0, 0);
    for entry in entries {
        bytes += size(entry)?;
        taken += 1;
        if taken == RECORD_ENTRIES_MAX || bytes >= RECORD_BYTES_MAX {
            let (piece, left) = rest.split_at(taken);
            pieces.push(piece);
            (rest, bytes, taken) = (left, 0, 0);
        }
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    Ok(pieces)
}

/// Neighbours whose living entries fit into one record together.
fn groups<'a, E: Entry>(
    page: &'a [Numbered<E>],
    is_over: &impl Fn(&E) -> bool,
) -> Result<Vec<&'a [Numbered<E>]>, EngineError> {
    let (mut groups, mut rest, mut taken, mut living, mut bytes) = (Vec::new(), page, 0, 0, 0);
    for record in page {
        let kept: Vec<_> = record.entries.iter().filter(|entry| !is_over(entry)).collect();
        let size = size(&kept)?;
        let fits = living + kept.len() <= RECORD_ENTRIES_MAX && bytes + size <= RECORD_BYTES_MAX;
        if taken > 0 && !fits {
            let (group, left) = rest.split_at(taken);
            groups.push(group);
            (rest, taken, living, bytes) = (left, 0, 0, 0);
        }
        taken += 1;
        living += kept.len();
        bytes += size;
    }
    if !rest.is_empty() {
        groups.push(rest);
    }
    Ok(groups)
}
