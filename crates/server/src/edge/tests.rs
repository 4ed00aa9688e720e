//! The edge with an authority that tests hold in their hands, and a clock that stands still.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;

use hyper::Request;
use keywheel_core::id::{Kid, RingName, VersionNumber};
use keywheel_core::kind::{Kind, SigningAlgorithm};
use keywheel_core::revocation::{Facts, Revocation, RevocationSet, Revoked};
use keywheel_core::time::WallTime;
use keywheel_engine::ports::Elapsed;
use keywheel_jose::Material;
use keywheel_jose::token::{Signer, TokenKey};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

/// One key of the test's ring.
struct Pair {
    number: u32,
    kid: Kid,
    material: Material,
    tally: Arc<Counts>,
}

#[derive(Default)]
struct Counts(AtomicU64, AtomicU64);

impl Tally for Counts {
    fn processed(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn rejected(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pair {
    fn new(algorithm: SigningAlgorithm, number: u32) -> Self {
        let mut seed = u8::try_from(number).unwrap();
        let mut fill = move |buffer: &mut [u8]| {
            for byte in buffer {
                seed = seed.wrapping_mul(29).wrapping_add(17);
                *byte = seed;
            }
        };
        let material = Material::generate(&Kind::Signing { algorithm }, &mut fill).unwrap();
        let kid = Kid(format!("kid-{number}"));
        Self { number, kid, material, tally: Arc::default() }
    }

    fn token(&self, claims: &Value) -> String {
        let signer = Signer::of_material(&self.material, &self.kid).unwrap();
        signer.sign(claims.to_string().as_bytes()).unwrap()
    }

    fn version(&self) -> Version {
        Version {
            number: VersionNumber(self.number),
            kid: self.kid.clone(),
            key: TokenKey::of_material(&self.material, &self.kid).unwrap(),
            is_asymmetric: self.material.public_key().is_some(),
            tally: Arc::clone(&self.tally) as _,
        }
    }

    fn counted(&self) -> (u64, u64) {
        (self.tally.0.load(Ordering::Relaxed), self.tally.1.load(Ordering::Relaxed))
    }
}

/// An authority whose answers the test sets.
struct World {
    accepted: Mutex<BTreeMap<RingName, Arc<Accepted>>>,
    revoked: RevocationSet,
    is_stale: std::sync::atomic::AtomicBool,
    unknown: AtomicU64,
    now: AtomicI64,
}

impl Authority for World {
    fn accepted(&self, ring: &RingName) -> Option<Arc<Accepted>> {
        self.accepted.lock().unwrap().get(ring).cloned()
    }

    fn revoked(&self, _: &RingName, facts: &Facts<'_>) -> Result<Option<Revoked>, Stale> {
        if self.is_stale.load(Ordering::Relaxed) {
            Err(Stale)
        } else {
            Ok(self.revoked.check(facts))
        }
    }

    fn unknown_kid(&self, _: &RingName, _: &str) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }
}

impl Clock for World {
    fn wall(&self) -> WallTime {
        WallTime(self.now.load(Ordering::Relaxed) * 1000)
    }

    fn monotonic(&self) -> Elapsed {
        Elapsed(Duration::ZERO)
    }
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            accepted: Mutex::default(),
            revoked: RevocationSet::new([7; 16]),
            is_stale: false.into(),
            unknown: AtomicU64::new(0),
            now: AtomicI64::new(NOW),
        })
    }

    fn accept(&self, generation: u64, pairs: &[&Pair]) {
        let versions = pairs.iter().map(|pair| pair.version()).collect();
        let accepted = Arc::new(Accepted::new(generation, versions));
        self.accepted.lock().unwrap().insert(ring(), accepted);
    }

    fn edge(self: &Arc<Self>, routes: Vec<Route>) -> Edge {
        let settings = EdgeSettings { profile: Profile::Nginx, routes };
        Edge::new(settings, Arc::clone(self) as _, Arc::clone(self) as _)
    }
}

fn ring() -> RingName {
    "web".parse().unwrap()
}

fn route() -> Route {
    Route::new("/", ring())
}

fn ask(edge: &Edge, token: &str) -> Response<()> {
    ask_with(edge, &[("authorization", &format!("Bearer {token}"))])
}

fn ask_with(edge: &Edge, headers: &[(&str, &str)]) -> Response<()> {
    let mut request = Request::builder().method("PATCH").uri("/authz/x");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    edge.answer(&request.body(()).unwrap().into_parts().0)
}

fn said<'a>(answer: &'a Response<()>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("-", |value| value.to_str().unwrap())
}

fn claims() -> Value {
    json!({ "sub": "ada", "exp": NOW + 60, "iat": NOW, "jti": "one" })
}

