//! `keywheel jws verify`: checks signatures with the keys of a file.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_jose::token::jws;
use serde_json::{Value, json};

use super::lines::{judge_each, keys_of_file};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel jws verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// A JWK or a JWK set, public or private
    #[arg(long, value_name = "FILE")]
    jwk: PathBuf,
}

const AFTER_HELP: &str = "Prints one JSON object a line: ok, then kid and payload (text, or \
                          payload_base64url), or error and detail. Exit code 0 only if all pass.";

/// Verifies each line of standard input.
///
/// # Errors
/// When the keys cannot be used or standard input cannot be read.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let keys = keys_of_file(&args.jwk)?;
    judge_each(invocation, |token| {
        Ok(jws::verify(token, &keys).map(|verified| {
            let kid = Value::from(verified.key.kid());
            match String::from_utf8(verified.payload) {
                Ok(text) => format!("\"ok\":true,\"kid\":{kid},\"payload\":{}", json!(text)),
                Err(error) => {
                    let payload = URL_SAFE_NO_PAD.encode(error.as_bytes());
                    format!("\"ok\":true,\"kid\":{kid},\"payload_base64url\":\"{payload}\"")
                }
            }
        }))
    })
}
