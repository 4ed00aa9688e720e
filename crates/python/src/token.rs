//! Tokens: made with the primary, verified against every accepted version, in one call each.

use std::sync::Arc;

use keywheel_client::{RingHandle, SignError};
use keywheel_jose::token::{Claims, Expected, HeaderMembers};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::error::OrRaise as _;
use crate::expect::Keywords;
use crate::json;
use crate::ring::Ring;

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
    subject: Option<&Bound<'py, PyAny>>,
    leeway: f64,
    require: Option<&Bound<'py, PyAny>>,
    typ: Option<&Bound<'py, PyAny>>,
    algorithm: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let keywords = Keywords { issuer, audience, subject, leeway, require, typ, algorithm };
    let ring = ring.get();
    if let Some(kept) = &*ring.expected.load()
        && kept.is_of(&keywords)
    {
        return accept(py, ring, token, &kept.expected);
    }
    let kept = Arc::new(keywords.keep()?);
    if keywords.are_settled() {
        ring.expected.store(Some(Arc::clone(&kept)));
    }
    accept(py, ring, token, &kept.expected)
}

/// What is expected of the tokens of one ring, prepared once.
#[pyclass(frozen, module = "keywheel.jwt")]
pub(crate) struct Verifier {
    ring: Py<Ring>,
    expected: Expected,
}

#[pymethods]
impl Verifier {
    #[new]
    #[pyo3(signature = (ring, *, issuer=None, audience=None, subject=None, leeway=0.0,
                        require=None, typ=None, algorithm=None))]
    #[expect(clippy::too_many_arguments, reason = "they are the keywords of the Python function")]
    fn new(
        ring: Py<Ring>,
        issuer: Option<&Bound<'_, PyAny>>,
        audience: Option<&Bound<'_, PyAny>>,
        subject: Option<&Bound<'_, PyAny>>,
        leeway: f64,
        require: Option<&Bound<'_, PyAny>>,
        typ: Option<&Bound<'_, PyAny>>,
        algorithm: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let keywords = Keywords { issuer, audience, subject, leeway, require, typ, algorithm };
        Ok(Self { ring, expected: keywords.read()? })
    }

    /// The ring.
    #[getter]
    fn ring(&self, py: Python<'_>) -> Py<Ring> {
        self.ring.clone_ref(py)
    }

    /// The claims of a token; the first reason not to accept it is raised.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        token: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        accept(py, self.ring.get(), token, &self.expected)
    }
}

fn accept<'py>(
    py: Python<'py>,
    ring: &Ring,
    token: &Bound<'py, PyAny>,
    expected: &Expected,
) -> PyResult<Bound<'py, PyDict>> {
    let bound = ring.bound_handle();
    let given;
    let handle = if let Some(handle) = &*bound {
        handle
    } else {
        given = ring.handle(py)?;
        &given
    };
    let claims = with_bytes(token, |token| verify(py, handle, token, expected))?;
    ring.shapes.dictionary(py, &claims)
}

fn verify(
    py: Python<'_>,
    handle: &RingHandle,
    token: &[u8],
    expected: &Expected,
) -> PyResult<Claims> {
    // An HMAC is over before another thread would have got the lock; a signature is not.
    if let Some(outcome) = handle.verify_token_at_once(token, expected) {
        return outcome.or_raise(py);
    }
    if handle.is_symmetric().is_none() {
        crate::ring::first(py, handle)?;
    }
    Ok(py.detach(|| handle.verify_token(token, expected)).or_raise(py)?.claims)
}

/// The JSON text of a mapping.
fn object(py: Python<'_>, mapping: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut text = String::with_capacity(512);
    if let Ok(mapping) = mapping.cast::<PyDict>() {
        json::write_object(mapping, &mut text)?;
    } else {
        let copy = PyDict::new(py);
        copy.update(mapping.cast()?)?;
        json::write_object(&copy, &mut text)?;
    }
    Ok(text)
}

/// A token with these claims, made with the ring's primary.
#[pyfunction]
#[pyo3(signature = (claims, ring, *, headers=None))]
pub(crate) fn encode<'py>(
    py: Python<'py>,
    claims: &Bound<'py, PyAny>,
    ring: &Bound<'py, Ring>,
    headers: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyString>> {
    let text = object(py, claims)?;
    let members = match headers {
        Some(headers) => {
            let read = HeaderMembers::parse(&object(py, headers)?).map_err(SignError::from);
            Some(read.or_raise(py)?)
        }
        None => None,
    };
    let ring = ring.get();
    let bound = ring.bound_handle();
    let given;
    let handle = if let Some(handle) = &*bound {
        handle
    } else {
        given = ring.handle(py)?;
        &given
    };
    let is_quick = match handle.is_symmetric() {
        Some(is_symmetric) => is_symmetric,
        None => crate::ring::first(py, handle)?.is_symmetric(),
    };
    let sign = || match &members {
        Some(members) => handle.sign_token_with(members, text.as_bytes()),
        None => handle.sign_token_text(text),
    };
    let token = if is_quick { sign() } else { py.detach(sign) };
    Ok(PyString::new(py, &token.or_raise(py)?))
}
