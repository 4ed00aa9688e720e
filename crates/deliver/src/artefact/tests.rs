//! Good artefacts are what independent code accepts; bogus ones are what it refuses.

use std::sync::Arc;

use keywheel_core::kind::{EncryptionAlgorithm, RsaBits, SigningAlgorithm};
use keywheel_jose::jose_name;
use proptest::prelude::*;

use super::*;
use crate::testing::{key, of, ring, ring_name, secret_kind, text_key, version};
use crate::values::Key;

const NOW: i64 = 1_800_000_000;

fn make(make: Make) -> Artefact {
    Artefact { ring: ring_name(), make }
}

fn jwt() -> Artefact {
    let claims = [("sub", "probe"), ("aud", "app")];
    make(Make::Jwt(claims.map(|(name, value)| (name.to_owned(), value.into())).into()))
}

fn parts(token: &str) -> (Json, Json, Vec<u8>, String) {
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let json = |part: &str| serde_json::from_slice(&decoded(part)).unwrap();
    (json(header), json(payload), decoded(signature), format!("{header}.{payload}"))
}

#[test]
fn tokens_of_every_algorithm_verify_and_their_bogus_like_does_not() {
    for algorithm in [
        SigningAlgorithm::Hs256,
        SigningAlgorithm::Hs384,
        SigningAlgorithm::Hs512,
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Es256,
        SigningAlgorithm::Es384,
        SigningAlgorithm::Es512,
        SigningAlgorithm::Rs256(RsaBits::B2048),
        SigningAlgorithm::Rs384(RsaBits::B2048),
        SigningAlgorithm::Rs512(RsaBits::B2048),
        SigningAlgorithm::Ps256(RsaBits::B2048),
        SigningAlgorithm::Ps384(RsaBits::B2048),
        SigningAlgorithm::Ps512(RsaBits::B2048),
    ] {
        let kind = Kind::Signing { algorithm };
        let ring = ring(vec![key(&kind, 1)]);
        let value = ring.primary().unwrap();
        let good = good(&jwt(), value, NOW).unwrap();
        let (header, payload, signature, signed) = parts(good.expose());
        let name = jose_name(algorithm);
        assert_eq!(header, serde_json::json!({ "alg": name, "kid": "kid-1", "typ": "JWT" }));
        let claims =
            serde_json::json!({ "sub": "probe", "aud": "app", "iat": NOW, "exp": NOW + 60 });
        assert_eq!(payload, claims);
        let key = value.material().unwrap();
        key.verify(signed.as_bytes(), &signature).unwrap();

        let bogus = bogus(&jwt(), &ring, value, NOW).unwrap();
        assert_eq!(bogus.expose().len(), good.expose().len());
        let (header, payload, signature, signed) = parts(bogus.expose());
        assert_eq!((header["alg"].as_str(), &payload), (Some(name), &claims));
        assert!(key.verify(signed.as_bytes(), &signature).is_err(), "{name}");
    }
}

/// RFC 7515 appendix A.1 signs with a key that is bytes; with a secret the text is the key, which
/// this HMAC of RFC 4231 test case 2 shows.
#[test]
fn a_secret_is_the_key_of_what_an_application_computes() {
    let ring = ring(vec![text_key("Jefe")]);
    let value = ring.primary().unwrap();
    let hmac = make(Make::Hmac("what do ya want for nothing?".into()));
    let good_tag = good(&hmac, value, NOW).unwrap();
    assert_eq!(
        good_tag.expose(),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    let bogus_tag = bogus(&hmac, &ring, value, NOW).unwrap();
    assert_eq!(bogus_tag.expose().len(), 64);
    assert_ne!(bogus_tag.expose(), good_tag.expose());

    let token = good(&jwt(), value, NOW).unwrap();
    let (header, _, signature, signed) = parts(token.expose());
    assert_eq!(header["alg"], "HS256");
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
    hmac::verify(&key, signed.as_bytes(), &signature).unwrap();
}

#[test]
fn a_bogus_value_is_none_that_another_version_has() {
    // The first change of each is the next one's value.
    let ring = ring(["key-1x", "key-2x", "key-3x"].into_iter().map(text_key).collect());
    let value = make(Make::Value);
    for version in ring.versions() {
        let bogus = bogus(&value, &ring, version, NOW).unwrap();
        assert_eq!(bogus.expose().len(), 6);
        for other in ring.versions() {
            assert_ne!(bogus.expose(), good(&value, other, NOW).unwrap().expose());
        }
    }
}

#[test]
fn what_cannot_be_made_is_refused_with_a_remedy() {
    let half = key(&Kind::Signing { algorithm: SigningAlgorithm::EdDsa }, 1);
    let half = half.public_key().unwrap().clone();
    let ring_of_half = of(vec![version(4, Key::Public(half))]);
    let signing = ring(vec![key(&Kind::Signing { algorithm: SigningAlgorithm::Es256 }, 1)]);
    let encrypting = Kind::Encryption { algorithm: EncryptionAlgorithm::Fernet };
    let encrypting = ring(vec![key(&encrypting, 1)]);
    let strange = of(vec![version(5, Key::Whole(Arc::new(text_key("....————....————....!"))))]);
    let mut messages = Vec::new();
    for (artefact, ring) in [
        (jwt(), &ring_of_half),
        (make(Make::Value), &signing),
        (make(Make::Hmac("x".into())), &signing),
        (jwt(), &encrypting),
        (make(Make::Value), &strange),
    ] {
        let error = bogus(&artefact, ring, ring.primary().unwrap(), NOW).err().unwrap();
        messages.push(format!("{error}\n  {}", error.remedy()));
    }
    for error in [ArtefactError::UnknownRing(ring_name()), ArtefactError::NoVersion(ring_name())] {
        messages.push(format!("{error}\n  {}", error.remedy()));
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn generated_secrets_have_bogus_likes_in_the_same_alphabet() {
    let ring = ring(vec![key(&secret_kind(), 1), key(&secret_kind(), 2)]);
    for version in ring.versions() {
        let bogus = bogus(&make(Make::Value), &ring, version, NOW).unwrap();
        assert!(bogus.expose().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }
}

proptest! {
    #[test]
    fn a_changed_text_is_another_of_the_same_form(text in "[ -~]{1,40}", nth in 0_usize..16) {
        if let Some(changed) = changed(&text, nth) {
            prop_assert_ne!(changed.as_str(), text.as_str());
            prop_assert_eq!(changed.len(), text.len());
            let different = text.bytes().zip(changed.bytes()).filter(|(a, b)| a != b).count();
            prop_assert_eq!(different, 1);
        }
    }

    #[test]
    fn changed_base64_stays_canonical(bytes in prop::collection::vec(any::<u8>(), 3..40)) {
        let text = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
        let changed = changed(&text, 0).unwrap();
        let decoded = BASE64_URL_SAFE_NO_PAD.decode(changed.as_bytes()).unwrap();
        prop_assert_ne!(decoded, bytes);
    }
}
