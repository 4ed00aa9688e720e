//! Why a file could not be read or written, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The path cannot be one of a file.
    #[error("{} is not the absolute path of a file", .path.display())]
    NotAbsolute {
        /// The path.
        path: PathBuf,
    },
    /// The directory is not there.
    #[error("the directory {} does not exist", .folder.display())]
    FolderMissing {
        /// The directory.
        folder: PathBuf,
    },
    /// Anybody may replace files in the directory.
    #[error("anybody may replace files in {}, which has mode {mode:04o}", .folder.display())]
    FolderOpen {
        /// The directory.
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The directory is another one than at first.
    #[error("{} was replaced by another directory while it was written to", .folder.display())]
    FolderReplaced {
        /// The directory.
        folder: PathBuf,
    },
    /// The target is a symbolic link.
    #[error("{} is a symbolic link to {}", .path.display(), .to.display())]
    Link {
        /// The target.
        path: PathBuf,
        /// Where it leads to.
        to: PathBuf,
    },
    /// A link on the way belongs to somebody who could lead us anywhere with it.
    #[error("on the way to {} stands the symbolic link {} of uid {owner}", .path.display(), .link.display())]
    ForeignLink {
        /// The target.
        path: PathBuf,
        /// The link.
        link: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The target is something else than it should be.
    #[error("{} is a {kind}", .path.display())]
    NotPlain {
        /// The target.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The file has another name.
    #[error("{} has {links} names (hard links), and only one of them would change", .path.display())]
    HardLinks {
        /// The target.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The file has an access list.
    #[error("{} has an access list (ACL), which a new file in its place would not have", .path.display())]
    AccessList {
        /// The target.
        path: PathBuf,
    },
    /// It is larger than anything that is delivered.
    #[error("{} is larger than {limit_bytes} bytes", .path.display())]
    TooLarge {
        /// The target.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: usize,
    },
    /// More could read the new file than the present one.
    #[error("{} has mode {present:04o}, and {wanted:04o} would let others at it", .path.display())]
    WouldWiden {
        /// The target.
        path: PathBuf,
        /// Its permission bits.
        present: u32,
        /// What the settings say.
        wanted: u32,
    },
    /// There is no such user.
    #[error("there is no user `{name}` in /etc/passwd")]
    UnknownUser {
        /// The name.
        name: String,
    },
    /// There is no such group.
    #[error("there is no group `{name}` in /etc/group")]
    UnknownGroup {
        /// The name.
        name: String,
    },
    /// The user is a number without a group.
    #[error("uid {user} is not in /etc/passwd, so its group is not known")]
    NoGroup {
        /// The user.
        user: u32,
    },
    /// This process may not give the file to its owner.
    #[error("{} cannot be given to uid {user} and gid {group}", .path.display())]
    Owner {
        /// The target.
        path: PathBuf,
        /// The user.
        user: u32,
        /// The group.
        group: u32,
        /// What the operating system said.
        source: io::Error,
    },
    /// Somebody changed the target since it was read.
    #[error("somebody changed {} since it was read; that change was kept", .path.display())]
    EditedMeanwhile {
        /// The target.
        path: PathBuf,
    },
    /// Somebody changed what was staged.
    #[error("somebody changed {} after it was staged", .path.display())]
    StagedChanged {
        /// The staged file.
        path: PathBuf,
    },
    /// A file in a credentials directory that is not ours.
    #[error("{} holds `{name}`, which is not one of the files that belong there", .path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// The file system cannot exchange two names.
    #[error("the file system of {} cannot replace a directory in one step", .path.display())]
    NoExchange {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{} cannot be {action}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was attempted: `read`, `written`.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), action, source }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::NotAbsolute { .. } => "give the whole path, from `/` to the file".to_owned(),
            Self::FolderMissing { folder } => format!("run: mkdir -p {}", folder.display()),
            Self::FolderOpen { folder, .. } => format!("run: chmod o-w {}", folder.display()),
            Self::FolderReplaced { .. } => {
                "nothing was changed; deliver again when the directory stays".to_owned()
            }
            Self::Link { to, .. } => {
                format!("name the file itself in the agent's file: {}", to.display())
            }
            Self::ForeignLink { link, .. } => format!(
                "name the real path in the agent's file, or run: chown -h root {}",
                link.display()
            ),
            Self::NotPlain { .. } => "name another path, or move away what is there".to_owned(),
            Self::HardLinks { path, .. } => format!(
                "find the others with `find / -xdev -samefile {}` and remove them",
                path.display()
            ),
            Self::AccessList { path } => format!(
                "give access by owner, group and mode instead, and run: setfacl -b {}",
                path.display()
            ),
            Self::TooLarge { .. } => "check that the path names the file you mean".to_owned(),
            Self::WouldWiden { path, wanted, .. } => format!(
                "set the mode in the agent's file to the present one, or run: chmod {wanted:04o} {}",
                path.display()
            ),
            Self::UnknownUser { .. } | Self::UnknownGroup { .. } => {
                "check the name, or give the number; users of a directory service need numbers"
                    .to_owned()
            }
            Self::NoGroup { .. } => "give the group as well".to_owned(),
            Self::Owner { user, .. } => format!(
                "run the agent as root or as uid {user}, or leave the owner out of its file"
            ),
            Self::EditedMeanwhile { .. } => {
                "deliver again; the change is then taken into account".to_owned()
            }
            Self::StagedChanged { .. } => {
                "see which check or program writes to it, and keep it from that".to_owned()
            }
            Self::Foreign { path, name } => format!(
                "move {} elsewhere, or remove it; the directory is replaced as a whole",
                path.join(name).display()
            ),
            Self::NoExchange { .. } => {
                "put the directory on a local file system such as ext4, XFS, Btrfs or tmpfs"
                    .to_owned()
            }
            Self::Io { path, source, .. } => about(path, source),
        }
    }
}

fn about(path: &Path, source: &io::Error) -> String {
    let folder = path.parent().unwrap_or(path).display();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!(
                "free space on the file system of {folder}; the present content stays until then"
            )
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("make {folder} writable; for a systemd unit, name it in ReadWritePaths=")
        }
        io::ErrorKind::PermissionDenied => {
            format!("let the agent's user read and write {folder}, or run the agent as its owner")
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit of file sizes (ulimit -f, LimitFSIZE=) of the agent".to_owned()
        }
        _ => format!("check the file system of {folder} and the log of the kernel"),
    }
}
