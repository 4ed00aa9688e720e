//! What an agent remembers of its deliveries across a crash, in a folder that only it can read:
//! which contents the consumer has taken, and, while a delivery goes on, which sinks it writes and
//! what stood there before.
//!
//! The record holds no secret: contents appear in it as digests under a key that stands beside it.
//! The former contents themselves are kept in files of mode 0600 until the delivery is done.
//! Everything is written through [`crate::file`], so it is whole and on the disk or not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use keywheel_client::clock::wall_millis;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::file::{self, Disk, FileError};
use crate::settings::FileOptions;

/// Which form the record has.
const FORMAT: u32 = 1;
const KEY_BYTES: usize = 32;
const RECORD: &str = "deliveries.json";
const KEY: &str = "digest.key";
/// Former contents have names that begin like this.
const FORMER: &str = "former-";

/// What a content is called where the content itself must not stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

/// A sink that a delivery is about to write.
pub struct Intent<'a> {
    /// The sink.
    pub sink: &'a str,
    /// Where it writes.
    pub path: &'a Path,
    /// What stands there now; nothing when nothing does. Ignored for a sink that an unfinished
    /// delivery has touched already: what stood there before that one counts.
    pub former: Option<&'a [u8]>,
    /// What will stand there.
    pub next: &'a [u8],
}

/// A sink that an unfinished delivery may have written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touched {
    /// The sink.
    pub sink: String,
    /// Where it writes.
    pub path: PathBuf,
    /// What stood there before, and was kept; nothing when nothing stood there.
    former: Option<Digest>,
    /// What was about to stand there.
    next: Digest,
    /// What the consumer had taken before.
    settled: Option<Digest>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    sinks: Vec<Touched>,
    /// The sink without a way back may have been written.
    no_return: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    /// What the consumer has taken, by sink.
    settled: BTreeMap<String, Digest>,
    /// The delivery that goes on, or was cut off.
    open: Option<Open>,
    /// When a server was last reached, on the wall clock, and how long the consumer may go on
    /// without one, in milliseconds.
    contact: Option<(i64, u64)>,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file of it.
    #[error("the agent's own record: {source}")]
    File {
        /// What went wrong.
        #[source]
        source: FileError,
    },
    /// The record is not one.
    #[error("{} is not a record that this agent wrote", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A former content is gone or another one.
    #[error("what stood in sink `{sink}` before the delivery was not kept whole")]
    Former {
        /// The sink.
        sink: String,
    },
    /// No random bytes.
    #[error("the system gives no random bytes: {0}")]
    Entropy(std::io::Error),
}

impl JournalError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::File { source } => source.remedy(),
            Self::Damaged { path } => format!(
                "look whether the consumer's files agree, then remove {}; everything is then \
                 delivered anew",
                path.display()
            ),
            Self::Former { .. } => {
                "deliver again, or put the file in order by hand; nothing was written over it"
                    .to_owned()
            }
            Self::Entropy(_) => "check the sandbox of the agent".to_owned(),
        }
    }
}

/// The journal of one consumer.
pub struct Journal {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    key: hmac::Key,
    record: Record,
}

