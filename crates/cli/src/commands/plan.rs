//! `keywheel plan`: what a rotation would do and when, and which window is unsafe and why.

use keywheel_api::ring::Plan;
use keywheel_core::id::RingName;

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{Line, Piece, Table, Tone};

/// The arguments of `keywheel plan`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The ring
    ring: RingName,
}

/// Asks the server and shows its answer.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let plan: Plan = Remote::open(invocation)?.get(&format!("/v1/rings/{}/plan", args.ring))?;
    if invocation.console.json() {
        invocation.console.value(&plan)?;
    } else {
        invocation.console.lines(&lines(&plan))?;
    }
    Ok(Exit::Done)
}

fn lines(plan: &Plan) -> Vec<Line> {
    let begins = match (&plan.begins, &plan.cause) {
        (Some(begins), Some(cause)) => format!("begins {begins}: {cause}"),
        (Some(begins), None) => format!("begins {begins}"),
        _ => "begins when somebody asks for it".to_owned(),
    };
    let mut lines = vec![begins.into(), Line::default()];
    let mut table = Table::new(&["STAGE", "EARLIEST END", "WAITS FOR", "IF SKIPPED"]);
    for stage in &plan.stages {
        let mut waits = stage.waits_for.iter();
        table.row(vec![
            Piece::new(Tone::Strong, &stage.stage),
            Piece::from(&stage.earliest_end),
            waits.next().map_or("-", String::as_str).into(),
            Piece::new(Tone::Faint, &stage.unsafe_if_skipped),
        ]);
        for wait in waits {
            table.row(vec!["".into(), "".into(), Piece::from(wait), "".into()]);
        }
    }
    lines.extend(table.lines());
    if !plan.warnings.is_empty() {
        lines.push(Line::default());
    }
    for stage in &plan.stages {
        for cutover in &stage.cutover {
            let mark = Piece::new(Tone::Bad, format!("cutover in {}: ", stage.stage));
            lines.push(Line::new(vec![mark, cutover.into()]));
        }
    }
    for warning in &plan.warnings {
        lines.push(Line::new(vec![Piece::new(Tone::Bad, "warning: "), warning.into()]));
    }
    lines
}
