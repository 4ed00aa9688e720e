//! Where a request wants to go, as the proxy in front tells it, and which route that belongs to.
//!
//! A proxy and this server may read one path differently: `/public/%2e%2e/admin` is below
//! `/public/` for one of them and `/admin` for the other. So a path that can be read in several
//! ways is routed in each of them, and passes only when every reading leads to the same route.

use std::borrow::Cow;

use super::asked::{Asked, Headers, text};
use super::settings::{Profile, Route};

/// The longest original URI that is looked at.
const URI_BYTES_MAX: usize = 8 * 1024;

/// What the proxy said about the request that it asks for.
pub(super) struct Place<'a> {
    pub(super) method: &'a str,
    /// The path as it came, without the query.
    pub(super) path: &'a str,
    /// The query, without its question mark.
    pub(super) query: Option<&'a str>,
}

/// Why no route was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The proxy did not say where the request goes, or said it more than once.
    Untold,
    /// The path leads to different routes, depending on who reads it.
    Ambiguous,
    /// No route covers it.
    NoRoute,
}

impl Lost {
    /// What to write into the log.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Untold => "the proxy does not say, once, where the request goes",
            Self::Ambiguous => "the path leads to different routes, depending on who reads it",
            Self::NoRoute => "no route covers the path and its method",
        }
    }
}

impl<'a> Place<'a> {
    /// Reads what the profile's proxy says.
    pub(super) fn read(profile: Profile, asked: &Asked<'a>) -> Result<Self, Lost> {
        let (uri, method) = match profile {
            Profile::Envoy => {
                let rest = asked.target.strip_prefix(super::PATH).unwrap_or(asked.target);
                (rest, asked.method)
            }
            Profile::Nginx => of(asked.headers, "x-original-uri", "x-original-method")?,
            Profile::Traefik | Profile::Caddy => {
                of(asked.headers, "x-forwarded-uri", "x-forwarded-method")?
            }
        };
        if uri.len() > URI_BYTES_MAX {
            return Err(Lost::Untold);
        }
        let uri = uri.split_once('#').map_or(uri, |(before, _)| before);
        let (path, query) = match uri.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (uri, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        if path.starts_with('/') { Ok(Self { method, path, query }) } else { Err(Lost::Untold) }
    }
}

fn of<'a>(headers: Headers<'a>, uri: &str, method: &str) -> Result<(&'a str, &'a str), Lost> {
    let method = only(headers, method)?.unwrap_or("");
    Ok((only(headers, uri)?.ok_or(Lost::Untold)?, method))
}

fn only<'a>(headers: Headers<'a>, name: &str) -> Result<Option<&'a str>, Lost> {
    let mut values = headers.all(name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Lost::Untold);
    }
    text(value).map(Some).ok_or(Lost::Untold)
}

/// The index of the route that a place belongs to: the longest prefix wins, and of its routes the
/// first one that takes the method.
pub(super) fn route(routes: &[Route], place: &Place<'_>) -> Result<usize, Lost> {
    let found = covering(routes, place.path, place.method);
    if has_one_reading(place.path) {
        return found.ok_or(Lost::NoRoute);
    }
    for reading in [resolved(place.path, false), resolved(place.path, true)] {
        let reading = reading.ok_or(Lost::Ambiguous)?;
        if covering(routes, &reading, place.method) != found {
            return Err(Lost::Ambiguous);
        }
    }
    found.ok_or(Lost::NoRoute)
}

fn covering(routes: &[Route], path: &str, method: &str) -> Option<usize> {
    let longest =
        routes.iter().map(|one| one.prefix.as_str()).filter(|prefix| covers(prefix, path));
    let longest = longest.max_by_key(|prefix| prefix.len())?;
    routes.iter().position(|route| route.prefix == longest && route.takes(method))
}

/// A prefix covers itself and what is below it: `/api` covers `/api/x` and not `/apix`.
fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

fn has_one_reading(path: &str) -> bool {
    let bytes = path.as_bytes();
    !bytes.iter().any(|byte| matches!(byte, b'%' | b';' | b'\\'))
        && !bytes.windows(2).any(|pair| pair == b"//" || pair == b"/.")
}