impl Journal {
    /// Opens the journal in a folder that exists, or begins one.
    ///
    /// # Errors
    /// When it cannot be read or begun, or is damaged.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, JournalError> {
        let key = Self::key(&*disk, folder)?;
        let path = folder.join(RECORD);
        let record = match read(&path)? {
            None => Record { format: FORMAT, ..Record::default() },
            Some(bytes) => serde_json::from_slice(&bytes)
                .ok()
                .filter(|record: &Record| record.format == FORMAT)
                .ok_or(JournalError::Damaged { path })?,
        };
        Ok(Self { folder: folder.to_owned(), disk, key, record })
    }

    /// Without the key that is lost, nothing counts as settled, and no former content is believed.
    fn key(disk: &dyn Disk, folder: &Path) -> Result<hmac::Key, JournalError> {
        let path = folder.join(KEY);
        let present = read(&path)?.filter(|bytes| bytes.len() == KEY_BYTES);
        let bytes = if let Some(bytes) = present {
            bytes
        } else {
            let mut bytes = Zeroizing::new(vec![0_u8; KEY_BYTES]);
            rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())
                .map_err(|error| JournalError::Entropy(error.into()))?;
            write(disk, &path, &bytes)?;
            bytes
        };
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }

    /// What the content of a sink is called.
    pub fn digest(&self, sink: &str, path: &Path, content: &[u8]) -> Digest {
        use std::os::unix::ffi::OsStrExt as _;
        let mut signing = hmac::Context::with_key(&self.key);
        for part in [sink.as_bytes(), path.as_os_str().as_bytes(), content] {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            signing.update(&length.to_be_bytes());
            signing.update(part);
        }
        let tag = signing.sign();
        let mut text = String::with_capacity(tag.as_ref().len().saturating_mul(2));
        for nibble in tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0x0f]) {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
        Digest(text)
    }

    /// Whether the consumer has taken this content of a sink.
    pub fn is_settled(&self, sink: &str, content: &Digest) -> bool {
        self.record.settled.get(sink) == Some(content)
    }

    /// The sinks that an unfinished delivery may have written.
    pub fn touched(&self) -> &[Touched] {
        self.record.open.as_ref().map_or(&[], |open| open.sinks.as_slice())
    }

    /// Whether a delivery has begun and not ended.
    pub const fn is_open(&self) -> bool {
        self.record.open.is_some()
    }

    /// Whether an unfinished delivery may have written the sink without a way back.
    pub fn is_past_return(&self) -> bool {
        self.record.open.as_ref().is_some_and(|open| open.no_return)
    }

    /// What stood in a touched sink before; nothing when nothing did.
    ///
    /// # Errors
    /// When it was not kept whole, or the sink was not touched.
    pub fn former(&self, sink: &str) -> Result<Option<Zeroizing<Vec<u8>>>, JournalError> {
        let lost = || JournalError::Former { sink: sink.to_owned() };
        let touched = self.touched().iter().find(|touched| touched.sink == sink);
        let touched = touched.ok_or_else(lost)?;
        let Some(digest) = &touched.former else { return Ok(None) };
        let bytes = read(&self.former_file(sink))?.ok_or_else(lost)?;
        let is_whole = self.digest(sink, &touched.path, &bytes) == *digest;
        is_whole.then_some(Some(bytes)).ok_or_else(lost)
    }

    /// Whether what stands in a touched sink now is neither what stood there before nor what was
    /// about to: somebody else wrote it.
    pub fn is_foreign(&self, sink: &str, present: Option<&[u8]>) -> bool {
        let Some(touched) = self.touched().iter().find(|touched| touched.sink == sink) else {
            return false;
        };
        let present = present.map(|bytes| self.digest(sink, &touched.path, bytes));
        present != touched.former && present.as_ref() != Some(&touched.next)
    }

    /// Makes durable which sinks are about to be written, and what stands there now. Sinks that an
    /// unfinished delivery has touched stay so, with what stood there before it.
    ///
    /// # Errors
    /// When it cannot be written; nothing may be written to the sinks then.
    pub fn begin(&mut self, intents: &[Intent<'_>]) -> Result<(), JournalError> {
        let mut record = self.record.clone();
        let mut open = record.open.take().unwrap_or_default();
        for intent in intents {
            let next = self.digest(intent.sink, intent.path, intent.next);
            if let Some(touched) = open.sinks.iter_mut().find(|known| known.sink == intent.sink) {
                touched.next = next;
                continue;
            }
            let former = match intent.former {
                None => None,
                Some(bytes) => {
                    write(&*self.disk, &self.former_file(intent.sink), bytes)?;
                    Some(self.digest(intent.sink, intent.path, bytes))
                }
            };
            open.sinks.push(Touched {
                sink: intent.sink.to_owned(),
                path: intent.path.to_owned(),
                former,
                next,
                settled: record.settled.remove(intent.sink),
            });
        }
        record.open = Some(open);
        self.replace(record)
    }

    /// Makes durable that the sink without a way back is about to be written.
    ///
    /// # Errors
    /// When it cannot be written; the sink may not be written then.
    pub fn pass_return(&mut self) -> Result<(), JournalError> {
        let mut record = self.record.clone();
        record.open.get_or_insert_default().no_return = true;
        self.replace(record)
    }

    /// Makes durable that the consumer has taken these contents, and that nothing is left to do.
    ///
    /// # Errors
    /// When it cannot be written; the delivery stays unfinished then.
    pub fn settle(&mut self, taken: BTreeMap<String, Digest>) -> Result<(), JournalError> {
        let mut record = self.record.clone();
        record.open = None;
        record.settled = taken;
        self.replace(record)?;
        self.sweep();
        Ok(())
    }

    /// Makes durable that everything is as it was.
    ///
    /// # Errors
    /// As [`Journal::settle`].
    pub fn settle_back(&mut self) -> Result<(), JournalError> {
        let mut record = self.record.clone();
        for touched in record.open.take().unwrap_or_default().sinks {
            if let Some(settled) = touched.settled {
                record.settled.insert(touched.sink, settled);
            }
        }
        self.replace(record)?;
        self.sweep();
        Ok(())
    }

    /// Forgets what the consumer has taken: it was stopped, and takes everything anew when it is
    /// started.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn unsettle(&mut self) -> Result<(), JournalError> {
        let mut record = self.record.clone();
        record.settled.clear();
        self.replace(record)
    }

    /// Forgets sinks of an unfinished delivery that are not declared any more: whoever took them
    /// out of the configuration has taken them over.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget_unknown(
        &mut self,
        is_known: impl Fn(&Touched) -> bool,
    ) -> Result<Vec<Touched>, JournalError> {
        let mut record = self.record.clone();
        let Some(open) = &mut record.open else { return Ok(Vec::new()) };
        let (known, unknown): (Vec<_>, Vec<_>) = open.sinks.drain(..).partition(is_known);
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        open.sinks = known;
        if open.sinks.is_empty() && !open.no_return {
            record.open = None;
        }
        self.replace(record)?;
        Ok(unknown)
    }

    /// Notes that a server was reached, and how long the consumer may go on without one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_contact(&mut self, offline_max_millis: u64) -> Result<(), JournalError> {
        let mut record = self.record.clone();
        record.contact = Some((wall_millis(), offline_max_millis));
        self.replace(record)
    }

    /// How much longer the consumer may go on without a server, in milliseconds, by the last
    /// contact that was noted; nothing when none was.
    pub fn may_go_on_millis(&self) -> Option<u64> {
        let (at, most) = self.record.contact?;
        // A clock that was set back must not lengthen the time.
        let since = u64::try_from(wall_millis().saturating_sub(at)).unwrap_or(0);
        Some(most.saturating_sub(since))
    }

    fn replace(&mut self, record: Record) -> Result<(), JournalError> {
        if record == self.record {
            return Ok(());
        }
        let path = self.folder.join(RECORD);
        let bytes = serde_json::to_vec_pretty(&record)
            .map_err(|_| JournalError::Damaged { path: path.clone() })?;
        write(&*self.disk, &path, &bytes)?;
        self.record = record;
        Ok(())
    }

    fn former_file(&self, sink: &str) -> PathBuf {
        self.folder.join(format!("{FORMER}{sink}"))
    }

    /// Removes former contents that no unfinished delivery needs.
    pub fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(sink) = name.to_str().and_then(|name| name.strip_prefix(FORMER)) else {
                continue;
            };
            if !self.touched().iter().any(|touched| touched.sink == sink)
                && let Err(error) = file::put_back_on(&*self.disk, &private(&entry.path()), None)
            {
                tracing::warn!(%error, "a former content that nothing needs cannot be removed");
            }
        }
    }
}

