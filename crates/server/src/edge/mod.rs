//! The edge: one answer for each request that a proxy asks about. nginx (`auth_request`), Envoy
//! (`ext_authz`), Traefik and Caddy send any method to any path below `/authz`; 200 lets the
//! request pass, 401 says that there is no good token, 403 that a good one is not enough or that no
//! route covers the path. There is no other answer, because nginx makes an error out of any other,
//! and Envoy a refusal.
//!
//! Each answer is made from memory, on the thread that read the request: no store, no lock that is
//! held while something slow happens, no task. Where the memory comes from is an [`Authority`]:
//! [`Shelf`] in a server, a client in an agent. Reading rules from a file is left to the command
//! line.

mod asked;
mod authority;
mod cache;
mod header;
mod listener;
mod place;
mod said;
mod settings;
mod shelf;
mod source;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use keywheel_engine::ports::Clock;
use keywheel_jose::token::{Claims, Expected, TokenError, UnixSeconds, danger_kid, verify};

/// The name of a header, as rules have it.
pub use hyper::header::HeaderName;

pub use authority::{Accepted, Authority, Stale, Tally, Version};
pub use listener::EdgeListener;
pub use settings::{EdgeSettings, Profile, Route, Source};
pub use shelf::Shelf;
pub(crate) use shelf::{Document, Jwks};

use asked::Asked;
use authority::Ready;
use cache::Cache;
use place::{Lost, Place};
use said::{Said, Saying, X_AUTH_SUBJECT};
use source::NoToken;

/// Where the edge answers: this path, and everything below it.
pub const PATH: &str = "/authz";

/// How many verified tokens are remembered.
const CACHED_TOKENS: usize = 16_384;

/// The longest token that is looked at; proxies bound their headers to less.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// A mistake in a configuration is told at most this often.
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);

/// Judges requests by rules and an authority.
pub struct Edge {
    settings: EdgeSettings,
    rules: Vec<Rule>,
    needs_place: bool,
    authority: Arc<dyn Authority>,
    clock: Arc<dyn Clock>,
    cache: Cache<Passed>,
    /// When somebody was told of a mistake last, in milliseconds of the monotonic clock, plus one.
    complained: AtomicU64,
}

/// What a route expects, made ready.
struct Rule {
    expected: Expected,
    /// The challenge to a token without the scopes.
    insufficient: String,
}

/// A token whose signature was checked.
struct Passed {
    kid: String,
    claims: Claims,
    /// What an answer says of its claims.
    said: Said,
}

