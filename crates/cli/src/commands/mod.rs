//! One file for each verb: its arguments, what it asks of the server or of the state folder, and
//! what it shows.

use crate::arguments::Command;
use crate::failure::Outcome;
use crate::invocation::Invocation;

pub mod agent;
pub mod apply;
pub mod approve;
pub mod audit;
pub mod backup;
pub mod completions;
pub mod compromise;
pub mod demo;
pub mod doctor;
pub mod eject;
pub mod exec;
pub mod init;
pub mod instance;
pub mod internal;
pub mod jwks;
pub mod jws;
pub mod jwt;
pub mod kek;
pub mod man;
pub mod pause;
pub mod plan;
pub mod promote;
pub mod reencrypt;
pub mod restore;
pub mod resume;
pub mod revoke;
pub mod ring;
pub mod rollback;
pub mod rotate;
pub mod scan;
pub mod serve;
pub mod status;
pub mod suspend;
pub mod token;
pub mod verb;
pub mod waive;

/// Runs a command.
///
/// # Errors
/// With what the command says when it fails.
pub fn run(invocation: &Invocation, command: Command) -> Outcome {
    match command {
        Command::Demo(args) => demo::run(invocation, &args),
        Command::Init(args) => init::run(invocation, &args),
        Command::Serve(args) => serve::run(invocation, &args),
        Command::Agent(args) => agent::run(invocation, &args),
        Command::Apply(args) => apply::run(invocation, &args),
        Command::Status(args) => status::run(invocation, &args),
        Command::Jwks(args) => jwks::run(invocation, args),
        Command::Plan(args) => plan::run(invocation, &args),
        Command::Rotate(args) => rotate::run(invocation, &args),
        Command::Promote(args) => promote::run(invocation, &args),
        Command::Approve(args) => approve::run(invocation, &args),
        Command::Waive(args) => waive::run(invocation, &args),
        Command::Rollback(args) => rollback::run(invocation, &args),
        Command::Pause(args) => pause::run(invocation, &args),
        Command::Resume(args) => resume::run(invocation, &args),
        Command::Suspend(args) => suspend::run(invocation, &args),
        Command::Compromise(args) => compromise::run(invocation, &args),
        Command::Ring(args) => ring::run(invocation, args),
        Command::Instance(args) => instance::run(invocation, args),
        Command::Token(args) => token::run(invocation, args),
        Command::Jwt(args) => jwt::run(invocation, &args),
        Command::Jws(args) => jws::run(invocation, &args),
        Command::Revoke(args) => revoke::run(invocation, args),
        Command::Audit(args) => audit::run(invocation, &args),
        Command::Backup(args) => backup::run(invocation, &args),
        Command::Restore(args) => restore::run(invocation, &args),
        Command::Kek(args) => kek::run(invocation, &args),
        Command::Exec(args) => exec::run(invocation, &args),
        Command::Scan(args) => scan::run(invocation, &args),
        Command::Reencrypt(args) => reencrypt::run(invocation, &args),
        Command::Doctor(args) => doctor::run(invocation, &args),
        Command::Eject(args) => eject::run(invocation, &args),
        Command::Completions(args) => completions::run(invocation, &args),
        Command::Man(args) => man::run(invocation, &args),
        Command::Internal(args) => internal::run(invocation, &args),
    }
}
