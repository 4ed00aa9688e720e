//! Which processes must all have answered: those below a parent, as the kernel lists them. A
//! service of N workers has taken a key when N processes have shown it, not when N answers came.

use std::collections::{BTreeMap, BTreeSet};

use super::Missing;
use crate::processes::{self, Process};
use crate::settings::Parent;

/// More processes below one parent are not looked at.
const PROCESSES_MAX: usize = 4_096;

/// Titles of processes that stand beside the workers and serve nothing: nginx's two keepers of its
/// cache, its old workers, which take no new connections (the probe of nginx's workers waits for
/// them), and what Python's multiprocessing starts for itself.
const SERVE_NOTHING: [&str; 4] = [
    "nginx: cache ",
    "nginx: worker process is shutting down",
    "from multiprocessing.resource_tracker import",
    "from multiprocessing.semaphore_tracker import",
];

/// A process in the tree.
struct Node {
    process: Process,
    /// Its number as it knows it itself, which is another one inside a container.
    own_pid: u32,
    children: Vec<i32>,
}

/// Who has answered: a worker's own number for itself, and when it started, because another one
/// may get the number once it has ended.
pub(super) type Answered = BTreeMap<u32, u64>;

/// The processes below a parent as of one moment.
pub(super) struct Tree {
    root: i32,
    nodes: BTreeMap<i32, Node>,
}

impl Tree {
    /// Reads the tree anew.
    pub(super) fn read(parent: &Parent) -> Result<Self, Missing> {
        let root = match parent {
            Parent::PidFile(path) => processes::pid_file(path)?.pid,
            Parent::Pid(pid) => i32::try_from(*pid).unwrap_or(i32::MAX),
        };
        let mut tree = Self { root, nodes: BTreeMap::new() };
        let mut open = vec![root];
        let mut next = Vec::new();
        while !open.is_empty() && tree.nodes.len() < PROCESSES_MAX {
            for pid in open.drain(..) {
                if let Some(node) = node(pid, pid == root)
                    && !tree.nodes.contains_key(&pid)
                {
                    next.extend_from_slice(&node.children);
                    tree.nodes.insert(pid, node);
                }
            }
            std::mem::swap(&mut open, &mut next);
        }
        if tree.nodes.contains_key(&root) {
            return Ok(tree);
        }
        Err(Missing::other(
            format!("the process {root}, whose children are to answer, does not run"),
            "start the service, or correct the process or the pid file that is named as parent",
        ))
    }

    /// When the process started that calls itself this.
    pub(super) fn started(&self, own_pid: u32) -> Option<u64> {
        let found = self.nodes.values().find(|node| node.own_pid == own_pid);
        found.map(|node| node.process.started)
    }

    /// The workers that have not answered, by the number that they know themselves by.
    pub(super) fn silent(&self, answered: &Answered) -> BTreeSet<u32> {
        let mut silent = BTreeSet::new();
        self.collect(self.root, answered, &mut silent, 0);
        silent
    }

    /// How many processes look like workers: those without children.
    pub(super) fn leaves(&self) -> usize {
        let is_leaf = |node: &&Node| !node.children.iter().any(|pid| self.nodes.contains_key(pid));
        self.nodes.values().filter(is_leaf).count()
    }

    /// A process is settled when it has answered, whatever it started for itself, or when it has
    /// children and all of them are settled: then it is a master, which does not answer.
    fn collect(&self, pid: i32, answered: &Answered, silent: &mut BTreeSet<u32>, depth: usize) {
        let Some(node) = self.nodes.get(&pid) else { return };
        if answered.get(&node.own_pid) == Some(&node.process.started) {
            return;
        }
        let children = node.children.iter().filter(|pid| self.nodes.contains_key(pid));
        let mut is_leaf = true;
        for child in children {
            is_leaf = false;
            if depth < PROCESSES_MAX {
                self.collect(*child, answered, silent, depth.saturating_add(1));
            }
        }
        if is_leaf {
            silent.insert(node.own_pid);
        }
    }
}

fn node(pid: i32, is_root: bool) -> Option<Node> {
    let process = Process::look(pid).filter(|process| !process.is_zombie)?;
    if !is_root {
        let title = processes::title(pid);
        if SERVE_NOTHING.iter().any(|part| title.contains(part)) {
            return None;
        }
    }
    // The last number is that in the innermost namespace.
    let inside = processes::status_field(pid, "NSpid");
    let inside = inside.and_then(|pids| pids.split_ascii_whitespace().last()?.parse().ok());
    let own_pid = inside.or_else(|| u32::try_from(pid).ok())?;
    Some(Node { process, own_pid, children: processes::children(pid) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a tree of `(pid, parent)`.
    fn tree(pairs: &[(i32, i32)]) -> Tree {
        let mut nodes = BTreeMap::new();
        for (pid, parent) in pairs {
            let started = u64::try_from(*pid).unwrap() * 10;
            let process =
                Process { pid: *pid, parent: *parent, group: 1, is_zombie: false, started };
            let children =
                pairs.iter().filter(|(_, parent)| parent == pid).map(|(pid, _)| *pid).collect();
            nodes.insert(*pid, Node { process, own_pid: u32::try_from(*pid).unwrap(), children });
        }
        Tree { root: 1, nodes }
    }

    fn silent(tree: &Tree, answered: &[(u32, u64)]) -> Vec<u32> {
        tree.silent(&answered.iter().copied().collect()).into_iter().collect()
    }

    #[test]
    fn all_leaves_must_answer_and_masters_need_not() {
        // 1 supervises 2, the master of the workers 3 and 4; 4 has started 5 for itself.
        let tree = tree(&[(1, 0), (2, 1), (3, 2), (4, 2), (5, 4)]);
        assert_eq!(silent(&tree, &[]), [3, 5]);
        assert_eq!(silent(&tree, &[(3, 30)]), [5]);
        assert_eq!(silent(&tree, &[(3, 30), (4, 40)]), [0_u32; 0]);
        assert_eq!(tree.leaves(), 2);
        assert_eq!(tree.started(4), Some(40));
    }

    #[test]
    fn a_number_that_was_given_out_again_has_not_answered() {
        let tree = tree(&[(1, 0), (2, 1)]);
        assert_eq!(silent(&tree, &[(2, 20)]), [0_u32; 0]);
        assert_eq!(silent(&tree, &[(2, 19)]), [2]);
    }

    #[test]
    fn a_process_without_children_answers_for_itself() {
        let tree = tree(&[(1, 0)]);
        assert_eq!(silent(&tree, &[]), [1]);
        assert_eq!(silent(&tree, &[(1, 10)]), [0_u32; 0]);
    }
}
