//! `keywheel jws` and `keywheel jwt` as people and scripts meet them: what they print, and what
//! they say when they cannot.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod world;

use serde_json::Value;
use world::World;

const SIGNING: &str = "[ring.access]\nkind = \"signing\"\nlongest_lifetime = \"15m\"\n\
                       [[ring.access.consumer]]\nname = \"api\"\nrole = \"protect\"\n\
                       [[ring.access.consumer]]\nname = \"edge\"\nrole = \"process\"\n";
/// RFC 7515 appendix A.1.
const JWK: &str = r#"{"kty":"oct",
    "k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                     eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc\
                     19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const IN_TIME: [&str; 2] = ["--now", "1300819379"];

fn world() -> World {
    let world = World::new();
    world.write("key.json", JWK);
    world
}

/// The exit code and each line that was printed.
fn judged(world: &World, args: &[&str], input: &[u8]) -> (i32, Vec<Value>) {
    let ran = world.run_with(args, input);
    let lines = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (ran.code, lines)
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(
            |line| {
                if line["ok"].as_bool().unwrap() { "ok" } else { line["error"].as_str().unwrap() }
            },
        )
        .collect()
}

#[test]
fn every_line_gets_its_verdict_and_one_refusal_is_a_failure() {
    let world = world();
    let verify = [&["jwt", "verify", "--jwks", "key.json"], &IN_TIME[..]].concat();
    let (code, lines) = judged(&world, &verify, format!("{TOKEN}\n{TOKEN}\r\n{TOKEN}").as_bytes());
    assert_eq!((code, kinds(&lines)), (0, vec!["ok", "ok", "ok"]));
    assert_eq!(lines[0]["claims"]["http://example.com/is_root"], true);
    assert_eq!(lines[0]["kid"], Value::Null);

    let long = "a".repeat(200_000);
    let mut input = format!("{TOKEN}\n\n{TOKEN}=\n{long}\nx\n {TOKEN}\n").into_bytes();
    input.extend(b"\xff\xfe.\x00.\n");
    input.extend(TOKEN.as_bytes());
    let (code, lines) = judged(&world, &verify, &input);
    let wanted =
        ["ok", "malformed", "malformed", "too_long", "malformed", "malformed", "malformed", "ok"];
    assert_eq!((code, kinds(&lines)), (1, wanted.to_vec()));
}

#[test]
fn what_is_expected_is_required() {
    let world = world();
    let kind = |more: &[&str]| {
        let args = [&["jwt", "verify", "--jwks", "key.json"], more].concat();
        let (code, lines) = judged(&world, &args, TOKEN.as_bytes());
        assert_eq!(code == 0, lines[0]["ok"] == true);
        kinds(&lines)[0].to_owned()
    };
    assert_eq!(kind(&[]), "expired");
    assert_eq!(kind(&["--now", "1300819380"]), "expired");
    assert_eq!(kind(&["--now", "1300819380", "--leeway", "1"]), "ok");
    assert_eq!(kind(&["--now", "-5"]), "ok");
    let in_time = |more: &[&str]| kind(&[&IN_TIME[..], more].concat());
    assert_eq!(in_time(&["--issuer", "joe"]), "ok");
    assert_eq!(in_time(&["--issuer", "jim", "--issuer", "joe"]), "ok");
    assert_eq!(in_time(&["--issuer", "jim"]), "issuer");
    assert_eq!(in_time(&["--audience", "app"]), "missing_claim");
    assert_eq!(in_time(&["--require", "exp,sub"]), "missing_claim");
    assert_eq!(in_time(&["--require", "iss"]), "ok");
    assert_eq!(in_time(&["--require", ""]), "ok");
    assert_eq!(in_time(&["--alg", "HS256"]), "ok");
    assert_eq!(in_time(&["--alg", "HS384"]), "algorithm");
    assert_eq!(in_time(&["--typ", "at+jwt"]), "typ");
    assert_eq!(in_time(&["--subject", "ada"]), "missing_claim");
}

#[test]
fn signatures_of_any_content_are_verified() {
    let world = world();
    let verify = ["jws", "verify", "--jwk", "key.json"];
    let (code, lines) = judged(&world, &verify, TOKEN.as_bytes());
    assert_eq!((code, kinds(&lines)), (0, vec!["ok"]));
    assert!(lines[0]["payload"].as_str().unwrap().starts_with("{\"iss\":\"joe\",\r\n"));
    let bad = format!("{TOKEN}\n{}", TOKEN.replace(".dB", ".dC"));
    let (code, lines) = judged(&world, &verify, bad.as_bytes());
    assert_eq!((code, kinds(&lines)), (1, vec!["ok", "signature"]));
}

