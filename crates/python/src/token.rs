//! Tokens: made with the primary, verified against every accepted version, in one call each.

use keywheel_client::RingHandle;
use keywheel_core::time::Span;
use keywheel_jose::token::{Algorithm, Claims, Expected};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::error::OrRaise as _;
use crate::json;
use crate::ring::Ring;

/// One text or several.
fn texts(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(vec![text.to_cow()?.into_owned()]);
    }
    let mut all = Vec::new();
    for one in value.try_iter()? {
        let one = one?;
        let text = one.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!("{what} is neither a str nor a list of them"))
        })?;
        all.push(text.to_cow()?.into_owned());
    }
    if all.is_empty() {
        let text = format!("{what} is an empty list, which nothing can satisfy; leave it out");
        return Err(PyValueError::new_err(text));
    }
    Ok(all)
}

fn expectation(
    issuer: Option<&Bound<'_, PyAny>>,
    audience: Option<&Bound<'_, PyAny>>,
    subject: Option<&str>,
    leeway: f64,
    require: Option<Vec<String>>,
    typ: Option<&str>,
    algorithm: Option<&str>,
) -> PyResult<Expected> {
    let mut expected = Expected::new();
    for name in issuer.map(|value| texts(value, "issuer")).transpose()?.into_iter().flatten() {
        expected = expected.issuer(name);
    }
    for name in audience.map(|value| texts(value, "audience")).transpose()?.into_iter().flatten() {
        expected = expected.audience(name);
    }
    if let Some(subject) = subject {
        expected = expected.subject(subject);
    }
    if let Some(names) = require {
        expected = expected.require(names);
    }
    if let Some(typ) = typ {
        expected = expected.typ(typ);
    }
    if let Some(name) = algorithm {
        let algorithm: Algorithm = name.parse().map_err(|_| {
            PyValueError::new_err(format!("{name:?} is no algorithm that keywheel verifies"))
        })?;
        expected = expected.algorithm(algorithm);
    }
    if leeway != 0.0 {
        let leeway = std::time::Duration::try_from_secs_f64(leeway)
            .map_err(|_| PyValueError::new_err("leeway is in seconds, 0 or more"))?;
        expected = expected.leeway(Span::from_secs(leeway.as_secs()));
    }
    Ok(expected)
}

/// The bytes of a token that is given as `str` or `bytes`.
fn with_bytes<T>(token: &Bound<'_, PyAny>, look: impl FnOnce(&[u8]) -> PyResult<T>) -> PyResult<T> {
    if let Ok(text) = token.cast::<PyString>() {
        return look(text.to_cow()?.as_bytes());
    }
    if let Ok(bytes) = token.cast::<PyBytes>() {
        return look(bytes.as_bytes());
    }
    Err(PyTypeError::new_err("the token is neither a str nor bytes"))
}

/// The claims of a token of the ring; the first reason not to accept it is raised.
#[pyfunction]
#[pyo3(signature = (token, ring, *, issuer=None, audience=None, subject=None, leeway=0.0,
                    require=None, typ=None, algorithm=None))]
#[expect(clippy::too_many_arguments, reason = "they are the keywords of the Python function")]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    token: &Bound<'py, PyAny>,
    ring: &Bound<'py, Ring>,
    issuer: Option<&Bound<'py, PyAny>>,
    audience: Option<&Bound<'py, PyAny>>,
    subject: Option<&str>,
    leeway: f64,
    require: Option<Vec<String>>,
    typ: Option<&str>,
    algorithm: Option<&str>,
) -> PyResult<Bound<'py, PyDict>> {
    let expected = expectation(issuer, audience, subject, leeway, require, typ, algorithm)?;
    let handle = ring.get().handle(py)?;
    with_bytes(token, |token| {
        let claims = verify(py, &handle, token, &expected)?;
        dictionary(py, &claims)
    })
}

fn verify(
    py: Python<'_>,
    handle: &RingHandle,
    token: &[u8],
    expected: &Expected,
) -> PyResult<Claims> {
    // An HMAC is over before another thread would have got the lock; a signature is not.
    let is_short = handle.held().is_some_and(|keyset| {
        keyset.versions().iter().all(|version| version.kind().is_symmetric())
    });
    let outcome = if is_short {
        handle.verify_token(token, expected)
    } else {
        py.detach(|| handle.verify_token(token, expected))
    };
    Ok(outcome.or_raise(py)?.claims)
}

fn dictionary<'py>(py: Python<'py>, claims: &Claims) -> PyResult<Bound<'py, PyDict>> {
    let dictionary = PyDict::new(py);
    for (name, value) in claims.iter() {
        dictionary.set_item(name.as_ref(), json::to_python(py, value)?)?;
    }
    Ok(dictionary)
}

/// A token with these claims, made with the ring's primary.
#[pyfunction]
pub(crate) fn encode(
    py: Python<'_>,
    claims: &Bound<'_, PyDict>,
    ring: &Bound<'_, Ring>,
) -> PyResult<String> {
    let mut text = String::with_capacity(256);
    json::write_object(claims, &mut text)?;
    let handle = ring.get().handle(py)?;
    if handle.held().is_none() {
        py.detach(|| handle.current()).or_raise(py)?;
    }
    handle.sign_token(text.as_bytes()).or_raise(py)
}
