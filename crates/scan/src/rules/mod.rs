//! What the readers know of functions and libraries, as data: one table a language, compiled in
//! from `rules/*.toml`, and a file of the user's own that adds to them.
//!
//! A table says which calls take a key and in which argument (`sink`), which give one (`source`),
//! which use a setting that they do not name (`implicit`), and which run something by a timer
//! (`scheduler`). How a call is written in each language is the reader's business.

mod wrappers;

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use crate::code;
use crate::finding::{Does, Source};
use crate::python;

/// The tables of all languages.
#[derive(Default)]
pub struct Rules {
    /// By language, in the order of reading; later ones are the user's.
    tables: Vec<Arc<Table>>,
    /// Those of Python by the names of their calls, made once they are asked for.
    python: OnceLock<Arc<python::Index>>,
    /// Those of the languages that [`code`] reads, each made once it is asked for.
    words: [OnceLock<Arc<code::Words>>; 5],
    /// Whether findings of passwords are left out, so that nothing is read for them alone.
    pub(crate) leaves_passwords: bool,
}

/// The rules of one language.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// `python`, `javascript` (TypeScript too), `ruby`, `go`, `java` (Kotlin too), `php`.
    pub language: String,
    /// Calls that take a key.
    #[serde(default, rename = "sink")]
    pub sinks: Vec<Sink>,
    /// Calls that give a key.
    #[serde(default, rename = "source")]
    pub sources: Vec<Load>,
    /// Calls and classes that use a setting without naming it.
    #[serde(default, rename = "implicit")]
    pub implicit: Vec<Implicit>,
    /// Calls that run something by a timer.
    #[serde(default, rename = "scheduler")]
    pub schedulers: Vec<Scheduler>,
}

/// A call that takes a key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own in the tables")]
pub struct Sink {
    /// The full name after imports: `jwt.encode`, `jsonwebtoken.sign`, `JWT.encode`. A `*` in front
    /// is any receiver: `*.signWith`.
    pub call: String,
    /// The position of the key, from zero, without a receiver.
    pub key: Option<usize>,
    /// Whether the key is what the method is called on: `private_key.sign(text)`.
    #[serde(default)]
    pub receiver: bool,
    /// The names of the key among named arguments, or in an object given as the last argument.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// What is done with the key.
    pub does: Does,
    /// Whether it makes an object that keeps the key for its life.
    #[serde(default)]
    pub keeps: bool,
    /// Whether the key there is public when it is written so (a verifier of asymmetric tokens).
    #[serde(default)]
    pub public: bool,
    /// Calls whose named argument says that nothing is verified are no use: its name and value.
    #[serde(default)]
    pub unless: Option<String>,
    /// Whether the argument alone makes it a use, whatever its name; else the key needs the name or
    /// the origin of one.
    #[serde(default = "yes")]
    pub certain: bool,
    /// What makes it live.
    pub remedy: Option<String>,
}

/// A call or a subscription that gives a key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The full name: `os.getenv`, `os.environ` (also when it is indexed), `process.env`, `ENV`.
    pub call: String,
    /// The position of the setting's name, from zero.
    #[serde(default)]
    pub setting: usize,
    /// The position of what is taken when it is absent.
    pub fallback: Option<usize>,
    /// The names of the same among named arguments.
    #[serde(default)]
    pub fallback_keywords: Vec<String>,
    /// From where it comes.
    pub from: Source,
    /// Whether the next call sees a change: `true` for the environment of the process itself,
    /// `false` where a library keeps what it read.
    #[serde(default)]
    pub live: bool,
}

/// A call or class that uses a setting without naming it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Implicit {
    /// The full name: `django.core.signing.Signer`.
    pub call: String,
    /// The setting: `SECRET_KEY`.
    pub setting: String,
    /// Where a key of its own would stand; with one it is no implicit use.
    pub key: Option<usize>,
    /// The names of that among named arguments.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// What is done with the key.
    pub does: Does,
    /// Whether it makes an object that keeps the key for its life.
    #[serde(default)]
    pub keeps: bool,
    /// What makes it live.
    pub remedy: Option<String>,
}

/// A call that runs something by a timer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduler {
    /// The full name: `*.add_job`, `setInterval`.
    pub call: String,
    /// The position of what it runs.
    #[serde(default)]
    pub runs: usize,
}

const fn yes() -> bool {
    true
}

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the rules cannot be read")]
pub struct RulesError(#[from] toml::de::Error);

impl Rules {
    /// The rules that come with keywheel.
    ///
    /// # Errors
    /// Never, unless a table is broken.
    pub fn built_in() -> Result<Self, RulesError> {
        let mut rules = Self::default();
        code::TABLES.into_iter().chain([python::TABLE]).try_for_each(|table| rules.add(table))?;
        Ok(rules)
    }

    /// Adds the rules of a file; several `[[table]]`s may stand in one.
    ///
    /// # Errors
    /// When the text is not TOML, or has a field that no rule has.
    pub fn add(&mut self, text: &str) -> Result<(), RulesError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            table: Vec<Table>,
        }
        let file: File = toml::from_str(text)?;
        self.tables.extend(file.table.into_iter().map(Arc::new));
        self.python = OnceLock::new();
        self.words = std::array::from_fn(|_| OnceLock::new());
        Ok(())
    }

    /// The rules of Python, by the names of their calls.
    pub(crate) fn python(&self) -> &Arc<python::Index> {
        self.python.get_or_init(|| Arc::new(python::Index::new(self.of("python"))))
    }

    /// The words of the rules of a language that [`code`] reads.
    pub(crate) fn words(&self, language: &str) -> &Arc<code::Words> {
        let number = code::LANGUAGES.iter().position(|one| *one == language).unwrap_or_default();
        let [first, ..] = &self.words;
        let words = self.words.get(number).unwrap_or(first);
        words.get_or_init(|| Arc::new(code::Words::new(self.of(language))))
    }

    /// The tables of a language, the built-in one first.
    pub fn of<'a>(&'a self, language: &'a str) -> impl Iterator<Item = &'a Table> {
        self.tables.iter().map(Arc::as_ref).filter(move |table| table.language == language)
    }
}
