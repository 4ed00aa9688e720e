//! Reads what no other reader can, line by line: templates, programs of other languages or older
//! versions of them, and files too long to be read whole. A line alone tells little, so it finds
//! less than a reader does, is less sure of it, and never says that a place takes a new key.
//!
//! The text is looked at in pieces of bounded length, so that neither a file nor a line can be too
//! long.

use std::borrow::Cow;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;

use crate::code::{is_plausible, judge};
use crate::finding::{Class, Confidence, Does, Kind, Scope, Source};
use crate::literal::Literal;
use crate::names;
use crate::rules::Rules;
use crate::site::{Hot, Link, Site, Sites, Unreadable};
use crate::source::SourceFile;

/// The longest piece of a line that is looked at in one go.
const PIECE_BYTES_MAX: usize = 16 * 1024;

/// How many places of one file are said at most.
const SITES_MAX: usize = 2000;

/// Before the name of a setting: how languages ask their environment for it.
const LOADS: &[(&str, Source)] = &[
    ("process.env.", Source::Environment),
    ("process.env[", Source::Environment),
    ("import.meta.env.", Source::Environment),
    ("os.environ[", Source::Environment),
    ("os.environ.get(", Source::Environment),
    ("environ[", Source::Environment),
    ("environ.get(", Source::Environment),
    ("os.getenv(", Source::Environment),
    ("env.str(", Source::Environment),
    ("env(\"", Source::Environment),
    ("env('", Source::Environment),
    ("os.getenv ", Source::Environment),
    ("getenv(", Source::Environment),
    ("os.Getenv(", Source::Environment),
    ("os.LookupEnv(", Source::Environment),
    ("System.getenv(", Source::Environment),
    ("GetEnvironmentVariable(", Source::Environment),
    ("ENV[", Source::Environment),
    ("ENV.fetch(", Source::Environment),
    ("ENV.fetch ", Source::Environment),
    ("$_ENV[", Source::Environment),
    ("$_SERVER[", Source::Environment),
    ("env::var(", Source::Environment),
    ("env::var_os(", Source::Environment),
    ("env!(", Source::Environment),
    ("std::getenv(", Source::Environment),
    ("System.get_env(", Source::Environment),
    ("System.fetch_env!(", Source::Environment),
    ("sys.env(", Source::Environment),
    ("$ENV{", Source::Environment),
    ("Deno.env.get(", Source::Environment),
    ("viper.GetString(", Source::Settings),
    ("credentials.dig(", Source::Settings),
    ("credentials[", Source::Settings),
    ("Configuration[", Source::Settings),
    ("Configuration.GetValue<string>(", Source::Settings),
    ("_configuration.GetValue<string>(", Source::Settings),
    ("dotenvy::var(", Source::Environment),
    ("dotenv::var(", Source::Environment),
    ("app.config[", Source::Settings),
];

/// Calls that take a key, with what they do; each is looked for with its bracket.
const SINKS: &[(&str, Does)] = &[
    ("jwt.encode(", Does::Signs),
    ("jwt.decode(", Does::Verifies),
    ("jwt.sign(", Does::Signs),
    ("jwt.verify(", Does::Verifies),
    ("JWT.encode(", Does::Signs),
    ("JWT::encode(", Does::Signs),
    ("JWT::decode(", Does::Verifies),
    ("JWT.decode(", Does::Verifies),
    ("hmac.new(", Does::Signs),
    ("hmac.New(", Does::Signs),
    ("createHmac(", Does::Signs),
    ("hash_hmac(", Does::Signs),
    ("OpenSSL::HMAC.hexdigest(", Does::Signs),
    ("OpenSSL::HMAC.digest(", Does::Signs),
    ("createCipheriv(", Does::Encrypts),
    ("createDecipheriv(", Does::Decrypts),
    ("openssl_encrypt(", Does::Encrypts),
    ("openssl_decrypt(", Does::Decrypts),
    ("aes.NewCipher(", Does::EncryptsAndDecrypts),
    ("Fernet(", Does::EncryptsAndDecrypts),
    ("MessageEncryptor.new(", Does::EncryptsAndDecrypts),
    ("MessageVerifier.new(", Does::SignsAndVerifies),
    ("URLSafeTimedSerializer(", Does::SignsAndVerifies),
    ("SecretKeySpec(", Does::Derives),
    ("Algorithm.HMAC256(", Does::SignsAndVerifies),
    ("EncodingKey::from_secret(", Does::Signs),
    ("DecodingKey::from_secret(", Does::Verifies),
    ("Hmac::<Sha256>::new_from_slice(", Does::Signs),
    ("HmacSha256::new_from_slice(", Does::Signs),
    ("hmac::Key::new(", Does::Signs),
    ("Aes256Gcm::new(", Does::EncryptsAndDecrypts),
    ("new HMACSHA256(", Does::Signs),
    ("new SymmetricSecurityKey(", Does::SignsAndVerifies),
    ("Phoenix.Token.sign(", Does::Signs),
    ("Phoenix.Token.verify(", Does::Verifies),
];

