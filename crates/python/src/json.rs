//! JSON to Python objects and back, without a text in between where that can be avoided.

use std::fmt::Write as _;

use keywheel_jose::token::elements;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// The deepest nesting that is written; tokens are not read deeper either.
const DEPTH_MAX: usize = 64;

/// The object that a JSON text stands for. The text was scanned before, so it is valid.
pub(crate) fn to_python<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    match json.as_bytes() {
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => {
            let inside = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
            Ok(PyString::new(py, inside).into_any())
        }
        b"true" => Ok(PyBool::new(py, true).to_owned().into_any()),
        b"false" => Ok(PyBool::new(py, false).to_owned().into_any()),
        b"null" => Ok(py.None().into_bound(py)),
        [b'-' | b'0'..=b'9', ..] => number_to_python(py, json),
        // Objects are left to Python's own reader, and so is what holds any.
        [b'[', inside @ ..] if !inside.contains(&b'{') => {
            let list = PyList::empty(py);
            for element in elements(json).into_iter().flatten() {
                list.append(to_python(py, element)?)?;
            }
            Ok(list.into_any())
        }
        _ => loads(py, json),
    }
}

fn number_to_python<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(number) = json.parse::<i64>() {
        return Ok(number.into_pyobject(py)?.into_any());
    }
    match json.parse::<f64>() {
        Ok(number) if json.contains(['.', 'e', 'E']) => Ok(PyFloat::new(py, number).into_any()),
        _ => loads(py, json),
    }
}

/// What Python's own reader makes of it.
fn loads<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "json", "loads")?.call1((json,))
}

/// Appends the JSON text of a dictionary, as `json.dumps` would write it without blanks; a
/// `datetime` becomes seconds since 1970, as PyJWT has it.
pub(crate) fn write_object(object: &Bound<'_, PyDict>, text: &mut String) -> PyResult<()> {
    write_dict(object, text, 1)
}

fn write_dict(object: &Bound<'_, PyDict>, text: &mut String, depth: usize) -> PyResult<()> {
    if depth > DEPTH_MAX {
        return Err(PyValueError::new_err("the claims are nested too deeply; flatten them"));
    }
    text.push('{');
    for (nth, (name, value)) in object.iter().enumerate() {
        if nth > 0 {
            text.push(',');
        }
        let name = name.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err("the name of a claim is not a str; claims are JSON objects")
        })?;
        write_string(name, text)?;
        text.push(':');
        write_value(&value, text, depth)?;
    }
    text.push('}');
    Ok(())
}

fn write_value(value: &Bound<'_, PyAny>, text: &mut String, depth: usize) -> PyResult<()> {
    if let Ok(string) = value.cast::<PyString>() {
        return write_string(string, text);
    }
    if let Ok(boolean) = value.cast::<PyBool>() {
        text.push_str(if boolean.is_true() { "true" } else { "false" });
        return Ok(());
    }
    if let Ok(number) = value.cast_exact::<PyInt>() {
        return write_int(number, text);
    }
    if value.is_none() {
        text.push_str("null");
        return Ok(());
    }
    if let Ok(object) = value.cast::<PyDict>() {
        return write_dict(object, text, depth.saturating_add(1));
    }
    if let Ok(list) = value.cast::<PyList>() {
        return write_array(list.iter(), text, depth);
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return write_array(tuple.iter(), text, depth);
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        if !number.value().is_finite() {
            return Err(PyValueError::new_err("a claim is not a finite number; JSON has no other"));
        }
        text.push_str(&number.repr()?.to_string_lossy());
        return Ok(());
    }
    if let Ok(number) = value.cast::<PyInt>() {
        // A subclass, an enumeration for example, may write itself in its own way.
        text.push_str(&number.call_method0("__int__")?.str()?.to_string_lossy());
        return Ok(());
    }
    if let Ok(seconds) = value.call_method0("timestamp") {
        let whole = seconds.extract::<f64>()?.trunc();
        let _ = write!(text, "{whole:.0}");
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "a claim is a {}, which JSON does not have; give str, int, float, bool, None, list, dict or \
         datetime",
        value.get_type().name()?
    )))
}

fn write_int(number: &Bound<'_, PyInt>, text: &mut String) -> PyResult<()> {
    match number.extract::<i64>() {
        Ok(number) => write_number(number, text),
        Err(_) => text.push_str(&number.str()?.to_string_lossy()),
    }
    Ok(())
}

fn write_array<'py>(
    elements: impl Iterator<Item = Bound<'py, PyAny>>,
    text: &mut String,
    depth: usize,
) -> PyResult<()> {
    if depth >= DEPTH_MAX {
        return Err(PyValueError::new_err("the claims are nested too deeply; flatten them"));
    }
    text.push('[');
    for (nth, element) in elements.enumerate() {
        if nth > 0 {
            text.push(',');
        }
        write_value(&element, text, depth.saturating_add(1))?;
    }
    text.push(']');
    Ok(())
}

/// Whether a byte of a string is written as it is.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

fn write_number(number: i64, text: &mut String) {
    text.push_str(itoa::Buffer::new().format(number));
}

fn write_string(string: &Bound<'_, PyString>, text: &mut String) -> PyResult<()> {
    let string = string.to_cow()?;
    text.push('"');
    // All bytes are looked at, because the processor looks at many of them at once.
    let mut rest: &str = &string;
    if rest.bytes().fold(true, |so_far, byte| so_far & is_plain(byte)) {
        text.push_str(rest);
        text.push('"');
        return Ok(());
    }
    while let Some(at) = rest.find(|c: char| matches!(c, '"' | '\\' | '\0'..='\x1f')) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => text.push_str("\\\""),
            Some('\\') => text.push_str("\\\\"),
            Some('\n') => text.push_str("\\n"),
            Some('\r') => text.push_str("\\r"),
            Some('\t') => text.push_str("\\t"),
            Some(control) => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    text.push('"');
    Ok(())
}
