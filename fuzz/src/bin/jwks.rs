//! JWKs and JWK sets of strangers: whatever is taken has keys that can be asked, each by its name,
//! and no set mixes secret and public keys.

#![no_main]

use keywheel_jose::token::{Algorithm, KeySet, Keys, jws};

keywheel_fuzz::target!(seeds: seeds(), |input: &[u8]| {
    let Ok(set) = KeySet::from_json(input) else { return };
    let document: serde_json::Value = serde_json::from_slice(input).expect("a document");
    assert!(document.is_object(), "a document that is no object");
    assert!(!set.keys().is_empty(), "a set without keys");
    let is_secret = |algorithm: Algorithm| {
        matches!(algorithm, Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512)
    };
    let algorithms = || set.keys().iter().flat_map(|key| key.algorithms());
    let secret = algorithms().filter(|algorithm| is_secret(*algorithm)).count();
    assert!(secret == 0 || secret == algorithms().count(), "secret and public keys in one set");
    for key in set.keys() {
        assert!(key.algorithms().count() > 0, "a key without an algorithm");
        if let Some(kid) = key.kid() {
            assert!(set.by_kid(kid).is_some_and(|found| std::ptr::eq(found, key)), "a lost key");
        }
    }
    assert!(jws::verify(b"eyJhbGciOiJIUzI1NiJ9.e30.AAAA", &set).is_err(), "a forged token");
});

/// Keys of every type, alone and in sets. They are those of RFC 8037, RFC 7515 and RFC 7517.
fn seeds() -> Vec<Vec<u8>> {
    let okp = r#"{"kty":"OKP","crv":"Ed25519","kid":"o","use":"sig","alg":"EdDSA",
                  "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let ec = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                 "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","key_ops":["verify"]}"#;
    let oct = r#"{"kty":"oct","kid":"s",
                  "k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let rsa = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
    let set = |keys: &[&str]| format!(r#"{{"keys":[{}]}}"#, keys.join(","));
    [okp.to_owned(), ec.into(), oct.into(), rsa.into(), set(&[okp, ec, rsa]), set(&[oct]), set(&[])]
        .map(String::into_bytes)
        .into()
}
