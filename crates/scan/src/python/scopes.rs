//! What stands in a file and in which scope: one walk over the tree that gathers definitions,
//! calls and the other places that may speak of a key, each with where it stands and what becomes
//! of it. Nothing is judged here.

use std::collections::{HashMap, HashSet};

use super::parse::ast::{self, Expr, Stmt};
use super::parse::visitor::{self, Visitor};
use super::parse::{Ranged, tail};
use super::words;
use crate::quick::Quick;

/// A scope of the file, by its place in [`Scopes::all`]; the module is the first.
pub(super) type ScopeId = usize;

/// What a scope is the body of.
#[derive(Clone, Copy)]
pub(super) enum Body<'a> {
    Module,
    Class(&'a ast::StmtClassDef),
    Function(&'a ast::StmtFunctionDef),
    Lambda,
}

/// What a name is bound to.
#[derive(Clone)]
pub(super) enum Bound<'a> {
    /// `name = expr`.
    Value(&'a Expr),
    /// A part of what the expression gives: a loop over it, an unpacking, a `with`.
    Part(&'a Expr),
    /// A parameter: its position without the receiver, and its default.
    Parameter(usize, Option<&'a Expr>),
    /// An import, as its full dotted name.
    Import(String),
    /// A function of this file.
    Function(ScopeId),
    /// A class of this file.
    Class(ScopeId),
    /// Said to be that of the module.
    Global,
}

/// One definition of a name.
#[derive(Clone)]
pub(super) struct Def<'a> {
    /// Where it begins.
    pub at: usize,
    /// What it is.
    pub bound: Bound<'a>,
}

/// One scope.
pub(super) struct Scope<'a> {
    pub body: Body<'a>,
    pub parent: ScopeId,
    pub names: HashMap<&'a str, Vec<Def<'a>>, Quick>,
    /// What a function returns.
    pub returns: Vec<&'a Expr>,
}

/// What becomes of the value of an expression.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Into {
    /// It is handed on somewhere, or dropped.
    #[default]
    Elsewhere,
    /// A name of the scope.
    Name,
    /// An attribute of `self` or `cls`.
    Kept,
    /// An attribute or an entry of something else.
    Entry,
    /// A named argument of a call.
    Argument,
    /// An entry of a dictionary.
    Item,
    /// An entry of a dictionary that holds settings.
    Setting,
}

/// An expression with where it stands.
pub(super) struct Placed<'a, T> {
    pub node: &'a T,
    pub scope: ScopeId,
    /// The name under which its value goes on.
    pub under: Option<&'a str>,
    pub into: Into,
}

/// An assignment, or the default of a parameter.
pub(super) struct Assigned<'a> {
    pub target: &'a Expr,
    pub value: &'a Expr,
    pub scope: ScopeId,
}

/// All that the walk gathers.
#[derive(Default)]
pub(super) struct Scopes<'a> {
    pub all: Vec<Scope<'a>>,
    pub calls: Vec<Placed<'a, ast::ExprCall>>,
    pub indexed: Vec<Placed<'a, ast::ExprSubscript>>,
    pub attributes: Vec<Placed<'a, ast::ExprAttribute>>,
    pub literals: Vec<Placed<'a, Expr>>,
    pub choices: Vec<Placed<'a, ast::ExprBoolOp>>,
    pub strings: Vec<Placed<'a, Expr>>,
    pub dicts: Vec<Placed<'a, ast::ExprDict>>,
    /// Two values that are the same or not, outside of tests.
    pub compares: Vec<Placed<'a, ast::ExprCompare>>,
    pub copies: Vec<Assigned<'a>>,
    /// Attributes of `self`: the class and the name, and where each is set.
    pub kept: HashMap<(ScopeId, &'a str), Vec<(ScopeId, Def<'a>)>, Quick>,
    /// Fields of classes with an annotation.
    pub fields: Vec<(ScopeId, &'a ast::StmtAnnAssign)>,
    /// Endless loops in functions, which may wait and do something again.
    pub loops: Vec<(ScopeId, &'a ast::StmtWhile)>,
    /// Names of the module that functions set anew.
    pub rebound: HashSet<&'a str, Quick>,
    /// Names that are called while the module is loaded.
    pub called_at_start: HashSet<&'a str, Quick>,
    /// The packages that are imported.
    pub packages: HashSet<&'a str, Quick>,
    /// Modules of which everything is imported.
    pub stars: Vec<String>,
}

/// Walks over a module. Strings are gathered only on demand; there are many.
pub(super) fn gather(module: &ast::ModModule, with_strings: bool) -> Scopes<'_> {
    let mut walk = Walk {
        found: Scopes::default(),
        scope: 0,
        under: None,
        into: Into::Elsewhere,
        with_strings,
        in_settings: false,
        loop_start: None,
        in_assert: false,
    };
    walk.found.all.push(scope(Body::Module, 0));
    walk.visit_body(&module.body);
    walk.found
}

