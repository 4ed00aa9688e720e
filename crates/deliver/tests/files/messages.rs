//! What operators read about files: the cause, then the remedy.

use std::io;
use std::path::PathBuf;

use keywheel_deliver::file::FileError;
use keywheel_deliver::render::env_file::EnvFileError;
use rustix::io::Errno;

#[test]
fn every_fault_of_a_file_has_a_remedy() {
    let path = || PathBuf::from("/srv/app/.env");
    let folder = || PathBuf::from("/srv/app");
    let failed =
        |errno: Errno| FileError::Io { path: path(), action: "written", source: errno.into() };
    let faults = [
        FileError::NotAbsolute { path: "app/.env".into() },
        FileError::FolderMissing { folder: folder() },
        FileError::FolderOpen { folder: folder(), mode: 0o777 },
        FileError::FolderReplaced { folder: folder() },
        FileError::Link { path: path(), to: "/srv/shared/.env".into() },
        FileError::ForeignLink { path: path(), link: "/srv/app".into(), owner: 1001 },
        FileError::NotPlain { path: path(), kind: "directory" },
        FileError::HardLinks { path: path(), links: 2 },
        FileError::AccessList { path: path() },
        FileError::TooLarge { path: path(), limit_bytes: 4_194_304 },
        FileError::WouldWiden { path: path(), present: 0o600, wanted: 0o640 },
        FileError::UnknownUser { name: "app".into() },
        FileError::UnknownGroup { name: "web".into() },
        FileError::NoGroup { user: 1001 },
        FileError::Owner { path: path(), user: 1001, group: 1001, source: Errno::PERM.into() },
        FileError::EditedMeanwhile { path: path() },
        FileError::StagedChanged { path: path() },
        FileError::Foreign { path: folder(), name: "notes".into() },
        FileError::NoExchange { path: folder() },
        failed(Errno::NOSPC),
        failed(Errno::DQUOT),
        failed(Errno::ROFS),
        failed(Errno::ACCESS),
        failed(Errno::FBIG),
        failed(Errno::IO),
    ];
    let told = faults.map(|fault| {
        let source = std::error::Error::source(&fault).map(ToString::to_string);
        let source = source.map(|source| format!(": {source}")).unwrap_or_default();
        format!("{fault}{source}\n    {}", fault.remedy())
    });
    insta::assert_snapshot!(told.join("\n"));
    drop(io::Error::from(Errno::IO));
}

#[test]
fn every_fault_of_an_environment_file_has_a_remedy() {
    let name = || "SECRET_KEY".to_owned();
    let faults = [
        EnvFileError::Absent(name()),
        EnvFileError::Twice { name: name(), first: 3, second: 9 },
        EnvFileError::OpenQuote(3),
        EnvFileError::Ambiguous(3),
        EnvFileError::Continued(3),
        EnvFileError::Quoted { name: name(), line: 4, opened: 3 },
        EnvFileError::Trailing(3),
        EnvFileError::ByteOrderMark,
        EnvFileError::Nul(3),
    ];
    let told = faults.map(|fault| format!("{fault}\n    {}", fault.remedy()));
    insta::assert_snapshot!(told.join("\n"));
}
