//! What a name in a file stands for: the full dotted name of what is called, through imports,
//! aliases and instances, and the rule about it. An instance is written as the call that made it:
//! `env` after `env = environ.Env()` is `environ.Env()`.

use std::cell::{Cell, OnceCell};
use std::collections::HashSet;

use super::parse::ast::{self, Expr};
use super::parse::{Ranged, tail};
use super::scopes::{Body, Bound, Def, ScopeId, Scopes};
use super::table::{Index, Rule, tail_of};
use crate::finding::Scope;
use crate::quick::hash;

/// As many steps from name to name as are followed.
const FURTHEST: u8 = 12;

/// As many steps in all for one name.
const MOST: u32 = 100;

/// What is called.
#[derive(Clone, Default)]
pub(super) struct Callee {
    /// The full dotted name, where the file tells it.
    pub dotted: Option<String>,
    /// The function of this file, where it is one.
    pub function: Option<ScopeId>,
    /// The class of this file, where it is one.
    pub class: Option<ScopeId>,
}

/// What a file's names stand for.
pub(super) struct Names<'a> {
    pub scopes: Scopes<'a>,
    pub index: &'a Index,
    /// Locals that end on `self`, by their scope.
    pub kept_locals: HashSet<(ScopeId, &'a str)>,
    /// As many steps as may still be taken: names that refer to each other branch at each.
    pub(super) steps: Cell<u32>,
    dots: Cell<u32>,
    called_later: OnceCell<HashSet<&'a str>>,
}

impl<'a> Names<'a> {
    pub(super) fn new(scopes: Scopes<'a>, index: &'a Index) -> Self {
        let kept_locals = super::loads::kept_locals(&scopes);
        Self {
            scopes,
            index,
            kept_locals,
            steps: Cell::new(0),
            dots: Cell::new(0),
            called_later: OnceCell::new(),
        }
    }

    /// The full dotted name of an expression, if it begins outside this file.
    pub(super) fn dotted(&self, expr: &Expr, scope: ScopeId) -> Option<String> {
        self.dots.set(MOST);
        self.dotted_within(expr, scope, FURTHEST)
    }

    fn dotted_within(&self, expr: &Expr, scope: ScopeId, fuel: u8) -> Option<String> {
        let fuel = fuel.checked_sub(1)?;
        self.dots.set(self.dots.get().checked_sub(1)?);
        match expr {
            Expr::Name(name) => self.dotted_name(name.id.as_str(), expr, scope, fuel),
            Expr::Attribute(attribute) => {
                if let Some((at, def)) = self.kept(attribute, scope) {
                    return match def.bound {
                        Bound::Value(value) => self.dotted_within(value, at, fuel),
                        _ => None,
                    };
                }
                let base = self.dotted_within(&attribute.value, scope, fuel)?;
                (base.len() < 200).then(|| format!("{base}.{}", attribute.attr.as_str()))
            }
            Expr::Call(call) => {
                let base = self.dotted_within(&call.func, scope, fuel)?;
                (base.len() < 200).then(|| format!("{base}()"))
            }
            Expr::Await(one) => self.dotted_within(&one.value, scope, fuel),
            _ => None,
        }
    }

    fn dotted_name(&self, name: &str, expr: &Expr, scope: ScopeId, fuel: u8) -> Option<String> {
        let Some((at, defs)) = self.scopes.lookup(name, scope) else {
            return Some(name.to_owned());
        };
        let use_at = expr.start().to_usize();
        defs.iter().find_map(|def| match &def.bound {
            Bound::Import(dotted) => Some(dotted.clone()),
            Bound::Value(value) if !value.range().contains(expr.start()) || use_at < def.at => {
                self.dotted_within(value, at, fuel)
            }
            Bound::Class(class) => self.dotted_base(*class, fuel),
            _ => None,
        })
    }

    /// The name of the class outside this file from which one of it comes.
    fn dotted_base(&self, class: ScopeId, fuel: u8) -> Option<String> {
        let Body::Class(def) = self.scopes.body(class) else { return None };
        let outside = self.scopes.parent(class);
        def.arguments.iter().flat_map(|arguments| arguments.args.iter()).find_map(|base| {
            let named = self.dotted_within(base, outside, fuel)?;
            self.index.knows(tail_of(&named)).then_some(named)
        })
    }

