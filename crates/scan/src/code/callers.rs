//! When a function runs that only its own file calls: what is read in one whose result a constant
//! or a field keeps is kept as well.

use std::collections::HashMap;

use crate::finding::Scope;
use crate::quick::Quick;

use super::dialect::Dialect;
use super::reader::Reader;
use super::tree::{Frame, FrameKind};

/// How far before a function its modifiers stand.
const MODIFIERS_MAX: usize = 6;
/// How far before a closure the call stands that takes it.
const CALLEE_TOKENS_MAX: usize = 16;

/// Functions that run what they are given once, when the module is loaded.
const RUN_ONCE: &[&str] = &["registerAs"];

impl<'a> Reader<'_, 'a> {
    /// When the places of a function run.
    pub(super) fn scope_of_function(&self, number: usize) -> Scope {
        let Some(frame) = self.tree.frame(number) else { return Scope::Call };
        let Some(name) = frame.name else {
            return if self.is_run_once(frame) { Scope::Module } else { Scope::Call };
        };
        if !self.is_private(frame, name) {
            return Scope::Call;
        }
        let callers = self.callers.get_or_init(|| self.callers());
        callers.get(self.tokens.name(name)).copied().unwrap_or(Scope::Call)
    }

    /// `registerAs("auth", () => ({ … }))`
    fn is_run_once(&self, frame: &Frame) -> bool {
        let tokens = self.tokens;
        if self.dialect != Dialect::JavaScript {
            return false;
        }
        if self.is_configuration(frame) {
            return true;
        }
        let mut at = frame.start;
        for _ in 0..CALLEE_TOKENS_MAX {
            let Some(before) = at.checked_sub(1) else { return false };
            at = before;
            match tokens.text(at) {
                ";" | "{" | "}" | "" => return false,
                "(" => {
                    let from = at.saturating_sub(CALLEE_TOKENS_MAX);
                    let name = (from..at).rev().find(|name| RUN_ONCE.contains(&tokens.text(*name)));
                    return name.is_some_and(|name| self.call_open(name) == Some(at));
                }
                _ => {}
            }
        }
        false
    }

    /// `export default () => ({ … })` of a file of settings.
    fn is_configuration(&self, frame: &Frame) -> bool {
        let tokens = self.tokens;
        let Some((open, close)) = frame.params else { return false };
        let before = tokens.before(open);
        let is_exported = before == "default"
            || before == "=" && tokens.text(open.saturating_sub(2)) == "exports";
        let takes_env = tokens.is(open + 1, "{")
            && tokens.text(open + 2) == "env"
            && tokens.past(open + 1) == close;
        let is_settings = || {
            self.file.path.to_str().is_some_and(|path| path.to_ascii_lowercase().contains("config"))
        };
        is_exported
            && frame.parent == 0
            && (open + 1 == close || takes_env)
            && tokens.is(frame.body, "(")
            && tokens.is(frame.body + 1, "{")
            && is_settings()
    }

    /// Whether only this file can call a function.
    fn is_private(&self, frame: &Frame, name: usize) -> bool {
        let tokens = self.tokens;
        let modifiers = || {
            (name.saturating_sub(MODIFIERS_MAX)..name)
                .rev()
                .take_while(|at| !matches!(tokens.text(*at), ";" | "{" | "}" | ")"))
                .map(|at| tokens.text(at))
        };
        let is_method =
            self.tree.frame(frame.parent).is_some_and(|parent| parent.kind == FrameKind::Class);
        match self.dialect {
            Dialect::JavaScript if !is_method => {
                frame.parent == 0 && !modifiers().any(|word| word == "export")
            }
            Dialect::JavaScript | Dialect::Java | Dialect::Kotlin | Dialect::Php => {
                is_method && modifiers().any(|word| word == "private")
            }
            Dialect::Go | Dialect::Ruby => false,
        }
    }

    /// By their names: when functions of this file run, as far as all their calls agree.
    fn callers(&self) -> HashMap<&'a str, Scope, Quick> {
        let tokens = self.tokens;
        let mut callers = HashMap::default();
        for at in (0..tokens.len()).filter(|at| tokens.is_word(*at)) {
            let name = tokens.name(at);
            if self.named_frame(name).is_none() || self.tree.is_declared(at) {
                continue;
            }
            let scope = self.scope_of_call(at);
            let known = callers.entry(name).or_insert(scope);
            if *known != scope {
                *known = Scope::Call;
            }
        }
        callers
    }

    /// When a call runs whose result is kept; any other mention of a function counts as one that
    /// runs it at each call.
    fn scope_of_call(&self, at: usize) -> Scope {
        let tokens = self.tokens;
        if self.call_open(at).is_none() {
            return Scope::Call;
        }
        let start = self.chain(at).1;
        let mut before = start.saturating_sub(1);
        if tokens.text(before) == "await" {
            before = before.saturating_sub(1);
        }
        if !tokens.is(before, "=") {
            return Scope::Call;
        }
        let target = before.saturating_sub(1);
        let is_field = matches!(tokens.before(target), "." | "->")
            && matches!(tokens.text(target.saturating_sub(2)), "this" | "$this");
        let number = self.tree.at(at);
        match self.tree.frame(number).map_or(FrameKind::Module, |frame| frame.kind) {
            _ if is_field => Scope::Instance,
            FrameKind::Module => Scope::Module,
            // `const options = this.options()` is only of the constructor.
            FrameKind::Constructor
                if !matches!(tokens.before(target), "const" | "let" | "var" | "val") =>
            {
                Scope::Instance
            }
            FrameKind::Constructor | FrameKind::Class | FrameKind::Function => Scope::Call,
        }
    }
}