/// Why a request does not pass.
enum Refused {
    /// No token, or none that can be told from others.
    NoToken(NoToken),
    /// A token that does not hold.
    Token(TokenError),
    /// A good token without the scopes of the route.
    Scope(usize),
    /// Nothing is known of where the request goes.
    Lost(Lost),
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl Edge {
    /// An edge with these rules.
    pub fn new(
        settings: EdgeSettings,
        authority: Arc<dyn Authority>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let rules = settings.routes.iter().map(Rule::new).collect();
        let needs_place = settings.needs_place();
        Self {
            settings,
            rules,
            needs_place,
            authority,
            clock,
            cache: Cache::new(CACHED_TOKENS),
            complained: AtomicU64::new(0),
        }
    }

    /// Whether a path is the edge's.
    pub fn takes(path: &str) -> bool {
        path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether there are rules at all.
    pub fn has_routes(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Answers a request by its head alone.
    pub fn answer(&self, parts: &Parts) -> Response<()> {
        let mut response = Response::new(());
        self.decide(&Asked::of(parts), &mut response);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        response
    }

    /// Decides, and says the status and the headers that are the answer's own. Whoever takes them
    /// says besides that nothing may keep the answer, and that there is no body.
    fn decide(&self, asked: &Asked<'_>, answer: &mut impl Saying) {
        if let Err(refused) = self.judge(asked, answer) {
            let (status, challenge) = self.refusal(&refused);
            answer.begin(status);
            if let Some(challenge) = challenge {
                answer.say(&WWW_AUTHENTICATE, &challenge);
            }
        }
    }

    fn judge(&self, asked: &Asked<'_>, answer: &mut impl Saying) -> Result<(), Refused> {
        let (index, query) = if self.needs_place {
            let place = Place::read(self.settings.profile, asked).map_err(Refused::Lost)?;
            let index = place::route(&self.settings.routes, &place).map_err(Refused::Lost)?;
            (index, place.query)
        } else {
            (0, None)
        };
        let known = self.settings.routes.get(index).zip(self.rules.get(index));
        let (route, rule) = known.ok_or(Refused::Lost(Lost::NoRoute))?;
        let token =
            source::token(&route.sources, asked.headers, query).map_err(Refused::NoToken)?;
        let Some(accepted) = self.authority.accepted(&route.ring) else {
            self.complain(
                || tracing::error!(ring = %route.ring, "the edge has no keys of this ring"),
            );
            return Err(TokenError::UnknownKid { kid: Box::default() }.into());
        };
        let (token, generation, now) = (token.as_bytes(), accepted.generation, self.now());
        let spot = self.cache.spot(token);
        if let Some(passed) = self.cache.find(spot, index, generation, token) {
            rule.expected.check(&passed.claims, now)?;
            let ready = accepted.version(&passed.kid).ok_or(TokenError::Signature)?;
            self.let_pass(route, ready, &passed.claims, answer)?;
            answer.repeat(&passed.said);
            ready.version.tally.processed();
            return Ok(());
        }
        let verified = verify(token, &*accepted, &rule.expected, now).inspect_err(|error| {
            self.note(route, &accepted, token, error);
        })?;
        let ready = accepted.version_of(verified.key).ok_or(TokenError::Signature)?;
        if !has_scopes(route, &verified.claims) {
            return Err(Refused::Scope(index));
        }
        self.let_pass(route, ready, &verified.claims, answer)?;
        tell(route, &verified.claims, answer)?;
        let version = &ready.version;
        version.tally.processed();
        if version.is_asymmetric || self.cache.is_again(spot) {
            let mut said = Said::default();
            tell(route, &verified.claims, &mut said)?;
            let passed = Passed { kid: version.kid.0.clone(), claims: verified.claims, said };
            self.cache.keep(spot, index, generation, token, Arc::new(passed));
        }
        Ok(())
    }

    /// Begins to let a good token pass, unless it was revoked.
    fn let_pass(
        &self,
        route: &Route,
        ready: &Ready,
        claims: &Claims,
        answer: &mut impl Saying,
    ) -> Result<(), Refused> {
        self.check_revoked(route, &ready.version, claims)?;
        answer.begin(StatusCode::OK);
        answer.repeat(ready.said.as_ref().ok_or_else(|| too_long(claims))?);
        Ok(())
    }

    /// Notes what a refusal says about keys: a signature that does not hold under a known kid, or a
    /// kid that nobody knows.
    fn note(&self, route: &Route, accepted: &Accepted, token: &[u8], error: &TokenError) {
        match error {
            TokenError::UnknownKid { kid } => self.authority.unknown_kid(&route.ring, kid),
            TokenError::Signature | TokenError::Algorithm => {
                let kid = danger_kid(token);
                let ready = kid.and_then(|kid| accepted.version(&kid));
                if let Some(ready) = ready {
                    ready.version.tally.rejected();
                }
            }
            _ => {}
        }
    }

    fn check_revoked(
        &self,
        route: &Route,
        version: &Version,
        claims: &Claims,
    ) -> Result<(), TokenError> {
        let known = claims
            .with_facts(Some(&version.kid.0), |facts| self.authority.revoked(&route.ring, facts));
        match known {
            Ok(None) => Ok(()),
            Ok(Some(_)) => {
                tracing::debug!(ring = %route.ring, version = %version.number, "a revoked token");
                Err(TokenError::Revoked)
            }
            Err(Stale) => {
                self.complain(|| {
                    tracing::error!(
                        ring = %route.ring,
                        "nobody knows what was revoked, and the ring's policy lets nothing pass then"
                    );
                });
                Err(TokenError::RevocationsStale)
            }
        }
    }

    /// The status of a refusal, and its challenge (RFC 6750 section 3).
    fn refusal(&self, refused: &Refused) -> (StatusCode, Option<Cow<'static, str>>) {
        let (status, challenge): (_, Cow<'static, str>) = match refused {
            Refused::NoToken(NoToken::Missing) => (StatusCode::UNAUTHORIZED, "Bearer".into()),
            Refused::NoToken(NoToken::Ambiguous) => (
                StatusCode::UNAUTHORIZED,
                "Bearer error=\"invalid_request\", error_description=\"not_one_token\"".into(),
            ),
            Refused::Token(error) => {
                let kind = error.kind();
                let text = format!("Bearer error=\"invalid_token\", error_description=\"{kind}\"");
                (StatusCode::UNAUTHORIZED, text.into())
            }
            Refused::Scope(index) => {
                let text = self.rules.get(*index).map(|rule| rule.insufficient.clone());
                (StatusCode::FORBIDDEN, text.unwrap_or_default().into())
            }
            Refused::Lost(lost) => {
                self.complain(|| {
                    tracing::warn!(
                        cause = lost.cause(),
                        "a request was refused that the edge's routes do not cover; check \
                         [[authz.route]] and the headers that the proxy sets"
                    );
                });
                return (StatusCode::FORBIDDEN, None);
            }
        };
        (status, Some(challenge))
    }

    fn complain(&self, tell: impl FnOnce()) {
        let elapsed = self.clock.monotonic().0.as_millis();
        let now = u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_add(1);
        let last = self.complained.load(Ordering::Relaxed);
        let pause = u64::try_from(COMPLAINT_EVERY.as_millis()).unwrap_or(u64::MAX);
        let is_time = last == 0 || now.saturating_sub(last) >= pause;
        let order = Ordering::Relaxed;
        if is_time && self.complained.compare_exchange(last, now, order, order).is_ok() {
            tell();
        }
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.clock.wall().seconds())
    }
}

impl Rule {
    fn new(route: &Route) -> Self {
        let required = std::iter::once("exp".to_owned()).chain(route.require.iter().cloned());
        let mut expected =
            Expected::new().require(required).leeway(route.leeway).max_token_bytes(TOKEN_BYTES_MAX);
        for issuer in &route.issuers {
            expected = expected.issuer(issuer);
        }
        for audience in &route.audiences {
            expected = expected.audience(audience);
        }
        if let Some(typ) = &route.typ {
            expected = expected.typ(typ);
        }
        let scopes: Vec<_> =
            route.scopes_all.iter().chain(&route.scopes_any).map(String::as_str).collect();
        let text = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" "));
        let is_line = HeaderValue::from_str(&text).is_ok();
        let plain = || "Bearer error=\"insufficient_scope\"".to_owned();
        Self { expected, insufficient: if is_line { text } else { plain() } }
    }
}

