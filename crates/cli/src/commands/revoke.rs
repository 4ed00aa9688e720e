//! `keywheel revoke`: kills tokens before their time, and lists what is dead. What is revoked stays
//! revoked.

use keywheel_api::revocation::{Revocations, Revoke, RevokedTokens};
use keywheel_client::clock::wall_millis;
use keywheel_core::id::{Kid, RingName};
use keywheel_core::revocation::{Revocation, RevocationError, everything_until};
use keywheel_core::time::{Span, WallTime};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{Piece, Table, Tone};

/// Exactly one of these says what is revoked.
const WHAT: [&str; 6] = ["jti", "subject", "kid", "issued_before", "active", "issued"];

/// The arguments of `keywheel revoke`.
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    group = clap::ArgGroup::new("what").required(true).args(WHAT),
)]
pub struct Args {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    kill: Kill,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Lists what is revoked and has not expired
    List {
        /// The ring
        #[arg(long)]
        ring: RingName,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
    },
}

#[derive(clap::Args, Debug)]
#[group(skip)]
struct Kill {
    /// The ring whose tokens are meant
    #[arg(long, required = true)]
    ring: Option<RingName>,
    /// One token, by its jti; may be repeated
    #[arg(long, value_name = "JTI")]
    jti: Vec<String>,
    /// What a subject was given until now
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Everything that one version protected
    #[arg(long, value_name = "KID")]
    kid: Option<String>,
    /// Everything that was issued before this: seconds since 1970, or RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    issued_before: Option<i64>,
    /// Everything that was issued until now
    #[arg(long)]
    active: bool,
    /// Everything in the ring's ledger, token by token
    #[arg(long)]
    issued: bool,
    /// With --jti and --subject: when the last of them has expired by itself. Default: the ring's
    /// longest lifetime from now
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    expires: Option<i64>,
    /// Why, in words, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Reads seconds since 1970, or RFC 3339.
fn moment(text: &str) -> Result<i64, String> {
    let calendar = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    text.parse().ok().or_else(calendar).ok_or_else(|| {
        "give whole seconds since 1970-01-01, such as 1767225600, or 2026-01-01T00:00:00Z".into()
    })
}

/// Runs it.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: Args) -> Outcome {
    match args.task {
        Some(Task::List { ring, limit }) => list(invocation, &ring, limit),
        None => kill(invocation, args.kill),
    }
}

fn kill(invocation: &Invocation, args: Kill) -> Outcome {
    let Some(ring) = args.ring.clone() else {
        return Err(Failure::new(Exit::Usage, "no ring was named", "give --ring RING"));
    };
    let remote = Remote::open(invocation)?;
    let revoke = named(&remote, &ring, &args)?;
    let body = Revoke {
        ring: ring.to_string(),
        revoke,
        active: args.active,
        issued: args.issued,
        reason: args.reason,
    };
    let done: RevokedTokens = remote.http().post("/v1/revocations", Some(&body), &[])?;
    if invocation.console.json() {
        invocation.console.value(&done)?;
    } else if args.active || args.kid.is_some() || args.issued_before.is_some() {
        invocation.console.tell(&format!("Ring {ring}: revoked."))?;
    } else {
        invocation.console.tell(&format!("Ring {ring}: {} revoked.", done.count))?;
    }
    Ok(Exit::Done)
}

/// What the arguments name, one by one.
fn named(remote: &Remote, ring: &RingName, args: &Kill) -> Result<Vec<Revocation>, Failure> {
    let refused = |error: RevocationError| {
        Failure::new(Exit::Usage, error.to_string(), "see: keywheel revoke --help")
    };
    let now = WallTime(wall_millis());
    let expires = || match args.expires {
        Some(expires) => Ok(expires),
        None => default_expiry(remote, ring, now),
    };
    let mut all = Vec::new();
    if !args.jti.is_empty() {
        let expires = expires()?;
        for jti in &args.jti {
            all.push(Revocation::jti(jti, expires).map_err(refused)?);
        }
    }
    if let Some(subject) = &args.subject {
        let until = everything_until(now);
        all.push(Revocation::subject(subject, until, expires()?).map_err(refused)?);
    }
    if let Some(kid) = &args.kid {
        all.push(Revocation::kid(Kid(kid.clone()), None).map_err(refused)?);
    }
    if let Some(at) = args.issued_before {
        all.push(Revocation::IssuedBefore { at });
    }
    Ok(all)
}

/// When everything that the ring has protected until now has expired.
fn default_expiry(remote: &Remote, ring: &RingName, now: WallTime) -> Result<i64, Failure> {
    let declared = remote.ring(ring)?.policy.longest_lifetime;
    let lifetime = declared.parse::<Span>().map_err(|error| {
        Failure::failed(error.to_string(), "say it yourself, with --expires WHEN")
    })?;
    Ok(everything_until(now.after(lifetime)))
}

fn list(invocation: &Invocation, ring: &RingName, limit: usize) -> Outcome {
    let remote = Remote::open(invocation)?;
    let now = wall_millis().div_euclid(1_000);
    let (mut living, mut since, mut more) = (Vec::new(), 0, true);
    while more && living.len() <= limit {
        let page: Revocations =
            remote.get(&format!("/v1/revocations?ring={ring}&since={since}"))?;
        living.extend(page.revocations.into_iter().filter(|one| !one.is_over(now)));
        since = page.next;
        more = page.next < page.newest;
    }
    more |= living.len() > limit;
    living.truncate(limit);
    if invocation.console.json() {
        invocation.console.value(&json!({ "revocations": living, "more": more }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["BY", "WHICH", "ISSUED BEFORE", "UNTIL"]);
    for one in &living {
        table.row(row(one));
    }
    invocation.console.lines(&table.lines())?;
    if more {
        invocation.console.tell("There are more; raise --limit to see them.")?;
    }
    Ok(Exit::Done)
}

fn row(revocation: &Revocation) -> Vec<Piece> {
    let when = |secs: i64| Piece::from(WallTime(secs.saturating_mul(1_000)).to_string());
    let any = || Piece::new(Tone::Faint, "any");
    let good = || Piece::new(Tone::Faint, "for good");
    match revocation {
        Revocation::Jti { jti, expires } => {
            vec!["jti".into(), Piece::new(Tone::Strong, jti), any(), when(*expires)]
        }
        Revocation::Subject { subject, issued_before, expires } => vec![
            "subject".into(),
            Piece::new(Tone::Strong, subject),
            when(*issued_before),
            when(*expires),
        ],
        Revocation::Kid { kid, issued_before } => vec![
            "kid".into(),
            Piece::new(Tone::Strong, &kid.0),
            issued_before.map_or_else(any, when),
            good(),
        ],
        Revocation::IssuedBefore { at } => vec!["all".into(), any(), when(*at), good()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_revocation_has_a_row() {
        let kid = |issued_before| Revocation::Kid { kid: Kid("k1".into()), issued_before };
        let all = [
            Revocation::jti("one", 60).unwrap(),
            Revocation::subject("alice", 0, 60).unwrap(),
            kid(None),
            kid(Some(60)),
            Revocation::IssuedBefore { at: 60 },
        ];
        let texts = |one| row(one).into_iter().map(|piece| piece.text).collect::<Vec<_>>();
        let (epoch, later) = ("1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z");
        assert_eq!(
            all.each_ref().map(texts),
            [
                ["jti", "one", "any", later],
                ["subject", "alice", epoch, later],
                ["kid", "k1", "any", "for good"],
                ["kid", "k1", later, "for good"],
                ["all", "any", later, "for good"],
            ]
        );
    }
}
