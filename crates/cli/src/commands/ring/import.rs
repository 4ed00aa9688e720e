//! `keywheel ring import`: takes over exactly the bytes that a team already uses, so that adopting
//! keywheel invalidates nothing.

use keywheel_api::ring::{Import, PutRing, RingStatus, Verb};
use keywheel_core::id::RingName;

use super::source::{Form, Source};
use crate::commands::verb;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::remote::Remote;

/// The arguments of `keywheel ring import`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The ring, declared in the configuration; it must not exist yet, unless it is `external`
    ring: RingName,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    form: Form,
}

pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let remote = Remote::open(invocation)?;
    let present = present(&remote, &args.ring)?;
    let key = args.source.read(&args.form)?;
    let console = &invocation.console;
    let took = format!("Read {} bytes, written as {}.", key.bytes, key.import.format);
    let ring = match present {
        None => create(invocation, &remote, &args.ring, key.import)?,
        Some(ring) if ring.kind == "external" => {
            let body = Verb { import: Some(key.import), ..Verb::default() };
            let path = format!("/v1/rings/{}/rotate", args.ring);
            remote.change("POST", &path, &body, Some(ring.revision))?
        }
        Some(_) => {
            return Err(Failure::new(
                Exit::Refused,
                format!("ring `{}` exists, and its keys are made by keywheel", args.ring),
                "import before the ring is created: declare it, and start with serve --no-apply",
            ));
        }
    };
    console.tell(&took)?;
    if let Some(version) = ring.versions.iter().max_by_key(|version| version.number)
        && !console.json()
    {
        console.tell(&format!(
            "v{} of {}: kid {}, fingerprint {}",
            version.number, ring.name, version.kid, version.fingerprint
        ))?;
        for weakness in &version.weaknesses {
            console.warn(&format!("this key is weak: {weakness}"));
        }
    }
    verb::show_after(invocation, &ring)
}

fn present(remote: &Remote, name: &RingName) -> Result<Option<RingStatus>, Failure> {
    match remote.http().get::<RingStatus>(&format!("/v1/rings/{name}")) {
        Ok(ring) if ring.deleted.is_some() => Ok(None),
        Ok(ring) => Ok(Some(ring)),
        Err(error) if error.problem().is_some_and(|problem| problem.status == 404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn create(
    invocation: &Invocation,
    remote: &Remote,
    name: &RingName,
    import: Import,
) -> Result<RingStatus, Failure> {
    let config = invocation.config()?;
    let policy = config.rings.get(name).cloned().ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("ring `{name}` is not declared in {}", config.file.display()),
            format!("add a table [ring.{name}] that says what kind of key it is"),
        )
    })?;
    let body = PutRing { policy, import: Some(import), removing_because: None };
    remote.change("PUT", &format!("/v1/rings/{name}"), &body, None)
}
