//! From where a value comes: follows an expression back through names, attributes, calls and
//! choices to what loads it, and says whether a use of it would see a change there.

use super::parse::ast::{self, Expr};
use super::parse::{Ranged, argument, tail, text_of};
use super::resolve::{Names, is_cached, is_constructor, is_property};
use super::scopes::{Body, Bound, Def, ScopeId};
use super::table::Rule;
use super::words;
use crate::finding::{Class, Does, Source};
use crate::site::Link;

/// As many steps as a value is followed.
const FURTHEST: u8 = 14;

/// As many steps in all for one value, whose names may branch at each.
const MOST_STEPS: u32 = 300;

/// As many definitions of one name as are looked at.
const MOST: usize = 4;

/// For arguments that are known by their position alone.
const NAMELESS: &[&str] = &[];

/// Whether an expression that is evaluated again sees a change of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It reads the source.
    Live,
    /// It has a value from before.
    Frozen,
    /// The file does not tell.
    Unknown,
}

/// From where a value comes.
#[derive(Clone)]
pub(super) struct Origin<'a> {
    /// The name of the key: that of the setting before that of a variable.
    pub name: Option<String>,
    pub links: Vec<Link>,
    pub class: Option<Class>,
    pub source: Source,
    pub hold: Hold,
    /// The literal, where the expression itself is one.
    pub literal: Option<&'a Expr>,
    /// The function and the position of its parameter, where it is one.
    pub parameter: Option<(ScopeId, usize)>,
    /// The function and the position of its parameter that names the setting.
    pub named_by: Option<(ScopeId, usize)>,
    /// Where the settings are read.
    pub at: Option<usize>,
}

impl Origin<'_> {
    pub(super) fn unknown(name: Option<&str>) -> Self {
        Self {
            name: name.map(str::to_owned),
            links: name.map(|name| Link::Local(name.to_owned())).into_iter().collect(),
            class: name.and_then(words::judge),
            source: Source::Unknown,
            hold: Hold::Unknown,
            literal: None,
            parameter: None,
            named_by: None,
            at: None,
        }
    }

    pub(super) fn of_setting(name: &str, source: Source, hold: Hold) -> Self {
        Self {
            links: vec![Link::Setting(name.to_owned())],
            class: words::judge_loaded(name),
            source,
            hold,
            ..Self::unknown(Some(name))
        }
    }

    /// Whether something is known of it that makes it a key.
    pub(super) const fn is_key(&self) -> bool {
        self.class.is_some()
    }

    /// Whether it comes from outside the file.
    pub(super) const fn is_loaded(&self) -> bool {
        matches!(
            self.source,
            Source::Environment
                | Source::File
                | Source::SecretStore
                | Source::Settings
                | Source::Ring
        )
    }

    fn also_known_as(mut self, name: &str) -> Self {
        let link = Link::Local(name.to_owned());
        if !self.links.contains(&link) && self.links.len() < 8 {
            self.links.push(link);
        }
        if self.name.is_none() {
            self.name = Some(name.to_owned());
        }
        if self.class.is_none() {
            self.class = words::judge(name);
        }
        self
    }

    fn held(mut self, hold: Hold) -> Self {
        self.hold = hold;
        self
    }

    /// What is one or the other.
    fn or(self, other: Self) -> Self {
        let is_first = self.rank() >= other.rank();
        let (mut first, second) = if is_first { (self, other) } else { (other, self) };
        let is_fallback = matches!(second.source, Source::Literal | Source::Generated)
            || (second.source == Source::Unknown && second.name.is_none());
        if first.hold != second.hold && !is_fallback {
            first.hold = Hold::Unknown;
        }
        first.literal = None;
        first.parameter = first.parameter.or(second.parameter);
        for link in second.links {
            if !first.links.contains(&link) && first.links.len() < 8 {
                first.links.push(link);
            }
        }
        first
    }

    fn rank(&self) -> u8 {
        let source = match self.source {
            Source::Unknown => 0,
            Source::Literal | Source::Generated => 1,
            Source::Argument => 2,
            _ => 4,
        };
        // A key of whatever source before a parameter that is none.
        let of_class = match self.class {
            None => 0,
            Some(Class::Password) => 1,
            Some(_) => 3,
        };
        source + of_class
    }
}

