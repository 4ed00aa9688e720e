//! The file of `keywheel exec --probe`: `[[probe]]` tables as `agent.toml` has them. What is asked by
//! a path alone is asked over the socket of each child.

use std::path::Path;

use keywheel_deliver::exec::settings::OWN_SOCKET;
use keywheel_deliver::settings::Probe;
use serde::Deserialize;

use super::place::Place;
use super::raw::RawProbe;
use super::{MANUAL, probe};
use crate::config::error::{ConfigErrors, Faults};
use crate::config::read_text;
use crate::failure::Failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProbes {
    #[serde(default)]
    probe: Vec<RawProbe>,
}

/// Reads the probes of a file.
///
/// # Errors
/// When it cannot be read, or with everything that is wrong in it.
pub fn probes_of(file: &Path) -> Result<Vec<Probe>, Failure> {
    let text = read_text(file)?;
    Ok(parse(file, &text)?)
}

fn parse(file: &Path, text: &str) -> Result<Vec<Probe>, ConfigErrors> {
    let mut raw: RawProbes = toml::from_str(text)
        .map_err(|error| ConfigErrors::unreadable(file, text, &error, &MANUAL))?;
    for url in raw.probe.iter_mut().filter_map(|probe| probe.http.as_mut()) {
        if url.starts_with('/') {
            url.insert_str(0, OWN_SOCKET);
        }
    }
    let mut faults = Faults::new(text);
    if raw.probe.is_empty() {
        faults.add(&["probe"], "is missing, so nothing would be probed", "add [[probe]]");
    }
    let probes = probe::probes("probe", raw.probe, &mut Place::new(&mut faults, &[]));
    faults.into_result(file, Some(probes))
}
