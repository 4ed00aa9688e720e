//! Whether a file is worth the parser: parsing costs ten times what it costs to see that a file has
//! no name that could be that of a key, and does not have the names of any call that takes one.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::table::Index;
use super::{embedded, plain, timers, words};
use crate::finding::Class;
use crate::quick::{Quick, hash};
use crate::shapes;
use crate::site::Speaks;
use crate::spot::Spotter;

/// Words that are enough: the files in which keys stand, and what is keywheel's own.
const ENOUGH: &[&str] = &[
    "/run/secrets",
    ".pem\"",
    ".pem'",
    ".key\"",
    ".key'",
    "id_rsa",
    "pem_file",
    "keywheel",
    "secretbytes",
];

/// Words of what takes, makes or holds keys under any name, if there is a call for it too.
const USES: &[&str] = &[
    "hmac",
    "jwt",
    "jose",
    "jwk",
    "jws",
    "fernet",
    "itsdangerous",
    "signing",
    "signer",
    "signed_cookie",
    "secure_cookie",
    "make_token",
    "check_token",
    "crypto",
    "nacl",
    "blake2",
    "pbkdf2",
    "hkdf",
    "scrypt",
    "encrypt",
    "decrypt",
    "ecdsa",
    "import rsa",
    "generate_key",
    "pgp_",
    "session_auth_hash",
    "generate_csrf",
    "macaroon",
    "redwood",
    "webhook",
    "compare_digest",
];

/// Parts of names that could be those of keys.
const NAMES: &[&str] =
    &["key", "secret", "token", "passphrase", "password", "passwd", "salt", "pepper", "auth"];

/// Words of what loads settings. Some names are those of keys only there.
const LOADS: &[&str] = &["env", "Env", "config", "Config", "settings", "Settings", "secrets"];

/// Names of arguments that name a variable of the environment.
const DECLARES: &[&str] = &["envvar", "env_var", "environ_name", "env_name", "env_key"];

/// Words of classes and objects whose fields are settings, whatever their names look like.
const FIELDS: &[&str] =
    &["Settings", "secrets", "EnvConfig", "BaseConfig", "environ.config", "typed_settings"];

/// Their names, beside those that end with `Settings`.
const NAMES_OF_FIELDS: &[&str] =
    &["secrets", "EnvConfig", "BaseConfig", "SettingsBase", "EnvSettingsBase", "typed_settings"];

/// Words of what runs again and again.
const TIMERS: &[&str] = &[
    "imer", "sched", "asyncio", "celery", "cron", "while ", "every", "repeat", "job", "task",
    "loop", "beat",
];

/// Words that make a key of what stands elsewhere: functions of SQL, and prefixes of fields.
const AROUND: &[&str] = &["func.", "env_prefix"];

/// As many different names as are judged; a file with more is read.
const MOST: usize = 2_000;

/// As long as a name is, and what stands before it in a string.
const LONGEST: usize = 80;

/// The words without one of which no file of Python is worth a look.
pub(crate) fn words_of_keys() -> impl Iterator<Item = &'static str> {
    ENOUGH.iter().chain(USES).chain(NAMES).copied()
}

/// What was met so far.
#[derive(Default)]
struct Met {
    uses: bool,
    loads: Loads,
    /// A name that says that keys are turned.
    turns: bool,
}

/// The names under which something could be loaded.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Loads {
    #[default]
    Nothing,
    /// One as a field or a variable has it.
    Field,
    /// One in a string or in capitals.
    Setting,
}

impl Met {
    const fn has_names(&self) -> bool {
        self.uses || !matches!(self.loads, Loads::Nothing)
    }

