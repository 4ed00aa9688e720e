//! `keywheel ring event`: says that something happened in the application, such as a login.

use keywheel_api::ring::Event;
use keywheel_core::id::RingName;

use crate::commands::verb;
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel ring event`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The ring
    ring: RingName,
    /// The event, one of the policy's `on_event`
    name: String,
}

pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let body = Event { name: args.name.clone() };
    let path = format!("/v1/rings/{}/events", args.ring);
    verb::show_after(invocation, &verb::send(invocation, &path, &body, None)?)
}
