//! Key files: what is opened or read, when its path says that a key is in it.

use super::loads::{parameter_in, placing, when};
use super::out::{Loaded, Out};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, argument, tail, tail_start, text_of};
use super::resolve::Names;
use super::scopes::{Body, Bound, Placed, ScopeId};
use super::words;
use super::wraps::Wraps;
use crate::finding::{Class, Confidence, Kind, Source};
use crate::site::Reaches;

type Call<'a> = Placed<'a, ast::ExprCall>;

/// A file that is opened or read.
pub(super) fn at<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
    setting: Option<&'a Expr>,
) {
    let call = placed.node;
    let name = tail(&call.func).unwrap_or_default();
    let path = match call.func.as_ref() {
        // `Path(…).read_text()`: the path is what it is called on.
        Expr::Attribute(method) if name.starts_with("read_") || setting.is_none() => {
            Some(&*method.value)
        }
        Expr::Attribute(method) if name == "open" && !is_module(names, &method.value, placed) => {
            Some(&*method.value)
        }
        _ => setting,
    };
    let mode = usize::from(!(call.func.is_attribute_expr() && path != setting));
    let mode = argument(call, Some(mode), &["mode".to_owned()]).and_then(text_of);
    if mode.is_some_and(|mode| mode.contains(['w', 'a', 'x', '+']) && mode.len() < 5) {
        return;
    }
    let Some(given) = path else { return };
    let path = path_in(names, given, placed.scope);
    let is_named = || {
        let text = last_text(names, path, placed.scope);
        path.is_call_expr() && text.is_some_and(|text| words::judge_path(&text).is_some())
    };
    if let Some((of, place)) = parameter_in(names, path, placed.scope)
        && !is_named()
    {
        wraps.add(of, place, Reaches::Loader(Source::File));
        let own = names.setting_name(path, placed.scope).unwrap_or_default();
        let is_of_key =
            own.contains("secret") || words::names_a_key_file(&own) && !path.is_call_expr();
        let is_told = words::judge(&own).is_some() || is_key_file(placed);
        // Where the calls say which file it is, they are told of.
        let is_general = || is_reader(names, of) && !is_told;
        if !is_told && !is_of_key || is_general() {
            return;
        }
    }
    let text = names.text(path, placed.scope).or_else(|| last_text(names, path, placed.scope));
    let (name, class) = match text {
        Some(text) => {
            let class = words::judge_path(&text);
            (text, class)
        }
        None => by_name(names, placed, path),
    };
    let Some(class) = class else { return };
    // What names the file is loaded too, but it is one place.
    if let Expr::Call(inner) = path {
        out.withhold(Kind::EnvLoad, tail_start(&inner.func));
    }
    if let Expr::Subscript(inner) = path {
        out.withhold(Kind::EnvLoad, inner.start().to_usize());
    }
    // Of a file that an argument names the calls tell more.
    let is_made = given.is_name_expr() && matches!(path, Expr::BinOp(_) | Expr::FString(_));
    let is_fixed = !is_made
        && !is_key_file(placed)
        && parameter_in(names, path, placed.scope).is_none()
        && !rests_on_parameter(names, path, placed.scope);
    let is_live = is_fixed && !is_own(path);
    load(names, out, placed, (&name, class), is_live, Confidence::Medium);
}

/// Says that a call loads a key from a file, which it reads anew each time if it is `live`.
pub(super) fn load<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Call<'a>,
    (name, class): (&str, Class),
    live: bool,
    confidence: Confidence,
) {
    let (scope, hot) = when(names, &placing(names, placed), live);
    out.load(&Loaded {
        at: tail_start(&placed.node.func),
        rule: "python/file-load",
        name,
        under: placed.under,
        class,
        source: Source::File,
        scope,
        hot,
        confidence,
    });
}

/// The name of a path of which the text is not known, and what it says of the file.
fn by_name<'a>(names: &Names<'a>, placed: &Call<'a>, path: &'a Expr) -> (String, Option<Class>) {
    let name = names.setting_name(path, placed.scope).unwrap_or_default();
    let is_secret = words::names_a_path(&name)
        && (name.contains("secret")
            || words::names_a_private_file(&name)
            || words::names_a_key_file(&name) && !path.is_call_expr());
    let is_secret = is_secret || is_key_file(placed);
    let class = words::judge(&name).or(is_secret.then_some(Class::Key));
    let class = class.filter(|class| *class != Class::Password);
    // A path of which nothing is known is named by what it is opened as.
    let name = if name.is_empty() { placed.under.unwrap_or_default().to_owned() } else { name };
    (name, class)
}

/// Whether a path is a part of what the function is given: `open(settings.get("KEY_FILE"))`.
fn rests_on_parameter(names: &Names<'_>, path: &Expr, scope: ScopeId) -> bool {
    let found = super::flow::root_of(path).and_then(|root| names.scopes.lookup(root, scope));
    found.is_some_and(|(at, defs)| {
        defs.iter().take(4).any(|def| match def.bound {
            Bound::Parameter(..) => true,
            Bound::Value(value)
                if !value.range().contains(path.start()) && !value.is_name_expr() =>
            {
                rests_on_parameter(names, value, at)
            }
            _ => false,
        })
    })
}

