//! Templates of configurations, made readable without moving a byte: what a template puts in
//! becomes a variable, and what steers it becomes space.

use memchr::memmem;

/// How far the marks of a template may be apart.
const REACH: usize = 4096;

/// The bytes of a text with every mark of a template replaced by as many bytes.
pub(super) fn without_templates(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'{', b'<', rest)) {
        at += next;
        let rest = bytes.get(at..).unwrap_or_default();
        let (close, shows): (&[u8], bool) = match rest {
            [b'{', b'{', ..] => (b"}}", true),
            [b'{', b'%', ..] => (b"%}", false),
            [b'{', b'#', ..] => (b"#}", false),
            [b'<', b'%', b'=', ..] => (b"%>", true),
            [b'<', b'%', ..] => (b"%>", false),
            _ => {
                at += 1;
                continue;
            }
        };
        let reach = rest.get(..rest.len().min(REACH)).unwrap_or_default();
        let Some(end) = memmem::find(reach, close) else {
            at += 1;
            continue;
        };
        let length = end + 2;
        let is_steering = is_steering(reach.get(2..end).unwrap_or_default());
        if let Some(mark) = bytes.get_mut(at..at + length) {
            replace(mark, shows && !is_steering);
        }
        at += length;
    }
    bytes
}

/// Words of templates that steer and show nothing.
fn is_steering(inner: &[u8]) -> bool {
    let inner = inner.trim_ascii_start();
    let inner = inner.strip_prefix(b"-").unwrap_or(inner).trim_ascii_start();
    [&b"if "[..], b"else", b"end", b"range ", b"with ", b"define ", b"/*", b"$"]
        .iter()
        .any(|word| inner.starts_with(word))
}

/// Makes a variable or space of a mark.
fn replace(mark: &mut [u8], shows: bool) {
    let last = mark.len().saturating_sub(1);
    for (index, byte) in mark.iter_mut().enumerate() {
        *byte = match (*byte, shows) {
            (b'\n', _) => b'\n',
            (_, false) => b' ',
            (_, true) if index == 0 => b'$',
            (_, true) if index == 1 => b'{',
            (_, true) if index == last => b'}',
            (byte, true) if byte.is_ascii_alphanumeric() => byte,
            (_, true) => b'_',
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_variables_and_space_of_the_same_length() {
        for (text, read) in [
            ("set $a \"{{ key }}\";", "set $a \"${_key__}\";"),
            ("{% if a %}listen 80;{% endif %}", "          listen 80;           "),
            ("{{ if .x }}a;", "           a;"),
            ("a <%= b %>;", "a ${__b__};"),
            ("a { b; }", "a { b; }"),
            ("{{ never closed", "{{ never closed"),
        ] {
            let masked = without_templates(text);
            assert_eq!(String::from_utf8_lossy(&masked), read);
            assert_eq!(masked.len(), text.len());
        }
    }
}
