//! Typed, sealed values over the raw store.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::EngineError;
use crate::ports::{Expect, Key, Seal, Seq, Store, Write};

/// The incarnation under which values are sealed that belong to no ring.
const NO_INCARNATION: &str = "-";

/// A value with what it was sealed under.
pub(crate) struct Record<T> {
    pub(crate) value: T,
    pub(crate) seq: Seq,
    pub(crate) incarnation: String,
    pub(crate) revision: u64,
}

/// Reads and writes typed values.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) seal: Arc<dyn Seal>,
}

impl Records {
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<Record<T>>, EngineError> {
        match self.store.read(key)? {
            None => Ok(None),
            Some(stored) => self.open(key, &stored.value, stored.seq).map(Some),
        }
    }

    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        key: &Key,
        sealed: &[u8],
        seq: Seq,
    ) -> Result<Record<T>, EngineError> {
        let opened = self
            .seal
            .open(key.as_str(), sealed)
            .map_err(|fault| EngineError::sealing(key.as_str(), &fault))?;
        let value = serde_json::from_slice(&opened.plaintext).map_err(|error| {
            EngineError::Distrusted {
                subject: key.as_str().into(),
                // Never the error's own text: it may quote what it could not read.
                cause: format!(
                    "it opens, but is not what this release writes ({:?})",
                    error.classify()
                ),
                remedy: "Run the release that wrote it, or a later one".into(),
            }
        })?;
        let (incarnation, revision) = (opened.incarnation, opened.revision);
        Ok(Record { value, seq, incarnation, revision })
    }

    /// Lists every value under a prefix, page by page.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Record<T>)>, EngineError> {
        let page = self.store.list(prefix, after, limit)?;
        page.into_iter()
            .map(|(key, stored)| {
                let record = self.open(&key, &stored.value, stored.seq)?;
                Ok((key, record))
            })
            .collect()
    }

    /// Prepares a write of a value that belongs to no ring.
    pub(crate) fn write<T: Serialize>(
        &self,
        key: Key,
        expect: Expect,
        value: &T,
    ) -> Result<Write, EngineError> {
        self.write_as(key, expect, NO_INCARNATION, 0, value)
    }

    pub(crate) fn write_as<T: Serialize>(
        &self,
        key: Key,
        expect: Expect,
        incarnation: &str,
        revision: u64,
        value: &T,
    ) -> Result<Write, EngineError> {
        let plaintext = Zeroizing::new(serde_json::to_vec(value).map_err(EngineError::defect)?);
        let sealed = self
            .seal
            .seal(key.as_str(), incarnation, revision, &plaintext, None)
            .map_err(|fault| EngineError::sealing(key.as_str(), &fault))?;
        Ok(Write { key, expect, value: Some(sealed) })
    }
}
