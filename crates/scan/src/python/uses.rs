//! Calls that use a key: those of the rules, with a key that they are given or with the setting
//! that they take by themselves.

use super::flow::{Hold, Origin};
use super::out::{Out, Used};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, argument, keyword, tail, tail_start, text_of};
use super::resolve::Names;
use super::scopes::{Bound, Into, Placed, ScopeId};
use super::table::Rule;
use super::words;
use super::wraps::{self, Wraps};
use crate::finding::{Class, Confidence, Does, Scope, Source};
use crate::rules::{Implicit, Sink};
use crate::site::{Hot, Reaches};

/// As many calls after an assignment as are looked at for a use of it.
const MOST_LOOKED_AT: usize = 300;

type Call<'a> = Placed<'a, ast::ExprCall>;

/// Whether a call uses a key by these rules, which it then says.
pub(super) fn at<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
    rules: &[&'a Rule],
) -> bool {
    for rule in rules {
        let is_one = match rule {
            Rule::Sink(sink) => explicit(names, out, wraps, placed, sink),
            Rule::Implicit(rule) => implicit(names, out, wraps, placed, rule),
            Rule::Load(_) | Rule::Timer(_) => false,
        };
        if is_one {
            return true;
        }
    }
    false
}

fn explicit<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
    sink: &Sink,
) -> bool {
    if sink.unless.as_deref().is_some_and(|unless| says(placed.node, unless)) {
        return false;
    }
    let Some((key, scope_of_key)) = key_of(names, placed, sink) else { return false };
    // What a function of the project compares is known by its position.
    // Two values are compared; the key is the one that is known as one.
    let compares = sink.does == Does::Authenticates && !sink.certain;
    let key = if compares { shared_in(names, placed) } else { Some(key) };
    let Some(key) = key else { return false };
    if key.is_none_literal_expr() || text_of(key).is_some_and(|text| text.is_empty()) {
        return false;
    }
    let is_spread = !sink.receiver && !placed.node.range().contains_range(key.range());
    let mut origin = names.origin(key, scope_of_key);
    if origin.class.is_none() && may_be_shared(key) && sink.does == Does::Authenticates {
        origin.class = Some(Class::Credential);
    }
    if sink.call.starts_with("keywheel.") {
        let ring = names.setting_name(key, scope_of_key).unwrap_or_default();
        origin = Origin::of_setting(&ring, Source::Ring, Hold::Live);
    }
    if is_spread {
        // Options that were put together before.
        origin.hold = Hold::Frozen;
    }
    note(names, wraps, sink, &origin);
    // Of a setting only its name says what it is.
    let is_told = origin.is_key() || (origin.is_loaded() && origin.source != Source::Settings);
    if only_hashes(sink, key, &origin) {
        return false;
    }
    let is_sure = is_told || origin.source == Source::Literal;
    let is_certain = sink.certain && !(sink.call.starts_with("*.") && is_on_maker(names, placed));
    if !(is_certain || is_told) || is_other(&origin) {
        return false;
    }
    literal_at(names, out, &origin, None, placed.scope);
    let (scope, hot) = when(names, placed, sink.keeps, &origin);
    let hot = match () {
        () if is_app_wide(placed) => Hot::No,
        // A function that gives the key may be asked for it at each use.
        () if gives_later(names, key, scope_of_key) => Hot::Unknown,
        () if hot == Hot::Yes && is_given_on(names, placed, sink) => Hot::Unknown,
        () => hot,
    };
    let class = match origin.class {
        Some(Class::Public) if !sink.public => Class::Key,
        // With what is signed is a key, whatever its name.
        Some(Class::Password) if sink.certain && sink.does == Does::Signs => Class::Key,
        Some(class) => class,
        None => Class::Key,
    };
    let used = Used {
        // Options that stand elsewhere are where the key is handed over.
        at: if is_spread && sink.keeps {
            key.start().to_usize()
        } else {
            tail_start(called(placed))
        },
        rule: "python/key-use",
        sink: &short_name(&sink.call),
        does: sink.does,
        scope,
        hot,
        class,
        confidence: if is_sure { Confidence::High } else { Confidence::Medium },
        remedy: sink.remedy.as_deref(),
    };
    out.usage(&used, &origin);
    true
}

