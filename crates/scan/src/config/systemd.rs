//! Units of systemd: their environment, their credentials, and the commands that they start.

use super::judge::{Style, style_of};
use super::out::{Entry, Out};
use super::shell::{self, Token, Words};
use super::value::{Value, name_length};
use crate::finding::Source;

pub(super) fn read(text: &str, out: &mut Out<'_, '_>) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim_start();
        let Some((key, rest)) = content.split_once('=') else { continue };
        let rest_at = start + line.len() - rest.len();
        match key.trim_end() {
            "Environment" => environment(rest, rest_at, out),
            "PassEnvironment" => {
                words(rest, |word_at, word| {
                    let value = Value::from(Source::Environment);
                    out.entry(&Entry { at: rest_at + word_at, name: word, above: "", value });
                });
            }
            "LoadCredential" | "LoadCredentialEncrypted" | "ImportCredential" => {
                credential(rest, rest_at, |_| Value::from(Source::File), out);
            }
            "SetCredential" | "SetCredentialEncrypted" => {
                let is_sealed = key.contains("Encrypted");
                let given = |text| {
                    if is_sealed { Value::from(Source::SecretStore) } else { Value::of(text) }
                };
                credential(rest, rest_at, given, out);
            }
            "EnvironmentFile" => {
                let name = rest.trim().rsplit('/').next().unwrap_or_default();
                let name = name.split('.').next().unwrap_or_default();
                out.entry(&Entry {
                    at: rest_at,
                    name,
                    above: "",
                    value: Value::from(Source::File),
                });
            }
            key if key.starts_with("Exec") => {
                shell::read(rest, &mut out.within(rest_at, out.rule, Style::Environment));
            }
            // The containers of podman have their own words.
            "Secret" => {
                let name = rest.split(',').next().unwrap_or_default().trim();
                let value = Value::from(Source::SecretStore);
                out.entry(&Entry { at: rest_at, name, above: "", value });
            }
            _ => {}
        }
    }
}

fn environment(text: &str, at: usize, out: &mut Out<'_, '_>) {
    words(text, |word_at, word| {
        let length = name_length(word);
        let name = word.get(..length).unwrap_or_default();
        if let Some(value) = word.get(length..).and_then(|rest| rest.strip_prefix('=')) {
            let value = Value::of(value.trim_matches(['"', '\'']));
            out.entry(&Entry { at: at + word_at, name, above: "", value });
        }
    });
}

/// `ID:path` or `ID:value`.
fn credential<'t>(
    text: &'t str,
    at: usize,
    given: impl Fn(&'t str) -> Value<'t>,
    out: &mut Out<'_, '_>,
) {
    let text = text.trim();
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let style = style_of(name);
    let mut out = out.within(0, out.rule, style);
    out.entry(&Entry { at, name, above: "", value: given(rest) });
}

/// The words of a line without the quotes around them.
fn words<'t>(text: &'t str, mut each: impl FnMut(usize, &'t str)) {
    for token in (Words { text, at: 0 }) {
        if let Token::Word { at, word } = token {
            let bare = word.trim_start_matches(['"', '\'']);
            each(at + (word.len() - bare.len()), bare.trim_end_matches(['"', '\'']));
        }
    }
}
