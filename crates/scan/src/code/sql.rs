//! SQL in the strings of programs: handed to the reader of SQL, which knows its functions.

use crate::site::Sites;
use crate::sql;

use super::reader::Reader;
use super::token::Kind;

/// Adds the places of the SQL that stands in the string at `at`, whole or with interpolations.
pub(super) fn embedded(reader: &Reader<'_, '_>, at: usize, sites: &mut Sites) {
    let tokens = reader.tokens;
    let Some(token) = tokens.at(at) else { return };
    let range = match token.kind {
        Kind::Str => {
            let body = tokens.bodies.binary_search_by_key(&at, |body| body.0).ok();
            let body = body.and_then(|number| tokens.bodies.get(number));
            let quoted = || {
                let start = token.start as usize + usize::from(token.quote);
                tokens.string(at).map(|text| (start, start + text.len()))
            };
            body.map(|(_, start, end)| (*start, *end)).or_else(quoted)
        }
        // All between the quotes: the reader of SQL knows interpolations.
        Kind::Open if tokens.text(at).ends_with(['`', '"']) => {
            let mate = tokens.mate(at).and_then(|mate| tokens.at(mate));
            mate.map(|mate| (token.end as usize, mate.start as usize))
        }
        _ => None,
    };
    let Some((start, end)) = range else { return };
    if let Some(text) = tokens.text.get(start..end) {
        sql::read_string(reader.file, start, text, sites);
    }
}
