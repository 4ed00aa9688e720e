//! `keywheel status`: what an operator looks at. The table of all rings, the page of one, and both
//! of them live with `--watch`.

use keywheel_api::ring::RingStatus;
use keywheel_core::id::RingName;
use keywheel_core::time::WallTime;
use keywheel_engine::ports::Clock as _;
use keywheel_store::SystemClock;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{self, Line};

mod lines;
mod screen;

/// The arguments of `keywheel status`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The page of this ring; default: the table of all
    ring: Option<RingName>,
    /// Stays and follows: a live screen on a terminal, else a line for each change
    #[arg(long, conflicts_with = "overdue")]
    watch: bool,
    /// Lists only rings that should have rotated and have not: those whose time has passed, and
    /// those whose rotation stalls. Exit code 3 when there is one
    #[arg(long)]
    overdue: bool,
}

/// Shows how rings stand.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let remote = Remote::open(invocation)?;
    if args.watch {
        return if invocation.console.is_live() {
            screen::run(remote, args.ring.clone())
        } else {
            lines::run(invocation, &remote, args.ring.as_ref())
        };
    }
    let mut rings = read(&remote, args.ring.as_ref())?;
    if args.overdue {
        rings.retain(should_have_rotated);
        show_all(invocation, &rings)?;
        return Ok(if rings.is_empty() { Exit::Done } else { Exit::Late });
    }
    if let (Some(_), [ring]) = (&args.ring, rings.as_slice()) {
        return show_one(invocation, ring);
    }
    show_all(invocation, &rings)?;
    Ok(Exit::Done)
}

/// Shows the page of one ring.
///
/// # Errors
/// When standard output cannot be written.
pub fn show_one(invocation: &Invocation, ring: &RingStatus) -> Outcome {
    if invocation.console.json() {
        invocation.console.value(ring)?;
    } else {
        invocation.console.lines(&show::ring::page(ring, now()))?;
    }
    Ok(Exit::Done)
}

fn show_all(invocation: &Invocation, rings: &[RingStatus]) -> Result<(), Failure> {
    if invocation.console.json() {
        return invocation.console.value(&rings);
    }
    if rings.is_empty() {
        return invocation.console.tell("No ring.");
    }
    invocation.console.lines(&show::ring::table(rings, now()))
}

fn should_have_rotated(ring: &RingStatus) -> bool {
    let stalls = ring.path.as_ref().is_some_and(|path| path.stalled);
    (ring.overdue || stalls) && ring.deleted.is_none()
}

/// What is watched: one ring, or all that exist.
fn read(remote: &Remote, ring: Option<&RingName>) -> Result<Vec<RingStatus>, Failure> {
    match ring {
        Some(ring) => Ok(vec![remote.ring(ring)?]),
        None => remote.rings(),
    }
}

/// The page of one ring, or the table of all.
fn render(rings: &[RingStatus], one: bool, now: WallTime) -> Vec<Line> {
    match rings {
        [ring] if one => show::ring::page(ring, now),
        rings => show::ring::table(rings, now),
    }
}

fn now() -> WallTime {
    SystemClock.wall()
}
