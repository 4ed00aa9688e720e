//! Programs in JavaScript and TypeScript, Ruby, Go, Java, Kotlin and PHP.
//!
//! One light lexer cuts the text into tokens (`lex`), knowing of each language no more than its
//! comments and strings ([`Dialect`]). Brackets, functions and classes are matched over the tokens
//! (`tree`), names are gathered (`facts`), and then each call that a rule speaks of is looked at:
//! what it is given is followed back through the file (`value`). There is no grammar, so nothing is
//! refused for its syntax, and a file is read in time that grows with its length.

mod callers;
mod dialect;
mod facts;
mod find;
mod forms;
mod lex;
mod reader;
mod sql;
mod strings;
mod table;
mod token;
mod tree;
mod value;
mod worth;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};

use crate::finding::{Does, Source};
use crate::quick::hash;
use crate::rules::{Load, Rules, Sink};
use crate::site::{Reaches, Sites, Unreadable, Wrapper};
use crate::source::SourceFile;

pub use dialect::Dialect;
pub use lex::tokens;
pub use token::{Kind, Token, Tokens};

pub(crate) use table::Words;

pub(crate) use find::literals::is_plausible;
pub(crate) use reader::judge;

/// The longest file that is read whole; longer ones are read by lines.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// The tables of rules of these languages.
pub const TABLES: [&str; 5] = [
    include_str!("../../rules/javascript.toml"),
    include_str!("../../rules/ruby.toml"),
    include_str!("../../rules/go.toml"),
    include_str!("../../rules/java.toml"),
    include_str!("../../rules/php.toml"),
];

/// Names of functions that say too little to know their calls by in other files.
const OF_ONE_FILE: &[&str] = &["getKey", "getSecret", "get_key", "deriveKey", "hash", "digest"];

/// The names of their tables.
pub(crate) const LANGUAGES: [&str; 5] = ["javascript", "ruby", "go", "java", "php"];

/// How often a file is read for functions of its own that hand keys on.
const ROUNDS_MAX: usize = 3;

/// Reads a program.
///
/// # Errors
/// When it is too long to be read whole.
pub fn read(
    file: &SourceFile<'_>,
    dialect: Dialect,
    rules: &Rules,
    sites: &mut Sites,
) -> Result<(), Unreadable> {
    if file.text.len() > FILE_BYTES_MAX {
        return Err(Unreadable { why: Cow::Borrowed("it is too long"), at: None });
    }
    let extension = file.path.extension().unwrap_or_default();
    let is_kotlin = ["kt", "kts", "groovy", "gradle"].iter().any(|end| extension == *end);
    let dialect = if dialect == Dialect::Java && is_kotlin { Dialect::Kotlin } else { dialect };
    let is_component = extension == "vue" || extension == "svelte";
    let mut tokens = lex::tokens(file.text, dialect, is_component);
    sites.calls = Some(called(&tokens, dialect));
    let none = table::More::default();
    let index = table::Index::new(rules, dialect.table(), &none);
    if !worth::is_worth(&tokens, &index, !rules.leaves_passwords) {
        return Ok(());
    }
    let tree = tree::Tree::new(&mut tokens, dialect);
    let facts = facts::Facts::new(&tokens, dialect);
    let mut more = table::More::default();
    let mut found = Sites::default();
    for _ in 0..ROUNDS_MAX {
        let index = table::Index::new(rules, dialect.table(), &more);
        let reader = reader::Reader {
            file,
            dialect,
            tokens: &tokens,
            tree: &tree,
            facts: &facts,
            index: &index,
            reached: RefCell::default(),
            derived: RefCell::default(),
            fuel: Cell::default(),
            parts: OnceCell::new(),
            callers: OnceCell::new(),
            keys: OnceCell::new(),
        };
        let mut again = find::Finder::run(&reader);
        drop(reader);
        let is_new = |one: &&Wrapper| !found.wrappers.contains(one);
        let own = extended(again.wrappers.iter().filter(is_new), &more, dialect);
        again.wrappers.append(&mut found.wrappers);
        again.wrappers.sort();
        again.wrappers.dedup();
        found = again;
        if own.sinks.is_empty() && own.loads.is_empty() {
            break;
        }
        more.sinks.extend(own.sinks);
        more.loads.extend(own.loads);
    }
    sites.found.append(&mut found.found);
    sites.same.append(&mut found.same);
    found.wrappers.retain(|wrapper| !OF_ONE_FILE.contains(&wrapper.function.as_str()));
    sites.wrappers.append(&mut found.wrappers);
    Ok(())
}

/// The hashes of the names that a file calls.
fn called(tokens: &Tokens<'_>, dialect: Dialect) -> Box<[u64]> {
    let is_call = |at: &usize| {
        tokens.is_word(*at)
            && tokens.at(at.saturating_add(1)).is_some_and(|next| {
                let first = tokens.text.as_bytes().get(next.start as usize);
                let is_command = dialect == Dialect::Ruby && next.spaced && !next.starts_line;
                is_command || matches!(first, Some(b'(' | b'<' | b'?'))
            })
    };
    let calls = (0..tokens.len()).filter(is_call);
    let mut hashes: Vec<u64> = calls.map(|at| hash(tokens.name(at).as_bytes())).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into_boxed_slice()
}

/// The functions of a file as rules for it.
fn extended<'w>(
    wrappers: impl Iterator<Item = &'w Wrapper>,
    have: &table::More,
    dialect: Dialect,
) -> table::More {
    // The environment that the JVM shows is a copy made when it started.
    let is_live = !matches!(dialect, Dialect::Java | Dialect::Kotlin);
    let mut more = table::More::default();
    for wrapper in wrappers {
        let call = format!("*.{}", wrapper.function);
        match &wrapper.reaches {
            Reaches::Loader(from) if !have.loads.iter().any(|load| load.call == call) => {
                more.loads.push(loader(call, wrapper, *from, is_live));
            }
            Reaches::Sink(_, does) => more.sinks.push(sink(call, wrapper, *does)),
            Reaches::Loader(_) => {}
        }
    }
    more
}

fn loader(call: String, wrapper: &Wrapper, from: Source, is_live: bool) -> Load {
    Load {
        call,
        setting: wrapper.parameter,
        fallback: Some(wrapper.parameter + 1),
        fallback_keywords: Vec::new(),
        from,
        live: is_live && from == Source::Environment,
    }
}

fn sink(call: String, wrapper: &Wrapper, does: Does) -> Sink {
    Sink {
        call,
        key: Some(wrapper.parameter),
        receiver: false,
        keywords: wrapper.keyword.clone().into_iter().collect(),
        does,
        keeps: false,
        public: false,
        unless: None,
        certain: false,
        remedy: None,
    }
}
