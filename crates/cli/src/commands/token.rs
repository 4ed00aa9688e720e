//! `keywheel token`: the tokens of callers. A token is written into a file of mode 0600, or shown
//! once with `--reveal`; the server keeps a hash only.

use std::path::PathBuf;

use keywheel_api::token::{CreateToken, CreatedToken, TokenInfo, Tokens};
use keywheel_core::time::Span;
use serde_json::json;
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::private;
use crate::remote::Remote;
use crate::show::{Piece, Table, Tone};

/// The arguments of `keywheel token`.
#[derive(clap::Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Creates a token
    Create(Create),
    /// Lists tokens, without their secrets
    List,
    /// Makes a token worthless at once
    Revoke {
        /// The token's id, as `keywheel token list` shows it
        id: String,
    },
}

#[derive(clap::Args, Debug)]
struct Create {
    /// What it is called in audit and status
    name: String,
    /// admin, operator, breakglass, consumer, auditor, or evidence:GATE
    #[arg(long, value_parser = role)]
    role: String,
    /// A ring that it is good for; may be repeated. Default: all
    #[arg(long = "ring", value_name = "RING", default_value = "*")]
    rings: Vec<String>,
    /// With role consumer: which consumer
    #[arg(long, required_if_eq("role", "consumer"))]
    consumer: Option<String>,
    /// Binds it to a network, such as 10.0.0.0/8
    #[arg(long, value_name = "CIDR")]
    cidr: Option<String>,
    /// Binds it to a user id on the unix socket
    #[arg(long)]
    uid: Option<u32>,
    /// Ends after this time, such as 90d
    #[arg(long, value_name = "TIME")]
    expires_in: Option<Span>,
    /// Writes the token into this new file, of mode 0600
    #[arg(long, value_name = "FILE", required_unless_present = "reveal")]
    out: Option<PathBuf>,
    /// Shows the token on standard output
    #[arg(long)]
    reveal: bool,
}

fn role(text: &str) -> Result<String, String> {
    keywheel_engine::Role::try_from(text.to_owned()).map(String::from).map_err(|cause| {
        format!("{cause}; use admin, operator, breakglass, consumer, auditor or evidence:GATE")
    })
}

/// Runs a task.
///
/// # Errors
/// When the server refuses or cannot be reached, or the file cannot be written.
pub fn run(invocation: &Invocation, args: Args) -> Outcome {
    match args.task {
        Task::Create(create) => self::create(invocation, &create),
        Task::List => list(invocation),
        Task::Revoke { id } => revoke(invocation, &id),
    }
}

fn create(invocation: &Invocation, args: &Create) -> Outcome {
    let remote = Remote::open(invocation)?;
    // A file that cannot be made must not cost a token that nobody ever sees.
    let file = args.out.as_deref().map(private::Reserved::new).transpose()?;
    let body = CreateToken {
        name: args.name.clone(),
        role: args.role.clone(),
        rings: args.rings.clone(),
        consumer: args.consumer.clone(),
        cidr: args.cidr.clone(),
        uid: args.uid,
        expires_in: args.expires_in.map(|span| span.to_string()),
    };
    let created: CreatedToken = remote.change("POST", "/v1/tokens", &body, None)?;
    let token = Zeroizing::new(created.token);
    if let Some(file) = file {
        let mut line = Zeroizing::new(String::with_capacity(token.len() + 1));
        line.push_str(&token);
        line.push('\n');
        file.fill(line.as_bytes())?;
    }
    let console = &invocation.console;
    match (args.reveal, console.json()) {
        (true, true) => console.value(&json!({ "token": *token, "info": created.info }))?,
        (true, false) => console.line(&token)?,
        (false, true) => console.value(&created.info)?,
        (false, false) => {}
    }
    if let Some(path) = &args.out {
        console.tell(&format!("Wrote token {} to {}.", created.info.id, path.display()))?;
    }
    Ok(Exit::Done)
}

fn list(invocation: &Invocation) -> Outcome {
    let tokens: Tokens = Remote::open(invocation)?.get("/v1/tokens")?;
    if invocation.console.json() {
        invocation.console.value(&tokens)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["ID", "NAME", "ROLE", "RINGS", "BOUND TO", "CREATED", "ENDS"]);
    for token in &tokens.tokens {
        table.row(vec![
            Piece::from(&token.id),
            Piece::new(Tone::Strong, &token.name),
            Piece::from(&token.role),
            token.rings.join(",").into(),
            bound(token).into(),
            Piece::from(&token.created),
            match (&token.revoked, &token.expires) {
                (Some(at), _) => Piece::new(Tone::Bad, format!("revoked {at}")),
                (None, Some(at)) => at.into(),
                (None, None) => Piece::new(Tone::Faint, "never"),
            },
        ]);
    }
    invocation.console.lines(&table.lines())?;
    Ok(Exit::Done)
}

fn bound(token: &TokenInfo) -> String {
    let parts: Vec<String> = [
        token.consumer.as_ref().map(|name| format!("consumer {name}")),
        token.cidr.clone(),
        token.uid.map(|uid| format!("uid {uid}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn revoke(invocation: &Invocation, id: &str) -> Outcome {
    // The secret part of a token would otherwise end up in the server's access log.
    let id = id.strip_prefix("kw_").unwrap_or(id);
    let id = id.split('_').next().unwrap_or_default();
    let path = format!("/v1/tokens/{id}");
    let remote = Remote::open(invocation)?;
    let info: TokenInfo = remote.http().delete(&path, None::<&()>, &[])?;
    if invocation.console.json() {
        invocation.console.value(&info)?;
    } else {
        invocation.console.tell(&format!("Token {id} ({}) is revoked.", info.name))?;
    }
    Ok(Exit::Done)
}