#[test]
fn a_ring_signs_what_it_verifies_and_no_longer_than_it_promises() {
    let world = World::with(SIGNING);
    let server = world.serve();
    for (name, consumer) in [("a", "api"), ("e", "edge")] {
        let file = format!("{name}.token");
        let create = ["token", "create", name, "--role", "consumer", "--consumer", consumer];
        world.ok(&[&create[..], &["--ring", "access", "--out", &file]].concat());
    }
    let api = ["--ring", "access", "--consumer", "api", "--token-file", "a.token"];
    let edge = ["--ring", "access", "--consumer", "edge", "--token-file", "e.token"];
    let sign = |claims: &str| {
        let args = [&["jwt", "sign"], &api[..], &["--claims", claims]].concat();
        world.run(&args)
    };
    let token = sign(r#"{"sub":"ada","aud":"app"}"#);
    assert_eq!(token.code, 0, "{}", token.stderr);

    let verify = [&["jwt", "verify"], &edge[..]].concat();
    let expecting = [&verify[..], &["--audience", "app", "--require", "exp,iat,jti"]].concat();
    let (code, lines) = judged(&world, &expecting, token.stdout.as_bytes());
    assert_eq!((code, kinds(&lines)), (0, vec!["ok"]));
    let claims = &lines[0]["claims"];
    assert_eq!(claims["sub"], "ada");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(claims["jti"].as_str().unwrap().len(), 22);
    assert!(lines[0]["kid"].is_string());

    let say = |name: &str, args: &[&str]| insta::assert_snapshot!(name, world.transcript(args));
    let signing = [&["jwt", "sign"], &api[..]].concat();
    say("claims_that_are_none", &[&signing[..], &["--claims", "[1]"]].concat());
    say(
        "claims_from_the_future",
        &[&signing[..], &["--claims", r#"{"iat":99999999999}"#]].concat(),
    );
    say("claims_that_are_over", &[&signing[..], &["--claims", r#"{"exp":1}"#]].concat());
    let only_half = [&["jwt", "sign"], &edge[..], &["--claims", "{}"]].concat();
    say("sign_with_the_public_half", &only_half);
    let too_long = sign(r#"{"exp":99999999999}"#);
    assert_eq!(too_long.code, 2);
    assert!(too_long.stderr.contains("at most 900 s"), "{}", too_long.stderr);
    server.stop();
}

#[test]
fn what_cannot_be_done_is_said_with_its_remedy() {
    let world = world();
    world.write(
        "mixed.json",
        format!(
            r#"{{"keys":[{JWK},{{"kty":"OKP","crv":"Ed25519",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}]}}"#,
        ),
    );
    world.write("short.json", r#"{"kty":"oct","k":"AAAA"}"#);
    world.write("text.json", "hello");
    let say = |name: &str, args: &[&str]| insta::assert_snapshot!(name, world.transcript(args));
    say("jwt_no_keys", &["jwt", "verify"]);
    say("jwt_no_such_file", &["jwt", "verify", "--jwks", "absent.json"]);
    say("jwt_no_such_algorithm", &["jwt", "verify", "--jwks", "key.json", "--alg", "none"]);
    say("jwt_no_consumer", &["jwt", "verify", "--ring", "access"]);
    say("jwt_empty_input", &["jwt", "verify", "--jwks", "key.json"]);
    say("jws_empty_input", &["jws", "verify", "--jwk", "key.json"]);
    say("jws_mixed_keys", &["jws", "verify", "--jwk", "mixed.json"]);
    say("jws_short_key", &["jws", "verify", "--jwk", "short.json"]);
    say("jws_no_key", &["jws", "verify", "--jwk", "text.json"]);
}

#[test]
fn an_inspected_token_is_said_not_to_be_verified() {
    let world = World::new();
    let forged = TOKEN.replace(".dB", ".dC");
    let ran = world.run_with(&["jwt", "inspect"], format!("{forged}\nx\n").as_bytes());
    insta::assert_snapshot!("jwt_inspect", format!("{}{}", ran.stdout, ran.stderr));
    assert_eq!(ran.code, 1);
    let ran = world.run_with(&["jwt", "inspect"], forged.as_bytes());
    assert_eq!(ran.code, 0);
}
