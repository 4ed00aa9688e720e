//! The head of a question, as the edge looks at it: borrowed from whoever read it, because a map of
//! its headers would cost as much as the check of a token.

use hyper::header::HeaderMap;
use hyper::http::request::Parts;

/// What a proxy asked.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    /// The path and the query, as they came.
    pub(super) target: &'a str,
    pub(super) headers: Headers<'a>,
}

/// The headers of a question.
#[derive(Clone, Copy)]
pub(super) enum Headers<'a> {
    /// As hyper keeps them.
    Map(&'a HeaderMap),
    /// As httparse found them.
    List(&'a [httparse::Header<'a>]),
}

impl<'a> Asked<'a> {
    pub(super) fn of(parts: &'a Parts) -> Self {
        Self {
            method: parts.method.as_str(),
            target: parts.uri.path_and_query().map_or("/", |whole| whole.as_str()),
            headers: Headers::Map(&parts.headers),
        }
    }

    /// The path, without the query.
    pub(super) fn path(&self) -> &'a str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }
}

impl<'a> Headers<'a> {
    /// The values of a header, in their order. The name is in lower case.
    pub(super) fn all(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let (map, list) = match self {
            Self::Map(map) => (Some(map.get_all(name)), [].as_slice()),
            Self::List(list) => (None, list),
        };
        let mapped = map.into_iter().flatten().map(hyper::header::HeaderValue::as_bytes);
        let listed = list.iter().filter(move |one| one.name.eq_ignore_ascii_case(name));
        mapped.chain(listed.map(|one| one.value))
    }
}

/// A value as text: visible ASCII, blanks and tabs.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    let is_text = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    if is_text { str::from_utf8(value).ok() } else { None }
}
