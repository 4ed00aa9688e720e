//! The rules of the edge as people write them, in `keywheel.toml` and in `agent.toml` alike, and
//! what they come to. What a rule does is in `keywheel_server::edge`.

use hyper_names::{claim_header, header_name};
use keywheel_core::time::Span;
use keywheel_server::SocketMode;
use keywheel_server::edge::{EdgeSettings, Profile, Route, Source};

use super::raw::RawRoute;

/// More routes than this are no rules any more.
const ROUTES_MAX: usize = 256;
/// More values of one field than this are a mistake.
const VALUES_MAX: usize = 64;
/// A larger leeway accepts what has long expired.
const LEEWAY_MAX: Span = Span::from_secs(300);
const PROFILES: &str = "use nginx, envoy, traefik or caddy";

/// Notes that a field is wrong: its path, the cause, the remedy.
pub(super) type Fault<'a> = dyn FnMut(&[&str], String, &str) + 'a;

/// Settles the rules.
pub(super) fn settle(
    profile: Option<&str>,
    raw: Vec<RawRoute>,
    fault: &mut Fault<'_>,
) -> EdgeSettings {
    let profile = match profile.unwrap_or("nginx") {
        "nginx" => Profile::Nginx,
        "envoy" => Profile::Envoy,
        "traefik" => Profile::Traefik,
        "caddy" => Profile::Caddy,
        other => {
            fault(&["profile"], format!("`{other}` is no proxy that is known"), PROFILES);
            Profile::Nginx
        }
    };
    if raw.len() > ROUTES_MAX {
        let cause = format!("{} routes are more than {ROUTES_MAX}", raw.len());
        fault(&["route"], cause, "let one prefix cover several");
    }
    let mut routes: Vec<Route> = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let number = index.to_string();
        let mut here = |field: &str, cause: String, remedy: &str| {
            fault(&["route", &number, field], cause, remedy);
        };
        let Some(route) = route(raw, &mut here) else { continue };
        let meets = |other: &&Route| {
            other.prefix == route.prefix
                && (other.methods.is_empty()
                    || route.methods.is_empty()
                    || other.methods.iter().any(|method| route.methods.contains(method)))
        };
        if routes.iter().any(|other| meets(&other)) {
            let cause = format!("`{}` is covered by an earlier route already", route.prefix);
            here("prefix", cause, "keep one of the two, or give them different methods");
        }
        routes.push(route);
    }
    EdgeSettings { profile, routes }
}

fn route(raw: RawRoute, fault: &mut dyn FnMut(&str, String, &str)) -> Option<Route> {
    let is_plain = raw.prefix.starts_with('/')
        && raw.prefix.bytes().all(|b| b.is_ascii_graphic() && !b"%?#;\\".contains(&b))
        && !raw.prefix.contains("//")
        && !raw.prefix.split('/').any(|segment| matches!(segment, "." | ".."));
    if !is_plain {
        fault(
            "prefix",
            format!("`{}` is not the beginning of a path", raw.prefix),
            "write it plainly and from /, such as /api/",
        );
    }
    let ring = match raw.ring.parse() {
        Ok(ring) => Some(ring),
        Err(error) => {
            fault("ring", format!("{error}"), "name a ring of kind signing");
            None
        }
    };
    let lists = [
        ("methods", &raw.methods),
        ("issuer", &raw.issuer),
        ("audience", &raw.audience),
        ("require", &raw.require),
        ("scopes", &raw.scopes),
        ("any_scope", &raw.any_scope),
    ];
    for (name, values) in lists {
        let is_odd = |value: &String| {
            value.is_empty()
                || value.chars().any(char::is_control)
                || (name.ends_with("scope") || name == "scopes") && !is_scope(value)
        };
        if values.len() > VALUES_MAX || values.iter().any(is_odd) {
            let cause = format!("has an empty or unprintable value, or more than {VALUES_MAX}");
            fault(name, cause, "name each value as tokens have it; a scope has no spaces");
        }
    }
    let is_lower = |method: &String| method.bytes().any(|byte| byte.is_ascii_lowercase());
    if raw.methods.iter().any(is_lower) {
        fault("methods", "has a method in lower case".into(), "write GET, as requests have it");
    }
    let leeway = leeway(raw.leeway.as_deref(), fault);
    let sources = sources(raw.token, fault);
    let mut claims = Vec::new();
    for (header, claim) in raw.claims {
        match claim_header(&header) {
            Some(name) => claims.push((name, claim)),
            None => fault(
                "claims",
                format!("`{header}` cannot be a header of the answer"),
                "name a header that begins with X-, and none that the answer has by itself",
            ),
        }
    }
    Some(Route {
        methods: raw.methods,
        issuers: raw.issuer,
        audiences: raw.audience,
        require: raw.require,
        scopes_all: raw.scopes,
        scopes_any: raw.any_scope,
        sources,
        claims,
        leeway,
        typ: raw.typ,
        ..Route::new(raw.prefix, ring?)
    })
}