/// Whether a token has the scopes of a route, in `scope` (RFC 8693 section 4.2) or `scp`.
fn has_scopes(route: &Route, claims: &Claims) -> bool {
    if route.scopes_all.is_empty() && route.scopes_any.is_empty() {
        return true;
    }
    let mut scopes: Vec<String> = Vec::new();
    for name in ["scope", "scp"] {
        if let Some(text) = claims.text(name) {
            scopes.extend(text.split(' ').map(ToOwned::to_owned));
        } else if let Some(json) = claims.raw(name) {
            scopes.extend(serde_json::from_str::<Vec<String>>(json).unwrap_or_default());
        }
    }
    let any =
        route.scopes_any.is_empty() || route.scopes_any.iter().any(|one| scopes.contains(one));
    any && route.scopes_all.iter().all(|one| scopes.contains(one))
}

/// What the answer says about the claims of a token. Every header of the route is there, empty
/// where the token has no such claim, so that nothing that a caller sent under its name gets
/// through.
fn tell(route: &Route, claims: &Claims, answer: &mut impl Saying) -> Result<(), TokenError> {
    let too_long = || too_long(claims);
    let subject = claims.subject().unwrap_or_default();
    answer.say(&X_AUTH_SUBJECT, &header::value(&subject).ok_or_else(too_long)?);
    for (name, claim) in &route.claims {
        let value = claims.raw(claim).map_or(Some(Cow::Borrowed("")), header::claim);
        answer.say(name, &value.ok_or_else(too_long)?);
    }
    Ok(())
}

fn too_long(claims: &Claims) -> TokenError {
    TokenError::TooLong { bytes: claims.json().len(), max_bytes: TOKEN_BYTES_MAX }
}

#[cfg(test)]
mod tests;
