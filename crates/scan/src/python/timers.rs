//! Timers in the application that rotate or generate keys: a job's name, or what it calls, says so.

use super::out::Out;
use super::parse::ast::{self, Expr, Stmt};
use super::parse::visitor::{self, Visitor};
use super::parse::{Ranged, argument, tail, tail_start, text_of};
use super::resolve::Names;
use super::scopes::{Body, Placed, ScopeId};
use super::table::Rule;
use super::words;
use crate::names;

/// A call that runs something by a timer.
pub(super) fn at<'a>(
    file: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Placed<'a, ast::ExprCall>,
    rules: &[&'a Rule],
) {
    let timer = rules.iter().find_map(|rule| match rule {
        Rule::Timer(timer) => Some(timer),
        _ => None,
    });
    let Some(timer) = timer else { return };
    let keywords = ["func", "function", "target", "task", "callback"].map(str::to_owned);
    let Some(job) = argument(placed.node, Some(timer.runs), &keywords) else { return };
    if let Some(name) = turns_keys(file, job, placed.scope) {
        let when = file.when(placed.scope);
        let call = tail(&placed.node.func).unwrap_or_default();
        out.timer(tail_start(&placed.node.func), call, &name, when);
    }
}

/// Functions that a decorator runs by a timer, and loops that wait.
pub(super) fn functions(file: &Names<'_>, out: &mut Out<'_>) {
    for (id, scope) in file.scopes.all.iter().enumerate() {
        let Body::Function(function) = scope.body else { continue };
        for decorator in &function.decorator_list {
            let Expr::Call(call) = &decorator.expression else { continue };
            let name = tail(&call.func).unwrap_or_default();
            let is_timer = matches!(
                name,
                "scheduled_job"
                    | "repeat_every"
                    | "periodic_task"
                    | "on_after_configure"
                    | "job"
                    | "loop"
                    | "task"
                    | "cron"
                    | "every"
                    | "repeat"
                    | "crontab"
                    | "db_periodic_task"
            );
            let has_interval = !matches!(name, "task" | "job" | "loop")
                || call.arguments.keywords.iter().any(|one| {
                    matches!(
                        one.arg.as_deref(),
                        Some("seconds" | "minutes" | "hours" | "days" | "weeks" | "cron")
                    )
                });
            if is_timer && has_interval && (speaks(function.name.as_str()) || makes_keys(file, id))
            {
                let when = file.when(file.scopes.parent(id));
                out.timer(tail_start(&call.func), name, function.name.as_str(), when);
            }
        }
    }
    for (scope, one) in &file.scopes.loops {
        let is_endless = matches!(&*one.test, Expr::BooleanLiteral(literal) if literal.value)
            || matches!(&*one.test, Expr::UnaryOp(not) if not.op == ast::UnaryOp::Not);
        if !is_endless {
            continue;
        }
        let mut body = Calls::default();
        body.visit_body(&one.body);
        let waits = body.tails.iter().any(|name| matches!(*name, "sleep" | "wait" | "wait_for"));
        let turns = body.all.iter().any(|call| generates_key(file, call, *scope))
            || body.tails.iter().any(|name| speaks(name))
            || body.assigned.iter().any(|(name, call)| {
                words::judge(name).is_some() && is_generator(file, call, *scope)
            });
        if waits && turns {
            let when = file.when(*scope);
            out.timer(one.start().to_usize(), "while", "a loop that waits", when);
        }
    }
}

/// Entries of Celery's beat: a task whose name turns keys, with a schedule beside it.
pub(super) fn entry(file: &Names<'_>, out: &mut Out<'_>, placed: &Placed<'_, ast::ExprDict>) {
    let value = |name: &str| {
        placed
            .node
            .items
            .iter()
            .find(|item| item.key.as_ref().and_then(text_of).is_some_and(|key| key == name))
    };
    let (Some(task), Some(_)) = (value("task"), value("schedule")) else { return };
    let Some(name) = text_of(&task.value) else { return };
    let last = name.rsplit('.').next().unwrap_or(&name);
    if speaks(last) {
        out.timer(task.value.start().to_usize(), "beat_schedule", last, file.when(placed.scope));
    }
}