/// Whether a function that others of this file call says that it reads files.
fn is_reader(names: &Names<'_>, of: ScopeId) -> bool {
    let Body::Function(function) = names.scopes.body(of) else { return false };
    let name = function.name.as_str();
    let reads = ["read_", "load_", "slurp"];
    reads.iter().any(|start| name.trim_start_matches('_').starts_with(start))
        && names.scopes.calls.iter().any(|call| tail(&call.node.func) == Some(name))
}

/// Whether an object has the path: what is read then may be kept there too.
fn is_own(path: &Expr) -> bool {
    match path {
        Expr::Attribute(one) => tail(&one.value) == Some("self"),
        _ => false,
    }
}

/// `with open(path) as key_file`: what is opened is named as a file of a key.
fn is_key_file(placed: &Call<'_>) -> bool {
    let name = placed.under.unwrap_or_default();
    let is_file = ["_file", "keyfile", "_fp", "_fh"].iter().any(|end| name.ends_with(end));
    let is_of =
        ["private_key", "secret", "signing_key"].iter().any(|start| name.starts_with(start));
    matches!(name, "key_file" | "keyfile" | "pem_file") || (is_file && is_of)
}

fn is_module(names: &Names<'_>, expr: &Expr, placed: &Call<'_>) -> bool {
    let dotted = names.dotted(expr, placed.scope);
    dotted.is_some_and(|dotted| matches!(dotted.as_str(), "io" | "codecs" | "aiofiles" | "os"))
}

/// The path itself in `Path(path)`, `str(path)` and through variables of the function.
fn path_in<'a>(names: &Names<'a>, expr: &'a Expr, scope: ScopeId) -> &'a Expr {
    match expr {
        Expr::Call(call) if tail(&call.func) == Some("Path") && call.arguments.args.len() > 1 => {
            expr
        }
        Expr::Call(call) if matches!(tail(&call.func), Some("Path" | "str" | "expanduser")) => {
            call.arguments.args.first().unwrap_or(expr)
        }
        Expr::Name(name) => {
            let found = names.scopes.lookup(name.id.as_str(), scope);
            let only = found.and_then(|(_, defs)| defs.first().filter(|_| defs.len() == 1));
            match only.map(|def| &def.bound) {
                Some(Bound::Value(value @ Expr::Call(call)))
                    if matches!(tail(&call.func), Some("Path")) =>
                {
                    path_in(names, value, scope)
                }
                // A path that was put together before.
                Some(Bound::Value(value @ (Expr::BinOp(_) | Expr::FString(_)))) => value,
                Some(Bound::Value(value @ Expr::Call(call)))
                    if tail(&call.func) == Some("join")
                        && last_text(names, value, scope).is_some() =>
                {
                    value
                }
                _ => expr,
            }
        }
        _ => expr,
    }
}

/// The last known part of a path that is put together.
fn last_text(names: &Names<'_>, expr: &Expr, scope: ScopeId) -> Option<String> {
    match expr {
        Expr::Call(call) if matches!(tail(&call.func), Some("join" | "Path" | "joinpath")) => {
            let last = call.arguments.args.last()?;
            names.text(last, scope).or_else(|| mounted(names, call, last, scope))
        }
        // `"/data/%s.key" % name`
        Expr::BinOp(sum) if sum.op == ast::Operator::Mod => names.text(&sum.left, scope),
        Expr::BinOp(sum) => names.text(&sum.right, scope).or_else(|| match sum.left.as_ref() {
            Expr::Call(call) => mounted(names, call, &sum.right, scope),
            _ => None,
        }),
        Expr::FString(_) => names.setting_name(expr, scope).filter(|text| text.contains('/')),
        _ => None,
    }
}

/// The path of a secret that is mounted, where a constant names it: `join("/run/secrets", NAME)`.
fn mounted(names: &Names<'_>, call: &ast::ExprCall, last: &Expr, scope: ScopeId) -> Option<String> {
    let folder = call.arguments.args.first().and_then(|first| names.text(first, scope))?;
    let is_one = folder.trim_end_matches('/') == "/run/secrets"
        && parameter_in(names, last, scope).is_none();
    let name = names.setting_name(last, scope).filter(|_| is_one)?;
    let is_constant = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    is_constant.then(|| format!("/run/secrets/{name}"))
}

/// What a function reads that by its name reads a file: the path, its name and what is in it.
pub(super) fn read_by<'a>(
    names: &Names<'a>,
    placed: &Call<'a>,
    function: &str,
) -> Option<(&'a Expr, String, Class)> {
    let bytes = function.trim_start_matches('_').as_bytes();
    let begins = |start: &&str| {
        bytes.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
    };
    if !["read", "load", "slurp", "from_"].iter().any(begins) {
        return None;
    }
    let arguments = &placed.node.arguments;
    let given = arguments.args.first();
    let given = given.or_else(|| arguments.keywords.first().map(|keyword| &keyword.value))?;
    if let Some(path) = tail(given) {
        let is_key = words::judge(path) == Some(Class::Key) && words::names_a_path(path);
        return is_key.then(|| (given, path.to_owned(), Class::Key));
    }
    let path = path_in(names, given, placed.scope);
    let text = names.text(path, placed.scope).or_else(|| last_text(names, path, placed.scope))?;
    let ends = [".pem", ".key", ".p8", ".p12", ".pfx", "id_rsa", "id_ed25519"];
    let is_file = text.starts_with("/run/secrets/") || ends.iter().any(|end| text.ends_with(end));
    words::judge_path(&text).filter(|_| is_file).map(|class| (given, text, class))
}