impl<'a> Names<'a> {
    /// From where the value of an expression in a scope comes.
    pub(super) fn origin(&self, expr: &'a Expr, scope: ScopeId) -> Origin<'a> {
        self.steps.set(MOST_STEPS);
        self.follow(expr, scope, FURTHEST)
    }

    pub(super) fn follow(&self, expr: &'a Expr, scope: ScopeId, fuel: u8) -> Origin<'a> {
        let left = self.steps.get().checked_sub(1);
        let (Some(fuel), Some(left)) = (fuel.checked_sub(1), left) else {
            return Origin::unknown(None);
        };
        self.steps.set(left);
        match expr {
            Expr::StringLiteral(_) | Expr::BytesLiteral(_) => Origin {
                source: Source::Literal,
                hold: Hold::Frozen,
                literal: Some(expr),
                ..Origin::unknown(None)
            },
            Expr::Name(name) => self.follow_name(name.id.as_str(), expr, scope, fuel),
            Expr::Attribute(attribute) => self.follow_attribute(attribute, scope, fuel),
            Expr::Subscript(subscript) => self.follow_index(subscript, scope, fuel),
            Expr::Call(call) => self.follow_call(call, scope, fuel),
            Expr::Await(one) => self.follow(&one.value, scope, fuel),
            Expr::Starred(one) => self.follow(&one.value, scope, fuel),
            Expr::Named(named) => self.follow(&named.value, scope, fuel),
            Expr::BoolOp(choice) => self.any(choice.values.iter(), scope, fuel),
            Expr::If(choice) => self.any([&*choice.body, &*choice.orelse].into_iter(), scope, fuel),
            Expr::List(ast::ExprList { elts, .. }) | Expr::Tuple(ast::ExprTuple { elts, .. }) => {
                let first = self.any(elts.iter().take(2), scope, fuel);
                Origin { literal: first.literal.or_else(|| single_literal(elts)), ..first }
            }
            Expr::ListComp(ast::ExprListComp { elt, .. })
            | Expr::Generator(ast::ExprGenerator { elt, .. }) => self.follow(elt, scope, fuel),
            Expr::BinOp(sum) => {
                self.any([&*sum.left, &*sum.right].into_iter(), scope, fuel).without_literal()
            }
            Expr::FString(string) => {
                let parts = string.value.elements().filter_map(|part| match part {
                    ast::InterpolatedStringElement::Interpolation(one) => Some(&*one.expression),
                    ast::InterpolatedStringElement::Literal(_) => None,
                });
                self.any(parts, scope, fuel).without_literal()
            }
            Expr::Dict(dict) => {
                let secrets = dict.items.iter().filter(|item| {
                    let key = item.key.as_ref().and_then(text_of);
                    key.is_some_and(|key| key == "key" || words::judge(&key).is_some())
                });
                self.any(secrets.map(|item| &item.value), scope, fuel)
            }
            _ => Origin::unknown(None),
        }
    }

    fn any(&self, exprs: impl Iterator<Item = &'a Expr>, scope: ScopeId, fuel: u8) -> Origin<'a> {
        let is_nothing = |expr: &&Expr| !expr.is_none_literal_expr();
        let all = exprs.filter(is_nothing).take(MOST).map(|expr| self.follow(expr, scope, fuel));
        all.reduce(Origin::or).unwrap_or_else(|| Origin::unknown(None))
    }

    fn follow_name(&self, name: &str, expr: &'a Expr, scope: ScopeId, fuel: u8) -> Origin<'a> {
        let Some((at, defs)) = self.scopes.lookup(name, scope) else {
            return Origin::unknown(Some(name));
        };
        let here = self.scopes.function_of(scope).map_or(scope, |(function, _)| function);
        let is_here = at == here || at == scope;
        let use_at = expr.start();
        let is_before = |def: &&Def<'a>| {
            let holds_use = match def.bound {
                Bound::Value(value) | Bound::Part(value) => value.range().contains(use_at),
                _ => false,
            };
            !holds_use && (!is_here || def.at < use_at.to_usize())
        };
        let before: Vec<_> = defs.iter().filter(is_before).collect();
        let last = before.len().saturating_sub(MOST);
        let chosen = before.get(last..).unwrap_or_default();
        let found = chosen.iter().map(|def| self.follow_def(name, def, at, fuel));
        let origin = found.reduce(Origin::or).unwrap_or_else(|| Origin::unknown(Some(name)));
        let origin = origin.without_literal();
        let is_import = chosen.iter().all(|def| matches!(def.bound, Bound::Import(_)));
        if is_import && !chosen.is_empty() {
            // An import inside a function reads the module's attribute at each call.
            let is_anew = is_here && at != 0 && origin.source == Source::Settings;
            return if is_anew { origin.held(Hold::Live) } else { origin };
        }
        let origin = origin.also_known_as(name);
        if is_here && !matches!(self.scopes.body(at), Body::Module | Body::Class(_)) {
            return origin;
        }
        match self.scopes.body(at) {
            Body::Module if self.scopes.rebound.contains(name) => origin.held(Hold::Unknown),
            Body::Function(_) | Body::Lambda if origin.parameter.is_some() => {
                origin.held(Hold::Unknown)
            }
            _ => {
                let mut origin = origin.held(Hold::Frozen);
                if at == 0 {
                    // A constant of a module is known to those that import it.
                    let link = Link::Setting(name.to_owned());
                    if !origin.links.contains(&link) {
                        origin.links.push(link);
                    }
                }
                origin
            }
        }
    }

    fn follow_def(&self, name: &str, def: &Def<'a>, at: ScopeId, fuel: u8) -> Origin<'a> {
        match &def.bound {
            Bound::Value(value) | Bound::Part(value) => self.follow(value, at, fuel),
            Bound::Parameter(place, default) => {
                let of = default.map(|default| self.follow(default, at, fuel));
                let known = of.filter(Origin::is_loaded);
                let mut origin = known.unwrap_or_else(|| Origin {
                    source: Source::Argument,
                    ..Origin::unknown(Some(name))
                });
                origin.hold = Hold::Unknown;
                origin.parameter = Some((at, *place));
                origin
            }
            Bound::Import(dotted) => {
                let original = dotted.rsplit('.').next().unwrap_or(name);
                let mut origin = Origin::of_setting(original, Source::Settings, Hold::Frozen);
                origin.class = words::judge(original).or_else(|| words::judge(name));
                if origin.class.is_none() {
                    origin.source = Source::Unknown;
                }
                origin.also_known_as(name)
            }
            Bound::Function(_) | Bound::Class(_) | Bound::Global => Origin::unknown(Some(name)),
        }
    }

    fn follow_attribute(
        &self,
        attribute: &'a ast::ExprAttribute,
        scope: ScopeId,
        fuel: u8,
    ) -> Origin<'a> {
        let name = attribute.attr.as_str();
        if let Some(class) = self.class_of_self(&attribute.value, scope)
            && let Some(origin) = self.follow_own(class, attribute, scope, fuel)
        {
            return origin;
        }
        if self.reads_settings(&attribute.value, scope) || is_app_secret(attribute) {
            let hold = self.hold_of_settings(&attribute.value, scope);
            let mut origin = Origin::of_setting(name, Source::Settings, hold);
            origin.at = Some(attribute.attr.range.start().to_usize());
            origin.class = words::judge(name);
            return origin;
        }
        // Parts of a settings object and values of rows look alike; the names of constants do not.
        let is_constant = name.bytes().all(|byte| !byte.is_ascii_lowercase());
        if is_constant && self.dotted(&attribute.value, scope).is_some() {
            // A constant of whatever module is read anew too, but nothing says that it is set.
            let mut origin = Origin::of_setting(name, Source::Settings, Hold::Unknown);
            origin.class = words::judge(name);
            origin.at = Some(attribute.attr.range.start().to_usize());
            return origin;
        }
        if words::judge(name).is_none() && matches!(name, "value" | "data" | "content" | "text") {
            return self.follow(&attribute.value, scope, fuel).held(Hold::Unknown);
        }
        Origin::unknown(Some(name))
    }

    /// An attribute of a class of this file.
    fn follow_own(
        &self,
        class: ScopeId,
        attribute: &'a ast::ExprAttribute,
        scope: ScopeId,
        fuel: u8,
    ) -> Option<Origin<'a>> {
        let name = attribute.attr.as_str();
        if let Some(method) = self.method(class, name) {
            let Body::Function(function) = self.scopes.body(method) else { return None };
            if !is_property(function) {
                return None;
            }
            let origin = self.follow_returns(method, fuel);
            return Some(if is_cached(function) { origin.held(Hold::Frozen) } else { origin });
        }
        if let Some(sets) = self.scopes.kept.get(&(class, name)) {
            let here = self.scopes.function_of(scope).map(|(function, _)| function);
            let use_at = attribute.attr.range.start().to_usize();
            let own = sets.iter().rev().find(|(at, def)| Some(*at) == here && def.at < use_at);
            if let Some((at, def)) = own {
                return Some(self.follow_def(name, def, *at, fuel).without_literal());
            }
            let (at, def) = sets.first()?;
            let origin = self.follow_def(name, def, *at, fuel).without_literal();
            let makes = self.scopes.function_of(*at).is_some_and(|(_, function)| {
                is_constructor(function.name.as_str()) || sets.len() == 1
            });
            let hold = if makes { Hold::Frozen } else { Hold::Unknown };
            return Some(origin.also_known_as(name).held(hold));
        }
        let defs = self.scopes.all.get(class)?.names.get(name)?;
        let origin = self.follow_def(name, defs.first()?, class, fuel).without_literal();
        Some(origin.also_known_as(name).held(Hold::Frozen))
    }

    fn follow_index(
        &self,
        subscript: &'a ast::ExprSubscript,
        scope: ScopeId,
        fuel: u8,
    ) -> Origin<'a> {
        let Some(key) = self.text(&subscript.slice, scope) else {
            let load = self.load_of(&subscript.value, scope);
            let by = super::loads::parameter_in(self, &subscript.slice, scope);
            return match (load, by) {
                (Some(load), Some(_)) => Origin { named_by: by, ..of_load(load) },
                _ => self.follow(&subscript.value, scope, fuel),
            };
        };
        if let Some(load) = self.load_of(&subscript.value, scope) {
            let hold = if load.live { Hold::Live } else { Hold::Unknown };
            let mut origin = Origin::of_setting(&key, load.from, hold);
            origin.at = Some(subscript.start().to_usize());
            return origin;
        }
        if self.reads_settings(&subscript.value, scope) {
            let hold = self.hold_of_settings(&subscript.value, scope);
            let mut origin = Origin::of_setting(&key, Source::Settings, hold);
            origin.class = words::judge(&key);
            origin.at = Some(subscript.start().to_usize());
            return origin;
        }
        Origin::unknown(Some(&key))
    }

    fn follow_call(&self, call: &'a ast::ExprCall, scope: ScopeId, fuel: u8) -> Origin<'a> {
        let name = tail(&call.func).unwrap_or_default();
        let (rules, callee) = self.rules(call, scope);
        if let Some(load) = rules.iter().find_map(|rule| match rule {
            Rule::Load(load) if fits(load, call) => Some(load),
            _ => None,
        }) {
            let setting = argument(call, Some(load.setting), NAMELESS);
            let by = setting.and_then(|one| super::loads::parameter_in(self, one, scope));
            if by.is_some() {
                return Origin { named_by: by, ..of_load(load) };
            }
            let key = setting.and_then(|setting| self.setting_name(setting, scope));
            let hold = if load.live { Hold::Live } else { Hold::Unknown };
            let key = key.unwrap_or_default();
            let mut origin = Origin::of_setting(&key, load.from, hold);
            if key.is_empty() {
                origin.name = None;
                origin.links.clear();
            }
            return origin;
        }
        if let Some(key) = rules.iter().find_map(|rule| match rule {
            Rule::Sink(sink) if sink.keeps => argument(call, sink.key, &sink.keywords),
            _ => None,
        }) {
            return self.follow(key, scope, fuel);
        }
        // What is derived of a key stands for it; of a password it is something new.
        if let Some(key) = rules.iter().find_map(|rule| match rule {
            Rule::Sink(sink) if sink.does == Does::Derives => {
                argument(call, sink.key, &sink.keywords)
            }
            _ => None,
        }) {
            let origin = self.follow(key, scope, fuel);
            if origin.class == Some(Class::Key) && origin.is_loaded() {
                return origin;
            }
        }
        if callee.dotted.as_deref().is_some_and(is_generator) {
            return Origin { source: Source::Generated, ..Origin::unknown(None) };
        }
        if let Some(function) = callee.function {
            return self.follow_function(function, call, scope, fuel);
        }
        if name == "getattr"
            && let Some(key) = call.arguments.args.get(1).and_then(|key| self.text(key, scope))
        {
            let mut origin = Origin::of_setting(&key, Source::Settings, Hold::Live);
            origin.at = Some(call.func.start().to_usize());
            origin.class = words::judge(&key);
            return origin;
        }
        if let Expr::Attribute(method) = call.func.as_ref() {
            return self.follow_method(method, call, scope, fuel);
        }
        if words::passes_argument(name) {
            return self.any(call.arguments.args.iter().take(1), scope, fuel);
        }
        self.follow_stranger(name, call, scope, fuel)
    }

    fn follow_method(
        &self,
        method: &'a ast::ExprAttribute,
        call: &'a ast::ExprCall,
        scope: ScopeId,
        fuel: u8,
    ) -> Origin<'a> {
        let name = method.attr.as_str();
        if matches!(name, "get" | "get_secret" | "getlist" | "pop" | "setdefault") {
            let mut keys = call.arguments.args.iter().take(2).map(|key| self.text(key, scope));
            let first = keys.next().flatten();
            // `get(section, option)`: the second names the setting if the first names none.
            let second = keys.next().flatten().filter(|key| words::judge(key).is_some());
            let is_first = first.as_deref().is_some_and(|key| words::judge(key).is_some());
            let key = if is_first { first } else { second.or(first) };
            if let Some(key) = key {
                let is_settings = self.reads_settings(&method.value, scope);
                let mut origin = if is_settings {
                    let hold = self.hold_of_settings(&method.value, scope);
                    Origin::of_setting(&key, Source::Settings, hold)
                } else {
                    Origin::unknown(Some(&key))
                };
                origin.class = words::judge(&key);
                origin.at = Some(method.attr.range.start().to_usize());
                return origin;
            }
        }
        if words::passes_receiver(name) {
            return self.follow(&method.value, scope, fuel);
        }
        if words::passes_argument(name) {
            return self.any(call.arguments.args.iter().take(1), scope, fuel);
        }
        self.follow_stranger(name, call, scope, fuel)
    }

    /// A function that is not in this file: its name and its arguments are all there is.
    fn follow_stranger(
        &self,
        name: &str,
        call: &'a ast::ExprCall,
        scope: ScopeId,
        fuel: u8,
    ) -> Origin<'a> {
        let own = words::of_getter(name);
        let inner = self.any(call.arguments.args.iter().take(1), scope, fuel);
        if words::judge(own).is_some() && !inner.is_key() {
            return Origin::unknown(Some(own));
        }
        if words::may_load(name)
            && let Some(key) = super::asked::setting_in(self, call, scope)
        {
            return Origin::of_setting(&key, Source::Unknown, Hold::Unknown);
        }
        let lower = name.to_ascii_lowercase();
        let parts = ["deriv", "pad", "key", "secret", "parse", "load", "decode", "cast", "clean"];
        if inner.is_key() && parts.iter().any(|part| lower.contains(part)) {
            return inner;
        }
        Origin::unknown(None)
    }

