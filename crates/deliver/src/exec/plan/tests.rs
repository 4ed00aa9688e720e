//! Every state that a few copies can get into, with every order of starting, failing, ending and
//! changing. Nothing the planner says may go below the floor, and wherever it stands, a world that
//! fails no more brings it to rest with what is wanted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

/// How often a ready child may end by itself, and how often the wanted edition may change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Budget {
    failures: u8,
    changes: u8,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    children: Vec<Child>,
    wanted: Edition,
    budget: Budget,
}

impl State {
    /// Numbers children anew in their order, so that equal states are equal.
    fn normal(mut self) -> Self {
        self.children.sort_by_key(|child| child.id);
        for (number, child) in self.children.iter_mut().enumerate() {
            child.id = ChildId(number as u64);
        }
        self
    }

    fn ready(&self) -> usize {
        self.children.iter().filter(|child| child.phase == Phase::Ready).count()
    }
}

/// What holds for each step that the planner says.
fn invariant_floor(shape: Shape, before: &State, id: ChildId, after: usize) {
    let child = before.children.iter().find(|child| child.id == id).unwrap();
    assert_ne!(child.phase, Phase::Stopping, "told to end twice");
    if child.phase == Phase::Ready {
        assert!(after >= shape.floor, "{shape:?}: {:?} leaves {after}", before.children);
    }
}

fn invariant_room(shape: Shape, state: &State) {
    for slot in 0..shape.copies {
        let here: Vec<_> = state.children.iter().filter(|child| child.slot == slot).collect();
        let starting = here.iter().filter(|child| child.phase == Phase::Starting).count();
        assert!(starting <= 1, "{shape:?}: {here:?}");
        assert!(shape.beside || here.len() <= 1, "two would bind one address: {here:?}");
    }
    let running = state.children.iter().filter(|child| child.phase != Phase::Stopping).count();
    assert!(running <= shape.copies * 2, "{:?}", state.children);
}

fn planned(shape: Shape, state: &State) -> State {
    let mut state = state.clone();
    for step in next(shape, &state.children.clone(), state.wanted, |_| true) {
        let before = state.clone();
        match step {
            Step::Start(slot) => {
                let id = ChildId(state.children.iter().map(|c| c.id.0 + 1).max().unwrap_or(0));
                let edition = state.wanted;
                state.children.push(Child { id, slot, edition, phase: Phase::Starting });
            }
            Step::Stop(id) => {
                let child = state.children.iter_mut().find(|child| child.id == id).unwrap();
                child.phase = Phase::Stopping;
                invariant_floor(shape, &before, id, state.ready());
            }
        }
    }
    invariant_room(shape, &state);
    state.normal()
}

/// What the world may do next.
fn events(state: &State) -> Vec<State> {
    let mut all = Vec::new();
    for (index, child) in state.children.iter().enumerate() {
        let mut ended = state.clone();
        ended.children.remove(index);
        match child.phase {
            Phase::Stopping => all.push(ended),
            Phase::Starting => {
                let mut ready = state.clone();
                ready.children[index].phase = Phase::Ready;
                all.push(ready);
            }
            Phase::Ready => {}
        }
        if child.phase != Phase::Stopping && state.budget.failures > 0 {
            let mut failed = state.clone();
            failed.children.remove(index);
            failed.budget.failures -= 1;
            all.push(failed);
        }
    }
    if state.budget.changes > 0 {
        let mut changed = state.clone();
        changed.wanted.0 += 1;
        changed.budget.changes -= 1;
        all.push(changed);
    }
    all
}

/// Lets everything succeed, and counts the rounds until nothing is left to do.
fn settles(shape: Shape, mut state: State) {
    for _ in 0..100 {
        state = planned(shape, &state);
        let is_done = state.children.len() == shape.copies
            && state
                .children
                .iter()
                .all(|child| child.phase == Phase::Ready && child.edition == state.wanted);
        if is_done {
            let slots: BTreeSet<usize> = state.children.iter().map(|child| child.slot).collect();
            assert_eq!(slots.len(), shape.copies);
            return;
        }
        state.children.retain(|child| child.phase != Phase::Stopping);
        for child in &mut state.children {
            child.phase = Phase::Ready;
        }
        state = state.normal();
    }
    panic!("{shape:?} never comes to rest from {:?}", state.children);
}