    /// The bases of a class, by the last parts of their names, those of this file followed.
    pub(super) fn bases(&self, class: ScopeId) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![class];
        while let Some(one) = open.pop() {
            let Body::Class(def) = self.scopes.body(one) else { continue };
            for base in def.arguments.iter().flat_map(|arguments| arguments.args.iter()) {
                let base = if let Expr::Subscript(generic) = base { &generic.value } else { base };
                let Some(name) = tail(base) else { continue };
                if found.len() > 20 || found.iter().any(|one| one == name) {
                    continue;
                }
                found.push(name.to_owned());
                let full = self.dotted(base, self.scopes.parent(one)).unwrap_or_default();
                found.push(tail_of(&full).to_owned());
                if let Some((_, defs)) = self.scopes.lookup(name, self.scopes.parent(one)) {
                    open.extend(defs.iter().filter_map(|def| match def.bound {
                        Bound::Class(id) => Some(id),
                        _ => None,
                    }));
                }
            }
        }
        found
    }

    /// Where `self.name` is set first, if it is such an attribute.
    pub(super) fn kept(
        &self,
        attribute: &ast::ExprAttribute,
        scope: ScopeId,
    ) -> Option<(ScopeId, Def<'a>)> {
        let class = self.class_of_self(&attribute.value, scope)?;
        let found = self.scopes.kept.get(&(class, attribute.attr.as_str()))?;
        found.first().cloned()
    }

    /// The class whose `self` or `cls` an expression is.
    pub(super) fn class_of_self(&self, expr: &Expr, scope: ScopeId) -> Option<ScopeId> {
        match expr {
            Expr::Name(name) if matches!(name.id.as_str(), "self" | "cls") => {
                self.scopes.class_of(scope)
            }
            Expr::Name(name) => {
                let (_, defs) = self.scopes.lookup(name.id.as_str(), scope)?;
                defs.iter().find_map(|def| match def.bound {
                    Bound::Class(class) => Some(class),
                    _ => None,
                })
            }
            _ => None,
        }
    }

    /// The function that a class has under a name.
    pub(super) fn method(&self, class: ScopeId, name: &str) -> Option<ScopeId> {
        let defs = self.scopes.all.get(class)?.names.get(name)?;
        defs.iter().find_map(|def| match def.bound {
            Bound::Function(function) => Some(function),
            _ => None,
        })
    }

    /// What a call calls.
    pub(super) fn callee(&self, call: &ast::ExprCall, scope: ScopeId) -> Callee {
        self.callee_of(&call.func, scope)
    }

    /// What an expression is when it is called.
    pub(super) fn callee_of(&self, func: &Expr, scope: ScopeId) -> Callee {
        match func {
            Expr::Name(name) => self.callee_name(name.id.as_str(), func, scope),
            Expr::Attribute(attribute) => {
                let name = attribute.attr.as_str();
                let class = self.class_of_self(&attribute.value, scope);
                let function = class.and_then(|class| self.method(class, name));
                let is_known = function.is_none() && self.index.knows(name);
                let dotted = is_known.then(|| self.dotted(func, scope)).flatten();
                Callee { dotted, function, class: None }
            }
            _ => Callee::default(),
        }
    }

    fn callee_name(&self, name: &str, func: &Expr, scope: ScopeId) -> Callee {
        if name == "cls" {
            return Callee { class: self.scopes.class_of(scope), ..Callee::default() };
        }
        let Some((_, defs)) = self.scopes.lookup(name, scope) else {
            let dotted = self.index.knows(name).then(|| name.to_owned());
            return Callee { dotted, ..Callee::default() };
        };
        let mut callee = Callee::default();
        for def in defs {
            match def.bound {
                Bound::Function(function) => callee.function = Some(function),
                Bound::Class(class) => callee.class = Some(class),
                _ => {}
            }
        }
        if callee.function.is_none() {
            callee.dotted = self.dotted(func, scope);
        }
        callee
    }

    /// The rules about a call, the nearest first. Middleware is added by a call that names its
    /// class first; there the class is what is called.
    pub(super) fn rules(&self, call: &ast::ExprCall, scope: ScopeId) -> (Vec<&'a Rule>, Callee) {
        let adds = matches!(
            tail(&call.func),
            Some("add_middleware" | "add_wsgi_middleware" | "Middleware")
        );
        let func = match call.arguments.args.first() {
            Some(class) if adds => class,
            _ => match call.func.as_ref() {
                // `Strategy[User](secret)`
                Expr::Subscript(generic) => generic.value.as_ref(),
                other => other,
            },
        };
        let callee = self.of_super(func, scope).unwrap_or_else(|| self.callee_of(func, scope));
        let dotted = callee.dotted.clone().unwrap_or_default();
        let written = tail(func).unwrap_or_default();
        let by_name = if dotted.is_empty() { written } else { tail_of(&dotted) };
        if !self.index.knows(by_name) || callee.function.is_some() {
            return (Vec::new(), callee);
        }
        let index: &'a Index = self.index;
        let mut found = index.matching(by_name, &dotted);
        // What was made with a key has it: no method of others is called on it.
        let made = dotted.rsplit_once('.').and_then(|(made, _)| made.strip_suffix("()"));
        let makes = |made: &str| {
            let rules = index.matching(tail_of(made), made);
            rules.iter().any(|rule| matches!(rule, Rule::Sink(sink) if sink.keeps && !sink.call.starts_with("*.")))
        };
        if found.iter().any(|rule| rule.is_of_any()) && made.is_some_and(makes) {
            found.retain(|rule| !rule.is_of_any());
        }
        (found, callee)
    }

    /// The class outside this file whose constructor `super().__init__` is.
    fn of_super(&self, func: &Expr, scope: ScopeId) -> Option<Callee> {
        let Expr::Attribute(method) = func else { return None };
        let Expr::Call(base) = method.value.as_ref() else { return None };
        let is_one = method.attr.as_str() == "__init__" && tail(&base.func) == Some("super");
        let class = self.scopes.class_of(scope).filter(|_| is_one)?;
        self.dots.set(MOST);
        let dotted = self.dotted_base(class, FURTHEST)?;
        Some(Callee { dotted: Some(dotted), ..Callee::default() })
    }

    /// When a place in a scope runs.
    pub(super) fn when(&self, scope: ScopeId) -> Scope {
        match self.scopes.body(scope) {
            Body::Module => Scope::Module,
            Body::Class(_) => Scope::Class,
            Body::Function(function) if is_first_value(function) => Scope::Call,
            Body::Function(function) if is_cached(function) => Scope::Module,
            Body::Function(function) if is_constructor(function.name.as_str()) => Scope::Instance,
            Body::Function(_) | Body::Lambda => Scope::Call,
        }
    }

    /// Whether a scope stands in a function that gives the first value of an attribute, which the
    /// object keeps.
    pub(super) fn gives_first_value(&self, scope: ScopeId) -> bool {
        self.scopes.function_of(scope).is_some_and(|(_, function)| is_first_value(function))
    }

    /// The names that functions call.
    fn called_later(&self) -> &HashSet<&'a str> {
        self.called_later.get_or_init(|| {
            let calls = self.scopes.calls.iter();
            let later = calls.filter(|call| self.scopes.function_of(call.scope).is_some());
            later.filter_map(|call| tail(&call.node.func)).collect()
        })
    }

    /// The hashes of all names that are called, also of classes that are given to be called.
    pub(super) fn called(&self) -> Box<[u64]> {
        let calls = self.scopes.calls.iter().map(|call| &call.node);
        let funcs = calls.clone().filter_map(|call| tail(&call.func));
        let given = calls.filter_map(|call| tail(call.arguments.args.first()?));
        let classes = given.filter(|name| name.starts_with(|one: char| one.is_ascii_uppercase()));
        let mut hashes: Vec<u64> = funcs.chain(classes).map(|name| hash(name.as_bytes())).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.into_boxed_slice()
    }

    /// Whether a scope stands in a function that this file calls only while it is loaded.
    pub(super) fn runs_at_start(&self, scope: ScopeId) -> bool {
        let Some((_, function)) = self.scopes.function_of(scope) else { return false };
        let name = function.name.as_str();
        self.scopes.called_at_start.contains(name) && !self.called_later().contains(name)
    }

    /// Whether a scope stands in a method that constructors of this file call for their object;
    /// and if so, whether nothing else does.
    pub(super) fn runs_with_object(&self, scope: ScopeId) -> Option<bool> {
        let (_, function) = self.scopes.function_of(scope)?;
        let name = function.name.as_str();
        let calls = self.scopes.calls.iter().filter(|call| match call.node.func.as_ref() {
            Expr::Attribute(method) => method.attr.as_str() == name,
            _ => false,
        });
        let (mut by_constructor, mut by_others) = (false, false);
        for call in calls {
            let caller = self.scopes.function_of(call.scope);
            let is_made = caller.is_some_and(|(_, one)| is_constructor(one.name.as_str()));
            by_constructor |= is_made;
            by_others |= !is_made;
        }
        by_constructor.then_some(!by_others)
    }

    /// Whether a scope stands in a function that makes the application, once for each process.
    pub(super) fn is_factory(&self, scope: ScopeId) -> bool {
        let Some((_, function)) = self.scopes.function_of(scope) else { return false };
        let name = function.name.as_str().trim_start_matches('_');
        let starts = ["create_app", "make_app", "build_app", "get_app", "configure", "setup"];
        let is = ["main", "init_app", "lifespan", "startup", "on_startup", "includeme", "ready"];
        starts.iter().any(|start| name.starts_with(start))
            || is.contains(&name)
            || matches!(name, "get_asgi_application" | "run" | "load_config" | "set_env" | "init")
    }
}

