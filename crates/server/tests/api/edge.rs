//! What the server answers from memory: tokens at its edge, public keys, introspection; and the
//! tokens that it signs itself.

use keywheel_core::time::Span;
use keywheel_jose::token::{Expected, KeySet, UnixSeconds, verify};
use keywheel_server::edge::{EdgeSettings, Profile, Route};
use keywheel_server::{AuthzSettings, Listen};
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{Answer, Request, World, eventually};

fn signing(algorithm: &str) -> Value {
    json!({
        "kind": "signing",
        "algorithm": algorithm,
        "longest_lifetime": "60s",
        "skew": "1s",
        "lease_ttl": "5s",
        "offline_max": "20s",
        "consumer": [{ "name": "api", "role": "process", "min_instances": 0 }],
    })
}

fn world() -> World {
    let world = World::with(|settings, folder| {
        let routes = vec![
            Route::new("/", "web".parse().unwrap()),
            Route {
                audiences: vec!["admin".into()],
                leeway: Span::ZERO,
                ..Route::new("/admin", "web".parse().unwrap())
            },
        ];
        let edge = EdgeSettings { profile: Profile::Envoy, routes };
        let listen = vec![Listen::Unix(folder.join("authz.sock"))];
        settings.authz = AuthzSettings { edge, listen, ..AuthzSettings::default() };
        settings.issuer = Some("https://keys.example/".into());
    });
    world.declare("web", &signing("EdDSA"));
    world.declare("mac", &signing("HS256"));
    world
}

fn sign(world: &World, ring: &str, body: &Value) -> Answer {
    world.tell("signer", "POST", &format!("/v1/rings/{ring}/sign"), body)
}

fn token(world: &World, ring: &str, claims: &Value) -> String {
    let answer = sign(world, ring, &json!({ "claims": claims }));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}

fn knock(world: &World, path: &str, token: &str) -> Answer {
    world.send(&Request::new("DELETE", path).token(token))
}

fn introspect(world: &World, role: &str, form: &str) -> Answer {
    let request = Request::new("POST", "/oauth/introspect")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.as_bytes());
    world.send(&if role.is_empty() { request } else { request.token(world.token(role)) })
}

