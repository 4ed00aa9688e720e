//! Finding the one token of a request. Two tokens in one request are no token: whoever reads the
//! request after us may take the other one.

use super::asked::{Headers, text};
use super::settings::Source;

/// Why there is no one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    /// There is none.
    Missing,
    /// There are several, or what is there cannot be read.
    Ambiguous,
}

/// The token of a request.
pub(super) fn token<'a>(
    sources: &[Source],
    headers: Headers<'a>,
    query: Option<&'a str>,
) -> Result<&'a str, NoToken> {
    let mut found = Found(None);
    for source in sources {
        match source {
            Source::Bearer => bearer(headers, &mut found)?,
            Source::Header(name) => {
                for value in headers.all(name.as_str()) {
                    found.take(text(value).ok_or(NoToken::Ambiguous)?.trim())?;
                }
            }
            Source::Cookie(name) => cookies(headers, name, &mut found)?,
            Source::Query(name) => {
                for pair in query.unwrap_or("").split('&') {
                    if let Some((_, value)) = pair.split_once('=').filter(|(key, _)| key == name) {
                        found.take(value)?;
                    }
                }
            }
        }
    }
    found.0.ok_or(NoToken::Missing)
}

struct Found<'a>(Option<&'a str>);

impl<'a> Found<'a> {
    fn take(&mut self, token: &'a str) -> Result<(), NoToken> {
        if token.is_empty() || self.0.is_some() {
            return Err(NoToken::Ambiguous);
        }
        self.0 = Some(token);
        Ok(())
    }
}

/// Other schemes are somebody else's business, but not beside a bearer token.
fn bearer<'a>(headers: Headers<'a>, found: &mut Found<'a>) -> Result<(), NoToken> {
    let mut others = false;
    for value in headers.all("authorization") {
        match of_bearer(text(value).ok_or(NoToken::Ambiguous)?.trim_ascii()) {
            Some(token) => found.take(token)?,
            None => others = true,
        }
    }
    if others && found.0.is_some() { Err(NoToken::Ambiguous) } else { Ok(()) }
}

/// What stands behind the scheme, when that is `Bearer`.
fn of_bearer(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_at_checked("bearer".len())?;
    let is_alone = rest.is_empty() || rest.starts_with(' ');
    (is_alone && scheme.eq_ignore_ascii_case("bearer")).then(|| rest.trim_ascii_start())
}

fn cookies<'a>(headers: Headers<'a>, name: &str, found: &mut Found<'a>) -> Result<(), NoToken> {
    for value in headers.all("cookie") {
        // Cookies of others may be anything; that they are not ASCII hides none of ours.
        let text = match text(value) {
            Some(text) => text,
            None if find(value, name.as_bytes()) => return Err(NoToken::Ambiguous),
            None => continue,
        };
        for pair in text.split(';') {
            if let Some((_, token)) = pair.split_once('=').filter(|(key, _)| key.trim() == name) {
                found.take(token.trim())?;
            }
        }
    }
    Ok(())
}

fn find(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len().max(1)).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn all() -> Vec<Source> {
        vec![
            Source::Bearer,
            Source::Header(HeaderName::from_static("x-token")),
            Source::Cookie("session".into()),
            Source::Query("access_token".into()),
        ]
    }

    fn found(all_headers: &[(&'static str, &str)], query: Option<&str>) -> Result<String, NoToken> {
        token(&all(), Headers::Map(&headers(all_headers)), query).map(ToOwned::to_owned)
    }

    #[test]
    fn a_token_is_found_in_each_place() {
        assert_eq!(found(&[("authorization", "Bearer a.b.c")], None).unwrap(), "a.b.c");
        assert_eq!(found(&[("authorization", "bEaReR  a.b.c")], None).unwrap(), "a.b.c");
        assert_eq!(found(&[("x-token", "a.b.c")], None).unwrap(), "a.b.c");
        assert_eq!(found(&[("cookie", "x=y; session=a.b.c;z")], None).unwrap(), "a.b.c");
        assert_eq!(found(&[], Some("x=y&access_token=a.b.c")).unwrap(), "a.b.c");
        assert_eq!(found(&[("authorization", "Basic eA==")], Some("x")), Err(NoToken::Missing));
        assert_eq!(found(&[("cookie", "xsession=a")], None), Err(NoToken::Missing));
    }

    #[test]
    fn a_place_that_is_not_configured_is_not_looked_at() {
        let headers = headers(&[("cookie", "session=a"), ("authorization", "Bearer b")]);
        let only = [Source::Query("t".into())];
        assert_eq!(
            token(&only, Headers::Map(&headers), Some("access_token=c")),
            Err(NoToken::Missing)
        );
        assert_eq!(token(&[Source::Bearer], Headers::Map(&headers), None), Ok("b"));
    }

    #[test]
    fn two_tokens_are_none() {
        type Case<'a> = (&'a [(&'static str, &'a str)], Option<&'a str>);
        let cases: [Case<'_>; 9] = [
            (&[("authorization", "Bearer a"), ("authorization", "Bearer a")], None),
            (&[("authorization", "Bearer a"), ("authorization", "Basic b")], None),
            (&[("authorization", "Bearer a"), ("cookie", "session=a")], None),
            (&[("authorization", "Bearer a")], Some("access_token=a")),
            (&[("cookie", "session=a; session=b")], None),
            (&[("cookie", "session=a"), ("cookie", "session=b")], None),
            (&[("x-token", "a"), ("x-token", "b")], None),
            (&[], Some("access_token=a&access_token=a")),
            (&[("authorization", "Bearer ")], None),
        ];
        for (headers, query) in cases {
            assert_eq!(found(headers, query), Err(NoToken::Ambiguous), "{headers:?} {query:?}");
        }
    }
}
