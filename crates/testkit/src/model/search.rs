//! The search: breadth first, so that the first violation found is also a shortest one.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::action::Action;
use super::encode::fingerprint;
use super::flaw::Rules;
use super::law::{self, Violation};
use super::progress::Progress;
use super::scenario::Scenario;
use super::state::World;
use super::words;

/// What a search found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Different states reached.
    pub states: usize,
    /// Transitions taken, those into known states included.
    pub transitions: usize,
    /// Length of the longest shortest way to a state.
    pub depth: usize,
    /// Whether every reachable state was visited.
    pub complete: bool,
    /// The first broken invariant, with the way to it.
    pub violation: Option<Counterexample>,
}

/// A shortest way to a broken invariant.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// What was broken.
    pub violation: Violation,
    /// Each step in words.
    pub trace: Vec<String>,
}

impl Counterexample {
    /// How many actions lead to it.
    pub fn steps(&self) -> usize {
        self.trace.len().saturating_sub(1)
    }
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.violation.invariant, self.violation.why)?;
        for (number, line) in self.trace.iter().enumerate() {
            writeln!(f, "{number:>3}. {line}")?;
        }
        Ok(())
    }
}

/// A fingerprint is hashed already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().take(8) {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }
}

type Seen = HashSet<u128, BuildHasherDefault<AsIs>>;

/// How a state was reached.
struct Origin {
    parent: u32,
    action: Action,
}

struct Search<'a> {
    start: &'a World,
    seen: Seen,
    origins: Vec<Origin>,
    queue: VecDeque<(u32, u32, World)>,
    progress: Progress,
    outcome: Outcome,
}

/// Visits every state that a scenario can reach under the given rules, or `most` of them.
pub fn search(scenario: &Scenario, rules: Rules, most: usize) -> Outcome {
    let start = scenario.world(rules);
    let outcome = Outcome { states: 1, transitions: 0, depth: 0, complete: true, violation: None };
    let mut search = Search {
        start: &start,
        seen: Seen::default(),
        origins: vec![Origin { parent: 0, action: Action::Time }],
        queue: VecDeque::from([(0, 0, start.clone())]),
        progress: Progress::default(),
        outcome,
    };
    search.seen.insert(fingerprint(&start));
    while let Some((index, depth, world)) = search.queue.pop_front() {
        if search.visit(index, depth, &world, most).is_none() {
            break;
        }
    }
    search.outcome
}

impl Search<'_> {
    /// Takes every step from one state; nothing when the search is over.
    fn visit(&mut self, index: u32, depth: u32, world: &World, most: usize) -> Option<()> {
        self.outcome.depth = depth as usize;
        if let Err(violation) = self.progress.check(world) {
            return self.fail(violation, index, None);
        }
        for action in world.actions() {
            let next = match world.apply(action) {
                Ok(Some(next)) => next,
                Ok(None) => continue,
                Err(why) => {
                    let violation = Violation { invariant: "the core's contract", why };
                    return self.fail(violation, index, Some(action));
                }
            };
            self.outcome.transitions += 1;
            if let Err(violation) = law::check(world, &next) {
                return self.fail(violation, index, Some(action));
            }
            if !self.seen.insert(fingerprint(&next)) {
                continue;
            }
            if self.seen.len() > most {
                self.outcome.complete = false;
                return None;
            }
            self.outcome.states = self.seen.len();
            let number = u32::try_from(self.origins.len()).ok()?;
            self.origins.push(Origin { parent: index, action });
            self.queue.push_back((number, depth + 1, next));
        }
        Some(())
    }

    fn fail(&mut self, violation: Violation, index: u32, last: Option<Action>) -> Option<()> {
        let mut actions: Vec<_> = last.into_iter().collect();
        let mut at = index;
        while at != 0 {
            let origin = self.origins.get(at as usize)?;
            actions.push(origin.action);
            at = origin.parent;
        }
        actions.reverse();
        let trace = words::trace(self.start, &actions);
        self.outcome.complete = false;
        self.outcome.violation = Some(Counterexample { violation, trace });
        None
    }
}