    /// Goes through the words of a text; whether none of them is enough alone.
    fn look(&mut self, text: &str, passwords: bool) -> bool {
        let mut judged: HashSet<&str, Quick> = HashSet::default();
        for found in words_of_gate().all(text.as_bytes()) {
            let place = found.word;
            if place < ENOUGH.len() {
                return false;
            }
            if let Some(word) = USES.get(place.saturating_sub(ENOUGH.len())) {
                if goes_on_before(text, found.start) && matches!(*word, "signing" | "signer") {
                    // `assigning` and `designer` speak of other things.
                    continue;
                }
                self.uses = true;
                if !words::may_name_key(word) && *word != "jwk" {
                    continue;
                }
            }
            let (start, name) = name_around(text, found.start, found.end);
            if !judged.insert(name) {
                continue;
            }
            let says = Judged::of(name);
            let is_key = says.class.is_some_and(|class| passwords || class != Class::Password);
            if is_key && is_of_service(text, start, name) {
                judged.remove(name);
                continue;
            }
            let is_file = || words::names_a_path(name) && words::names_a_private_file(name);
            if judged.len() > MOST || is_key || name == "key_file" || is_file() {
                return false;
            }
            if says.loads {
                let is_constant = !name.bytes().any(|byte| byte.is_ascii_lowercase());
                let is_setting = is_constant || is_in_string(text, start, name);
                self.loads = self.loads.max(if is_setting { Loads::Setting } else { Loads::Field });
                // The same name may stand in a string elsewhere.
                if self.loads == Loads::Field {
                    judged.remove(name);
                }
            }
            self.turns |= says.turns;
        }
        true
    }
}

/// What a name says, whatever stands around it.
#[derive(Clone, Copy)]
struct Judged {
    class: Option<Class>,
    /// It is that of a key where it is loaded.
    loads: bool,
    /// It is that of something that turns keys.
    turns: bool,
}

impl Judged {
    fn of(name: &str) -> Self {
        let required = || name.strip_prefix("require_").and_then(words::judge);
        Self {
            class: words::judge(name).or_else(required),
            loads: words::judge_loaded(name).is_some(),
            turns: timers::speaks(name),
        }
    }
}

fn words_of_gate() -> &'static Spotter {
    static WORDS: OnceLock<Spotter> = OnceLock::new();
    WORDS.get_or_init(|| Spotter::new(words_of_keys()))
}

/// What a file says of keys, and of passwords if these are looked for too; the hashes of what it
/// calls, if that had to be looked at and it is not worth the parser.
pub(super) fn speaks(text: &str, index: &Index, passwords: bool) -> (Speaks, Option<Box<[u64]>>) {
    let whole = Said { text, code: text, strings: "", is_plain: false };
    let speaks = whole.speaks(index, passwords);
    if speaks != Speaks::OfKeys {
        return (speaks, None);
    }
    // Of many of them only the comments and the prose do.
    let Some(plain) = plain::of(text) else { return (speaks, None) };
    let said = Said { text, code: &plain.code, strings: &plain.strings, is_plain: true };
    match said.speaks(index, passwords) {
        Speaks::OfKeys => (speaks, None),
        _ => (Speaks::OfNames, Some(called(&plain.code))),
    }
}

/// The hashes of the names that are called, and of classes that stand first in what is given.
fn called(code: &str) -> Box<[u64]> {
    let is_called = |word: &Word<'_>| match word.behind.trim_start_matches(' ').bytes().next() {
        Some(b'(') => true,
        Some(b',') => word.name.starts_with(|letter: char| letter.is_ascii_uppercase()),
        _ => false,
    };
    let mut hashes: Vec<u64> =
        words_of(code).filter(is_called).map(|word| hash(word.name.as_bytes())).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into_boxed_slice()
}

/// What stands in a file, or what of it can name something.
struct Said<'t> {
    text: &'t str,
    code: &'t str,
    strings: &'t str,
    /// Whether these are no more than that.
    is_plain: bool,
}

impl Said<'_> {
    fn speaks(&self, index: &Index, passwords: bool) -> Speaks {
        let mut met = Met::default();
        if !met.look(self.code, passwords) {
            return Speaks::OfKeys;
        }
        // What is used is called in the code.
        let uses = met.uses;
        if !met.look(self.strings, passwords) {
            return Speaks::OfKeys;
        }
        met.uses = uses;
        let loads = met.loads == Loads::Setting && self.holds(LOADS);
        let fields = met.loads != Loads::Nothing && self.holds(FIELDS);
        // SQL stands in strings of whatever else.
        let is_worth = (met.uses && (loads || fields || self.holds(AROUND)))
            || ((met.uses || self.is_plain) && embedded::may_hold(self.text))
            || (met.turns && self.holds(TIMERS))
            || may_come_to_something(self.code, index, &met, (loads, fields))
            || (self.is_plain && met.uses && may_use_any(self.code));
        match (is_worth, met.has_names()) {
            (true, _) => Speaks::OfKeys,
            (false, true) => Speaks::OfNames,
            (false, false) => Speaks::Not,
        }
    }

    fn holds(&self, words: &[&str]) -> bool {
        let is_in = |text: &str, word: &str| {
            memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some()
        };
        words.iter().any(|word| is_in(self.code, word) || is_in(self.strings, word))
    }
}