#[test]
fn a_good_token_passes_and_the_answer_says_who_it_is() {
    let (world, pair) = (World::new(), Pair::new(SigningAlgorithm::EdDsa, 1));
    world.accept(7, &[&pair]);
    let mut route = route();
    route.claims = vec![
        (HeaderName::from_static("x-mail"), "mail".into()),
        (HeaderName::from_static("x-absent"), "absent".into()),
    ];
    let edge = world.edge(vec![route]);
    let mut claims = claims();
    claims["mail"] = "a\r\nx-auth-subject: root".into();
    let token = pair.token(&claims);
    // From the signature, and from the memory.
    for _ in 0..2 {
        let answer = ask(&edge, &token);
        assert_eq!(answer.status(), 200);
        for (name, value) in [
            ("x-auth-kid", "kid-1"),
            ("x-auth-subject", "ada"),
            ("x-key-generation", "7"),
            ("x-mail", "a%0D%0Ax-auth-subject:%20root"),
            ("x-absent", ""),
            ("cache-control", "no-store"),
            ("content-length", "0"),
        ] {
            assert_eq!(said(&answer, name), value, "{name}");
        }
    }
    assert_eq!(pair.counted(), (2, 0));
}

#[test]
fn each_refusal_says_why_and_never_passes() {
    let (world, pair) = (World::new(), Pair::new(SigningAlgorithm::Hs256, 1));
    let other = Pair::new(SigningAlgorithm::Hs256, 2);
    world.accept(7, &[&pair]);
    let mut route = route();
    route.issuers = vec!["us".into()];
    route.audiences = vec!["here".into(), "there".into()];
    route.require = vec!["sub".into()];
    let edge = world.edge(vec![route]);
    let good = json!({ "iss": "us", "aud": ["x", "there"], "sub": "ada", "exp": NOW + 1 });
    assert_eq!(ask(&edge, &pair.token(&good)).status(), 200);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        pair.token(&claims)
    };
    let mut no_exp = good.clone();
    no_exp.as_object_mut().unwrap().remove("exp");
    let forger = Signer::of_material(&other.material, &pair.kid).unwrap();
    let other_key = forger.sign(good.to_string().as_bytes()).unwrap();
    for (token, why) in [
        (with("iss", "them".into()), "issuer"),
        (with("aud", "x".into()), "audience"),
        (with("sub", Value::Null), "claim_type"),
        (with("exp", (NOW - 1).into()), "expired"),
        (with("nbf", (NOW + 5).into()), "not_yet_valid"),
        (pair.token(&no_exp), "missing_claim"),
        (other.token(&good), "unknown_kid"),
        ("garbage".to_owned(), "malformed"),
        (other_key, "signature"),
        ("a".repeat(TOKEN_BYTES_MAX + 1), "too_long"),
    ] {
        let answer = ask(&edge, &token);
        assert_eq!(answer.status(), 401, "{why}");
        let challenge = said(&answer, "www-authenticate");
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
        assert!(challenge.contains(&format!("\"{why}\"")), "{why}: {challenge}");
        assert_eq!(said(&answer, "cache-control"), "no-store");
        assert_eq!(said(&answer, "x-auth-subject"), "-");
    }
    assert_eq!((world.unknown.load(Ordering::Relaxed), pair.counted()), (1, (1, 1)));
    let none = ask_with(&edge, &[]);
    assert_eq!((none.status().as_u16(), said(&none, "www-authenticate")), (401, "Bearer"));
    let good = format!("Bearer {}", pair.token(&good));
    let twice = ask_with(&edge, &[("authorization", &good), ("authorization", &good)]);
    assert_eq!(twice.status(), 401);
    assert!(said(&twice, "www-authenticate").contains("invalid_request"));
}

#[test]
fn scopes_are_all_of_some_and_one_of_others() {
    let (world, pair) = (World::new(), Pair::new(SigningAlgorithm::EdDsa, 1));
    world.accept(7, &[&pair]);
    let mut route = route();
    route.scopes_all = vec!["read".into()];
    route.scopes_any = vec!["mail".into(), "files".into()];
    let edge = world.edge(vec![route]);
    let status = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        ask(&edge, &pair.token(&claims)).status().as_u16()
    };
    assert_eq!(status("scope", "files read".into()), 200);
    assert_eq!(status("scp", json!(["read", "mail"])), 200);
    for (name, value) in [
        ("scope", json!("read")),
        ("scope", json!("mail files")),
        ("scope", json!("readmail files")),
        ("scp", json!("read")),
        ("scope", json!(7)),
        ("x", json!("read mail")),
    ] {
        assert_eq!(status(name, value.clone()), 403, "{name} {value}");
    }
    let refused = ask(&edge, &pair.token(&claims()));
    assert_eq!(
        said(&refused, "www-authenticate"),
        "Bearer error=\"insufficient_scope\", scope=\"read mail files\""
    );
}

