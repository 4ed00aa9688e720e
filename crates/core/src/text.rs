//! Which text from outside may be shown to people.

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
