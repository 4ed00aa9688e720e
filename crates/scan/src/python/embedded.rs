//! SQL in the strings of Python, which the reader of SQL reads, and SQL functions that are called
//! through SQLAlchemy.

use super::out::Out;
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, tail, tail_start};
use super::resolve::Names;
use super::scopes::Placed;
use crate::finding::Does;
use crate::sql;

/// Words without which no string of a file holds SQL that handles keys.
const WORDS: [&str; 7] =
    ["pgp_sym_", "pgp_pub_", "pgp_key", "encrypt_iv", "decrypt_iv", "hmac(", "crypt("];

/// Whether the strings of a file are worth a look.
pub(super) fn may_hold(text: &str) -> bool {
    WORDS.iter().any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}

/// The places in the strings of a file.
pub(super) fn strings(names: &Names<'_>, out: &mut Out<'_>) {
    for placed in &names.scopes.strings {
        let range = placed.node.range();
        let (start, end) = (range.start().to_usize(), range.end().to_usize());
        let whole = out.file.text.get(start..end).unwrap_or_default();
        let letters = whole.bytes().take_while(u8::is_ascii_alphabetic).count();
        let rest = whole.get(letters..).unwrap_or_default();
        let quotes = if rest.starts_with("\"\"\"") || rest.starts_with("'''") { 3 } else { 1 };
        let last = rest.len().saturating_sub(quotes);
        let Some(text) = rest.get(quotes..last) else { continue };
        let before = out.sites.found.len();
        sql::read_string(out.file, start + letters + quotes, text, out.sites);
        let scope = names.when(placed.scope);
        for site in out.sites.found.iter_mut().skip(before) {
            site.scope = Some(scope);
        }
    }
}

/// A function of the database by SQLAlchemy: `func.pgp_sym_encrypt(column, key)`.
pub(super) fn function<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Placed<'a, ast::ExprCall>,
) -> bool {
    let Expr::Attribute(method) = placed.node.func.as_ref() else { return false };
    let name = method.attr.as_str();
    let does = match name {
        "pgp_sym_encrypt" | "pgp_sym_encrypt_bytea" | "encrypt" | "encrypt_iv" => Does::Encrypts,
        "pgp_sym_decrypt"
        | "pgp_sym_decrypt_bytea"
        | "pgp_pub_decrypt"
        | "decrypt"
        | "decrypt_iv" => Does::Decrypts,
        "hmac" => Does::Signs,
        _ => return false,
    };
    let is_func = tail(&method.value) == Some("func")
        || (matches!(&*method.value, Expr::Attribute(outer) if tail(&outer.value) == Some("func")));
    let Some(key) = placed.node.arguments.args.get(1).filter(|_| is_func) else { return false };
    let origin = names.origin(key, placed.scope);
    super::uses::literal_at(names, out, &origin, None, placed.scope);
    out.sql(tail_start(&placed.node.func), name, does, &origin, names.when(placed.scope));
    true
}
