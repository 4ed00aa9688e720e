//! The head of a question, as the edge looks at it: borrowed from whoever read it, because a map of
//! its headers would cost as much as the check of a token.

use hyper::header::{HeaderMap, HeaderValue, ValueIter};
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
    pub(super) fn all<'n>(self, name: &'n str) -> All<'a, 'n> {
        match self {
            Self::Map(map) => All::Map(map.get_all(name).iter()),
            Self::List(list) => All::List(list.iter(), name),
        }
    }
}

/// The values of one header.
pub(super) enum All<'a, 'n> {
    Map(ValueIter<'a, HeaderValue>),
    List(std::slice::Iter<'a, httparse::Header<'a>>, &'n str),
}

impl<'a> Iterator for All<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Map(map) => map.next().map(HeaderValue::as_bytes),
            Self::List(list, name) => {
                list.find(|one| one.name.eq_ignore_ascii_case(name)).map(|one| one.value)
            }
        }
    }
}

/// A value as text: visible ASCII, blanks and tabs.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    // Not `any`, which ends early and so looks at one byte after the other.
    let others = value.iter().filter(|byte| !matches!(byte, b'\t' | b' '..=b'~')).count();
    if others == 0 { str::from_utf8(value).ok() } else { None }
}
