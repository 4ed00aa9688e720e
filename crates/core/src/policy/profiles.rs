//! What is known of verifiers that fetch a JWK set and cannot report, as data: how soon each surely
//! knows a new key, and how long it keeps one that was taken away. How a ring uses this is left to
//! [`super::Passive`].
//!
//! The times are those of a default configuration. Whoever changed them, or puts a cache in
//! between, says the times in the policy.

use std::fmt;

use crate::time::Span;

/// How long whoever is not known is waited for before a new key is used.
pub const SAFE_LEARNS_WITHIN: Span = Span::from_secs(1_200);

/// How long whoever is not known may keep a key that was taken away.
pub const SAFE_KEEPS_FOR: Span = Span::from_secs(86_400);

/// A verifier that cannot report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name in a policy.
    pub name: &'static str,
    /// How soon it surely knows a new key.
    pub learns_within: Span,
    /// How long it keeps a key that was taken away.
    pub keeps: Keeps,
    /// What it does on a kid that it does not know.
    pub unknown_kid: OnUnknownKid,
    /// Where this is from.
    pub source: &'static str,
}

/// How long a key that was taken away lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// This long.
    For(Span),
    /// Until something makes it fetch, for which it has no time of its own.
    UntilUnknownKid,
    /// Until the process ends.
    UntilRestart,
}

/// What a verifier does on a kid that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknownKid {
    /// It fetches at once.
    Fetches,
    /// It fetches, unless it did less than this ago.
    FetchesAfter(Span),
    /// It refuses, and waits for its next fetch.
    Ignores,
    /// Nobody says.
    Undocumented,
}

impl fmt::Display for Keeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(span) => write!(f, "for {span}"),
            Self::UntilUnknownKid => f.write_str("until an unknown kid makes it fetch"),
            Self::UntilRestart => f.write_str("until it is restarted"),
        }
    }
}

impl fmt::Display for OnUnknownKid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetches => f.write_str("an unknown kid makes it fetch"),
            Self::FetchesAfter(span) => {
                write!(f, "an unknown kid makes it fetch, but not within {span} of the last time")
            }
            Self::Ignores => f.write_str("an unknown kid makes it fetch nothing"),
            Self::Undocumented => f.write_str("what it does on an unknown kid is not documented"),
        }
    }
}

/// The profile of this name.
pub fn find(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}

/// The one span that stood for both waits when a ring was declared before there were two.
pub(super) const FORMER: &[(&str, Span)] = &[
    ("pyjwkclient", Span::from_secs(330)),
    ("envoy", Span::from_secs(300)),
    ("nginx-proxy-cache", Span::from_secs(300)),
    ("social-core", Span::from_secs(86_400)),
];

