//! The versions of a ring as of one moment.

use std::sync::Arc;

use keywheel_client as client;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::secret::Secret;

/// One version of a ring.
#[pyclass(frozen, module = "keywheel")]
pub(crate) struct Version {
    version: Arc<client::Version>,
}

impl Version {
    pub(crate) fn new(version: Arc<client::Version>) -> Self {
        Self { version }
    }
}

#[pymethods]
impl Version {
    /// Its number; it grows by one with each new version.
    #[getter]
    fn number(&self) -> u32 {
        self.version.number().0
    }

    /// Its key id, as tokens carry it.
    #[getter]
    fn kid(&self) -> &str {
        &self.version.kid().0
    }

    /// The whole key; `None` where this process holds the half that verifies.
    #[getter]
    fn secret(&self) -> Option<Secret> {
        self.version.shared_material().map(Secret::new)
    }

    /// Counts what was accepted, verified or decrypted with it.
    #[pyo3(signature = (count=1))]
    fn processed(&self, count: u64) {
        self.version.processed(count);
    }

    /// Counts what was refused of it.
    #[pyo3(signature = (count=1))]
    fn rejected(&self, count: u64) {
        self.version.rejected(count);
    }

    fn __repr__(&self) -> String {
        format!("<keywheel.Version {} kid={}>", self.number(), self.kid())
    }
}

/// The versions of a ring as of one moment. It never changes.
#[pyclass(frozen, module = "keywheel")]
pub(crate) struct Snapshot {
    keyset: Arc<client::Keyset>,
    primary: Option<Py<Version>>,
    accepted: Py<PyTuple>,
}

impl Snapshot {
    pub(crate) fn new(py: Python<'_>, keyset: Arc<client::Keyset>) -> PyResult<Self> {
        let number = keyset.primary_number();
        let mut primary = None;
        let mut accepted = Vec::with_capacity(keyset.versions().len());
        for version in keyset.in_order_of_trial() {
            let object = Py::new(py, Version::new(Arc::clone(version)))?;
            if primary.is_none() && Some(version.number()) == number {
                primary = Some(object.clone_ref(py));
            }
            accepted.push(object);
        }
        let accepted = PyTuple::new(py, accepted)?.unbind();
        Ok(Self { keyset, primary, accepted })
    }

    pub(crate) const fn keyset(&self) -> &Arc<client::Keyset> {
        &self.keyset
    }

    pub(crate) fn is_of(&self, keyset: &Arc<client::Keyset>) -> bool {
        Arc::ptr_eq(&self.keyset, keyset)
    }
}

#[pymethods]
impl Snapshot {
    /// The ring's name.
    #[getter]
    fn ring(&self) -> &str {
        self.keyset.ring().as_str()
    }

    /// The version to protect with; `None` while the ring has none.
    #[getter]
    fn primary(&self, py: Python<'_>) -> Option<Py<Version>> {
        self.primary.as_ref().map(|version| version.clone_ref(py))
    }

    /// Every version that is accepted: the primary first, then the older ones, the newest of them
    /// first, then those that are published and not in use yet.
    #[getter]
    fn accepted(&self, py: Python<'_>) -> Py<PyTuple> {
        self.accepted.clone_ref(py)
    }

    /// The number of the primary version.
    #[getter]
    fn version(&self) -> Option<u32> {
        self.keyset.primary_number().map(|number| number.0)
    }

    /// The revision of the keyset; it grows with each change.
    #[getter]
    fn revision(&self) -> u64 {
        self.keyset.revision().0
    }

    fn __repr__(&self) -> String {
        let numbers: Vec<String> =
            self.keyset.versions().iter().map(|version| version.number().0.to_string()).collect();
        let primary = self.version().map_or_else(|| "none".to_owned(), |number| number.to_string());
        format!(
            "<keywheel.Snapshot {} revision={} primary={primary} accepted={}>",
            self.ring(),
            self.revision(),
            numbers.join(",")
        )
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(
            "a keywheel.Snapshot is not pickled; let the other process use the ring",
        ))
    }
}
