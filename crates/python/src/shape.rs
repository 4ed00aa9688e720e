//! Claims as a dictionary. The tokens of a ring mostly have the same names in the same order, and
//! some values that stand in all of them, so the dictionary of a token begins as a copy of one that
//! has these already.

use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
use keywheel_jose::token::Claims;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::json;

/// The longest list of claims whose names are kept, and the longest name and value of them.
const NAMES_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 256;

/// So many tokens of another shape in the place of the last one make theirs the one that is kept.
const MISSES: u32 = 16;

/// The claims whose values most tokens of an issuer share. Others are not kept: what a token says
/// of a person is not to stay in memory.
const SHARED: [&str; 5] = ["iss", "aud", "scope", "azp", "client_id"];

/// The names of the claims of tokens that this process has verified.
#[derive(Default)]
pub(crate) struct Shapes {
    kept: ArcSwapOption<Shape>,
    misses: AtomicU32,
}

struct Shape {
    members: Vec<Member>,
    /// Has every name, in their order, with the values that are shared. It is only copied.
    dictionary: Py<PyDict>,
}

struct Member {
    name: Box<str>,
    object: Py<PyString>,
    /// The JSON text of the value that the dictionary has.
    value: Option<Box<str>>,
}

impl Shapes {
    /// The claims as a dictionary.
    pub(crate) fn dictionary<'py>(
        &self,
        py: Python<'py>,
        claims: &Claims,
    ) -> PyResult<Bound<'py, PyDict>> {
        if let Some(shape) = &*self.kept.load() {
            if let Some(dictionary) = shape.filled(py, claims)? {
                return Ok(dictionary);
            }
            if !self.misses.fetch_add(1, Ordering::Relaxed).is_multiple_of(MISSES) {
                return plain(py, claims);
            }
        }
        let shape = Shape::of(py, claims)?;
        self.kept.store(shape.map(Into::into));
        plain(py, claims)
    }
}

fn plain<'py>(py: Python<'py>, claims: &Claims) -> PyResult<Bound<'py, PyDict>> {
    let dictionary = PyDict::new(py);
    for (name, value) in claims.iter() {
        dictionary.set_item(PyString::new(py, &name), json::to_python(py, value)?)?;
    }
    Ok(dictionary)
}

impl Shape {
    fn of(py: Python<'_>, claims: &Claims) -> PyResult<Option<Self>> {
        if claims.len() > NAMES_MAX || claims.iter().any(|(name, _)| name.len() > NAME_BYTES_MAX) {
            return Ok(None);
        }
        let dictionary = PyDict::new(py);
        let mut members = Vec::with_capacity(claims.len());
        for (name, value) in claims.iter() {
            let object = PyString::intern(py, &name);
            let is_shared = SHARED.contains(&name.as_ref())
                && value.starts_with('"')
                && value.len() <= VALUE_BYTES_MAX;
            let value = is_shared.then_some(value);
            // Texts only: what can be changed is nobody else's.
            let shown = value.map(|value| json::to_python(py, value)).transpose()?;
            dictionary.set_item(&object, shown)?;
            let (name, value) = (Box::from(name.as_ref()), value.map(Box::from));
            members.push(Member { name, object: object.unbind(), value });
        }
        Ok(Some(Self { members, dictionary: dictionary.unbind() }))
    }

    /// The dictionary of these claims; nothing where their names are others.
    fn filled<'py>(
        &self,
        py: Python<'py>,
        claims: &Claims,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        if claims.len() != self.members.len() {
            return Ok(None);
        }
        let dictionary = self.dictionary.bind(py).copy()?;
        for ((name, value), member) in claims.iter().zip(&self.members) {
            if *name != *member.name {
                return Ok(None);
            }
            if member.value.as_deref() != Some(value) {
                dictionary.set_item(member.object.bind(py), json::to_python(py, value)?)?;
            }
        }
        Ok(Some(dictionary))
    }
}
