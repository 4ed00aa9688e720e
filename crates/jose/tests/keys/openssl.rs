//! Keys and signatures against the `openssl` command, in both directions. Where it is not
//! installed, each test says on standard error that it was skipped.

use std::path::Path;
use std::process::Command;

use crate::support::{asymmetric_kinds, signing, stream};
use keywheel_core::kind::{RsaBits, SigningAlgorithm};
use keywheel_jose::{ImportError, ImportFormat, Material, PublicKey};

fn openssl(directory: &Path, arguments: &str) -> Vec<u8> {
    let output =
        Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
    output.stdout
}

/// A directory to work in, when there is an openssl.
fn directory() -> Option<tempfile::TempDir> {
    if Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success()) {
        return Some(tempfile::tempdir().unwrap());
    }
    eprintln!("SKIPPED: there is no openssl command on this machine");
    None
}

fn import(algorithm: SigningAlgorithm, pem: &[u8]) -> Result<Material, ImportError> {
    Material::import(&signing(algorithm), pem, ImportFormat::Pem).map(|imported| imported.material)
}

#[test]
fn keys_that_openssl_makes_are_taken_in_all_their_forms() {
    let Some(directory) = directory() else { return };
    let at = directory.path();
    let rsa = SigningAlgorithm::Rs256(RsaBits::B2048);
    let cases = [
        (SigningAlgorithm::EdDsa, "genpkey -algorithm ed25519"),
        (SigningAlgorithm::Es256, "ecparam -name prime256v1 -genkey"),
        (SigningAlgorithm::Es384, "ecparam -name secp384r1 -genkey -noout"),
        (SigningAlgorithm::Es512, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        (rsa, "genrsa -traditional 2048"),
        (rsa, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ];
    for (algorithm, arguments) in cases {
        let pem = openssl(at, arguments);
        std::fs::write(at.join("key.pem"), &pem).unwrap();
        let material = import(algorithm, &pem).map_err(|error| format!("{arguments}: {error}"));
        let public = openssl(at, "pkey -in key.pem -pubout -outform DER");
        assert_eq!(material.ok().unwrap().spki_der().unwrap(), public, "{arguments}");
        let der = openssl(at, "pkey -in key.pem -outform DER");
        let raw = Material::import(&signing(algorithm), &der, ImportFormat::Raw).ok().unwrap();
        assert_eq!(raw.material.spki_der().unwrap(), public);
    }
}

#[test]
fn keys_that_keywheel_makes_are_read_by_openssl() {
    let Some(directory) = directory() else { return };
    let at = directory.path();
    for kind in asymmetric_kinds() {
        let material = Material::generate(&kind, &mut stream(4)).ok().unwrap();
        let protect = material.delivery(keywheel_jose::Use::Protect);
        std::fs::write(at.join("key.pem"), protect.expose()).unwrap();
        let public = openssl(at, "pkey -in key.pem -pubout -outform DER");
        assert_eq!(material.spki_der().unwrap(), public);
        let text = openssl(at, "pkey -in key.pem -pubout");
        assert_eq!(material.public_key().unwrap().spki_pem().as_bytes(), text);
        openssl(at, "pkey -in key.pem -check -noout");
    }
}

#[test]
fn signatures_are_verified_by_the_other_side() {
    let Some(directory) = directory() else { return };
    let at = directory.path();
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    let cases = [
        (SigningAlgorithm::Rs256(RsaBits::B2048), "-sha256".to_owned()),
        (SigningAlgorithm::Ps256(RsaBits::B2048), format!("-sha256 {pss}")),
    ];
    std::fs::write(at.join("message"), b"message").unwrap();
    for (algorithm, options) in cases {
        let kind = signing(algorithm);
        let material = Material::generate(&kind, &mut stream(4)).ok().unwrap();
        let protect = material.delivery(keywheel_jose::Use::Protect);
        std::fs::write(at.join("key.pem"), protect.expose()).unwrap();
        openssl(at, &format!("dgst {options} -sign key.pem -out signature message"));
        let signature = std::fs::read(at.join("signature")).unwrap();
        material.verify(b"message", &signature).unwrap();

        std::fs::write(at.join("signature"), material.sign(b"message").unwrap()).unwrap();
        std::fs::write(at.join("public.pem"), material.public_key().unwrap().spki_pem()).unwrap();
        openssl(at, &format!("dgst {options} -verify public.pem -signature signature message"));
    }
}

#[test]
fn keys_that_cannot_serve_are_refused() {
    let Some(directory) = directory() else { return };
    let at = directory.path();
    let rsa = SigningAlgorithm::Rs256(RsaBits::B2048);
    let small = import(rsa, &openssl(at, "genrsa 1024")).err().unwrap();
    assert!(small.to_string().contains("2048 to 8192 bits"), "{small}");
    let locked = openssl(at, "genrsa -aes128 -passout pass:secret 2048");
    assert!(import(rsa, &locked).err().unwrap().to_string().contains("openssl pkcs8"));
    let locked = openssl(at, "genrsa -aes128 -passout pass:secret -traditional 2048");
    assert!(import(rsa, &locked).err().unwrap().to_string().contains("openssl pkcs8"));
    let other_curve = openssl(at, "ecparam -name secp256k1 -genkey -noout");
    assert!(import(SigningAlgorithm::Es256, &other_curve).is_err());

    std::fs::write(at.join("key.pem"), openssl(at, "ecparam -name prime256v1 -genkey")).unwrap();
    let compressed = openssl(at, "ec -in key.pem -pubout -conv_form compressed");
    let compressed = String::from_utf8(compressed).unwrap();
    assert!(PublicKey::from_spki_pem(SigningAlgorithm::Es256, &compressed).is_err());
}