/// RFC 6749 section 3.3: visible ASCII without the quote and the backslash.
fn is_scope(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

fn leeway(raw: Option<&str>, fault: &mut dyn FnMut(&str, String, &str)) -> Span {
    match raw.map_or(Ok(Span::ZERO), str::parse::<Span>) {
        Ok(span) if span <= LEEWAY_MAX => span,
        Ok(span) => {
            let cause = format!("{span} accepts what expired long ago");
            fault("leeway", cause, "0s is the default, 300s the most");
            Span::ZERO
        }
        Err(error) => {
            fault("leeway", error.to_string(), "0s is the default");
            Span::ZERO
        }
    }
}

fn sources(raw: Option<Vec<String>>, fault: &mut dyn FnMut(&str, String, &str)) -> Vec<Source> {
    const REMEDY: &str = "use bearer, header:NAME, cookie:NAME or query:NAME";
    let Some(raw) = raw else { return vec![Source::Bearer] };
    if raw.is_empty() || raw.len() > 8 {
        fault("token", "is empty, or names too many places".into(), REMEDY);
    }
    let mut sources = Vec::new();
    for text in raw {
        let (kind, name) = text.split_once(':').unwrap_or((&text, ""));
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let source = match kind {
            "bearer" if name.is_empty() => Some(Source::Bearer),
            "header" => header_name(name).map(Source::Header),
            "cookie" if is_name => Some(Source::Cookie(name.to_owned())),
            "query" if is_name => Some(Source::Query(name.to_owned())),
            _ => None,
        };
        match source {
            Some(source) => sources.push(source),
            None => fault("token", format!("`{text}` is no place of a token"), REMEDY),
        }
    }
    sources
}

/// Reads the mode of a socket, such as `"0660"`.
pub(super) fn socket_mode(raw: Option<&str>, fault: &mut Fault<'_>) -> SocketMode {
    let Some(text) = raw else { return SocketMode::default() };
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 && text.len() >= 3 => SocketMode(mode),
        _ => {
            let cause = format!("`{text}` is not the mode of a file");
            fault(&["socket_mode"], cause, "write it in octal digits; 0660 is the default");
            SocketMode::default()
        }
    }
}

/// Names of headers.
mod hyper_names {
    use keywheel_server::edge::HeaderName;

    /// What the answer says by itself, or what frames it.
    const TAKEN: [&str; 3] = ["x-auth-kid", "x-auth-subject", "x-key-generation"];

    pub(super) fn header_name(text: &str) -> Option<HeaderName> {
        HeaderName::from_bytes(text.as_bytes()).ok()
    }

    /// A header for claims: one that no proxy acts upon by itself.
    pub(super) fn claim_header(text: &str) -> Option<HeaderName> {
        let name = header_name(text)?;
        let is_free = name.as_str().starts_with("x-")
            && !name.as_str().starts_with("x-accel-")
            && !TAKEN.contains(&name.as_str());
        is_free.then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct File {
        route: Vec<RawRoute>,
    }

    fn faults(text: &str) -> Vec<String> {
        let file: File = toml::from_str(text).unwrap();
        let mut seen = Vec::new();
        let mut fault = |path: &[&str], cause: String, _: &str| {
            seen.push(format!("{}: {cause}", path.join(".")));
        };
        settle(None, file.route, &mut fault);
        seen
    }

    #[test]
    fn a_whole_route_settles() {
        let text = r#"
            [[route]]
            prefix = "/api/"
            methods = ["GET"]
            ring = "web"
            issuer = ["us"]
            audience = ["api"]
            require = ["sub"]
            scopes = ["read"]
            any_scope = ["a", "b"]
            token = ["bearer", "header:X-T", "cookie:session", "query:t"]
            claims = { X-Mail = "mail" }
            leeway = "5s"
            typ = "at+jwt"
            [[route]]
            prefix = "/api/"
            methods = ["POST"]
            ring = "web"
        "#;
        assert_eq!(faults(text), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, named) in [
            ("prefix = 'api'", "route.0.prefix"),
            ("prefix = '/a/../b'", "route.0.prefix"),
            ("prefix = '/%61'", "route.0.prefix"),
            ("prefix = '/'\nscopes = ['a b']", "route.0.scopes"),
            ("prefix = '/'\nissuer = ['']", "route.0.issuer"),
            ("prefix = '/'\nmethods = ['get']", "route.0.methods"),
            ("prefix = '/'\nleeway = '1h'", "route.0.leeway"),
            ("prefix = '/'\ntoken = ['body']", "route.0.token"),
            ("prefix = '/'\ntoken = ['cookie:a b']", "route.0.token"),
            ("prefix = '/'\ntoken = []", "route.0.token"),
            ("prefix = '/'\nclaims = { Location = 'x' }", "route.0.claims"),
            ("prefix = '/'\nclaims = { X-Accel-Redirect = 'x' }", "route.0.claims"),
            ("prefix = '/'\nclaims = { X-Auth-Subject = 'x' }", "route.0.claims"),
        ] {
            let said = faults(&format!("[[route]]\nring = 'web'\n{fields}"));
            assert!(said.len() == 1 && said[0].starts_with(named), "{fields}: {said:?}");
        }
        let twice =
            "[[route]]\nring='a'\nprefix='/'\n[[route]]\nring='b'\nprefix='/'\nmethods=['GET']";
        assert_eq!(faults(twice), ["route.1.prefix: `/` is covered by an earlier route already"]);
    }
}
