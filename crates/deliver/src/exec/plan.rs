//! What to start and stop next, so that all copies come to hold what is wanted while at least the
//! floor is always there. Pure: it knows nothing of processes, clocks or signals, and whoever asks
//! it again after each event needs no memory of what it said before.

/// Which content a child was given. Grows with each change of what the program is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edition(pub u64);

/// One start of the program; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub u64);

/// How many copies there are, and how they may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// So many copies run, in slots from 0.
    pub copies: usize,
    /// At least so many stay ready while others are replaced.
    pub floor: usize,
    /// Whether a successor may run beside its predecessor, because the sockets are ours.
    pub beside: bool,
}

/// Why a shape cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// No copies, or far too many.
    #[error("{copies} copies cannot be run; from 1 to {max} can", max = COPIES_MAX)]
    Copies {
        /// How many.
        copies: usize,
    },
    /// The floor leaves nothing that could be replaced.
    #[error("with a floor of {floor} none of {copies} copies could ever be replaced")]
    Floor {
        /// The floor.
        floor: usize,
        /// The copies.
        copies: usize,
    },
}

impl ShapeError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Copies { .. } => "give another number to --copies",
            Self::Floor { .. } => {
                "let --floor be less than --copies; with --listen it may be as many, because \
                 a successor then starts beside its predecessor"
            }
        }
    }
}

/// The most copies.
pub const COPIES_MAX: usize = 64;

impl Shape {
    /// Checks that the copies can be replaced at all.
    ///
    /// # Errors
    /// When they cannot.
    pub const fn checked(self) -> Result<Self, ShapeError> {
        let Self { copies, floor, beside } = self;
        if copies == 0 || copies > COPIES_MAX {
            return Err(ShapeError::Copies { copies });
        }
        let most = if beside { copies } else { copies - 1 };
        if floor > most {
            return Err(ShapeError::Floor { floor, copies });
        }
        Ok(self)
    }

    /// The highest floor that these copies can keep.
    pub const fn highest_floor(copies: usize, beside: bool) -> usize {
        if beside { copies } else { copies.saturating_sub(1) }
    }
}

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It was started, and has not shown yet that it works.
    Starting,
    /// It works.
    Ready,
    /// It was told to end.
    Stopping,
}

/// A child as the planner looks at it. One that has ended is not shown any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Child {
    /// Which.
    pub id: ChildId,
    /// Its place among the copies.
    pub slot: usize,
    /// What it was given.
    pub edition: Edition,
    /// How far it is.
    pub phase: Phase,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start a child with the wanted edition in this slot.
    Start(usize),
    /// Tell this child to end.
    Stop(ChildId),
}

/// Says what to do now. `may_start` tells whether a slot may be started in now; one whose last
/// child failed waits for a while.
pub fn next(
    shape: Shape,
    children: &[Child],
    wanted: Edition,
    may_start: impl Fn(usize) -> bool,
) -> Vec<Step> {
    let mut planner = Planner { shape, wanted, children: children.to_vec(), steps: Vec::new() };
    planner.drop_the_useless();
    planner.fill_the_empty(&may_start);
    planner.relieve_predecessors();
    planner.replace_one(&may_start);
    planner.steps
}

/// Says what to stop when everything is to end.
pub fn end(children: &[Child]) -> Vec<Step> {
    let running = children.iter().filter(|child| child.phase != Phase::Stopping);
    running.map(|child| Step::Stop(child.id)).collect()
}

struct Planner {
    shape: Shape,
    wanted: Edition,
    children: Vec<Child>,
    steps: Vec<Step>,
}

impl Planner {
    fn in_slot(&self, slot: usize) -> impl Iterator<Item = &Child> {
        self.children.iter().filter(move |child| child.slot == slot)
    }

    fn is_empty(&self, slot: usize) -> bool {
        self.in_slot(slot).all(|child| child.phase == Phase::Stopping)
    }

    /// Whether a ready child can be spared.
    fn can_spare(&self) -> bool {
        let ready = self.children.iter().filter(|child| child.phase == Phase::Ready).count();
        ready > self.shape.floor
    }

    fn stop(&mut self, id: ChildId) {
        if let Some(child) = self.children.iter_mut().find(|child| child.id == id) {
            child.phase = Phase::Stopping;
            self.steps.push(Step::Stop(id));
        }
    }

    /// A child that is not ready and holds what is wanted no more can only come too late.
    fn drop_the_useless(&mut self) {
        let stale: Vec<ChildId> = self
            .children
            .iter()
            .filter(|child| child.phase == Phase::Starting && child.edition != self.wanted)
            .map(|child| child.id)
            .collect();
        for id in stale {
            self.stop(id);
        }
    }

    /// A slot whose last child has ended gets another. Where the program binds its own address, the
    /// one that ends must be gone first.
    fn fill_the_empty(&mut self, may_start: &impl Fn(usize) -> bool) {
        for slot in 0..self.shape.copies {
            let is_free = self.in_slot(slot).next().is_none();
            let free = if self.shape.beside { self.is_empty(slot) } else { is_free };
            if free && may_start(slot) {
                self.steps.push(Step::Start(slot));
            }
        }
    }

    /// Where a successor is ready, its predecessors go; of several ready ones the newest stays.
    fn relieve_predecessors(&mut self) {
        for slot in 0..self.shape.copies {
            let mut ready: Vec<Child> =
                self.in_slot(slot).filter(|child| child.phase == Phase::Ready).copied().collect();
            ready.sort_by_key(|child| (child.edition, child.id));
            ready.pop();
            for child in ready {
                if self.can_spare() {
                    self.stop(child.id);
                }
            }
        }
    }

    /// Slots are renewed one after the other: the next only when all others have settled.
    fn replace_one(&mut self, may_start: &impl Fn(usize) -> bool) {
        let settled = |slot: &usize| {
            let mut children = self.in_slot(*slot);
            let first = children.next();
            first.is_some_and(|child| child.phase == Phase::Ready) && children.next().is_none()
        };
        if !(0..self.shape.copies).all(|slot| settled(&slot)) {
            return;
        }
        let stale = self.children.iter().find(|child| child.edition != self.wanted).copied();
        let Some(stale) = stale else { return };
        if !may_start(stale.slot) {
            return;
        }
        if self.shape.beside {
            self.steps.push(Step::Start(stale.slot));
        } else if self.can_spare() {
            self.stop(stale.id);
        }
    }
}

#[cfg(test)]
mod tests;
