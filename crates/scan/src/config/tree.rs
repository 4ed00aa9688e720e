//! What YAML, JSON and TOML have in common: values in maps and lists, each with its place.

use std::borrow::Cow;

use crate::site::Unreadable;

/// How deep values may be nested. Configurations are twenty deep at most.
pub(super) const DEPTH_MAX: usize = 128;

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// Not at all, or as a map or list.
    #[default]
    Nothing,
    /// Without quotes.
    Plain,
    /// With quotes, which are left away.
    Quoted,
    /// As lines that are indented deeper.
    Block,
}

/// An entry of a map or an item of a list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node<'a> {
    /// The node that it stands in; the root stands in itself.
    pub(super) parent: usize,
    /// Its key, where it is an entry.
    pub(super) key: Option<&'a str>,
    /// Where it begins.
    pub(super) at: usize,
    /// How its value is written.
    pub(super) shape: Shape,
    /// Its tag, such as `!vault`.
    pub(super) tag: &'a str,
    /// Its value as written, where it has one of its own.
    pub(super) value: &'a str,
    /// Where that begins.
    pub(super) value_at: usize,
}

/// All values of a file, each after that in which it stands. The first is the root.
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    /// Nothing but the root.
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// How many nodes there are, with the root.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds a node and says which it is.
    pub(super) fn push(&mut self, node: Node<'a>) -> usize {
        self.nodes.push(node);
        self.nodes.len().saturating_sub(1)
    }

    /// Gives a node its value.
    pub(super) fn set(&mut self, node: usize, shape: Shape, value: &'a str, value_at: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            (node.shape, node.value, node.value_at) = (shape, value, value_at);
        }
    }

    /// Gives a node its tag.
    pub(super) fn tag(&mut self, node: usize, tag: &'a str) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.tag = tag;
        }
    }

    /// The nodes, with their numbers, without the root.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (usize, &Node<'a>)> {
        self.nodes.iter().enumerate().skip(1)
    }

    /// A node; the root where there is none.
    pub(super) fn node(&self, node: usize) -> Node<'a> {
        self.nodes.get(node).copied().unwrap_or_default()
    }

    /// The keys of what a node stands in, the nearest first, at most eight.
    pub(super) fn above(&self, node: usize) -> Vec<&'a str> {
        let mut keys = Vec::new();
        let mut at = self.node(node).parent;
        for _ in 0..16 {
            if at == 0 || keys.len() == 8 {
                break;
            }
            keys.extend(self.node(at).key);
            at = self.node(at).parent;
        }
        keys
    }

    /// The next nodes that stand directly in one, looking not further than a few hundred on, so
    /// that huge lists stay cheap.
    pub(super) fn children(&self, parent: usize) -> impl Iterator<Item = (usize, &Node<'a>)> {
        let after = parent.saturating_add(1);
        let rest = self.nodes.get(after..).unwrap_or_default();
        let within = rest.iter().take(200).take_while(move |node| node.parent >= parent);
        within
            .enumerate()
            .filter(move |(_, node)| node.parent == parent)
            .map(move |(index, node)| (after.saturating_add(index), node))
    }

    /// A child by its key.
    pub(super) fn child(&self, parent: usize, key: &str) -> Option<(usize, &Node<'a>)> {
        self.children(parent).find(|(_, node)| node.key == Some(key))
    }
}

/// Joins the nearest keys, outermost first.
pub(super) fn joined<'a>(above: &[&'a str]) -> Cow<'a, str> {
    match above {
        [] => Cow::Borrowed(""),
        [one] => Cow::Borrowed(one),
        several => {
            let near: Vec<_> = several.iter().take(5).rev().copied().collect();
            Cow::Owned(near.join("."))
        }
    }
}

/// Values are nested deeper than anybody nests them.
pub(super) fn too_deep() -> Unreadable {
    Unreadable { why: Cow::Borrowed("values are nested more than 128 deep"), at: None }
}