/// Every known verifier.
pub const PROFILES: &[Profile] = &[
    Profile {
        name: "pyjwkclient",
        learns_within: Span::from_secs(30),
        keeps: Keeps::For(Span::from_secs(300)),
        unknown_kid: OnUnknownKid::FetchesAfter(Span::from_secs(30)),
        source: "PyJWT 2.14 and later, measured with 2.15.1: lifespan 300 s, and no second \
                 fetch within 30 s; earlier ones fetch at once",
    },
    Profile {
        name: "pyjwkclient-cache-keys",
        learns_within: Span::from_secs(30),
        keeps: Keeps::UntilRestart,
        unknown_kid: OnUnknownKid::FetchesAfter(Span::from_secs(30)),
        source: "PyJWT with cache_keys=True, source: the keys stand in a cache without a time",
    },
    Profile {
        name: "authlib",
        learns_within: Span::from_secs(0),
        keeps: Keeps::UntilUnknownKid,
        unknown_kid: OnUnknownKid::Fetches,
        source: "Authlib, source of its OpenID client: the set is kept, and fetched anew for a \
                 kid that is not in it",
    },
    Profile {
        name: "jose",
        learns_within: Span::from_secs(30),
        keeps: Keeps::For(Span::from_secs(600)),
        unknown_kid: OnUnknownKid::FetchesAfter(Span::from_secs(30)),
        source: "jose 6.2 for Node, measured: cacheMaxAge 10 m, cooldownDuration 30 s",
    },
    Profile {
        name: "jwks-rsa",
        learns_within: Span::from_secs(60),
        keeps: Keeps::For(Span::from_secs(600)),
        unknown_kid: OnUnknownKid::Fetches,
        source: "jwks-rsa 4.1 for Node, measured: cacheMaxAge 10 m, fetches at once; with \
                 rateLimit ten times a minute",
    },
    Profile {
        name: "spring",
        learns_within: Span::from_secs(0),
        keeps: Keeps::For(Span::from_secs(300)),
        unknown_kid: OnUnknownKid::Fetches,
        source: "NimbusJwtDecoder of Spring Security, spring-security/issues/19643: 5 m",
    },
    Profile {
        name: "spring-reactive",
        learns_within: Span::from_secs(0),
        keeps: Keeps::UntilUnknownKid,
        unknown_kid: OnUnknownKid::Fetches,
        source: "ReactiveRemoteJWKSource of Spring Security, source: no time at all",
    },
    Profile {
        name: "go-oidc",
        learns_within: Span::from_secs(0),
        keeps: Keeps::UntilUnknownKid,
        unknown_kid: OnUnknownKid::Fetches,
        source: "coreos/go-oidc, oidc/jwks.go: fetches whenever a token does not verify, and \
                 only then",
    },
    Profile {
        name: "envoy",
        learns_within: Span::from_secs(600),
        keeps: Keeps::For(Span::from_secs(600)),
        unknown_kid: OnUnknownKid::Ignores,
        source: "remote_jwks of Envoy, envoy/issues/39643: cache_duration 10 m, in each worker \
                 unless async_fetch",
    },
    Profile {
        name: "istio",
        learns_within: Span::from_secs(3_600),
        keeps: Keeps::For(Span::from_secs(3_600)),
        unknown_kid: OnUnknownKid::Ignores,
        source: "istiod, istio/issues/49044: every 20 m, and up to 60 m apart after a failure",
    },
    Profile {
        name: "aws-http-api",
        learns_within: Span::from_secs(7_200),
        keeps: Keeps::For(Span::from_secs(7_200)),
        unknown_kid: OnUnknownKid::Undocumented,
        source: "JWT authorizer of AWS HTTP APIs, its documentation: 2 h; RSA keys only",
    },
    Profile {
        name: "kong-oidc",
        learns_within: Span::from_secs(30),
        keeps: Keeps::UntilUnknownKid,
        unknown_kid: OnUnknownKid::FetchesAfter(Span::from_secs(30)),
        source: "OpenID Connect plugin of Kong Enterprise, its documentation: rediscovery at \
                 most every 30 s",
    },
    Profile {
        name: "confluent-cloud",
        learns_within: Span::from_secs(86_400),
        keeps: Keeps::For(Span::from_secs(86_400)),
        unknown_kid: OnUnknownKid::Undocumented,
        source: "Confluent Cloud, its documentation: max-age between 5 m and 7 d, 24 h without",
    },
    Profile {
        name: "hcl-domino",
        learns_within: Span::from_secs(1_800),
        keeps: Keeps::For(Span::from_secs(1_800)),
        unknown_kid: OnUnknownKid::Undocumented,
        source: "HCL Domino, its documentation: 15 to 30 m",
    },
    Profile {
        name: "tibco-ems",
        learns_within: Span::from_secs(300),
        keeps: Keeps::For(Span::from_secs(86_400)),
        unknown_kid: OnUnknownKid::FetchesAfter(Span::from_secs(300)),
        source: "TIBCO EMS, its documentation: 1 d, and 300 s between fetches",
    },
    Profile {
        name: "nginx-proxy-cache",
        learns_within: Span::from_secs(300),
        keeps: Keeps::For(Span::from_secs(300)),
        unknown_kid: OnUnknownKid::Ignores,
        source: "a proxy_cache with proxy_cache_valid 5m; say the time when yours is another",
    },
    Profile {
        name: "social-core",
        learns_within: Span::from_secs(86_400),
        keeps: Keeps::For(Span::from_secs(86_400)),
        unknown_kid: OnUnknownKid::Ignores,
        source: "social-core of python-social-auth, source: the keys are cached for a day",
    },
];
