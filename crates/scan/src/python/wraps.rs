//! Functions of the file that hand a parameter on to a loader or a sink, so that their calls are
//! places too; and the calls of them.

use std::collections::{BTreeMap, HashMap};

use super::flow::Origin;
use super::loads;
use super::out::{Out, Used};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, argument, tail, tail_start};
use super::resolve::{Callee, Names, is_cached, is_constructor};
use super::scopes::{Body, Bound, Placed, ScopeId};
use super::uses;
use super::words;
use crate::finding::{Class, Confidence, Kind};
use crate::site::{Hot, Reaches, Wrapper};

/// As many calls deep as a parameter is followed upwards.
const ROUNDS: usize = 5;

/// As many wrappers as one file may have.
const MOST: usize = 500;

/// The functions that hand a parameter on.
#[derive(Default)]
pub(super) struct Wraps {
    reach: BTreeMap<(ScopeId, usize), Reaches>,
    by_method: HashMap<String, ScopeId>,
}

impl Wraps {
    /// Notes that a parameter reaches something; what was noted first stays.
    pub(super) fn add(&mut self, of: ScopeId, place: usize, reaches: Reaches) {
        if self.reach.len() < MOST {
            self.reach.entry((of, place)).or_insert(reaches);
        }
    }

    /// The parameters of a function that reach something, in their order.
    fn of(&self, function: ScopeId) -> Vec<(usize, &Reaches)> {
        let here = self.reach.range((function, 0)..=(function, usize::MAX));
        here.map(|((_, place), reaches)| (*place, reaches)).collect()
    }

    fn name_methods(&mut self, names: &Names<'_>) {
        self.by_method.clear();
        for (of, _) in self.reach.keys() {
            let Body::Function(function) = names.scopes.body(*of) else { continue };
            let name = function.name.as_str();
            let is_method = matches!(names.scopes.body(names.scopes.parent(*of)), Body::Class(_));
            if is_method && name.len() > 7 && !name.starts_with("__") {
                self.by_method.insert(name.to_owned(), *of);
            }
        }
    }
}

/// The name of a function's parameter.
pub(super) fn parameter_name<'a>(
    names: &Names<'a>,
    function: ScopeId,
    place: usize,
) -> Option<&'a str> {
    let scope = names.scopes.all.get(function)?;
    let found = scope.names.iter().find(|(_, defs)| {
        defs.iter().any(|def| matches!(def.bound, Bound::Parameter(at, _) if at == place))
    });
    found.map(|(name, _)| *name)
}

/// Follows wrappers to their calls, and those of the functions around these.
pub(super) fn follow(names: &Names<'_>, out: &mut Out<'_>, wraps: &mut Wraps) {
    for _ in 0..ROUNDS {
        let before = wraps.reach.len();
        if before == 0 {
            return;
        }
        wraps.name_methods(names);
        for placed in &names.scopes.calls {
            let callee = names.callee(placed.node, placed.scope);
            let Some(function) = function_of(names, wraps, placed.node, &callee) else { continue };
            let reached: Vec<_> = wraps
                .of(function)
                .into_iter()
                .map(|(place, reaches)| (place, reaches.clone()))
                .collect();
            for (place, reaches) in reached {
                at_call(names, out, wraps, placed, function, place, &reaches);
            }
        }
        if wraps.reach.len() == before {
            return;
        }
    }
}

fn function_of(
    names: &Names<'_>,
    wraps: &Wraps,
    call: &ast::ExprCall,
    callee: &Callee,
) -> Option<ScopeId> {
    if let Some(function) = callee.function {
        return Some(function);
    }
    if let Some(class) = callee.class {
        return names.method(class, "__init__");
    }
    match call.func.as_ref() {
        Expr::Attribute(method) => wraps.by_method.get(method.attr.as_str()).copied(),
        _ => None,
    }
}

