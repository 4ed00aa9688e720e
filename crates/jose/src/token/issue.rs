//! Completes claims for whoever is about to sign them: a name that nobody can guess, the time of
//! issue, and an end within the lifetime that the ring promises.

use std::borrow::Cow;

use base64_simd::URL_SAFE_NO_PAD;
use keywheel_core::time::Span;

use super::claims::Claims;
use super::error::TokenError;
use super::time::UnixSeconds;

/// What a token gets that does not stand in its claims.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The present.
    pub now: UnixSeconds,
    /// What the key of the ring protects lives at most this long, because the key is retired when
    /// that time is over.
    pub longest_lifetime: Span,
    /// Random bytes for the `jti`.
    pub jti: [u8; 16],
}

/// Claims that cannot become a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// They are not claims.
    #[error("these are not claims; give one JSON object")]
    Claims(#[source] TokenError),
    /// The members of the header are none.
    #[error("these are not members of a header; give one JSON object")]
    Header(#[source] TokenError),
    /// They are too long.
    #[error("the members of the header are longer than {most_bytes} bytes; put them into claims")]
    HeaderTooLong {
        /// How long they may be.
        most_bytes: usize,
    },
    /// Only the key decides it.
    #[error("the header's `{name}` is that of the key that signs; leave it out")]
    HeaderOfTheKey {
        /// Which.
        name: &'static str,
    },
    /// It changes how the token is read.
    #[error(
        "the header's `{name}` changes how tokens are read, and is not supported; leave it out"
    )]
    HeaderOfTheReader {
        /// Which.
        name: &'static str,
    },
    /// It is a text.
    #[error("the header's `{name}` is no string; give a media type, or leave it out")]
    HeaderType {
        /// Which.
        name: &'static str,
    },
    /// They live too long.
    #[error(
        "the claims end in {wanted_secs} s, and the ring promises at most {longest_secs} s; give \
         an earlier `exp`, or raise longest_lifetime in the ring's policy"
    )]
    TooLong {
        /// How long they want to live.
        wanted_secs: i64,
        /// How long they may.
        longest_secs: i64,
    },
    /// They have ended already.
    #[error("the claims have already ended; give a later `exp`, or none")]
    Over,
    /// They say that they were issued later than now, and so would escape revocations by time.
    #[error("the claims say that they were issued in the future; leave `iat` out")]
    Future,
}

/// Claims that are ready to be signed.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The claims: a JSON object.
    pub json: String,
    /// The name of the token.
    pub jti: String,
    /// When it ends, in seconds since the Unix epoch; a part of a second counts as a whole one.
    pub expires: i64,
}

/// How long what is added gets at most: three members and what stands between them.
const ADDED_BYTES: usize = 96;

/// Adds what is missing: `jti`, `iat`, `exp`. What stands there is kept if it can be.
///
/// # Errors
/// When the claims live longer than the ring promises, have ended, or are of the future.
pub fn complete(claims: Claims, terms: &Terms) -> Result<Completed, IssueError> {
    let now = terms.now.0;
    let longest_secs = i64::try_from(terms.longest_lifetime.as_millis() / 1000).unwrap_or(i64::MAX);
    let (given, issued) = (claims.expires(), claims.issued_at());
    let expires = match given {
        Some(expires) if expires.floor() <= now => return Err(IssueError::Over),
        Some(expires) if expires.ceil().saturating_sub(now) > longest_secs => {
            let wanted_secs = expires.ceil().saturating_sub(now);
            return Err(IssueError::TooLong { wanted_secs, longest_secs });
        }
        Some(expires) => expires.ceil(),
        None if longest_secs == 0 => {
            return Err(IssueError::TooLong { wanted_secs: 1, longest_secs });
        }
        None => now.saturating_add(longest_secs),
    };
    if issued.is_some_and(|issued| issued.ceil() > now) {
        return Err(IssueError::Future);
    }
    let named = claims.jti().map(Cow::into_owned);
    let is_empty = claims.is_empty();
    let mut open = Open::of(claims.into_json(), is_empty);
    if given.is_none() {
        open.add_number("exp", expires);
    }
    if issued.is_none() {
        open.add_number("iat", now);
    }
    let jti = named.unwrap_or_else(|| {
        let jti = URL_SAFE_NO_PAD.encode_to_string(terms.jti);
        open.add("jti", |text| {
            text.push('"');
            text.push_str(&jti);
            text.push('"');
        });
        jti
    });
    Ok(Completed { json: open.close(), jti, expires })
}

/// A JSON object whose end is open.
struct Open {
    text: String,
    is_empty: bool,
}

impl Open {
    /// Opens an object that was scanned before.
    fn of(mut text: String, is_empty: bool) -> Self {
        text.truncate(text.trim_ascii_end().len());
        // The brace that closes it.
        text.pop();
        text.reserve(ADDED_BYTES);
        Self { text, is_empty }
    }

    fn add(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        if !std::mem::take(&mut self.is_empty) {
            self.text.push(',');
        }
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        write(&mut self.text);
    }

    fn add_number(&mut self, name: &str, number: i64) {
        self.add(name, |text| text.push_str(itoa::Buffer::new().format(number)));
    }

    fn close(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn completed(claims: &str) -> Result<String, IssueError> {
        let longest_lifetime = Span::from_secs(60);
        let terms = Terms { now: UnixSeconds(NOW), longest_lifetime, jti: [0xff; 16] };
        let completed = complete(Claims::parse(claims.as_bytes()).unwrap(), &terms)?;
        let claims = Claims::parse(completed.json.as_bytes()).unwrap();
        assert_eq!(claims.jti().as_deref(), Some(completed.jti.as_str()));
        assert_eq!(
            claims.expires().map(super::super::time::NumericDate::ceil),
            Some(completed.expires)
        );
        Ok(completed.json)
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_there_is_kept() {
        let jti = "_____________________w";
        let added = format!(r#""exp":1800000060,"iat":1800000000,"jti":"{jti}""#);
        assert_eq!(completed("{}").unwrap(), format!("{{{added}}}"));
        assert_eq!(completed(r#" {"sub":"a"} "#).unwrap(), format!(r#" {{"sub":"a",{added}}}"#));
        let whole = r#"{"exp":1800000060,"iat":1799999999,"jti":"1"}"#;
        assert_eq!(completed(whole).unwrap(), whole);
    }

    #[test]
    fn nothing_is_promised_that_the_ring_does_not_promise() {
        let error = |claims| completed(claims).unwrap_err();
        let long = IssueError::TooLong { wanted_secs: 61, longest_secs: 60 };
        assert_eq!(error(r#"{"exp":1800000061}"#), long);
        assert_eq!(error(r#"{"exp":1800000060.001}"#), long);
        assert_eq!(error(r#"{"exp":1800000000}"#), IssueError::Over);
        assert_eq!(error(r#"{"iat":1800000001}"#), IssueError::Future);
        assert_eq!(error(r#"{"iat":1800000000.5}"#), IssueError::Future);
    }
}
