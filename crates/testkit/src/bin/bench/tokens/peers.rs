//! The peers of the token bench.

use std::collections::{HashMap, HashSet};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use jwt_simple::prelude::{
    ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, ES256KeyPair, ES256PublicKey,
    Ed25519KeyPair as SimpleEd25519, Ed25519PublicKey, EdDSAKeyPairLike as _,
    EdDSAPublicKeyLike as _, HS256Key, JWTClaims, MACLike as _, RS256KeyPair, RS256PublicKey,
    RSAKeyPairLike as _, RSAPublicKeyLike as _, Token, VerificationOptions,
};
use keywheel_core::kind::SigningAlgorithm;
use keywheel_jose::{Material, Use, jose_name};
use serde::{Deserialize, Serialize};

use super::{AUDIENCE, Case, Contender, ISSUER};
use crate::Fallible;

type Verify<'c> = Box<dyn Fn(&[u8], &[u8]) -> Fallible<()> + 'c>;
type Sign<'c> = Box<dyn Fn(&[u8]) -> Fallible<()> + 'c>;

/// What an application reads of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: i64,
    jti: String,
    scope: String,
}

fn parsed(
    algorithm: &'static dyn VerificationAlgorithm,
    material: &Material,
) -> Fallible<ParsedPublicKey> {
    let spki = material.spki_der().ok_or("no public half")?;
    Ok(ParsedPublicKey::new(algorithm, spki)?)
}

/// The primitive alone: no text is decoded and no claim is read.
pub(super) fn bare(case: &Case) -> Fallible<Contender<'_>> {
    let (material, _) = case.primary()?;
    let der = material.expose();
    let with = |key: ParsedPublicKey| -> Verify<'_> {
        Box::new(move |signed, signature| Ok(key.verify_sig(signed, signature)?))
    };
    let random = SystemRandom::new();
    let (check, make): (Verify<'_>, Sign<'_>) = match case.algorithm {
        SigningAlgorithm::Hs256 => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, der);
            let signing = key.clone();
            let check: Verify<'_> =
                Box::new(move |signed, tag| Ok(hmac::verify(&key, signed, tag)?));
            let make: Sign<'_> = Box::new(move |message| {
                std::hint::black_box(hmac::sign(&signing, message));
                Ok(())
            });
            (check, make)
        }
        SigningAlgorithm::Rs256(_) => {
            let pair = RsaKeyPair::from_pkcs8(der)?;
            let make: Sign<'_> = Box::new(move |message| {
                let mut signature = [0; 256];
                Ok(pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?)
            });
            (with(parsed(&RSA_PKCS1_2048_8192_SHA256, material)?), make)
        }
        SigningAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)?;
            let make: Sign<'_> = Box::new(move |message| {
                std::hint::black_box(pair.sign(&random, message)?);
                Ok(())
            });
            (with(parsed(&ECDSA_P256_SHA256_FIXED, material)?), make)
        }
        _ => {
            let pair = Ed25519KeyPair::from_pkcs8(der)?;
            let make: Sign<'_> = Box::new(move |message| {
                std::hint::black_box(pair.try_sign(message)?);
                Ok(())
            });
            (with(parsed(&ED25519, material)?), make)
        }
    };
    let split = |token: &String| -> Fallible<(Vec<u8>, Vec<u8>)> {
        let (signed, signature) = token.rsplit_once('.').ok_or("no signature")?;
        Ok((signed.as_bytes().to_vec(), BASE64_URL_SAFE_NO_PAD.decode(signature)?))
    };
    let parts = case.tokens.iter().map(split).collect::<Fallible<Vec<_>>>()?;
    let message = parts.first().ok_or("no token")?.0.clone();
    Ok(Contender {
        verify: Box::new(move |nth| {
            let (signed, signature) = parts.get(nth).ok_or("no token")?;
            check(signed, signature)
        }),
        sign: Box::new(move || make(&message)),
    })
}