/// Whether the names that a text has beside those of keys are ones of something that loads
/// settings, has them as fields, or uses keys.
fn may_come_to_something(
    text: &str,
    index: &Index,
    met: &Met,
    (loads, fields): (bool, bool),
) -> bool {
    if !(loads || fields || index.needs_something(met.uses, met.has_names())) {
        return false;
    }
    let mut there: HashSet<&str, Quick> = HashSet::default();
    let mut called: HashSet<&str, Quick> = HashSet::default();
    let mut before = "";
    for word in words_of(text) {
        let name = word.name;
        let holder = std::mem::replace(&mut before, name);
        let is_method = word.between.trim_ascii() == ".";
        let is_called = loads && word.is_given_something();
        if is_called && may_use(name, Some(holder).filter(|_| is_method)) {
            return true;
        }
        let is_called = is_called && (name != "set" || is_method) && called.insert(name);
        if !there.insert(name) && !is_called {
            continue;
        }
        let is_quoted = matches!(word.behind.bytes().next(), Some(b'"' | b'\''));
        let is_of_fields =
            (name.ends_with("Settings") && !is_quoted) || NAMES_OF_FIELDS.contains(&name);
        let is_of_loads =
            DECLARES.contains(&name) || (is_called && (name == "set" || words::may_load(name)));
        if (fields && is_of_fields) || (loads && is_of_loads) {
            return true;
        }
    }
    (fields && there.contains("environ") && there.contains("config"))
        || (loads && index.may_load_in(&there))
        || index.may_be_called_in(&there, met.uses, met.has_names())
}

/// Whether a function is called that could use a key, and a name is there that could be one's only
/// where it is used.
fn may_use_any(text: &str) -> bool {
    let is_weak = |name: &str| {
        let tail = name.len().checked_sub(4).and_then(|from| name.get(from..)).unwrap_or(name);
        let tail = tail.to_ascii_lowercase();
        ["key", "keys", "kek", "dek", "seed"].iter().any(|end| tail.ends_with(end))
    };
    let mut known: HashSet<&str, Quick> = HashSet::default();
    let (mut uses, mut has_weak, mut before) = (false, false, "");
    for word in words_of(text) {
        let holder = std::mem::replace(&mut before, word.name);
        has_weak = has_weak || is_weak(word.name);
        if !uses && word.is_given_something() {
            let is_method = word.between.trim_ascii() == ".";
            uses = (is_method && shapes::says(holder) || known.insert(word.name))
                && may_use(word.name, Some(holder).filter(|_| is_method));
        }
        if uses && has_weak {
            return true;
        }
    }
    false
}

/// Whether a function by its name, or by that of what it is called on, could use a key.
fn may_use(name: &str, holder: Option<&str>) -> bool {
    let holder = holder.filter(|holder| shapes::says(holder));
    (holder.is_some() || shapes::says(name))
        && (shapes::of_call(name, None).is_some() || shapes::of_call(name, holder).is_some())
}

/// A word of a text that could be a name in it.
struct Word<'t> {
    name: &'t str,
    /// What stands between it and the word before.
    between: &'t str,
    /// All that follows it.
    behind: &'t str,
}

impl Word<'_> {
    /// Whether it is called with at least one argument.
    fn is_given_something(&self) -> bool {
        let given = self.behind.strip_prefix('(').map(str::trim_ascii_start);
        given.is_some_and(|given| !given.starts_with(')'))
    }
}

/// The words of a text, without those of one letter.
fn words_of(text: &str) -> impl Iterator<Item = Word<'_>> {
    let bytes = text.as_bytes();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (mut at, mut before) = (0_usize, 0_usize);
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(at..)?;
            let start = at.saturating_add(rest.iter().position(is_part)?);
            let name = bytes.get(start..)?;
            let length = name.iter().position(|byte| !is_part(byte)).unwrap_or(name.len());
            at = start.saturating_add(length);
            if length > 1 {
                let between = text.get(before..start)?;
                before = at;
                return Some(Word { name: text.get(start..at)?, between, behind: text.get(at..)? });
            }
        }
    })
}

