//! Calls of functions that no rule knows, by their shape: a name that speaks of signing or
//! encrypting, and an argument that is named as a key or comes from one.

use super::copies;
use super::flow::{Hold, Origin};
use super::out::{Loaded, Out, Used};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, tail, tail_start, text_of};
use super::resolve::{Names, is_cached};
use super::scopes::{Body, Placed, ScopeId};
use super::uses;
use super::words;
use super::wraps::{self, Wraps};
use crate::finding::{Class, Confidence, Does, Kind, Scope, Source};
use crate::shapes::{self, Shape};
use crate::site::{Hot, Reaches};

type Call<'a> = Placed<'a, ast::ExprCall>;

/// The key among the arguments of a call.
struct Given<'a> {
    origin: Origin<'a>,
    class: Class,
    /// The name of the argument, where it has one.
    keyword: Option<&'a str>,
}

/// A call of a function of another file; whether it uses a key.
pub(super) fn at<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
) -> bool {
    let Some((shape, given)) = given_to(names, placed) else { return false };
    if let Some((of, place)) = given.origin.parameter
        && !wraps::parameter_name(names, of, place).is_some_and(uses::is_other_name)
    {
        let name = tail(&placed.node.func).unwrap_or_default();
        wraps.add(of, place, Reaches::Sink(name.to_owned(), shape.does));
    }
    tell(names, out, placed, shape, &given);
    true
}

/// A call of a function of this file that nothing has told of yet.
pub(super) fn own<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    let (rules, callee) = names.rules(placed.node, placed.scope);
    let is_own = callee.function.is_some() || callee.class.is_some();
    if !is_own || !rules.is_empty() || out.has(Kind::KeyUse, tail_start(&placed.node.func)) {
        return;
    }
    if let Some((shape, given)) = given_to(names, placed) {
        tell(names, out, placed, shape, &given);
    }
}

fn given_to<'a>(names: &Names<'a>, placed: &Call<'a>) -> Option<(Shape, Given<'a>)> {
    let call = placed.node;
    let name = tail(&call.func)?;
    let receiver = match call.func.as_ref() {
        Expr::Attribute(method) => tail(&method.value),
        _ => None,
    };
    let shape = shapes::of_call(name, receiver)?;
    let values = call.arguments.args.iter();
    let values = values.chain(call.arguments.keywords.iter().map(|keyword| &keyword.value));
    let is_beside = |given: &&Expr| !name_of(given).is_some_and(shapes::stands_beside);
    let count = values.filter(is_beside).take(2).count();
    if shape.worked_on && count < 2 {
        return None;
    }
    // `builder.sign(key, hashes.SHA256())`: beside the name of a hash a `key` is one that signs.
    let names_hash = |given: &Expr| match given {
        Expr::Call(made) => matches!(made.func.as_ref(), Expr::Attribute(one)
            if tail(&one.value) == Some("hashes")),
        _ => false,
    };
    let is_sure = shape.does == Does::Signs && call.arguments.args.iter().any(names_hash);
    let shape = Shape { weak: shape.weak || is_sure, ..shape };
    let plain = call.arguments.args.iter().map(|given| (None, given));
    let by_keyword = call
        .arguments
        .keywords
        .iter()
        .filter_map(|keyword| Some((Some(keyword.arg.as_ref()?.as_str()), &keyword.value)));
    let all: Vec<_> = by_keyword.chain(plain).take(16).collect();
    let found = all
        .into_iter()
        .find_map(|(keyword, value)| key_in(names, shape, keyword, value, placed.scope))?;
    Some((shape, found))
}