/// What all of them are looked for with, in one pass.
struct Words {
    search: AhoCorasick,
}

fn words() -> Option<&'static Words> {
    static WORDS: OnceLock<Option<Words>> = OnceLock::new();
    WORDS
        .get_or_init(|| {
            let loads = LOADS.iter().map(|(text, _)| *text);
            let sinks = SINKS.iter().map(|(text, _)| *text);
            let search = AhoCorasick::new(loads.chain(sinks)).ok()?;
            Some(Words { search })
        })
        .as_ref()
}

/// Reads a file line by line.
///
/// # Errors
/// Never; whatever it is, it has lines.
pub fn read(file: &SourceFile<'_>, _rules: &Rules, sites: &mut Sites) -> Result<(), Unreadable> {
    let mut reader = Reader { file, sites, said: 0 };
    let mut in_comment = false;
    for (start, line) in file.lines() {
        let trimmed = line.trim_start();
        if opens_comment(trimmed) {
            in_comment = true;
        }
        if !in_comment && !is_comment(trimmed) {
            for (from, piece) in pieces(line) {
                reader.piece(start + from, piece);
            }
        }
        if in_comment && closes_comment(trimmed) {
            in_comment = false;
        }
        if reader.said >= SITES_MAX {
            break;
        }
    }
    Ok(())
}

fn opens_comment(line: &str) -> bool {
    let opens = ["/*", "<!--", "{#", "{{/*", "<%#"].iter().any(|open| line.starts_with(open));
    opens && !closes_comment(line)
}

fn closes_comment(line: &str) -> bool {
    ["*/", "-->", "#}", "%>"].iter().any(|close| line.contains(close))
}

fn is_comment(line: &str) -> bool {
    let begins = [
        "#", "//", "* ", "--", ";", "<!--", "{#", "/*", "%", "{{/*", "<%#", "rem ", "REM ", "dnl ",
    ];
    let is_directive = line.starts_with("#define") || line.starts_with("--set");
    !is_directive && begins.iter().any(|begin| line.starts_with(begin))
}

/// A line in pieces that are short enough, cut where no word is cut.
fn pieces(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        if from >= line.len() && !(from == 0 && line.is_empty()) || from > line.len() {
            return None;
        }
        let rest = line.get(from..)?;
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(PIECE_BYTES_MAX);
        if end < rest.len() {
            let bytes = rest.as_bytes().get(..end).unwrap_or_default();
            let cut = memchr::memrchr3(b';', b',', b' ', bytes).map(|at| at + 1);
            end = cut.filter(|cut| *cut > PIECE_BYTES_MAX / 2).unwrap_or(end);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
        }
        let piece = rest.get(..end)?;
        let at = from;
        from += end.max(1);
        Some((at, piece))
    })
}

struct Reader<'f, 'a> {
    file: &'f SourceFile<'a>,
    sites: &'f mut Sites,
    said: usize,
}