/// The options of the agent's own files.
fn private(path: &Path) -> FileOptions {
    FileOptions { path: path.to_owned(), mode: 0o600, owner: None, backups: 0 }
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, JournalError> {
    let present = file::read(&private(path)).map_err(file_error)?;
    Ok(present.map(|present| Zeroizing::new(present.bytes().to_vec())))
}

fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let options = private(path);
    let present = file::read(&options).map_err(file_error)?;
    file::stage_on(disk, &options, bytes, present.as_ref())
        .and_then(|staged| staged.swap(present.as_ref()))
        .and_then(|()| file::settle_on(disk, &options))
        .map_err(file_error)
}

fn file_error(source: FileError) -> JournalError {
    JournalError::File { source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::file::OsDisk;

    fn open(folder: &Path) -> Result<Journal, JournalError> {
        Journal::open(Arc::new(OsDisk), folder)
    }

    fn intent<'a>(former: Option<&'a [u8]>, next: &'a [u8]) -> Intent<'a> {
        Intent { sink: "env", path: Path::new("/srv/.env"), former, next }
    }

    fn begun(folder: &Path) -> Journal {
        let mut journal = open(folder).unwrap();
        journal.begin(&[intent(Some(b"the former secret"), b"the next secret")]).unwrap();
        journal
    }

    #[test]
    fn a_record_holds_no_secret_and_nobody_else_reads_anything() {
        let folder = tempfile::tempdir().unwrap();
        begun(folder.path());
        let record = std::fs::read_to_string(folder.path().join(RECORD)).unwrap();
        assert!(!record.contains("secret"), "{record}");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        let modes: Vec<_> = names.map(|name| name.metadata().unwrap().mode() & 0o7777).collect();
        assert_eq!(modes, [0o600; 3]);
    }

    #[test]
    fn an_unfinished_delivery_is_known_after_a_restart_and_keeps_the_oldest_content() {
        let folder = tempfile::tempdir().unwrap();
        begun(folder.path());
        let mut journal = open(folder.path()).unwrap();
        assert!(journal.is_open() && !journal.is_past_return());
        journal.begin(&[intent(Some(b"a mix"), b"another one")]).unwrap();
        journal.pass_return().unwrap();
        let journal = open(folder.path()).unwrap();
        assert!(journal.is_past_return());
        assert_eq!(journal.former("env").unwrap().unwrap().as_slice(), b"the former secret");
        assert!(!journal.is_foreign("env", Some(b"the former secret")));
        assert!(!journal.is_foreign("env", Some(b"another one")));
        assert!(journal.is_foreign("env", Some(b"something else")));
        assert!(journal.is_foreign("env", None));
    }

    #[test]
    fn what_was_taken_before_counts_again_when_all_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path()).unwrap();
        let path = Path::new("/srv/.env");
        let digest = journal.digest("env", path, b"the former secret");
        journal.settle(BTreeMap::from([("env".to_owned(), digest.clone())])).unwrap();
        let mut journal = begun(folder.path());
        assert!(!journal.is_settled("env", &digest));
        journal.settle_back().unwrap();
        let mut journal = open(folder.path()).unwrap();
        assert!(journal.is_settled("env", &digest) && !journal.is_open());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left over");
        journal.unsettle().unwrap();
        assert!(!open(folder.path()).unwrap().is_settled("env", &digest));
    }

    #[test]
    fn a_former_content_that_was_changed_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = begun(folder.path());
        std::fs::write(folder.path().join("former-env"), "forged").unwrap();
        let error = journal.former("env").err().unwrap();
        insta::assert_snapshot!(format!("{error}\n{}", error.remedy()), @r"
        what stood in sink `env` before the delivery was not kept whole
        deliver again, or put the file in order by hand; nothing was written over it
        ");
    }

    #[test]
    fn a_damaged_record_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        begun(folder.path());
        let path = folder.path().join(RECORD);
        for damaged in ["", "{", "{\"format\":2}", "{\"format\":1,\"settled\":{},\"x\":1}"] {
            std::fs::write(&path, damaged).unwrap();
            let error = open(folder.path()).err().unwrap();
            assert!(matches!(error, JournalError::Damaged { .. }), "{damaged}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn sinks_that_are_not_declared_any_more_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = begun(folder.path());
        let gone = journal.forget_unknown(|_| false).unwrap();
        assert_eq!(gone.len(), 1);
        assert!(!open(folder.path()).unwrap().is_open());
    }

    #[test]
    fn the_time_without_a_server_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = open(folder.path()).unwrap();
        assert_eq!(journal.may_go_on_millis(), None);
        journal.note_contact(60_000).unwrap();
        let left = open(folder.path()).unwrap().may_go_on_millis().unwrap();
        assert!((1..=60_000).contains(&left), "{left}");
    }
}