fn key_in<'a>(
    names: &Names<'a>,
    shape: Shape,
    keyword: Option<&'a str>,
    given: &'a Expr,
    scope: ScopeId,
) -> Option<Given<'a>> {
    let by_keyword = keyword.and_then(|keyword| shapes::key_of(shape, keyword));
    if let Some(text) = text_of(given) {
        // A text stands for a key where the argument's name says no less.
        let keyword = keyword.filter(|name| words::judge(name) == Some(Class::Key))?;
        by_keyword.filter(|_| words::may_be_value(&text, keyword))?;
    } else if !may_be_key(given) {
        return None;
    }
    let origin = names.origin(given, scope);
    let by_name = || name_of(given).and_then(|name| shapes::key_of(shape, name));
    let by_origin = || {
        let name = origin.name.as_deref().filter(|_| origin.class.is_some())?;
        if name_of(given).is_some_and(shapes::has_key) {
            return None;
        }
        let is_held = origin.is_loaded() || origin.hold == Hold::Frozen;
        shapes::key_of(shape, name).filter(|_| is_held)
    };
    let is_password = origin.class == Some(Class::Password);
    // What is made of a password is a key all the same.
    let class = by_name().or_else(|| by_keyword.or_else(by_origin).filter(|_| !is_password))?;
    Some(Given { origin, class, keyword })
}

fn may_be_key(given: &Expr) -> bool {
    matches!(
        given,
        Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) | Expr::Subscript(_) | Expr::Await(_)
    )
}

/// The name of what is given, also in another form: `key.encode()`.
fn name_of(given: &Expr) -> Option<&str> {
    match given {
        Expr::Name(_) | Expr::Attribute(_) => tail(given),
        Expr::Await(one) => name_of(&one.value),
        Expr::Subscript(subscript) => match subscript.slice.as_ref() {
            Expr::StringLiteral(key) => Some(key.value.to_str()),
            _ => None,
        },
        Expr::Call(call) => match call.func.as_ref() {
            Expr::Attribute(method) if words::passes_receiver(method.attr.as_str()) => {
                name_of(&method.value)
            }
            func => match tail(func) {
                Some(name) if words::passes_argument(name) => name_of(call.arguments.args.first()?),
                Some(name) => Some(words::of_getter(name)).filter(|own| *own != name),
                None => None,
            },
        },
        _ => None,
    }
}

fn tell<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Call<'a>,
    shape: Shape,
    given: &Given<'a>,
) {
    let origin = &given.origin;
    uses::literal_at(names, out, origin, given.keyword, placed.scope);
    let (scope, hot) = uses::when(names, placed, shape.makes, origin);
    // Who is handed what was made may keep it, and a function that nobody knows may too.
    let is_sure = origin.is_loaded() && origin.class == Some(Class::Key) && !shape.makes;
    let hot = if hot == Hot::Yes && !is_sure { Hot::Unknown } else { hot };
    let used = Used {
        at: tail_start(&placed.node.func),
        rule: "python/named-use",
        sink: tail(&placed.node.func).unwrap_or_default(),
        does: shape.does,
        scope,
        hot,
        class: given.class,
        confidence: Confidence::Low,
        remedy: None,
    };
    out.usage(&used, origin);
}

/// A setting that a cached function gives on: it is kept from the first call.
pub(super) fn cached(names: &Names<'_>, out: &mut Out<'_>, scope: ScopeId) {
    let Body::Function(function) = names.scopes.body(scope) else { return };
    let returns = names.scopes.all.get(scope).map(|scope| scope.returns.as_slice());
    let returns = returns.unwrap_or_default();
    if returns.is_empty() || !is_cached(function) {
        return;
    }
    // What is made of a class with it is a use, or an object of others.
    let is_made = |value: &&&Expr| match value {
        Expr::Call(call) => {
            tail(&call.func).is_some_and(|name| name.starts_with(char::is_uppercase))
        }
        _ => false,
    };
    for value in returns.iter().filter(|value| !is_made(value)).take(4) {
        let origin = names.origin(value, scope);
        let (Some(at), Some(name), Some(class)) = (origin.at, &origin.name, origin.class) else {
            continue;
        };
        let is_here = function.range().contains(copies::offset(at));
        if origin.source != Source::Settings
            || !is_here
            || !matches!(class, Class::Key | Class::Public)
        {
            continue;
        }
        out.load(&Loaded {
            at,
            rule: "python/settings-copy",
            name,
            under: None,
            class,
            source: Source::Settings,
            scope: Scope::Module,
            hot: Hot::No,
            confidence: Confidence::Medium,
        });
    }
}

