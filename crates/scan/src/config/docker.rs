//! Dockerfiles: `ENV`, `ARG`, secrets that a build mounts, and the scripts of `RUN`.

use super::out::{Entry, Out};
use super::shell::{self, Token, Words};
use super::value::{Value, name_length};
use crate::finding::Source;

pub(super) fn read(text: &str, out: &mut Out<'_, '_>) {
    let mut at = 0;
    while at < text.len() {
        let end = instruction_end(text, at);
        instruction(text.get(at..end).unwrap_or_default(), at, out);
        at = end + 1;
    }
}

/// Where the instruction that begins there ends, over lines that are continued.
fn instruction_end(text: &str, start: usize) -> usize {
    let mut at = start;
    loop {
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        let Some(length) = memchr::memchr(b'\n', rest) else { return text.len() };
        let line = text.get(at..at + length).unwrap_or_default().trim();
        let is_comment = line.starts_with('#');
        let goes_on = line.ends_with('\\') && !(is_comment && at == start);
        // Comments between continued lines are left out by Docker.
        if !(goes_on || (is_comment && at > start)) {
            return at + length;
        }
        at += length + 1;
    }
}

fn instruction(text: &str, at: usize, out: &mut Out<'_, '_>) {
    let mut content = text.trim_start();
    if content.get(..8).is_some_and(|word| word.eq_ignore_ascii_case("ONBUILD ")) {
        content = content.get(8..).unwrap_or_default().trim_start();
    }
    let at = at + (text.len() - content.len());
    let Some(cut) = content.find([' ', '\t']) else { return };
    let (word, rest) = content.split_at_checked(cut).unwrap_or((content, ""));
    let rest_at = at + cut;
    if word.eq_ignore_ascii_case("ENV") || word.eq_ignore_ascii_case("ARG") {
        variables(rest, rest_at, word.eq_ignore_ascii_case("ARG"), out);
    } else if word.eq_ignore_ascii_case("RUN") {
        mounts(rest, rest_at, out);
        shell::read(rest, &mut out.within(rest_at, out.rule, out.style));
    } else if word.eq_ignore_ascii_case("CMD") || word.eq_ignore_ascii_case("ENTRYPOINT") {
        shell::read(rest, &mut out.within(rest_at, out.rule, out.style));
    }
}

fn variables(text: &str, at: usize, is_argument: bool, out: &mut Out<'_, '_>) {
    let mut is_first = true;
    for token in (Words { text, at: 0 }) {
        let Token::Word { at: word_at, word } = token else { continue };
        let length = name_length(word);
        let name = word.get(..length).unwrap_or_default();
        let rest = word.get(length..).unwrap_or_default();
        if let Some(value) = rest.strip_prefix('=') {
            let value = Value::of(value.trim_matches(['"', '\'']));
            out.entry(&Entry { at: at + word_at, name, above: "", value });
        } else if is_argument {
            let value = Value::from(Source::Argument);
            out.entry(&Entry { at: at + word_at, name, above: "", value });
        } else if is_first {
            // The old form: all that follows is the value.
            let value = text.get(word_at + word.len()..).unwrap_or_default();
            let value = Value::of(value.trim().trim_matches(['"', '\'']));
            out.entry(&Entry { at: at + word_at, name, above: "", value });
            return;
        }
        is_first = false;
    }
}

/// `--mount=type=secret,id=jwt_secret`.
fn mounts(text: &str, at: usize, out: &mut Out<'_, '_>) {
    let finder = memchr::memmem::Finder::new(b"--mount=");
    for start in finder.find_iter(text.as_bytes()).take(64) {
        let mount = text.get(start..).unwrap_or_default();
        let mount = mount.split_whitespace().next().unwrap_or_default();
        let id = mount.split(',').find_map(|part| part.strip_prefix("id="));
        if let Some(name) = id.filter(|_| mount.contains("type=secret")) {
            let value = Value::from(Source::SecretStore);
            out.entry(&Entry { at: at + start, name, above: "", value });
        }
    }
}