fn at_call<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Placed<'a, ast::ExprCall>,
    function: ScopeId,
    place: usize,
    reaches: &Reaches,
) {
    let Some(name) = parameter_name(names, function, place) else { return };
    let keywords = [name.to_owned()];
    let Some(given) = argument(placed.node, Some(place), &keywords) else { return };
    match reaches {
        Reaches::Loader(source) => {
            let is_kept = match names.scopes.body(function) {
                Body::Function(def) => is_cached(def),
                _ => false,
            };
            loads::by_wrapper(names, out, wraps, placed, given, *source, is_kept);
        }
        Reaches::Sink(_, does) => {
            let origin = names.origin(given, placed.scope);
            let class = words::judge(name);
            let is_speaking = class.is_some_and(|class| class != Class::Password) || speaks(name);
            if let Some((of, at)) = origin.parameter
                && (is_speaking || origin.is_key())
                && !parameter_name(names, of, at).is_some_and(uses::is_other_name)
            {
                wraps.add(of, at, reaches.clone());
            }
            let is_nothing = given.is_none_literal_expr() || is_row_name(&origin);
            let at = tail_start(&placed.node.func);
            if is_nothing || out.has(Kind::KeyUse, at) || !(is_speaking || origin.is_key()) {
                return;
            }
            uses::literal_at(names, out, &origin, Some(name), placed.scope);
            let sink = tail(&placed.node.func).unwrap_or_default();
            let is_class = is_constructor_scope(names, function);
            let (scope, hot) = uses::when(names, placed, is_class, &origin);
            // Who is given the object may keep it.
            let is_given = is_class && returns(names, placed);
            let hot = if is_given && hot == Hot::Yes { Hot::Unknown } else { hot };
            let class = origin.class.unwrap_or(Class::Key);
            let used = Used {
                at,
                rule: "python/key-wrapper",
                sink,
                does: *does,
                scope,
                hot,
                class,
                confidence: Confidence::Medium,
                remedy: None,
            };
            out.usage(&used, &origin);
        }
    }
}

/// Whether the name of a parameter that reaches a use of a key is that of one: `merchant_key`.
fn speaks(name: &str) -> bool {
    let words = crate::names::words(name);
    let others = [
        "backend", "cache", "config", "file", "foreign", "id", "index", "object", "public", "s3",
        "user",
    ];
    let is_other = words.iter().any(|word| others.contains(&word.as_str()));
    !is_other
        && words.last().is_some_and(|last| {
            matches!(last.as_str(), "key" | "secret" | "keys" | "secrets")
                || last == "salt" && words.len() == 1
        })
}

/// Whether a function returns what a call makes.
pub(super) fn returns(names: &Names<'_>, placed: &Placed<'_, ast::ExprCall>) -> bool {
    let Some((of, _)) = names.scopes.function_of(placed.scope) else { return false };
    let returns = names.scopes.all.get(of).map(|scope| scope.returns.as_slice());
    returns.unwrap_or_default().iter().any(|value| value.range() == placed.node.range())
}

fn is_row_name(origin: &Origin<'_>) -> bool {
    origin.class == Some(Class::Password)
}

fn is_constructor_scope(names: &Names<'_>, function: ScopeId) -> bool {
    matches!(names.scopes.body(function), Body::Function(def) if is_constructor(def.name.as_str()))
}

/// Tells other files of the wrappers. What has a name that many functions have is not told.
pub(super) fn export(names: &Names<'_>, out: &mut Out<'_>, wraps: &Wraps) {
    for ((of, place), reaches) in &wraps.reach {
        let Body::Function(def) = names.scopes.body(*of) else { continue };
        let parent = names.scopes.parent(*of);
        let function = match names.scopes.body(parent) {
            Body::Class(class) if is_constructor(def.name.as_str()) => class.name.as_str(),
            Body::Function(_) | Body::Lambda => continue,
            _ => def.name.as_str(),
        };
        let keyword = parameter_name(names, *of, *place);
        // What derives a key of a password is told of only where it is given a key.
        if keyword.and_then(words::judge) == Some(Class::Password) {
            continue;
        }
        let is_loader = matches!(reaches, Reaches::Loader(_));
        let is_known = matches!(function, "read_file" | "load_file" | "get_env" | "get_config");
        if (is_common(function) && !(is_loader && is_known))
            || function.starts_with("__")
            || function.starts_with("test_")
        {
            continue;
        }
        out.sites.wrappers.push(Wrapper {
            function: function.to_owned(),
            parameter: *place,
            keyword: keyword.map(str::to_owned),
            reaches: reaches.clone(),
        });
    }
}

fn is_common(name: &str) -> bool {
    name.len() < 5
        || matches!(
            name,
            "encode"
                | "decode"
                | "verify"
                | "create"
                | "update"
                | "setup"
                | "build"
                | "start"
                | "parse"
                | "value"
                | "fetch"
                | "write"
                | "get_value"
                | "config"
                | "Config"
                | "Client"
                | "Settings"
                | "validate"
                | "process"
                | "from_env"
                | "execute"
                | "handle"
                | "setdefault"
                | "check"
                | "compute"
                | "connect"
                | "get_or_create"
                | "read_file"
                | "load_file"
                | "read_text"
                | "load_json"
                | "load_yaml"
                | "open_file"
                | "get_env"
                | "get_config"
        )
}
