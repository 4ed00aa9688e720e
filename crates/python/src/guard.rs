//! The guard around work that protects, as a context manager.

use std::sync::{Mutex, PoisonError};

use keywheel_client as client;
use pyo3::prelude::*;

use crate::error::{OrRaise as _, raise};
use crate::ring::Ring;
use crate::secret::Secret;

/// Permission to protect with the primary version while the `with` block runs. A rotation waits for
/// it, so keep the block as short as the work that it covers.
#[pyclass(frozen, module = "keywheel")]
pub(crate) struct Guard {
    ring: Py<Ring>,
    held: Mutex<Option<client::Guard>>,
}

impl Guard {
    pub(crate) fn of(ring: Py<Ring>) -> Self {
        Self { ring, held: Mutex::new(None) }
    }

    fn with<T>(&self, py: Python<'_>, look: impl FnOnce(&client::Guard) -> T) -> PyResult<T> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(look).ok_or_else(|| {
            raise(
                py,
                "ProtectError",
                "a guard holds inside of its `with` block only; enter it first",
            )
        })
    }
}

#[pymethods]
impl Guard {
    fn __enter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        let guard = slf.get();
        if guard.held.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let text = "this guard is in use already; take one for each `with` block: ring.guard()";
            return Err(raise(py, "ProtectError", text));
        }
        let taken = guard.ring.get().take_guard(py)?.or_raise(py)?;
        *guard.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The number of the version to protect with.
    #[getter]
    fn version(&self, py: Python<'_>) -> PyResult<u32> {
        self.with(py, |guard| guard.number().0)
    }

    /// Its key id.
    #[getter]
    fn kid(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |guard| guard.kid().0.clone())
    }

    /// The key.
    #[getter]
    fn secret(&self, py: Python<'_>) -> PyResult<Secret> {
        self.with(py, |guard| Secret::new(guard.shared_material()))
    }

    /// How long what is protected now may live, in seconds.
    #[getter]
    fn longest_lifetime(&self, py: Python<'_>) -> PyResult<f64> {
        self.with(py, |guard| guard.longest_lifetime().to_std().as_secs_f64())
    }
}