/// Whether a function gives the first value of an attribute, as the defaults of traitlets do.
fn is_first_value(function: &ast::StmtFunctionDef) -> bool {
    let name = function.name.as_str();
    let is_method = function.parameters.args.first().is_some_and(|first| first.name() == "self");
    fills_global(function)
        || is_method
            && (name.starts_with('_') && name.ends_with("_default")
                || decorators(function).any(|name| name == "default"))
}

/// Whether a function makes what the module keeps, once: `if _client is None: _client = …`.
fn fills_global(function: &ast::StmtFunctionDef) -> bool {
    let globals = function.body.iter().filter_map(|stmt| match stmt {
        ast::Stmt::Global(global) => Some(&global.names),
        _ => None,
    });
    let names: Vec<&str> = globals.flatten().map(ast::Identifier::as_str).collect();
    let asks = |test: &Expr| match test {
        Expr::Name(name) => names.contains(&name.id.as_str()),
        Expr::UnaryOp(not) => tail(&not.operand).is_some_and(|name| names.contains(&name)),
        Expr::Compare(compare) => tail(&compare.left).is_some_and(|name| names.contains(&name)),
        _ => false,
    };
    !names.is_empty()
        && function.body.iter().any(|stmt| matches!(stmt, ast::Stmt::If(one) if asks(&one.test)))
}

