//! Keys, thumbprints and signatures that the specifications print.

use crate::support::{encryption, from_base64url, signing, stream};
use keywheel_core::kind::{EncryptionAlgorithm, RsaBits, SigningAlgorithm};
use keywheel_jose::{ImportFormat, Imported, Material, PublicKey, Weakness};

fn jwk(algorithm: SigningAlgorithm, json: &str) -> Imported {
    match Material::import(&signing(algorithm), json.as_bytes(), ImportFormat::Jwk) {
        Ok(imported) => imported,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn rfc_7638_section_3_1_thumbprint() {
    let json = r#"{
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29"
    }"#;
    let algorithm = SigningAlgorithm::Rs256(RsaBits::B2048);
    let (key, kid) = PublicKey::from_jwk(algorithm, json.as_bytes()).unwrap();
    assert_eq!(key.thumbprint().0, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(kid.unwrap().0, "2011-04-29");
}

#[test]
fn rfc_8037_appendix_a_key_thumbprint_and_signature() {
    let imported = jwk(
        SigningAlgorithm::EdDsa,
        r#"{"kty":"OKP","crv":"Ed25519",
            "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    );
    let key = &imported.material;
    assert_eq!(key.kid(&mut stream(0)).0, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = from_base64url(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    assert_eq!(key.sign(message).unwrap(), signature);
    key.verify(message, &signature).unwrap();
    assert!(imported.kid.is_none());
    assert_eq!(imported.weaknesses, []);
}

const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_appendix_a_1_hs256() {
    let imported = jwk(
        SigningAlgorithm::Hs256,
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#,
    );
    let message = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}");
    let signature = from_base64url("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    assert_eq!(imported.material.sign(message.as_bytes()).unwrap(), signature);
    imported.material.verify(message.as_bytes(), &signature).unwrap();
    assert_eq!(imported.weaknesses, []);
}

#[test]
fn rfc_7515_appendix_a_3_es256() {
    let imported = jwk(
        SigningAlgorithm::Es256,
        r#"{"kty":"EC","crv":"P-256","kid":"joe",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
    );
    let message = format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}");
    let signature = from_base64url(
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    imported.material.verify(message.as_bytes(), &signature).unwrap();
    assert!(imported.material.verify(b"another message", &signature).is_err());
    assert_eq!(imported.kid.unwrap().0, "joe");
}

#[test]
fn rfc_7515_appendix_a_4_es512() {
    let imported = jwk(
        SigningAlgorithm::Es512,
        r#"{"kty":"EC","crv":"P-521",
            "x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
            "d":"AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0d53vM9mE15j2C"}"#,
    );
    let signature = from_base64url(
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    );
    imported.material.verify(b"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", &signature).unwrap();
}

#[test]
fn fernet_specification_key() {
    let kind = encryption(EncryptionAlgorithm::Fernet);
    let key = b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    let imported = Material::import(&kind, key, ImportFormat::Text).ok().unwrap();
    assert_eq!(imported.material.expose(), key);
    assert_eq!(imported.weaknesses, []);
    for wrong in [
        &b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4"[..],
        b"cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=",
        b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e5=",
        b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF",
    ] {
        assert!(Material::import(&kind, wrong, ImportFormat::Text).is_err());
    }
}

#[test]
fn changeme_is_taken_and_flagged() {
    let kind = signing(SigningAlgorithm::Hs256);
    let imported = Material::import(&kind, b"changeme\n", ImportFormat::Text).ok().unwrap();
    assert_eq!(imported.material.expose(), b"changeme");
    let windows = Material::import(&kind, b"changeme\r\n", ImportFormat::Text).ok().unwrap();
    assert_eq!(windows.material.expose(), b"changeme");
    let bare = Material::import(&kind, b"changeme\r", ImportFormat::Text).ok().unwrap();
    assert_eq!(bare.material.expose(), b"changeme\r");
    let too_short = Weakness::TooShort { bytes: 8, wanted_bytes: 32 };
    assert_eq!(imported.weaknesses, [too_short, Weakness::WellKnown]);
}
