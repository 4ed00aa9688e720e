//! A key that shows itself only when asked by name.

use std::sync::Arc;

use keywheel_jose::Material;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::error::raise;

/// The bytes of a key. It is no `str`, compares with nothing, cannot be pickled, and its `repr`
/// says nothing of what it holds.
#[pyclass(frozen, module = "keywheel")]
pub(crate) struct Secret {
    material: Arc<Material>,
}

impl Secret {
    pub(crate) fn new(material: Arc<Material>) -> Self {
        Self { material }
    }
}

#[pymethods]
impl Secret {
    /// The key as text.
    fn reveal<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        match std::str::from_utf8(self.material.expose()) {
            Ok(text) => Ok(PyString::new(py, text)),
            Err(_) => Err(raise(
                py,
                "NotTextError",
                "this key is bytes and no text; use reveal_bytes(), or give the ring \
                 `encoding = \"base64url\"`",
            )),
        }
    }

    /// The key as bytes.
    fn reveal_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.material.expose())
    }

    /// Whether who verifies with it needs all of it.
    #[getter]
    fn _is_symmetric(&self) -> bool {
        self.material.kind().is_symmetric()
    }

    fn __repr__(&self) -> &'static str {
        "<keywheel.Secret (redacted)>"
    }

    fn __str__(&self) -> &'static str {
        "<keywheel.Secret (redacted)>"
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a keywheel.Secret is not pickled; let the other process use the ring",
        ))
    }
}
