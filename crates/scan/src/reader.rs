//! Who reads what: one function a language, each of one form.

use crate::apache;
use crate::code::{self, Dialect};
use crate::config::Format;
use crate::language::Language;
use crate::lines;
use crate::nginx::consumers;
use crate::python;
use crate::rules::Rules;
use crate::site::{Sites, Unreadable};
use crate::source::SourceFile;
use crate::sql;

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
        Self { of: of_language, of_pieces, lines: lines::read }
    }
}

fn of_language(language: Language) -> Reader {
    match language {
        Language::Python => python::read,
        Language::Config(format) => of_format(format),
        Language::Nginx => consumers::read,
        Language::Apache => apache::read,
        Language::Sql => sql::read,
        Language::JavaScript => {
            |file, rules, sites| code::read(file, Dialect::JavaScript, rules, sites)
        }
        Language::Ruby => |file, rules, sites| code::read(file, Dialect::Ruby, rules, sites),
        Language::Go => |file, rules, sites| code::read(file, Dialect::Go, rules, sites),
        Language::Java => |file, rules, sites| code::read(file, Dialect::Java, rules, sites),
        Language::Php => |file, rules, sites| code::read(file, Dialect::Php, rules, sites),
        Language::Other => lines::read,
    }
}

/// The readers of configurations know their format; the name of a file need not say it.
fn of_format(format: Format) -> Reader {
    match format {
        Format::Env => |file, _, sites| Format::Env.read(file, sites),
        Format::Yaml => |file, _, sites| Format::Yaml.read(file, sites),
        Format::Json => |file, _, sites| Format::Json.read(file, sites),
        Format::Toml => |file, _, sites| Format::Toml.read(file, sites),
        Format::Ini => |file, _, sites| Format::Ini.read(file, sites),
        Format::Dockerfile => |file, _, sites| Format::Dockerfile.read(file, sites),
        Format::Shell => |file, _, sites| Format::Shell.read(file, sites),
        Format::Systemd => |file, _, sites| Format::Systemd.read(file, sites),
        Format::Xml => |file, _, sites| Format::Xml.read(file, sites),
        Format::Hcl => |file, _, sites| Format::Hcl.read(file, sites),
    }
}

/// What goes from line to line can be read in pieces by its own reader.
fn of_pieces(language: Language) -> Reader {
    match language {
        Language::Config(format @ (Format::Env | Format::Ini)) => of_format(format),
        Language::Sql => sql::read,
        _ => lines::read,
    }
}
