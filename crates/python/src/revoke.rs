//! What the application says of tokens that somebody else minted: reads of their claims what
//! matters for revocation and for the ledger.

use keywheel_client::clock::wall_millis;
use keywheel_client::{Keyset, RingHandle};
use keywheel_core::id::Kid;
use keywheel_core::revocation::{Facts, Revocation};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyString};

use crate::error::{OrRaise as _, raise};

/// A claim, unless it is missing or `None`.
fn claim<'py>(claims: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let found = match claims.cast::<PyDict>() {
        Ok(claims) => claims.get_item(name)?,
        Err(_) => Some(claims.call_method1("get", (name,))?),
    };
    Ok(found.filter(|value| !value.is_none()))
}

fn text_claim(claims: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<String>> {
    let Some(value) = claim(claims, name)? else { return Ok(None) };
    let text = value
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err(format!("the claim {name} is not a str")))?;
    Ok(Some(text.to_cow()?.into_owned()))
}

/// A moment in whole seconds since 1970: a number, or a `datetime`.
fn moment(value: &Bound<'_, PyAny>, name: &str) -> PyResult<i64> {
    let wrong = || PyTypeError::new_err(format!("{name} is neither a number nor a datetime"));
    if let Ok(number) = value.cast::<PyInt>() {
        return number.extract();
    }
    let seconds: f64 = match value.cast::<PyFloat>() {
        Ok(number) => number.value(),
        Err(_) => value.call_method0("timestamp").map_err(|_| wrong())?.extract()?,
    };
    // Whole seconds below 2^53 are exact.
    if !seconds.is_finite() || seconds.abs() > 9.0e15 {
        return Err(PyValueError::new_err(format!("{name} is no moment")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was floored, and is small enough")]
    let whole = seconds.floor() as i64;
    Ok(whole)
}

fn moment_claim(claims: &Bound<'_, PyAny>, name: &str) -> PyResult<Option<i64>> {
    claim(claims, name)?.map(|value| moment(&value, name)).transpose()
}

/// Whether a token with these claims was revoked.
pub(crate) fn is_revoked(
    py: Python<'_>,
    handle: &RingHandle,
    claims: &Bound<'_, PyAny>,
    kid: Option<&str>,
) -> PyResult<bool> {
    let (jti, subject) = (text_claim(claims, "jti")?, text_claim(claims, "sub")?);
    let issued_at = moment_claim(claims, "iat")?;
    let facts = Facts { jti: jti.as_deref(), subject: subject.as_deref(), kid, issued_at };
    // The first question in a process waits for the server.
    let revoked = if handle.knows_revocations() {
        handle.is_revoked(&facts)
    } else {
        py.detach(|| handle.is_revoked(&facts))
    };
    Ok(revoked.or_raise(py)?.is_some())
}

/// What the application wants revoked.
pub(crate) struct Wanted<'a, 'py> {
    pub(crate) jti: Option<String>,
    pub(crate) expires: Option<&'a Bound<'py, PyAny>>,
    pub(crate) subject: Option<String>,
    pub(crate) issued_before: Option<&'a Bound<'py, PyAny>>,
}

impl Wanted<'_, '_> {
    /// The same in terms of the ring that `keyset` is of.
    pub(crate) fn entries(self, keyset: &Keyset) -> PyResult<Vec<Revocation>> {
        let now = wall_millis().div_euclid(1_000);
        let expires = match self.expires {
            Some(value) => moment(value, "expires")?,
            None => keyset
                .longest_lifetime()
                .and_then(|span| i64::try_from(span.as_millis().div_ceil(1_000)).ok())
                .map(|seconds| now.saturating_add(seconds).saturating_add(1))
                .ok_or_else(|| {
                    PyValueError::new_err(
                        "this process does not know how long tokens of the ring live; give expires",
                    )
                })?,
        };
        if self.issued_before.is_some() && self.subject.is_none() {
            return Err(PyValueError::new_err("issued_before belongs to a subject; name one"));
        }
        let mut entries = Vec::with_capacity(2);
        if let Some(jti) = self.jti {
            entries.push(Revocation::Jti { jti, expires });
        }
        if let Some(subject) = self.subject {
            let issued_before = match self.issued_before {
                Some(value) => moment(value, "issued_before")?,
                // What was issued in the present second is meant too.
                None => now.saturating_add(1),
            };
            entries.push(Revocation::Subject { subject, issued_before, expires });
        }
        if entries.is_empty() {
            return Err(PyValueError::new_err("name the jti of a token, or a subject"));
        }
        Ok(entries)
    }
}

/// Reports a token that somebody else minted to the ring's ledger; false where it keeps none.
pub(crate) fn issued(
    py: Python<'_>,
    handle: &RingHandle,
    claims: &Bound<'_, PyAny>,
    kid: Option<String>,
) -> PyResult<bool> {
    let (jti, expires) = (text_claim(claims, "jti")?, moment_claim(claims, "exp")?);
    let (Some(jti), Some(expires)) = (jti, expires) else {
        let text = "a ledger keeps tokens by jti until exp; give the token both claims";
        return Err(raise(py, "ClaimsError", text));
    };
    let kid = kid.map(Kid);
    py.detach(|| handle.issued(&jti, expires, kid.as_ref())).or_raise(py)
}
