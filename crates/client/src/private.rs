//! Files that only this user may read or write. Whether what is in them is believed is for others
//! to say.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The system refused.
    Io(io::Error),
    /// Somebody else could have put it there, or could read it.
    NotPrivate(&'static str),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file, at most `most` bytes of it; nothing when there is none.
pub(crate) fn read(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Refusal> {
    let mut options = File::options();
    // Neither a link to somewhere else, nor a named pipe that would hold the process for ever.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match options.read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let facts = file.metadata()?;
    let why = if !facts.is_file() {
        Some("it is not a file")
    } else if facts.uid() != rustix::process::geteuid().as_raw() {
        Some("it belongs to another user")
    } else if facts.mode() & 0o077 != 0 {
        Some("others may open it")
    } else if facts.nlink() != 1 {
        Some("it has another name")
    } else {
        None
    };
    if let Some(why) = why {
        return Err(Refusal::NotPrivate(why));
    }
    let room = usize::try_from(facts.len().min(most)).unwrap_or(0).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a file in one step: a reader sees the old content or the new one, also after a crash.
/// `temporary` is a name beside it.
pub(crate) fn write(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = (|| {
        let _ = fs::remove_file(temporary);
        let mut options = File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    })();
    written.inspect_err(|_| {
        let _ = fs::remove_file(temporary);
    })
}