fn scope(body: Body<'_>, parent: ScopeId) -> Scope<'_> {
    Scope { body, parent, names: HashMap::default(), returns: Vec::new() }
}

struct Walk<'a> {
    found: Scopes<'a>,
    scope: ScopeId,
    under: Option<&'a str>,
    into: Into,
    with_strings: bool,
    /// Whether what is walked goes on as settings.
    in_settings: bool,
    /// Where the comprehension begins whose loops are walked: its names are known from there on.
    loop_start: Option<usize>,
    in_assert: bool,
}

impl<'a> Walk<'a> {
    fn here(&mut self) -> Option<&mut Scope<'a>> {
        self.found.all.get_mut(self.scope)
    }

    fn define(&mut self, name: &'a str, at: usize, bound: Bound<'a>) {
        if let Some(scope) = self.here() {
            scope.names.entry(name).or_default().push(Def { at, bound });
        }
    }

    /// Walks over an expression whose value goes on under a name.
    fn value(&mut self, expr: &'a Expr, under: Option<&'a str>, into: Into) {
        let before = (self.under, self.into);
        (self.under, self.into) = (under, into);
        self.visit_expr(expr);
        (self.under, self.into) = before;
    }

    fn aside(&mut self, expr: &'a Expr) {
        self.value(expr, None, Into::Elsewhere);
    }

    fn placed<T>(&self, node: &'a T) -> Placed<'a, T> {
        Placed { node, scope: self.scope, under: self.under, into: self.into }
    }

    /// The class whose method or body this is.
    fn class(&self) -> Option<ScopeId> {
        self.found.class_of(self.scope)
    }

    fn bind(&mut self, target: &'a Expr, value: &'a Expr, is_whole: bool) {
        let at = self.loop_start.unwrap_or_else(|| target.start().to_usize());
        let bound = if is_whole { Bound::Value(value) } else { Bound::Part(value) };
        match target {
            Expr::Name(name) => self.define(name.id.as_str(), at, bound),
            Expr::Attribute(attribute) if is_self(&attribute.value) => {
                if let Some(class) = self.class() {
                    let of = (class, attribute.attr.as_str());
                    let def = (self.scope, Def { at, bound });
                    self.found.kept.entry(of).or_default().push(def);
                }
            }
            Expr::Tuple(ast::ExprTuple { elts, .. }) | Expr::List(ast::ExprList { elts, .. }) => {
                self.unpack(elts, value);
            }
            Expr::Starred(starred) => self.bind(&starred.value, value, false),
            _ => {}
        }
    }

    fn unpack(&mut self, targets: &'a [Expr], value: &'a Expr) {
        match value {
            Expr::Tuple(ast::ExprTuple { elts, .. }) | Expr::List(ast::ExprList { elts, .. })
                if elts.len() == targets.len() =>
            {
                for (target, value) in targets.iter().zip(elts) {
                    self.bind(target, value, true);
                    self.copy(target, value);
                }
            }
            _ => targets.iter().for_each(|target| self.bind(target, value, false)),
        }
    }

    fn copy(&mut self, target: &'a Expr, value: &'a Expr) {
        self.found.copies.push(Assigned { target, value, scope: self.scope });
    }

    fn assign(&mut self, targets: &'a [Expr], value: &'a Expr) {
        for target in targets {
            self.bind(target, value, true);
            if !matches!(target, Expr::Tuple(_) | Expr::List(_)) {
                self.copy(target, value);
            }
        }
        let (under, into) = targets.last().map_or((None, Into::Elsewhere), under);
        let before = self.in_settings;
        self.in_settings = under.is_some_and(words::holds_defaults);
        self.value(value, under, into);
        self.in_settings = before;
        for target in targets {
            // An entry that is written is no load; what stands in its brackets may be one.
            match target {
                Expr::Subscript(subscript) => {
                    self.aside(&subscript.value);
                    self.aside(&subscript.slice);
                }
                Expr::Attribute(attribute) => self.aside(&attribute.value),
                _ => {}
            }
        }
    }

    fn function(&mut self, function: &'a ast::StmtFunctionDef) {
        for decorator in &function.decorator_list {
            self.aside(&decorator.expression);
        }
        self.defaults(&function.parameters);
        let id = self.found.all.len();
        let in_class = self.found.all.get(self.scope).is_some_and(Scope::is_class);
        self.define(function.name.as_str(), function.start().to_usize(), Bound::Function(id));
        let is_static = function
            .decorator_list
            .iter()
            .any(|decorator| tail(&decorator.expression) == Some("staticmethod"));
        self.found.all.push(scope(Body::Function(function), self.scope));
        let before = std::mem::replace(&mut self.scope, id);
        self.parameters(&function.parameters, usize::from(in_class && !is_static));
        self.visit_body(&function.body);
        self.scope = before;
    }

    fn defaults(&mut self, parameters: &'a ast::Parameters) {
        for parameter in parameters.iter_non_variadic_params() {
            if let Some(default) = parameter.default.as_deref() {
                self.value(default, Some(parameter.parameter.name.as_str()), Into::Argument);
            }
        }
    }

    fn parameters(&mut self, parameters: &'a ast::Parameters, receivers: usize) {
        let positional = parameters.posonlyargs.iter().chain(&parameters.args);
        for (place, one) in positional.enumerate() {
            let name = one.parameter.name.as_str();
            let at = one.parameter.range.start().to_usize();
            if let Some(place) = place.checked_sub(receivers) {
                self.define(name, at, Bound::Parameter(place, one.default.as_deref()));
            }
        }
        let count = parameters.posonlyargs.len().saturating_add(parameters.args.len());
        for (place, one) in parameters.kwonlyargs.iter().enumerate() {
            // Beyond every position: only its name reaches it.
            let place = count.saturating_add(place).saturating_add(100);
            let at = one.parameter.range.start().to_usize();
            let bound = Bound::Parameter(place, one.default.as_deref());
            self.define(one.parameter.name.as_str(), at, bound);
        }
    }

    fn class_def(&mut self, class: &'a ast::StmtClassDef) {
        for decorator in &class.decorator_list {
            self.aside(&decorator.expression);
        }
        if let Some(arguments) = class.arguments.as_deref() {
            self.visit_arguments(arguments);
        }
        let id = self.found.all.len();
        self.define(class.name.as_str(), class.start().to_usize(), Bound::Class(id));
        self.found.all.push(scope(Body::Class(class), self.scope));
        let before = std::mem::replace(&mut self.scope, id);
        self.visit_body(&class.body);
        self.scope = before;
    }

    fn import_from(&mut self, import: &'a ast::StmtImportFrom) {
        let module = import.module.as_ref().map_or("", ast::Identifier::as_str);
        let at = import.start().to_usize();
        self.found.packages.extend(module.split('.').next());
        for alias in &import.names {
            let dot = if import.level > 0 { "." } else { "" };
            if alias.name.as_str() == "*" {
                self.found.stars.push(format!("{dot}{module}"));
                continue;
            }
            let between = if module.is_empty() { "" } else { "." };
            let dotted = format!("{dot}{module}{between}{}", alias.name.as_str());
            let name = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
            self.define(name, at, Bound::Import(dotted));
        }
    }

    fn import(&mut self, import: &'a ast::StmtImport) {
        for alias in &import.names {
            let full = alias.name.as_str();
            let at = import.start().to_usize();
            self.found.packages.extend(full.split('.').next());
            if let Some(name) = &alias.asname {
                self.define(name.as_str(), at, Bound::Import(full.to_owned()));
            } else {
                let first = full.split('.').next().unwrap_or(full);
                self.define(first, at, Bound::Import(first.to_owned()));
            }
        }
    }

    fn call(&mut self, call: &'a ast::ExprCall) {
        let placed = self.placed(call);
        self.found.calls.push(placed);
        let name = tail(&call.func).unwrap_or_default();
        if self.found.function_of(self.scope).is_none() {
            self.found.called_at_start.insert(name);
        }
        let is_method = call.func.is_attribute_expr();
        let (under, into) = (self.under, self.into);
        // What goes on under no name goes on under none through a call either.
        let passes_receiver = is_method && under.is_some() && words::passes_receiver(name);
        match call.func.as_ref() {
            Expr::Attribute(attribute) if passes_receiver => self.visit_expr(&attribute.value),
            Expr::Attribute(attribute) => self.aside(&attribute.value),
            other => self.aside(other),
        }
        let passes_first = !passes_receiver && under.is_some() && words::passes_argument(name);
        for (place, argument) in call.arguments.args.iter().enumerate() {
            if place == 0 && passes_first {
                self.value(argument, under, into);
            } else {
                self.aside(argument);
            }
        }
        for keyword in &call.arguments.keywords {
            match keyword.arg.as_ref() {
                Some(key) => {
                    let into = if name == "dict" { Into::Item } else { Into::Argument };
                    let before = self.in_settings;
                    self.in_settings |=
                        keyword.value.is_dict_expr() && words::holds_settings(key.as_str());
                    self.value(&keyword.value, Some(key.as_str()), into);
                    self.in_settings = before;
                }
                None => self.aside(&keyword.value),
            }
        }
    }

    fn dict(&mut self, dict: &'a ast::ExprDict) {
        if dict.items.iter().any(is_schedule) {
            let placed = self.placed(dict);
            self.found.dicts.push(placed);
        }
        let is_at_start = self.found.function_of(self.scope).is_none();
        // `{"shop": {"secret": …}}`: the name around says whose it is.
        let is_within = self.under.is_some() && matches!(self.into, Into::Item | Into::Setting);
        for item in &dict.items {
            let under = match item.key.as_ref() {
                Some(key @ Expr::StringLiteral(text)) => {
                    if is_at_start {
                        self.copy(key, &item.value);
                    }
                    Some(text.value.to_str())
                }
                Some(key) => {
                    self.aside(key);
                    tail(key)
                }
                None => None,
            };
            let is_setting = self.in_settings || (is_within && under.is_some_and(words::is_secret));
            let is_setting = is_setting && !item.value.is_list_expr();
            let is_text = item.value.is_string_literal_expr();
            let (under, into) = match self.into {
                // `SECRETS = {"1": "…"}`: each entry is one.
                of @ (Into::Name | Into::Entry)
                    if (is_text || item.value.is_list_expr())
                        && !under.is_some_and(words::may_name_key)
                        && self.under.is_some_and(words::names_several) =>
                {
                    (self.under, of)
                }
                // What is put into something goes there with all its parts.
                of @ (Into::Entry | Into::Kept) if !is_text && !is_setting => (under, of),
                _ => (under, if is_setting { Into::Setting } else { Into::Item }),
            };
            self.value(&item.value, under, into);
        }
    }

    fn lambda(&mut self, lambda: &'a ast::ExprLambda) {
        let id = self.found.all.len();
        if let Some(parameters) = lambda.parameters.as_deref() {
            self.defaults(parameters);
        }
        self.found.all.push(scope(Body::Lambda, self.scope));
        let before = std::mem::replace(&mut self.scope, id);
        if let Some(parameters) = lambda.parameters.as_deref() {
            self.parameters(parameters, 0);
        }
        self.aside(&lambda.body);
        self.scope = before;
    }

    fn loop_over(&mut self, generators: &'a [ast::Comprehension], start: usize) {
        for one in generators {
            let before = self.loop_start.replace(start);
            self.bind(&one.target, &one.iter, false);
            self.loop_start = before;
            self.aside(&one.iter);
            one.ifs.iter().for_each(|test| self.aside(test));
        }
    }

    fn definition(&mut self, stmt: &'a Stmt) -> bool {
        match stmt {
            Stmt::FunctionDef(function) => self.function(function),
            Stmt::ClassDef(class) => self.class_def(class),
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::Assign(assign) => self.assign(&assign.targets, &assign.value),
            Stmt::AnnAssign(assign) => {
                if self.found.all.get(self.scope).is_some_and(Scope::is_class) {
                    self.found.fields.push((self.scope, assign));
                }
                if let Some(value) = assign.value.as_deref() {
                    self.assign(std::slice::from_ref(&*assign.target), value);
                }
            }
            Stmt::Global(global) => {
                for name in &global.names {
                    self.found.rebound.insert(name.as_str());
                    self.define(name.as_str(), global.start().to_usize(), Bound::Global);
                }
            }
            _ => return false,
        }
        true
    }
}

