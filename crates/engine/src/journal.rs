//! The journal of transitions: enough to run each of them again and see the same thing happen.

use keywheel_core::id::{Revision, RingName};
use keywheel_core::ring::Ring;
use keywheel_core::rotation::{Input, step};
use keywheel_core::time::Now;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::ports::{Expect, Key, Write};
use crate::records::Records;

/// How many transitions of each ring are kept.
const KEPT: u64 = 64;

/// The most bytes of an entry; a larger one (ten thousand instances seen by a tick) is kept
/// without its input.
const ENTRY_BYTES_MAX: usize = 512 * 1024;

/// One transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalEntry {
    /// The ring before it; nothing when it was created.
    pub before: Ring,
    /// What happened, or its name when the whole would be too large.
    pub input: Result<Input, String>,
    /// When.
    pub now: Now,
    /// The ring after it.
    pub after: Ring,
}

impl JournalEntry {
    /// Runs the transition again.
    ///
    /// # Errors
    /// With how the outcome differs from what was recorded.
    pub fn replay(&self) -> Result<(), String> {
        let Ok(input) = &self.input else { return Ok(()) };
        let again =
            step(&self.before, input.clone(), self.now).map_err(|error| error.to_string())?;
        if again.ring == self.after {
            Ok(())
        } else {
            Err(format!("{} of {} came out differently", input.name(), self.after.revision))
        }
    }
}

fn key(ring: &RingName, revision: Revision) -> Key {
    Key::new(&["journal", ring.as_str(), &format!("{:016}", revision.0)])
}

/// Prepares the writes that keep an entry and drop the oldest.
pub(crate) fn append(records: &Records, entry: &JournalEntry) -> Result<Vec<Write>, EngineError> {
    let ring = &entry.after.name;
    let revision = entry.after.revision;
    let size = serde_json::to_vec(entry).map_err(EngineError::defect)?.len();
    let shortened;
    let entry = if size > ENTRY_BYTES_MAX {
        let name = entry.input.as_ref().map_or("unknown", Input::name).to_owned();
        shortened = JournalEntry { input: Err(name), ..entry.clone() };
        &shortened
    } else {
        entry
    };
    let mut writes = vec![records.write(key(ring, revision), Expect::Any, entry)?];
    if let Some(old) = revision.0.checked_sub(KEPT) {
        writes.push(Write { key: key(ring, Revision(old)), expect: Expect::Any, value: None });
    }
    Ok(writes)
}

/// Reads the journal of a ring, oldest first.
pub(crate) fn read(records: &Records, ring: &RingName) -> Result<Vec<JournalEntry>, EngineError> {
    let prefix = format!("journal/{ring}/");
    let limit = usize::try_from(KEPT * 2).unwrap_or(usize::MAX);
    let rows = records.list::<JournalEntry>(&prefix, None, limit)?;
    Ok(rows.into_iter().map(|(_, record)| record.value).collect())
}