/// Notes which parameter of a function is the key of a call.
fn note(names: &Names<'_>, wraps: &mut Wraps, sink: &Sink, origin: &Origin<'_>) {
    let Some((of, place)) = origin.parameter else { return };
    // What derives of a password may be given a key.
    let derives = sink.does == Does::Derives && origin.class == Some(Class::Password);
    let is_key = (sink.certain || origin.is_key())
        && !is_other(origin)
        && !wraps::parameter_name(names, of, place).is_some_and(is_other_name);
    if derives || is_key {
        wraps.add(of, place, Reaches::Sink(short_name(&sink.call), sink.does));
    }
}

/// Whether a call only makes a hash. Keys of others are hashed to store them; what was loaded is
/// not.
fn only_hashes(sink: &Sink, key: &Expr, origin: &Origin<'_>) -> bool {
    let derives = ["pbkdf2_hmac", "scrypt"].iter().any(|end| sink.call.ends_with(end));
    let is_derived = derives && origin.class == Some(Class::Key);
    let is_hash = ["hashlib.", "nacl.hash."].iter().any(|start| sink.call.starts_with(start))
        && !sink.certain
        && !is_derived;
    // `sha256(address + self.signing_key)`: what is hashed with a key that the object holds.
    let is_mixed = origin.class == Some(Class::Key) && is_sum(key);
    is_hash && !(origin.is_key() && origin.is_loaded()) && !is_mixed
}

/// Whether a method is called on something that by its name has a key already, and is no module.
fn is_on_maker(names: &Names<'_>, placed: &Call<'_>) -> bool {
    let Expr::Attribute(method) = placed.node.func.as_ref() else { return false };
    let Some(on) = tail(&method.value).filter(|on| crate::shapes::has_key(on)) else {
        return false;
    };
    let found = names.scopes.lookup(on, placed.scope).filter(|_| method.value.is_name_expr());
    !found.is_some_and(|(_, defs)| defs.iter().any(|def| matches!(def.bound, Bound::Import(_))))
}