impl<'a> Visitor<'a> for Walk<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if self.definition(stmt) {
            return;
        }
        match stmt {
            Stmt::Return(ast::StmtReturn { value: Some(value), .. }) => {
                if let Some(scope) = self.here() {
                    scope.returns.push(value);
                }
                self.visit_expr(value);
            }
            Stmt::For(stmt) => {
                self.bind(&stmt.target, &stmt.iter, false);
                self.visit_expr(&stmt.iter);
                visitor::walk_body(self, &stmt.body);
                visitor::walk_body(self, &stmt.orelse);
            }
            Stmt::With(with) => {
                for item in &with.items {
                    let target = item.optional_vars.as_deref();
                    if let Some(target) = target {
                        self.bind(target, &item.context_expr, false);
                    }
                    match target {
                        Some(Expr::Name(name)) => {
                            self.value(&item.context_expr, Some(name.id.as_str()), Into::Elsewhere);
                        }
                        _ => self.visit_expr(&item.context_expr),
                    }
                }
                visitor::walk_body(self, &with.body);
            }
            Stmt::While(stmt) => {
                self.found.loops.push((self.scope, stmt));
                self.visit_expr(&stmt.test);
                visitor::walk_body(self, &stmt.body);
                visitor::walk_body(self, &stmt.orelse);
            }
            Stmt::Assert(_) => {
                self.in_assert = true;
                visitor::walk_stmt(self, stmt);
                self.in_assert = false;
            }
            // A string that stands alone is a docstring or a comment.
            Stmt::Expr(stmt) if stmt.value.is_string_literal_expr() => {}
            other => visitor::walk_stmt(self, other),
        }
    }

    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Call(call) => self.call(call),
            Expr::Dict(dict) => self.dict(dict),
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::Named(named) => {
                self.bind(&named.target, &named.value, true);
                let (under, into) = under(&named.target);
                self.value(&named.value, under, into);
            }
            Expr::Subscript(subscript) => {
                let placed = self.placed(subscript);
                self.found.indexed.push(placed);
                // What has a name inside is not what goes on; a position gives a part of it.
                if subscript.slice.is_string_literal_expr() {
                    self.aside(&subscript.value);
                } else {
                    self.visit_expr(&subscript.value);
                }
                self.aside(&subscript.slice);
            }
            Expr::Attribute(attribute) => {
                if tail(&attribute.value) == Some("secrets") {
                    let placed = self.placed(attribute);
                    self.found.attributes.push(placed);
                }
                self.visit_expr(&attribute.value);
            }
            Expr::StringLiteral(_) | Expr::BytesLiteral(_) => self.literal(expr),
            Expr::FString(_) => {
                if self.with_strings {
                    let placed = self.placed(expr);
                    self.found.strings.push(placed);
                }
                let before = (self.under.take(), std::mem::take(&mut self.into));
                visitor::walk_expr(self, expr);
                (self.under, self.into) = before;
            }
            other => self.compound(other),
        }
    }
}

