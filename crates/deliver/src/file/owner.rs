//! Whose a file is to be. Names are looked up in `/etc/passwd` and `/etc/group`, because asking the
//! name service needs code that runs in this process and belongs to others; users of a directory
//! service are given as numbers.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::FileError;
use crate::settings::Owner;

const TABLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The numbers of a user and a group.
pub(super) fn resolve(owner: &Owner) -> Result<(u32, u32), FileError> {
    let users = table(Path::new("/etc/passwd"))?;
    let groups = table(Path::new("/etc/group"))?;
    resolve_in(owner, &users, &groups)
}

fn resolve_in(owner: &Owner, users: &str, groups: &str) -> Result<(u32, u32), FileError> {
    let entry = entry(users, &owner.user);
    let user = match (owner.user.parse(), entry) {
        (Ok(number), _) => number,
        (Err(_), Some(entry)) => entry.id,
        (Err(_), None) => return Err(FileError::UnknownUser { name: owner.user.clone() }),
    };
    let group = match &owner.group {
        None => entry.and_then(|entry| entry.group).ok_or(FileError::NoGroup { user })?,
        Some(name) => match (name.parse(), self::entry(groups, name)) {
            (Ok(number), _) => number,
            (Err(_), Some(entry)) => entry.id,
            (Err(_), None) => return Err(FileError::UnknownGroup { name: name.clone() }),
        },
    };
    Ok((user, group))
}

fn table(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::io(path, "read", source);
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(TABLE_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[derive(Clone, Copy)]
struct Entry {
    id: u32,
    /// The first group of a user.
    group: Option<u32>,
}

/// The entry with this name or number.
fn entry(table: &str, wanted: &str) -> Option<Entry> {
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        let id = number.parse().ok()?;
        let group = fields.next().and_then(|group| group.parse().ok());
        (name == wanted || number == wanted).then_some(Entry { id, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1001:1002::/srv:/bin/false\nbad\n";
    const GROUPS: &str = "root:x:0:\nweb:x:33:app,other\n";

    fn resolved(user: &str, group: Option<&str>) -> Result<(u32, u32), String> {
        let owner = Owner { user: user.to_owned(), group: group.map(str::to_owned) };
        let tell = |error: FileError| format!("{error}\n{}", error.remedy());
        resolve_in(&owner, USERS, GROUPS).map_err(tell)
    }

    #[test]
    fn owners_are_names_or_numbers() {
        assert_eq!(resolved("app", None), Ok((1001, 1002)));
        assert_eq!(resolved("app", Some("web")), Ok((1001, 33)));
        assert_eq!(resolved("1001", None), Ok((1001, 1002)));
        assert_eq!(resolved("4242", Some("4243")), Ok((4242, 4243)));
    }

    #[test]
    fn unknown_owners_are_refused_with_a_remedy() {
        insta::assert_snapshot!(resolved("nobody-here", None).unwrap_err(), @r"
        there is no user `nobody-here` in /etc/passwd
        check the name, or give the number; users of a directory service need numbers
        ");
        insta::assert_snapshot!(resolved("app", Some("wheel")).unwrap_err(), @r"
        there is no group `wheel` in /etc/group
        check the name, or give the number; users of a directory service need numbers
        ");
        insta::assert_snapshot!(resolved("4242", None).unwrap_err(), @r"
        uid 4242 is not in /etc/passwd, so its group is not known
        give the group as well
        ");
    }
}
