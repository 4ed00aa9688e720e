//! Notices on their way to people, kept until somebody took them.

use keywheel_core::id::RingName;
use keywheel_core::rotation::Notice;
use keywheel_core::time::{Span, WallTime};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::ports::{Commit, Expect, Key, Seq, Write};
use crate::records::Records;

/// A notice is given up after this many attempts, about a day.
const ATTEMPTS_MAX: u32 = 24;

/// The longest pause between two attempts.
const PAUSE_MAX: Span = Span::from_secs(3_600);

/// A notice that waits for delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingNotice {
    /// Its number, for the calls that follow; the number of its audit entry.
    pub id: u64,
    /// The ring.
    pub ring: RingName,
    /// What happened.
    pub notice: Notice,
    /// When it happened.
    pub at: WallTime,
    /// How often delivery was tried.
    pub attempts: u32,
    /// Not before this moment.
    pub next_attempt: WallTime,
}

fn key(id: u64) -> Key {
    Key::new(&["outbox", &format!("{id:016}")])
}

pub(crate) fn append(records: &Records, notice: &PendingNotice) -> Result<Write, EngineError> {
    records.write(key(notice.id), Expect::Any, notice)
}

/// The notices whose time has come, oldest first.
pub(crate) fn due(
    records: &Records,
    now: WallTime,
    limit: usize,
) -> Result<Vec<PendingNotice>, EngineError> {
    let rows = records.list::<PendingNotice>("outbox/", None, 1_000)?;
    let pending = rows.into_iter().map(|(_, record)| record.value);
    Ok(pending.filter(|notice| notice.next_attempt <= now).take(limit).collect())
}

/// How many notices wait.
pub(crate) fn depth(records: &Records) -> Result<usize, EngineError> {
    Ok(records.store.list("outbox/", None, 1_000)?.len())
}

pub(crate) fn delivered(records: &Records, id: u64) -> Result<(), EngineError> {
    let write = Write { key: key(id), expect: Expect::Any, value: None };
    records.store.commit(&Commit { fence: None, writes: vec![write] })?;
    Ok(())
}

/// Puts a notice off, for longer each time. False when it was given up.
pub(crate) fn failed(records: &Records, id: u64, now: WallTime) -> Result<bool, EngineError> {
    let Some(record) = records.read::<PendingNotice>(&key(id))? else { return Ok(true) };
    let mut notice = record.value;
    notice.attempts += 1;
    if notice.attempts >= ATTEMPTS_MAX {
        delivered(records, id)?;
        return Ok(false);
    }
    let pause = Span::from_secs(1u64 << notice.attempts.min(12)).min(PAUSE_MAX);
    notice.next_attempt = now.after(pause);
    let write = records.write(key(id), Expect::At(record.seq), &notice)?;
    let _seq: Seq = records.store.commit(&Commit { fence: None, writes: vec![write] })?;
    Ok(true)
}
