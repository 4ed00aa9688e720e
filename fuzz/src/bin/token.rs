//! Tokens: whatever is accepted was signed, whatever is read is read alike by serde_json, and
//! nothing makes the reader stumble.

#![no_main]

use keywheel_core::id::Kid;
use keywheel_core::kind::{Kind, SigningAlgorithm};
use keywheel_jose::token::{
    Expected, KeySet, Signer, TokenKey, UnixSeconds, danger_kid, danger_peek, verify,
};
use keywheel_jose::{ImportFormat, Material};

const CLAIMS: &[u8] =
    br#"{"iss":"i","sub":"s","aud":["a","b"],"exp":2000000000,"nbf":1,"jti":"1"}"#;

keywheel_fuzz::target!(seeds: seeds(), |input: &[u8]| {
    let (keys, signer) = ring();
    let now = UnixSeconds(1_900_000_000);
    // As a token whose signature is most likely wrong.
    let _ = danger_kid(input);
    if let Ok(peeked) = danger_peek(input) {
        let header: Result<serde_json::Value, _> = serde_json::from_str(&peeked.header);
        assert!(header.is_ok_and(|header| header.is_object()), "a header that is no object");
    }
    if verify(input, &keys, &Expected::new(), now).is_ok() {
        let payload = input.split(|byte| *byte == b'.').nth(1).expect("a payload");
        let made = signer.sign(CLAIMS).expect("a signature");
        let signed = made.split('.').nth(1).expect("a payload");
        assert!(signed.as_bytes() == payload, "what nobody signed was accepted");
    }
    // As claims that are signed rightly, to get at everything behind the signature.
    let token = signer.sign(input).expect("a signature");
    let expected = Expected::new().issuer("i").audience("a").require(["exp", "sub"]);
    if let Ok(verified) = verify(token.as_bytes(), &keys, &expected, now) {
        assert!(verified.claims.issuer().as_deref() == Some("i"), "another issuer");
        assert!(verified.claims.audience().any(|name| name == "a"), "another audience");
        for (name, raw) in verified.claims.iter() {
            assert!(verified.claims.raw(&name) == Some(raw), "a claim is lost");
        }
    }
});

fn ring() -> (KeySet, Signer) {
    let kind = Kind::Signing { algorithm: SigningAlgorithm::Hs256 };
    let secret = b"0123456789abcdef0123456789abcdef";
    let imported = Material::import(&kind, secret, ImportFormat::Raw);
    let material = imported.ok().expect("a key").material;
    let kid = Kid("k".into());
    let key = TokenKey::of_material(&material, &kid).expect("a key");
    (std::iter::once(key).collect(), Signer::of_material(&material, &kid).expect("a key"))
}

/// A token, claims, and headers of several shapes.
fn seeds() -> Vec<Vec<u8>> {
    let (_, signer) = ring();
    let token = signer.sign(CLAIMS).expect("a signature");
    let unsigned = token.rsplit_once('.').expect("a signature").0;
    [
        token.as_bytes(),
        unsigned.as_bytes(),
        CLAIMS,
        br#"{"exp":1.9e9,"x":{"a":[1,true,null,"\ud83d\ude00\n"]},"iss":"i"}"#,
        b"eyJhbGciOiJub25lIn0.e30.",
        b"eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.e30.AA",
    ]
    .map(<[u8]>::to_vec)
    .into()
}
