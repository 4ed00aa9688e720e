//! What it costs to verify and to make a token. Peers: the bare primitive of aws-lc-rs with a
//! parsed key, jsonwebtoken on aws-lc-rs, and jwt-simple in pure Rust, each used as its own
//! documentation says: keys parsed once, found by the kid of the token among three.

mod peers;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keywheel_core::id::Kid;
use keywheel_core::kind::{Kind, RsaBits, SigningAlgorithm};
use keywheel_core::revocation::{Facts, Revocation, RevocationSet};
use keywheel_engine::ports::Entropy as _;
use keywheel_jose::Material;
use keywheel_jose::token::{Expected, KeySet, NumericDate, Signer, TokenKey, UnixSeconds, verify};
use keywheel_store::SystemEntropy;

use crate::measure::{micros, process_cpu};
use crate::table::{Table, figure, grouped, ratio};
use crate::{Fallible, Scale};

/// How many versions a ring accepts; the tokens are of the last one.
const ACCEPTED: usize = 3;
const TOKENS: usize = 200;
/// The peers read the clock, so tokens end far in the future of every machine.
const NOW: i64 = 1_800_000_000;
const EXPIRES: i64 = 4_102_444_800;
const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "orders";

const ALGORITHMS: [SigningAlgorithm; 4] = [
    SigningAlgorithm::Hs256,
    SigningAlgorithm::Rs256(RsaBits::B2048),
    SigningAlgorithm::Es256,
    SigningAlgorithm::EdDsa,
];

/// The keys and tokens of one algorithm.
struct Case {
    algorithm: SigningAlgorithm,
    /// Each version and its kid; the last is the primary.
    versions: Vec<(Material, Kid)>,
    tokens: Vec<String>,
    claims: Vec<u8>,
}

/// One way to verify a token, and one to make one.
struct Contender<'c> {
    verify: Box<dyn Fn(usize) -> Fallible<()> + 'c>,
    sign: Box<dyn Fn() -> Fallible<()> + 'c>,
}

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let rounds = scale.pick(3, 9);
    let spent = Duration::from_millis(scale.pick(15, 120));
    let revoked = revoked(scale.pick(100_000, 1_000_000))?;
    let mut text = format!(
        "{TOKENS} distinct tokens of 7 claims; {ACCEPTED} accepted versions, found by kid; issuer, \
         audience and times checked; keywheel also looks the token up among {} revoked jti \
         ({:.0} MiB). Median of {rounds} interleaved rounds. The bare primitive has a parsed key, \
         and the signature and what is signed as bytes. jwt-simple is built in pure Rust.\n\n",
        grouped(revoked.len() as f64),
        revoked.bytes() as f64 / f64::from(1 << 20),
    );
    let mut verifying = Table::new(&COLUMNS);
    let mut signing = Table::new(&COLUMNS);
    let mut alone = 0.0;
    for algorithm in ALGORITHMS {
        let case = Case::new(algorithm)?;
        let contenders = [
            peers::bare(&case)?,
            keywheel(&case, &revoked)?,
            peers::jsonwebtoken(&case)?,
            peers::jwt_simple(&case)?,
        ];
        let name = keywheel_jose::jose_name(algorithm);
        let works: Vec<_> = contenders.iter().map(|contender| &*contender.verify).collect();
        verifying.row(name, &cells(&medians(rounds, spent, &works)?));
        let works: Vec<Box<dyn Fn(usize) -> Fallible<()>>> = contenders
            .iter()
            .map(|contender| {
                let sign = &contender.sign;
                Box::new(move |_| sign()) as Box<dyn Fn(usize) -> Fallible<()>>
            })
            .collect();
        let works: Vec<_> = works.iter().map(|work| &**work).collect();
        signing.row(name, &cells(&medians(rounds, spent, &works)?));
        if algorithm == SigningAlgorithm::Hs256 {
            alone = check_alone(rounds, spent, &revoked)?;
        }
    }
    text.push_str("**Verify**, CPU µs\n\n");
    text.push_str(&verifying.finish());
    text.push_str("\n**Sign**, CPU µs\n\n");
    text.push_str(&signing.finish());
    text.push_str("\nThe revocation check alone takes ");
    text.push_str(&figure(alone * 1e3));
    text.push_str(" ns.\n");
    Ok(text)
}

const COLUMNS: [&str; 8] = [
    "",
    "aws-lc-rs",
    "keywheel",
    "to aws-lc-rs",
    "jsonwebtoken 11",
    "to aws-lc-rs",
    "jwt-simple",
    "to aws-lc-rs",
];

fn cells(micros: &[f64]) -> Vec<String> {
    let bare = micros.first().copied().unwrap_or_default();
    let others = micros.iter().skip(1).flat_map(|each| [figure(*each), ratio(*each, bare)]);
    std::iter::once(figure(bare)).chain(others).collect()
}

