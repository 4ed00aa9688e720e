//! Values that are sealed and opened: what a column holds under a ring that encrypts.

use keywheel_client::{OpenedValue, RingHandle};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

use crate::error::{OrRaise as _, raise};
use crate::ring::{Ring, first};

/// The bytes of what is bytes in Python, whatever holds them; drivers give a `memoryview`.
fn bytes<'py>(value: &Bound<'py, PyAny>, what: &str) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let is_view = value.is_instance(&value.py().import("builtins")?.getattr("memoryview")?)?;
    if is_view || value.is_instance_of::<PyByteArray>() {
        let copied = value.py().get_type::<PyBytes>().call1((value,))?;
        return Ok(copied.cast_into()?);
    }
    Err(PyTypeError::new_err(format!("{what} is no bytes")))
}

/// The handle of a ring that holds its keys; only the first use in a process waits.
fn ready(py: Python<'_>, ring: &Ring) -> PyResult<std::sync::Arc<RingHandle>> {
    let handle = ring.handle(py)?;
    if handle.held().is_none() {
        first(py, &handle)?;
    }
    Ok(handle)
}

/// Seals a text or bytes with the primary.
pub(crate) fn seal<'py>(
    py: Python<'py>,
    ring: &Ring,
    data: &Bound<'py, PyAny>,
    context: Option<&Bound<'_, PyBytes>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let context = context.map_or(&[][..], |context| context.as_bytes());
    let handle = ready(py, ring)?;
    let sealed = if let Ok(text) = data.cast::<PyString>() {
        let text = text.to_cow()?;
        py.detach(|| handle.seal_text(&text, context))
    } else {
        let data = bytes(data, "the data")?;
        let data = data.as_bytes();
        py.detach(|| handle.seal(data, context))
    };
    Ok(PyBytes::new(py, &sealed.or_raise(py)?))
}

fn open(
    py: Python<'_>,
    ring: &Ring,
    value: &Bound<'_, PyAny>,
    context: Option<&Bound<'_, PyBytes>>,
) -> PyResult<OpenedValue> {
    let context = context.map_or(&[][..], |context| context.as_bytes());
    let handle = ready(py, ring)?;
    if let Ok(text) = value.cast::<PyString>() {
        let text = text.to_cow()?;
        return py.detach(|| handle.open(text.as_bytes(), context)).or_raise(py);
    }
    let value = bytes(value, "the value")?;
    let value = value.as_bytes();
    py.detach(|| handle.open(value, context)).or_raise(py)
}

/// The bytes of a value.
pub(crate) fn unseal<'py>(
    py: Python<'py>,
    ring: &Ring,
    value: &Bound<'py, PyAny>,
    context: Option<&Bound<'_, PyBytes>>,
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &open(py, ring, value, context)?.plain))
}

/// The text of a value. That it is none is said without it.
pub(crate) fn unseal_text<'py>(
    py: Python<'py>,
    ring: &Ring,
    value: &Bound<'py, PyAny>,
    context: Option<&Bound<'_, PyBytes>>,
) -> PyResult<Bound<'py, PyString>> {
    let opened = open(py, ring, value, context)?;
    match std::str::from_utf8(&opened.plain) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => Err(raise(
            py,
            "SealedValueError",
            "the value opens and is no text in UTF-8; open it as bytes",
        )),
    }
}
