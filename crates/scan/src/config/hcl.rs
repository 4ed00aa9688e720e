//! Terraform and its kin: blocks and attributes with their places, and what blocks of certain kinds
//! say of keys.

use super::flow::quoted_end;
use super::look;
use super::out::{Entry, Out};
use super::tree::{DEPTH_MAX, Node, Shape, Tree, too_deep};
use super::value::Value;
use crate::finding::Source;
use crate::site::Unreadable;

/// Kinds of resources that make keys.
const MAKERS: &[&str] =
    &["random_password", "random_id", "random_string", "random_bytes", "tls_private_key"];

/// Parts of the kinds of resources that keep secrets.
const STORES: &[&str] =
    &["secretsmanager", "ssm_parameter", "secret_manager", "key_vault_secret", "vault_", "_secret"];

/// Parts of the kinds of resources that say who may read one.
const RIGHTS: &[&str] = &["_iam_", "_policy", "_rotation"];

/// Reads a text.
///
/// # Errors
/// It is nested too deep.
pub(super) fn read(text: &str, out: &mut Out<'_, '_>) -> Result<(), Unreadable> {
    let mut reader =
        Reader { text, at: 0, tree: Tree::new(), open: Vec::new(), blocks: Vec::new() };
    reader.run()?;
    for block in &reader.blocks {
        block.look(&reader.tree, out);
    }
    look::look(&reader.tree, out);
    Ok(())
}

/// A block at the top of a file.
struct Block<'a> {
    at: usize,
    node: usize,
    kind: &'a str,
    labels: Vec<&'a str>,
}

impl Block<'_> {
    fn look(&self, tree: &Tree<'_>, out: &mut Out<'_, '_>) {
        let attribute = |name| tree.child(self.node, name).map(|(_, node)| node);
        let (name, value) = match (self.kind, self.labels.as_slice()) {
            ("variable", [name]) => {
                let value = attribute("default").map(|node| given(node));
                (*name, value.unwrap_or(Value::from(Source::Argument)))
            }
            ("output", [name]) => match attribute("value") {
                Some(node) => (*name, given(node)),
                None => return,
            },
            ("resource", [kind, name]) if MAKERS.contains(kind) => {
                (*name, Value::from(Source::Generated))
            }
            ("resource" | "data" | "ephemeral", [kind, name])
                if STORES.iter().any(|store| kind.contains(store))
                    && !RIGHTS.iter().any(|right| kind.contains(right)) =>
            {
                // The attribute that gives the secret is the place.
                if ["secret_data", "secret_string"].iter().any(|one| attribute(one).is_some()) {
                    return;
                }
                (*name, Value::from(Source::SecretStore))
            }
            _ => return,
        };
        out.entry(&Entry { at: self.at, name, above: "", value });
    }
}

/// What an attribute is given: an expression refers to something unless it is a text.
pub(super) fn given<'a>(node: &Node<'a>) -> Value<'a> {
    match node.shape {
        Shape::Plain => Value::expression(node.value),
        _ => Value::of(node.value),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    tree: Tree<'a>,
    open: Vec<usize>,
    blocks: Vec<Block<'a>>,
}

