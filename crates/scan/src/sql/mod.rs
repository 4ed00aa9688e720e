//! SQL that handles keys: calls of encrypting and signing functions, and settings of the database
//! that hold a key. It reads files of SQL, dumps, definitions of a live database, and strings of
//! programs in which SQL stands, whole or not.
//!
//! It is a light reader for all databases at once, not a parser of one: it knows words, texts,
//! parameters and brackets.

mod calls;
mod key;
mod lex;

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::finding::{Class, Confidence, Does, Kind, Scope, Source};
use crate::literal::Literal;
use crate::names;
use crate::rules::Rules;
use crate::site::{Hot, Link, Site, Sites, Unreadable};
use crate::source::SourceFile;
use crate::spot::Spotter;

/// Where the key of a place comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlKey<'t> {
    /// It stands there.
    Literal(&'t str),
    /// A setting of the database, such as `current_setting('app.key')`.
    Setting(&'t str),
    /// A parameter, an argument or a variable, by its name if it has one.
    Argument(&'t str),
    /// A column, a subquery or a function of the database.
    Database(&'t str),
}

/// A place in SQL that handles a key.
#[derive(Clone, Copy, Debug)]
pub struct SqlSite<'t> {
    /// Where it begins, in bytes.
    pub offset: usize,
    /// The function or statement, in lower case.
    pub function: &'static str,
    /// What is done with the key, where something is.
    pub does: Option<Does>,
    /// The key.
    pub key: SqlKey<'t>,
    /// The setting that is given a value, where one is.
    pub setting: Option<&'t str>,
    /// Whether the key is the public half.
    pub is_public: bool,
}

/// In what the SQL stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// A file of SQL, or a definition of a database: everything is SQL.
    Sql,
    /// A string of a program: functions whose names others have too need a statement around them.
    Code,
}

static GATE: LazyLock<Spotter> = LazyLock::new(|| {
    Spotter::new([
        "pgp_sym_",
        "pgp_pub_",
        "encrypt",
        "decrypt",
        "hmac",
        "crypt(",
        "set_config",
        "by password",
        "sign(",
        "verify(",
        "secret",
        "pragma",
        "_key",
        "passphrase",
    ])
});

/// Whether a text may hold a place at all; cheap.
pub fn may_have_sites(text: &str) -> bool {
    GATE.is_in(text.as_bytes())
}

/// All places in a text.
///
/// ```
/// use keywheel_scan::sql::{SqlKey, Within, sites_in};
/// let text = "UPDATE t SET a = pgp_sym_encrypt(b, current_setting('app.key'))";
/// let [site] = sites_in(text, Within::Code)[..] else { panic!() };
/// assert_eq!(site.key, SqlKey::Setting("app.key"));
/// ```
pub fn sites_in(text: &str, within: Within) -> Vec<SqlSite<'_>> {
    if may_have_sites(text) { calls::find(text, within) } else { Vec::new() }
}

/// Reads a file of SQL.
///
/// # Errors
/// Never; what no database would accept is passed over.
pub fn read(file: &SourceFile<'_>, _: &Rules, sites: &mut Sites) -> Result<(), Unreadable> {
    let found = sites_in(file.text, Within::Sql);
    sites.found.extend(found.iter().map(|one| site(one, file, 0)));
    Ok(())
}

/// Reads SQL that stands in a string of a program; `base` is where the string's content begins in
/// the file, `text` its content as written.
pub fn read_string(file: &SourceFile<'_>, base: usize, text: &str, sites: &mut Sites) {
    let found = sites_in(text, Within::Code);
    sites.found.extend(found.iter().map(|one| site(one, file, base)));
}

/// What is said of a place in a file.
pub fn site(one: &SqlSite<'_>, file: &SourceFile<'_>, base: usize) -> Site {
    let position = file.position(base.saturating_add(one.offset));
    let rule = format!("sql/{}", one.function.replace(['_', ' '], "-"));
    let mut site = Site::new(Kind::Sql, rule, position);
    let by_key = match one.key {
        SqlKey::Literal(_) => None,
        SqlKey::Setting(name) | SqlKey::Argument(name) | SqlKey::Database(name) => Some(name),
    };
    let name = one.setting.or(by_key).filter(|name| !name.is_empty());
    site.name = name.map(str::to_owned);
    site.links = name.map(|name| Link::Setting(name.to_owned())).into_iter().collect();
    let judged = name.and_then(names::judge).filter(|class| *class != Class::Password);
    site.class = if one.is_public { Class::Public } else { judged.unwrap_or(Class::Key) };
    site.does = one.does;
    site.sink = one.does.map(|_| one.function.to_owned());
    if one.function == "crypt" {
        site.confidence = Confidence::Medium;
    }
    let argument = Some(Cow::Borrowed(
        "hand the key to the statement as a bound argument, from what holds it live",
    ));
    let (source, hot, reason, remedy) = match one.key {
        SqlKey::Literal(value) => {
            site.literal = Some(Literal::new(value));
            (Source::Literal, Hot::No, "the key stands in the statement as a literal", argument)
        }
        SqlKey::Setting(_) => (
            Source::Database,
            Hot::Unknown,
            "the key is a setting of the database, which a pooled connection keeps for its life",
            argument,
        ),
        SqlKey::Argument(_) => (
            Source::Argument,
            Hot::Unknown,
            "the key is handed to the statement; whoever calls it decides which",
            None,
        ),
        SqlKey::Database(_) => {
            (Source::Database, Hot::Unknown, "the key comes from the database itself", None)
        }
    };
    // A literal that is kept in a row or a setting is no use of a key yet.
    let keeps = matches!(one.function, "insert" | "set" | "set_config" | "psql set");
    if keeps && site.literal.is_some() {
        site.kind = Kind::Hardcoded;
        site.scope = Some(Scope::Module);
    }
    (site.source, site.hot) = (source, hot);
    (site.reason, site.remedy) = (Cow::Borrowed(reason), remedy);
    if one.function == "psql shell" {
        site.kind = Kind::EnvLoad;
        site.scope = Some(Scope::Module);
        (site.source, site.hot) = (Source::Environment, Hot::No);
        site.reason = Cow::Borrowed("psql takes the key from its environment, once");
    }
    site
}
