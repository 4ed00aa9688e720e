//! `keywheel waive`: opens one gate by hand, for a time and with a reason. It bends a law, leaves
//! its mark in status and audit, and needs the right `breakglass`.

use keywheel_api::ring::Waive;
use keywheel_core::id::{GateName, RingName, ScanName};
use keywheel_core::time::Span;

use super::verb::{self, version_number};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel waive`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The ring
    ring: RingName,
    /// The gate, as `keywheel status` names it
    gate: GateName,
    /// Why, in words, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For how long, at most 24h; one finding at most 90d
    #[arg(long = "for", value_name = "TIME", default_value = "10m")]
    lasts: Span,
    /// Only for this instance
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Gate findings: only this finding, by its id from `keywheel ring findings`; over new reports
    /// and rotations
    #[arg(long, value_name = "ID", conflicts_with_all = ["instance", "version"])]
    finding: Option<String>,
    /// The code base whose finding it is, should several have it
    #[arg(long, value_name = "NAME", requires = "finding")]
    scan: Option<ScanName>,
    /// For this version; default: the one that stands before the gate
    #[arg(long, value_parser = version_number)]
    version: Option<u32>,
    /// Only if the ring still is at this revision
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
}

/// Asks the server.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let body = Waive {
        reason: args.reason.clone(),
        lasts: args.lasts.to_string(),
        instance: args.instance.clone(),
        finding: args.finding.clone(),
        scan: args.scan.as_ref().map(ToString::to_string),
        version: args.version,
    };
    let path = format!("/v1/rings/{}/gates/{}/waive", args.ring, args.gate);
    verb::show_after(invocation, &verb::send(invocation, &path, &body, args.if_revision)?)
}
