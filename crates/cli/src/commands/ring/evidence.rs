//! `keywheel ring evidence`: what somebody outside found out, for a gate.

use clap::ValueEnum;
use keywheel_api::ring::{Evidence, RingStatus};
use keywheel_core::id::{GateName, RingName};

use crate::commands::verb::{self, version_number};
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;

/// The arguments of `keywheel ring evidence`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The ring
    ring: RingName,
    /// The gate
    gate: GateName,
    /// What was found
    #[arg(value_enum)]
    verdict: Verdict,
    /// Why it failed
    #[arg(long, value_name = "TEXT", required_if_eq("verdict", "fail"))]
    why: Option<String>,
    /// How this is known
    #[arg(long, value_enum, default_value = "attested")]
    level: Level,
    /// About this version; default: the rotation in progress
    #[arg(long, value_parser = version_number)]
    version: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Verdict {
    Pass,
    Fail,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Probed,
    Exercised,
    Held,
    Attested,
    Assumed,
}

pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let name = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let body = Evidence {
        verdict: name(args.verdict.to_possible_value()),
        why: args.why.clone(),
        level: Some(name(args.level.to_possible_value())),
        version: args.version,
    };
    let path = format!("/v1/rings/{}/gates/{}", args.ring, args.gate);
    let ring: RingStatus = Remote::open(invocation)?.change("PUT", &path, &body, None)?;
    verb::show_after(invocation, &ring)
}
