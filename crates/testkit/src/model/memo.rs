//! What the core answered before, so that the same question is asked once.
//!
//! Most steps of the world touch a process and leave the document alone, so the same document meets
//! the same view many times.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use keywheel_core::ring::Ring;

use super::action::Action;
use super::apply::Fault;
use super::state::World;

/// A question to the core: document, view, time and input.
pub(crate) type Question = u128;

/// The next document, or nothing when the core leaves the present one or refuses.
pub(crate) type Answer = Option<Rc<Ring>>;

/// More answers than this are not worth their memory.
const MOST_ANSWERS: usize = 1_000_000;

/// Documents and answers met so far.
#[derive(Default)]
pub(crate) struct Memo {
    docs: HashMap<u64, Vec<Rc<Ring>>>,
    answers: HashMap<Question, Answer>,
    sound: HashSet<usize>,
}

impl Memo {
    /// The one shared copy of a document.
    pub(crate) fn intern(&mut self, ring: Ring) -> Rc<Ring> {
        let mut hasher = std::hash::DefaultHasher::new();
        ring.hash(&mut hasher);
        let known = self.docs.entry(hasher.finish()).or_default();
        if let Some(same) = known.iter().find(|doc| ***doc == ring) {
            return same.clone();
        }
        let ring = Rc::new(ring);
        known.push(ring.clone());
        ring
    }

    pub(crate) fn answer(&self, question: Question) -> Option<Answer> {
        self.answers.get(&question).cloned()
    }

    pub(crate) fn learn(&mut self, question: Question, answer: Answer) {
        if self.answers.len() >= MOST_ANSWERS {
            self.answers.clear();
        }
        self.answers.insert(question, answer);
    }

    /// Runs a check once for each document. Documents are never dropped, so an address names one.
    pub(crate) fn once(
        &mut self,
        ring: &Rc<Ring>,
        check: impl FnOnce(&Ring) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.sound.insert(Rc::as_ptr(ring) as usize) { check(ring) } else { Ok(()) }
    }
}

/// The question that an action puts to the core in a world.
pub(crate) fn question(world: &World, doc: &Rc<Ring>, action: Action) -> Question {
    let half = |seed: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u8(seed);
        (Rc::as_ptr(doc) as usize).hash(&mut hasher);
        action.hash(&mut hasher);
        world.cluster.hash(&mut hasher);
        world.settled_at.hash(&mut hasher);
        world.presence.hash(&mut hasher);
        (world.minted, world.ring_lives).hash(&mut hasher);
        if world.setup.lagging_servers {
            for server in &world.servers {
                server.serves.revision.hash(&mut hasher);
            }
        }
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}
