//! The hash-chained record of who did what. An entry is committed together with what it records.

use aws_lc_rs::digest;
use keywheel_core::id::RingName;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::ports::{Expect, Key, Seq, Write};
use crate::records::Records;

/// One entry of the audit record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who: the name of a token, or `keywheel`.
    pub actor: String,
    /// The ring, where one was concerned.
    pub ring: Option<RingName>,
    /// What was done.
    pub action: String,
    /// The particulars; never material.
    pub detail: serde_json::Value,
    /// The hash of the entry before; of nothing for the first.
    pub previous: String,
    /// The hash of this entry.
    pub hash: String,
}

/// A page of the audit record.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// Oldest first.
    pub entries: Vec<AuditEntry>,
    /// Whether the numbers have no gap and every hash covers its entry and the one before.
    pub verified: bool,
    /// The hash of the newest entry of all.
    pub head: String,
}

/// Something to be written into the record.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) actor: String,
    pub(crate) ring: Option<RingName>,
    pub(crate) action: String,
    pub(crate) detail: serde_json::Value,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    number: u64,
    hash: String,
}

/// Writes that append to the record, and the head after them.
pub(crate) struct Appended {
    pub(crate) writes: Vec<Write>,
    pub(crate) head: String,
    /// The number and hash of the head, for the high-water mark.
    pub(crate) number: u64,
}

pub(crate) const HEAD_KEY: &str = "audit-head";

fn entry_key(number: u64) -> Key {
    Key::new(&["audit", &format!("{number:016}")])
}

fn head(records: &Records) -> Result<(Head, Option<Seq>), EngineError> {
    let record = records.read::<Head>(&Key::new(&[HEAD_KEY]))?;
    Ok(record.map_or((Head::default(), None), |record| (record.value, Some(record.seq))))
}

/// The hash and number of the newest entry.
pub(crate) fn newest(records: &Records) -> Result<(u64, String), EngineError> {
    let (head, _) = head(records)?;
    Ok((head.number, head.hash))
}

/// Prepares the writes that append these events. They conflict with any other append, so that the
/// chain has no fork.
pub(crate) fn append(
    records: &Records,
    at: &str,
    events: Vec<Event>,
) -> Result<Appended, EngineError> {
    let (mut head, seq) = head(records)?;
    let mut writes = Vec::with_capacity(events.len() + 1);
    for event in events {
        let mut entry = AuditEntry {
            number: head.number + 1,
            at: at.into(),
            actor: event.actor,
            ring: event.ring,
            action: event.action,
            detail: event.detail,
            previous: head.hash,
            hash: String::new(),
        };
        entry.hash = hash(&entry)?;
        head = Head { number: entry.number, hash: entry.hash.clone() };
        writes.push(records.write(entry_key(entry.number), Expect::Absent, &entry)?);
    }
    let expect = seq.map_or(Expect::Absent, Expect::At);
    let key = Key::new(&[HEAD_KEY]);
    writes.push(records.write_as(key, expect, "-", head.number, &head)?);
    Ok(Appended { writes, head: head.hash, number: head.number })
}

/// Reads a page of the record and checks the chain through it.
pub(crate) fn page(records: &Records, after: u64, limit: usize) -> Result<AuditPage, EngineError> {
    let start = if after == 0 { None } else { Some(entry_key(after)) };
    let rows = records.list::<AuditEntry>("audit/", start.as_ref(), limit)?;
    let entries: Vec<_> = rows.into_iter().map(|(_, record)| record.value).collect();
    let mut verified = true;
    let mut previous = match after {
        0 => Some(String::new()),
        number => records.read::<AuditEntry>(&entry_key(number))?.map(|record| record.value.hash),
    };
    let mut number = after;
    for entry in &entries {
        number += 1;
        let chained = previous.as_ref().is_none_or(|previous| *previous == entry.previous);
        verified &= entry.number == number && chained && hash(entry)? == entry.hash;
        previous = Some(entry.hash.clone());
    }
    let (head, _) = head(records)?;
    if entries.len() < limit {
        // The last page must end in the head.
        verified &= number == head.number;
        verified &= entries.last().is_none_or(|entry| entry.hash == head.hash);
    }
    Ok(AuditPage { entries, verified, head: head.hash })
}

fn hash(entry: &AuditEntry) -> Result<String, EngineError> {
    let unhashed = AuditEntry { hash: String::new(), ..entry.clone() };
    let bytes = serde_json::to_vec(&unhashed).map_err(EngineError::defect)?;
    let digest = digest::digest(&digest::SHA256, &bytes);
    Ok(hex(digest.as_ref()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
