//! Who reads what: one function a language, each of one form.

use crate::language::Language;
use crate::rules::Rules;
use crate::site::{Sites, Unreadable};
use crate::source::SourceFile;

/// Reads one file.
pub type Reader = fn(&SourceFile<'_>, &Rules, &mut Sites) -> Result<(), Unreadable>;

/// The readers of a scan.
#[derive(Clone, Copy)]
pub struct Readers {
    /// Of a file of this language.
    pub of: fn(Language) -> Reader,
    /// Of pieces of a file of this language that is too long to be read at once.
    pub of_pieces: fn(Language) -> Reader,
    /// Of a file that its language's reader cannot read.
    pub lines: Reader,
}

impl Readers {
    /// Those of keywheel.
    pub const fn built_in() -> Self {
        Self { of: of_language, of_pieces, lines: nothing }
    }
}

fn of_language(_language: Language) -> Reader {
    nothing
}

fn of_pieces(_language: Language) -> Reader {
    nothing
}

#[expect(clippy::unnecessary_wraps, reason = "the form of all readers")]
fn nothing(_file: &SourceFile<'_>, _rules: &Rules, _sites: &mut Sites) -> Result<(), Unreadable> {
    Ok(())
}
