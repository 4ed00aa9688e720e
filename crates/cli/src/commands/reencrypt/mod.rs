//! `keywheel reencrypt`: moves encrypted columns of PostgreSQL from one key to another. What that
//! takes is decided in `keywheel-reencrypt`; here keys are read, and what happens is shown.

use keywheel_reencrypt::{
    Error, Keys, Move, Outcome as Moved, Progress, Settings, Target, Verdict,
};
use postgres::Client;

use self::arguments::{How, What};
use self::stop::Stop;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

mod arguments;
mod bar;
mod keys;
mod ring;
mod show;
mod stop;

/// The arguments of `keywheel reencrypt`.
#[derive(clap::Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Says what a move would meet: the values, what stands in the way, and what it would cost
    ///
    /// Nothing is written, neither rows nor tables of keywheel.
    Inspect(What),
    /// Moves every row that an old key opens to the new one, or goes on where an earlier run ended
    Run(RunArgs),
    /// Reads every row, and says what the new key opens, what only an old one, and what none
    Verify(What),
    /// Moves every row back: the same as `run` with the keys swapped
    ///
    /// With a ring it is `keywheel rollback RING` and then `run`.
    Rollback(RunArgs),
    /// Lists the moves of a column, and what each one did
    Status(What),
}

/// The arguments of `keywheel reencrypt run`.
#[derive(clap::Args, Debug)]
struct RunArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    how: How,
}

/// Does one of the tasks.
///
/// # Errors
/// When something stands in the way, or the database refuses. What was moved stays moved.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    match &args.task {
        Task::Inspect(what) => inspect(invocation, what),
        Task::Run(args) => match &args.what.ring {
            Some(ring) => ring::run(invocation, args, ring),
            None => move_rows(invocation, args, false),
        },
        Task::Rollback(args) => move_rows(invocation, args, true),
        Task::Verify(what) => match &what.ring {
            Some(ring) => ring::verify(invocation, what, ring),
            None => verify(invocation, what),
        },
        Task::Status(what) => status(invocation, what),
    }
}

fn connect(what: &What) -> Result<Client, Failure> {
    keywheel_reencrypt::connect(&what.config()?).map_err(|error| refused(&error))
}

fn inspect(invocation: &Invocation, what: &What) -> Outcome {
    let target = what.target()?;
    let keys = what.keys_if_any()?;
    let mut client = connect(what)?;
    let found =
        keywheel_reencrypt::inspect(&mut client, &target, keys.as_ref(), &Settings::default())
            .map_err(|error| refused(&error))?;
    show::inspection(invocation, &found)?;
    Ok(if found.obstacles.iter().any(|one| one.refuses) { Exit::Refused } else { Exit::Done })
}

/// Moves the rows, forward or back.
fn move_rows(invocation: &Invocation, args: &RunArgs, back: bool) -> Outcome {
    let target = args.what.target()?;
    let keys = args.what.keys(back)?;
    let moved = move_column(invocation, args, target, &keys, &|_| {}, &Stop::listen()?)?;
    show::moved(invocation, &moved, args.how.dry_run)?;
    if moved.in_quarantine > 0 {
        return Ok(Exit::Found);
    }
    Ok(if moved.is_complete { Exit::Done } else { Exit::Failed })
}

fn move_column(
    invocation: &Invocation,
    args: &RunArgs,
    target: Target,
    keys: &Keys,
    also: &(dyn Fn(&Progress) + Sync),
    stop: &Stop,
) -> Result<Moved, Failure> {
    let config = args.what.config()?;
    let bar = bar::RowsBar::new(invocation.console);
    let moved = Move { target, settings: args.how.settings() }.run(
        &|| keywheel_reencrypt::connect(&config),
        keys,
        &|progress: &Progress| {
            bar.show(progress);
            also(progress);
        },
        stop.flag(),
    );
    bar.finish();
    moved.map_err(|error| refused(&error))
}

fn verify(invocation: &Invocation, what: &What) -> Outcome {
    let stop = Stop::listen()?;
    let verdict = verify_column(invocation, what, &what.target()?, &what.keys(false)?, &stop)?;
    show::verdict(invocation, &verdict)?;
    Ok(if verdict.is_zero() { Exit::Done } else { Exit::Found })
}

fn verify_column(
    invocation: &Invocation,
    what: &What,
    target: &Target,
    keys: &Keys,
    stop: &Stop,
) -> Result<Verdict, Failure> {
    let mut client = connect(what)?;
    let bar = bar::RowsBar::new(invocation.console);
    let verdict = keywheel_reencrypt::verify(
        &mut client,
        target,
        keys,
        &Settings::default(),
        what.wait(),
        &|progress: &Progress| bar.show(progress),
        stop.flag(),
    );
    bar.finish();
    verdict.map_err(|error| refused(&error))
}

fn status(invocation: &Invocation, what: &What) -> Outcome {
    let mut client = connect(what)?;
    let jobs = keywheel_reencrypt::status(&mut client, &what.target()?)
        .map_err(|error| refused(&error))?;
    show::jobs(invocation, &jobs)?;
    Ok(Exit::Done)
}

/// What a command says of what the mover refuses.
fn refused(error: &Error) -> Failure {
    let exit = match error {
        Error::SameKey | Error::NoOldKey => Exit::Usage,
        Error::Reach(error) if error.is_usage() => Exit::Usage,
        Error::Reach(_) => Exit::Unreachable,
        Error::Target { .. }
        | Error::Busy { .. }
        | Error::Changed { .. }
        | Error::Swallowed { .. } => Exit::Refused,
        _ => Exit::Failed,
    };
    Failure::new(exit, error.to_string(), error.remedy())
}
