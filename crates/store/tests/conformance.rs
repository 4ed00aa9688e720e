//! Both stores of this crate against the one contract suite.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::ports::Store;
use keywheel_store::conformance::{self, Fixture};
use keywheel_store::{ManualClock, MemoryStore, SqliteStore};

struct InFile {
    _folder: tempfile::TempDir,
    path: PathBuf,
    clock: Arc<ManualClock>,
}

impl InFile {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keywheel.db");
        Self { _folder: folder, path, clock: Arc::default() }
    }
}

impl Fixture for InFile {
    fn connect(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.path, self.clock.clone()).unwrap())
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn outlives_its_connections(&self) -> bool {
        true
    }
}

/// One handle that all share, so that the threads of a case meet inside one process's store.
struct OneHandle(InFile, Arc<dyn Store>);

impl Fixture for OneHandle {
    fn connect(&self) -> Arc<dyn Store> {
        Arc::clone(&self.1)
    }

    fn advance(&self, by: Duration) {
        self.0.advance(by);
    }

    fn outlives_its_connections(&self) -> bool {
        false
    }
}

struct InMemory {
    store: MemoryStore,
    clock: Arc<ManualClock>,
}

impl Fixture for InMemory {
    fn connect(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn outlives_its_connections(&self) -> bool {
        false
    }
}

fn check(make: &dyn Fn() -> Box<dyn Fixture>) {
    match conformance::run(make) {
        Ok(cases) => assert!(cases >= 25, "the suite has shrunk to {cases} cases"),
        Err(broken) => panic!("{broken}"),
    }
}

#[test]
fn sqlite_store_with_a_connection_for_each_process() {
    check(&|| Box::new(InFile::new()));
}

#[test]
fn sqlite_store_shared_by_threads() {
    check(&|| {
        let file = InFile::new();
        let handle = file.connect();
        Box::new(OneHandle(file, handle))
    });
}

#[test]
fn memory_store() {
    check(&|| {
        let clock = Arc::<ManualClock>::default();
        Box::new(InMemory { store: MemoryStore::new(clock.clone()), clock })
    });
}
