//! YAML by its indentation, with the place of every key and value. It reads what people write as
//! configurations, and templates of them: Helm, Jinja and ERB leave lines and values that are no
//! YAML, which are passed over or taken as they stand.
//!
//! It is no judge of YAML: what it cannot place it passes over.

use super::flow::{self, Manner};
use super::tree::{DEPTH_MAX, Node, Shape, Tree, too_deep};
use crate::site::Unreadable;

/// The key of what a template writes below the name of an item.
pub(super) const FILLED_IN: &str = "{{ }}";

/// How far a quoted text or brackets over several lines may reach.
const REACH: usize = 256 * 1024;

/// Reads a text.
///
/// # Errors
/// It is nested too deep.
pub(super) fn parse(text: &str) -> Result<Tree<'_>, Unreadable> {
    let mut reader = Reader { text, at: 0, tree: Tree::new(), open: Vec::new(), document: 0 };
    while reader.at < text.len() {
        reader.line()?;
    }
    Ok(reader.tree)
}

struct Open {
    indent: usize,
    node: usize,
    is_item: bool,
}

struct Reader<'a> {
    text: &'a str,
    /// The next line.
    at: usize,
    tree: Tree<'a>,
    open: Vec<Open>,
    /// The node of the document, of which a file may have several.
    document: usize,
}

