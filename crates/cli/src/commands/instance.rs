//! `keywheel instance`: processes that cannot speak for themselves any more. `keywheel status RING`
//! lists them. To end one bends a law, leaves its mark in status and audit, and needs the right
//! `breakglass`.

use keywheel_api::instance::{EndInstance, EndedInstance};
use keywheel_core::id::{InstanceId, RingName};

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;

/// The arguments of `keywheel instance`.
#[derive(clap::Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Counts an instance as ended that is lost for good and cannot say goodbye
    End(End),
}

#[derive(clap::Args, Debug)]
struct End {
    /// The instance, as `keywheel status RING` names it
    id: InstanceId,
    /// Only in this ring. Default: in every ring that it registered for
    #[arg(long)]
    ring: Option<RingName>,
    /// Why, in words, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only if the ring still is at this revision
    #[arg(long, value_name = "N", requires = "ring")]
    if_revision: Option<u64>,
}

/// Runs a task.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: Args) -> Outcome {
    match args.task {
        Task::End(args) => end(invocation, args),
    }
}

fn end(invocation: &Invocation, args: End) -> Outcome {
    let body = EndInstance { reason: args.reason, ring: args.ring.map(Into::into) };
    let path = format!("/v1/instances/{}/end", args.id);
    let remote = Remote::open(invocation)?;
    let ended: EndedInstance = remote.change("POST", &path, &body, args.if_revision)?;
    if invocation.console.json() {
        invocation.console.value(&ended)?;
    } else {
        let rings = ended.rings.join(", ");
        invocation.console.tell(&format!("Instance {} has ended in {rings}.", ended.instance))?;
    }
    Ok(Exit::Done)
}
