//! The rules of Python, found by the last part of a call's name. Most calls of a file end in a name
//! that no rule has; those cost one look.

use std::collections::HashMap;

use crate::rules::{Implicit, Load, Scheduler, Sink, Table};

/// A rule about a call.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Sink(Sink),
    Load(Load),
    Implicit(Implicit),
    Timer(Scheduler),
}

impl Rule {
    fn call(&self) -> &str {
        match self {
            Self::Sink(rule) => &rule.call,
            Self::Load(rule) => &rule.call,
            Self::Implicit(rule) => &rule.call,
            Self::Timer(rule) => &rule.call,
        }
    }
}

/// All rules, by the last part of their calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    by_tail: HashMap<String, Vec<Rule>>,
    /// The last parts of the calls that are not of the first table, which is keywheel's own.
    added: Vec<String>,
}

impl Index {
    /// Of these tables; where two have a rule for one call, the later one counts.
    pub(crate) fn new<'t>(tables: impl Iterator<Item = &'t Table>) -> Self {
        let mut index = Self::default();
        for (place, table) in tables.enumerate() {
            let sinks = table.sinks.iter().cloned().map(Rule::Sink);
            let loads = table.sources.iter().cloned().map(Rule::Load);
            let implicit = table.implicit.iter().cloned().map(Rule::Implicit);
            let timers = table.schedulers.iter().cloned().map(Rule::Timer);
            for rule in sinks.chain(loads).chain(implicit).chain(timers) {
                let tail = tail_of(rule.call()).to_owned();
                if place > 0 {
                    index.added.push(tail.trim_end_matches("()").to_owned());
                }
                index.by_tail.entry(tail).or_default().insert(0, rule);
            }
        }
        index
    }

    /// The last parts of the calls that were added to keywheel's own.
    pub(super) fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(String::as_str)
    }

    /// Whether any rule's call ends so.
    pub(super) fn knows(&self, tail: &str) -> bool {
        self.by_tail.contains_key(tail)
    }

    /// The rules whose call ends so and is this one; those for any receiver come last.
    pub(super) fn matching(&self, tail: &str, dotted: &str) -> Vec<&Rule> {
        let all = self.by_tail.get(tail).map(Vec::as_slice).unwrap_or_default();
        let exact = all.iter().filter(|rule| match rule {
            Rule::Sink(sink) => is_call(&sink.call, dotted) || is_inside(&sink.call, dotted),
            other => is_call(other.call(), dotted),
        });
        exact.chain(all.iter().filter(|rule| rule.call().starts_with("*."))).collect()
    }
}

/// The last part of a dotted name.
pub(super) fn tail_of(call: &str) -> &str {
    call.rsplit('.').next().unwrap_or(call)
}

/// Whether a rule's name is that of a call. A class may have been imported from a module further
/// inside its package, and a module may stand inside one of the project.
fn is_call(rule: &str, dotted: &str) -> bool {
    if rule == dotted {
        return true;
    }
    let is_class = tail_of(rule).starts_with(|letter: char| letter.is_ascii_uppercase());
    let root = |name: &str| name.split(['.', '(']).next().unwrap_or_default().len();
    if is_class && rule.contains('.') && !rule.contains('(') && !dotted.contains('(') {
        return rule.get(..root(rule)) == dotted.get(..root(dotted))
            && tail_of(rule) == tail_of(dotted);
    }
    dotted.starts_with('.') && is_inside(rule, dotted)
}

/// Whether a call is that of a module which a project has inside one of its own.
fn is_inside(rule: &str, dotted: &str) -> bool {
    rule.contains('.')
        && !rule.contains('(')
        && dotted.strip_suffix(rule).is_some_and(|before| before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::is_call;

    #[test]
    fn calls_by_their_names() {
        assert!(is_call("jwt.encode", "jwt.encode"));
        assert!(is_call("jwt.encode", ".compat.jwt.encode"));
        assert!(is_call("itsdangerous.Signer", "itsdangerous.signer.Signer"));
        assert!(!is_call("itsdangerous.Signer", "django.core.signing.Signer"));
        assert!(!is_call("django.core.signing.dumps", "django.core.serializers.dumps"));
    }
}