impl<'a> Reader<'a> {
    fn run(&mut self) -> Result<(), Unreadable> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'#' => self.skip_line(),
                b'/' if self.byte(1) == Some(b'/') => self.skip_line(),
                b'/' if self.byte(1) == Some(b'*') => {
                    let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                    self.at += memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2);
                }
                b'}' | b']' => {
                    self.open.pop();
                    self.at += 1;
                }
                b'{' | b'[' => {
                    let node = self.item(self.at);
                    self.enter(node)?;
                }
                b'"' => self.word()?,
                byte if byte.is_ascii_alphanumeric() || byte == b'_' => self.word()?,
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    fn byte(&self, after: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + after).copied()
    }

    fn skip_line(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(0), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn parent(&self) -> usize {
        self.open.last().copied().unwrap_or_default()
    }

    fn item(&mut self, at: usize) -> usize {
        let parent = self.parent();
        self.tree.push(Node { parent, at, ..Node::default() })
    }

    fn enter(&mut self, node: usize) -> Result<(), Unreadable> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.open.push(node);
        self.at += 1;
        Ok(())
    }

    /// A quoted text or a bare word.
    fn take(&mut self) -> &'a str {
        if self.byte(0) == Some(b'"') {
            let end = quoted_end(self.text, self.at + 1, b'"', true);
            let word = self.text.get(self.at + 1..end).unwrap_or_default();
            self.at = (end + 1).min(self.text.len());
            return word;
        }
        let start = self.at;
        while self.byte(0).is_some_and(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'*')
        }) {
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// An attribute, a block, or an item of a list.
    fn word(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        let name = self.take();
        self.skip_space();
        match self.byte(0) {
            Some(b'=') if self.byte(1) != Some(b'=') => self.attribute(name, start),
            Some(b':') => self.attribute(name, start),
            Some(b'{' | b'"') if self.text.as_bytes().get(start) != Some(&b'"') => {
                self.block(name, start)
            }
            _ => {
                if self.text.as_bytes().get(start) == Some(&b'"') && !self.open.is_empty() {
                    let node = self.item(start);
                    self.tree.set(node, Shape::Quoted, name, start + 1);
                }
                Ok(())
            }
        }
    }

    fn block(&mut self, kind: &'a str, start: usize) -> Result<(), Unreadable> {
        let mut labels = Vec::new();
        while self.byte(0) == Some(b'"') && labels.len() < 4 {
            labels.push(self.take());
            self.skip_space();
        }
        if self.byte(0) != Some(b'{') {
            return Ok(());
        }
        let key = Some(labels.first().copied().unwrap_or(kind));
        let key = if matches!(kind, "variable" | "output") { Some(kind) } else { key };
        let parent = self.parent();
        let mut node = self.tree.push(Node { parent, key, at: start, ..Node::default() });
        if self.open.is_empty() {
            self.blocks.push(Block { at: start, node, kind, labels });
        } else {
            node = self.tree.push(Node { parent: node, at: start, ..Node::default() });
        }
        self.enter(node)
    }

    fn attribute(&mut self, name: &'a str, start: usize) -> Result<(), Unreadable> {
        let parent = self.parent();
        let node = self.tree.push(Node { parent, key: Some(name), at: start, ..Node::default() });
        self.at += 1;
        self.skip_space();
        let value_at = self.at;
        if matches!(self.byte(0), Some(b'{' | b'[')) {
            return self.enter(node);
        }
        if self.byte(0) == Some(b'<') && self.byte(1) == Some(b'<') {
            self.heredoc(node);
            return Ok(());
        }
        let mut quotes = 0_usize;
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\n' | b',' | b'}' | b']' | b'#' => break,
                b'"' => {
                    quotes += 1;
                    self.take();
                }
                // `jsonencode({ … })`: what is in there are entries of their own.
                b'{' | b'[' if self.text.as_bytes().get(self.at.wrapping_sub(1)) == Some(&b'(') => {
                    return self.enter(node);
                }
                _ => self.at += 1,
            }
        }
        let value = self.text.get(value_at..self.at).unwrap_or_default().trim();
        let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match inner.filter(|_| quotes == 1) {
            Some(inner) => self.tree.set(node, Shape::Quoted, inner, value_at + 1),
            None => self.tree.set(node, Shape::Plain, value, value_at),
        }
        Ok(())
    }

    fn heredoc(&mut self, node: usize) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let head = rest.split('\n').next().unwrap_or_default();
        let mark = head.trim_start_matches(['<', '-']).trim();
        let start = self.at + head.len() + 1;
        let mut at = start;
        for line in self.text.get(start..).unwrap_or_default().split_inclusive('\n') {
            if line.trim() == mark {
                break;
            }
            at += line.len();
        }
        let at = at.min(self.text.len());
        self.tree.set(node, Shape::Block, self.text.get(start..at).unwrap_or_default(), start);
        self.at = at;
        self.skip_line();
    }
}
