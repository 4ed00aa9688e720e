//! Whether a Python file is nested so deeply that walking or dropping its tree could exhaust the
//! stack. It is decided from the bytes, before anything is parsed, and rather too early than late.

/// As deep as brackets may stand in each other.
const DEEPEST: usize = 100;

/// As many operators as may follow each other without a comma or a new statement: each may be one
/// level of the tree.
const LONGEST_CHAIN: usize = 600;

/// As far as a line may be indented.
const FURTHEST: usize = 200;

/// Where the file becomes too deep, if it does.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    if text.len() < DEEPEST { None } else { Scan::new(text).run() }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    chain: usize,
}

impl<'a> Scan<'a> {
    const fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, depth: 0, chain: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at.saturating_add(ahead)).copied()
    }

    fn is_between_words(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.bytes.get(at));
        before.is_some_and(u8::is_ascii_alphanumeric)
            && self.peek(1).is_some_and(|next| next.is_ascii_alphanumeric())
    }

    fn run(mut self) -> Option<usize> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | 128.. => {
                    self.skip_word();
                    continue;
                }
                b'#' => {
                    self.skip_line();
                    continue;
                }
                b'"' | b'\'' => {
                    self.string(byte);
                    continue;
                }
                b'(' | b'[' | b'{' => {
                    self.depth = self.depth.saturating_add(1);
                    self.chain = self.chain.saturating_add(1);
                }
                b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                b',' | b';' => self.chain = 0,
                b'\n' => self.new_line(),
                // Between words: `not not a`, `lambda: lambda: a`.
                b' ' | b'\t' if !self.is_between_words() => {}
                _ => self.chain = self.chain.saturating_add(1),
            }
            if self.depth > DEEPEST || self.chain > LONGEST_CHAIN {
                return Some(self.at);
            }
            self.at = self.at.saturating_add(1);
        }
        None
    }

    /// A new line outside brackets is a new statement; so is one that begins at the margin.
    fn new_line(&mut self) {
        let rest = self.bytes.get(self.at.saturating_add(1)..).unwrap_or_default();
        let indent = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if self.depth == 0 {
            self.chain = 0;
            // Levels of indentation are levels of the tree, and take a column each at the least.
            if indent > FURTHEST {
                self.chain = LONGEST_CHAIN.saturating_add(1);
            }
        }
        self.at = self.at.saturating_add(indent);
    }

    fn skip_word(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | 128..);
        let length = rest.iter().position(|byte| !is_of_word(byte)).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
    }

    fn skip_line(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
    }

    /// Steps over a string, of one line or of several.
    fn string(&mut self, quote: u8) {
        let is_long = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        self.at = self.at.saturating_add(if is_long { 3 } else { 1 });
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(next) = memchr::memchr3(quote, b'\\', b'\n', rest) else {
                self.at = self.bytes.len();
                return;
            };
            self.at = self.at.saturating_add(next);
            match self.peek(0) {
                Some(b'\\') => self.at = self.at.saturating_add(2),
                Some(b'\n') if !is_long => return,
                Some(b'\n') => self.at = self.at.saturating_add(1),
                _ if !is_long => {
                    self.at = self.at.saturating_add(1);
                    return;
                }
                _ if self.peek(1) == Some(quote) && self.peek(2) == Some(quote) => {
                    self.at = self.at.saturating_add(3);
                    return;
                }
                _ => self.at = self.at.saturating_add(1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[test]
    fn tells_deep_files_from_long_ones() {
        assert!(too_deep(&"(".repeat(10_000)).is_some());
        assert!(too_deep(&format!("x = {}1", "-".repeat(10_000))).is_some());
        assert!(too_deep(&format!("x = a{}", ".b".repeat(10_000))).is_some());
        assert!(too_deep(&format!("x = {}1", "1 + ".repeat(10_000))).is_some());
        let lines: Vec<_> = (0..2_000).map(|at| " ".repeat(at) + "if a:").collect();
        let deep = lines.join("\n");
        assert!(too_deep(&deep).is_some());
        assert!(too_deep(&format!("x = [{}]", "1 + 2, ".repeat(10_000))).is_none());
        assert!(too_deep(&format!("x = '''{}'''\n", "(\n".repeat(10_000))).is_none());
        assert!(too_deep(&"x = (1 + 2)  # ((((\n".repeat(10_000)).is_none());
    }
}
