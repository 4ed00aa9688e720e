//! What `keywheel exec` runs and how, settled: the variables as they are written on the command
//! line become takes here, and what cannot work is refused before anything starts.

use std::ffi::OsString;
use std::fmt;

use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use rustix::process::Signal;

use super::plan::Shape;
use super::programs::Program;
use crate::settings::{Attempt, Form, Order, Probe, Several, Take, Which};

/// In arguments and variables this becomes the number of the copy, from 0.
pub const INDEX: &str = "{index}";

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct ExecSettings {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// What is known of it.
    pub program: Program,
    /// What it is given in its environment.
    pub variables: Vec<Variable>,
    /// How many copies, and how they are replaced.
    pub shape: Shape,
    /// The signal with which it ends in good order.
    pub stop_signal: Signal,
    /// After this it is killed, with everything in its process group.
    pub stop_timeout: Span,
    /// The keys must have arrived within this.
    pub start_timeout: Span,
    /// What shows that a child works, before its predecessor goes.
    pub ready: Ready,
    /// What shows that the keys are used: over the child's own socket before its predecessor goes,
    /// else once no child holds anything older.
    pub probes: Vec<Probe>,
    /// What happens when a child ends by itself.
    pub restart: Restart,
    /// What happens when no server was reached for `offline_max`.
    pub when_offline: OfflineExec,
}

/// What shows that a child works.
#[derive(Clone, Debug)]
pub enum Ready {
    /// It still runs after this time.
    Settled(Span),
    /// A probe of an address; with several children any of them may have answered.
    Probed(Probe),
    /// A probe over a socket that only this child listens on. The path in its URL stands behind
    /// [`OWN_SOCKET`].
    Own(Probe),
}

/// The beginning of a URL over the child's own socket, until there is one.
pub const OWN_SOCKET: &str = "unix:/own:";

/// What happens when a child ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Everything ends, with its exit code.
    Never,
    /// It is started again when it failed; otherwise everything ends.
    OnFailure,
    /// It is started again.
    Always,
}

/// What happens when no server was reached for `offline_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineExec {
    /// The program goes on with what it has, and no silence counts as its end.
    Keep,
    /// It is stopped until a server is reached again.
    Stop,
}

/// One variable of the program's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub value: VariableValue,
}

/// What is in a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableValue {
    /// Values of a ring.
    Ring(Take),
    /// A text with [`INDEX`] in it, for what differs between copies.
    Indexed(String),
}

/// Why a variable cannot be set so. Never shows its value, which may be a secret by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--env {name}: {cause}")]
pub struct VariableError {
    name: String,
    cause: String,
    remedy: String,
}

impl VariableError {
    fn new(name: &str, cause: impl fmt::Display, remedy: &str) -> Self {
        Self { name: name.to_owned(), cause: cause.to_string(), remedy: remedy.to_owned() }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

const GRAMMAR: &str = "write NAME=ring:RING, or NAME=ring:RING:others,join=SEPARATOR with \
                       primary, others or accepted, and where needed form=… and order=… before \
                       json or join=…";

impl std::str::FromStr for Variable {
    type Err = VariableError;

    fn from_str(text: &str) -> Result<Self, VariableError> {
        let Some((name, value)) = text.split_once('=') else {
            // It may be a value that stands in the place of the name.
            return Err(VariableError::new("…", "names no ring", GRAMMAR));
        };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins_well = name.chars().next().is_some_and(|c| word(c) && !c.is_ascii_digit());
        if !begins_well || !name.chars().all(word) {
            let remedy = "use letters, digits and `_`, not starting with a digit";
            return Err(VariableError::new("…", "the name is no variable's", remedy));
        }
        let value = match value.strip_prefix("ring:") {
            Some(rest) => VariableValue::Ring(take(name, rest)?),
            None if value.contains(INDEX) => VariableValue::Indexed(value.to_owned()),
            None => {
                let cause = "its value is neither of a ring nor differs between copies";
                let remedy = "write NAME=ring:RING; set other variables in the environment of \
                              keywheel exec itself, because arguments can be seen by everybody";
                return Err(VariableError::new(name, cause, remedy));
            }
        };
        Ok(Self { name: name.to_owned(), value })
    }
}

/// Reads `web-session:others,order=primary-last,join=,`. A separator is all that stands behind
/// `join=`, commas included, so it comes last.
fn take(name: &str, text: &str) -> Result<Take, VariableError> {
    let (ring, options) = match text.split_once([':', ',']) {
        Some((ring, _)) => (ring, text.get(ring.len().saturating_add(1)..).unwrap_or_default()),
        None => (text, ""),
    };
    let ring = ring.parse().map_err(|error| VariableError::new(name, error, GRAMMAR))?;
    let mut which = Which::Primary;
    let mut order = None;
    let mut form = Form::Text;
    let mut several = None;
    let mut rest = options;
    while !rest.is_empty() {
        if let Some(separator) = rest.strip_prefix("join=") {
            several = Some(Several::Join(separator.to_owned()));
            break;
        }
        let (option, more) = rest.split_once(',').unwrap_or((rest, ""));
        rest = more;
        match option.split_once('=') {
            None if option == "json" => several = Some(Several::Json),
            None => which = one_of(name, option, &WHICH)?,
            Some(("order", order_text)) => order = Some(one_of(name, order_text, &ORDERS)?),
            Some(("form", form_text)) => form = one_of(name, form_text, &FORMS)?,
            Some((other, _)) => {
                return Err(VariableError::new(name, format!("`{other}` is unknown"), GRAMMAR));
            }
        }
    }
    let is_one = which == Which::Primary;
    match &several {
        None if !is_one => {
            let remedy = "say how several values become one text: json, or join=, at the end";
            return Err(VariableError::new(name, "takes several values as one text", remedy));
        }
        Some(_) if is_one => {
            let remedy = "remove it, or take others or accepted";
            return Err(VariableError::new(name, "has nothing to join: it is one value", remedy));
        }
        Some(Several::Join(separator)) if separator.is_empty() => {
            let remedy = "write join=, for example";
            return Err(VariableError::new(name, "its values could not be told apart", remedy));
        }
        _ => {}
    }
    let several = several.unwrap_or_else(|| Several::Join(",".to_owned()));
    Ok(Take { ring, which, order: order.unwrap_or(Order::PrimaryFirst), form, several })
}

const WHICH: [(&str, Which); 3] =
    [("primary", Which::Primary), ("others", Which::Others), ("accepted", Which::Accepted)];
const ORDERS: [(&str, Order); 2] =
    [("primary-first", Order::PrimaryFirst), ("primary-last", Order::PrimaryLast)];
const FORMS: [(&str, Form); 6] = [
    ("text", Form::Text),
    ("base64", Form::Base64),
    ("hex", Form::Hex),
    ("public-pem", Form::PublicPem),
    ("kid", Form::Kid),
    ("fingerprint", Form::Fingerprint),
];

fn one_of<T: Copy>(name: &str, text: &str, known: &[(&str, T)]) -> Result<T, VariableError> {
    let found = known.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let remedy = format!("use {}", words.join(", "));
        VariableError::new(name, format!("`{text}` is unknown"), &remedy)
    })
}