impl Reader<'_, '_> {
    fn piece(&mut self, start: usize, piece: &str) {
        let Some(words) = words() else { return };
        let before = self.said;
        let mut last_end = 0;
        for found in words.search.find_iter(piece) {
            let index = found.pattern().as_usize();
            if self.said >= SITES_MAX {
                return;
            }
            if found.start() < last_end || !begins_word(piece, found.start()) {
                continue;
            }
            last_end = found.end();
            let span = (found.start(), found.end());
            if let Some((_, source)) = LOADS.get(index) {
                self.load(start, piece, span, *source);
            } else if let Some((name, does)) =
                index.checked_sub(LOADS.len()).and_then(|index| SINKS.get(index))
            {
                self.sink(start, piece, span, (name, *does));
            }
        }
        if self.said == before {
            self.assignments(start, piece);
        }
    }

    fn load(&mut self, start: usize, piece: &str, (at, end): (usize, usize), source: Source) {
        let Some(rest) = piece.get(end..) else { return };
        let rest = rest.trim_start_matches([' ', '"', '\'', ':', '`']);
        let name = word(rest);
        // `Configuration["Jwt:Key"]` only reads what somebody else has loaded.
        let is_read =
            name.contains(':') && piece.get(..end).is_some_and(|call| call.ends_with('['));
        let Some(class) = judge(name).filter(|_| !is_read) else { return };
        let after = rest.get(name.len()..).unwrap_or_default();
        if is_only_asked(piece, at, after) {
            return;
        }
        let mut site = self.site(Kind::EnvLoad, "lines/env-load", start + at, name, class);
        site.source = source;
        site.sink = piece
            .get(at..end)
            .map(|call| call.trim_end_matches(['(', '[', '.', ' ', '{']).to_owned());
        let is_top = !piece.starts_with([' ', '\t']);
        site.scope = is_top.then_some(Scope::Module);
        site.hot = if is_top { Hot::No } else { Hot::Unknown };
        site.reason = Cow::Borrowed("a line asks the environment or the settings for it");
        self.push(site);
        self.fallback(start, piece, end, name, class);
    }

    /// `get("KEY", "default")`, `KEY || "default"`
    fn fallback(&mut self, start: usize, piece: &str, end: usize, name: &str, class: Class) {
        let Some(rest) = piece.get(end..) else { return };
        let Some(skip) = rest.find(name).map(|at| at + name.len()) else { return };
        let Some(after) = rest.get(skip..) else { return };
        let tail = after.trim_start_matches(['"', '\'', ']', ')', ' ', '`', '}']);
        let Some(tail) =
            ["||", "??", ",", "or ", "?:"].iter().find_map(|sign| tail.strip_prefix(sign))
        else {
            return;
        };
        let tail = tail.trim_start();
        let offset = piece.len() - tail.len();
        if let Some(text) = quoted(tail)
            && !text.is_empty()
        {
            self.literal(start + offset, "lines/default-literal", name, class, text);
        }
    }

    fn sink(
        &mut self,
        start: usize,
        piece: &str,
        (at, end): (usize, usize),
        (name, does): (&str, Does),
    ) {
        let Some(rest) = piece.get(end..) else { return };
        let before = piece.get(..at).unwrap_or_default().trim_end();
        // The definition of a function of this name is no call.
        if ["def", "function", "func", "fn", "import", "class"]
            .iter()
            .any(|word| before.ends_with(word))
        {
            return;
        }
        let mut arguments = rest.split([',', ')', '(']).map(str::trim);
        let key = arguments.find_map(|argument| {
            let name = last_name(argument);
            Some((name, judge(name).filter(|class| *class != Class::Password)?))
        });
        let (key, class) = key.unwrap_or(("", Class::Key));
        let mut site = self.site(Kind::KeyUse, "lines/key-use", start + at, key, class);
        site.name = Some(key.to_owned()).filter(|key| !key.is_empty());
        site.sink = Some(name.trim_end_matches('(').to_owned());
        site.does = Some(does);
        site.reason = Cow::Borrowed("a line calls a function that takes a key");
        self.push(site);
    }

