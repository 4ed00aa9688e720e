//! Text with a meaning: the console turns it into colours, the live screen into styles.

/// What a word means, and so how it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Of no particular weight.
    Plain,
    /// All is well.
    Good,
    /// It waits; nothing is wrong yet.
    Waiting,
    /// Somebody should look.
    Bad,
    /// A heading, a name.
    Strong,
    /// Of less weight.
    Faint,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it says. Control characters are made visible when it is made.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

impl Piece {
    /// A piece with a meaning.
    pub fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: printable(text.as_ref()), tone }
    }
}

impl<T: AsRef<str>> From<T> for Piece {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its pieces, left to right.
    pub pieces: Vec<Piece>,
}

impl Line {
    /// A line of these pieces.
    pub fn new(pieces: Vec<Piece>) -> Self {
        Self { pieces }
    }

    /// The line without its meaning.
    pub fn plain(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }
}

impl<T: AsRef<str>> From<T> for Line {
    fn from(text: T) -> Self {
        Self::new(vec![text.into()])
    }
}

/// A number of things: `1 ring`, `2 rings`.
pub fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Names and reasons come from other people; none of them may steer this terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_others_do_not_reach_the_terminal() {
        let line = Line::from("a\u{1b}[2Jb\nc");
        assert_eq!(line.plain(), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