/// Whether a probe asks over the child's own socket.
pub(super) fn is_own(probe: &Probe) -> bool {
    matches!(&probe.attempt, Attempt::Http(http) if http.url.starts_with(OWN_SOCKET))
}

impl ExecSettings {
    /// Whether each child needs a socket of its own, to be asked over.
    pub fn needs_own_sockets(&self) -> bool {
        matches!(self.ready, Ready::Own(_)) || self.probes.iter().any(is_own)
    }

    /// The rings that the variables name, each once.
    pub fn rings(&self) -> Vec<RingName> {
        let mut rings: Vec<RingName> = self.takes().map(|take| take.ring.clone()).collect();
        rings.sort();
        rings.dedup();
        rings
    }

    fn takes(&self) -> impl Iterator<Item = &Take> {
        self.variables.iter().filter_map(|variable| match &variable.value {
            VariableValue::Ring(take) => Some(take),
            VariableValue::Indexed(_) => None,
        })
    }

    /// The rings of which the program is given the primary alone, so that it accepts nothing else.
    pub fn one_slot(&self) -> Vec<RingName> {
        let rings = self.rings().into_iter();
        rings
            .filter(|ring| {
                let mut of_ring = self.takes().filter(|take| take.ring == *ring);
                of_ring.all(|take| {
                    take.which == Which::Primary
                        || matches!(take.form, Form::Kid | Form::Fingerprint)
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(text: &str) -> Take {
        match text.parse::<Variable>().unwrap().value {
            VariableValue::Ring(take) => take,
            VariableValue::Indexed(_) => panic!("{text} is of a ring"),
        }
    }

    #[test]
    fn variables_say_which_values_and_how_they_are_joined() {
        let take = ring("SECRET_KEY=ring:web-session");
        assert_eq!((take.ring.as_str(), take.which), ("web-session", Which::Primary));
        let take = ring("SECRET_KEY_FALLBACKS=ring:web-session:others,join=,");
        assert_eq!((take.which, take.several), (Which::Others, Several::Join(",".into())));
        let take = ring("K=ring:pii:accepted,form=base64,order=primary-last,json");
        assert_eq!(take.which, Which::Accepted);
        assert_eq!((take.form, take.order), (Form::Base64, Order::PrimaryLast));
        assert_eq!(take.several, Several::Json);
        let take = ring("K=ring:pii,form=hex");
        assert_eq!((take.which, take.form), (Which::Primary, Form::Hex));
        assert_eq!(
            "PORT=800{index}".parse::<Variable>().unwrap().value,
            VariableValue::Indexed("800{index}".into())
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_showing_it() {
        let refused = |text: &str| text.parse::<Variable>().unwrap_err();
        for text in [
            "SECRET_KEY",
            "SECRET_KEY=hunter2hunter2",
            "1K=ring:web",
            "=ring:web",
            "K=ring:web:all",
            "K=ring:web:others",
            "K=ring:web:others,join=",
            "K=ring:web:primary,json",
            "K=ring:web:others,from=x,json",
            "K=ring:web:others,form=pem,json",
            "K=ring:Not A Ring",
        ] {
            let error = refused(text);
            assert!(!error.remedy().is_empty());
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(!refused("hunter2").to_string().contains("hunter2"));
    }
}