/// Settings that are the default of a parameter, which keeps what they are when the function is
/// made: `def sign(text, secret=settings.SECRET_KEY)`.
pub(super) fn defaults(names: &Names<'_>, out: &mut Out<'_>, scope: ScopeId) {
    let Body::Function(function) = names.scopes.body(scope) else { return };
    let outside = names.scopes.parent(scope);
    for parameter in function.parameters.iter_non_variadic_params().take(40) {
        let Some(default) = parameter.default.as_deref().filter(|one| copies::may_hold_key(one))
        else {
            continue;
        };
        let origin = names.origin(default, outside);
        let (Some(at), Some(name), Some(class)) = (origin.at, &origin.name, origin.class) else {
            continue;
        };
        let is_here = default.range().contains_inclusive(copies::offset(at));
        if origin.source != Source::Settings || !is_here || class == Class::Password {
            continue;
        }
        out.load(&Loaded {
            at,
            rule: "python/settings-copy",
            name,
            under: Some(parameter.parameter.name.as_str()),
            class,
            source: Source::Settings,
            scope: names.when(outside),
            hot: Hot::No,
            confidence: Confidence::Medium,
        });
    }
}

/// A function of others that is given a key under the name of one: what takes a
/// `storage_secret` has a use for it. Whether there is one.
pub(super) fn handed<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) -> bool {
    let name = tail(&placed.node.func).unwrap_or_default();
    if is_of_service(placed) || !shapes::may_take_key(name) {
        return false;
    }
    for keyword in placed.node.arguments.keywords.iter().take(40) {
        let Some(under) = keyword.arg.as_ref().map(ast::Identifier::as_str) else { continue };
        let is_constant = !under.bytes().any(|byte| byte.is_ascii_lowercase());
        if is_constant
            || words::judge(under) != Some(Class::Key)
            || !shapes::is_taken(under)
            || !may_be_key(&keyword.value)
        {
            continue;
        }
        let origin = names.origin(&keyword.value, placed.scope);
        let is_held = origin.is_loaded() || origin.hold == Hold::Frozen;
        if !is_held || origin.class != Some(Class::Key) || origin.parameter.is_some() {
            continue;
        }
        let given = Given { origin, class: Class::Key, keyword: Some(under) };
        tell(names, out, placed, Shape::of_keeper(), &given);
        return true;
    }
    false
}

/// A class of others that is given a key of the application which was loaded: what it makes keeps
/// the key, and has it for a reason. Whether it did.
pub(super) fn made<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) -> bool {
    let name = tail(&placed.node.func).unwrap_or_default();
    if is_of_service(placed)
        || !shapes::may_keep_key(name)
        || !name.starts_with(|one: char| one.is_ascii_uppercase())
    {
        return false;
    }
    let arguments = &placed.node.arguments;
    let given = arguments.args.iter().chain(arguments.keywords.iter().map(|one| &one.value));
    for value in given.take(12).filter(|value| may_be_key(value)) {
        let origin = names.origin(value, placed.scope);
        let is_named = name_of(value).and_then(words::judge) == Some(Class::Key);
        let is_load =
            || origin.at.is_some_and(|at| value.range().contains_inclusive(copies::offset(at)));
        let is_own = origin.class == Some(Class::Key)
            && origin.is_loaded()
            && (is_named || is_load())
            && origin.name.as_deref().is_some_and(shapes::is_of_application);
        if !is_own {
            continue;
        }
        let shape = Shape::of_keeper();
        tell(names, out, placed, shape, &Given { origin, class: Class::Key, keyword: None });
        return true;
    }
    false
}

/// Whether a call is given both parts of an access: that of a client of somebody's service.
fn is_of_service(placed: &Call<'_>) -> bool {
    let is_part = |name: &str| {
        matches!(name, "access_key" | "access_key_id" | "aws_access_key_id" | "client_id")
    };
    let mut given = placed.node.arguments.keywords.iter().filter_map(|one| one.arg.as_deref());
    given.any(is_part)
}