/// The path as a reader takes it who decodes it once, merges slashes and resolves dots; a `lax` one
/// also drops parameters of segments and takes a backslash for a slash. Nothing when that leaves
/// the root or cannot be read.
fn resolved(path: &str, lax: bool) -> Option<String> {
    let decoded = decoded(path)?;
    let decoded: Cow<'_, str> =
        if lax { decoded.replace('\\', "/").into() } else { decoded.as_str().into() };
    let mut segments: Vec<&str> = Vec::new();
    let mut is_folder = true;
    for segment in decoded.split('/') {
        let segment = if lax { segment.split(';').next().unwrap_or("") } else { segment };
        is_folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            name => segments.push(name),
        }
    }
    let mut whole = String::with_capacity(decoded.len());
    for segment in &segments {
        whole.push('/');
        whole.push_str(segment);
    }
    if is_folder {
        whole.push('/');
    }
    Some(whole)
}

fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(high.saturating_mul(16).saturating_add(low)).ok()?
        } else {
            byte
        };
        if byte.is_ascii_control() {
            return None;
        }
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use hyper::http::request::Parts;

    use super::*;

    fn routes() -> Vec<Route> {
        let route = |prefix: &str, methods: &[&str]| Route {
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            ..Route::new(prefix, "web".parse().unwrap())
        };
        vec![
            route("/", &[]),
            route("/api", &["GET"]),
            route("/api", &["POST", "PUT"]),
            route("/api/admin/", &[]),
        ]
    }

    fn at(path: &str, method: &str) -> Result<usize, Lost> {
        route(&routes(), &Place { method, path, query: None })
    }

    #[test]
    fn the_longest_prefix_wins_and_no_shorter_one_takes_its_methods() {
        assert_eq!(at("/", "GET"), Ok(0));
        assert_eq!(at("/apix", "GET"), Ok(0));
        assert_eq!(at("/api", "GET"), Ok(1));
        assert_eq!(at("/api/x/y", "PUT"), Ok(2));
        assert_eq!(at("/api/x", "DELETE"), Err(Lost::NoRoute));
        assert_eq!(at("/api/admin/x", "DELETE"), Ok(3));
        assert_eq!(at("/api/admin", "GET"), Ok(1));
    }

    #[test]
    fn a_path_that_readers_read_differently_passes_nowhere() {
        for path in [
            "/x/../api/admin/y",
            "/x/%2e%2e/api/admin/y",
            "/api/%61dmin/y",
            "/api//admin/y",
            "//api/x",
            "/api%2fadmin/y",
            "/x/..;/api/y",
            "/x\\..\\api\\y",
            "/../api",
            "/x%00",
            "/x%0d%0ay",
            "/x%zz",
            "/x%2",
            "/x%ff",
        ] {
            assert_eq!(at(path, "GET"), Err(Lost::Ambiguous), "{path}");
        }
        // These are written in several ways too, and lead to one place.
        assert_eq!(at("/api/a%2Fb", "GET"), Ok(1));
        assert_eq!(at("/api/a;v=1/b", "GET"), Ok(1));
        assert_eq!(at("/api/admin/./x", "GET"), Ok(3));
        assert_eq!(at("/caf%C3%A9", "GET"), Ok(0));
    }

    #[test]
    fn each_proxy_says_it_in_its_own_way() {
        let request = |uri: &str, headers: &[(&str, &str)]| {
            let mut request = hyper::Request::builder().method("PUT").uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(()).unwrap().into_parts().0
        };
        let told = |profile, parts: &Parts| {
            Place::read(profile, &Asked::of(parts))
                .map(|place| format!("{} {} {:?}", place.method, place.path, place.query))
        };
        let nginx =
            request("/authz", &[("x-original-uri", "/a?b=c#d"), ("x-original-method", "GET")]);
        assert_eq!(told(Profile::Nginx, &nginx).unwrap(), "GET /a Some(\"b=c\")");
        let caddy = request("/authz", &[("x-forwarded-uri", "/a"), ("x-forwarded-method", "GET")]);
        assert_eq!(told(Profile::Caddy, &caddy).unwrap(), "GET /a None");
        assert_eq!(told(Profile::Traefik, &caddy).unwrap(), "GET /a None");
        let envoy = request("/authz/a/b?c=d", &[("x-original-uri", "/elsewhere")]);
        assert_eq!(told(Profile::Envoy, &envoy).unwrap(), "PUT /a/b Some(\"c=d\")");
        let twice = request("/authz", &[("x-original-uri", "/a"), ("x-original-uri", "/b")]);
        for parts in [&twice, &caddy, &request("/authz", &[("x-original-uri", "a")])] {
            assert_eq!(told(Profile::Nginx, parts), Err(Lost::Untold));
        }
    }
}
