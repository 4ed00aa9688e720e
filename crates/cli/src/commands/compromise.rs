//! `keywheel compromise`: replaces a version that leaked, without waiting for proof.

use clap::ValueEnum;
use keywheel_api::ring::Verb;

use super::verb::{self, OnVersion};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel compromise`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    on: OnVersion,
    /// What happens first; default: what the ring's policy says
    #[arg(long, value_enum)]
    order: Option<Order>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    /// The bad version is refused at once
    RejectFirst,
    /// Protectors switch first, within the policy's time
    SwitchFirst,
}

/// Asks the server.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let order = args.order.map(|order| match order {
        Order::RejectFirst => "reject_first".to_owned(),
        Order::SwitchFirst => "switch_first".to_owned(),
    });
    let body = Verb { order, ..Verb::default() };
    verb::act_on_version(invocation, "compromise", &args.on, &body)
}
