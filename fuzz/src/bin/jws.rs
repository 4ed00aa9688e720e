//! Compact signatures with headers of a stranger: the header is his, the signature is right, so
//! that everything between the two is reached.

#![no_main]

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keywheel_jose::token::{KeySet, jws};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

keywheel_fuzz::target!(seeds: seeds(), |input: &[u8]| {
    let key = BASE64_URL_SAFE_NO_PAD.encode(SECRET);
    let jwk = format!(r#"{{"kty":"oct","kid":"k","alg":"HS256","k":"{key}"}}"#);
    let keys = KeySet::from_json(jwk.as_bytes()).ok().expect("a key");
    let _ = jws::verify(input, &keys);

    let header = BASE64_URL_SAFE_NO_PAD.encode(input);
    let signed = format!("{header}.cGF5bG9hZA");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
    let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag));
    if let Ok(verified) = jws::verify(token.as_bytes(), &keys) {
        assert!(verified.payload == b"payload", "another payload");
        let header: serde_json::Value = serde_json::from_slice(input).expect("a header");
        assert!(header["alg"] == "HS256", "another algorithm");
        assert!(header.get("kid").is_none_or(|kid| kid == "k"), "another key");
        assert!(header.get("b64").is_none_or(|b64| b64 == true), "a payload of another form");
        let known = serde_json::json!(["b64"]);
        assert!(header.get("crit").is_none_or(|critical| *critical == known), "not understood");
    }
});

fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"alg":"HS256","kid":"k","typ":"JWT"}"#,
        r#"{ "typ":"JWT", "alg":"HS256" }"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":true}"#,
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"jku":"https://a.example","x5c":["AA=="]}"#,
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
