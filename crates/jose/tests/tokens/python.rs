//! What this crate makes, PyJWT and joserfc accept, and the other way round; nothing passes here
//! that both of them refuse. They live in the environment that `cargo xtask test` prepares.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use keywheel_jose::token::{Expected, UnixSeconds, verify};
use serde_json::{Value, json};

use crate::oracles::{ALGORITHMS, EXP, Made, NOW, made};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tokens/oracle.py");

fn python() -> Option<PathBuf> {
    let python =
        std::env::var_os("KEYWHEEL_VENV").map(|venv| PathBuf::from(venv).join("bin/python"));
    if python.is_none() {
        eprintln!("SKIPPED: KEYWHEEL_VENV does not say where PyJWT is; run cargo xtask test");
    }
    python
}

/// Asks all at once.
fn ask(python: &PathBuf, questions: &[Value]) -> Vec<Value> {
    let mut child = Command::new(python)
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<_> = questions.iter().map(Value::to_string).collect();
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> =
        answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

fn key(made: &Made) -> Value {
    match made.material.public_key() {
        None => json!({ "secret": std::str::from_utf8(made.material.expose()).unwrap() }),
        Some(public) => json!({
            "pem": made.material.delivery(keywheel_jose::Use::Protect).expose(),
            "public": public.spki_pem(),
        }),
    }
}

fn ours(made: &Made, token: &str) -> Result<Value, &'static str> {
    let expected = Expected::new().issuer("issuer").audience("app");
    match verify(token.as_bytes(), &made.keys, &expected, UnixSeconds(NOW)) {
        Ok(verified) => Ok(verified.claims.deserialize().unwrap()),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn each_accepts_what_the_others_sign() {
    let Some(python) = python() else { return };
    let claims = json!({ "iss": "issuer", "aud": ["app", "x"], "exp": EXP, "sub": "ünï" });
    let all: Vec<Made> = ALGORITHMS.into_iter().map(made).collect();
    let mut questions = Vec::new();
    for (made, algorithm) in all.iter().zip(ALGORITHMS) {
        let alg = keywheel_jose::jose_name(algorithm);
        questions.push(json!({ "sign": claims, "alg": alg, "key": key(made) }));
        let token = made.signer.sign(claims.to_string().as_bytes()).unwrap();
        questions.push(json!({ "verify": token, "alg": alg, "key": key(made) }));
    }
    let answers = ask(&python, &questions);
    for ((made, algorithm), answers) in all.iter().zip(ALGORITHMS).zip(answers.chunks(2)) {
        for library in ["pyjwt", "joserfc"] {
            let token = answers[0][library].as_str().unwrap();
            assert_eq!(ours(made, token), Ok(claims.clone()), "{algorithm:?} {library}");
            assert_eq!(answers[1][library], claims, "{algorithm:?} {library}");
        }
    }
}

/// Claims, headers and damages as attackers write them, all combined.
fn attacks(made: &Made) -> Vec<String> {
    let mut tokens = Vec::new();
    let fixed = format!(r#""iss":"issuer","aud":"app","exp":{EXP}"#);
    for claims in [
        format!("{{{fixed}}}"),
        format!(r#"{{{fixed},"nbf":0,"iat":0,"jti":"1","sub":"s"}}"#),
        format!(r#"{{"iss":"issuer","aud":["x"],"exp":{EXP}}}"#),
        format!(r#"{{"iss":"issuer","aud":123,"exp":{EXP}}}"#),
        format!(r#"{{"iss":5,"aud":"app","exp":{EXP}}}"#),
        format!(r#"{{"iss":"issuer","aud":"app","exp":"{EXP}"}}"#),
        format!(r#"{{{fixed},"nbf":{EXP}}}"#),
        format!(r#"{{{fixed},"iat":{EXP}}}"#),
        format!(r#"{{{fixed},"exp":0}}"#),
        format!(r#"{{"exp":0,{fixed}}}"#),
        r#"{"iss":"issuer","aud":"app"}"#.to_owned(),
        r#"{"iss":"issuer","aud":"app","exp":0}"#.to_owned(),
        r#"{"iss":"issuer","aud":"app","exp":1e400}"#.to_owned(),
        r#"{"iss":"issuer","aud":"app","exp":null}"#.to_owned(),
        format!(r#"{{{fixed},"sub":5}}"#),
        "[]".to_owned(),
        "{}".to_owned(),
    ] {
        let token = made.signer.sign(claims.as_bytes()).unwrap();
        let (signed, tag) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        for damaged in [
            token.clone(),
            format!("{token}="),
            format!("{header}=.{payload}.{tag}"),
            format!("{header}.{payload}."),
            format!("{header}.{payload}"),
            format!("eyJhbGciOiJub25lIn0.{payload}."),
            format!("{header}.{payload}.{}{}", &tag[..tag.len() - 1], other(&tag[tag.len() - 1..])),
            format!("{header}.{payload}.{}{}", other(&tag[..1]), &tag[1..]),
            format!(" {token}"),
            format!("{token}\n"),
        ] {
            tokens.push(damaged);
        }
    }
    tokens
}

/// Another character than this one, with which a tag is as canonical as before.
fn other(character: &str) -> char {
    if character == "A" { 'Q' } else { 'A' }
}

#[test]
fn nothing_passes_that_both_of_them_refuse() {
    let Some(python) = python() else { return };
    // One secret, one elliptic curve, one Edwards curve.
    for algorithm in [ALGORITHMS[0], ALGORITHMS[9], ALGORITHMS[11]] {
        let made = made(algorithm);
        let alg = keywheel_jose::jose_name(algorithm);
        let tokens = attacks(&made);
        let questions: Vec<Value> = tokens
            .iter()
            .map(|token| json!({ "verify": token, "alg": alg, "key": key(&made) }))
            .collect();
        let mut accepted = 0;
        for (token, answer) in tokens.iter().zip(ask(&python, &questions)) {
            match ours(&made, token) {
                Ok(claims) => {
                    accepted += 1;
                    let agrees = answer["pyjwt"] == claims || answer["joserfc"] == claims;
                    assert!(agrees, "{alg}: {token}: {answer}");
                }
                // Where one of them is laxer: text that is not canonical, types, doubles.
                Err(kind) if !answer["pyjwt"].is_null() || !answer["joserfc"].is_null() => {
                    let known = ["malformed", "claim_type", "duplicate_name", "issued_in_future"];
                    assert!(known.contains(&kind), "{alg}: {kind}: {token}: {answer}");
                }
                Err(_) => {}
            }
        }
        assert_eq!(accepted, 2, "{alg}");
    }
}