/// Everything that can end a token's life ends it on a hit of the memory too.
#[test]
fn what_is_remembered_is_judged_anew_on_every_hit() {
    for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Hs256] {
        let (world, pair) = (World::new(), Pair::new(algorithm, 1));
        world.accept(7, &[&pair]);
        let edge = world.edge(vec![route()]);
        let token = |jti: &str, sub: &str| {
            let claims = json!({ "sub": sub, "jti": jti, "iat": NOW, "nbf": NOW, "exp": NOW + 60 });
            pair.token(&claims)
        };
        let (one, two, three) = (token("1", "ada"), token("2", "bob"), token("3", "cy"));
        let status = |token: &str| ask(&edge, token).status().as_u16();
        // Seen, and seen again: from then on all of them are remembered.
        for _ in 0..2 {
            assert_eq!([status(&one), status(&two), status(&three)], [200; 3]);
        }
        assert!([&one, &two, &three].iter().all(|token| is_remembered(&edge, 7, token)));

        world.revoked.apply(&Revocation::jti("1", NOW + 60).unwrap());
        assert_eq!([status(&one), status(&two), status(&three)], [401, 200, 200]);
        world.revoked.apply(&Revocation::subject("bob", NOW + 1, NOW + 60).unwrap());
        assert_eq!([status(&one), status(&two), status(&three)], [401, 401, 200]);

        world.is_stale.store(true, Ordering::Relaxed);
        assert_eq!(status(&three), 401);
        world.is_stale.store(false, Ordering::Relaxed);
        world.now.store(NOW + 60, Ordering::Relaxed);
        assert_eq!(status(&three), 401);
        world.now.store(NOW - 1, Ordering::Relaxed);
        assert_eq!(status(&three), 401);
        world.now.store(NOW, Ordering::Relaxed);
        assert_eq!(status(&three), 200);

        let next = Pair::new(algorithm, 2);
        world.accept(8, &[&next]);
        assert_eq!(status(&three), 401);
        world.accept(9, &[&next, &pair]);
        assert_eq!(status(&three), 200);
    }
}

fn is_remembered(edge: &Edge, generation: u64, token: &str) -> bool {
    let token = token.as_bytes();
    edge.cache.find(edge.cache.spot(token), 0, generation, token).is_some()
}

#[test]
fn what_is_cheap_to_check_is_remembered_when_it_comes_again_and_only_if_it_passed() {
    let (world, pair) = (World::new(), Pair::new(SigningAlgorithm::Hs256, 1));
    let costly = Pair::new(SigningAlgorithm::EdDsa, 2);
    world.accept(7, &[&pair, &costly]);
    let edge = world.edge(vec![route()]);
    let good = pair.token(&claims());
    let showings = [200, 200].map(|status| {
        assert_eq!(ask(&edge, &good).status(), status);
        is_remembered(&edge, 7, &good)
    });
    assert_eq!(showings, [false, true]);
    let costly = costly.token(&claims());
    assert_eq!(ask(&edge, &costly).status(), 200);
    assert!(is_remembered(&edge, 7, &costly));

    let mut other = claims();
    other["jti"] = "two".into();
    let revoked = pair.token(&other);
    world.revoked.apply(&Revocation::jti("two", NOW + 60).unwrap());
    let forged = Signer::of_material(&Pair::new(SigningAlgorithm::Hs256, 3).material, &pair.kid);
    let forged = forged.unwrap().sign(claims().to_string().as_bytes()).unwrap();
    for refused in [&revoked, &forged] {
        for _ in 0..3 {
            assert_eq!(ask(&edge, refused).status(), 401);
            assert!(!is_remembered(&edge, 7, refused));
        }
    }
    // As many as there is room for, each of them once.
    for number in 0..CACHED_TOKENS {
        other["jti"] = format!("flood-{number}").into();
        assert_eq!(ask(&edge, &pair.token(&other)).status(), 200);
    }
    assert!(is_remembered(&edge, 7, &good) && is_remembered(&edge, 7, &costly));
}

#[test]
fn a_memory_of_one_route_says_nothing_about_another() {
    let (world, pair) = (World::new(), Pair::new(SigningAlgorithm::EdDsa, 1));
    world.accept(7, &[&pair]);
    let mut strict = Route::new("/admin", ring());
    strict.audiences = vec!["admin".into()];
    let edge = world.edge(vec![route(), strict]);
    let bearer = format!("Bearer {}", pair.token(&claims()));
    let at = |uri: &str| {
        ask_with(&edge, &[("authorization", &bearer), ("x-original-uri", uri)]).status().as_u16()
    };
    for _ in 0..2 {
        assert_eq!([at("/"), at("/admin"), at("/x/../admin")], [200, 401, 403]);
    }
    let untold = ask_with(&edge, &[("authorization", &bearer)]);
    assert_eq!(untold.status(), 403);
}

#[test]
fn a_ring_that_is_not_known_lets_nothing_pass() {
    let (world, pair) = (World::new(), Pair::new(SigningAlgorithm::EdDsa, 1));
    let edge = world.edge(vec![route()]);
    assert_eq!(ask(&edge, &pair.token(&claims())).status(), 401);
}

#[test]
fn only_its_own_paths_are_taken() {
    for path in ["/authz", "/authz/", "/authz/x/y"] {
        assert!(Edge::takes(path), "{path}");
    }
    for path in ["/", "/authzx", "/v1/authz", "/AUTHZ"] {
        assert!(!Edge::takes(path), "{path}");
    }
}
