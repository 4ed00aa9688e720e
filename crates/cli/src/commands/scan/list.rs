//! `keywheel scan --files-from`: the paths that another program lists, such as `git diff`.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;

/// A longer list is no list of what somebody changed; it is refused rather than held in memory.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// The paths of a list; none of an empty one.
///
/// # Errors
/// The list cannot be read, is too long, or names what is not there.
pub(super) fn read(from: &Path) -> Result<Vec<PathBuf>, Failure> {
    let is_input = from == Path::new("-");
    let from = if is_input { Path::new("standard input") } else { from };
    let mut list = Vec::new();
    let limit = LIST_BYTES_MAX + 1;
    let read = if is_input {
        let input = std::io::stdin().lock();
        if input.is_terminal() {
            let remedy = "pipe a list into it: git diff --name-only -z --diff-filter=d | keywheel \
                          scan --files-from -";
            return Err(Failure::new(Exit::Usage, "standard input is a terminal", remedy));
        }
        input.take(limit).read_to_end(&mut list)
    } else {
        std::fs::File::open(from).and_then(|file| file.take(limit).read_to_end(&mut list))
    };
    read.map_err(|error| Failure::io("read", from, &error))?;
    if u64::try_from(list.len()).unwrap_or(u64::MAX) > LIST_BYTES_MAX {
        let cause = format!("{} lists more than {} MiB", from.display(), LIST_BYTES_MAX >> 20);
        return Err(Failure::new(Exit::Usage, cause, "give the folder as PATH instead"));
    }
    let paths = paths(&list);
    match paths.iter().find(|path| path.symlink_metadata().is_err()) {
        None => Ok(paths),
        Some(path) => Err(absent(from, path)),
    }
}

/// Ended by zero bytes if there is one, else one a line.
fn paths(list: &[u8]) -> Vec<PathBuf> {
    let end = if list.contains(&0) { 0 } else { b'\n' };
    let parts = list.split(|byte| *byte == end);
    let parts =
        parts.map(|part| if end == 0 { part } else { part.strip_suffix(b"\r").unwrap_or(part) });
    let paths = parts.filter(|part| !part.is_empty());
    paths.map(|part| PathBuf::from(OsStr::from_bytes(part))).collect()
}

fn absent(from: &Path, path: &Path) -> Failure {
    let is_quoted = path.as_os_str().as_bytes().starts_with(b"\"");
    let remedy = if is_quoted {
        "git quotes such names in lines; list them with zero bytes: git diff --name-only -z"
    } else {
        "run it in the folder that the list begins at, and leave out what was deleted: git diff \
         --name-only -z --diff-filter=d --relative"
    };
    let cause = format!("{} lists {}, which is not there", from.display(), path.display());
    Failure::new(Exit::Usage, cause, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_zero_bytes_end_paths() {
        let read = |list: &[u8]| -> Vec<String> {
            paths(list).iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(read(b"a\nb c\r\n\nd"), ["a", "b c", "d"]);
        assert_eq!(read(b"a\nb\0c\0"), ["a\nb", "c"]);
        assert_eq!(read(b""), [""; 0]);
        assert_eq!(read(b"\n"), [""; 0]);
    }
}
