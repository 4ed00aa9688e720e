//! Scripts of a shell: variables that are set, exported or demanded, those that are handed to
//! containers and charts, and keys among the arguments of `openssl`. A line of a here-document that
//! sets a variable is read as one of the script, for that is how scripts write `.env` files.

use super::judge::style_of;
use super::out::{Entry, Out};
use super::value::{Value, name_length};
use crate::finding::Source;

/// How long the text within `$( … )` may be.
const NESTED_MAX: usize = 4096;

/// Reads a script.
pub(super) fn read(text: &str, out: &mut Out<'_, '_>) {
    let mut command = Command::default();
    for token in (Words { text, at: 0 }) {
        match token {
            Token::End => command = Command::default(),
            Token::Word { at, word } => command.word(at, word, out),
        }
    }
}

/// A word of a script, or the end of a command.
pub(super) enum Token<'a> {
    /// A word as it is written, with its quotes.
    Word {
        /// Where it begins.
        at: usize,
        /// The word.
        word: &'a str,
    },
    /// `;`, `&&`, `|` or the end of a line.
    End,
}

/// The words of a script.
pub(super) struct Words<'a> {
    /// The script.
    pub(super) text: &'a str,
    /// Where to go on.
    pub(super) at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            match self.byte(0)? {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\\' if matches!(self.byte(1), Some(b'\n' | b'\r')) => {
                    self.at += 2;
                }
                b'#' => self.skip_line(),
                b'\n' | b';' | b'&' | b'|' => {
                    self.at += 1;
                    return Some(Token::End);
                }
                _ => return Some(self.word()),
            }
        }
    }
}

impl<'a> Words<'a> {
    fn byte(&self, after: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + after).copied()
    }

    fn skip_line(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn word(&mut self) -> Token<'a> {
        let start = self.at;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\\' if self.byte(1) != Some(b'\n') => self.at += 2,
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'&' | b'|' | b'\\' => break,
                b'"' | b'\'' => self.quoted(byte),
                b'$' if self.byte(1) == Some(b'{') && self.byte(2) == Some(b'{') => {
                    self.nested(b"}}");
                }
                b'$' if self.byte(1) == Some(b'(') => self.nested(b")"),
                b'$' if self.byte(1) == Some(b'{') => self.nested(b"}"),
                b'{' if self.byte(1) == Some(b'{') => self.nested(b"}}"),
                b'`' => self.nested(b"`"),
                _ => self.at += 1,
            }
        }
        self.at = self.at.max(start + 1).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        Token::Word { at: start, word: self.text.get(start..self.at).unwrap_or_default() }
    }

    /// Skips a quoted text; one that its line does not close ends with it.
    fn quoted(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\n' => return,
                b'\\' if quote == b'"' => self.at += 2,
                b'$' if quote == b'"' && self.byte(1) == Some(b'(') => self.nested(b")"),
                _ => self.at += 1,
            }
            if byte == quote {
                return;
            }
        }
    }

    /// Skips to what closes a nested text, on the same line.
    fn nested(&mut self, close: &[u8]) {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let reach = rest.get(..rest.len().min(NESTED_MAX)).unwrap_or_default();
        let line = memchr::memchr(b'\n', reach).unwrap_or(reach.len());
        let reach = reach.get(..line).unwrap_or_default();
        let end = memchr::memmem::find(reach, close).map_or(0, |end| end + close.len());
        self.at += 1 + end;
    }
}

/// A command that is being read.
#[derive(Default)]
struct Command<'a> {
    /// Its first word, once it has come.
    name: Option<&'a str>,
    /// The word before.
    previous: &'a str,
    /// Where the first word stands.
    name_at: usize,
}

/// Words after which a command still begins.
const BEFORE: &[&str] =
    &["if", "then", "else", "do", "while", "{", "(", "!", "time", "sudo", "exec", "command", "-"];

/// Commands whose arguments are variables.
const EXPORTS: &[&str] =
    &["export", "readonly", "local", "declare", "typeset", "env", "ENV", "ARG", "set"];

