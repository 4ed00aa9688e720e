//! File names with `*`, `?` and `[…]`, as nginx's `include` understands them: `glob(3)` in the C
//! locale. A leading dot is matched only by a dot, a folder that cannot be read matches nothing,
//! and names come in the order of their bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Whether nginx treats a name as a pattern. It looks at the whole path.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// A path in the form in which nginx's `include` reads exactly this file.
pub fn escaped_path(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    if !is_pattern(path) {
        return bytes.to_vec();
    }
    let mut escaped = Vec::with_capacity(bytes.len().saturating_add(8));
    for byte in bytes {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    escaped
}

/// A file that may not exist yet, but counts as a member of its folder.
pub(super) trait Imagined {
    /// The name of the imagined file, when it stands in this folder.
    fn name_in(&self, folder: &Path) -> Option<&OsStr>;
}

/// The files that an absolute pattern matches, sorted, at most `limit`; none where there are more.
pub(super) fn expand(
    pattern: &Path,
    imagined: Option<&dyn Imagined>,
    limit: usize,
) -> Option<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("/")];
    let parts: Vec<Component<'_>> = pattern.components().collect();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        match part {
            Component::Normal(name) => {
                found = step(&found, name, last, imagined, limit)?;
            }
            Component::ParentDir => found.iter_mut().for_each(|path| path.push("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    found.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Some(found)
}

/// Goes one part of a pattern further.
fn step(
    folders: &[PathBuf],
    part: &OsStr,
    last: bool,
    imagined: Option<&dyn Imagined>,
    limit: usize,
) -> Option<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    let pattern = part.as_bytes();
    for folder in folders {
        let from = found.len();
        if pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'\\')) {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                if matches(pattern, entry.file_name().as_bytes()) {
                    found.push(entry.path());
                }
                if found.len() > limit {
                    return None;
                }
            }
        } else if !last || folder.join(part).symlink_metadata().is_ok() {
            found.push(folder.join(part));
        }
        let imagined = imagined.filter(|_| last).and_then(|file| file.name_in(folder));
        if let Some(name) = imagined.filter(|name| matches(pattern, name.as_bytes())) {
            let path = folder.join(name);
            if found.get(from..).is_some_and(|here| !here.contains(&path)) {
                found.push(path);
            }
        }
        if found.len() > limit {
            return None;
        }
    }
    Some(found)
}

/// Whether a name matches one part of a pattern: `fnmatch(3)` with `FNM_PATHNAME | FNM_PERIOD`.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && !matches!(pattern, [b'.', ..] | [b'\\', b'.', ..]) {
        return false;
    }
    let (mut pattern, mut name) = (pattern, name);
    // Only the last star needs another try: what an earlier one took, the later may take as well.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            again = Some((rest, name));
            pattern = rest;
            continue;
        }
        if let Some((rest, tail)) = one(pattern, name) {
            (pattern, name) = (rest, tail);
            continue;
        }
        if pattern.is_empty() && name.is_empty() {
            return true;
        }
        let Some((rest, [_, tail @ ..])) = again else { return false };
        again = Some((rest, tail));
        (pattern, name) = (rest, tail);
    }
}

/// Matches one byte; gives back what is left of both.
fn one<'p, 'n>(pattern: &'p [u8], name: &'n [u8]) -> Option<(&'p [u8], &'n [u8])> {
    let (byte, tail) = name.split_first()?;
    if *byte == b'/' {
        return None;
    }
    match pattern {
        [b'?', rest @ ..] => Some((rest, tail)),
        [b'[', rest @ ..] => match set(rest, *byte) {
            Some((true, rest)) => Some((rest, tail)),
            Some((false, _)) => None,
            // A bracket that is never closed is a letter.
            None => (*byte == b'[').then_some((rest, tail)),
        },
        [b'\\', letter, rest @ ..] | [letter, rest @ ..] => {
            (letter == byte).then_some((rest, tail))
        }
        [] => None,
    }
}

/// Whether a byte is in the set that begins after `[`, and what follows the set; none where the set
/// is not closed.
fn set(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, mut rest) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    let mut first = true;
    loop {
        if let ([b']', after @ ..], false) = (rest, first) {
            return Some((found != negated, after));
        }
        first = false;
        if let Some((is_in, after)) = class(rest, byte) {
            found |= is_in;
            rest = after;
            continue;
        }
        let (low, after) = member(rest)?;
        rest = after;
        let mut high = low;
        if let [b'-', end, ..] = rest
            && *end != b']'
        {
            (high, rest) = member(rest.get(1..)?)?;
        }
        found |= (low..=high).contains(&byte);
    }
}

/// One letter of a set.
fn member(pattern: &[u8]) -> Option<(u8, &[u8])> {
    match pattern {
        [b'\\', letter, rest @ ..] | [letter, rest @ ..] => Some((*letter, rest)),
        [] => None,
    }
}

/// A class such as `[:digit:]`, without meaning where it has another name.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let inner = pattern.strip_prefix(b"[:")?;
    let end = inner.windows(2).position(|pair| pair == b":]")?;
    let is_in = match inner.get(..end)? {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    };
    Some((is_in, inner.get(end.saturating_add(2)..)?))
}
