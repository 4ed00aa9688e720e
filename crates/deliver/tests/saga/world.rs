//! What surrounds a delivery, made up: a consumer that reads its files when it is told to reload, a
//! probe that looks at what it read, and a fuse that ends the agent.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use keywheel_deliver::agent::{Trouble, World};
use keywheel_deliver::file::{Disk, OsDisk, Rename};
use keywheel_deliver::settings::{Check, Hook, Probe, Reload, Sink, Target};
use keywheel_deliver::values::AllValues;

use crate::scene::{self, Rings};

/// Ends the agent after a number of steps: what it does afterwards has no effect.
#[derive(Default)]
pub(crate) struct Fuse {
    is_lit: AtomicBool,
    left: AtomicUsize,
}

impl Fuse {
    pub(crate) fn light(&self, steps: usize) {
        self.left.store(steps, Ordering::SeqCst);
        self.is_lit.store(true, Ordering::SeqCst);
    }

    pub(crate) fn put_out(&self) {
        self.is_lit.store(false, Ordering::SeqCst);
    }

    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// Counts a step; false when the agent is dead.
    fn step(&self) -> bool {
        if !self.is_lit.load(Ordering::SeqCst) {
            return true;
        }
        let less = |left: usize| left.checked_sub(1);
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    fn is_last(&self) -> bool {
        self.is_lit.load(Ordering::SeqCst) && self.left() == 0
    }

    fn io(&self) -> io::Result<()> {
        if self.step() { Ok(()) } else { Err(io::Error::other("killed")) }
    }
}

/// The disk of this host, without waiting for it, until the fuse has burnt down.
pub(crate) struct Fused(pub(crate) Arc<Fuse>);

impl Disk for Fused {
    fn create(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
        self.0.io()?;
        OsDisk.create(folder, name)
    }

    fn create_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.0.io()?;
        OsDisk.create_folder(folder, name)
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        self.0.io()?;
        // The last thing that a killed process writes may be torn.
        let torn = if self.0.is_last() { &bytes[..bytes.len() / 2] } else { bytes };
        OsDisk.write(file, torn)
    }

    fn set_owner(&self, file: BorrowedFd<'_>, user: u32, group: u32) -> io::Result<()> {
        self.0.io()?;
        OsDisk.set_owner(file, user, group)
    }

    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        self.0.io()?;
        OsDisk.set_mode(file, mode)
    }

    fn sync(&self, _file: BorrowedFd<'_>) -> io::Result<()> {
        self.0.io()
    }

    fn rename(
        &self,
        folder: BorrowedFd<'_>,
        from: &Path,
        to: &Path,
        how: Rename,
    ) -> io::Result<()> {
        self.0.io()?;
        OsDisk.rename(folder, from, to, how)
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.0.io()?;
        OsDisk.remove(folder, name)
    }

    fn remove_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.0.io()?;
        OsDisk.remove_folder(folder, name)
    }
}

/// What a consumer has read of each sink, and what it refuses to take.
pub(crate) struct Consumer {
    fuse: Arc<Fuse>,
    running: RefCell<BTreeMap<String, Vec<u8>>>,
    external: RefCell<Option<Vec<u8>>>,
    failing: RefCell<BTreeSet<(String, Rings)>>,
    reloads: Cell<usize>,
    /// A file that somebody changes while the next check runs, and to what.
    meddling: RefCell<Option<(PathBuf, Vec<u8>)>>,
    paths: BTreeMap<String, PathBuf>,
}

impl Consumer {
    pub(crate) fn new(fuse: Arc<Fuse>, paths: BTreeMap<String, PathBuf>) -> Self {
        Self {
            fuse,
            paths,
            running: RefCell::default(),
            external: RefCell::default(),
            failing: RefCell::default(),
            reloads: Cell::default(),
            meddling: RefCell::default(),
        }
    }

    pub(crate) fn reloads(&self) -> usize {
        self.reloads.get()
    }

    pub(crate) fn running(&self, sink: &str) -> Option<Vec<u8>> {
        self.running.borrow().get(sink).cloned()
    }

    pub(crate) fn external(&self) -> Option<Vec<u8>> {
        self.external.borrow().clone()
    }

    pub(crate) fn fail_probe(&self, name: &str, rings: Rings) {
        self.failing.borrow_mut().insert((name.to_owned(), rings));
    }

    pub(crate) fn meddle(&self, path: PathBuf, content: Vec<u8>) {
        *self.meddling.borrow_mut() = Some((path, content));
    }

    pub(crate) fn fail_nothing(&self) {
        self.failing.borrow_mut().clear();
    }

    fn step(&self) -> Result<(), Trouble> {
        if self.fuse.step() { Ok(()) } else { Err(Trouble::new("killed", "")) }
    }
}

impl World for Consumer {
    fn check(
        &self,
        _check: &Check,
        _target: &Path,
        staged: &Path,
        _stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        self.step()?;
        assert!(staged.exists());
        if let Some((path, content)) = self.meddling.borrow_mut().take() {
            std::fs::write(path, content).unwrap();
        }
        Ok(())
    }

    fn reload(
        &self,
        sink: &Sink,
        _reload: &Reload,
        _values: &AllValues,
        _stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        self.step()?;
        self.reloads.set(self.reloads.get() + 1);
        if matches!(sink.target, Target::Irreversible(..)) {
            return Ok(());
        }
        let read = self.paths.get(&sink.name).and_then(|path| scene::content_of(path));
        match read {
            Some(content) => self.running.borrow_mut().insert(sink.name.clone(), content),
            None => self.running.borrow_mut().remove(&sink.name),
        };
        Ok(())
    }

    fn probe(
        &self,
        probe: &Probe,
        values: &AllValues,
        _stop: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        self.step()?;
        let rings = Rings::of(values);
        if rings.is_some_and(|rings| self.failing.borrow().contains(&(probe.name.clone(), rings))) {
            return Err(Trouble::new("it does not work", ""));
        }
        // The consumer must really use what it is probed with.
        if let (Some(rings), Some(running)) = (rings, self.running(&probe.name))
            && !scene::is_content(&probe.name, &running, rings)
        {
            return Err(Trouble::new("another key is in use", ""));
        }
        Ok(())
    }

    fn run(&self, _hook: &Hook, input: &[u8], _stop: &dyn Fn() -> bool) -> Result<(), Trouble> {
        self.step()?;
        *self.external.borrow_mut() = Some(input.to_vec());
        Ok(())
    }
}