/// The last parts of the names of a function's decorators.
fn decorators(function: &ast::StmtFunctionDef) -> impl Iterator<Item = &str> {
    function.decorator_list.iter().filter_map(|decorator| match &decorator.expression {
        Expr::Call(call) => tail(&call.func),
        other => tail(other),
    })
}

/// Whether a function keeps what it gave first.
pub(super) fn is_cached(function: &ast::StmtFunctionDef) -> bool {
    let is_one = |name: &str| {
        matches!(
            name,
            "lru_cache"
                | "cache"
                | "cached"
                | "cached_property"
                | "memoize"
                | "alru_cache"
                | "cachedmethod"
                | "singleton"
                | "cache_resource"
                | "cache_data"
                | "reify"
        )
    };
    is_first_value(function) || decorators(function).any(is_one)
}

/// Whether a function is read as an attribute.
pub(super) fn is_property(function: &ast::StmtFunctionDef) -> bool {
    function.decorator_list.iter().any(|decorator| {
        let name = tail(&decorator.expression).unwrap_or_default();
        matches!(
            name,
            "property" | "cached_property" | "hybrid_property" | "reify" | "computed_field"
        )
    })
}

/// Whether a function makes an object.
pub(super) fn is_constructor(name: &str) -> bool {
    matches!(
        name,
        "__init__" | "__post_init__" | "__attrs_post_init__" | "model_post_init" | "__new__"
    )
}
