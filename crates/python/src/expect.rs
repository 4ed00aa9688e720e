//! What is expected of a token: read from the keywords of Python once, and kept as long as the same
//! objects come again.

use keywheel_core::time::Span;
use keywheel_jose::token::{Algorithm, Expected};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// The keywords as they came.
#[derive(Clone, Copy)]
pub(crate) struct Keywords<'a, 'py> {
    pub(crate) issuer: Option<&'a Bound<'py, PyAny>>,
    pub(crate) audience: Option<&'a Bound<'py, PyAny>>,
    pub(crate) subject: Option<&'a Bound<'py, PyAny>>,
    pub(crate) leeway: f64,
    pub(crate) require: Option<&'a Bound<'py, PyAny>>,
    pub(crate) typ: Option<&'a Bound<'py, PyAny>>,
    pub(crate) algorithm: Option<&'a Bound<'py, PyAny>>,
}

/// An expectation with the keywords that it was read from. They are kept alive, so that an object
/// at the same address is the same object.
pub(crate) struct Kept {
    keywords: [Option<Py<PyAny>>; 6],
    leeway_bits: u64,
    pub(crate) expected: Expected,
}

impl<'a, 'py> Keywords<'a, 'py> {
    const fn objects(&self) -> [Option<&'a Bound<'py, PyAny>>; 6] {
        [self.issuer, self.audience, self.subject, self.require, self.typ, self.algorithm]
    }

    /// The expectation that they stand for.
    pub(crate) fn read(&self) -> PyResult<Expected> {
        let mut expected = Expected::new();
        for name in all_texts(self.issuer, "issuer")? {
            expected = expected.issuer(name);
        }
        for name in all_texts(self.audience, "audience")? {
            expected = expected.audience(name);
        }
        if let Some(subject) = one_text(self.subject, "subject")? {
            expected = expected.subject(subject);
        }
        if let Some(names) = self.require {
            expected = expected.require(names.extract::<Vec<String>>()?);
        }
        if let Some(typ) = one_text(self.typ, "typ")? {
            expected = expected.typ(typ);
        }
        if let Some(name) = one_text(self.algorithm, "algorithm")? {
            let algorithm: Algorithm = name.parse().map_err(|_| {
                PyValueError::new_err(format!("{name:?} is no algorithm that keywheel verifies"))
            })?;
            expected = expected.algorithm(algorithm);
        }
        if self.leeway != 0.0 {
            let leeway = std::time::Duration::try_from_secs_f64(self.leeway)
                .map_err(|_| PyValueError::new_err("leeway is in seconds, 0 or more"))?;
            if leeway.subsec_nanos() != 0 {
                return Err(PyValueError::new_err(format!(
                    "leeway is in whole seconds, as the times of tokens are, and {} is none; give \
                     {}",
                    self.leeway,
                    leeway.as_secs().saturating_add(1)
                )));
            }
            expected = expected.leeway(Span::from_secs(leeway.as_secs()));
        }
        Ok(expected)
    }

    /// The same, to be kept.
    pub(crate) fn keep(&self) -> PyResult<Kept> {
        let expected = self.read()?;
        let keywords = self.objects().map(|object| object.map(|object| object.clone().unbind()));
        Ok(Kept { keywords, leeway_bits: self.leeway.to_bits(), expected })
    }

    /// Whether none of them can be changed by whoever holds it.
    pub(crate) fn are_settled(&self) -> bool {
        self.objects().into_iter().flatten().all(|object| {
            object.is_exact_instance_of::<PyString>() || object.is_exact_instance_of::<PyTuple>()
        })
    }
}

impl Kept {
    /// Whether it was read from these very objects.
    pub(crate) fn is_of(&self, keywords: &Keywords<'_, '_>) -> bool {
        let is_same = |(kept, given): (&Option<Py<PyAny>>, Option<&Bound<'_, PyAny>>)| match given {
            None => kept.is_none(),
            Some(given) => kept.as_ref().is_some_and(|kept| kept.as_ptr() == given.as_ptr()),
        };
        self.leeway_bits == keywords.leeway.to_bits()
            && self.keywords.iter().zip(keywords.objects()).all(is_same)
    }
}

fn one_text(value: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    let text =
        value.cast::<PyString>().map_err(|_| PyTypeError::new_err(format!("{what} is no str")))?;
    Ok(Some(text.to_cow()?.into_owned()))
}

/// One text or several; none where nothing is expected.
fn all_texts(value: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Vec<String>> {
    let Some(value) = value else { return Ok(Vec::new()) };
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