impl Reader<'_> {
    fn line(&mut self) -> Result<(), Unreadable> {
        let start = self.at;
        let end = self.line_end(start);
        self.at = end + 1;
        let line = self.text.get(start..end).unwrap_or_default();
        let content = line.trim_start_matches([' ', '\t']);
        let indent = line.len() - content.len();
        if content.trim_end().is_empty() || content.starts_with('#') {
            return Ok(());
        }
        if indent == 0 && (line.starts_with("---") || line.starts_with("...")) {
            self.open.clear();
            let node = Node { at: start, ..Node::default() };
            self.document = self.tree.push(node);
            return Ok(());
        }
        if self.passes_template(content, start + indent) {
            return Ok(());
        }
        self.content(indent, start + indent, end)
    }

    fn line_end(&self, from: usize) -> usize {
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        memchr::memchr(b'\n', rest).map_or(self.text.len(), |end| from + end)
    }

    /// Passes over lines that only steer a template.
    fn passes_template(&mut self, content: &str, at: usize) -> bool {
        let close = if content.starts_with("{{") {
            "}}"
        } else if content.starts_with("{%") {
            "%}"
        } else if content.starts_with("<%") {
            "%>"
        } else {
            return false;
        };
        let rest = self.text.get(at..).unwrap_or_default();
        let reach = rest.as_bytes().get(..rest.len().min(4 * 1024)).unwrap_or_default();
        let Some(end) = memchr::memmem::find(reach, close.as_bytes()) else { return true };
        let after = rest.get(end + 2..).unwrap_or_default();
        let tail = after.split('\n').next().unwrap_or_default();
        // `{{ .name }}: value` is an entry; `{% for … %}   - item` is passed over like its head.
        if close == "}}" && tail.contains(": ") || tail.trim_end().ends_with(':') {
            return false;
        }
        let end_line = self.line_end(at + end);
        self.filled_in(rest.get(2..end).unwrap_or_default(), at);
        self.at = self.at.max(end_line + 1);
        true
    }

    /// `- name: X`, and below it what a template writes there: the item has a value all the same.
    fn filled_in(&mut self, action: &str, at: usize) {
        let name = self.tree.node(self.tree.len().saturating_sub(1));
        let is_item = self.tree.node(name.parent).key.is_none();
        if name.key == Some("name") && is_item && name.shape != Shape::Nothing && writes(action) {
            let key = Some(FILLED_IN);
            self.tree.push(Node { parent: name.parent, key, at, ..Node::default() });
        }
    }

    /// Reads items, a key and a value from one line on.
    fn content(&mut self, indent: usize, at: usize, end: usize) -> Result<(), Unreadable> {
        let (mut indent, mut at) = (indent, at);
        loop {
            let rest = self.text.get(at..end).unwrap_or_default();
            let Some(after) = rest.strip_prefix('-').or(rest.strip_prefix('?')) else { break };
            if !(after.is_empty() || after.starts_with([' ', '\t', '\r'])) {
                break;
            }
            let spaces = after.len() - after.trim_start().len();
            let node = self.enter(indent, true);
            let node = Node { parent: node, at: at + 1 + spaces, ..Node::default() };
            let node = self.tree.push(node);
            self.open(indent, node, true)?;
            indent += 1 + spaces;
            at += 1 + spaces;
            if after.trim().is_empty() {
                return Ok(());
            }
        }
        let rest = self.text.get(at..end).unwrap_or_default();
        let Some((key, length)) = key_of(rest) else {
            // A value of its own: that of the innermost item, else the rest of a longer text.
            if let Some(open) = self.open.last()
                && self.tree.node(open.node).shape == Shape::Nothing
                && open.indent < indent
            {
                let node = open.node;
                return self.value(node, indent.saturating_sub(1), at, end);
            }
            return Ok(());
        };
        let parent = self.enter(indent, false);
        let node = self.tree.push(Node { parent, key: Some(key), at, ..Node::default() });
        self.open(indent, node, false)?;
        self.value(node, indent, at + length, end)
    }

    /// Closes what does not reach to this indentation, and says in what an entry or item there
    /// stands.
    fn enter(&mut self, indent: usize, is_item: bool) -> usize {
        while let Some(top) = self.open.last() {
            let stays = top.indent < indent || (top.indent == indent && is_item && !top.is_item);
            if stays {
                return top.node;
            }
            self.open.pop();
        }
        self.document
    }

    fn open(&mut self, indent: usize, node: usize, is_item: bool) -> Result<(), Unreadable> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep());
        }
        self.open.push(Open { indent, node, is_item });
        Ok(())
    }

    /// Reads what stands after a key or dash.
    fn value(
        &mut self,
        node: usize,
        indent: usize,
        at: usize,
        end: usize,
    ) -> Result<(), Unreadable> {
        let mut at = at;
        loop {
            let rest = self.text.get(at..end).unwrap_or_default();
            let trimmed = rest.trim_start_matches([' ', '\t']);
            at += rest.len() - trimmed.len();
            if !trimmed.starts_with(['&', '!']) {
                break;
            }
            let length = trimmed.find([' ', '\t', '\r']).unwrap_or(trimmed.len());
            if trimmed.starts_with('!') {
                self.tree.tag(node, trimmed.get(..length).unwrap_or_default());
            }
            at += length;
        }
        let rest = self.text.get(at..end).unwrap_or_default().trim_end();
        match rest.bytes().next() {
            None | Some(b'#' | b'*') => {}
            Some(b'|' | b'>') if is_block_head(rest) => self.block(node, indent),
            Some(quote @ (b'"' | b'\'')) => self.quoted(node, quote, at, end),
            Some(b'{') if rest.starts_with("{{") || rest.starts_with("{%") => {
                self.tree.set(node, Shape::Plain, rest, at);
            }
            Some(b'{' | b'[') => {
                let limit = self.reach(at);
                let bounded = self.text.get(..limit).unwrap_or_default();
                let after = flow::read(bounded, at, node, Manner::Yaml, &mut self.tree)?;
                if after > end {
                    self.at = self.line_end(after) + 1;
                }
            }
            Some(_) => {
                let plain = rest.find(" #").map_or(rest, |end| rest.get(..end).unwrap_or(rest));
                self.tree.set(node, Shape::Plain, plain.trim_end(), at);
            }
        }
        Ok(())
    }

    /// As far as something that begins there may reach.
    fn reach(&self, at: usize) -> usize {
        let mut limit = at.saturating_add(REACH).min(self.text.len());
        while !self.text.is_char_boundary(limit) {
            limit -= 1;
        }
        limit
    }

    fn quoted(&mut self, node: usize, quote: u8, at: usize, end: usize) {
        let limit = self.reach(at);
        let bounded = self.text.get(..limit).unwrap_or_default();
        let close = flow::quoted_end(bounded, at + 1, quote, quote == b'"');
        // Nothing closes it: it is no quoted text, as in templates, and ends with its line.
        let close = if close >= limit { end } else { close };
        self.tree.set(
            node,
            Shape::Quoted,
            self.text.get(at + 1..close).unwrap_or_default(),
            at + 1,
        );
        if close > end {
            self.at = self.line_end(close) + 1;
        }
    }

    /// Takes the lines that are indented deeper than their key.
    fn block(&mut self, node: usize, indent: usize) {
        let start = self.at;
        let mut end = start;
        while self.at < self.text.len() {
            let line_end = self.line_end(self.at);
            let line = self.text.get(self.at..line_end).unwrap_or_default();
            let content = line.trim_start_matches(' ');
            // Lines that steer a template are often not indented at all.
            let is_of_template = content.starts_with("{{");
            let is_beyond = line.len() - content.len() <= indent;
            if !content.trim().is_empty() && is_beyond && !is_of_template {
                break;
            }
            self.at = line_end + 1;
            end = line_end;
        }
        self.tree.set(node, Shape::Block, self.text.get(start..end).unwrap_or_default(), start);
    }
}