/// The name of a job that turns keys.
fn turns_keys(file: &Names<'_>, job: &Expr, scope: ScopeId) -> Option<String> {
    match job {
        Expr::Call(call) if matches!(tail(&call.func), Some("partial" | "s" | "si")) => {
            let inner = call.arguments.args.first();
            inner.and_then(|inner| turns_keys(file, inner, scope)).or_else(|| match &*call.func {
                Expr::Attribute(method) => turns_keys(file, &method.value, scope),
                _ => None,
            })
        }
        Expr::Call(call) => tail(&call.func).filter(|name| speaks(name)).map(str::to_owned),
        Expr::StringLiteral(text) => {
            let text = text.value.to_str();
            let last = text.rsplit(['.', ':']).next().unwrap_or(text);
            speaks(last).then(|| last.to_owned())
        }
        Expr::Lambda(lambda) => {
            let mut body = Calls::default();
            body.visit_expr(&lambda.body);
            body.tails.iter().find(|name| speaks(name)).map(|name| (*name).to_owned())
        }
        other => {
            let name = tail(other)?;
            let callee = file.callee_of(other, scope);
            let is_job =
                speaks(name) || callee.function.is_some_and(|function| makes_keys(file, function));
            is_job.then(|| name.to_owned())
        }
    }
}

/// Whether a name says that keys are turned: `rotate_keys`, `refresh_secret`.
pub(super) fn speaks(name: &str) -> bool {
    let words = names::words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    has(&[
        "rotate",
        "rotates",
        "rotation",
        "rotating",
        "regenerate",
        "renew",
        "roll",
        "cycle",
        "generate",
        "refresh",
        "reset",
        "rekey",
    ]) && has(&["key", "keys", "secret", "secrets", "jwks", "rekey", "keyring", "salt"])
        && !has(&["cache", "session", "api"])
}

/// Whether a function's body makes a key and keeps it.
fn makes_keys(file: &Names<'_>, function: ScopeId) -> bool {
    let Body::Function(def) = file.scopes.body(function) else { return false };
    let mut body = Calls::default();
    body.visit_body(&def.body);
    body.all.iter().any(|call| generates_key(file, call, function))
        || body.tails.iter().any(|name| speaks(name))
        || body
            .assigned
            .iter()
            .any(|(name, call)| words::judge(name).is_some() && is_generator(file, call, function))
}

fn generates_key(file: &Names<'_>, call: &ast::ExprCall, scope: ScopeId) -> bool {
    let name = tail(&call.func).unwrap_or_default();
    matches!(name, "generate_key" | "generate_private_key" | "get_random_secret_key")
        && file.dotted(&call.func, scope).is_some()
}

fn is_generator(file: &Names<'_>, call: &ast::ExprCall, scope: ScopeId) -> bool {
    let dotted = file.dotted(&call.func, scope);
    dotted.is_some_and(|dotted| super::flow::is_generator(&dotted))
}

/// The calls below a node.
#[derive(Default)]
struct Calls<'a> {
    all: Vec<&'a ast::ExprCall>,
    tails: Vec<&'a str>,
    assigned: Vec<(&'a str, &'a ast::ExprCall)>,
}

impl<'a> Visitor<'a> for Calls<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if let Stmt::Assign(assign) = stmt
            && let Expr::Call(call) = assign.value.as_ref()
        {
            let names = assign.targets.iter().filter_map(|target| match target {
                Expr::Subscript(one) => match &*one.slice {
                    Expr::StringLiteral(key) => Some(key.value.to_str()),
                    _ => None,
                },
                other => tail(other),
            });
            self.assigned.extend(names.map(|name| (name, call)));
        }
        visitor::walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Call(call) = expr {
            self.all.push(call);
            self.tails.extend(tail(&call.func));
        }
        visitor::walk_expr(self, expr);
    }
}