impl<'a> Command<'a> {
    fn word(&mut self, at: usize, word: &'a str, out: &mut Out<'_, '_>) {
        let previous = std::mem::replace(&mut self.previous, word);
        let bare = word.trim_start_matches(['"', '\'', '(']);
        let at = at + (word.len() - bare.len());
        let length = name_length(bare);
        let name = bare.get(..length).unwrap_or_default();
        let rest = bare.get(length..).unwrap_or_default();
        let is_first = self.name.is_none_or(|command| EXPORTS.contains(&command));
        let is_shouted = length > 2 && style_of(name) == super::judge::Style::Environment;
        if word.starts_with(['"', '\'']) && previous != "=" {
            of_database(at, bare, out);
        }
        if let Some(value) = rest.strip_prefix('=').filter(|_| !name.is_empty())
            && (is_first || is_shouted)
        {
            let is_copy = value.trim_end_matches(['"', '\'', '}']).starts_with('$')
                && !value.starts_with("$(")
                && !value.starts_with("${{");
            // `grep SECRET_KEY=`, and a variable that is only written somewhere else.
            let is_only_text = match self.name {
                Some("grep" | "egrep" | "sed" | "awk" | "printf") => true,
                Some("echo") => is_copy,
                _ => false,
            };
            if !value.starts_with('=') && !is_only_text {
                let is_local = self.name == Some("local") || !is_shouted;
                variable(at, name, value, is_local, out);
            }
            return;
        }
        let Some(command) = self.name else {
            if !BEFORE.contains(&word) {
                (self.name, self.name_at) = (Some(word), at);
            }
            return;
        };
        // `JWT_SECRET ?= value` of a makefile.
        if matches!(previous, "?=" | ":=" | "::=") && name_length(command) == command.len() {
            variable(self.name_at, command, word, true, out);
            self.name = Some("=");
            return;
        }
        let is_name = !name.is_empty() && rest.trim_end_matches(['"', '\'']).is_empty();
        let hands_on = matches!(previous, "-e" | "--env" | "--build-arg");
        if is_name && (matches!(command, "export" | "readonly") || hands_on) {
            out.entry(&Entry { at, name, above: "", value: Value::from(Source::Environment) });
        } else if is_name && command == "file_env" {
            // The helper of many images: it takes a variable, or what the file it names has.
            out.entry(&Entry { at, name, above: "", value: Value::from(Source::File) });
        } else if command == ":" && bare.starts_with("${") {
            let value = Value::of(bare.trim_end_matches(['"', '\'']));
            let name = value.references.first().map_or("", |reference| reference.name);
            out.entry(&Entry { at, name, above: "", value });
        } else if command == "openssl" {
            openssl(at, bare, previous, out);
        } else {
            flag(at, bare, previous, out);
        }
    }
}

/// `psql -c "alter database shop set app.jwt_secret to '…'"`: a key in the settings of a database.
fn of_database(at: usize, text: &str, out: &mut Out<'_, '_>) {
    let starts = text.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("alter "));
    let reach = text.get(..text.len().min(NESTED_MAX)).filter(|_| starts);
    let lower = reach.unwrap_or_default().to_ascii_lowercase();
    let Some(from) = lower.find(" set ").map(|place| place + 5) else { return };
    let rest = text.get(from..).unwrap_or_default().trim_start();
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(*byte, b'_' | b'.' | b'-');
    let length = rest.bytes().take_while(|byte| is_part(byte)).count();
    let name = rest.get(..length).unwrap_or_default();
    let value = rest.get(length..).unwrap_or_default().trim_start();
    let given = value.strip_prefix('=').or_else(|| value.get(2..)).unwrap_or_default();
    if name.contains('.') {
        let value = Value::of(given.trim().trim_matches(['"', '\'', ';']));
        out.entry(&Entry { at, name, above: "", value });
    }
}

/// `NAME=value`.
fn variable(at: usize, name: &str, value: &str, is_local: bool, out: &mut Out<'_, '_>) {
    let value = value.trim_matches(['"', '\'']);
    // What a function was called with is told where it is called.
    let is_argument = value.len() == 2 && value.starts_with('$') && value != "$(";
    if !(is_argument && is_local) {
        out.entry(&Entry { at, name, above: "", value: Value::of(value) });
    }
}

/// `--set auth.jwtSecret=x`, `--from-literal=jwt-secret=x`, `--jwt-secret=x`.
fn flag(at: usize, word: &str, previous: &str, out: &mut Out<'_, '_>) {
    let named = if matches!(previous, "--set" | "--set-string" | "--from-literal" | "--from-file") {
        word
    } else if let Some(rest) = ["--set=", "--set-string=", "--from-literal=", "--from-file="]
        .iter()
        .find_map(|flag| word.strip_prefix(flag))
    {
        rest
    } else if let Some(rest) = word.strip_prefix("--") {
        rest
    } else {
        return;
    };
    let Some((name, value)) = named.split_once('=') else { return };
    let name = name.trim_start_matches(['"', '\'']);
    let is_name = name.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']')
    });
    if !is_name {
        return;
    }
    let (above, last) = name.rsplit_once('.').unwrap_or(("", name));
    let style = style_of(last);
    let mut out = out.within(0, out.rule, style);
    out.depth = out.depth.saturating_sub(1);
    let value = value.trim_matches(['"', '\'']);
    // What is only handed to a command is no place of its own.
    let is_set = previous.starts_with("--set") || word.starts_with("--set");
    let is_handed = is_set
        && value.strip_prefix('$').is_some_and(|name| {
            let name = name.trim_start_matches('{').trim_end_matches('}');
            !name.is_empty() && name_length(name) == name.len()
        });
    if !is_handed {
        out.entry(&Entry { at, name: last, above, value: Value::of(value) });
    }
}

/// A key among the arguments of `openssl`.
fn openssl(at: usize, word: &str, previous: &str, out: &mut Out<'_, '_>) {
    let value = match previous {
        "-k" | "-K" | "-hmac" => word,
        "-pass" | "-passin" | "-passout" => match word.split_once(':') {
            Some(("pass", value)) => value,
            _ => return,
        },
        _ => return,
    };
    let value = Value::of(value.trim_matches(['"', '\'']));
    out.entry(&Entry { at, name: "passphrase", above: "openssl", value });
}
