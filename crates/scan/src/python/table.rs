//! The rules of Python, found by the last part of a call's name. Most calls of a file end in a name
//! that no rule has; those cost one look.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::iter;
use std::sync::Arc;

use crate::finding::Source;
use crate::quick::Quick;
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
    /// Whether it is about a sink that is a method of any receiver.
    pub(super) fn is_of_any(&self) -> bool {
        matches!(self, Self::Sink(sink) if sink.call.starts_with("*."))
    }

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
    by_tail: HashMap<String, Vec<Rule>, Quick>,
    /// What a file must name so that one of these rules can be about it.
    needs: BTreeSet<Need>,
    /// For each load that takes the name of a setting, the names of its call.
    loads: BTreeSet<Vec<String>>,
    /// Those that count less than these.
    base: Option<Arc<Index>>,
}

/// The names without which a call cannot be that of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    /// The last part of the call.
    tail: String,
    /// The first part; none if the call may be one of any receiver.
    root: Option<String>,
    by: By,
}

/// What else a rule needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    /// A word of what takes keys.
    Uses,
    /// A name under which something is loaded: it is a loader beyond keywheel's own.
    Names,
    /// Nothing: it takes a key, and is not one of keywheel's own.
    Itself,
}

impl Need {
    /// That of a rule; none where it says nothing that names do not say.
    fn of(rule: &Rule, is_own: bool) -> Option<Self> {
        let by = match rule {
            Rule::Timer(_) => return None,
            Rule::Load(load) if matches!(load.from, Source::File | Source::Settings) && is_own => {
                return None;
            }
            _ if is_own => By::Uses,
            Rule::Load(_) => By::Names,
            Rule::Sink(_) | Rule::Implicit(_) => By::Itself,
        };
        let call = rule.call();
        let tail = tail_of(call).trim_end_matches("()").to_owned();
        let root = (!call.starts_with("*.")).then(|| root_of(call).to_owned());
        Some(Self { tail, root, by })
    }
}

impl Index {
    /// Of these tables; where two have a rule for one call, the later one counts.
    pub(crate) fn new<'t>(tables: impl Iterator<Item = &'t Table>) -> Self {
        let mut index = Self::default();
        for (place, table) in tables.enumerate() {
            index.add(table, place == 0);
        }
        index
    }

    /// Of this table, laid over others: its rules count before theirs.
    pub(crate) fn over(base: &Arc<Self>, table: &Table) -> Self {
        let mut index = Self { base: Some(Arc::clone(base)), ..Self::default() };
        index.add(table, false);
        index
    }

    fn add(&mut self, table: &Table, is_own: bool) {
        let sinks = table.sinks.iter().cloned().map(Rule::Sink);
        let loads = table.sources.iter().cloned().map(Rule::Load);
        let implicit = table.implicit.iter().cloned().map(Rule::Implicit);
        let timers = table.schedulers.iter().cloned().map(Rule::Timer);
        for rule in sinks.chain(loads).chain(implicit).chain(timers) {
            let tail = tail_of(rule.call()).to_owned();
            self.needs.extend(Need::of(&rule, is_own));
            self.loads.extend(names_of_load(&rule));
            self.by_tail.entry(tail).or_default().insert(0, rule);
        }
    }

    /// These and those below them.
    fn layers(&self) -> impl Iterator<Item = &Self> + Clone {
        iter::successors(Some(self), |index| index.base.as_deref())
    }

    /// The names that calls need which count in a text: those of keywheel's own ones if it `uses`
    /// keys, of loaders beyond them if it has `names` of settings, of any other beyond them.
    fn needed(&self, uses: bool, names: bool) -> impl Iterator<Item = &Need> {
        let counts = move |need: &&Need| match need.by {
            By::Uses => uses,
            By::Names => names,
            By::Itself => true,
        };
        self.layers().flat_map(|index| &index.needs).filter(counts)
    }

    /// Whether a call of a rule needs some name in such a text.
    pub(super) fn needs_something(&self, uses: bool, names: bool) -> bool {
        self.needed(uses, names).next().is_some()
    }

    /// Whether a text with these words has all names of one of the calls.
    pub(super) fn may_be_called_in(
        &self,
        there: &HashSet<&str, Quick>,
        uses: bool,
        names: bool,
    ) -> bool {
        self.needed(uses, names).any(|need| {
            let root = need.root.as_deref();
            there.contains(need.tail.as_str()) && root.is_none_or(|root| there.contains(root))
        })
    }

    /// Whether a text with these words has all names of one of the loads that take the name of a
    /// setting.
    pub(super) fn may_load_in(&self, there: &HashSet<&str, Quick>) -> bool {
        let mut loads = self.layers().flat_map(|index| &index.loads);
        loads.any(|names| names.iter().all(|name| there.contains(name.as_str())))
    }

    /// Whether any rule's call ends so.
    pub(super) fn knows(&self, tail: &str) -> bool {
        self.layers().any(|index| index.by_tail.contains_key(tail))
    }

    /// The rules whose call ends so and is this one; those for any receiver come last.
    pub(super) fn matching(&self, tail: &str, dotted: &str) -> Vec<&Rule> {
        let all = self.layers().filter_map(|index| index.by_tail.get(tail)).flatten();
        let exact = all.clone().filter(|rule| match rule {
            Rule::Sink(sink) => is_call(&sink.call, dotted) || is_inside(&sink.call, dotted),
            other => is_call(other.call(), dotted),
        });
        exact.chain(all.filter(|rule| rule.call().starts_with("*."))).collect()
    }
}

/// The last part of a dotted name.
pub(super) fn tail_of(call: &str) -> &str {
    call.rsplit('.').next().unwrap_or(call)
}

/// The names of a call that loads a setting by its name; none of what opens a file, whose path says
/// more.
fn names_of_load(rule: &Rule) -> Option<Vec<String>> {
    let Rule::Load(load) = rule else { return None };
    let opens = matches!(tail_of(&load.call), "open" | "open_file" | "read_text" | "read_bytes");
    let names = load.call.split(['.', '(', ')', '*']).filter(|name| name.len() > 1);
    (!opens).then(|| names.map(str::to_owned).collect())
}

/// The first part of a dotted name.
fn root_of(call: &str) -> &str {
    call.split(['.', '(']).next().unwrap_or(call)
}

/// Whether a rule's name is that of a call. A class may have been imported from a module further
/// inside its package, and a module may stand inside one of the project.
fn is_call(rule: &str, dotted: &str) -> bool {
    if rule == dotted {
        return true;
    }
    let is_class = tail_of(rule).starts_with(|letter: char| letter.is_ascii_uppercase());
    if is_class && rule.contains('.') && !rule.contains('(') && !dotted.contains('(') {
        return root_of(rule) == root_of(dotted) && tail_of(rule) == tail_of(dotted);
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