/// Whether an action of a template writes something, rather than steering what is written.
fn writes(action: &str) -> bool {
    let action = action.trim_matches(['-', '%', '=', ' ']);
    let first = action.split([' ', '(']).next().unwrap_or_default();
    let steers =
        ["if", "else", "end", "range", "with", "define", "block", "for", "endif", "endfor", "set"];
    !(steers.contains(&first) || first.starts_with("/*") || action.contains(":="))
}

/// Whether `|` or `>` begins a block, and no text.
fn is_block_head(rest: &str) -> bool {
    let head = rest.get(1..).unwrap_or_default();
    let head = head.split(" #").next().unwrap_or_default();
    head.trim().bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-'))
}

/// The key at the start of a text, and how long it is with its colon.
fn key_of(rest: &str) -> Option<(&str, usize)> {
    let bytes = rest.as_bytes();
    let first = *bytes.first()?;
    if matches!(first, b'"' | b'\'') {
        let end = flow::quoted_end(rest, 1, first, first == b'"');
        let after = rest.get(end + 1..)?;
        let colon = after.strip_prefix(':').or_else(|| after.trim_start().strip_prefix(':'))?;
        let is = colon.is_empty() || colon.starts_with([' ', '\t', '\r']);
        return is.then(|| (rest.get(1..end).unwrap_or_default(), rest.len() - colon.len()));
    }
    if matches!(first, b'[' | b'|' | b'>' | b'*' | b'%' | b'@' | b'`' | b'!')
        || (first == b'{' && !rest.starts_with("{{"))
    {
        return None;
    }
    let mut at = 0;
    while let Some(next) = memchr::memchr3(b':', b'{', b'#', bytes.get(at..)?) {
        at += next;
        let next = bytes.get(at + 1).copied();
        match bytes.get(at) {
            Some(b':') if next.is_none_or(|next| next.is_ascii_whitespace()) => {
                return Some((rest.get(..at)?.trim_end(), at + 1));
            }
            Some(b'{') if next == Some(b'{') => {
                let inner = bytes.get(at..)?;
                at += memchr::memmem::find(inner, b"}}").map_or(inner.len(), |end| end + 2);
            }
            Some(b'#') if at > 0 && bytes.get(at - 1) == Some(&b' ') => return None,
            _ => at += 1,
        }
    }
    None
}
