//! `keywheel ring destroy`: erases a retired version before its time. There is no way back.

use keywheel_api::ring::Verb;

use crate::commands::verb::{self, OnVersion};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel ring destroy`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    on: OnVersion,
    /// For an encryption ring: says that data may become unreadable for ever
    #[arg(long)]
    lose_data: bool,
}

pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let body = Verb { lose_data: args.lose_data, ..Verb::default() };
    verb::act_on_version(invocation, "destroy", &args.on, &body)
}
