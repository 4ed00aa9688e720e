//! A ring as Python code holds it. Making one does nothing; its first use binds it to the client of
//! its registry and waits until the keys have arrived.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use keywheel_client::{Keyset, ProtectError, RingHandle};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::OrRaise as _;
use crate::guard::Guard;
use crate::registry::Shared;
use crate::snapshot::Snapshot;

/// A ring: the versions of one key.
#[pyclass(frozen, module = "keywheel")]
pub(crate) struct Ring {
    name: String,
    registry: Arc<Shared>,
    bound: ArcSwapOption<RingHandle>,
    shown: ArcSwapOption<Py<Snapshot>>,
}

impl Ring {
    pub(crate) fn new(name: String, registry: Arc<Shared>) -> Self {
        Self { name, registry, bound: ArcSwapOption::empty(), shown: ArcSwapOption::empty() }
    }

    /// A ring of a client that stands outside of any registry.
    pub(crate) fn bound(name: String, handle: RingHandle) -> Self {
        let ring = Self::new(name, Arc::new(Shared::empty()));
        ring.bound.store(Some(Arc::new(handle)));
        ring
    }

    /// The handle of the client.
    pub(crate) fn handle(&self, py: Python<'_>) -> PyResult<Arc<RingHandle>> {
        if let Some(handle) = self.bound.load_full() {
            return Ok(handle);
        }
        let handle = self.registry.bind(&self.name).map_err(|error| error.raise(py))?;
        let handle = Arc::new(handle);
        self.bound.store(Some(Arc::clone(&handle)));
        Ok(handle)
    }

    /// What is held. Only the first call in a process waits, and lets other threads run meanwhile.
    pub(crate) fn keyset(&self, py: Python<'_>) -> PyResult<Arc<Keyset>> {
        let handle = self.handle(py)?;
        match handle.held() {
            Some(keyset) => Ok(keyset),
            None => py.detach(|| handle.current()).or_raise(py),
        }
    }

    /// Takes a guard.
    pub(crate) fn take_guard(
        &self,
        py: Python<'_>,
    ) -> PyResult<Result<keywheel_client::Guard, ProtectError>> {
        let handle = self.handle(py)?;
        if handle.held().is_none() {
            py.detach(|| handle.current()).or_raise(py)?;
        }
        Ok(handle.guard())
    }
}

#[pymethods]
impl Ring {
    /// The ring's name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The versions as of now: one consistent view.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Py<Snapshot>> {
        let keyset = self.keyset(py)?;
        if let Some(shown) = self.shown.load().as_ref()
            && shown.get().is_of(&keyset)
        {
            return Ok(shown.clone_ref(py));
        }
        let snapshot = Py::new(py, Snapshot::new(py, keyset)?)?;
        self.shown.store(Some(Arc::new(snapshot.clone_ref(py))));
        Ok(snapshot)
    }

    /// A guard for work that protects; use it in a `with` statement.
    fn guard(slf: Py<Self>) -> Guard {
        Guard::of(slf)
    }

    /// How the ring stands in this process; starts nothing and waits for nothing.
    fn health<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let health = self.handle(py)?.health();
        let seconds = |span: keywheel_core::time::Span| span.to_std().as_secs_f64();
        let dict = PyDict::new(py);
        dict.set_item("instance", health.instance.map(|id| id.to_string()))?;
        dict.set_item("revision", health.revision.map(|revision| revision.0))?;
        dict.set_item("last_contact", health.last_contact.map(seconds))?;
        dict.set_item("stale", health.stale)?;
        dict.set_item("offline", health.offline)?;
        dict.set_item("proved", health.proved)?;
        dict.set_item("listening", health.listening)?;
        dict.set_item("from_cache", health.from_cache)?;
        dict.set_item("revocations", health.revocations)?;
        dict.set_item("revocations_known_for", health.revocations_known_for.map(seconds))?;
        dict.set_item("revocations_stale", health.revocations_stale)?;
        dict.set_item("trouble", health.trouble.as_deref())?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        format!("<keywheel.Ring {}>", self.name)
    }

    /// Another process makes its own ring of the same name.
    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        let function = py.import("keywheel")?.getattr("ring")?.unbind();
        Ok((function, (self.name.clone(),)))
    }
}
