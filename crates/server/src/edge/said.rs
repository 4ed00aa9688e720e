//! What an answer says: its status and its headers, to hyper, to a buffer, or to a memory from
//! which they are said again and again.

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::wire;

pub(super) const X_AUTH_KID: HeaderName = HeaderName::from_static("x-auth-kid");
pub(super) const X_AUTH_SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
pub(super) const X_KEY_GENERATION: HeaderName = HeaderName::from_static("x-key-generation");

/// Takes what an answer says. Whatever was said is taken back by beginning again.
pub(super) trait Saying {
    fn begin(&mut self, status: StatusCode);
    fn say(&mut self, name: &HeaderName, value: &str);
    /// Says again what was said before.
    fn repeat(&mut self, said: &Said) {
        for (name, value) in &said.headers {
            self.say(name, value);
        }
    }
}

/// Headers that were said once, ready for both kinds of listeners.
#[derive(Default)]
pub(super) struct Said {
    headers: Vec<(HeaderName, Box<str>)>,
    /// The same as it stands in an answer.
    text: Vec<u8>,
}

impl Saying for Said {
    fn begin(&mut self, _status: StatusCode) {
        self.headers.clear();
        self.text.clear();
    }

    fn say(&mut self, name: &HeaderName, value: &str) {
        self.headers.push((name.clone(), value.into()));
        wire::say(&mut self.text, name, value);
    }
}

impl Saying for Response<()> {
    fn begin(&mut self, status: StatusCode) {
        *self.status_mut() = status;
        self.headers_mut().clear();
    }

    fn say(&mut self, name: &HeaderName, value: &str) {
        // What is said is visible ASCII, so it always is a value.
        let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
        self.headers_mut().insert(name, value);
    }
}

/// Writes an answer behind what a buffer holds already.
pub(super) struct Writing<'o> {
    out: &'o mut Vec<u8>,
    begun: usize,
}

impl<'o> Writing<'o> {
    pub(super) const fn behind(out: &'o mut Vec<u8>) -> Self {
        let begun = out.len();
        Self { out, begun }
    }
}

impl Saying for Writing<'_> {
    fn begin(&mut self, status: StatusCode) {
        self.out.truncate(self.begun);
        wire::begin(self.out, status);
    }

    fn say(&mut self, name: &HeaderName, value: &str) {
        wire::say(self.out, name, value);
    }

    fn repeat(&mut self, said: &Said) {
        self.out.extend_from_slice(&said.text);
    }
}
