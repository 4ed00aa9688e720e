//! Values that are sealed and opened: what a column holds under a ring that encrypts.

use keywheel_client::{OpenedValue, RingHandle};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyString};

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

/// Seals a text or bytes for a column that is text.
pub(crate) fn seal_armored<'py>(
    py: Python<'py>,
    ring: &Ring,
    data: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyString>> {
    let handle = ready(py, ring)?;
    let sealed = if let Ok(text) = data.cast::<PyString>() {
        let text = text.to_cow()?;
        py.detach(|| handle.seal_text_armored(&text))
    } else {
        let data = bytes(data, "the data")?;
        let data = data.as_bytes();
        py.detach(|| handle.seal_armored(data))
    };
    let sealed = sealed.or_raise(py)?;
    Ok(PyString::new(py, &String::from_utf8_lossy(&sealed)))
}

/// The text of a value.
pub(crate) fn unseal_text<'py>(
    py: Python<'py>,
    ring: &Ring,
    value: &Bound<'py, PyAny>,
    context: Option<&Bound<'py, PyBytes>>,
) -> PyResult<Bound<'py, PyString>> {
    text(py, &open(py, ring, value, context)?)
}

/// The text of what was opened. That it is none is said without it.
fn text<'py>(py: Python<'py>, opened: &OpenedValue) -> PyResult<Bound<'py, PyString>> {
    match std::str::from_utf8(&opened.plain) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => Err(raise(
            py,
            "SealedValueError",
            "the value opens and is no text in UTF-8; open it as bytes",
        )),
    }
}

/// The bytes of many values.
pub(crate) fn unseal_many<'py>(
    py: Python<'py>,
    ring: &Ring,
    values: &Bound<'py, PyAny>,
    context: Option<&Bound<'py, PyBytes>>,
) -> PyResult<Bound<'py, PyList>> {
    each(py, ring, values, context, |opened| Ok(PyBytes::new(py, &opened.plain).into_any()))
}

/// The texts of many values.
pub(crate) fn unseal_text_many<'py>(
    py: Python<'py>,
    ring: &Ring,
    values: &Bound<'py, PyAny>,
    context: Option<&Bound<'py, PyBytes>>,
) -> PyResult<Bound<'py, PyList>> {
    each(py, ring, values, context, |opened| Ok(text(py, opened)?.into_any()))
}

/// Opens many values at once. `None` stays what it is, as for a column without a value.
fn each<'py>(
    py: Python<'py>,
    ring: &Ring,
    values: &Bound<'py, PyAny>,
    context: Option<&Bound<'py, PyBytes>>,
    show: impl Fn(&OpenedValue) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let context = context.map_or(&[][..], |context| context.as_bytes());
    let handle = ready(py, ring)?;
    let mut held = Vec::new();
    for value in values.try_iter()? {
        let value = value?;
        held.push(match value.cast::<PyString>() {
            _ if value.is_none() => None,
            Ok(text) => Some(text.encode_utf8()?),
            Err(_) => Some(bytes(&value, "a value")?),
        });
    }
    let given: Vec<&[u8]> = held.iter().flatten().map(PyBytesMethods::as_bytes).collect();
    let mut opened = py.detach(|| handle.open_many(&given, context)).or_raise(py)?.into_iter();
    let list = PyList::empty(py);
    for (place, value) in held.iter().enumerate() {
        let Some(opened) = value.as_ref().and_then(|_| opened.next()) else {
            list.append(py.None())?;
            continue;
        };
        let shown = opened.or_raise(py).and_then(|opened| show(&opened));
        list.append(shown.map_err(|error| at(py, error, place))?)?;
    }
    Ok(list)
}

/// Says which of the values it was, where Python can say it.
fn at(py: Python<'_>, error: PyErr, place: usize) -> PyErr {
    // Python 3.10 knows no notes.
    let _ = error.value(py).call_method1("add_note", (format!("it is value {place} of those"),));
    error
}