    /// What a function of this file gives, with the arguments of a call in place of its parameters.
    fn follow_function(
        &self,
        function: ScopeId,
        call: &'a ast::ExprCall,
        scope: ScopeId,
        fuel: u8,
    ) -> Origin<'a> {
        let Body::Function(def) = self.scopes.body(function) else { return Origin::unknown(None) };
        let mut origin = self.follow_returns(function, fuel);
        if let Some((_, place)) = origin.named_by.filter(|(of, _)| *of == function) {
            let given = argument(call, Some(place), NAMELESS);
            if let Some(key) = given.and_then(|given| self.setting_name(given, scope)) {
                let by = given.and_then(|given| super::loads::parameter_in(self, given, scope));
                origin = Origin::of_setting(&key, origin.source, origin.hold);
                origin.named_by = by;
            }
        }
        if origin.parameter.is_some_and(|(of, _)| of == function) {
            // Which of its parameters it gives, it may decide by their values.
            let all = call.arguments.args.iter().filter(|one| !one.is_literal_expr());
            let passed = self.any(all, scope, fuel);
            let has_own = origin.is_key() && origin.is_loaded();
            let is_more = passed.parameter.is_some() && !has_own;
            if passed.is_key() || passed.is_loaded() || is_more {
                origin = passed;
            }
            origin.parameter = origin.parameter.filter(|(of, _)| *of != function);
        }
        // A file that is read only if nothing was kept of it before.
        let has_more = self.scopes.all.get(function).is_some_and(|scope| scope.returns.len() > 1)
            || def.parameters.args.first().is_some_and(|first| first.name() == "self");
        if origin.source == Source::File && origin.hold == Hold::Live && has_more {
            origin.hold = Hold::Unknown;
        }
        if origin.source == Source::Unknown && !origin.is_key() {
            origin = Origin::unknown(Some(words::of_getter(def.name.as_str())));
        }
        if is_cached(def) { origin.held(Hold::Frozen) } else { origin }
    }

    fn follow_returns(&self, function: ScopeId, fuel: u8) -> Origin<'a> {
        let returns = self.scopes.all.get(function).map(|scope| scope.returns.as_slice());
        let returns = returns.unwrap_or_default();
        self.any(returns.iter().copied(), function, fuel).without_literal()
    }

    /// Whether an expression is an object that holds settings.
    pub(super) fn reads_settings(&self, expr: &Expr, scope: ScopeId) -> bool {
        match expr {
            Expr::Name(name) => {
                let name = name.id.as_str();
                if words::holds_settings(name) {
                    return !self.is_row(name, scope);
                }
                let found = self.scopes.lookup(name, scope);
                found.is_some_and(|(at, defs)| {
                    defs.first().is_some_and(|def| match &def.bound {
                        Bound::Import(dotted) => {
                            dotted.rsplit('.').next().is_some_and(words::holds_settings)
                        }
                        Bound::Value(value) if !value.is_name_expr() => {
                            let use_here = value.range().contains(expr.start());
                            !use_here && self.gives_settings(value, at)
                        }
                        _ => false,
                    })
                })
            }
            Expr::Attribute(attribute) => {
                words::holds_settings(attribute.attr.as_str())
                    || self.reads_settings(&attribute.value, scope)
            }
            Expr::Subscript(subscript) => self.reads_settings(&subscript.value, scope),
            Expr::Call(call) => self.gives_settings_call(call, scope),
            Expr::BoolOp(choice) => {
                choice.values.iter().take(MOST).any(|one| self.reads_settings(one, scope))
            }
            _ => false,
        }
    }

    /// Whether what reads an object of settings sees a change of them: not if the object is one of
    /// several that the function is handed, or one that the module makes anew.
    fn hold_of_settings(&self, expr: &Expr, scope: ScopeId) -> Hold {
        // What gives the settings may have kept them: `get_settings().secret_key`.
        if self.begins_with_call(expr, scope) {
            return Hold::Unknown;
        }
        let Some(root) = root_of(expr) else { return Hold::Live };
        if self.scopes.rebound.contains(root) {
            return Hold::Unknown;
        }
        let lower = root.to_ascii_lowercase();
        let is_known = lower.ends_with("app")
            || lower.ends_with("request")
            || lower.ends_with("application")
            || matches!(lower.as_str(), "self" | "cls" | "req" | "ctx" | "context" | "info" | "g");
        let found = self.scopes.lookup(root, scope).filter(|_| !is_known);
        // Settings that whoever calls hands over may be those of one of many; a framework hands
        // over what stands as the default.
        let is_given = |def: &Def<'_>| match def.bound {
            Bound::Parameter(_, default) => default.is_none() || !words::holds_settings(root),
            _ => false,
        };
        // What gives them to a function may have kept them.
        let is_asked = |def: &Def<'_>| match def.bound {
            Bound::Value(value) => call_before(value).is_some(),
            _ => false,
        };
        let is_handed = found.is_some_and(|(at, defs)| {
            defs.iter().any(is_given) || at != 0 && defs.iter().any(is_asked)
        });
        if is_handed { Hold::Unknown } else { Hold::Live }
    }

    /// Whether a chain begins with a call of something that this file does not define.
    fn begins_with_call(&self, expr: &Expr, scope: ScopeId) -> bool {
        call_before(expr).is_some_and(|call| match call.func.as_ref() {
            Expr::Attribute(method) => {
                let root = root_of(&method.value).unwrap_or_default();
                self.scopes.lookup(root, scope).is_some()
            }
            Expr::Name(name) => {
                let found = self.scopes.lookup(name.id.as_str(), scope);
                !found.is_some_and(|(_, defs)| {
                    defs.iter().any(|def| matches!(def.bound, Bound::Function(_)))
                })
            }
            _ => false,
        })
    }

    fn gives_settings(&self, value: &Expr, scope: ScopeId) -> bool {
        match value {
            Expr::Call(call) => self.gives_settings_call(call, scope),
            Expr::Attribute(attribute) => words::holds_settings(attribute.attr.as_str()),
            Expr::Subscript(subscript) => tail(&subscript.value).is_some_and(words::holds_settings),
            _ => false,
        }
    }

    fn gives_settings_call(&self, call: &ast::ExprCall, scope: ScopeId) -> bool {
        let name = tail(&call.func).unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        if name == "get" {
            return match call.func.as_ref() {
                Expr::Attribute(method) => self.reads_settings(&method.value, scope),
                _ => false,
            };
        }
        lower.ends_with("settings") || lower.ends_with("config") || lower.ends_with("configparser")
    }

    /// Whether a name of the function holds something that was looked up, such as a row.
    fn is_row(&self, name: &str, scope: ScopeId) -> bool {
        let Some((at, defs)) = self.scopes.lookup(name, scope) else { return false };
        if !matches!(self.scopes.body(at), Body::Function(_)) {
            return false;
        }
        defs.iter().any(|def| match def.bound {
            Bound::Value(Expr::Call(call)) => {
                let name = tail(&call.func).unwrap_or_default();
                matches!(name, "first" | "one" | "one_or_none" | "scalar" | "fetchone" | "query")
            }
            Bound::Part(value) => {
                tail_of_call(value).is_none_or(|name| name != "open") && !value.is_name_expr()
            }
            _ => false,
        })
    }

    /// The rule of a load by an index, such as that of `os.environ["X"]`.
    pub(super) fn load_of(&self, expr: &Expr, scope: ScopeId) -> Option<&'a crate::rules::Load> {
        if let Expr::Subscript(outer) = expr {
            // A section of a file: `settings["auth"]["secret"]`.
            return self
                .load_of(&outer.value, scope)
                .filter(|load| load.from != Source::Environment);
        }
        let name = tail(expr).or_else(|| tail_of_call(expr))?;
        let dotted = match expr {
            Expr::Name(_) => self.dotted(expr, scope)?,
            _ if self.index.knows(name) => self.dotted(expr, scope)?,
            Expr::Call(_) => self.dotted(expr, scope)?,
            _ => return None,
        };
        let index: &'a super::table::Index = self.index;
        index.matching(super::table::tail_of(&dotted), &dotted).into_iter().find_map(|rule| {
            match rule {
                Rule::Load(load) if !load.call.starts_with("*.") => Some(load),
                _ => None,
            }
        })
    }
}

