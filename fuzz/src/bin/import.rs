//! Imported keys: whatever is taken over is stored, read back and delivered as the same key, and
//! everything else is refused without a panic.

#![no_main]

use keywheel_core::kind::{EncryptionAlgorithm, Kind, RsaBits, SecretEncoding, SigningAlgorithm};
use keywheel_jose::{Holder, ImportFormat, Material, Use};

keywheel_fuzz::target!(seeds: seeds(), |input: &[u8]| {
    let [kind, format, key @ ..] = input else { return };
    let (kinds, formats) = (kinds(), ImportFormat::ALL);
    let kind = &kinds[usize::from(*kind) % kinds.len()];
    let format = formats[usize::from(*format) % formats.len()];
    let Ok(imported) = Material::import(kind, key, format) else { return };

    let stored = imported.material.to_stored();
    let again = Material::from_stored(kind, &stored).expect("a stored key can be read back");
    assert!(again.expose() == imported.material.expose(), "the key changed in the store");
    for role in [Use::Protect, Use::Process] {
        let delivery = imported.material.delivery(role);
        assert!(Holder::from_delivery(kind, &delivery).is_ok(), "the key cannot be delivered");
    }
});

/// One kind for each way of reading a key.
fn kinds() -> Vec<Kind> {
    let signing = |algorithm| Kind::Signing { algorithm };
    let encryption = |algorithm| Kind::Encryption { algorithm };
    vec![
        Kind::Secret { length: 32, encoding: SecretEncoding::Raw },
        Kind::Secret { length: 32, encoding: SecretEncoding::Hex },
        signing(SigningAlgorithm::EdDsa),
        signing(SigningAlgorithm::Es256),
        signing(SigningAlgorithm::Es512),
        signing(SigningAlgorithm::Rs256(RsaBits::B2048)),
        signing(SigningAlgorithm::Hs256),
        encryption(EncryptionAlgorithm::Aes256Gcm),
        encryption(EncryptionAlgorithm::Fernet),
        encryption(EncryptionAlgorithm::Passphrase),
        Kind::External,
    ]
}

/// A key of every kind in every format, as far as they go together. The pair is that of RFC 8037,
/// appendix A.
fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 7] = [
        &[7; 32],
        b"correct horse battery staple",
        b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        b"-----BEGIN PRIVATE KEY-----\n\
          MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
          -----END PRIVATE KEY-----\n",
        b"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\
          \"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\",\
          \"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
    ];
    let kinds = 0..u8::try_from(kinds().len()).unwrap_or(u8::MAX);
    let cross = kinds.flat_map(|kind| {
        (0_u8..).zip(texts).map(move |(format, text)| [&[kind, format], text].concat())
    });
    cross.collect()
}