    /// `key = "literal"`, `key: "literal"`, `key => "literal"`
    fn assignments(&mut self, start: usize, piece: &str) {
        let mut at = 0;
        while let Some(found) = piece.get(at..).and_then(|rest| rest.find(['=', ':'])) {
            let sign = at + found;
            at = sign + 1;
            if self.said >= SITES_MAX {
                return;
            }
            let (Some(left), Some(right)) = (piece.get(..sign), piece.get(sign + 1..)) else {
                return;
            };
            if left.ends_with(['=', '!', '<', '>', ':']) {
                continue;
            }
            let right = right.trim_start_matches(['=', '>']).trim_start();
            if piece
                .get(sign + 1..)
                .is_some_and(|rest| rest.starts_with("==") || rest.starts_with(':'))
            {
                continue;
            }
            let right =
                right.strip_prefix("b\"").map_or(right, |_| right.get(1..).unwrap_or(right));
            let Some(text) = quoted(right) else { continue };
            let name = last_name(left);
            let Some(class) = judge(name) else { continue };
            let is_comparison = piece.get(sign + 1..).is_some_and(|rest| rest.starts_with('='));
            if !is_comparison && is_plausible(name, text) && !is_template(text) {
                let offset = piece.len() - right.len();
                self.literal(start + offset, "lines/assigned-literal", name, class, text);
            }
        }
    }

    fn literal(&mut self, at: usize, rule: &'static str, name: &str, class: Class, text: &str) {
        let mut site = self.site(Kind::Hardcoded, rule, at, name, class);
        site.hot = Hot::No;
        site.source = Source::Literal;
        site.literal = Some(Literal::new(text));
        site.reason = Cow::Borrowed("a literal stands where a key belongs");
        self.push(site);
    }

    fn site(&self, kind: Kind, rule: &'static str, at: usize, name: &str, class: Class) -> Site {
        let mut site = Site::new(kind, rule, self.file.position(at));
        site.name = Some(name.to_owned());
        site.links = if names::is_weak(name) {
            vec![Link::Local(name.to_owned())]
        } else {
            vec![Link::Setting(name.to_owned())]
        };
        site.class = class;
        site.confidence = Confidence::Low;
        site
    }

    fn push(&mut self, site: Site) {
        self.said += 1;
        if self.said <= SITES_MAX {
            self.sites.found.push(site);
        }
    }
}

fn begins_word(piece: &str, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| piece.as_bytes().get(at));
    before.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'))
}

fn is_only_asked(piece: &str, at: usize, after: &str) -> bool {
    let before = piece.get(..at).unwrap_or_default().trim_end_matches([' ', '(']);
    let after = after.trim_start_matches(['"', '\'', ')', ']', '}']);
    let asks = before.ends_with('!')
        || before.ends_with("defined?")
        || before.ends_with("isset")
        || before.ends_with(" not");
    let is_condition = ["if", "unless", "elsif"].iter().any(|word| before.ends_with(word));
    let is_written =
        after.trim_start().strip_prefix('=').is_some_and(|rest| !rest.starts_with(['=', '~']));
    asks || (is_condition
        && (after.trim().is_empty() || after.trim_start().starts_with(['%', '{'])))
        || after.starts_with(".present?")
        || is_written
}

/// The word at the beginning of a text.
fn word(text: &str) -> &str {
    let end = text.find(|letter: char| {
        !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-' | ':'))
    });
    text.get(..end.unwrap_or(text.len())).unwrap_or_default().trim_end_matches(['.', ':'])
}

/// The last name of a text: of `let secret: &str` and `config["secret"]` it is `secret`.
fn last_name(text: &str) -> &str {
    let mut text = text.trim_end();
    // A type stands between a name and its value.
    if let Some((before, after)) = text.rsplit_once(':')
        && !before.ends_with(':')
        && !after.starts_with(':')
        && after.len() < 40
        && !after.contains(['"', '\''])
        && !after.trim().is_empty()
        && !after.contains(',')
    {
        text = before.trim_end();
    }
    let text = text.trim_end_matches(['"', '\'', ']', '?', ' ', ')']);
    let start =
        text.rfind(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')));
    text.get(start.map_or(0, |at| at + 1)..).unwrap_or_default()
}

/// What stands in quotes at the beginning of a text.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '`'))?;
    let rest = text.get(1..)?;
    let end = rest.find(quote)?;
    rest.get(..end).filter(|text| text.len() < 4096)
}

/// Whether a value is filled in later.
fn is_template(text: &str) -> bool {
    ["{{", "{%", "<%", "<?", "${", "#{", "%("].iter().any(|open| text.contains(open))
}
