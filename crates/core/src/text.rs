//! Text for people: what may be shown of somebody else's, and how errors are told.

/// The most characters that an instance may say about what is wrong with it.
pub const TROUBLE_CHARS_MAX: usize = 300;

/// Whether a character of somebody else's text may be shown: it neither controls a terminal nor
/// reorders or hides what stands beside it.
///
/// ```
/// use keywheel_core::text::is_printable;
///
/// assert!("nginx: 502 from «10.0.0.1»".chars().all(is_printable));
/// assert!(!"\u{1b}[2J".chars().all(is_printable));
/// assert!(!is_printable('\u{202e}'));
/// ```
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// An error and everything below it, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        let below_text = below.to_string();
        // An error that is transparent over its source would otherwise say everything twice.
        if !text.ends_with(&below_text) {
            text.push_str(": ");
            text.push_str(&below_text);
        }
        source = below.source();
    }
    text
}
