//! Rings to render, and a disk that fails.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::kind::{Kind, SecretEncoding, SigningAlgorithm};
use keywheel_deliver::file::{Disk, OsDisk, Rename};
use keywheel_deliver::settings::{FileOptions, Form, Order, Several, Take, Which};
use keywheel_deliver::values::{AllValues, Key, Value, Values};
use keywheel_jose::{ImportFormat, Material};
use rustix::io::Errno;
use zeroize::Zeroizing;

pub(crate) fn ring(name: &str) -> RingName {
    name.to_owned().try_into().unwrap()
}

pub(crate) fn secret(bytes: &[u8]) -> Material {
    let kind = Kind::Secret { length: 32, encoding: SecretEncoding::Base64url };
    Material::import(&kind, bytes, ImportFormat::Raw).unwrap().material
}

pub(crate) fn value(number: u32, material: Material) -> Value {
    let salt = Zeroizing::new(vec![u8::try_from(number).unwrap(); 32]);
    let kid = Kid(format!("kid-{number}"));
    Value::new(VersionNumber(number), kid, salt, Key::Whole(Arc::new(material)))
}

/// A ring whose versions hold these secrets, oldest first.
pub(crate) fn values(name: &str, primary: Option<usize>, secrets: &[&str]) -> Values {
    let versions = secrets.iter().zip(1..);
    let versions = versions.map(|(text, number)| value(number, secret(text.as_bytes()))).collect();
    Values::new(ring(name), Incarnation("i".into()), Revision(7), primary, versions)
}

pub(crate) fn one(name: &str, secrets: &[&str], primary: usize) -> AllValues {
    [(ring(name), values(name, Some(primary), secrets))].into()
}

pub(crate) fn signing(name: &str, versions: u32) -> AllValues {
    let kind = Kind::Signing { algorithm: SigningAlgorithm::EdDsa };
    let mut seed = 1_u8;
    let mut fill = move |buffer: &mut [u8]| {
        for byte in buffer {
            seed = seed.wrapping_mul(5).wrapping_add(7);
            *byte = seed;
        }
    };
    let versions = (1..=versions).map(|n| value(n, Material::generate(&kind, &mut fill).unwrap()));
    let versions = versions.collect();
    let values = Values::new(ring(name), Incarnation("i".into()), Revision(1), Some(0), versions);
    [(ring(name), values)].into()
}

pub(crate) fn take(name: &str, which: Which) -> Take {
    Take {
        ring: ring(name),
        which,
        order: Order::PrimaryFirst,
        form: Form::Text,
        several: Several::Join(",".into()),
    }
}

pub(crate) fn options(path: &Path) -> FileOptions {
    FileOptions { path: path.to_owned(), mode: 0o600, owner: None, backups: 0 }
}

/// What happens at the n-th operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and the others do not.
    Error(Errno),
    /// A write stops half way, and then nothing more happens.
    Killed,
}

/// A disk that fails once, writes a few bytes at a time, and may not know how to exchange names.
pub(crate) struct FaultyDisk {
    at: usize,
    fault: Fault,
    exchanges: bool,
    done: AtomicUsize,
}

impl FaultyDisk {
    pub(crate) fn new(at: usize, fault: Fault, exchanges: bool) -> Self {
        Self { at, fault, exchanges, done: AtomicUsize::new(0) }
    }

    /// Whether the fault has happened.
    pub(crate) fn struck(&self) -> bool {
        self.done.load(Ordering::Relaxed) > self.at
    }

    fn step(&self) -> io::Result<()> {
        let step = self.done.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Error(errno) if step == self.at => Err(errno.into()),
            Fault::Killed if step >= self.at => Err(Errno::INTR.into()),
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
        self.step()?;
        OsDisk.create(folder, name)
    }

    fn create_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.create_folder(folder, name)
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        let some = &bytes[..bytes.len().min(10)];
        if let Err(error) = self.step() {
            if self.done.load(Ordering::Relaxed) == self.at + 1 {
                OsDisk.write(file, &some[..some.len() / 2])?;
            }
            return Err(error);
        }
        OsDisk.write(file, some)
    }

    fn set_owner(&self, file: BorrowedFd<'_>, user: u32, group: u32) -> io::Result<()> {
        self.step()?;
        OsDisk.set_owner(file, user, group)
    }

    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        self.step()?;
        OsDisk.set_mode(file, mode)
    }

    fn sync(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.step()?;
        OsDisk.sync(file)
    }

    fn rename(
        &self,
        folder: BorrowedFd<'_>,
        from: &Path,
        to: &Path,
        how: Rename,
    ) -> io::Result<()> {
        self.step()?;
        if !self.exchanges && how != Rename::Replace {
            return Err(Errno::INVAL.into());
        }
        OsDisk.rename(folder, from, to, how)
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.remove(folder, name)
    }

    fn remove_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.remove_folder(folder, name)
    }
}
