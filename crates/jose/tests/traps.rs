//! Each trap that verifiers of tokens have fallen into, by name. Whoever breaks one of these breaks
//! the reason why tokens are not left to a library; see docs/decisions/0014-own-thin-jose.md.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not see that the helpers of these tests are tests as well"
)]

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keywheel_core::id::Kid;
use keywheel_core::kind::{Kind, SigningAlgorithm};
use keywheel_core::time::Span;
use keywheel_jose::Material;
use keywheel_jose::token::{
    Algorithm, Expected, KeySet, MAX_TOKEN_BYTES, Signer, TokenKey, UnixSeconds, jws, verify,
};

const NOW: i64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const CLAIMS: &str = r#"{"iss":"issuer","sub":"ada","aud":"app","exp":1800000060,"jti":"1"}"#;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of HS256 with any header and payload, signed rightly.
fn signed(header: &str, payload: impl AsRef<[u8]>) -> String {
    tagged(&format!("{}.{}", encode(header), encode(payload)))
}

fn tagged(signed: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
    format!("{signed}.{}", encode(tag))
}

const HEADER: &str = r#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#;

fn token(claims: &str) -> String {
    signed(HEADER, claims)
}

fn keys() -> KeySet {
    let jwk = format!(r#"{{"kty":"oct","alg":"HS256","kid":"k1","k":"{}"}}"#, encode(SECRET));
    KeySet::from_json(jwk.as_bytes()).ok().unwrap()
}

fn expected() -> Expected {
    Expected::new().issuer("issuer").audience("app")
}

/// `ok`, or why not.
fn outcome_with(token: &str, expected: &Expected) -> &'static str {
    match verify(token.as_bytes(), &keys(), expected, UnixSeconds(NOW)) {
        Ok(_) => "ok",
        Err(error) => error.kind(),
    }
}

fn outcome(token: &str) -> &'static str {
    outcome_with(token, &expected())
}

