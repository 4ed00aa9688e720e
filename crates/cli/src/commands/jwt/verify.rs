//! `keywheel jwt verify`: holds tokens against the keys of a file or of a ring, and against what
//! they are expected to say.

use std::path::PathBuf;

use keywheel_client::TokenRefusal;
use keywheel_core::id::{ConsumerName, RingName};
use keywheel_core::time::Span;
use keywheel_engine::ports::Clock as _;
use keywheel_jose::token::{Algorithm, Claims, Expected, UnixSeconds, verify};
use keywheel_store::SystemClock;
use serde_json::Value;

use super::ring::{OpenRing, unreached};
use crate::commands::jws::lines::{judge_each, keys_of_file, one_line};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// The arguments of `keywheel jwt verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// A JWK set or a JWK, public or private
    #[arg(long, value_name = "FILE", required_unless_present = "ring")]
    jwks: Option<PathBuf>,
    /// The keys of this ring, from the server, with the token of a consumer
    #[arg(long, value_name = "RING", conflicts_with = "jwks")]
    ring: Option<RingName>,
    /// With --ring: the consumer, as the ring's policy declares it
    #[arg(long, value_name = "NAME", requires = "ring")]
    consumer: Option<ConsumerName>,
    /// Accepts no other algorithm, such as EdDSA. Default: those that the keys are bound to
    #[arg(long, value_name = "ALG")]
    alg: Option<Algorithm>,
    /// The issuer (iss) that a token must name; several may be given, and one must fit
    #[arg(long, value_name = "TEXT")]
    issuer: Vec<String>,
    /// The audience (aud) that a token must be meant for; several may be given, and one must fit
    #[arg(long, value_name = "TEXT")]
    audience: Vec<String>,
    /// The subject (sub) that a token must name
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// The type (typ) that the header must name, such as at+jwt
    #[arg(long, value_name = "TYPE")]
    typ: Option<String>,
    /// How far the clocks of issuer and verifier may be apart, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    leeway: u32,
    /// The present, in seconds since the Unix epoch. Default: the clock
    #[arg(long, value_name = "UNIX", conflicts_with = "ring", allow_negative_numbers = true)]
    now: Option<i64>,
    /// The claims that must be there, whatever they say; replaces the default
    #[arg(long, value_name = "CLAIMS", value_delimiter = ',', default_value = "exp")]
    require: Vec<String>,
}

const AFTER_HELP: &str = "Prints one JSON object a line: ok, then kid and claims, or error and \
                          detail. Exit code 0 only if all pass.";

/// Verifies each line of standard input.
///
/// # Errors
/// When the keys cannot be had or standard input cannot be read.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let expected = expected(args);
    if let Some(ring) = &args.ring {
        let ring = OpenRing::open(invocation, ring, args.consumer.as_ref())?;
        return judge_each(invocation, |token| {
            match ring.handle().verify_token(token, &expected) {
                Ok(verified) => Ok(Ok(said(Some(&verified.version.kid().0), &verified.claims))),
                Err(TokenRefusal::Token(error)) => Ok(Err(error)),
                Err(TokenRefusal::Client(error)) => Err(unreached(&error)),
                Err(error) => Err(Failure::failed(error.to_string(), "use one release throughout")),
            }
        });
    }
    let Some(file) = &args.jwks else {
        return Err(Failure::new(Exit::Usage, "there are no keys", "give --jwks or --ring"));
    };
    let keys = keys_of_file(file)?;
    judge_each(invocation, |token| {
        let now = UnixSeconds(args.now.unwrap_or_else(|| SystemClock.wall().seconds()));
        let verified = verify(token, &keys, &expected, now);
        Ok(verified.map(|verified| said(verified.key.kid(), &verified.claims)))
    })
}

fn said(kid: Option<&str>, claims: &Claims) -> String {
    let (kid, claims) = (Value::from(kid), one_line(claims.json()));
    format!("\"ok\":true,\"kid\":{kid},\"claims\":{}", claims.trim())
}

fn expected(args: &Args) -> Expected {
    let required = args.require.iter().filter(|name| !name.is_empty()).cloned();
    let mut expected =
        Expected::new().require(required).leeway(Span::from_secs(u64::from(args.leeway)));
    for issuer in &args.issuer {
        expected = expected.issuer(issuer);
    }
    for audience in &args.audience {
        expected = expected.audience(audience);
    }
    if let Some(subject) = &args.subject {
        expected = expected.subject(subject);
    }
    if let Some(typ) = &args.typ {
        expected = expected.typ(typ);
    }
    match args.alg {
        Some(algorithm) => expected.algorithm(algorithm),
        None => expected,
    }
}
