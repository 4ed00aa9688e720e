//! What this crate makes, jsonwebtoken 11 accepts, and the other way round; where they judge a
//! token differently, this crate is the stricter one, and why is known.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use keywheel_core::id::Kid;
use keywheel_core::kind::{Kind, RsaBits, SigningAlgorithm};
use keywheel_jose::Material;
use keywheel_jose::token::{Expected, KeySet, Signer, TokenKey, UnixSeconds, verify};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Far enough away that jsonwebtoken, which reads the clock by itself, finds it in the future.
pub(crate) const EXP: i64 = 32_503_680_000;
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) const ALGORITHMS: [SigningAlgorithm; 12] = [
    SigningAlgorithm::Hs256,
    SigningAlgorithm::Hs384,
    SigningAlgorithm::Hs512,
    SigningAlgorithm::Rs256(RsaBits::B2048),
    SigningAlgorithm::Rs384(RsaBits::B2048),
    SigningAlgorithm::Rs512(RsaBits::B2048),
    SigningAlgorithm::Ps256(RsaBits::B2048),
    SigningAlgorithm::Ps384(RsaBits::B2048),
    SigningAlgorithm::Ps512(RsaBits::B2048),
    SigningAlgorithm::Es256,
    SigningAlgorithm::Es384,
    SigningAlgorithm::EdDsa,
];

pub(crate) struct Made {
    pub(crate) material: Material,
    pub(crate) kid: Kid,
    pub(crate) keys: KeySet,
    pub(crate) signer: Signer,
}

pub(crate) fn made(algorithm: SigningAlgorithm) -> Made {
    let mut state = 7_u64;
    let mut fill = |buffer: &mut [u8]| {
        for byte in buffer {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = state.to_be_bytes()[1];
        }
    };
    let material = Material::generate(&Kind::Signing { algorithm }, &mut fill).ok().unwrap();
    let kid = Kid("the-kid".into());
    let keys = [TokenKey::of_material(&material, &kid).unwrap()].into_iter().collect();
    let signer = Signer::of_material(&material, &kid).unwrap();
    Made { material, kid, keys, signer }
}

fn decoding(made: &Made, algorithm: jsonwebtoken::Algorithm) -> DecodingKey {
    use jsonwebtoken::Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512};
    let Some(public) = made.material.public_key() else {
        assert!(matches!(algorithm, HS256 | HS384 | HS512));
        return DecodingKey::from_secret(made.material.expose());
    };
    let jwk = serde_json::to_value(public.jwk(&made.kid)).unwrap();
    let number = |name: &str| jwk[name].as_str().unwrap();
    match algorithm {
        ES256 | ES384 => DecodingKey::from_ec_components(number("x"), number("y")).unwrap(),
        EdDSA => DecodingKey::from_ed_components(number("x")).unwrap(),
        _ => DecodingKey::from_rsa_components(number("n"), number("e")).unwrap(),
    }
}

fn encoding(made: &Made, algorithm: jsonwebtoken::Algorithm) -> EncodingKey {
    use jsonwebtoken::Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512};
    let der = made.material.expose();
    match algorithm {
        HS256 | HS384 | HS512 => EncodingKey::from_secret(der),
        ES256 | ES384 => EncodingKey::from_ec_der(der),
        EdDSA => EncodingKey::from_ed_der(der),
        _ => EncodingKey::from_rsa_der(inside_pkcs8(der)),
    }
}

/// The PKCS#1 key inside a PKCS#8 key, which is at its end for RSA.
fn inside_pkcs8(der: &[u8]) -> &[u8] {
    let place = der.windows(4).enumerate().skip(1).find(|(_, at)| {
        at[..2] == [0x30, 0x82] && {
            let length = usize::from(at[2]) << 8 | usize::from(at[3]);
            length + 1000 > der.len()
        }
    });
    &der[place.unwrap().0..]
}