/// Whether a text is put together of several.
fn is_sum(expr: &Expr) -> bool {
    match expr {
        Expr::BinOp(_) | Expr::FString(_) => true,
        Expr::Call(call) => match call.func.as_ref() {
            Expr::Attribute(method) if words::passes_receiver(method.attr.as_str()) => {
                is_sum(&method.value)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Of two values that are compared, the key: the one that is known as one.
fn shared_in<'a>(names: &Names<'a>, placed: &Call<'a>) -> Option<&'a Expr> {
    let both = placed.node.arguments.args.iter().take(2).filter(|one| {
        let name = tail(one).unwrap_or_default();
        !["hash", "digest", "signature"].iter().any(|end| name.ends_with(end))
    });
    let known = both.map(|one| (one, names.origin(one, placed.scope))).find(|(one, origin)| {
        let is_held = origin.is_loaded() || origin.hold == Hold::Frozen;
        let is_key = origin.class.is_some_and(|class| class != Class::Password)
            || (origin.class.is_none() && may_be_shared(one));
        is_key && is_held
    });
    known.map(|(key, _)| key).or_else(|| expected_in(names, placed))
}

/// Of two parameters that are compared, the one that says that it is what the other must be:
/// `compare_digest(str(given), str(expected_secret))`.
fn expected_in<'a>(names: &Names<'a>, placed: &Call<'a>) -> Option<&'a Expr> {
    let both = placed.node.arguments.args.iter().take(2);
    let both: Vec<_> = both.map(|one| (one, names.origin(one, placed.scope))).collect();
    let known = |origin: &Origin<'_>, is_one: &dyn Fn(&str) -> bool| {
        origin.parameter.is_some()
            && origin.class.is_some_and(|class| class != Class::Password)
            && origin.name.as_deref().is_some_and(is_one)
    };
    let begins = |name: &str, starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    let ours = |name: &str| begins(name, &["expected_", "configured_", "shared_", "server_"]);
    // A `webhook_secret` is none that somebody sends along.
    let others = ["given_", "provided_", "received_", "request_", "input_", "client_", "sent_"];
    let own = |name: &str| name.ends_with("_secret") && !begins(name, &others);
    let find = |is_one: &dyn Fn(&str) -> bool| {
        both.iter().find(|(_, origin)| known(origin, is_one)).map(|(one, _)| *one)
    };
    find(&ours).or_else(|| find(&own))
}

/// Whether what is compared is a token that an object holds from its making.
fn may_be_shared(expr: &Expr) -> bool {
    let Expr::Attribute(attribute) = expr else { return false };
    let is_own = matches!(attribute.value.as_ref(), Expr::Name(name) if name.id == "self");
    let name = attribute.attr.as_str().trim_start_matches('_');
    is_own && matches!(name, "token" | "shared_token" | "expected_token" | "key")
}

/// A call of a function that no rule knows, whose name says that it signs or encrypts, with a key
/// that was loaded among its arguments.
pub(super) fn by_stranger<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) -> bool {
    let name = tail(&placed.node.func).unwrap_or_default();
    let Some(does) = does_by_name(name) else { return false };
    let all = placed.node.arguments.args.iter();
    let by_keyword = placed.node.arguments.keywords.iter().map(|keyword| &keyword.value);
    for given in all.chain(by_keyword) {
        if !matches!(given, Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) | Expr::Subscript(_))
        {
            continue;
        }
        let origin = names.origin(given, placed.scope);
        let is_own = origin.class == Some(Class::Key) && origin.source != Source::Unknown;
        if is_own && (origin.is_loaded() || origin.hold == Hold::Frozen) {
            let (scope, hot) = when(names, placed, name.starts_with(char::is_uppercase), &origin);
            let used = Used {
                at: tail_start(called(placed)),
                rule: "python/named-use",
                sink: name,
                does,
                scope,
                hot,
                class: Class::Key,
                confidence: Confidence::Low,
                remedy: None,
            };
            out.usage(&used, &origin);
            return true;
        }
    }
    false
}

fn does_by_name(name: &str) -> Option<Does> {
    if !may_use_key(name) {
        return None;
    }
    let words = crate::names::words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_class = name.starts_with(char::is_uppercase);
    let makes = ["create", "make", "generate", "encode", "issue", "build"];
    let checks = ["decode", "verify", "parse", "check", "validate", "read"];
    let is_token = has(&["jwt", "token", "jws"]);
    Some(match () {
        () if is_class && has(&["signer", "verifier", "serializer"]) => Does::SignsAndVerifies,
        () if is_class && has(&["cipher", "encryptor", "crypto", "fernet", "aes"]) => {
            Does::EncryptsAndDecrypts
        }
        () if is_class => return None,
        () if has(&["signer", "serializer"]) => Does::SignsAndVerifies,
        () if has(&["hmac", "sign", "signature", "signed"]) => Does::Signs,
        () if has(&["encrypt", "encipher"]) => Does::Encrypts,
        () if has(&["decrypt", "decipher"]) => Does::Decrypts,
        () if is_token && has(&makes) => Does::Signs,
        () if is_token && has(&checks) => Does::Verifies,
        () if has(&["derive", "hkdf", "pbkdf2"]) => Does::Derives,
        () => return None,
    })
}

/// Whether a name could say so: what is cheap to ask of every call.
fn may_use_key(name: &str) -> bool {
    let parts = [
        "sign", "hmac", "token", "jwt", "jws", "crypt", "cipher", "derive", "hkdf", "pbkdf2",
        "verif", "serializ", "fernet", "aes",
    ];
    let bytes = name.as_bytes();
    parts.iter().any(|part| {
        bytes.windows(part.len()).any(|here| here.eq_ignore_ascii_case(part.as_bytes()))
    })
}

/// Whether a function returns an object of a class of the project that it makes with a key: who is
/// given it may keep it.
fn is_given_on<'a>(names: &Names<'a>, placed: &Call<'a>, sink: &Sink) -> bool {
    let name = sink.call.trim_start_matches("*.");
    !sink.keeps
        && !name.contains('.')
        && name.starts_with(|letter: char| letter.is_ascii_uppercase())
        && wraps::returns(names, placed)
}

