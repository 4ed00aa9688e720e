//! Settings that are copied to where they outlive the call, and keys that others give to be kept.

use super::flow::Origin;
use super::loads::root_name;
use super::out::{Loaded, Out};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, tail, tail_start, text_of};
use super::resolve::Names;
use super::scopes::{Assigned, Bound, Into, Placed};
use super::table::Rule;
use super::words;
use crate::finding::{Class, Confidence, Kind, Scope, Source};
use crate::site::Hot;

type Call<'a> = Placed<'a, ast::ExprCall>;

/// Settings that are copied to where they outlive the call.
pub(super) fn at<'a>(names: &Names<'a>, out: &mut Out<'_>, copy: &Assigned<'a>) {
    let lexical = names.when(copy.scope);
    let (under, into) = match copy.target {
        Expr::Name(name) => (name.id.as_str(), Into::Name),
        Expr::Attribute(attribute) => {
            let is_own = names.class_of_self(&attribute.value, copy.scope).is_some();
            (attribute.attr.as_str(), if is_own { Into::Kept } else { Into::Entry })
        }
        Expr::Subscript(subscript) => match subscript.slice.as_ref() {
            Expr::StringLiteral(key) => (key.value.to_str(), Into::Entry),
            _ => return,
        },
        // An entry of a dictionary of settings, such as `{"SIGNING_KEY": settings.SECRET_KEY}`.
        Expr::StringLiteral(key) if words::judge(key.value.to_str()) == Some(Class::Key) => {
            (key.value.to_str(), Into::Setting)
        }
        _ => return,
    };
    let is_local = into == Into::Name && !matches!(lexical, Scope::Module | Scope::Class);
    if is_local && !names.scopes.is_global(under, copy.scope) {
        return;
    }
    if !may_hold_key(copy.value) && !words::may_name_key(under) {
        return;
    }
    if given(names, out, copy, under, into) {
        return;
    }
    let local = root_name(copy.value).filter(|_| into == Into::Kept);
    let defs = local.and_then(|local| names.scopes.lookup(local, copy.scope));
    if let Some((at, defs)) = defs.filter(|(at, _)| *at != 0) {
        // A local that ends here: each of its values is one.
        for def in defs.iter().take(8) {
            if let Bound::Value(value) = def.bound {
                let origin = names.origin(value, at);
                settings_copy(names, out, &origin, copy, under, into);
            }
        }
        return;
    }
    // An object that is made with a key is a use of it.
    if let Expr::Call(call) = copy.value {
        let (rules, _) = names.rules(call, copy.scope);
        if rules.iter().any(|rule| matches!(rule, Rule::Sink(_))) {
            return;
        }
    }
    let origin = names.origin(copy.value, copy.scope);
    settings_copy(names, out, &origin, copy, under, into);
}

/// What a function of another file gives by its name: `self.key = get_encryption_key()`; whether
/// it is a key that is kept.
fn given<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    copy: &Assigned<'a>,
    under: &str,
    into: Into,
) -> bool {
    let Expr::Call(call) = copy.value else { return false };
    let Some(name) = tail(&call.func).filter(|_| call.arguments.is_empty()) else { return false };
    let own = words::of_getter(name);
    let at = tail_start(&call.func);
    let is_getter = own != name && !name.contains("random") && !name.starts_with("make_");
    if !is_getter
        || words::judge(own) != Some(Class::Key)
        || words::judge(under) != Some(Class::Key)
        || out.has(Kind::EnvLoad, at)
    {
        return false;
    }
    let (rules, callee) = names.rules(call, copy.scope);
    if !rules.is_empty() || callee.function.is_some() {
        return false;
    }
    let scope = match names.when(copy.scope) {
        Scope::Call if into == Into::Kept => Scope::Instance,
        Scope::Call => return false,
        other => other,
    };
    out.load(&Loaded {
        at,
        rule: "python/settings-copy",
        name: own,
        under: Some(under),
        class: Class::Key,
        source: Source::Settings,
        scope,
        hot: Hot::No,
        confidence: Confidence::Low,
    });
    true
}