impl<'a> Walk<'a> {
    fn literal(&mut self, expr: &'a Expr) {
        if self.with_strings && expr.is_string_literal_expr() {
            let placed = self.placed(expr);
            self.found.strings.push(placed);
        }
        if self.under.is_some_and(words::may_name_key) {
            let placed = self.placed(expr);
            self.found.literals.push(placed);
        }
    }

    fn compound(&mut self, expr: &'a Expr) {
        match expr {
            Expr::BoolOp(choice) => {
                if choice.op == ast::BoolOp::Or {
                    let placed = self.placed(choice);
                    self.found.choices.push(placed);
                }
                choice.values.iter().for_each(|value| self.visit_expr(value));
            }
            Expr::If(choice) => {
                self.aside(&choice.test);
                self.visit_expr(&choice.body);
                self.visit_expr(&choice.orelse);
            }
            Expr::ListComp(ast::ExprListComp { elt, generators, .. })
            | Expr::SetComp(ast::ExprSetComp { elt, generators, .. })
            | Expr::Generator(ast::ExprGenerator { elt, generators, .. }) => {
                self.loop_over(generators, expr.start().to_usize().saturating_sub(1));
                self.visit_expr(elt);
            }
            Expr::DictComp(dict) => {
                self.loop_over(&dict.generators, expr.start().to_usize().saturating_sub(1));
                if let Some(key) = dict.key.as_deref() {
                    self.aside(key);
                }
                self.aside(&dict.value);
            }
            Expr::Compare(compare) => {
                let is_one = matches!(&*compare.ops, [ast::CmpOp::Eq | ast::CmpOp::NotEq]);
                if is_one && !self.in_assert {
                    let placed = self.placed(compare);
                    self.found.compares.push(placed);
                }
                let before = (self.under.take(), std::mem::take(&mut self.into));
                visitor::walk_expr(self, expr);
                (self.under, self.into) = before;
            }
            // Long sums are deep on their left.
            Expr::BinOp(sum) => {
                let before = (self.under.take(), std::mem::take(&mut self.into));
                let mut left = &*sum.left;
                self.visit_expr(&sum.right);
                while let Expr::BinOp(inner) = left {
                    self.visit_expr(&inner.right);
                    left = &inner.left;
                }
                self.visit_expr(left);
                (self.under, self.into) = before;
            }
            // `"API_KEY": (str, "General", "")` says what sort of setting it is.
            Expr::Tuple(tuple) if tuple.elts.first().is_some_and(is_type) => {
                let before = (self.under.take(), std::mem::take(&mut self.into));
                visitor::walk_expr(self, expr);
                (self.under, self.into) = before;
            }
            Expr::List(_) | Expr::Tuple(_) | Expr::Await(_) | Expr::Starred(_) => {
                visitor::walk_expr(self, expr);
            }
            other => {
                let before = (self.under.take(), std::mem::take(&mut self.into));
                visitor::walk_expr(self, other);
                (self.under, self.into) = before;
            }
        }
    }
}

