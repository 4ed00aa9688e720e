//! A few connections for reading, so that a read waits neither for a write nor for another read.

use std::sync::{Condvar, Mutex, PoisonError};

use keywheel_engine::ports::StoreError;
use rusqlite::Connection;

use crate::database::{DatabaseFile, OpenError, store_error};

/// Each holds a file handle and a page cache; more of them only help on more cores than this.
const READERS: usize = 4;

pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Readers {
    pub(super) fn open(file: &DatabaseFile) -> Result<Self, OpenError> {
        let connect = || {
            let connection = file.connect_at_start()?;
            // A mistake in a read must not become a write.
            connection.pragma_update(None, "query_only", true).map_err(|error| {
                OpenError::Store {
                    what: "store",
                    path: file.path().to_owned(),
                    source: store_error(&error),
                }
            })?;
            Ok(connection)
        };
        let idle = (0..READERS).map(|_| connect()).collect::<Result<Vec<_>, OpenError>>()?;
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Runs a read on a connection that nobody else uses, waiting for one when all are busy.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let borrowed = self.borrow();
        match &borrowed.connection {
            Some(connection) => read(connection).map_err(|error| store_error(&error)),
            None => Err(StoreError::Unavailable("no connection for reading is left".to_owned())),
        }
    }

    fn borrow(&self) -> Borrowed<'_> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut idle = self
            .returned
            .wait_while(idle, |idle| idle.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        Borrowed { connection: idle.pop(), home: self }
    }
}

/// Brings its connection home when it goes out of scope, also when the read panicked.
struct Borrowed<'a> {
    connection: Option<Connection>,
    home: &'a Readers,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            self.home.returned.notify_one();
        }
    }
}