/// jsonwebtoken as its documentation shows it, with all that it can require required.
pub(super) fn jsonwebtoken(case: &Case) -> Fallible<Contender<'_>> {
    let algorithm: jsonwebtoken::Algorithm = jose_name(case.algorithm).parse()?;
    let mut keys = HashMap::new();
    for (material, kid) in &case.versions {
        let key = match material.public_jwk(kid) {
            None => DecodingKey::from_secret(material.expose()),
            Some(jwk) => {
                let jwk: jsonwebtoken::jwk::Jwk =
                    serde_json::from_value(serde_json::to_value(jwk)?)?;
                DecodingKey::from_jwk(&jwk)?
            }
        };
        keys.insert(kid.0.clone(), key);
    }
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let (material, kid) = case.primary()?;
    let der = material.expose();
    let signing = match case.algorithm {
        SigningAlgorithm::Hs256 => EncodingKey::from_secret(der),
        // PKCS#1: what follows the fixed beginning of a PKCS#8 key of 2048 bits.
        SigningAlgorithm::Rs256(_) => EncodingKey::from_rsa_der(der.get(26..).unwrap_or_default()),
        SigningAlgorithm::Es256 => EncodingKey::from_ec_der(der),
        _ => EncodingKey::from_ed_der(der),
    };
    let header = Header { kid: Some(kid.0.clone()), ..Header::new(algorithm) };
    let claims: Claims = serde_json::from_slice(&case.claims)?;
    Ok(Contender {
        verify: Box::new(move |nth| {
            let token = case.token(nth);
            let kid = jsonwebtoken::decode_header(token)?.kid.ok_or("no kid")?;
            let key = keys.get(&kid).ok_or("no key")?;
            std::hint::black_box(jsonwebtoken::decode::<Claims>(token, key, &validation)?);
            Ok(())
        }),
        sign: Box::new(move || {
            std::hint::black_box(jsonwebtoken::encode(&header, &claims, &signing)?);
            Ok(())
        }),
    })
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Scope {
    scope: String,
}

enum SimpleKey {
    Hs(HS256Key),
    Rs(RS256PublicKey),
    Es(ES256PublicKey),
    Ed(Ed25519PublicKey),
}

enum SimplePair {
    Hs(HS256Key),
    Rs(Box<RS256KeyPair>),
    Es(ES256KeyPair),
    Ed(SimpleEd25519),
}

impl SimpleKey {
    fn of(algorithm: SigningAlgorithm, material: &Material) -> Fallible<Self> {
        let pem = material.public_key().map(keywheel_jose::PublicKey::spki_pem);
        let pem = pem.unwrap_or_default();
        Ok(match algorithm {
            SigningAlgorithm::Hs256 => Self::Hs(HS256Key::from_bytes(material.expose())),
            SigningAlgorithm::Rs256(_) => Self::Rs(RS256PublicKey::from_pem(&pem)?),
            SigningAlgorithm::Es256 => Self::Es(ES256PublicKey::from_pem(&pem)?),
            _ => Self::Ed(Ed25519PublicKey::from_pem(&pem)?),
        })
    }
}

/// jwt-simple: metadata for the kid, then the token.
pub(super) fn jwt_simple(case: &Case) -> Fallible<Contender<'_>> {
    let mut keys = HashMap::new();
    for (material, kid) in &case.versions {
        keys.insert(kid.0.clone(), SimpleKey::of(case.algorithm, material)?);
    }
    let options = VerificationOptions {
        allowed_issuers: Some(HashSet::from([ISSUER.to_owned()])),
        allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
        accept_future: true,
        ..VerificationOptions::default()
    };
    let (material, kid) = case.primary()?;
    let pem = material.delivery(Use::Protect);
    let pair = match case.algorithm {
        SigningAlgorithm::Hs256 => {
            SimplePair::Hs(HS256Key::from_bytes(material.expose()).with_key_id(&kid.0))
        }
        SigningAlgorithm::Rs256(_) => {
            SimplePair::Rs(Box::new(RS256KeyPair::from_pem(pem.expose())?.with_key_id(&kid.0)))
        }
        SigningAlgorithm::Es256 => {
            SimplePair::Es(ES256KeyPair::from_pem(pem.expose())?.with_key_id(&kid.0))
        }
        _ => SimplePair::Ed(SimpleEd25519::from_pem(pem.expose())?.with_key_id(&kid.0)),
    };
    let claims: JWTClaims<Scope> = serde_json::from_slice(&case.claims)?;
    Ok(Contender {
        verify: Box::new(move |nth| {
            let token = case.token(nth);
            let metadata = Token::decode_metadata(token)?;
            let key = keys.get(metadata.key_id().ok_or("no kid")?).ok_or("no key")?;
            let options = Some(options.clone());
            let claims = match key {
                SimpleKey::Hs(key) => key.verify_token::<Scope>(token, options),
                SimpleKey::Rs(key) => key.verify_token::<Scope>(token, options),
                SimpleKey::Es(key) => key.verify_token::<Scope>(token, options),
                SimpleKey::Ed(key) => key.verify_token::<Scope>(token, options),
            }?;
            std::hint::black_box(claims);
            Ok(())
        }),
        sign: Box::new(move || {
            let claims = claims.clone();
            let token = match &pair {
                SimplePair::Hs(key) => key.authenticate(claims),
                SimplePair::Rs(pair) => pair.sign(claims),
                SimplePair::Es(pair) => pair.sign(claims),
                SimplePair::Ed(pair) => pair.sign(claims),
            }?;
            std::hint::black_box(token);
            Ok(())
        }),
    })
}
