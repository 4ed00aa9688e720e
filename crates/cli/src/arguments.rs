//! The arguments that every command takes, and the list of commands. Each command's own arguments
//! stand in its file.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::commands;
use crate::exit::{self, Exit};
use crate::failure::Failure;

/// Rotates the secrets of running applications without dropping one request, and proves it.
#[derive(Parser)]
#[command(
    name = "keywheel",
    version,
    max_term_width = 100,
    after_help = exit::HELP,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The heading of what every command takes.
pub const EVERY_COMMAND: &str = "Options of every command";

/// What every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = EVERY_COMMAND)]
pub struct Global {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "KEYWHEEL_CONFIG",
        default_value = "keywheel.toml",
        hide_env_values = true
    )]
    pub config: PathBuf,
    /// The server to ask: unix:/path, http://127.0.0.1:7117 or https://host:port. Default: where
    /// the configuration lets it listen.
    #[arg(
        long,
        global = true,
        value_name = "ENDPOINT",
        env = "KEYWHEEL_SERVER",
        hide_env_values = true
    )]
    pub server: Option<String>,
    /// The file with the token, of mode 0600. Default: admin.token in the server's state folder.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "KEYWHEEL_TOKEN_FILE",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
    /// The authority (PEM) that signed the server's certificate. Default: that of the system.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "KEYWHEEL_CA_FILE",
        hide_env_values = true
    )]
    pub ca_file: Option<PathBuf>,
    /// Answers and errors as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// No colours. The variable NO_COLOR does the same.
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Says less.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Says more; twice, still more.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Shows four rotations of real processes under load
    Demo(commands::demo::Args),
    /// Writes a commented keywheel.toml
    Init(commands::init::Args),
    /// Runs the server
    Serve(commands::serve::Args),
    /// Answers for consumers that cannot speak: files, nginx, systemd units
    ///
    /// Here, --config names the agent's own file; it is agent.toml unless set. The server and the
    /// tokens stand in it, so --server, --token-file and --ca-file have no effect.
    ///
    /// SIGHUP makes the agent read its file again: all of it or nothing. SIGTERM ends it; a
    /// delivery that goes on is then taken back.
    Agent(commands::agent::Args),
    /// Sends the rings of the configuration to the server
    Apply(commands::apply::Args),
    /// Shows how rings stand
    Status(commands::status::Args),
    /// Shows what a rotation would do and when
    Plan(commands::plan::Args),
    /// Begins a rotation now
    Rotate(commands::rotate::Args),
    /// Promotes the confirmed version now instead of at the next tick; never skips a gate
    Promote(commands::promote::Args),
    /// Approves the promotion that waits for a person
    Approve(commands::approve::Args),
    /// Opens one gate by hand, for a time and with a reason
    Waive(commands::waive::Args),
    /// Makes the former key primary again
    Rollback(commands::rollback::Args),
    /// Holds a ring still
    Pause(commands::pause::Args),
    /// Lets a held ring, or a suspended version, go on
    Resume(commands::resume::Args),
    /// Takes one version out of use for a while
    Suspend(commands::suspend::Args),
    /// Replaces a version that leaked, without waiting
    Compromise(commands::compromise::Args),
    /// Lists, shows, imports and deletes rings; reports evidence and events
    Ring(commands::ring::Args),
    /// Ends an instance whose host is lost for good
    Instance(commands::instance::Args),
    /// Creates, lists and revokes tokens
    Token(commands::token::Args),
    /// Shows the public keys of signing rings, and who fetched them
    Jwks(commands::jwks::Args),
    /// Verifies, makes and shows tokens of applications
    Jwt(commands::jwt::Args),
    /// Verifies signed data
    Jws(commands::jws::Args),
    /// Kills what a ring protects before its time: tokens, subjects, or all that was issued
    Revoke(commands::revoke::Args),
    /// Shows the record of who did what
    Audit(commands::audit::Args),
    /// Copies the store, sealed as it is, while the server runs
    Backup(commands::backup::Args),
    /// Puts a copy of the store back, or accepts an older store
    Restore(commands::restore::Args),
    /// Shows and replaces the master key
    Kek(commands::kek::Args),
    /// Runs a program with keys in its environment, and anew when they change
    Exec(Box<commands::exec::Args>),
    /// Finds what consumes keys in code and configuration, and what a rotation would break
    ///
    /// It needs no server and no configuration, runs nothing of what it reads, and shows no value.
    Scan(Box<commands::scan::Args>),
    /// Moves encrypted columns of PostgreSQL from one key to another, while they are in use
    ///
    /// It needs no server. Keys and plaintexts never reach the database.
    Reencrypt(Box<commands::reencrypt::Args>),
    /// Looks for what is wrong with this machine, its files and the server
    Doctor(commands::doctor::Args),
    /// Writes every key as a plain file, to leave keywheel
    Eject(commands::eject::Args),
    /// Writes a completion script for a shell
    Completions(commands::completions::Args),
    /// Writes the manual page
    Man(commands::man::Args),
    /// For the build of keywheel itself
    #[command(hide = true)]
    Internal(commands::internal::Args),
}

/// Takes what clap says apart into a cause and a remedy: its tip if it has one, then the usage.
pub fn refusal(rendered: &str) -> Failure {
    let mut cause = Vec::new();
    let mut remedy = Vec::new();
    for paragraph in rendered.split("\n\n") {
        let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(first) = words.strip_prefix("error: ") {
            cause.push(first.to_owned());
        } else if let Some(tip) = words.strip_prefix("tip: ") {
            remedy.push(tip.to_owned());
        } else if let Some(usage) = words.strip_prefix("Usage: ") {
            remedy.push(format!("usage: {usage}"));
        } else if !words.starts_with("For more information") && !words.is_empty() {
            cause.push(words);
        }
    }
    if remedy.is_empty() {
        remedy.push("see: keywheel --help".to_owned());
    }
    Failure::new(Exit::Usage, cause.join(" "), remedy.join("; "))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_of_all_commands_fit_together() {
        Cli::command().debug_assert();
    }
}