#[test]
fn the_token_that_all_others_are_made_of_is_accepted() {
    assert_eq!(outcome(&token(CLAIMS)), "ok");
    // By the slow path, too.
    assert_eq!(outcome(&signed(r#" {"kid":"k1" ,"alg":"HS256"}"#, CLAIMS)), "ok");
    assert_eq!(outcome(&signed(r#"{"alg":"HS256"}"#, CLAIMS)), "ok");
}

#[test]
fn unknown_crit_is_refused() {
    for crit in [
        r#"["x"]"#,
        r#"["b64","x"]"#,
        r#"["x","b64"]"#,
        r#"["exp"]"#,
        r#"["alg"]"#,
        "null",
        "[]",
        r#""b64""#,
        "true",
        "{}",
        "[1]",
        r#"["b64","b64"]"#,
        r#"["b64"]"#,
        r#"["B64"]"#,
    ] {
        let header = format!(r#"{{"alg":"HS256","kid":"k1","crit":{crit},"x":1}}"#);
        assert_eq!(outcome(&signed(&header, CLAIMS)), "critical", "{crit}");
    }
}

#[test]
fn empty_crit_is_refused() {
    assert_eq!(outcome(&signed(r#"{"alg":"HS256","kid":"k1","crit":[]}"#, CLAIMS)), "critical");
}

#[test]
fn b64_false_is_refused_with_and_without_crit() {
    for rest in [
        r#""b64":false,"crit":["b64"]"#,
        r#""b64":false"#,
        r#""b64":"true""#,
        r#""b64":0"#,
        r#""b64":null,"crit":["b64"]"#,
    ] {
        let header = format!(r#"{{"alg":"HS256","kid":"k1",{rest}}}"#);
        assert_eq!(outcome(&signed(&header, CLAIMS)), "critical", "{rest}");
    }
    // What RFC 7797 calls the default is the default.
    let header = r#"{"alg":"HS256","kid":"k1","b64":true,"crit":["b64"]}"#;
    assert_eq!(outcome(&signed(header, CLAIMS)), "ok");
}

#[test]
fn a_missing_audience_is_refused_when_one_is_expected() {
    assert_eq!(outcome(&token(r#"{"iss":"issuer","exp":1800000060}"#)), "missing_claim");
    assert_eq!(outcome(&token(r#"{"iss":"issuer","exp":1800000060,"aud":[]}"#)), "audience");
}

#[test]
fn a_missing_issuer_is_refused_when_one_is_expected() {
    assert_eq!(outcome(&token(r#"{"aud":"app","exp":1800000060}"#)), "missing_claim");
}

#[test]
fn another_audience_issuer_or_subject_is_refused() {
    for (claims, kind) in [
        (r#"{"iss":"issuer","aud":"other","exp":1800000060}"#, "audience"),
        (r#"{"iss":"issuer","aud":["x","y"],"exp":1800000060}"#, "audience"),
        (r#"{"iss":"issuer","aud":["x","app"],"exp":1800000060}"#, "ok"),
        (r#"{"iss":"issuer","aud":"\u0061pp","exp":1800000060}"#, "ok"),
        (r#"{"iss":"Issuer","aud":"app","exp":1800000060}"#, "issuer"),
        (r#"{"iss":"issuer ","aud":"app","exp":1800000060}"#, "issuer"),
    ] {
        assert_eq!(outcome(&token(claims)), kind, "{claims}");
    }
    assert_eq!(outcome_with(&token(CLAIMS), &expected().subject("bob")), "subject");
    let nobody = r#"{"iss":"issuer","aud":"app","exp":1800000060}"#;
    assert_eq!(outcome_with(&token(nobody), &expected().subject("bob")), "missing_claim");
}

#[test]
fn claims_of_the_wrong_type_are_refused() {
    for (name, values) in [
        ("aud", ["123", "null", "[1]", "{}", "true", r#"["app",null]"#]),
        ("iss", ["5", "null", r#"["issuer"]"#, "{}", "true", "1.5"]),
        ("sub", ["5", "null", r#"["ada"]"#, "{}", "false", "-1"]),
        ("jti", ["5", "null", r#"["1"]"#, "{}", "false", "0"]),
        ("exp", [r#""1800000060""#, "null", "[1800000060]", "true", "{}", r#""""#]),
        ("nbf", [r#""0""#, "null", "[0]", "false", "{}", "1e400"]),
        ("iat", [r#""0""#, "null", "[0]", "false", "{}", "-1e400"]),
    ] {
        for value in values {
            let mut claims: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(CLAIMS).unwrap();
            claims.remove(name);
            let rest = serde_json::Value::Object(claims).to_string();
            let claims = format!(r#"{{"{name}":{value},{}"#, &rest[1..]);
            for expected in [expected(), Expected::new()] {
                assert_eq!(outcome_with(&token(&claims), &expected), "claim_type", "{claims}");
            }
        }
    }
}

#[test]
fn a_string_as_exp_is_refused() {
    let claims = r#"{"iss":"issuer","aud":"app","exp":"1800000060"}"#;
    assert_eq!(outcome(&token(claims)), "claim_type");
}

#[test]
fn a_missing_exp_is_refused_unless_the_caller_says_what_is_required() {
    let forever = r#"{"iss":"issuer","aud":"app"}"#;
    assert_eq!(outcome(&token(forever)), "missing_claim");
    let nothing: [&str; 0] = [];
    assert_eq!(outcome_with(&token(forever), &expected().require(nothing)), "ok");
    assert_eq!(
        outcome_with(&token(CLAIMS), &expected().require(["exp", "scope"])),
        "missing_claim"
    );
    let null = r#"{"iss":"issuer","aud":"app","exp":1800000060,"scope":null}"#;
    assert_eq!(outcome_with(&token(null), &expected().require(["scope"])), "missing_claim");
}

#[test]
fn an_exp_that_no_clock_reaches_is_refused_without_overflow() {
    for exp in ["1e400", "-1e400", "1e19", "9223372036854775808", "1e999999999999999999999"] {
        let claims = format!(r#"{{"iss":"issuer","aud":"app","exp":{exp}}}"#);
        assert_eq!(outcome(&token(&claims)), "claim_type", "{exp}");
    }
}

#[test]
fn times_are_honoured_exactly_and_without_leeway() {
    let claims = |rest: &str| format!(r#"{{"iss":"issuer","aud":"app",{rest}}}"#);
    for (rest, kind) in [
        (r#""exp":1800000000"#, "expired"),
        (r#""exp":1800000000.0"#, "expired"),
        (r#""exp":1800000000.5"#, "ok"),
        (r#""exp":1.8e9"#, "expired"),
        (r#""exp":1800000001"#, "ok"),
        (r#""exp":-1"#, "expired"),
        (r#""exp":0"#, "expired"),
        (r#""exp":1800000060,"nbf":1800000001"#, "not_yet_valid"),
        (r#""exp":1800000060,"nbf":1800000000.5"#, "not_yet_valid"),
        (r#""exp":1800000060,"nbf":1800000000"#, "ok"),
        (r#""exp":1800000060,"iat":1800000001"#, "issued_in_future"),
        (r#""exp":1800000060,"iat":1800000000.5"#, "ok"),
    ] {
        assert_eq!(outcome(&token(&claims(rest))), kind, "{rest}");
    }
}

#[test]
fn leeway_is_only_what_the_caller_gives() {
    let expected = expected().leeway(Span::from_secs(5));
    let claims = |rest: &str| format!(r#"{{"iss":"issuer","aud":"app",{rest}}}"#);
    for (rest, kind) in [
        (r#""exp":1799999996"#, "ok"),
        (r#""exp":1799999995"#, "expired"),
        (r#""exp":1800000060,"nbf":1800000005"#, "ok"),
        (r#""exp":1800000060,"nbf":1800000006"#, "not_yet_valid"),
        (r#""exp":1800000060,"iat":1800000005"#, "ok"),
        (r#""exp":1800000060,"iat":1800000006"#, "issued_in_future"),
    ] {
        assert_eq!(outcome_with(&token(&claims(rest)), &expected), kind, "{rest}");
    }
}

#[test]
fn duplicate_claims_are_refused() {
    for claims in [
        r#"{"iss":"issuer","aud":"app","exp":1,"exp":1800000060}"#,
        r#"{"iss":"issuer","aud":"app","exp":1800000060,"exp":1}"#,
        r#"{"iss":"issuer","aud":"app","exp":1800000060,"\u0065xp":1}"#,
        r#"{"iss":"issuer","aud":"app","exp":1800000060,"roles":{"a":1,"a":2}}"#,
    ] {
        assert_eq!(outcome(&token(claims)), "duplicate_name", "{claims}");
    }
}

#[test]
fn duplicate_header_members_are_refused() {
    for header in [
        r#"{"alg":"none","alg":"HS256","kid":"k1"}"#,
        r#"{"alg":"HS256","alg":"none","kid":"k1"}"#,
        r#"{"alg":"HS256","kid":"k1","kid":"k2"}"#,
        r#"{"alg":"HS256","kid":"k1","\u006bid":"k2"}"#,
    ] {
        assert_eq!(outcome(&signed(header, CLAIMS)), "duplicate_name", "{header}");
    }
}

#[test]
fn padding_is_refused_in_every_part() {
    let parts: Vec<String> = token(CLAIMS).split('.').map(str::to_owned).collect();
    for part in 0..3 {
        for padding in ["=", "==", "\n", " ", "%3D", "\0"] {
            let mut padded = parts.clone();
            padded[part].push_str(padding);
            // Signed over what is written, so that the signature alone does not refuse it.
            let whole = match part {
                2 => padded.join("."),
                _ => tagged(&padded[..2].join(".")),
            };
            assert_eq!(outcome(&whole), "malformed", "{part} {padding:?}");
        }
    }
}

#[test]
fn bits_that_say_nothing_are_refused_in_every_part() {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let token = token(&format!("{CLAIMS} "));
    for part in 0..3 {
        let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
        let text = &mut parts[part];
        if text.len().is_multiple_of(4) {
            continue;
        }
        let last = text.pop().unwrap();
        let place = alphabet.iter().position(|c| char::from(*c) == last).unwrap();
        text.push(char::from(alphabet[place + 1]));
        let whole = if part == 2 { parts.join(".") } else { tagged(&parts[..2].join(".")) };
        assert_eq!(outcome(&whole), "malformed", "{part}");
    }
}

#[test]
fn the_standard_alphabet_is_refused() {
    // `???` and `>>>` need the last two characters of the alphabet.
    let claims = r#"{"iss":"issuer","aud":"app","exp":1800000060,"x":"???>>>~~~"}"#;
    let token = token(claims);
    assert_eq!(outcome(&token), "ok");
    let parts: Vec<&str> = token.split('.').collect();
    let standard = parts[1].replace('-', "+").replace('_', "/");
    assert_ne!(standard, parts[1]);
    assert_eq!(outcome(&tagged(&format!("{}.{standard}", parts[0]))), "malformed");
}

#[test]
fn another_number_of_parts_is_refused() {
    let token = token(CLAIMS);
    let (signed, tag) = token.rsplit_once('.').unwrap();
    for wrong in [
        "",
        ".",
        "..",
        "...",
        signed,
        &format!("{signed}."),
        &format!("{token}."),
        &format!("{token}.{tag}"),
        &format!(".{token}"),
        &format!("{signed}..{tag}"),
        &format!(" {token}"),
        &format!("{token} "),
        &format!("{token}\n"),
        &format!("Bearer {token}"),
    ] {
        let kind = outcome(wrong);
        assert!(kind == "malformed" || kind == "signature", "{wrong:?}: {kind}");
    }
}

#[test]
fn long_tokens_are_refused_before_any_work() {
    let claims = format!(r#"{{"exp":1800000060,"x":"{}"}}"#, "a".repeat(1_000_000));
    assert_eq!(outcome_with(&token(&claims), &Expected::new()), "too_long");
    let claims = format!(r#"{{"exp":1800000060,"x":"{}"}}"#, "a".repeat(40_000));
    let token = token(&claims);
    assert!(token.len() < MAX_TOKEN_BYTES);
    assert_eq!(outcome_with(&token, &Expected::new()), "ok");
    let tight = Expected::new().max_token_bytes(token.len() - 1);
    assert_eq!(outcome_with(&token, &tight), "too_long");
}

#[test]
fn deep_json_is_refused_without_recursion() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let claims = format!(r#"{{"exp":1800000060,"x":{}}}"#, deep(5_000));
        assert_eq!(outcome_with(&token(&claims), &Expected::new()), "malformed");
        let header = format!(r#"{{"alg":"HS256","x":{}}}"#, deep(1_000));
        assert_eq!(outcome(&signed(&header, CLAIMS)), "malformed");
    }
}

#[test]
fn payloads_that_are_no_object_are_refused() {
    for payload in [
        &b""[..],
        b"[]",
        b"null",
        b"\"x\"",
        b"1",
        b"{",
        b"{}{}",
        b"{} x",
        b"\xef\xbb\xbf{}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\\ud800\"}",
        b"{'a':1}",
        b"{\"a\":01}",
        b"{\"a\":NaN}",
        b"{\"a\":1,}",
        b"{\"a\":\"\n\"}",
    ] {
        assert_eq!(outcome_with(&signed(HEADER, payload), &Expected::new()), "malformed");
    }
}

#[test]
fn none_is_refused_in_every_spelling() {
    for name in ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS257", "ES256K"] {
        let header = format!(r#"{{"alg":"{name}","kid":"k1"}}"#);
        assert_eq!(outcome(&signed(&header, CLAIMS)), "algorithm", "{name}");
        let bare = format!("{}.{}.", encode(&header), encode(CLAIMS));
        assert_eq!(outcome(&bare), "algorithm", "{name}");
    }
    for header in [r#"{"kid":"k1"}"#, r#"{"alg":null}"#, r#"{"alg":["HS256"]}"#, r#"{"alg":1}"#] {
        assert_eq!(outcome(&signed(header, CLAIMS)), "malformed", "{header}");
    }
}

#[test]
fn keys_that_the_token_brings_along_are_never_trusted() {
    let forged = b"fedcba9876543210fedcba9876543210";
    let sign = |header: &str| {
        let signed = format!("{}.{}", encode(header), encode(CLAIMS));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, forged), signed.as_bytes());
        format!("{signed}.{}", encode(tag))
    };
    let jwk = format!(r#""jwk":{{"kty":"oct","k":"{}"}}"#, encode(forged));
    for rest in
        [jwk.as_str(), r#""jku":"https://evil.example/jwks""#, r#""x5u":"https://evil.example""#]
    {
        for kid in [r#""kid":"k1","#, ""] {
            let header = format!(r#"{{"alg":"HS256",{kid}{rest}}}"#);
            assert_eq!(outcome(&sign(&header)), "signature", "{header}");
            // And they do no harm beside a right signature.
            assert_eq!(outcome(&signed(&header, CLAIMS)), "ok", "{header}");
        }
    }
}

#[test]
fn a_kid_is_only_compared_and_an_unknown_one_is_not_tried() {
    for kid in ["k2", "K1", "k1 ", "../../k1", "k1' OR 1=1--", "", "k1\\u0000", "file:///dev/null"]
    {
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        assert_eq!(outcome(&signed(&header, CLAIMS)), "unknown_kid", "{kid}");
    }
    assert_eq!(outcome(&signed(r#"{"alg":"HS256","kid":"\u006b1"}"#, CLAIMS)), "ok");
    for kid in ["1", "null", r#"["k1"]"#, "{}"] {
        let header = format!(r#"{{"alg":"HS256","kid":{kid}}}"#);
        assert_eq!(outcome(&signed(&header, CLAIMS)), "malformed", "{kid}");
    }
}

fn generated(algorithm: SigningAlgorithm) -> (Material, Kid) {
    let mut seed = 0_u64;
    let mut fill = |buffer: &mut [u8]| {
        for byte in buffer {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = seed.to_be_bytes()[3];
        }
    };
    let material = Material::generate(&Kind::Signing { algorithm }, &mut fill).ok().unwrap();
    (material, Kid("k1".into()))
}

/// CVE-2015-9235 and its many heirs: the public key, in any form, as the secret of an HMAC.
#[test]
fn a_public_key_is_never_an_hmac_secret() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
        let (material, kid) = generated(algorithm);
        let public = material.public_key().unwrap();
        let keys: KeySet = [TokenKey::of_material(&material, &kid).unwrap()].into_iter().collect();
        let jwk = serde_json::to_string(&public.jwk(&kid)).unwrap();
        let pem = public.spki_pem();
        for secret in [jwk.as_bytes(), pem.as_bytes(), pem.trim_end().as_bytes(), public.spki_der()]
        {
            for header in [r#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#, r#"{"alg":"HS256"}"#] {
                let signed = format!("{}.{}", encode(header), encode(CLAIMS));
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
                let token = format!("{signed}.{}", encode(tag));
                let error = jws::verify(token.as_bytes(), &keys).err().unwrap();
                assert_eq!(error.kind(), "algorithm");
            }
        }
    }
}

#[test]
fn a_key_is_bound_to_its_algorithm() {
    let (material, kid) = generated(SigningAlgorithm::Es256);
    let keys: KeySet = [TokenKey::of_material(&material, &kid).unwrap()].into_iter().collect();
    for other in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Es256) {
        let signed =
            format!("{}.{}", encode(format!(r#"{{"alg":"{other}","kid":"k1"}}"#)), encode(CLAIMS));
        let tag = material.sign(signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", encode(tag));
        assert_eq!(jws::verify(token.as_bytes(), &keys).err().unwrap().kind(), "algorithm");
    }
    let token = Signer::of_material(&material, &kid).unwrap().sign(CLAIMS.as_bytes()).unwrap();
    let only = Expected::new().algorithm(Algorithm::EdDsa);
    let refused = verify(token.as_bytes(), &keys, &only, UnixSeconds(NOW)).err().unwrap();
    assert_eq!(refused.kind(), "algorithm");
}

/// An ECDSA signature can be rewritten (n - s) without becoming invalid, so the text of a token
/// never names it: what names it, the jti, is the same in both.
#[test]
fn a_rewritten_signature_leaves_the_jti_as_it_is() {
    let (material, kid) = generated(SigningAlgorithm::Es256);
    let keys: KeySet = [TokenKey::of_material(&material, &kid).unwrap()].into_iter().collect();
    let token = Signer::of_material(&material, &kid).unwrap().sign(CLAIMS.as_bytes()).unwrap();
    let (signed, tag) = token.rsplit_once('.').unwrap();
    let mut tag = BASE64_URL_SAFE_NO_PAD.decode(tag).unwrap();
    negate(&mut tag[32..]);
    let twin = format!("{signed}.{}", encode(tag));
    assert_ne!(twin, token);
    for token in [token, twin] {
        let verified = verify(token.as_bytes(), &keys, &Expected::new(), UnixSeconds(NOW));
        assert_eq!(verified.ok().unwrap().claims.jti().as_deref(), Some("1"));
    }
}

/// The order of P-256 minus the number.
fn negate(number: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0;
    for (byte, order) in number.iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
}

#[test]
fn signatures_of_another_form_or_length_are_refused() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Hs256] {
        let (material, kid) = generated(algorithm);
        let keys: KeySet = [TokenKey::of_material(&material, &kid).unwrap()].into_iter().collect();
        let token = Signer::of_material(&material, &kid).unwrap().sign(CLAIMS.as_bytes()).unwrap();
        let (signed, tag) = token.rsplit_once('.').unwrap();
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).unwrap();
        let longer = [&tag[..], &[0]].concat();
        let zeros = vec![0; tag.len()];
        let ones = vec![0xff; tag.len()];
        let half = tag[..tag.len() / 2].to_vec();
        for wrong in [Vec::new(), half, longer, zeros, ones, vec![0x30; 1024], vec![0; 3000]] {
            let token = format!("{signed}.{}", encode(wrong));
            assert_eq!(jws::verify(token.as_bytes(), &keys).err().unwrap().kind(), "signature");
        }
    }
}

#[test]
fn json_serializations_and_encrypted_tokens_are_refused() {
    let token = token(CLAIMS);
    let parts: Vec<&str> = token.split('.').collect();
    let flat = format!(
        r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#,
        parts[0], parts[1], parts[2]
    );
    assert_eq!(outcome(&flat), "malformed");
    let jwe = format!("{}.a.b.c.d", encode(r#"{"alg":"dir","enc":"A256GCM"}"#));
    let kind = outcome(&jwe);
    assert!(kind == "malformed" || kind == "algorithm", "{kind}");
}

#[test]
fn a_typ_is_compared_when_one_is_expected() {
    let of = |typ: &str| signed(&format!(r#"{{"alg":"HS256","kid":"k1","typ":{typ}}}"#), CLAIMS);
    let access = expected().typ("at+jwt");
    for (typ, kind) in [
        (r#""at+jwt""#, "ok"),
        (r#""AT+JWT""#, "ok"),
        (r#""application/at+jwt""#, "ok"),
        (r#""JWT""#, "typ"),
        (r#""at+jwt ""#, "typ"),
        (r#""""#, "typ"),
        ("1", "malformed"),
    ] {
        assert_eq!(outcome_with(&of(typ), &access), kind, "{typ}");
    }
    assert_eq!(outcome_with(&token(CLAIMS), &access), "typ");
    assert_eq!(outcome_with(&token(CLAIMS), &expected().typ("jwt")), "ok");
    assert_eq!(outcome_with(&signed(r#"{"alg":"HS256"}"#, CLAIMS), &access), "typ");
}

fn key_fault(document: &str) -> String {
    match KeySet::from_json(document.as_bytes()) {
        Ok(_) => panic!("{document}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn weak_and_wrong_keys_are_refused() {
    let short = encode(&SECRET[..31]);
    let long = encode(SECRET);
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    for (document, wanted) in [
        (format!(r#"{{"kty":"oct","k":"{short}"}}"#), "shorter than the hash"),
        (format!(r#"{{"kty":"oct","k":"{long}","alg":"HS384"}}"#), "shorter than the hash"),
        (r#"{"kty":"oct","k":""}"#.into(), "shorter than the hash"),
        (format!(r#"{{"kty":"oct","k":"{long}="}}"#), "`k`"),
        (format!(r#"{{"kty":"oct","k":"{long}","alg":"none"}}"#), "`alg`"),
        (format!(r#"{{"kty":"oct","k":"{long}","alg":"RS256"}}"#), "`alg`"),
        (format!(r#"{{"kty":"oct","k":"{long}","alg":"A256GCM"}}"#), "`alg`"),
        (format!(r#"{{"kty":"oct","k":"{long}","use":"enc"}}"#), "`use`"),
        (format!(r#"{{"kty":"oct","k":"{long}","key_ops":["sign"]}}"#), "`key_ops`"),
        (format!(r#"{{"kty":"oct","k":"{long}","key_ops":["verify","verify"]}}"#), "twice"),
        (format!(r#"{{"kty":"oct","k":"{long}","key_ops":"verify"}}"#), "`key_ops`"),
        (format!(r#"{{"kty":"oct","k":"{long}","k":"{long}"}}"#), "twice"),
        (format!(r#"{{"kty":"oct","k":"{long}","kid":1}}"#), "`kid`"),
        (format!(r#"{{"kty":"OKP","crv":"X25519","x":"{x}"}}"#), "`crv`"),
        (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","alg":"ES256"}}"#), "`alg`"),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{x}"}}"#), "no key"),
        (format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{x}","y":"{x}"}}"#), "`crv`"),
        (format!(r#"{{"kty":"RSA","n":"{x}","e":"AQAB"}}"#), "no key"),
        (format!(r#"{{"kty":"RSA","n":"{}","e":"AQ"}}"#, encode([0xff; 256])), "no key"),
        (format!(r#"{{"kty":"RSA","n":"{}","e":"AAEAAQ"}}"#, encode([0xff; 256])), "`e`"),
        ("{}".into(), "`kty`"),
        ("[]".into(), "not a JWK"),
        (String::new(), "not a JWK"),
        (r#"{"keys":{}}"#.into(), "not a JWK"),
        (r#"{"keys":[]}"#.into(), "no key"),
        (r#"{"keys":[1]}"#.into(), "not a JWK"),
        (format!(r#"{{"kty":"oct","k":"{long}","keys":[]}}"#), "at once"),
    ] {
        let fault = key_fault(&document);
        assert!(fault.contains(wanted), "{document}: {fault}");
        assert!(!fault.contains(&long) && !fault.contains(x), "{fault}");
    }
}

#[test]
fn ambiguous_sets_are_refused_and_strangers_in_them_passed_over() {
    let secret = |kid: &str| format!(r#"{{"kty":"oct","kid":"{kid}","k":"{}"}}"#, encode(SECRET));
    let public = r#"{"kty":"OKP","crv":"Ed25519","kid":"p",
                     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let set = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    let fault = key_fault(&set(&[&secret("a"), &secret("a")]));
    assert!(fault.contains("same kid"), "{fault}");
    let fault = key_fault(&set(&[&secret("a"), public]));
    assert!(fault.contains("mixes"), "{fault}");

    let unknown = r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","kid":"q"}"#;
    let encrypts = public.replace("\"kid\":\"p\"", "\"kid\":\"p\",\"use\":\"enc\"");
    let keys = KeySet::from_json(set(&[public, unknown, &encrypts]).as_bytes()).ok().unwrap();
    assert_eq!((keys.keys().len(), keys.passed_over()), (1, 2));
    assert_eq!(keys.keys()[0].kid(), Some("p"));
    let many: Vec<String> = (0..257).map(|n| secret(&format!("k{n}"))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(key_fault(&set(&many)).contains("256"));
}

#[test]
fn without_a_kid_only_a_wrong_signature_leads_to_the_next_key() {
    let kids = ["a", "b", "c", "d", "e"];
    let secrets: Vec<Vec<u8>> = kids.iter().map(|kid| kid.repeat(32).into_bytes()).collect();
    let jwks: Vec<String> = kids
        .iter()
        .zip(&secrets)
        .map(|(kid, secret)| format!(r#"{{"kty":"oct","kid":"{kid}","k":"{}"}}"#, encode(secret)))
        .collect();
    let document = format!(r#"{{"keys":[{}]}}"#, jwks.join(","));
    let keys = KeySet::from_json(document.as_bytes()).ok().unwrap();
    let signed = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(CLAIMS));
    for (nth, secret) in secrets.iter().enumerate() {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
        let token = format!("{signed}.{}", encode(tag));
        let outcome = jws::verify(token.as_bytes(), &keys).map(|verified| verified.key.kid());
        // The fifth is not tried any more.
        let wanted = if nth < 4 { Some(Some(kids[nth])) } else { None };
        assert_eq!(outcome.ok(), wanted);
        // Whichever key it is, an expired token is expired and tried no further.
        if nth < 4 {
            let late = verify(token.as_bytes(), &keys, &Expected::new(), UnixSeconds(NOW + 60));
            assert_eq!(late.err().unwrap().kind(), "expired");
        }
    }
}
