//! `keywheel ring delete`: refused by the server while anybody accepts anything of the ring.

use keywheel_api::ring::{RingStatus, Verb};
use keywheel_core::id::RingName;

use crate::commands::verb;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;

/// The arguments of `keywheel ring delete`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The ring
    ring: RingName,
    /// Why, in words, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Deletes it although what it protected may become unreadable for ever
    #[arg(long)]
    lose_data: bool,
    /// Only if the ring still is at this revision
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let body =
        Verb { reason: Some(args.reason.clone()), lose_data: args.lose_data, ..Verb::default() };
    let path = format!("/v1/rings/{}", args.ring);
    let ring: RingStatus =
        Remote::open(invocation)?.change("DELETE", &path, &body, args.if_revision)?;
    verb::show_after(invocation, &ring)
}
