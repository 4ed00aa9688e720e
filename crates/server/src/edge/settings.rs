//! The rules of the edge as data: which requests need which token. Reading them from a file is left
//! to the command line.

use hyper::header::HeaderName;
use keywheel_core::id::RingName;
use keywheel_core::time::Span;

/// Which proxy asks. They differ in where they say which request they ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// nginx `auth_request`: `X-Original-URI` and `X-Original-Method`, as its configuration sets
    /// them.
    #[default]
    Nginx,
    /// Envoy `ext_authz` over HTTP: the path after the `path_prefix` `/authz`, and the method.
    Envoy,
    /// Traefik `forwardAuth`: `X-Forwarded-Uri` and `X-Forwarded-Method`.
    Traefik,
    /// Caddy `forward_auth`: as Traefik.
    Caddy,
}

/// Where a token may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `Authorization: Bearer` (RFC 6750 section 2.1).
    Bearer,
    /// A header that holds the token and nothing else.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
    /// A parameter of the original query (RFC 6750 section 2.3), which ends up in logs.
    Query(String),
}

/// What a request to one part of a site needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The paths that it covers: this one and those below it.
    pub prefix: String,
    /// The methods that it covers; all when empty.
    pub methods: Vec<String>,
    /// The ring whose keys sign the tokens.
    pub ring: RingName,
    /// Who may have made the token; anybody who holds a key when empty.
    pub issuers: Vec<String>,
    /// For whom it must be: one of these, or anybody when empty.
    pub audiences: Vec<String>,
    /// Claims that must be there, besides `exp`.
    pub require: Vec<String>,
    /// Scopes that it must all have.
    pub scopes_all: Vec<String>,
    /// Scopes of which it must have one, unless this is empty.
    pub scopes_any: Vec<String>,
    /// Where it is looked for. A request that shows two tokens is refused.
    pub sources: Vec<Source>,
    /// Headers of the answer, and the claims that stand in them.
    pub claims: Vec<(HeaderName, String)>,
    /// How far the clocks of signers and of this machine may be apart.
    pub leeway: Span,
    /// The `typ` that the token must have (RFC 8725 section 3.11); any when absent.
    pub typ: Option<String>,
}

impl Route {
    /// A route that takes every good token of a ring from the Authorization header.
    pub fn new(prefix: impl Into<String>, ring: RingName) -> Self {
        Self {
            prefix: prefix.into(),
            methods: Vec::new(),
            ring,
            issuers: Vec::new(),
            audiences: Vec::new(),
            require: Vec::new(),
            scopes_all: Vec::new(),
            scopes_any: Vec::new(),
            sources: vec![Source::Bearer],
            claims: Vec::new(),
            leeway: Span::ZERO,
            typ: None,
        }
    }

    pub(super) fn takes(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|one| one == method)
    }
}

/// The rules of one edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Which proxy asks.
    pub profile: Profile,
    /// What its requests need.
    pub routes: Vec<Route>,
}

impl EdgeSettings {
    /// The rings of the routes, each once.
    pub fn rings(&self) -> Vec<RingName> {
        let mut rings: Vec<_> = self.routes.iter().map(|route| route.ring.clone()).collect();
        rings.sort();
        rings.dedup();
        rings
    }

    /// Whether it matters where a request goes.
    pub(super) fn needs_place(&self) -> bool {
        let sole =
            matches!(self.routes.as_slice(), [one] if one.prefix == "/" && one.methods.is_empty());
        let by_query = |one: &Source| matches!(one, Source::Query(_));
        !sole || self.routes.iter().any(|route| route.sources.iter().any(by_query))
    }
}
