//! `keywheel exec --explain`: what is known of a program, and what exec would do with it.

use keywheel_deliver::exec::programs::{self, PROGRAMS, Program, Sockets, UNKNOWN};

use super::{Args, signals};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// Shows what is known of the program.
pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let console = &invocation.console;
    if args.argv.is_empty() {
        for program in PROGRAMS {
            describe(invocation, program, None)?;
        }
        return Ok(Exit::Done);
    }
    let known = programs::known(&args.argv);
    if known.is_none() {
        let name = args.argv.first().map(|name| name.to_string_lossy().into_owned());
        console.line(&format!("{}: not known", name.unwrap_or_default()))?;
    }
    describe(invocation, known.unwrap_or(&UNKNOWN), Some(args))?;
    Ok(Exit::Done)
}

fn describe(
    invocation: &Invocation,
    program: &Program,
    args: Option<&Args>,
) -> Result<(), Failure> {
    let console = &invocation.console;
    if !program.name.is_empty() {
        console.line(program.name)?;
    }
    let stop = args.and_then(|args| args.stop_signal).unwrap_or(program.stop);
    console.line(&format!("  ends in good order on SIG{}", signals::name(stop)))?;
    let sockets = match program.sockets {
        Sockets::All => "takes all sockets of --listen by itself".to_owned(),
        Sockets::Told(argument) => format!("takes the socket of --listen with: {argument}"),
        Sockets::None => "opens its own sockets; --listen is of no use".to_owned(),
    };
    console.line(&format!("  {sockets}"))?;
    console.line(&format!("  {}", program.hint))?;
    if let Some(args) = args {
        let change = match (args.listen.is_empty(), args.copies) {
            (false, _) => "a successor starts beside each copy, which ends when that is ready",
            (true, 1) => "it ends, and then starts again; add --listen or --copies to stay up",
            (true, _) => "copies end and start again one after the other",
        };
        console.line(&format!("  when its keys change: {change}"))?;
    }
    Ok(())
}
