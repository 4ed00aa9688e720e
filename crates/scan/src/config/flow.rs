//! Maps and lists in brackets: all of JSON, what YAML calls flow, and the inline tables and arrays
//! of TOML. It reads on over what is wrong, because templates are.

use super::tree::{DEPTH_MAX, Node, Shape, Tree, too_deep};
use crate::site::Unreadable;

/// In which language the brackets stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// JSON, also with comments, and without quotes.
    Json,
    /// Flow of YAML.
    Yaml,
    /// Tables and arrays of TOML.
    Toml,
}

/// Reads from an opening bracket up to the one that closes it, into a node; gives back where it
/// ends. Brackets that nothing closes end with the text.
///
/// # Errors
/// They are nested too deep.
pub(super) fn read<'a>(
    text: &'a str,
    at: usize,
    into: usize,
    manner: Manner,
    tree: &mut Tree<'a>,
) -> Result<usize, Unreadable> {
    Reader { text, at, manner, tree, open: Vec::new(), pending: None }.run(into)
}

/// Where a quoted text that begins there ends, without its closing quote; the end of the text where
/// nothing closes it.
pub(super) fn quoted_end(text: &str, start: usize, quote: u8, has_escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(next) = memchr::memchr2(quote, b'\\', rest) else { return text.len() };
        at += next;
        if bytes.get(at) == Some(&quote) {
            return at;
        }
        at += if has_escapes { 2 } else { 1 };
    }
}

struct Open {
    node: usize,
    is_map: bool,
    /// How many nodes there were before it.
    nodes: usize,
}

struct Reader<'t, 'a> {
    text: &'a str,
    at: usize,
    manner: Manner,
    tree: &'t mut Tree<'a>,
    open: Vec<Open>,
    /// The entry that waits for its value.
    pending: Option<usize>,
}

impl<'a> Reader<'_, 'a> {
    fn run(mut self, into: usize) -> Result<usize, Unreadable> {
        loop {
            self.skip_space_and_comments();
            let Some(byte) = self.byte(0) else { return Ok(self.text.len()) };
            match byte {
                b'{' if self.byte(1) == Some(b'{') && self.manner != Manner::Toml => {
                    self.template();
                }
                b'{' | b'[' => {
                    if self.open.len() >= DEPTH_MAX {
                        return Err(too_deep());
                    }
                    let node = self.place(into);
                    let nodes = self.tree.len();
                    self.open.push(Open { node, is_map: byte == b'{', nodes });
                    self.at += 1;
                }
                b'}' | b']' => {
                    if let Some(open) = self.open.pop()
                        && open.nodes == self.tree.len()
                    {
                        self.tree.set(open.node, Shape::Plain, "{}", self.at);
                    }
                    self.pending = None;
                    self.at += 1;
                    if self.open.is_empty() {
                        return Ok(self.at);
                    }
                }
                b',' => {
                    self.pending = None;
                    self.at += 1;
                }
                b':' | b'=' => self.at += 1,
                b'"' | b'\'' => self.quoted(byte),
                _ => self.plain(),
            }
        }
    }

    fn byte(&self, after: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + after).copied()
    }

    /// The node for what begins here: the entry that waits for it, or a new item.
    fn place(&mut self, into: usize) -> usize {
        let at = self.at;
        match (self.pending.take(), self.open.last()) {
            (Some(node), _) => node,
            (None, None) => into,
            (None, Some(open)) => {
                let parent = open.node;
                self.tree.push(Node { parent, at, ..Node::default() })
            }
        }
    }

    /// A word or text: a key if a colon follows and this is a map, else a value.
    fn word(&mut self, start: usize, value_at: usize, value: &'a str, shape: Shape) {
        let is_key = self.pending.is_none()
            && self.open.last().is_some_and(|open| open.is_map)
            && self.is_before_colon();
        if is_key {
            let parent = self.open.last().map_or(0, |open| open.node);
            let node = Node { parent, key: Some(value), at: start, ..Node::default() };
            self.pending = Some(self.tree.push(node));
            return;
        }
        let node = match (self.pending.take(), self.open.last()) {
            (Some(node), _) => node,
            (None, Some(open)) => {
                let parent = open.node;
                self.tree.push(Node { parent, at: start, ..Node::default() })
            }
            (None, None) => return,
        };
        self.tree.set(node, shape, value, value_at);
    }

    fn is_before_colon(&self) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let next = rest.iter().take(256).find(|byte| !byte.is_ascii_whitespace());
        matches!(next, Some(b':')) || (self.manner == Manner::Toml && next == Some(&b'='))
    }

    fn quoted(&mut self, quote: u8) {
        let start = self.at;
        let has_escapes = quote == b'"' || self.manner == Manner::Json;
        let end = quoted_end(self.text, start + 1, quote, has_escapes);
        let value = self.text.get(start + 1..end).unwrap_or_default();
        self.at = (end + 1).min(self.text.len());
        self.word(start, start + 1, value, Shape::Quoted);
    }

    fn template(&mut self) {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let reach = rest.as_bytes().get(..rest.len().min(4096)).unwrap_or_default();
        let length = memchr::memmem::find(reach, b"}}").map_or(2, |end| end + 2);
        self.at += length;
        self.word(start, start, rest.get(..length).unwrap_or_default(), Shape::Plain);
    }

    fn plain(&mut self) {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(byte) = self.byte(0) {
            let ends = match byte {
                b',' | b'[' | b']' | b'}' | b'\n' => true,
                b'{' => {
                    self.byte(1) != Some(b'{') && bytes.get(self.at.wrapping_sub(1)) != Some(&b'$')
                }
                b'=' => self.manner == Manner::Toml,
                b':' => self.byte(1).is_none_or(|next| next.is_ascii_whitespace()),
                _ => false,
            };
            if ends {
                break;
            }
            if byte == b'{' || (byte == b'$' && self.byte(1) == Some(b'{')) {
                // References in braces belong to the word.
                let rest = bytes.get(self.at..).unwrap_or_default();
                let reach = rest.get(..rest.len().min(512)).unwrap_or_default();
                self.at += memchr::memchr(b'}', reach).unwrap_or(1);
            }
            self.at += 1;
        }
        self.at = self.at.max(start + 1).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        let value = self.text.get(start..self.at).unwrap_or_default().trim_end();
        self.word(start, start, value, Shape::Plain);
    }

    fn skip_space_and_comments(&mut self) {
        while let Some(byte) = self.byte(0) {
            let is_line = match (self.manner, byte) {
                (Manner::Json, b'/') => {
                    if self.byte(1) == Some(b'*') {
                        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                        self.at +=
                            memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2);
                        continue;
                    }
                    self.byte(1) == Some(b'/')
                }
                (Manner::Yaml | Manner::Toml, b'#') => true,
                _ => false,
            };
            if is_line {
                let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else {
                return;
            }
        }
    }
}
