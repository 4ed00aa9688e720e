//! What the tokens of an argument say of the key that it is.

use super::SqlKey;
use super::lex::{Mark, Token};
use crate::names;

/// Judges the tokens of an argument; none if there are none.
pub(super) fn key_of<'t>(
    text: &'t str,
    tokens: &[Token],
    quotes_texts: bool,
) -> Option<SqlKey<'t>> {
    let word = |token: &Token| text.get(token.start..token.end).unwrap_or_default();
    let tokens = without_cast(text, tokens);
    let first = tokens.first()?;
    let is_text =
        |token: &Token| token.mark == Mark::Text || (quotes_texts && token.mark == Mark::Name);
    if tokens.len() == 1 && is_text(first) {
        return Some(literal(word(first)));
    }
    let is_call = |name: &str| word(first).eq_ignore_ascii_case(name);
    let texts = || tokens.iter().filter(|token| is_text(token)).map(word);
    if is_call("current_setting") || is_call("coalesce") || is_call("nullif") {
        let has = tokens.iter().any(|token| word(token).eq_ignore_ascii_case("current_setting"));
        if let Some(name) = texts().next().filter(|_| has) {
            return Some(SqlKey::Setting(name));
        }
    }
    if let Some(param) = tokens.iter().find(|token| token.mark == Mark::Param) {
        return Some(SqlKey::Argument(param_name(word(param))));
    }
    // A wrapped literal: `convert_to('…', 'utf8')`, `'…'::bytea`, `decode('…', 'hex')`.
    let converts =
        ["convert_to", "decode", "cast", "digest", "sha2", "unhex", "md5", "sha256", "bytea"];
    if converts.iter().any(|name| is_call(name))
        && tokens.get(1).is_some_and(|one| one.mark == Mark::Open)
    {
        return key_of(
            text,
            tokens
                .get(2..)
                .unwrap_or_default()
                .split(|one| one.mark == Mark::Comma)
                .next()
                .unwrap_or_default()
                .split(|one| one.mark == Mark::Close)
                .next()
                .unwrap_or_default(),
            quotes_texts,
        );
    }
    let is_open = first.mark == Mark::Open || tokens.iter().any(|token| token.mark == Mark::Open);
    if is_open {
        let named = texts().find(|text| names::judge(text).is_some());
        let words = tokens.iter().filter(|token| matches!(token.mark, Mark::Word | Mark::Name));
        let judged = words.map(word).find(|word| names::judge(word).is_some());
        let name = named
            .or(judged)
            .unwrap_or_else(|| if first.mark == Mark::Word { word(first) } else { "" });
        return Some(SqlKey::Database(name));
    }
    if is_text(first) {
        // A text of several parts is put together by a program, or by the database.
        return Some(SqlKey::Argument(""));
    }
    let last = tokens.iter().rev().find(|token| matches!(token.mark, Mark::Word | Mark::Name))?;
    let has_dot = tokens.iter().any(|token| token.mark == Mark::Dot);
    let name = word(last);
    Some(if has_dot { SqlKey::Database(name) } else { SqlKey::Argument(name) })
}

/// The tokens before `::type`.
fn without_cast<'k>(text: &str, tokens: &'k [Token]) -> &'k [Token] {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.mark {
            Mark::Open => depth += 1,
            Mark::Close => depth = depth.saturating_sub(1),
            Mark::Other if depth == 0 && text.get(token.start..token.end) == Some("::") => {
                return tokens.get(..index).unwrap_or_default();
            }
            _ => {}
        }
    }
    tokens
}

/// A text is a literal unless a program or a template fills it in.
pub(super) fn literal(text: &str) -> SqlKey<'_> {
    let trimmed = text.trim();
    let is_filled = trimmed == "%s"
        || trimmed == "?"
        || trimmed.is_empty()
        || (trimmed.contains('{') && trimmed.contains('}'))
        || trimmed.starts_with('$')
        || trimmed.contains("||")
        || trimmed.contains("\" +")
        || (trimmed.starts_with("%(") && trimmed.ends_with(")s"));
    if is_filled { SqlKey::Argument(param_name(trimmed)) } else { SqlKey::Literal(text) }
}

/// The name in `:name`, `%(name)s`, `${a.name}`; nothing for numbers.
fn param_name(param: &str) -> &str {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let name = param.split(|letter| !is_letter(letter)).rfind(|part| {
        part.len() > 1
            && part.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
    });
    name.unwrap_or_default()
}
