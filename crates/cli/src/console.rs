//! Standard output and standard error: the only writers to them, and the only judge of whether
//! there is a terminal, colour or JSON.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::failure::Failure;
use crate::show::{Line, Piece, Tone};

/// How the user wants to be spoken to.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "two wishes, and a fact about each stream")]
pub struct Console {
    json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
}

/// The escape code of a tone.
const fn code(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Good => Some("32"),
        Tone::Waiting => Some("33"),
        Tone::Bad => Some("31;1"),
        Tone::Strong => Some("1"),
        Tone::Faint => Some("2"),
    }
}

impl Console {
    /// Decides from the flags, the terminal and `NO_COLOR` (no-color.org).
    pub fn new(json: bool, quiet: bool, no_color: bool) -> Self {
        let refused = no_color || std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        Self {
            json,
            quiet,
            color_out: !refused && !json && io::stdout().is_terminal(),
            color_err: !refused && !json && io::stderr().is_terminal(),
        }
    }

    /// Whether answers are JSON.
    pub const fn json(&self) -> bool {
        self.json
    }

    /// Whether somebody watches: progress may be drawn.
    pub fn is_live(&self) -> bool {
        !self.json && !self.quiet && io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// Writes an answer. Not silenced by `--quiet`.
    ///
    /// # Errors
    /// When standard output cannot be written, for any reason but a reader that had enough.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        written(out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")))
    }

    /// Writes lines of toned text, in colours where there are any.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn lines(&self, lines: &[Line]) -> Result<(), Failure> {
        lines.iter().try_for_each(|line| {
            let text: String = line.pieces.iter().map(|piece| self.paint(piece)).collect();
            self.line(&text)
        })
    }

    fn paint(self, piece: &Piece) -> String {
        match code(piece.tone) {
            Some(code) if self.color_out && !piece.text.is_empty() => {
                format!("\u{1b}[{code}m{}\u{1b}[0m", piece.text)
            }
            _ => piece.text.clone(),
        }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        written(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// Writes an answer as JSON.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn value(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| {
            Failure::failed(format!("the answer cannot be written as JSON: {error}"), REPORT)
        })?;
        self.line(&text)
    }

    /// Tells what was done, unless told to be quiet or to speak JSON.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn tell(&self, text: &str) -> Result<(), Failure> {
        if self.quiet || self.json { Ok(()) } else { self.line(text) }
    }

    /// Writes a line to standard error. Where even that fails, there is nobody to tell.
    pub fn error_line(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Warns on standard error.
    pub fn warn(&self, text: &str) {
        if !self.json {
            self.error_line(&format!("warning: {text}"));
        }
    }

    /// A label before an error.
    pub fn error_label(&self, text: &str) -> String {
        if self.color_err { format!("\u{1b}[31;1m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The remedy where only we can help.
pub const REPORT: &str = "this is a defect of keywheel; please report it";

/// A reader that closes the pipe (`keywheel audit | head`) has seen enough; that is no failure.
fn written(done: io::Result<()>) -> Result<(), Failure> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::failed(
            format!("standard output cannot be written: {error}"),
            "check where the output goes",
        )),
        Ok(()) => Ok(()),
    }
}
