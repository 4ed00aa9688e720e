//! `keywheel eject`: every key that is accepted now as a plain file, in the forms that other tools
//! read, with a page that says which is primary. So that leaving keywheel is as easy as adopting
//! it.

use std::path::{Path, PathBuf};

use keywheel_core::ring::Ring;
use keywheel_engine::Ejected;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::private;
use crate::show::counted;
use crate::state::{State, engine_failure};

mod files;
mod readme;

/// How many rings one page of names brings.
const PAGE: usize = 500;

/// The arguments of `keywheel eject`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder to write, new or empty; it becomes mode 0700
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Says that every secret may be written in the clear
    #[arg(long)]
    reveal: bool,
}

/// Writes the keys. The server must be stopped, so that nothing rotates meanwhile.
///
/// # Errors
/// When `--reveal` is missing, a server runs, the folder is not empty, or a ring is not believed.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    if !args.reveal {
        return Err(Failure::new(
            Exit::Usage,
            "eject writes every secret in the clear",
            "say so with --reveal",
        ));
    }
    let config = invocation.config()?;
    let state = State::open(&config.server)?;
    let engine = state.engine(&config.server, false)?;
    prepare(&args.to)?;
    let (mut rings, mut after) = (Vec::new(), None);
    loop {
        let page =
            engine.ring_names(after.as_ref(), PAGE).map_err(|error| engine_failure(&error))?;
        let Some(last) = page.last().cloned() else { break };
        after = Some(last);
        for name in page {
            let ejected = engine.eject(&name).map_err(|error| engine_failure(&error))?;
            if ejected.ring().deleted.is_none() {
                rings.push(write_ring(&args.to, &ejected)?);
            }
        }
    }
    private::write_new(&args.to.join("README.md"), readme::page(&rings).as_bytes())?;
    let shown = args.to.display().to_string();
    if invocation.console.json() {
        let names: Vec<&str> = rings.iter().map(|ring| ring.name.as_str()).collect();
        invocation.console.value(&json!({ "folder": shown, "rings": names }))?;
        return Ok(Exit::Done);
    }
    let (console, count) = (&invocation.console, counted(rings.len(), "ring"));
    console.tell(&format!("Wrote {count} to {shown}; README.md there says how to use them."))?;
    console
        .tell("Every secret is in that folder in the clear. Guard it, and erase it after use.")?;
    Ok(Exit::Done)
}

/// A ring as it was written, for the page that explains it.
struct Written {
    name: String,
    kind: &'static str,
    /// Each accepted version, the primary first.
    versions: Vec<WrittenVersion>,
}

struct WrittenVersion {
    number: u32,
    kid: String,
    primary: bool,
    files: Vec<String>,
}

fn write_ring(folder: &Path, ejected: &Ejected) -> Result<Written, Failure> {
    let ring = ejected.ring();
    let folder = folder.join(ring.name.as_str());
    private::make_folder(&folder)?;
    let primary = ring.primary();
    let mut versions = Vec::new();
    let mut public_keys = Vec::new();
    for (number, version) in ring.accepted() {
        let Some(material) = ejected.material(number) else { continue };
        let files = files::write(&folder, number, version, material)?;
        public_keys.extend(material.public_jwk(&version.kid));
        let (number, kid) = (number, version.kid.0.clone());
        versions.push(WrittenVersion {
            number: number.0,
            kid,
            primary: Some(number) == primary,
            files,
        });
    }
    if !public_keys.is_empty() {
        let document = json!({ "keys": public_keys }).to_string();
        private::write_new(&folder.join("jwks.json"), document.as_bytes())?;
    }
    versions.sort_by_key(|version| (!version.primary, std::cmp::Reverse(version.number)));
    Ok(Written { name: ring.name.to_string(), kind: kind(ring), versions })
}

const fn kind(ring: &Ring) -> &'static str {
    use keywheel_core::kind::Kind;
    match &ring.policy.kind {
        Kind::Secret { .. } => "secret",
        Kind::Signing { .. } => "signing",
        Kind::Encryption { .. } => "encryption",
        Kind::External => "external",
    }
}

/// Nothing may be mixed with what somebody else put there.
fn prepare(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    private::make_folder(folder)?;
    let mut entries =
        std::fs::read_dir(folder).map_err(|error| Failure::io("read", folder, &error))?;
    if entries.next().is_some() {
        return Err(Failure::failed(
            format!("{} is not empty", folder.display()),
            "name a folder that does not exist yet, or an empty one",
        ));
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
        .map_err(|error| Failure::io("closed to others", folder, &error))
}
