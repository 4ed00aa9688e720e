//! `keywheel jwt inspect`: shows what tokens say, for people who look for an error. It verifies
//! nothing, and says so in every line.

use keywheel_jose::token::danger_peek;

use crate::commands::jws::lines::{judge_each, one_line};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel jwt inspect`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Shows each line of standard input.
///
/// # Errors
/// When standard input cannot be read.
pub fn run(invocation: &Invocation, _args: &Args) -> Outcome {
    invocation.console.warn("nothing is verified here; anybody can write such a token");
    judge_each(invocation, |token| {
        let peeked = danger_peek(token);
        Ok(peeked.and_then(|peeked| {
            let (header, claims) = (one_line(&peeked.header), peeked.claims?);
            let claims = one_line(claims.json());
            let (header, claims) = (header.trim(), claims.trim());
            Ok(format!("\"verified\":false,\"header\":{header},\"claims\":{claims}"))
        }))
    })
}