/// Whether a function stands in a key's place.
fn gives_later(names: &Names<'_>, key: &Expr, scope: ScopeId) -> bool {
    match key {
        Expr::Lambda(_) => true,
        Expr::Name(name) => {
            let found = names.scopes.lookup(name.id.as_str(), scope);
            found.is_some_and(|(_, defs)| {
                defs.iter().any(|def| matches!(def.bound, Bound::Function(_)))
            })
        }
        _ => false,
    }
}

/// What a call calls: of `add_middleware(C, …)` that is still the method, where the call stands.
fn called<'a>(placed: &Call<'a>) -> &'a Expr {
    &placed.node.func
}

fn is_app_wide(placed: &Call<'_>) -> bool {
    matches!(tail(&placed.node.func), Some("add_middleware" | "add_wsgi_middleware" | "Middleware"))
}

fn key_of<'a>(names: &Names<'a>, placed: &Call<'a>, sink: &Sink) -> Option<(&'a Expr, ScopeId)> {
    if sink.receiver {
        return receiver(names, placed).map(|key| (key, placed.scope));
    }
    let position = sink.key.filter(|_| !is_app_wide(placed));
    if let Some(key) = argument(placed.node, position, &sink.keywords) {
        return Some((key, placed.scope));
    }
    // `**options`, where the options stand in this file.
    let spread = placed.node.arguments.keywords.iter().find(|keyword| keyword.arg.is_none())?;
    let found = entry_of(names, &spread.value, &sink.keywords, placed.scope);
    // A parameter that goes on in a `dict(…)` says nothing of its own.
    found.filter(|(key, _)| sink.keeps || !matches!(key, Expr::Name(_)))
}

/// The key on which a method is called: `private_key.sign(text)`. One that was made by a call which
/// takes a key is told there.
fn receiver<'a>(names: &Names<'a>, placed: &Call<'a>) -> Option<&'a Expr> {
    let Expr::Attribute(method) = placed.node.func.as_ref() else { return None };
    let key = method.value.as_ref();
    let name = tail(key).filter(|_| !key.is_call_expr())?;
    let verifies = method.attr.as_str() == "verify";
    let is_class = match words::judge(name) {
        Some(Class::Key) => !verifies || name.contains("verif"),
        Some(Class::Public) => verifies && placed.node.arguments.args.len() > 1,
        _ => false,
    };
    let is_one = is_class && name.to_ascii_lowercase().ends_with("key");
    let is_private =
        name.contains("priv") || name.contains("rsa") || method.attr.as_str() != "decrypt";
    if !is_one || !is_private || placed.node.arguments.args.is_empty() {
        return None;
    }
    let makes = |value: &'a Expr, scope| match value {
        Expr::Call(call) => {
            names.rules(call, scope).0.iter().any(|rule| matches!(rule, Rule::Sink(_)))
        }
        _ => false,
    };
    let is_made = |def: &super::scopes::Def<'a>, scope| match def.bound {
        Bound::Value(value) => makes(value, scope),
        _ => false,
    };
    let made = match key {
        Expr::Name(one) => names
            .scopes
            .lookup(one.id.as_str(), placed.scope)
            .is_some_and(|(at, defs)| defs.iter().take(8).any(|def| is_made(def, at))),
        Expr::Attribute(one) => names
            .class_of_self(&one.value, placed.scope)
            .and_then(|class| names.scopes.kept.get(&(class, name)))
            .is_some_and(|sets| sets.iter().take(8).any(|(at, def)| is_made(def, *at))),
        _ => false,
    };
    (!made).then_some(key)
}

fn entry_of<'a>(
    names: &Names<'a>,
    expr: &'a Expr,
    keys: &[String],
    scope: ScopeId,
) -> Option<(&'a Expr, ScopeId)> {
    let dict = match expr {
        Expr::Dict(dict) => dict,
        Expr::Call(call) if tail(&call.func) == Some("dict") => {
            return argument(call, None, keys).map(|key| (key, scope));
        }
        Expr::Name(name) => {
            let (at, defs) = names.scopes.lookup(name.id.as_str(), scope)?;
            return defs.iter().find_map(|def| match def.bound {
                Bound::Value(value @ (Expr::Dict(_) | Expr::Call(_))) => {
                    entry_of(names, value, keys, at)
                }
                _ => None,
            });
        }
        _ => return None,
    };
    dict.items.iter().find_map(|item| {
        let key = text_of(item.key.as_ref()?)?;
        keys.iter().any(|one| *one == *key).then_some((&item.value, scope))
    })
}