fn settings_copy(
    names: &Names<'_>,
    out: &mut Out<'_>,
    origin: &Origin<'_>,
    copy: &Assigned<'_>,
    under: &str,
    into: Into,
) {
    let (Some(at), Some(name)) = (origin.at, origin.name.as_deref()) else { return };
    // `config["bot.access_token"]`: what stands in settings is one that stays.
    let stays = || words::judge_loaded(name).filter(|_| name.ends_with("access_token"));
    let class = origin.class.or_else(|| words::judge(under)).or_else(stays);
    let Some(class) = class.filter(|_| origin.source == Source::Settings) else { return };
    // The settings are read here, or in the function whose local ends here.
    let start = match names.scopes.function_of(copy.scope) {
        Some((_, function)) => function.start().to_usize(),
        None => copy.value.start().to_usize(),
    };
    let end = copy.value.range().end().to_usize();
    if at < start || at >= end || out.has(Kind::EnvLoad, at) {
        return;
    }
    if words::names_a_path(name) || into == Into::Entry && words::judge(under).is_none() {
        return;
    }
    let lexical = names.when(copy.scope);
    let scope = match lexical {
        Scope::Call if into == Into::Kept => Scope::Instance,
        // A name of the module, which is filled by whoever comes first.
        Scope::Call if into == Into::Name => Scope::Module,
        other => other,
    };
    let is_call = scope == Scope::Call;
    out.load(&Loaded {
        at,
        rule: "python/settings-copy",
        name,
        under: Some(under),
        class,
        source: Source::Settings,
        scope,
        hot: if is_call && !names.is_factory(copy.scope) { Hot::Unknown } else { Hot::No },
        confidence: Confidence::Medium,
    });
}

/// Settings handed to an object by arguments that are written like settings.
pub(super) fn arguments<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    for given in &placed.node.arguments.keywords {
        let Some(under) = given.arg.as_ref().map(ast::Identifier::as_str) else { continue };
        let is_constant = under.bytes().all(|byte| !byte.is_ascii_lowercase());
        if !is_constant || words::judge(under).is_none_or(|class| class != Class::Key) {
            continue;
        }
        let origin = names.origin(&given.value, placed.scope);
        let (Some(at), Some(name)) = (origin.at, origin.name.as_deref()) else { continue };
        let is_own = tail(base_of(&given.value)).is_some_and(|base| base != "self");
        if origin.source != Source::Settings && !(is_own && origin.is_key()) {
            continue;
        }
        if out.has(Kind::EnvLoad, at) || !given.value.range().contains_inclusive(offset(at)) {
            continue;
        }
        out.load(&Loaded {
            at,
            rule: "python/settings-copy",
            name,
            under: Some(under),
            class: Class::Key,
            source: Source::Settings,
            scope: names.when(placed.scope),
            hot: Hot::No,
            confidence: Confidence::Medium,
        });
    }
}

pub(super) fn offset(at: usize) -> super::parse::TextSize {
    u32::try_from(at).unwrap_or(u32::MAX).into()
}

fn base_of(expr: &Expr) -> &Expr {
    match expr {
        Expr::Attribute(attribute) => &attribute.value,
        other => other,
    }
}

/// Whether the end of an expression could name a key: what is cheap to ask of every assignment.
pub(super) fn may_hold_key(expr: &Expr) -> bool {
    match expr {
        Expr::Attribute(attribute) => words::may_name_key(attribute.attr.as_str()),
        Expr::Subscript(subscript) => {
            text_of(&subscript.slice).is_some_and(|key| words::may_name_key(&key))
        }
        Expr::Call(call) => match call.func.as_ref() {
            Expr::Attribute(method) if words::passes_receiver(method.attr.as_str()) => {
                may_hold_key(&method.value)
            }
            _ => call.arguments.args.first().is_some_and(|first| {
                may_hold_key(first) || text_of(first).is_some_and(|text| words::may_name_key(&text))
            }),
        },
        Expr::BoolOp(choice) => choice.values.first().is_some_and(may_hold_key),
        Expr::If(choice) => may_hold_key(&choice.body),
        Expr::List(list) => list.elts.first().is_some_and(may_hold_key),
        Expr::Dict(dict) => dict.items.iter().take(8).any(|item| may_hold_key(&item.value)),
        _ => false,
    }
}
