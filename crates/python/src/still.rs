//! Keys that no server gives: those of `KEYWHEEL_URL=file:…` and `env:`, which are read once and
//! prove nothing, and the ring of a test, which its author turns by hand.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keywheel_client::{Client, StillKeys};
use keywheel_core::id::{Kid, VersionNumber};
use keywheel_core::kind::{EncryptionAlgorithm, Kind, RsaBits, SecretEncoding, SigningAlgorithm};
use keywheel_core::time::Span;
use keywheel_jose::{ImportFormat, Material};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Deserialize;

use crate::config::{Config, ConfigError, line};
use crate::error::Raise as _;
use crate::ring::Ring;

/// The bits of a file's mode that are for its group and everybody else.
const MODE_OF_OTHERS: u32 = 0o077;

/// What still keys promise unless the file says something else.
const LONGEST_LIFETIME: Span = Span::from_secs(24 * 60 * 60);

/// How many random bytes a secret of a test has.
const SECRET_BYTES: u16 = 48;

/// A ring in a file of `KEYWHEEL_URL=file:…`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRing {
    /// The algorithm of a ring that signs or encrypts; a plain secret when absent.
    algorithm: Option<Algorithm>,
    /// The keys, the primary first: text, PEM or JWK.
    keys: Vec<String>,
    /// In seconds.
    longest_lifetime_secs: Option<u64>,
}

/// What the keys of a ring do.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Algorithm {
    Signing(SigningAlgorithm),
    Encryption(EncryptionAlgorithm),
}

/// The keys of these rings, when the configuration asks no server.
pub(crate) fn rings(
    config: &Config,
    names: &[String],
) -> Result<Option<Vec<(String, StillKeys)>>, ConfigError> {
    let url = config.url()?;
    if let Some(path) = url.strip_prefix("file:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return from_file(path, names).map(Some);
    }
    if url == "env:" {
        return names.iter().map(|name| from_environment(name)).collect::<Result<_, _>>().map(Some);
    }
    Ok(None)
}

fn from_file(path: &str, names: &[String]) -> Result<Vec<(String, StillKeys)>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError(format!("the key file {path} cannot be read ({error}); check KEYWHEEL_URL"))
    })?;
    let mut all: BTreeMap<String, FileRing> = toml::from_str(&text).map_err(|error| {
        let line = line(&text, &error);
        ConfigError(format!(
            "the key file {path} cannot be understood at line {line}; write [ring-name] and \
             keys = [\"newest\", \"older\"] for each ring"
        ))
    })?;
    names
        .iter()
        .map(|name| {
            let ring = all.remove(name).ok_or_else(|| {
                ConfigError(format!("the key file {path} has no ring [{name}]; add it"))
            })?;
            let lifetime = ring.longest_lifetime_secs.map_or(LONGEST_LIFETIME, Span::from_secs);
            keys(name, ring.algorithm, &ring.keys, lifetime).map(|keys| (name.clone(), keys))
        })
        .collect()
}