/// Names of what is signed, and of whom it is about.
pub(super) fn is_other_name(name: &str) -> bool {
    let is_number = name.ends_with("_id") || name == "id";
    is_number
        || matches!(
            name,
            "username"
                | "email"
                | "user_id"
                | "message"
                | "payload"
                | "body"
                | "url"
                | "filename"
                | "name"
        )
}

/// Whether what stands for a key is plainly something else: a password of a user, a name.
fn is_other(origin: &Origin<'_>) -> bool {
    if origin.class == Some(Class::Password) && !origin.is_loaded() {
        return true;
    }
    let name = origin.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    if ["hash", "digest", "signature"].iter().any(|end| name.ends_with(end)) {
        return true;
    }
    // Those of one-time passwords are their users'.
    if name.contains("totp") && !name.ends_with('s') && !origin.is_loaded() {
        return true;
    }
    origin.class.is_none() && is_other_name(&name)
}

fn implicit<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
    rule: &Implicit,
) -> bool {
    let is_of_tornado =
        rule.setting == "cookie_secret" && !names.scopes.packages.contains("django");
    if rule.setting == "cookie_secret" && !is_of_tornado {
        return false;
    }
    let is_other =
        rule.call.starts_with("*.") && !is_of_tornado && !is_of_django(names, placed, &rule.call);
    if is_other && !rule.call.ends_with("_cookie") {
        return false;
    }
    let own = argument(placed.node, rule.key, &rule.keywords);
    let own = own.filter(|own| !own.is_none_literal_expr());
    let origin = match own {
        Some(own) => names.origin(own, placed.scope),
        // Other frameworks have methods of the same name, and keys of their own.
        None if is_other => Origin::unknown(None),
        // An application of Tornado has its key from its making.
        None if is_of_tornado => {
            let mut origin = Origin::of_setting(&rule.setting, Source::Settings, Hold::Unknown);
            origin.class = Some(Class::Key);
            origin
        }
        // What makes tokens there has been made itself with the key when it was imported.
        None if rule.setting == "SIGNING_KEY" => {
            Origin::of_setting(&rule.setting, Source::Settings, Hold::Unknown)
        }
        None => Origin::of_setting(&rule.setting, Source::Settings, Hold::Live),
    };
    if let Some((of, place)) = origin.parameter {
        wraps.add(of, place, Reaches::Sink(short_name(&rule.call), rule.does));
    }
    literal_at(names, out, &origin, None, placed.scope);
    let (scope, hot) = when(names, placed, rule.keeps, &origin);
    // What keeps no key of its own may be made once and ask at each use.
    let hot = if rule.keeps || scope == Scope::Call { hot } else { Hot::Unknown };
    let used = Used {
        at: tail_start(called(placed)),
        rule: if own.is_some() { "python/key-use" } else { "python/implicit-key" },
        sink: &short_name(&rule.call),
        does: rule.does,
        scope,
        hot,
        class: origin.class.unwrap_or(Class::Key),
        confidence: Confidence::High,
        remedy: rule.remedy.as_deref(),
    };
    out.usage(&used, &origin);
    true
}

/// Whether a method that others have too is that of Django.
fn is_of_django(names: &Names<'_>, placed: &Call<'_>, call: &str) -> bool {
    let needs_user = call.ends_with("_token") && placed.node.arguments.args.is_empty();
    names.scopes.packages.contains("django") && !needs_user
}