impl Origin<'_> {
    fn without_literal(mut self) -> Self {
        self.literal = None;
        self
    }
}

/// The call with which a chain of attributes and indices begins.
fn call_before(expr: &Expr) -> Option<&ast::ExprCall> {
    match expr {
        Expr::Attribute(attribute) => call_before(&attribute.value),
        Expr::Subscript(subscript) => call_before(&subscript.value),
        Expr::Await(one) => call_before(&one.value),
        Expr::Call(call) => Some(call),
        _ => None,
    }
}

/// The variable with which a chain of attributes, indices and calls begins.
pub(super) fn root_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str()),
        Expr::Attribute(attribute) => root_of(&attribute.value),
        Expr::Subscript(subscript) => root_of(&subscript.value),
        Expr::Call(call) => root_of(&call.func),
        _ => None,
    }
}

/// Whether a rule for any receiver is about a call: its setting is named by something like a name.
pub(super) fn fits(load: &crate::rules::Load, call: &ast::ExprCall) -> bool {
    let named = argument(call, Some(load.setting), &["SecretId"]);
    let is_other = matches!(named, Some(Expr::List(_) | Expr::Dict(_) | Expr::Subscript(_)));
    // What reads a path is called on it.
    let is_without = named.is_none() && load.from != Source::File
        || named.is_none() && !matches!(tail(&call.func), Some("read_text" | "read_bytes"));
    !(load.call.starts_with("*.") && (is_other || is_without))
}

