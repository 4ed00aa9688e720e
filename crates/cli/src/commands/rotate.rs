//! `keywheel rotate`: begins a rotation now and, if asked, waits until it is over.

use keywheel_api::ring::{RingStatus, Verb};
use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;

use super::verb::{self, OnRing};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::follow::{Follower, Heard};
use crate::invocation::Invocation;
use crate::progress::RotationBar;
use crate::remote::Remote;
use crate::show;

/// The arguments of `keywheel rotate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    on: OnRing,
    /// When it is done, revokes everything that the versions before the new one protected
    #[arg(long)]
    revoke_active: bool,
    /// When it is done, revokes what the ledger says was issued before, token by token
    #[arg(long)]
    revoke_issued: bool,
    /// Waits until every protector uses the new key; exit code 3 when the rotation stalls
    #[arg(long)]
    wait: bool,
    /// Waits at most this long, then ends with exit code 3; the rotation goes on
    #[arg(long, value_name = "TIME", requires = "wait")]
    timeout: Option<Span>,
}

/// Asks the server.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let remote = Remote::open(invocation)?;
    let body = Verb {
        reason: args.on.reason.clone(),
        revoke_active: args.revoke_active,
        revoke_issued: args.revoke_issued,
        ..Verb::default()
    };
    let path = format!("/v1/rings/{}/rotate", args.on.ring);
    // The feed is joined before the change, so that nothing is missed in between.
    let follower = if args.wait { Some(Follower::join(&remote)?) } else { None };
    let ring: RingStatus = remote.change("POST", &path, &body, args.on.if_revision)?;
    match follower {
        None => verb::show_after(invocation, &ring),
        Some(follower) => wait(invocation, args, &remote, follower, ring),
    }
}

fn wait(
    invocation: &Invocation,
    args: &Args,
    remote: &Remote,
    mut follower: Follower<'_>,
    mut ring: RingStatus,
) -> Outcome {
    let Some(target) = ring.path.as_ref().map(|path| path.version).or(ring.primary) else {
        return verb::show_after(invocation, &ring);
    };
    let mut bar = RotationBar::new(&invocation.console, &args.on.ring);
    let mut told = String::new();
    let started = boot_time();
    loop {
        bar.show(&ring);
        let line = show::ring::line(&ring);
        if line != told && !bar.is_drawn() {
            invocation.console.tell(&line)?;
            told = line;
        }
        if let Some(exit) = verdict(&ring, target) {
            bar.finish();
            return end(invocation, &ring, exit);
        }
        let spent = boot_time().since(started);
        if args.timeout.is_some_and(|limit| spent >= limit) {
            bar.finish();
            return Err(late(&ring, "the rotation is not over yet, and it goes on"));
        }
        let left = args.timeout.map_or(Span::from_secs(60), |limit| limit.minus(spent));
        match follower.next(left.min(Span::from_secs(5)))? {
            Heard::Change(change) if change.ring != args.on.ring.as_str() => {}
            _ => ring = remote.ring(&args.on.ring)?,
        }
    }
}

/// Whether the wait is over: done, taken back, or stalled.
fn verdict(ring: &RingStatus, target: u32) -> Option<Exit> {
    match &ring.path {
        Some(path) if path.stalled => Some(Exit::Late),
        Some(_) => None,
        None if ring.primary == Some(target) => Some(Exit::Done),
        None => Some(Exit::Failed),
    }
}

fn end(invocation: &Invocation, ring: &RingStatus, exit: Exit) -> Outcome {
    match exit {
        Exit::Done => verb::show_after(invocation, ring),
        Exit::Late => Err(late(ring, "the rotation stalls")),
        _ => Err(Failure::failed(
            format!("the rotation was taken back: {}", show::ring::line(ring)),
            format!("see why with: keywheel audit --ring {}", ring.name),
        )),
    }
}

fn late(ring: &RingStatus, what: &str) -> Failure {
    Failure::new(
        Exit::Late,
        format!("{what}: {}", show::ring::line(ring)),
        format!("see who is missing with: keywheel status {}", ring.name),
    )
}