fn is_type(expr: &Expr) -> bool {
    matches!(expr, Expr::Name(name) if matches!(name.id.as_str(), "str" | "int" | "bool" | "list"))
}

/// Whether an entry says when something is to run.
fn is_schedule(item: &ast::DictItem) -> bool {
    match &item.key {
        Some(Expr::StringLiteral(key)) => key.value.to_str() == "schedule",
        _ => false,
    }
}

fn is_self(expr: &Expr) -> bool {
    matches!(expr, Expr::Name(name) if matches!(name.id.as_str(), "self" | "cls"))
}

/// The name of a target, and what it is.
fn under(target: &Expr) -> (Option<&str>, Into) {
    match target {
        Expr::Name(name) => (Some(name.id.as_str()), Into::Name),
        Expr::Attribute(attribute) => {
            let into = if is_self(&attribute.value) { Into::Kept } else { Into::Entry };
            (Some(attribute.attr.as_str()), into)
        }
        Expr::Subscript(subscript) => match subscript.slice.as_ref() {
            Expr::StringLiteral(key) => (Some(key.value.to_str()), Into::Entry),
            _ => (None, Into::Elsewhere),
        },
        _ => (None, Into::Elsewhere),
    }
}

impl Scope<'_> {
    pub(super) const fn is_class(&self) -> bool {
        matches!(self.body, Body::Class(_))
    }
}