fn explore(shape: Shape, budget: Budget) -> usize {
    let first = State { children: Vec::new(), wanted: Edition(0), budget };
    let first = planned(shape, &first);
    let mut seen = BTreeSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    while let Some(state) = queue.pop_front() {
        settles(shape, state.clone());
        for event in events(&state) {
            let state = planned(shape, &event);
            if seen.insert(state.clone()) {
                queue.push_back(state);
            }
        }
    }
    seen.len()
}

#[test]
fn no_order_of_events_goes_below_the_floor_and_every_state_comes_to_rest() {
    let mut sizes = BTreeMap::new();
    for copies in 1..=3 {
        for beside in [false, true] {
            for floor in 0..=Shape::highest_floor(copies, beside) {
                let shape = Shape { copies, floor, beside }.checked().unwrap();
                let failures = if copies == 3 { 1 } else { 2 };
                let size = explore(shape, Budget { failures, changes: 2 });
                sizes.insert((copies, beside, floor), size);
            }
        }
    }
    assert!(sizes.values().sum::<usize>() > 5_000, "{sizes:?}");
}

#[test]
fn copies_are_replaced_one_after_the_other() {
    let shape = Shape { copies: 3, floor: 2, beside: false };
    let ready = |id, slot, edition| Child {
        id: ChildId(id),
        slot,
        edition: Edition(edition),
        phase: Phase::Ready,
    };
    let mut children = vec![ready(0, 0, 0), ready(1, 1, 0), ready(2, 2, 0)];
    let next = |children: &[Child]| next(shape, children, Edition(1), |_| true);
    assert_eq!(next(&children), [Step::Stop(ChildId(0))]);
    children[0].phase = Phase::Stopping;
    assert_eq!(next(&children), [], "the others wait until it has ended");
    children.remove(0);
    assert_eq!(next(&children), [Step::Start(0)]);
    children.push(Child { phase: Phase::Starting, ..ready(3, 0, 1) });
    assert_eq!(next(&children), [], "and until its successor works");
    children[2].phase = Phase::Ready;
    assert_eq!(next(&children), [Step::Stop(ChildId(1))]);
}

#[test]
fn a_successor_starts_beside_its_predecessor_and_relieves_it() {
    let shape = Shape { copies: 1, floor: 1, beside: true };
    let old = Child { id: ChildId(0), slot: 0, edition: Edition(0), phase: Phase::Ready };
    let new = Child { id: ChildId(1), slot: 0, edition: Edition(1), phase: Phase::Starting };
    let next = |children: &[Child]| next(shape, children, Edition(1), |_| true);
    assert_eq!(next(&[old]), [Step::Start(0)]);
    assert_eq!(next(&[old, new]), []);
    let new = Child { phase: Phase::Ready, ..new };
    assert_eq!(next(&[old, new]), [Step::Stop(ChildId(0))]);
}

#[test]
fn a_slot_that_failed_waits_and_its_predecessor_goes_on() {
    let shape = Shape { copies: 1, floor: 1, beside: true };
    let old = Child { id: ChildId(0), slot: 0, edition: Edition(0), phase: Phase::Ready };
    assert_eq!(next(shape, &[old], Edition(1), |_| false), []);
    assert_eq!(next(shape, &[], Edition(1), |_| false), []);
}

#[test]
fn shapes_that_could_never_be_replaced_are_refused() {
    let shape = |copies, floor, beside| Shape { copies, floor, beside }.checked();
    assert_eq!(shape(0, 0, false), Err(ShapeError::Copies { copies: 0 }));
    assert_eq!(shape(65, 0, false), Err(ShapeError::Copies { copies: 65 }));
    assert_eq!(shape(2, 2, false), Err(ShapeError::Floor { floor: 2, copies: 2 }));
    assert!(shape(2, 2, true).is_ok());
    assert_eq!(shape(2, 3, true), Err(ShapeError::Floor { floor: 3, copies: 2 }));
    for error in [shape(0, 0, false).unwrap_err(), shape(2, 2, false).unwrap_err()] {
        assert!(error.remedy().contains("--"));
    }
}

#[test]
fn at_the_end_everybody_is_told_once() {
    let child = |id, phase| Child { id: ChildId(id), slot: 0, edition: Edition(0), phase };
    let children = [child(0, Phase::Ready), child(1, Phase::Stopping), child(2, Phase::Starting)];
    assert_eq!(end(&children), [Step::Stop(ChildId(0)), Step::Stop(ChildId(2))]);
}
