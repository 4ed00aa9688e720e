//! What is dangerous or slow in an nginx configuration in front of an authentication endpoint, one
//! file a subject. A rule says what nginx *does* with what is written, inheritance and includes
//! taken into account; it never guesses what a variable may hold, and is silent where that decides.
//! How findings are shown, and whether they fail a check, is left to whoever asks.

use std::fmt;
use std::path::{Path, PathBuf};

use super::follow::Configuration;
use super::lex::Word;

mod auth_cache;
mod auth_location;
mod keepalive;
mod returns;
mod scope;
mod secrets;
mod shutdown;

pub use scope::LintError;
use scope::{Node, Place, resolve};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It costs speed or makes rotations harder.
    Advice,
    /// Somebody may get what they must not, or keep what was revoked.
    Danger,
}

/// One thing that was found. It shows no value of the configuration besides names and paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule, for people and for tests.
    pub rule: &'static str,
    /// How much it matters.
    pub weight: Weight,
    /// In which file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u32,
    /// The column in bytes, from 1.
    pub column: u32,
    /// What happens, and why.
    pub why: String,
    /// What to do.
    pub remedy: &'static str,
}

/// What the rules measure against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// An answer of the authentication endpoint may be kept this long, because a revoked token is
    /// accepted as long.
    pub auth_cache_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { auth_cache_secs: 2 }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, line, column, why, .. } = self;
        write!(f, "{}:{line}:{column}: {rule}: {why}", path.display())
    }
}

/// Looks at a configuration with every rule. The findings stand in the order of files and lines.
///
/// # Errors
/// When the files, each put where it is included, are too much.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use keywheel_scan::nginx::{follow, lint};
///
/// let folder = tempfile::tempdir()?;
/// let file = folder.path().join("nginx.conf");
/// std::fs::write(&file, "worker_shutdown_timeout 10s; http { server { set $api_key s3cret; } }")?;
/// let found = lint::lint(&follow(&file)?, lint::Limits::default())?;
/// assert_eq!(found[0].rule, "secret-in-set");
/// assert!(!found[0].to_string().contains("s3cret"));
/// # Ok(())
/// # }
/// ```
pub fn lint(configuration: &Configuration, limits: Limits) -> Result<Vec<Finding>, LintError> {
    let Some(main) = configuration.files.first() else { return Ok(Vec::new()) };
    let nodes = resolve(configuration)?;
    let mut found = Vec::new();
    found.extend(shutdown::look(&nodes, &main.path));
    for http in nodes.iter().filter(|node| node.is("http")) {
        for server in http.children.iter().filter(|node| node.is("server")) {
            let place = Place::of(&[http, server]);
            secrets::look(server, &mut found);
            returns::look(&place, &mut found);
            for endpoint in scope::auth_endpoints(&place) {
                auth_cache::look(&endpoint, limits, &mut found);
                auth_location::look(&endpoint, &mut found);
                keepalive::look(&endpoint, &mut found);
            }
        }
    }
    let order = |one: &Finding| (one.path.clone(), one.line, one.column, one.rule);
    found.sort_by_key(order);
    // A file that is included twice is read twice.
    found.dedup();
    Ok(found)
}

fn finding(
    rule: &'static str,
    weight: Weight,
    node: &Node<'_>,
    why: impl Into<String>,
    remedy: &'static str,
) -> Finding {
    let span = node.directive.name.span;
    Finding {
        rule,
        weight,
        path: node.path.to_owned(),
        line: span.line,
        column: span.column,
        why: why.into(),
        remedy,
    }
}

/// About a file as a whole.
fn of_file(rule: &'static str, path: &Path, why: &str, remedy: &'static str) -> Finding {
    let (path, why) = (path.to_owned(), why.to_owned());
    Finding { rule, weight: Weight::Advice, path, line: 1, column: 1, why, remedy }
}

fn text(word: &Word) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&word.value)
}

/// Whether nginx puts something of the request or of other directives in there.
fn has_variable(word: &Word) -> bool {
    word.value.contains(&b'$')
}
