//! Completes claims for whoever is about to sign them: a name that nobody can guess, the time of
//! issue, and an end within the lifetime that the ring promises.

use keywheel_core::time::Span;

use super::claims::Claims;
use super::error::TokenError;
use super::time::UnixSeconds;
use crate::encode::Base64;

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
    pub json: Vec<u8>,
    /// The name of the token.
    pub jti: String,
    /// When it ends, in seconds since the Unix epoch; a part of a second counts as a whole one.
    pub expires: i64,
}

/// Adds what is missing: `jti`, `iat`, `exp`. What stands there is kept if it can be.
///
/// # Errors
/// When the claims live longer than the ring promises, have ended, or are of the future.
pub fn complete(claims: &Claims, terms: &Terms) -> Result<Completed, IssueError> {
    let now = terms.now.0;
    let longest_secs = i64::try_from(terms.longest_lifetime.as_millis() / 1000).unwrap_or(i64::MAX);
    let mut text = claims.json().trim_ascii_end().to_owned();
    // The brace that closes the object; the claims were scanned.
    text.pop();
    let mut is_empty = claims.iter().next().is_none();
    let mut add = |member: String| {
        if !std::mem::take(&mut is_empty) {
            text.push(',');
        }
        text.push_str(&member);
    };
    let expires = match claims.expires() {
        Some(expires) if expires.floor() <= now => return Err(IssueError::Over),
        Some(expires) if expires.ceil().saturating_sub(now) > longest_secs => {
            let wanted_secs = expires.ceil().saturating_sub(now);
            return Err(IssueError::TooLong { wanted_secs, longest_secs });
        }
        Some(expires) => expires.ceil(),
        None if longest_secs == 0 => {
            return Err(IssueError::TooLong { wanted_secs: 1, longest_secs });
        }
        None => {
            let expires = now.saturating_add(longest_secs);
            add(format!(r#""exp":{expires}"#));
            expires
        }
    };
    match claims.issued_at() {
        Some(issued) if issued.ceil() > now => return Err(IssueError::Future),
        Some(_) => {}
        None => add(format!(r#""iat":{now}"#)),
    }
    let jti = if let Some(jti) = claims.jti() {
        jti.into_owned()
    } else {
        let jti = Base64::Url.encode(&terms.jti).to_string();
        add(format!(r#""jti":"{jti}""#));
        jti
    };
    text.push('}');
    Ok(Completed { json: text.into_bytes(), jti, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn completed(claims: &str) -> Result<String, IssueError> {
        let longest_lifetime = Span::from_secs(60);
        let terms = Terms { now: UnixSeconds(NOW), longest_lifetime, jti: [0xff; 16] };
        let completed = complete(&Claims::parse(claims.as_bytes()).unwrap(), &terms)?;
        let claims = Claims::parse(&completed.json).unwrap();
        assert_eq!(claims.jti().as_deref(), Some(completed.jti.as_str()));
        assert_eq!(
            claims.expires().map(super::super::time::NumericDate::ceil),
            Some(completed.expires)
        );
        Ok(String::from_utf8(completed.json).unwrap())
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
