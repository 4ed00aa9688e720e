//! The examples of the specifications: RFC 7515 appendix A, RFC 7520 section 4, RFC 8037 appendix
//! A, and those of RFC 7797, all of which are refused.

use keywheel_jose::token::{Expected, KeySet, UnixSeconds, jws, verify};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn of<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

#[test]
fn what_the_specifications_sign_is_accepted_and_its_like_is_not() {
    let vectors = vectors();
    let accepted = vectors["accepted"].as_array().unwrap();
    assert_eq!(accepted.len(), 9);
    for vector in accepted {
        let name = of(vector, "name");
        let mut jwk = vector["jwk"].clone();
        let token = of(vector, "token");
        let mut named = jwk.clone();
        named["alg"] = vector["alg"].clone();
        jwk.as_object_mut().unwrap().remove("alg");
        for jwk in [jwk, named] {
            let keys = KeySet::from_json(jwk.to_string().as_bytes()).unwrap();
            let verified = jws::verify(token.as_bytes(), &keys).map_err(|error| error.kind());
            assert!(verified.is_ok(), "{name}: {:?}", verified.err());
            for wrong in altered(token) {
                assert!(jws::verify(wrong.as_bytes(), &keys).is_err(), "{name}: {wrong}");
            }
        }
    }
}

/// The same token with one character of each part another.
fn altered(token: &str) -> Vec<String> {
    let parts: Vec<&str> = token.split('.').collect();
    (0..3)
        .map(|part| {
            let mut parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
            let other = if parts[part].starts_with('A') { "B" } else { "A" };
            parts[part].replace_range(..1, other);
            parts.join(".")
        })
        .collect()
}

#[test]
fn what_is_not_supported_is_refused_by_its_name() {
    let vectors = vectors();
    let refused = vectors["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 5);
    for vector in refused {
        let keys = KeySet::from_json(vector["jwk"].to_string().as_bytes()).unwrap();
        let error = jws::verify(of(vector, "token").as_bytes(), &keys).err().unwrap();
        let malformed_is_fine = of(vector, "token").matches('.').count() > 2;
        let fits = error.kind() == of(vector, "kind")
            || (malformed_is_fine && error.kind() == "malformed");
        assert!(fits, "{}: {}", of(vector, "name"), error.kind());
    }
}

/// The claims of RFC 7515 A.1 are those of RFC 7519 section 3.1.
#[test]
fn the_first_token_ever_is_read_as_its_specification_says() {
    let vectors = vectors();
    let first = &vectors["accepted"][0];
    let keys = KeySet::from_json(first["jwk"].to_string().as_bytes()).unwrap();
    let token = of(first, "token").as_bytes();
    let expected = Expected::new().issuer("joe");
    let before = verify(token, &keys, &expected, UnixSeconds(1_300_819_379)).ok().unwrap();
    assert_eq!(before.claims.issuer().as_deref(), Some("joe"));
    assert_eq!(
        before.claims.expires().map(keywheel_jose::token::NumericDate::floor),
        Some(1_300_819_380)
    );
    assert_eq!(before.claims.raw("http://example.com/is_root"), Some("true"));
    let after = verify(token, &keys, &expected, UnixSeconds(1_300_819_380)).err().unwrap();
    assert_eq!(after.kind(), "expired");
}
