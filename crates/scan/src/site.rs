//! What a reader says of one file: places that get, hold or use a key, each with the names by which
//! other places know the same key. A reader decides nothing about other files; [`crate::join`]
//! does.

use std::borrow::Cow;

use crate::finding::{Class, Confidence, Does, Kind, Scope, Source};
use crate::literal::Literal;
use crate::source::Position;

/// A name by which a key is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Known everywhere: an environment variable, a key of a configuration, an attribute of the
    /// settings, a constant of a module. As it is written; case and separators do not matter.
    Setting(String),
    /// Known in this file only: a variable, a field, an argument.
    Local(String),
}

impl Link {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Setting(name) | Self::Local(name) => name,
        }
    }
}

/// Whether the place takes a new key, as far as its own file tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hot {
    /// At its next use.
    Yes,
    /// Never; it keeps what it has.
    No,
    /// It takes anew at each use whatever its links hold, so it is as live as they are.
    Follows,
    /// The file does not tell.
    #[default]
    Unknown,
}

/// A place that gets, holds or uses a key.
#[derive(Clone)]
pub struct Site {
    /// What kind of place.
    pub kind: Kind,
    /// Which rule found it, such as `python/env-load`. Stable; users ignore findings by it.
    pub rule: Cow<'static, str>,
    /// Where it stands.
    pub at: Position,
    /// The name of the key here, where it has one: that of the setting before that of a variable.
    pub name: Option<String>,
    /// By which names the same key is known elsewhere, `name` among them.
    pub links: Vec<Link>,
    /// What sort of secret.
    pub class: Class,
    /// When the place runs.
    pub scope: Option<Scope>,
    /// Whether it takes a new key.
    pub hot: Hot,
    /// From where the key comes here.
    pub source: Source,
    /// The value, where it stands here.
    pub literal: Option<Literal>,
    /// The function or directive that takes the key, such as `jwt.encode`.
    pub sink: Option<String>,
    /// What is done with the key.
    pub does: Option<Does>,
    /// How sure the reader is that this is one.
    pub confidence: Confidence,
    /// Why it is one, and why it takes a new key or not: one sentence without a value.
    pub reason: Cow<'static, str>,
    /// What makes it live: one sentence or line of code.
    pub remedy: Option<Cow<'static, str>>,
}

impl Site {
    /// A place about which nothing else is known yet.
    pub fn new(kind: Kind, rule: impl Into<Cow<'static, str>>, at: Position) -> Self {
        Self {
            kind,
            rule: rule.into(),
            at,
            name: None,
            links: Vec::new(),
            class: Class::Key,
            scope: None,
            hot: Hot::Unknown,
            source: Source::Unknown,
            literal: None,
            sink: None,
            does: None,
            confidence: Confidence::High,
            reason: Cow::Borrowed(""),
            remedy: None,
        }
    }
}

/// A function of the scanned code whose parameter reaches a loader or a sink, so that its calls are
/// places too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wrapper {
    /// The last part of the function's name.
    pub function: String,
    /// The position of the parameter, without the receiver.
    pub parameter: usize,
    /// Its name, where the language has named arguments.
    pub keyword: Option<String>,
    /// What the parameter reaches.
    pub reaches: Reaches,
}

impl Wrapper {
    /// Whether calls come to nothing without the name of a key: files and settings have other names
    /// far more often.
    pub(crate) const fn needs_name(&self) -> bool {
        matches!(self.reaches, Reaches::Loader(Source::File | Source::Settings))
    }
}

/// What the parameter of a wrapper reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reaches {
    /// It names a setting that is loaded from there.
    Loader(Source),
    /// It is the key of a sink: its name, and what it does.
    Sink(String, Does),
}

/// All that a reader saw in a file.
#[derive(Default)]
pub struct Sites {
    /// The places, in any order.
    pub found: Vec<Site>,
    /// Names that stand for the same key in this file (`SECRET_KEY = config("APP_SECRET")`).
    pub same: Vec<(Link, Link)>,
    /// Functions of this file that hand a parameter on.
    pub wrappers: Vec<Wrapper>,
    /// What it says of keys at all: a reader that looks before it parses tells of that.
    pub speaks: Speaks,
    /// The hashes of the names that it calls, in order, from a reader that knows them.
    pub(crate) calls: Option<Box<[u64]>>,
}

/// What a file says of keys, before it is parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaks {
    /// Nothing; at most it hands something to a function of another file.
    Not,
    /// It has names under which a loader could give a key.
    OfNames,
    /// Enough to be parsed.
    #[default]
    OfKeys,
}

/// Why a reader could not read a file; the line reader reads it then.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// What is wrong, without any text of the file.
    pub why: Cow<'static, str>,
    /// Where, if it is one place.
    pub at: Option<Position>,
}