/// What is to be said of the key file where others may read it.
pub(crate) fn warning(config: &Config) -> Option<String> {
    let path = config.url().ok()?.strip_prefix("file:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let is_private = mode & MODE_OF_OTHERS == 0;
    (!is_private).then(|| {
        format!(
            "the key file {path} has the mode {mode:04o}, so that other users of this machine may \
             read the keys; run chmod 600 {path}"
        )
    })
}

/// The variable of a ring: `web-session` is `KEYWHEEL_RING_WEB_SESSION`.
fn variable(name: &str) -> String {
    format!("KEYWHEEL_RING_{}", name.replace(['-', '.'], "_").to_uppercase())
}

fn from_environment(name: &str) -> Result<(String, StillKeys), ConfigError> {
    let variable = variable(name);
    let text = std::env::var(&variable).unwrap_or_default();
    let all: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(Into::into).collect();
    if all.is_empty() {
        return Err(ConfigError(format!(
            "KEYWHEEL_URL is env: and {variable} is not set; put the key of ring {name} there, \
             older ones on further lines"
        )));
    }
    keys(name, None, &all, LONGEST_LIFETIME).map(|keys| (name.to_owned(), keys))
}

fn kind(algorithm: Option<Algorithm>) -> Kind {
    match algorithm {
        Some(Algorithm::Signing(algorithm)) => Kind::Signing { algorithm },
        Some(Algorithm::Encryption(algorithm)) => Kind::Encryption { algorithm },
        None => Kind::Secret { length: SECRET_BYTES, encoding: SecretEncoding::Base64url },
    }
}

/// The oldest key has the number 1, so that a key keeps its number and its kid when a newer one is
/// put before it.
fn keys(
    name: &str,
    algorithm: Option<Algorithm>,
    newest_first: &[String],
    longest_lifetime: Span,
) -> Result<StillKeys, ConfigError> {
    let mut versions = Vec::with_capacity(newest_first.len());
    for (text, number) in newest_first.iter().rev().zip(1..) {
        let kind = kind(algorithm);
        let format = match text.trim_start() {
            pem if pem.starts_with("-----BEGIN") => ImportFormat::Pem,
            jwk if jwk.starts_with('{') && algorithm.is_some() => ImportFormat::Jwk,
            _ => ImportFormat::Text,
        };
        let imported = Material::import(&kind, text.as_bytes(), format)
            .map_err(|error| ConfigError(format!("key {number} of ring {name}: {error}")))?;
        let name = Kid(format!("{name}.{number}"));
        versions.push((VersionNumber(number), name, Arc::new(imported.material)));
    }
    let newest = VersionNumber(u32::try_from(versions.len()).unwrap_or(u32::MAX));
    StillKeys::new(versions, newest, longest_lifetime)
        .map_err(|error| ConfigError(format!("ring {name}: {error}")))
}

/// A ring for tests, turned by hand: it begins with version 1, moves when its author says so, and
/// proves nothing to anybody.
#[pyclass(frozen, module = "keywheel._keywheel")]
pub(crate) struct StillRing {
    name: String,
    kind: Kind,
    longest_lifetime: Span,
    client: Client,
    turned: Mutex<Turned>,
}

/// Where a ring of a test stands.
struct Turned {
    versions: BTreeMap<VersionNumber, (Kid, Arc<Material>)>,
    primary: VersionNumber,
    /// The primaries before this one, the last one last.
    before: Vec<VersionNumber>,
}

fn fresh(kind: &Kind) -> PyResult<(Kid, Arc<Material>)> {
    let mut failed = false;
    let mut fill = |buffer: &mut [u8]| failed |= getrandom::fill(buffer).is_err();
    let material = Material::generate(kind, &mut fill)
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    let name = material.kid(&mut fill);
    if failed {
        return Err(PyValueError::new_err("the system gives no random bytes"));
    }
    Ok((name, Arc::new(material)))
}

impl Turned {
    fn keys(&self, longest_lifetime: Span) -> Result<StillKeys, keywheel_client::BuildError> {
        let versions = self.versions.iter();
        let versions = versions.map(|(number, (kid, key))| (*number, kid.clone(), Arc::clone(key)));
        StillKeys::new(versions, self.primary, longest_lifetime)
    }

    fn newest(&self) -> VersionNumber {
        self.versions.keys().next_back().copied().unwrap_or(self.primary)
    }
}

impl StillRing {
    fn turned(&self) -> MutexGuard<'_, Turned> {
        self.turned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what the ring has become.
    fn show(&self, py: Python<'_>, turned: &Turned) -> PyResult<u32> {
        turned
            .keys(self.longest_lifetime)
            .and_then(|keys| self.client.put(&self.name, keys))
            .map_err(|error| error.raise(py))?;
        Ok(turned.primary.0)
    }
}

#[pymethods]
impl StillRing {
    #[new]
    #[pyo3(signature = (name, *, algorithm=None, longest_lifetime=86400))]
    fn new(
        py: Python<'_>,
        name: String,
        algorithm: Option<&str>,
        longest_lifetime: u64,
    ) -> PyResult<Self> {
        let kind = match (algorithm, algorithm.and_then(encryption)) {
            (_, Some(algorithm)) => Kind::Encryption { algorithm },
            (Some(text), None) => kind(Some(Algorithm::Signing(signing(text)?))),
            (None, None) => kind(None),
        };
        let longest_lifetime = Span::from_secs(longest_lifetime);
        let primary = VersionNumber(1);
        let versions = BTreeMap::from([(primary, fresh(&kind)?)]);
        let turned = Turned { versions, primary, before: Vec::new() };
        let client = turned
            .keys(longest_lifetime)
            .and_then(|keys| Client::still([(name.clone(), keys)]))
            .map_err(|error| error.raise(py))?;
        Ok(Self { name, kind, longest_lifetime, client, turned: Mutex::new(turned) })
    }

    /// The ring as an application uses it.
    fn ring(&self, py: Python<'_>) -> PyResult<Ring> {
        let handle = self.client.ring(&self.name).map_err(|error| error.raise(py))?;
        Ok(Ring::bound(self.name.clone(), handle))
    }

    /// Adds a version that is accepted and not in use yet; gives its number.
    fn publish(&self, py: Python<'_>) -> PyResult<u32> {
        let mut turned = self.turned();
        let number = VersionNumber(turned.newest().0.saturating_add(1));
        turned.versions.insert(number, fresh(&self.kind)?);
        self.show(py, &turned)?;
        Ok(number.0)
    }

    /// Lets the newest version protect; gives its number.
    fn promote(&self, py: Python<'_>) -> PyResult<u32> {
        let mut turned = self.turned();
        let (before, newest) = (turned.primary, turned.newest());
        if newest != before {
            turned.before.push(before);
            turned.primary = newest;
        }
        self.show(py, &turned)
    }

    /// Publishes and promotes; gives the number of the new primary.
    fn rotate(&self, py: Python<'_>) -> PyResult<u32> {
        self.publish(py)?;
        self.promote(py)
    }

    /// Lets the version before protect again; what the newer one protected stays accepted.
    fn rollback(&self, py: Python<'_>) -> PyResult<u32> {
        let mut turned = self.turned();
        let Some(before) = turned.before.pop() else {
            return Err(PyValueError::new_err("nothing was promoted that could be taken back"));
        };
        turned.primary = before;
        self.show(py, &turned)
    }

    /// Takes back what was published and never protected; gives the number of the primary.
    fn withdraw(&self, py: Python<'_>) -> PyResult<u32> {
        let mut turned = self.turned();
        let (primary, before) = (turned.primary, turned.before.clone());
        turned.versions.retain(|number, _| *number <= primary || before.contains(number));
        self.show(py, &turned)
    }

    /// Accepts nothing but the primary from now on; gives its number.
    fn retire(&self, py: Python<'_>) -> PyResult<u32> {
        let mut turned = self.turned();
        let primary = turned.primary;
        turned.versions.retain(|number, _| *number == primary);
        turned.before.clear();
        self.show(py, &turned)
    }
}

fn signing(text: &str) -> PyResult<SigningAlgorithm> {
    SIGNING.into_iter().find(|algorithm| keywheel_jose::jose_name(*algorithm) == text).ok_or_else(
        || {
            PyValueError::new_err(format!(
                "{text:?} is no algorithm of a ring; give EdDSA, ES256, HS256, RS256, Fernet, \
                 AES-256-GCM, ChaCha20-Poly1305 or passphrase"
            ))
        },
    )
}

const SIGNING: [SigningAlgorithm; 4] = [
    SigningAlgorithm::EdDsa,
    SigningAlgorithm::Es256,
    SigningAlgorithm::Hs256,
    SigningAlgorithm::Rs256(RsaBits::B2048),
];

fn encryption(text: &str) -> Option<EncryptionAlgorithm> {
    match text {
        "Fernet" => Some(EncryptionAlgorithm::Fernet),
        "AES-256-GCM" => Some(EncryptionAlgorithm::Aes256Gcm),
        "ChaCha20-Poly1305" => Some(EncryptionAlgorithm::ChaCha20Poly1305),
        "passphrase" => Some(EncryptionAlgorithm::Passphrase),
        _ => None,
    }
}
