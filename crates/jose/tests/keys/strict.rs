//! What is refused, with which words, and that no words quote a key.

use crate::support::{asymmetric_kinds, encryption, kinds, pem, secret, signing, stream};
use keywheel_core::kind::{EncryptionAlgorithm, Kind, SecretEncoding, SigningAlgorithm};
use keywheel_jose::{
    Delivery, DeliveryFormat, Holder, ImportError, ImportFormat, JwkError, MAX_INPUT_BYTES,
    Material, PemError, PublicKey, PublicKeyError,
};
use proptest::prelude::*;
use zeroize::Zeroizing;

const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

fn refuse(kind: &Kind, bytes: &[u8], format: ImportFormat) -> ImportError {
    match Material::import(kind, bytes, format) {
        Ok(_) => panic!("{kind:?} took {format}"),
        Err(error) => error,
    }
}

fn refuse_jwk(json: &str) -> JwkError {
    match refuse(&signing(SigningAlgorithm::Es256), json.as_bytes(), ImportFormat::Jwk) {
        ImportError::Jwk(error) => error,
        other => panic!("{other:?}"),
    }
}

fn es256(more: &str) -> String {
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}","d":"{D}"{more}}}"#)
}

#[test]
fn members_that_change_the_meaning_of_a_jwk_are_refused() {
    let mismatch = |member, found: &str, wanted| JwkError::Mismatch {
        member,
        found: found.to_owned(),
        wanted,
    };
    let foreign = |member| JwkError::Foreign { member, kty: "EC" };
    let number = |short: &str| es256("").replace(D, short);
    let cases = [
        (es256(r#","alg":"ES384""#), mismatch("alg", "ES384", "ES256")),
        (es256(r#","use":"enc""#), mismatch("use", "enc", "sig")),
        (es256(r#","key_ops":["verify"]"#), mismatch("key_ops", "verify", "sign")),
        (es256(r#","key_ops":["sign","decrypt"]"#), mismatch("key_ops", "sign, decrypt", "sign")),
        (es256(r#","k":"c2VjcmV0""#), foreign("k")),
        (es256(r#","n":"AQAB""#), foreign("n")),
        (es256(r#","oth":[]"#), JwkError::Unknown("oth".into())),
        (es256(r#","exp":1"#), JwkError::Unknown("exp".into())),
        (es256(&format!(r#","d":"{D}""#)), JwkError::Duplicate("d")),
        (es256(r#","kid":"a","kid":"a""#), JwkError::Duplicate("kid")),
        (es256(r#","kid":"""#), JwkError::Kid),
        (es256(r#","kid":"a\nb""#), JwkError::Kid),
        (es256(r#","kid":7"#), JwkError::Type("kid")),
        (es256(r#","use":null"#), JwkError::Type("use")),
        (es256("").replace("P-256", "P-384"), mismatch("crv", "P-384", "P-256")),
        (es256("").replace("\"EC\"", "\"oct\""), mismatch("kty", "oct", "EC")),
        (es256("").replace("P-256", r"P-\u0032"), JwkError::Type("crv")),
        (format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"}}"#), JwkError::Missing("d")),
        (number(&format!("{D}=")), JwkError::Number("d")),
        (number(&D.replace('-', "+")), JwkError::Number("d")),
        (number("AA"), JwkError::Number("d")),
        (number(""), JwkError::Number("d")),
        (number(X), JwkError::Inconsistent),
        (format!("[{}]", es256("")), JwkError::Syntax { line: 1, column: 0 }),
        ("{}".to_owned(), JwkError::Missing("kty")),
    ];
    for (json, expected) in cases {
        assert_eq!(refuse_jwk(&json), expected, "{json}");
    }
    assert!(matches!(refuse_jwk(&format!("{} 1", es256(""))), JwkError::Syntax { .. }));
    assert!(matches!(refuse_jwk(&es256("")[..60]), JwkError::Syntax { .. }));
}

#[test]
fn members_that_change_nothing_are_passed_over() {
    let json = es256(
        r#","use":"sig","alg":"ES256","kid":"é","ext":true,"key_ops":["sign","verify"],"x5c":[{"a":1}]"#,
    );
    let kind = signing(SigningAlgorithm::Es256);
    let imported = Material::import(&kind, json.as_bytes(), ImportFormat::Jwk).ok().unwrap();
    assert_eq!(imported.kid.unwrap().0, "é");
}

#[test]
fn symmetric_jwks_bring_their_bytes() {
    let json =
        br#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","alg":"A256GCM"}"#;
    let aes = encryption(EncryptionAlgorithm::Aes256Gcm);
    let imported = Material::import(&aes, json, ImportFormat::Jwk).ok().unwrap();
    assert_eq!(imported.material.expose(), (0..32).collect::<Vec<u8>>());
    for kind in [
        encryption(EncryptionAlgorithm::ChaCha20Poly1305),
        encryption(EncryptionAlgorithm::Fernet),
        signing(SigningAlgorithm::Hs256),
        secret(32, SecretEncoding::Raw),
        Kind::External,
    ] {
        refuse(&kind, json, ImportFormat::Jwk);
    }
}

#[test]
fn private_keys_do_not_pass_for_public_ones() {
    let algorithm = SigningAlgorithm::Es256;
    let error = PublicKey::from_jwk(algorithm, es256("").as_bytes()).unwrap_err();
    assert_eq!(error, PublicKeyError::Jwk(JwkError::Private));
    let kind = signing(algorithm);
    let material = Material::generate(&kind, &mut stream(1)).ok().unwrap();
    let private = pem("PRIVATE KEY", material.expose());
    let error = PublicKey::from_spki_pem(algorithm, &private).unwrap_err();
    assert!(matches!(error, PublicKeyError::Pem(PemError::Label { .. })));
    assert!(PublicKey::from_spki_der(algorithm, material.expose()).is_err());
    let symmetric = PublicKey::from_spki_der(SigningAlgorithm::Hs256, &[]).unwrap_err();
    assert_eq!(symmetric, PublicKeyError::Symmetric { algorithm: "HS256" });
}

#[test]
fn public_keys_off_their_curve_or_in_another_form_are_refused() {
    let algorithm = SigningAlgorithm::Es256;
    let jwk = format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{X}"}}"#);
    assert!(PublicKey::from_jwk(algorithm, jwk.as_bytes()).is_err());

    let material = Material::generate(&signing(algorithm), &mut stream(1)).ok().unwrap();
    let spki = material.spki_der().unwrap();
    PublicKey::from_spki_der(algorithm, &spki).unwrap();
    assert!(PublicKey::from_spki_der(algorithm, &[&spki[..], &[0]].concat()).is_err());
    assert!(PublicKey::from_spki_der(algorithm, &spki[spki.len() - 65..]).is_err());
    let sign = 2 + (spki[spki.len() - 1] & 1);
    let x = &spki[spki.len() - 64..spki.len() - 32];
    let head = &spki[4..spki.len() - 68];
    let compressed = [&[0x30, 0x39, 0x30, 0x13][..], head, &[0x03, 0x22, 0x00, sign], x].concat();
    assert!(PublicKey::from_spki_der(algorithm, &compressed).is_err());
    for other in asymmetric_kinds() {
        let Kind::Signing { algorithm: other } = other else { continue };
        assert_eq!(PublicKey::from_spki_der(other, &spki).is_ok(), other == algorithm);
    }
}

#[test]
fn pem_of_the_wrong_sort_is_refused_with_a_remedy() {
    let kind = signing(SigningAlgorithm::EdDsa);
    let cases = [
        ("ENCRYPTED PRIVATE KEY", "openssl pkcs8"),
        ("OPENSSH PRIVATE KEY", "ssh-keygen -p -m PKCS8"),
        ("PUBLIC KEY", "give the private key"),
        ("CERTIFICATE", "give the private key"),
        ("SECRET KEY", "PKCS#8, SEC1 or PKCS#1"),
        ("EC PRIVATE KEY", "an Ed25519 key"),
    ];
    for (label, remedy) in cases {
        let error = refuse(&kind, pem(label, b"\x30\x00").as_bytes(), ImportFormat::Pem);
        assert!(error.to_string().contains(remedy), "{label}: {error}");
    }
    for kind in [secret(32, SecretEncoding::Raw), Kind::External, signing(SigningAlgorithm::Hs256)]
    {
        let error = refuse(&kind, pem("PRIVATE KEY", b"").as_bytes(), ImportFormat::Pem);
        assert!(matches!(error, ImportError::WrongFormat { .. }));
    }
}

#[test]
fn der_with_something_behind_it_is_refused() {
    for kind in asymmetric_kinds() {
        let material = Material::generate(&kind, &mut stream(1)).ok().unwrap();
        let longer = [material.expose(), &[0]].concat();
        for (bytes, format) in [
            (longer.clone(), ImportFormat::Raw),
            (pem("PRIVATE KEY", &longer).into_bytes(), ImportFormat::Pem),
        ] {
            assert!(matches!(refuse(&kind, &bytes, format), ImportError::Rejected { .. }));
        }
    }
}

#[test]
fn a_private_scalar_that_does_not_belong_to_its_point_is_refused() {
    let kind = signing(SigningAlgorithm::Es256);
    let material = Material::generate(&kind, &mut stream(1)).ok().unwrap();
    let other = Material::generate(&kind, &mut stream(2)).ok().unwrap();
    let point = other.spki_der().unwrap();
    let mut mixed = material.expose().to_vec();
    let start = mixed.len() - 64;
    mixed[start..].copy_from_slice(&point[point.len() - 64..]);
    assert!(matches!(refuse(&kind, &mixed, ImportFormat::Raw), ImportError::Rejected { .. }));
}

#[test]
fn empty_and_oversize_input_is_refused() {
    let large = vec![b'a'; MAX_INPUT_BYTES + 1];
    for kind in kinds().into_iter().chain([Kind::External]) {
        for format in ImportFormat::ALL {
            assert_eq!(refuse(&kind, &[], format), ImportError::Empty);
            let too_large = ImportError::TooLarge { bytes: MAX_INPUT_BYTES + 1 };
            assert_eq!(refuse(&kind, &large, format), too_large);
        }
    }
    let newline = refuse(&Kind::External, b"\n", ImportFormat::Text);
    assert_eq!(newline, ImportError::Empty);
    let algorithm = SigningAlgorithm::EdDsa;
    let too_large = PublicKeyError::TooLarge { bytes: MAX_INPUT_BYTES + 1 };
    assert_eq!(PublicKey::from_jwk(algorithm, &large).unwrap_err(), too_large);
    assert_eq!(PublicKey::from_spki_der(algorithm, &large).unwrap_err(), too_large);
}

#[test]
fn formats_have_one_name_each() {
    for format in ImportFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
        assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
    }
    assert_eq!("pkcs8".parse::<ImportFormat>(), Err(ImportError::UnknownFormat));
}

/// Damages a JWK in many ways and looks for its secret in what is said about it.
#[test]
fn no_error_quotes_a_key() {
    let json = es256("");
    let kind = signing(SigningAlgorithm::Es256);
    let mut refused = 0;
    for index in 0..json.len() {
        for byte in [b'"', b'{', b'\\', b'1', 0xff] {
            let mut changed = json.clone().into_bytes();
            changed[index] = byte;
            if let Err(error) = Material::import(&kind, &changed, ImportFormat::Jwk) {
                refused += 1;
                let said = format!("{error} {error:?}");
                // The 40 characters of an unknown member's name may be anything but the value.
                assert!(!said.contains(&D[1..12]) && !said.contains(&D[30..42]), "{said}");
            }
        }
    }
    assert!(refused > json.len());
}

proptest! {
    #[test]
    fn parsers_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        head in prop::sample::select(vec!["", "{\"kty\":\"", "0\u{2}\u{1}", "-----BEGIN "]),
    ) {
        let input = [head.as_bytes(), &bytes].concat();
        for kind in kinds().into_iter().chain([Kind::External]) {
            for format in ImportFormat::ALL {
                let _ = Material::import(&kind, &input, format);
            }
            let _ = Material::from_stored(&kind, &input);
            let text = Zeroizing::new(String::from_utf8_lossy(&input).into_owned());
            for format in [
                DeliveryFormat::Text, DeliveryFormat::Base64url, DeliveryFormat::Pkcs8Pem,
                DeliveryFormat::SpkiPem,
            ] {
                let _ = Holder::from_delivery(&kind, &Delivery::new(format, text.clone()));
            }
            if let Kind::Signing { algorithm } = kind {
                let _ = PublicKey::from_jwk(algorithm, &input);
                let _ = PublicKey::from_spki_der(algorithm, &input);
            }
        }
    }

    #[test]
    fn damaged_keys_never_panic_and_never_change_silently(
        which in 0_usize..4, place in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        // RSA is left out: its keys take too long to make and to check.
        let kind = asymmetric_kinds()[which].clone();
        let material = Material::generate(&kind, &mut stream(1)).ok().unwrap();
        let mut der = material.expose().to_vec();
        let index = place.index(der.len());
        der[index] ^= flip;
        if let Ok(imported) = Material::import(&kind, &der, ImportFormat::Raw) {
            // Only an Ed25519 seed has no redundancy: there another seed is another key.
            let same = imported.material.proof_secret() == material.proof_secret();
            prop_assert!(same || kind == signing(SigningAlgorithm::EdDsa), "{kind:?} at {index}");
        }
    }
}
