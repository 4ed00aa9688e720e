//! What of a text of Python can name anything: its code without comments, and its strings without
//! prose. Most files that speak of keys only do so where nobody reads a name.

/// A file in two parts.
pub(super) struct Plain {
    /// The code, with `""` for each string; strings with expressions in them are code.
    pub(super) code: String,
    /// The strings, each in its quotes; of those that are prose, what could be a path.
    pub(super) strings: String,
}

/// The two parts of a text; nothing where it is not sure what is a string.
pub(super) fn of(text: &str) -> Option<Plain> {
    let bytes = text.as_bytes();
    let mut plain = Plain { code: String::with_capacity(text.len()), strings: String::new() };
    let mut from = 0_usize;
    let mut at = 0_usize;
    while let Some(next) = memchr::memchr3(b'#', b'"', b'\'', bytes.get(at..)?) {
        let start = at.checked_add(next)?;
        let quote = *bytes.get(start)?;
        if quote == b'#' {
            plain.code.push_str(text.get(from..start)?);
            let rest = bytes.get(start..)?;
            from = memchr::memchr(b'\n', rest).map_or(text.len(), |end| start.saturating_add(end));
            at = from;
            continue;
        }
        let (inside, end) = string(bytes, start, quote)?;
        let held = text.get(inside..end.checked_sub(inside.checked_sub(start)?)?)?;
        if has_expressions(bytes.get(..start)?) {
            if !is_balanced(held) {
                return None;
            }
        } else {
            plain.code.push_str(text.get(from..start)?);
            plain.code.push_str("\"\"");
            plain.keep(held);
            from = end;
        }
        at = end;
    }
    plain.code.push_str(text.get(from..)?);
    Some(plain)
}

impl Plain {
    /// Keeps what of a string could be a name or a path.
    fn keep(&mut self, held: &str) {
        let mut keep = |part: &str| {
            self.strings.push('"');
            self.strings.push_str(part);
            self.strings.push_str("\"\n");
        };
        let mut parts = held.split_ascii_whitespace().peekable();
        let Some(first) = parts.peek() else { return };
        if first.len() == held.len() {
            keep(held);
            return;
        }
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let has_end = part.trim_end_matches('.').contains('.') || part == "Settings";
            if part.contains('/') || (is_last && has_end) {
                keep(part);
            }
        }
    }
}

/// Where the text of a string begins whose first quote stands at a place, and where the string
/// ends; nothing if it does not.
fn string(bytes: &[u8], start: usize, quote: u8) -> Option<(usize, usize)> {
    let is_long = bytes.get(start..)?.starts_with(&[quote; 3]);
    let inside = start.checked_add(if is_long { 3 } else { 1 })?;
    let mut at = inside;
    loop {
        let rest = bytes.get(at..)?;
        let next = if is_long {
            memchr::memchr2(quote, b'\\', rest)?
        } else {
            memchr::memchr3(quote, b'\\', b'\n', rest)?
        };
        at = at.checked_add(next)?;
        match *bytes.get(at)? {
            b'\\' => at = at.checked_add(2)?,
            b'\n' if !is_long => return None,
            _ if is_long && !bytes.get(at..)?.starts_with(&[quote; 3]) => at = at.checked_add(1)?,
            _ => return Some((inside, at.checked_add(if is_long { 3 } else { 1 })?)),
        }
    }
}

/// Whether the letters before a quote make a string that holds expressions.
fn has_expressions(before: &[u8]) -> bool {
    let mut letters = before.iter().rev().take(3);
    let mut has = false;
    loop {
        match letters.next() {
            Some(b'f' | b'F' | b't' | b'T') => has = true,
            Some(b'r' | b'R' | b'b' | b'B' | b'u' | b'U') => {}
            Some(letter) if letter.is_ascii_alphanumeric() || *letter == b'_' => return false,
            _ => return has,
        }
    }
}

/// Whether all braces are closed; a quote in an open one begins a string within.
fn is_balanced(held: &str) -> bool {
    let count = |brace: u8| memchr::memchr_iter(brace, held.as_bytes()).count();
    count(b'{') == count(b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, String)> {
        of(text).map(|plain| (plain.code, plain.strings.replace('\n', " ")))
    }

    #[test]
    fn comments_and_prose_are_left_out() {
        let text =
            "a = b['KEY']  # a \"secret\n'''the secret\nkey'''\nx('a b/c.key', r'it\\'s', '')\n";
        let (code, strings) = parts(text).unwrap();
        assert_eq!(code, "a = b[\"\"]  \n\"\"\nx(\"\", r\"\", \"\")\n");
        assert_eq!(strings, "\"KEY\" \"b/c.key\" \"it\\'s\" ");
        assert_eq!(parts("open('my app.pem')").unwrap().1, "\"app.pem\" ");
        assert_eq!(parts("get('Shop Settings', 'the end.')").unwrap().1, "\"Settings\" ");
    }

    #[test]
    fn strings_with_expressions_are_code() {
        let text = "x = f'a {settings.SECRET_KEY} b' + rb'c d'";
        assert_eq!(parts(text).unwrap().0, "x = f'a {settings.SECRET_KEY} b' + rb\"\"");
        assert_eq!(parts("self.f = 'x'; def_f'a'").unwrap().1, "\"x\" \"a\" ");
        assert!(of("f\"{a[\"b\"]} c\"").is_none());
    }

    #[test]
    fn what_is_not_sure_is_told() {
        assert!(of("it's\n").is_none() && of("'''a").is_none() && of("'a").is_none());
        assert_eq!(parts("'a\\\nb'").unwrap().0, "\"\"");
        assert_eq!(parts("").unwrap().0, "");
    }
}