/// Whether a piece of a file has a name under which something could be loaded, or a word of keys.
pub(crate) fn may_load(piece: &str) -> bool {
    let mut met = Met::default();
    !met.look(piece, true) || met.has_names()
}

/// Whether a small letter stands right before a place.
fn goes_on_before(text: &str, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
    before.is_some_and(u8::is_ascii_lowercase)
}

/// Whether a name stands in a string, alone or as a part of a path; prose names no setting.
fn is_in_string(text: &str, start: usize, name: &str) -> bool {
    let bytes = text.as_bytes();
    let mut before = bytes.get(..start).unwrap_or_default().iter().rev().take(LONGEST);
    let is_path = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-./:${}[]".contains(byte);
    let quote = before.find(|byte| !is_path(byte));
    quote.is_some_and(|byte| matches!(byte, b'"' | b'\''))
        && bytes.get(start.saturating_add(name.len())) != Some(&b' ')
}

/// Whether a name is that of an action or of a type of a service, such as the `"iam:GetAccessKey"`
/// and `"AWS::ApiGateway::ApiKey"` of policies and templates, of which lists are long.
fn is_of_service(text: &str, start: usize, name: &str) -> bool {
    let before = text.as_bytes().get(..start).unwrap_or_default();
    let [.., first, b':'] = before else { return false };
    (first.is_ascii_alphanumeric() || *first == b':')
        && name.starts_with(|letter: char| letter.is_ascii_uppercase())
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
        && is_in_string(text, start, name)
}

/// The name in which a part of it stands, and where it begins.
fn name_around(text: &str, start: usize, end: usize) -> (usize, &str) {
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || *byte >= 128;
    let bytes = text.as_bytes();
    let before = bytes.get(..start).unwrap_or_default();
    let after = bytes.get(end..).unwrap_or_default();
    let from = before.iter().rev().take(LONGEST).take_while(|byte| is_part(byte)).count();
    let to = after.iter().take(LONGEST).take_while(|byte| is_part(byte)).count();
    let from = start.saturating_sub(from);
    (from, text.get(from..end.saturating_add(to)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn words_alone_are_not_enough() {
        let rules = Rules::built_in().unwrap();
        let speaks = |text: &str| speaks(text, rules.python(), false).0;
        assert_eq!(speaks("def f(x):\n    return x.encrypted\n"), Speaks::OfNames);
        assert_eq!(speaks("import jwt\njwt.encode(a, b)\n"), Speaks::OfKeys);
        assert_eq!(speaks("import jwt\njwt.other(a, b)\n"), Speaks::OfNames);
        assert_eq!(speaks("q = 'SELECT hmac(a, b, c)'\n"), Speaks::OfKeys);
        assert_eq!(speaks("SECRET_KEY = 1\n"), Speaks::OfKeys);
        assert_eq!(speaks("connect(password=text)\n"), Speaks::OfNames);
        assert_eq!(speaks("env('CRON_TOKEN')\n"), Speaks::OfKeys);
        assert_eq!(speaks("items.sort(env, sort_by=cron_key)\n"), Speaks::OfNames);
        assert_eq!(speaks("x = {'AWS::Api::ApiKey': 'a'}\n"), Speaks::Not);
        assert_eq!(speaks("def f(a:ApiKey): pass\n"), Speaks::OfKeys);
        assert_eq!(speaks("'''The config of a cron-key is here.'''\n"), Speaks::OfNames);
        assert_eq!(speaks("x = get_config('CRON_TOKEN')\n"), Speaks::OfKeys);
        assert_eq!(speaks("x = os.environ['CRON_TOKEN']\n"), Speaks::OfKeys);
        assert_eq!(speaks("class A(BaseSettings):\n    cron_token: str\n"), Speaks::OfKeys);
        assert_eq!(speaks("for key in table: rotate(image)\n"), Speaks::Not);
        assert_eq!(speaks("'the secret'  # SECRET_KEY\n"), Speaks::OfNames);
        assert_eq!(speaks("x = f'a {settings.SECRET_KEY}'\n"), Speaks::OfKeys);
        assert_eq!(speaks("x = 'it\\'s' + settings.SECRET_KEY\n"), Speaks::OfKeys);
        assert_eq!(speaks("x = {'SHOP_KEY': reconfigured}\nx = set(y)\n"), Speaks::OfNames);
        assert_eq!(speaks("settings.set('shop_key', 'SHOP_KEY')\n"), Speaks::OfKeys);
    }
}