/// When a use runs, and whether it takes a new key.
pub(super) fn when(
    names: &Names<'_>,
    placed: &Call<'_>,
    keeps: bool,
    origin: &Origin<'_>,
) -> (Scope, Hot) {
    let lexical = names.when(placed.scope);
    let is_factory = names.is_factory(placed.scope);
    let is_kept_on = placed.into == Into::Kept || (placed.into == Into::Entry && is_factory);
    let scope = if lexical == Scope::Call && keeps && placed.into == Into::Kept {
        Scope::Instance
    } else {
        lexical
    };
    if origin.source == Source::Ring {
        return (scope, Hot::Yes);
    }
    if scope != Scope::Call {
        let is_rebuilt = scope == Scope::Instance && is_used_at_once(names, placed);
        return if is_rebuilt { (Scope::Call, of_hold(origin)) } else { (scope, Hot::No) };
    }
    if names.gives_first_value(placed.scope) {
        return (scope, Hot::No);
    }
    let is_global = placed
        .under
        .is_some_and(|name| placed.into == Into::Name && names.scopes.rebound.contains(name));
    if is_global || (is_kept_on && keeps) || (is_factory && (keeps || is_kept_on)) {
        return (scope, Hot::No);
    }
    let is_once = is_factory || names.runs_at_start(placed.scope);
    (scope, if is_once && origin.hold == Hold::Live { Hot::Unknown } else { of_hold(origin) })
}

const fn of_hold(origin: &Origin<'_>) -> Hot {
    match origin.hold {
        Hold::Live => Hot::Yes,
        Hold::Frozen => Hot::No,
        Hold::Unknown => Hot::Unknown,
    }
}

/// Whether an attribute that is set in an ordinary method is made anew for a use in that method.
fn is_used_at_once(names: &Names<'_>, placed: &Call<'_>) -> bool {
    let Some((id, function)) = names.scopes.function_of(placed.scope) else { return false };
    if super::resolve::is_constructor(function.name.as_str()) {
        return false;
    }
    let Some(attribute) = placed.under else { return false };
    let after = placed.node.range().end().to_usize();
    let calls = &names.scopes.calls;
    let first = calls.partition_point(|call| call.node.start().to_usize() <= after);
    let next = calls.iter().skip(first).take(MOST_LOOKED_AT);
    next.filter(|call| call.scope == id).any(|call| names_attribute(call.node, attribute))
}

fn names_attribute(call: &ast::ExprCall, attribute: &str) -> bool {
    let of = |expr: &Expr| match expr {
        Expr::Attribute(one) => {
            one.attr.as_str() == attribute
                || matches!(&*one.value, Expr::Attribute(two) if two.attr.as_str() == attribute)
        }
        _ => false,
    };
    of(&call.func) || call.arguments.args.iter().any(of)
}

/// Says of a literal that is given as a key.
pub(super) fn literal_at(
    names: &Names<'_>,
    out: &mut Out<'_>,
    origin: &Origin<'_>,
    name: Option<&str>,
    scope: ScopeId,
) {
    let Some(literal) = origin.literal else { return };
    if text_of(literal).is_some_and(|text| words::may_be_value(&text, name.unwrap_or_default())) {
        let class = name.and_then(words::judge).unwrap_or(Class::Key);
        out.literal(literal, "python/literal-argument", name, class, names.when(scope));
    }
}

/// Whether a call says one of these things, such as `verify=False|options.verify_signature=False`.
fn says(call: &ast::ExprCall, conditions: &str) -> bool {
    conditions.split('|').any(|condition| {
        let Some((path, value)) = condition.split_once('=') else { return false };
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or_default();
        let Some(given) = keyword(call, first) else { return false };
        let given = match parts.next() {
            None => Some(given),
            Some(key) => match given {
                Expr::Dict(dict) => dict.items.iter().find_map(|item| {
                    let name = text_of(item.key.as_ref()?)?;
                    (name == key).then_some(&item.value)
                }),
                _ => None,
            },
        };
        given.is_some_and(|given| match given {
            Expr::BooleanLiteral(literal) => literal.value == (value == "True"),
            _ => false,
        })
    })
}

/// The last two parts of a rule's name, which say enough.
pub(super) fn short_name(call: &str) -> String {
    let call = call.trim_start_matches("*.").replace("()", "");
    let parts: Vec<_> = call.rsplit('.').take(2).collect();
    let is_class = parts.first().is_some_and(|last| last.starts_with(char::is_uppercase));
    match parts.as_slice() {
        [last, ..] if is_class => (*last).to_owned(),
        [last, before] => format!("{before}.{last}"),
        _ => call,
    }
}