/// CPU µs of each kind of work: the median of rounds in which every kind has its turn.
fn medians(
    rounds: usize,
    spent: Duration,
    works: &[&dyn Fn(usize) -> Fallible<()>],
) -> Fallible<Vec<f64>> {
    let mut all = vec![Vec::with_capacity(rounds); works.len()];
    for _ in 0..rounds {
        for (work, figures) in works.iter().zip(&mut all) {
            figures.push(once(spent, work)?);
        }
    }
    let median = |mut figures: Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    };
    Ok(all.into_iter().map(median).collect())
}

/// The clock is read once for many calls, because reading it costs as much as an HMAC.
fn once(spent: Duration, work: &dyn Fn(usize) -> Fallible<()>) -> Fallible<f64> {
    work(0)?;
    let start = process_cpu();
    let mut calls = 0_usize;
    // One call tells how many fit.
    work(1)?;
    let one = process_cpu().saturating_sub(start).max(Duration::from_nanos(100));
    let batch = usize::try_from(spent.as_nanos() / one.as_nanos())?.clamp(4, TOKENS * 100);
    let start = process_cpu();
    loop {
        for nth in 0..batch {
            work(nth % TOKENS)?;
        }
        calls += batch;
        let used = process_cpu().saturating_sub(start);
        if used >= spent {
            return Ok(micros(used) / calls as f64);
        }
    }
}

fn revoked(count: usize) -> Fallible<RevocationSet> {
    let mut key = [0; 16];
    SystemEntropy.fill(&mut key);
    let set = RevocationSet::new(key);
    for _ in 0..count {
        set.apply(&Revocation::jti(random_jti(), EXPIRES)?);
    }
    Ok(set)
}

fn random_jti() -> String {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn check_alone(rounds: usize, spent: Duration, revoked: &RevocationSet) -> Fallible<f64> {
    let names: Vec<String> = (0..TOKENS).map(|_| random_jti()).collect();
    let check = |nth: usize| -> Fallible<()> {
        let facts = Facts {
            jti: names.get(nth).map(String::as_str),
            subject: Some("user-12345678"),
            kid: Some("0123456789abcdefABCDEF"),
            issued_at: Some(NOW),
        };
        match std::hint::black_box(revoked.check(&facts)) {
            None => Ok(()),
            Some(_) => Err("a token was revoked".into()),
        }
    };
    Ok(medians(rounds, spent, &[&check])?.first().copied().unwrap_or_default())
}

impl Case {
    fn new(algorithm: SigningAlgorithm) -> Fallible<Self> {
        let kind = Kind::Signing { algorithm };
        let mut fill = |buffer: &mut [u8]| SystemEntropy.fill(buffer);
        let mut versions = Vec::with_capacity(ACCEPTED);
        for _ in 0..ACCEPTED {
            let material = Material::generate(&kind, &mut fill)?;
            let name = material.kid(&mut fill);
            versions.push((material, name));
        }
        let mut case = Self { algorithm, versions, tokens: Vec::new(), claims: claims() };
        let signer = case.signer()?;
        let tokens: Result<Vec<_>, _> = (0..TOKENS).map(|_| signer.sign(&claims())).collect();
        case.tokens = tokens?;
        Ok(case)
    }

    fn primary(&self) -> Fallible<&(Material, Kid)> {
        self.versions.last().ok_or_else(|| "no version".into())
    }

    fn signer(&self) -> Fallible<Signer> {
        let (material, kid) = self.primary()?;
        Ok(Signer::of_material(material, kid)?)
    }

    fn token(&self, nth: usize) -> &str {
        self.tokens.get(nth).map(String::as_str).unwrap_or_default()
    }
}

fn claims() -> Vec<u8> {
    let jti = random_jti();
    format!(
        r#"{{"iss":"{ISSUER}","sub":"user-12345678","aud":"{AUDIENCE}","exp":{EXPIRES},"iat":{NOW},"jti":"{jti}","scope":"orders:read orders:write"}}"#
    )
    .into_bytes()
}

fn keywheel<'c>(case: &'c Case, revoked: &'c RevocationSet) -> Fallible<Contender<'c>> {
    let keys: Result<Vec<_>, _> =
        case.versions.iter().map(|(material, kid)| TokenKey::of_material(material, kid)).collect();
    let keys: KeySet = keys?.into_iter().collect();
    let expected = Expected::new().issuer(ISSUER).audience(AUDIENCE);
    let signer = case.signer()?;
    Ok(Contender {
        verify: Box::new(move |nth| {
            let token = case.token(nth).as_bytes();
            let verified = verify(token, &keys, &expected, UnixSeconds(NOW))?;
            let (jti, subject) = (verified.claims.jti(), verified.claims.subject());
            let facts = Facts {
                jti: jti.as_deref(),
                subject: subject.as_deref(),
                kid: verified.key.kid(),
                issued_at: verified.claims.issued_at().map(NumericDate::floor),
            };
            match revoked.check(&facts) {
                None => {
                    std::hint::black_box(&verified.claims);
                    Ok(())
                }
                Some(_) => Err("a token was revoked".into()),
            }
        }),
        sign: Box::new(move || {
            std::hint::black_box(signer.sign(&case.claims)?);
            Ok(())
        }),
    })
}