impl<'a> Scopes<'a> {
    pub(super) fn body(&self, scope: ScopeId) -> Body<'a> {
        self.all.get(scope).map_or(Body::Module, |scope| scope.body)
    }

    pub(super) fn parent(&self, scope: ScopeId) -> ScopeId {
        self.all.get(scope).map_or(0, |scope| scope.parent)
    }

    /// The class whose body or method a scope is.
    pub(super) fn class_of(&self, scope: ScopeId) -> Option<ScopeId> {
        let mut at = scope;
        loop {
            match self.body(at) {
                Body::Class(_) => return Some(at),
                Body::Module => return None,
                Body::Function(_) | Body::Lambda => at = self.parent(at),
            }
        }
    }

    /// The innermost function around a scope.
    pub(super) fn function_of(
        &self,
        scope: ScopeId,
    ) -> Option<(ScopeId, &'a ast::StmtFunctionDef)> {
        let mut at = scope;
        loop {
            match self.body(at) {
                Body::Function(function) => return Some((at, function)),
                Body::Lambda => at = self.parent(at),
                Body::Class(_) | Body::Module => return None,
            }
        }
    }

    /// Whether a function says that a name is one of the module.
    pub(super) fn is_global(&self, name: &str, scope: ScopeId) -> bool {
        let defs = self.all.get(scope).and_then(|here| here.names.get(name));
        defs.is_some_and(|defs| defs.iter().any(|def| matches!(def.bound, Bound::Global)))
    }

    /// The definitions of a name as a scope sees it, with the scope that has them.
    pub(super) fn lookup(&self, name: &str, scope: ScopeId) -> Option<(ScopeId, &[Def<'a>])> {
        let mut at = scope;
        loop {
            let here = self.all.get(at)?;
            if (at == scope || !here.is_class())
                && let Some(defs) = here.names.get(name)
            {
                let is_global = defs.iter().any(|def| matches!(def.bound, Bound::Global));
                if !is_global {
                    return Some((at, defs));
                }
                return self.all.first()?.names.get(name).map(|defs| (0, defs.as_slice()));
            }
            if at == 0 {
                return None;
            }
            at = here.parent;
        }
    }
}
