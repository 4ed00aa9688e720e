//! `keywheel jwt sign`: makes a token with the primary key of a ring.

use std::io::Read as _;
use std::path::Path;

use keywheel_client::{ProtectError, SignError};
use keywheel_core::id::{ConsumerName, RingName};
use keywheel_jose::token::MAX_TOKEN_BYTES;
use serde_json::json;

use super::ring::OpenRing;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;

/// The arguments of `keywheel jwt sign`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The ring
    #[arg(long, value_name = "RING")]
    ring: RingName,
    /// The consumer, as the ring's policy declares it; its role is protect
    #[arg(long, value_name = "NAME")]
    consumer: Option<ConsumerName>,
    /// The claims, a JSON object. Default: standard input. What is missing of jti, iat and exp is
    /// added
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,
}

/// Signs.
///
/// # Errors
/// When the claims cannot become a token, or the key cannot be had.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let claims = match &args.claims {
        Some(claims) => claims.clone().into_bytes(),
        None => from_standard_input()?,
    };
    let ring = OpenRing::open(invocation, &args.ring, args.consumer.as_ref())?;
    let token = ring.handle().sign_token(&claims).map_err(|error| refused(&error))?;
    if invocation.console.json() {
        invocation.console.value(&json!({ "token": token }))?;
    } else {
        invocation.console.line(&token)?;
    }
    Ok(Exit::Done)
}

fn from_standard_input() -> Result<Vec<u8>, Failure> {
    let mut claims = Vec::new();
    let limit = u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX);
    let read = std::io::stdin().lock().take(limit).read_to_end(&mut claims);
    read.map_err(|error| Failure::io("read", Path::new("standard input"), &error))?;
    Ok(claims)
}

fn refused(error: &SignError) -> Failure {
    let exit = match error {
        SignError::Claims(_) | SignError::WrongKind => Exit::Usage,
        SignError::Protect(ProtectError::Client(_) | ProtectError::Offline { .. }) => {
            Exit::Unreachable
        }
        SignError::Protect(ProtectError::NotAProtector) => Exit::Permission,
        _ => Exit::Failed,
    };
    // What the claims themselves say of it stands behind the remedy.
    let text = match error {
        SignError::Claims(cause) => cause.to_string(),
        error => chain(error),
    };
    let (cause, remedy) = text.rsplit_once("; ").unwrap_or((&text, "check the ring"));
    Failure::new(exit, cause, remedy)
}
