//! Every kind of key, through every form that it can take.

use crate::support::{
    asymmetric_kinds, base64url, encryption, inside_pkcs8, kinds, pem, rsa_numbers, secret,
    signing, stream, symmetric_kinds,
};
use keywheel_core::id::Kid;
use keywheel_core::kind::{EncryptionAlgorithm, Kind, RsaBits, SecretEncoding, SigningAlgorithm};
use keywheel_jose::{
    DangerDelivery, DeliveryFormat, Holder, ImportFormat, Material, PublicKey, StoredError, Use,
    UseError, Weakness,
};
use proptest::prelude::*;

fn generate(kind: &Kind) -> Material {
    Material::generate(kind, &mut stream(11)).ok().unwrap()
}

fn import(kind: &Kind, bytes: &[u8], format: ImportFormat) -> Material {
    match Material::import(kind, bytes, format) {
        Ok(imported) => imported.material,
        Err(error) => panic!("{kind:?} as {format}: {error}"),
    }
}

#[test]
fn stored_keys_are_read_back_and_belong_to_one_kind() {
    let stored: Vec<_> = kinds()
        .into_iter()
        .map(|kind| {
            let material = generate(&kind);
            (kind, material.to_stored(), material)
        })
        .collect();
    for (kind, bytes, material) in &stored {
        let again = Material::from_stored(kind, bytes).ok().unwrap();
        assert_eq!(again.expose(), material.expose());
        assert_eq!(again.proof_secret(), material.proof_secret());
        for (other, _, _) in &stored {
            let both_secrets = matches!((kind, other), (Kind::Secret { .. }, Kind::Secret { .. }));
            assert_eq!(
                Material::from_stored(other, bytes).is_ok(),
                kind == other || both_secrets,
                "{kind:?} as {other:?}"
            );
        }
        for end in 0..bytes.len() {
            assert!(Material::from_stored(kind, &bytes[..end]).is_err(), "cut at {end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Material::from_stored(kind, &longer).err(), Some(StoredError::Damaged));
        let newer = [&[2], &bytes[1..]].concat();
        assert_eq!(Material::from_stored(kind, &newer).err(), Some(StoredError::UnknownVersion(2)));
    }
}

#[test]
fn protectors_sign_and_whoever_processes_verifies() {
    for kind in kinds().into_iter().filter(|kind| !kind.is_encryption()) {
        let material = generate(&kind);
        let other = Material::generate(&kind, &mut stream(12)).ok().unwrap();
        let protector =
            Holder::from_delivery(&kind, &material.delivery(Use::Protect)).ok().unwrap();
        let processor =
            Holder::from_delivery(&kind, &material.delivery(Use::Process)).ok().unwrap();
        assert_eq!(processor.can_protect(), kind.is_symmetric());
        assert_eq!(protector.proof_secret(), material.proof_secret());
        assert_eq!(processor.proof_secret(), material.proof_secret());
        assert_eq!(processor.fingerprint(&[7; 32]), material.fingerprint(&[7; 32]));
        assert_ne!(other.fingerprint(&[7; 32]), material.fingerprint(&[7; 32]));
        assert_ne!(material.fingerprint(&[8; 32]), material.fingerprint(&[7; 32]));

        let signature = protector.material().unwrap().sign(b"message").unwrap();
        processor.verify(b"message", &signature).unwrap();
        assert_eq!(processor.verify(b"massage", &signature), Err(UseError::BadSignature));
        assert_eq!(other.verify(b"message", &signature), Err(UseError::BadSignature));
        assert_eq!(processor.verify(b"message", &[]), Err(UseError::BadSignature));
        assert!(matches!(material.seal(b"", b"", &mut stream(1)), Err(UseError::WrongKind { .. })));
    }
}

#[test]
fn signatures_have_the_length_that_jose_wants() {
    let lengths = [
        (SigningAlgorithm::EdDsa, 64),
        (SigningAlgorithm::Es256, 64),
        (SigningAlgorithm::Es384, 96),
        (SigningAlgorithm::Es512, 132),
        (SigningAlgorithm::Ps256(RsaBits::B2048), 256),
        (SigningAlgorithm::Hs256, 32),
        (SigningAlgorithm::Hs384, 48),
        (SigningAlgorithm::Hs512, 64),
    ];
    for (algorithm, length) in lengths {
        assert_eq!(generate(&signing(algorithm)).sign(b"m").unwrap().len(), length);
    }
}

#[test]
fn what_a_secret_signs_says_nothing_to_its_application() {
    let kind = secret(32, SecretEncoding::Base64url);
    let material = generate(&kind);
    let hs256 = import(&signing(SigningAlgorithm::Hs256), material.expose(), ImportFormat::Raw);
    assert_ne!(material.sign(b"message").unwrap(), hs256.sign(b"message").unwrap());
}

#[test]
fn encryption_keys_seal_and_open() {
    for kind in kinds().into_iter().filter(Kind::is_encryption) {
        let material = generate(&kind);
        let other = Material::generate(&kind, &mut stream(12)).ok().unwrap();
        let sealed = material.seal(b"bound", b"message", &mut stream(1)).unwrap();
        assert_eq!(&material.open(b"bound", &sealed).unwrap()[..], b"message");
        assert_eq!(material.open(b"found", &sealed).err(), Some(UseError::BadSeal));
        assert_eq!(other.open(b"bound", &sealed).err(), Some(UseError::BadSeal));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(material.open(b"bound", &changed).err(), Some(UseError::BadSeal));
            assert_eq!(material.open(b"bound", &sealed[..index]).err(), Some(UseError::BadSeal));
        }
        assert!(matches!(material.sign(b"message"), Err(UseError::WrongKind { .. })));
        assert!(matches!(material.verify(b"message", b""), Err(UseError::WrongKind { .. })));
    }
}

#[test]
fn generated_keys_look_as_configured_and_are_not_weak() {
    for kind in symmetric_kinds() {
        let material = generate(&kind);
        let imported = Material::import(&kind, material.expose(), ImportFormat::Raw).ok().unwrap();
        assert_eq!(imported.weaknesses, [], "{kind:?}");
        assert_eq!(imported.material.expose(), material.expose());
        let other = Material::generate(&kind, &mut stream(12)).ok().unwrap();
        assert_ne!(material.expose(), other.expose(), "{kind:?}");
    }
    let text = |kind: &Kind| String::from_utf8(generate(kind).expose().to_vec()).unwrap();
    let hex = text(&secret(24, SecretEncoding::Hex));
    assert!(hex.len() == 48 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
    assert_eq!(text(&secret(24, SecretEncoding::Base64url)).len(), 32);
    assert_eq!(generate(&secret(24, SecretEncoding::Raw)).expose().len(), 24);
    let few = text(&secret(30, SecretEncoding::Alphabet("äß".into())));
    assert!(few.chars().count() == 30 && few.chars().all(|c| "äß".contains(c)));
    assert_eq!(text(&signing(SigningAlgorithm::Hs512)).len(), 86);
    assert_eq!(text(&encryption(EncryptionAlgorithm::Fernet)).len(), 44);
    assert_eq!(text(&encryption(EncryptionAlgorithm::Passphrase)).len(), 43);
}

#[test]
fn the_same_entropy_makes_the_same_key_except_for_rsa() {
    for kind in kinds() {
        let rsa = matches!(
            kind,
            Kind::Signing { algorithm } if algorithm.rsa_bits().is_some()
        );
        let (first, second) = (generate(&kind), generate(&kind));
        assert_eq!(first.expose() == second.expose(), !rsa, "{kind:?}");
    }
}

#[test]
fn kids_are_thumbprints_or_random() {
    for kind in kinds() {
        let material = generate(&kind);
        let (one, two) = (material.kid(&mut stream(1)), material.kid(&mut stream(2)));
        assert_eq!(one == two, !kind.is_symmetric());
        assert_eq!(one.0.len(), if kind.is_symmetric() { 22 } else { 43 });
        assert_eq!(material.spki_der().is_some(), !kind.is_symmetric());
        assert_eq!(material.public_jwk(&one).is_some(), !kind.is_symmetric());
    }
}

#[test]
fn public_halves_survive_jwk_pem_and_der() {
    for kind in asymmetric_kinds() {
        let material = generate(&kind);
        let public = material.public_key().unwrap();
        let algorithm = public.algorithm();
        let kid = Kid("k1".into());
        let json = serde_json::to_vec(&material.public_jwk(&kid).unwrap()).unwrap();
        let (from_jwk, named) = PublicKey::from_jwk(algorithm, &json).unwrap();
        assert_eq!(named, Some(kid));
        let from_pem = PublicKey::from_spki_pem(algorithm, &public.spki_pem()).unwrap();
        let from_der = PublicKey::from_spki_der(algorithm, &material.spki_der().unwrap()).unwrap();
        let signature = material.sign(b"message").unwrap();
        for key in [from_jwk, from_pem, from_der] {
            assert_eq!(key.spki_der(), public.spki_der());
            assert_eq!(key.proof_secret(), material.proof_secret());
            assert_eq!(key.thumbprint(), material.kid(&mut stream(0)));
            key.verify(b"message", &signature).unwrap();
        }
    }
}

#[test]
fn a_public_jwk_says_what_rfc_7517_wants() {
    let material = generate(&signing(SigningAlgorithm::Es384));
    let jwk = material.public_jwk(&Kid("v1".into())).unwrap();
    let json = serde_json::to_value(jwk).unwrap();
    let members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!(
        (&json["use"], &json["alg"], &json["kid"]),
        (&"sig".into(), &"ES384".into(), &"v1".into())
    );
}

#[test]
fn private_keys_survive_pkcs8_sec1_and_pkcs1() {
    for kind in asymmetric_kinds() {
        let material = generate(&kind);
        let der = material.expose();
        let same = |other: &Material| assert_eq!(other.expose(), der, "{kind:?}");
        same(&import(&kind, der, ImportFormat::Raw));
        same(&import(&kind, pem("PRIVATE KEY", der).as_bytes(), ImportFormat::Pem));
        same(&import(&kind, base64url(der).as_bytes(), ImportFormat::Base64url));
        let label = match material.public_key().unwrap().algorithm() {
            SigningAlgorithm::EdDsa => continue,
            algorithm if algorithm.rsa_bits().is_some() => "RSA PRIVATE KEY",
            _ => "EC PRIVATE KEY",
        };
        let inner = inside_pkcs8(der);
        let traditional = import(&kind, pem(label, inner).as_bytes(), ImportFormat::Pem);
        assert_eq!(traditional.proof_secret(), material.proof_secret());
        assert_eq!(import(&kind, inner, ImportFormat::Raw).proof_secret(), material.proof_secret());
    }
}

#[test]
fn rsa_keys_survive_a_private_jwk() {
    let kind = signing(SigningAlgorithm::Rs256(RsaBits::B2048));
    let material = generate(&kind);
    let numbers = rsa_numbers(inside_pkcs8(material.expose()));
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut json: serde_json::Map<_, _> = names
        .into_iter()
        .zip(&numbers[1..])
        .map(|(name, number)| (name.to_owned(), base64url(number).into()))
        .collect();
    json.insert("kty".into(), "RSA".into());
    json.insert("key_ops".into(), vec!["sign"].into());
    let text = serde_json::to_vec(&json).unwrap();
    assert_eq!(import(&kind, &text, ImportFormat::Jwk).expose(), material.expose());

    for name in names {
        let mut without = json.clone();
        without.remove(name);
        let text = serde_json::to_vec(&without).unwrap();
        assert!(Material::import(&kind, &text, ImportFormat::Jwk).is_err(), "without {name}");
    }
    json.insert("d".into(), base64url(&numbers[1]).into());
    let text = serde_json::to_vec(&json).unwrap();
    assert!(Material::import(&kind, &text, ImportFormat::Jwk).is_err());
}

#[test]
fn an_rsa_key_below_the_ring_is_flagged() {
    let small = generate(&signing(SigningAlgorithm::Rs256(RsaBits::B2048)));
    let ring = signing(SigningAlgorithm::Ps256(RsaBits::B3072));
    let imported = Material::import(&ring, small.expose(), ImportFormat::Raw).ok().unwrap();
    assert_eq!(imported.weaknesses, [Weakness::SmallModulus { bits: 2048, wanted_bits: 3072 }]);
}

#[test]
fn ed25519_seeds_are_taken_as_libraries_keep_them() {
    let kind = signing(SigningAlgorithm::EdDsa);
    let mut seed = [0; 32];
    stream(11)(&mut seed);
    let material = generate(&kind);
    assert_eq!(import(&kind, &seed, ImportFormat::Raw).expose(), material.expose());
    let spki = material.spki_der().unwrap();
    let libsodium = [&seed[..], &spki[spki.len() - 32..]].concat();
    assert_eq!(import(&kind, &libsodium, ImportFormat::Raw).expose(), material.expose());
    let mismatched = [seed, seed].concat();
    assert!(Material::import(&kind, &mismatched, ImportFormat::Raw).is_err());
}

#[test]
fn deliveries_survive_the_wire() {
    for kind in kinds() {
        let material = generate(&kind);
        for role in [Use::Protect, Use::Process] {
            let wire = serde_json::to_vec(&DangerDelivery(material.delivery(role))).unwrap();
            let DangerDelivery(delivery) = serde_json::from_slice(&wire).unwrap();
            assert_eq!(delivery.is_secret(), kind.is_symmetric() || role == Use::Protect);
            let holder = Holder::from_delivery(&kind, &delivery).ok().unwrap();
            if let Some(arrived) = holder.material() {
                assert_eq!(arrived.expose(), material.expose());
            }
        }
    }
    let unknown = br#"{"format":"text","value":"x","more":1}"#;
    assert!(serde_json::from_slice::<DangerDelivery>(unknown).is_err());
}

#[test]
fn a_delivery_of_another_form_or_kind_is_refused() {
    let all: Vec<_> = kinds().into_iter().map(|kind| (generate(&kind), kind)).collect();
    for (material, kind) in &all {
        for (_, other) in all.iter().filter(|(_, other)| !other.is_symmetric() && other != kind) {
            // An RSA key says nothing about its hash or padding.
            let rsa = |kind: &Kind| matches!(kind, Kind::Signing { algorithm } if algorithm.rsa_bits().is_some());
            if rsa(kind) && rsa(other) {
                continue;
            }
            for role in [Use::Protect, Use::Process] {
                let holder = Holder::from_delivery(other, &material.delivery(role));
                assert!(holder.is_err(), "{kind:?} as {other:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn external_bytes_arrive_unchanged(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
        let material = import(&Kind::External, &bytes, ImportFormat::Raw);
        let delivery = material.delivery(Use::Process);
        let text = str::from_utf8(&bytes).is_ok() && !bytes.contains(&0);
        prop_assert_eq!(delivery.format() == DeliveryFormat::Text, text);
        let holder = Holder::from_delivery(&Kind::External, &delivery).ok().unwrap();
        prop_assert_eq!(holder.material().unwrap().expose(), &bytes[..]);
        let stored = Material::from_stored(&Kind::External, &material.to_stored()).ok().unwrap();
        prop_assert_eq!(stored.expose(), &bytes[..]);
    }

    #[test]
    fn text_loses_one_newline_and_no_more(text in "[ -~]{1,40}", newlines in 0_usize..3) {
        let file = format!("{text}{}", "\n".repeat(newlines));
        let kept = format!("{text}{}", "\n".repeat(newlines.saturating_sub(1)));
        let kind = secret(32, SecretEncoding::Hex);
        let trimmed = import(&kind, file.as_bytes(), ImportFormat::Text);
        prop_assert_eq!(trimmed.expose(), kept.as_bytes());
        let raw = import(&kind, file.as_bytes(), ImportFormat::Raw);
        prop_assert_eq!(raw.expose(), file.as_bytes());
    }
}