#[test]
fn each_accepts_what_the_other_signs() {
    for algorithm in ALGORITHMS {
        let made = made(algorithm);
        let name = keywheel_jose::jose_name(algorithm);
        let theirs: jsonwebtoken::Algorithm = name.parse().unwrap();
        let claims = json!({ "sub": "ada", "exp": EXP, "aud": ["x", "app"], "iss": "issuer" });

        let token = made.signer.sign(claims.to_string().as_bytes()).unwrap();
        let mut validation = Validation::new(theirs);
        validation.set_audience(&["app"]);
        validation.set_issuer(&["issuer"]);
        let decoded =
            jsonwebtoken::decode::<Value>(&token, &decoding(&made, theirs), &validation).unwrap();
        assert_eq!((&decoded.claims, decoded.header.kid.as_deref()), (&claims, Some("the-kid")));

        let header = Header { kid: Some(made.kid.0.clone()), ..Header::new(theirs) };
        let bare = Header::new(theirs);
        for header in [header, bare] {
            let token = jsonwebtoken::encode(&header, &claims, &encoding(&made, theirs)).unwrap();
            let expected = Expected::new().issuer("issuer").audience("app");
            let verified = verify(token.as_bytes(), &made.keys, &expected, UnixSeconds(NOW));
            let verified = verified.map_err(|error| error.kind()).ok().unwrap();
            assert_eq!(verified.claims.deserialize::<Value>().unwrap(), claims, "{name}");
        }
    }
}

/// Claims as attackers and careless issuers write them.
fn claims() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["exp", "nbf", "iat", "iss", "sub", "aud", "jti", "x"]);
    let value = prop_oneof![
        Just(EXP.to_string()),
        Just("0".to_owned()),
        Just("1000000000.5".to_owned()),
        Just("-1".to_owned()),
        Just("1e400".to_owned()),
        Just("\"issuer\"".to_owned()),
        Just("\"app\"".to_owned()),
        Just("[\"app\",\"x\"]".to_owned()),
        Just("[]".to_owned()),
        Just("null".to_owned()),
        Just("{\"a\":1}".to_owned()),
        Just("true".to_owned()),
    ];
    let fixed = prop_oneof![
        Just(format!(r#""exp":{EXP},"iss":"issuer","aud":"app""#)),
        Just(format!(r#""exp":{EXP},"iss":"issuer""#)),
        Just(format!(r#""exp":{EXP},"aud":["app"]"#)),
        Just(r#""iss":"issuer","aud":"app""#.to_owned()),
    ];
    (fixed, prop::collection::vec((name, value), 0..3)).prop_map(|(fixed, more)| {
        let more = more.iter().map(|(name, value)| format!(r#""{name}":{value}"#));
        let members: Vec<_> = std::iter::once(fixed).chain(more).collect();
        format!("{{{}}}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Nothing passes here that jsonwebtoken refuses, when it is told to require what this crate
    /// requires by itself.
    #[test]
    fn nothing_passes_that_jsonwebtoken_refuses(claims in claims(), flip in prop::option::of(0_usize..500)) {
        let made = made(SigningAlgorithm::Hs256);
        let mut token = made.signer.sign(claims.as_bytes()).unwrap().into_bytes();
        if let Some(place) = flip {
            let place = place % token.len();
            token[place] = if token[place] == b'A' { b'B' } else { b'A' };
        }
        let expected = Expected::new().issuer("issuer").audience("app");
        let ours = verify(&token, &made.keys, &expected, UnixSeconds(NOW));
        let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
        validation.set_audience(&["app"]);
        validation.set_issuer(&["issuer"]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.leeway = 0;
        let key = decoding(&made, jsonwebtoken::Algorithm::HS256);
        let theirs = jsonwebtoken::decode::<Value>(&token, &key, &validation);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(ours.claims.deserialize::<Value>().unwrap(), theirs.claims);
            }
            // serde_json reads no number that no float can hold; other claims may have them.
            (Ok(_), Err(_)) => prop_assert!(claims.contains(r#""x":1e400"#), "{claims}"),
            (Err(ours), Ok(_)) => {
                // Where this crate is stricter: wrong types, double names, times of issue.
                let stricter = ["claim_type", "duplicate_name", "issued_in_future", "not_yet_valid"];
                prop_assert!(stricter.contains(&ours.kind()), "{claims}: {}", ours.kind());
            }
            (Err(_), Err(_)) => {}
        }
    }
}