/// What a rule says of a load whose setting is not known yet.
fn of_load<'a>(load: &crate::rules::Load) -> Origin<'a> {
    let hold = if load.live { Hold::Live } else { Hold::Unknown };
    Origin { source: load.from, hold, ..Origin::unknown(None) }
}

fn single_literal(elts: &[Expr]) -> Option<&Expr> {
    elts.first().filter(|first| elts.len() == 1 && text_of(first).is_some())
}

fn tail_of_call(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Call(call) => tail(&call.func),
        _ => None,
    }
}

/// `app.secret_key`, which Flask reads from its settings.
fn is_app_secret(attribute: &ast::ExprAttribute) -> bool {
    let base = tail(&attribute.value).unwrap_or_default();
    attribute.attr.as_str() == "secret_key" && base.ends_with("app")
}

/// Whether a call makes a new key.
pub(super) fn is_generator(dotted: &str) -> bool {
    dotted.starts_with("secrets.token_")
        || dotted.starts_with("uuid.uuid")
        || matches!(
            dotted,
            "os.urandom"
                | "secrets.choice"
                | "cryptography.fernet.Fernet.generate_key"
                | "Crypto.Random.get_random_bytes"
                | "django.core.management.utils.get_random_secret_key"
                | "django.utils.crypto.get_random_string"
                | "nacl.utils.random"
        )
}