#[test]
fn a_token_of_the_server_passes_its_own_edge_on_every_listener() {
    let world = world();
    let token = token(&world, "web", &json!({ "sub": "ada" }));
    eventually("the edge serves the ring", || {
        (knock(&world, "/authz/x?y", &token).status == 200).then_some(())
    });
    let answer = knock(&world, "/authz", &token);
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("0")));
    assert_eq!(answer.header("x-auth-subject"), Some("ada"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let own = world.folder.path().join("authz.sock");
    for socket in [&world.socket, &own] {
        let request = Request::new("POST", "/authz/x").token(&token).body(b"a body is ignored");
        assert_eq!(crate::support::http::exchange_unix(socket, &request).status, 200);
    }
    let other = Request::new("GET", "/v1/rings").token(world.token("admin"));
    assert_eq!(crate::support::http::exchange_unix(&own, &other).status, 404);
    assert_eq!(knock(&world, "/authz/admin/x", &token).status, 401);
    assert_eq!(knock(&world, "/authz/x/%2e%2e/admin", &token).status, 403);
    assert_eq!(world.send(&Request::new("GET", "/authz/x")).status, 401);
    let of_another_ring = self::token(&world, "mac", &json!({ "sub": "ada" }));
    assert_eq!(knock(&world, "/authz/x", &of_another_ring).status, 401);
}

#[test]
fn without_routes_there_is_no_edge() {
    let world = World::new();
    assert_eq!(world.send(&Request::new("GET", "/authz")).status, 404);
}

#[test]
fn a_rotation_reaches_edge_and_jwks_before_anything_is_signed_with_it() {
    let world = world();
    let first = token(&world, "web", &json!({}));
    eventually("the edge serves the ring", || {
        (knock(&world, "/authz/x", &first).status == 200).then_some(())
    });
    let consumer = world.consumer("api", &["web"]);
    let mut process = Process::join(&world, &consumer, "api", "web");
    for _ in 0..3 {
        let former = world.status("web")["primary"].clone();
        let rotated = world.tell("operator", "POST", "/v1/rings/web/rotate", &json!({}));
        assert_eq!(rotated.status, 200, "{rotated:?}");
        eventually("the rotation is through", || {
            process.converge(&world);
            // Whatever is signed at any moment is accepted at once, and its key is shown.
            let fresh = token(&world, "web", &json!({}));
            assert_eq!(knock(&world, "/authz/x", &fresh).status, 200);
            assert_eq!(knock(&world, "/authz/x", &first).status, 200);
            let document = world.send(&Request::new("GET", "/v1/rings/web/jwks.json"));
            let keys = KeySet::from_json(document.body.as_bytes()).unwrap();
            let now = UnixSeconds(world.engine.now().wall.0 / 1000);
            assert!(verify(fresh.as_bytes(), &keys, &Expected::new(), now).is_ok());
            (world.status("web")["primary"] != former).then_some(())
        });
    }
    // What was accepted is counted for the server, and a compromise names it.
    let reason = json!({ "reason": "it leaked", "order": "reject_first" });
    let bad = world.tell("breakglass", "POST", "/v1/rings/web/versions/1/compromise", &reason);
    assert_eq!(bad.status, 200, "{bad:?}");
    eventually("the leaked key is refused", || {
        (knock(&world, "/authz/x", &first).status == 401).then_some(())
    });
    eventually("the record names the server", || {
        let status = world.status("web");
        let exposure = status["versions"][0]["exposure"].as_array()?;
        let own = exposure.iter().find(|one| one["consumer"] == "server test")?;
        own["last_accepted"].as_str().map(drop)
    });
}

#[test]
fn public_keys_are_open_to_everybody_and_secrets_to_nobody() {
    let world = world();
    let all = eventually("every ring was read", || {
        let answer = world.send(&Request::new("GET", "/.well-known/jwks.json"));
        (answer.status == 200 && answer.body.contains("kid")).then_some(answer)
    });
    assert_eq!(all.header("content-type"), Some("application/json"));
    assert_eq!(all.header("cache-control"), Some("no-cache"));
    let keys = all.json()["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 1);
    assert_eq!((&keys[0]["kty"], &keys[0]["alg"]), (&json!("OKP"), &json!("EdDSA")));
    assert!(keys[0]["d"].is_null() && keys[0]["k"].is_null());
    let one = world.send(&Request::new("GET", "/v1/rings/web/jwks.json"));
    assert_eq!(one.json(), all.json());
    for ring in ["mac", "nothing"] {
        let none = world.send(&Request::new("GET", &format!("/v1/rings/{ring}/jwks.json")));
        assert_eq!((none.status, none.problem().as_str()), (404, "not-found"));
    }
    let tag = all.header("etag").unwrap();
    assert!(tag.starts_with('"'), "{tag}");
    let again = Request::new("GET", "/.well-known/jwks.json").header("user-agent", "a cache");
    let same = world.send(&again.clone().header("if-none-match", &format!("\"x\", {tag}")));
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert_eq!(same.header("etag"), Some(tag));
    assert_eq!(world.send(&again.header("if-none-match", "\"x\"")).status, 200);

    let seen = world.ask("auditor", "GET", "/v1/rings/web/jwks-clients").json();
    let cache = seen["clients"].as_array().unwrap().iter();
    let cache = cache.into_iter().find(|one| one["user_agent"] == "a cache").unwrap();
    assert_eq!((&cache["address"], &cache["fetches"]), (&json!("127.0.0.1"), &json!(2)));
    assert_eq!(cache["revision"], seen["revision"]);
}

#[test]
fn discovery_leads_to_the_keys_where_an_issuer_is_configured() {
    let world = world();
    let at = Request::new("GET", "/.well-known/openid-configuration");
    let document = world.send(&at).json();
    assert_eq!(document["issuer"], "https://keys.example/");
    assert_eq!(document["jwks_uri"], "https://keys.example/.well-known/jwks.json");
    eventually("the algorithms are known", || {
        let document = world.send(&at).json();
        (document["id_token_signing_alg_values_supported"] == json!(["EdDSA"])).then_some(())
    });
    let none = World::new().send(&at);
    assert_eq!((none.status, none.problem().as_str()), (404, "not-found"));
}

#[test]
fn introspection_says_nothing_about_what_is_not_good() {
    let world = world();
    let token = token(&world, "mac", &json!({ "sub": "ada", "scope": "read", "secret": 7 }));
    let form = format!("token={token}&token_type_hint=access_token&more=x");
    let good = eventually("the ring was read", || {
        let answer = introspect(&world, "signer", &form);
        (answer.json()["active"] == true).then_some(answer)
    });
    let body = good.json();
    assert_eq!((&body["ring"], &body["sub"]), (&json!("mac"), &json!("ada")));
    assert_eq!((&body["scope"], &body["secret"]), (&json!("read"), &Value::Null));
    let elsewhere = Request::new("POST", "/oauth/introspect")
        .header("content-type", "application/x-www-form-urlencoded")
        .token(world.elsewhere("signer"))
        .body(form.as_bytes());
    let mut all = vec![world.send(&elsewhere)];
    let forged = format!("{}A", &token[..token.len() - 1]);
    for bad in [forged.as_str(), "garbage", ""] {
        all.push(introspect(&world, "signer", &format!("token={bad}")));
    }
    for answer in all {
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"active":false}"#));
    }
    assert_eq!(introspect(&world, "", &form).status, 401);
    assert_eq!(introspect(&world, "auditor", &form).status, 403);
    for wrong in ["", "x=y", &format!("token={token}&token={token}")] {
        assert_eq!(introspect(&world, "signer", wrong).status, 400, "{wrong}");
    }
}

#[test]
fn a_token_that_is_shown_to_be_revoked_passes_nowhere_any_more() {
    let world = world();
    let token = token(&world, "web", &json!({ "sub": "ada" }));
    let form = format!("token={token}");
    eventually("the edge serves the ring", || {
        (knock(&world, "/authz/x", &token).status == 200).then_some(())
    });
    let revoke = |role: &str, form: &str| {
        let request = Request::new("POST", "/oauth/revoke")
            .header("content-type", "application/x-www-form-urlencoded")
            .token(world.token(role))
            .body(form.as_bytes());
        world.send(&request).status
    };
    assert_eq!(revoke("auditor", &form), 403);
    assert_eq!(revoke("operator", "token=unknown"), 200);
    assert_eq!(knock(&world, "/authz/x", &token).status, 200);
    assert_eq!(revoke("operator", &form), 200);
    // At once: the server that revokes is told before it answers.
    let refused = knock(&world, "/authz/x", &token);
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").unwrap().contains("revoked"));
    assert_eq!(introspect(&world, "signer", &form).body, r#"{"active":false}"#);
    assert_eq!(revoke("operator", &form), 200);
}

#[test]
fn a_token_that_would_outlive_its_key_is_not_signed() {
    let world = world();
    let now = world.engine.now().wall.0 / 1000;
    let answer = sign(&world, "web", &json!({ "claims": { "sub": "a" }, "expires_in": "30s" }));
    let signed = answer.json();
    let expires = signed["expires"].as_i64().unwrap();
    assert!((now + 29..=now + 40).contains(&expires), "{signed}");
    assert_eq!(signed["jti"].as_str().unwrap().len(), 22);
    for body in [
        json!({ "claims": {}, "expires_in": "61s" }),
        json!({ "claims": {}, "expires_in": "10ms" }),
        json!({ "claims": { "exp": now + 3600 } }),
        json!({ "claims": { "exp": now - 1 } }),
        json!({ "claims": { "exp": "soon" } }),
        json!({ "claims": { "exp": now + 30 }, "expires_in": "30s" }),
        json!({ "claims": { "iat": now } }),
        json!({ "claims": { "jti": "mine" } }),
        json!({ "claims": { "sub": 7 } }),
    ] {
        let refused = sign(&world, "web", &body);
        assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid"), "{body}");
    }
    world.declare("opaque", &crate::support::spec("secret"));
    assert_eq!(sign(&world, "opaque", &json!({ "claims": {} })).status, 422);
    assert_eq!(sign(&world, "nothing", &json!({ "claims": {} })).status, 404);
}
