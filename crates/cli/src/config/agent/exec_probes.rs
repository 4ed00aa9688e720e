//! The file of `keywheel exec --probe`: `[[probe]]` tables as `agent.toml` has them. What is asked
//! by a path alone is asked over the socket of each child.

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
    for probe in &mut raw.probe {
        if let Some(url) = probe.http.as_mut().filter(|url| url.starts_with('/')) {
            url.insert_str(0, OWN_SOCKET);
        }
        if let Some(workers) = &mut probe.workers {
            // Each child is the parent of its workers; exec puts its number here.
            workers.pid_file.get_or_insert_with(|| "/exec".into());
        }
    }
    let mut faults = Faults::new(text);
    if raw.probe.is_empty() {
        faults.add(&["probe"], "is missing, so nothing would be probed", "add [[probe]]");
    }
    let probes = probe::probes("probe", raw.probe, &mut Place::new(&mut faults, &[]));
    faults.into_result(file, Some(probes))
}

#[cfg(test)]
mod tests {
    use keywheel_deliver::settings::Attempt;

    use super::*;

    #[test]
    fn probes_are_those_of_the_agent_and_a_path_is_asked_over_the_childs_own_socket() {
        let text = "[[probe]]\nhttp = \"/proof\"\nheaders = { X-Proof = \"{artefact}\" }\n\
                    artefact = { ring = \"web\", hmac = \"a probe\" }\n\
                    workers = { header = \"X-Pid\" }\n";
        let probes = parse(Path::new("probes.toml"), text).unwrap();
        let Attempt::Http(http) = &probes[0].attempt else { panic!("it asks over HTTP") };
        assert_eq!(http.url, "unix:/own:/proof");
        assert!(http.workers.is_some());
        assert!(parse(Path::new("probes.toml"), "").is_err());
        assert!(parse(Path::new("probes.toml"), "[[probe]]\nhttp = \"x\"\n").is_err());
    }
}
