//! TOML, with the place of every key and value.

use super::flow::{self, Manner, quoted_end};
use super::tree::{Node, Shape, Tree};
use crate::site::Unreadable;

/// Reads a text.
///
/// # Errors
/// It is nested too deep.
pub(super) fn parse(text: &str) -> Result<Tree<'_>, Unreadable> {
    let mut tree = Tree::new();
    let mut section = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        let end = at + length;
        let content = line.trim_start();
        let start = at + (line.len() - content.len());
        at = end + 1;
        if content.starts_with('#') {
            continue;
        }
        if let Some(name) = content.strip_prefix('[') {
            let name = name.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
            section = tree.push(Node { key: Some(name), at: start, ..Node::default() });
            if content.starts_with("[[") {
                section = tree.push(Node { parent: section, at: start, ..Node::default() });
            }
            continue;
        }
        let Some((key, given)) = entry(content) else { continue };
        let node = Node { parent: section, key: Some(key), at: start, ..Node::default() };
        let node = tree.push(node);
        let value_at = end - given.len();
        at = at.max(value(text, node, value_at, end, &mut tree)? + 1);
    }
    Ok(tree)
}

/// The key of a line, and what stands after the `=`.
fn entry(content: &str) -> Option<(&str, &str)> {
    let quote = content.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''));
    let cut = match quote {
        Some(quote) => {
            let end = quoted_end(content, 1, quote, quote == b'"');
            end + content.get(end..)?.find('=')?
        }
        None => content.find('=')?,
    };
    let key = content.get(..cut)?.trim().trim_matches(['"', '\'']);
    let given = content.get(cut + 1..)?;
    (!key.is_empty()).then(|| (key, given.trim_start_matches([' ', '\t'])))
}

/// Reads a value; says on which byte of its last line it ends.
fn value<'a>(
    text: &'a str,
    node: usize,
    at: usize,
    end: usize,
    tree: &mut Tree<'a>,
) -> Result<usize, Unreadable> {
    let rest = text.get(at..end).unwrap_or_default();
    let long = ["\"\"\"", "'''"].into_iter().find(|mark| rest.starts_with(mark));
    if let Some(mark) = long {
        let inner = text.get(at + 3..).unwrap_or_default();
        let length = memchr::memmem::find(inner.as_bytes(), mark.as_bytes());
        let length = length.unwrap_or(inner.len());
        let value = inner.get(..length).unwrap_or_default();
        tree.set(node, Shape::Block, value, at + 3);
        return Ok(line_end(text, at + 3 + length));
    }
    match rest.bytes().next() {
        None | Some(b'#') => {}
        Some(quote @ (b'"' | b'\'')) => {
            let close = quoted_end(rest, 1, quote, quote == b'"');
            tree.set(node, Shape::Quoted, rest.get(1..close).unwrap_or_default(), at + 1);
        }
        Some(b'{' | b'[') if !rest.starts_with("{{") => {
            let after = flow::read(text, at, node, Manner::Toml, tree)?;
            return Ok(line_end(text, after));
        }
        Some(_) => {
            let plain = rest.split(" #").next().unwrap_or_default().trim_end();
            tree.set(node, Shape::Plain, plain, at);
        }
    }
    Ok(end)
}

fn line_end(text: &str, from: usize) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(text.len(), |end| from + end)
}
