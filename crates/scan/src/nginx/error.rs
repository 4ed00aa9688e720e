//! What can be wrong with an nginx configuration, each with its place and a remedy.

use std::fmt;
use std::path::PathBuf;

use super::follow::{FILE_BYTES_MAX, FILES_MAX, INCLUDE_DEPTH_MAX, TOTAL_BYTES_MAX};
use super::lex::Span;
use super::tree::BLOCK_DEPTH_MAX;

/// Text that nginx would not read either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {fault}", place.line, place.column)]
pub struct SyntaxError {
    /// Where.
    pub place: Span,
    /// What.
    pub fault: SyntaxFault,
}

/// The ways in which text is no configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxFault {
    /// The file ends within a directive.
    #[error("the file ends where `;` or `{{` is expected")]
    EndsInDirective,
    /// The file ends within a block.
    #[error("the block that opens here is never closed with `}}`")]
    EndsInBlock,
    /// The file ends within quotes.
    #[error("the quote that opens here is never closed")]
    EndsInQuotes,
    /// A closing quote is followed by something else than a space, `;`, `{` or `)`.
    #[error("a space, `;`, `{{` or `)` is expected after a closing quote")]
    AfterQuotes,
    /// `;` or `{` without a directive.
    #[error("there is no directive before the `{0}`")]
    NoDirective(char),
    /// `}` within a directive.
    #[error("a directive is not ended with `;` before the `}}`")]
    CloseInDirective,
    /// `}` that closes nothing.
    #[error("the `}}` closes no block")]
    ClosesNothing,
    /// Deeper than anybody nests.
    #[error("blocks are nested more than {BLOCK_DEPTH_MAX} deep")]
    TooDeep,
}

impl SyntaxFault {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::EndsInDirective => "end the last directive, or see whether the file was cut off",
            Self::EndsInBlock => "close the block, or see whether the file was cut off",
            Self::EndsInQuotes => "close the quote, or write a quote within text as \\\" or \\'",
            Self::AfterQuotes => {
                "write a space after the quote, or put all of the word into quotes"
            }
            Self::NoDirective(_) => "take it away, or write the directive that it belongs to",
            Self::CloseInDirective => "write `;` after the directive",
            Self::ClosesNothing => "take it away, or see which block lacks its `{`",
            Self::TooDeep => "see whether a block lacks its `}`",
        }
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: u32,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// Says where a file is included, for messages.
struct From<'a>(&'a Option<At>);

impl fmt::Display for From<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |at| write!(f, ", which {at} includes,"))
    }
}

/// Why a configuration cannot be put together from its files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// A file cannot be read.
    #[error("{}{} cannot be read", path.display(), From(from))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where it is included.
        from: Option<At>,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else than a file.
    #[error("{}{} is not a file", path.display(), From(from))]
    NotAFile {
        /// What it is instead, is left to `ls`.
        path: PathBuf,
        /// Where it is included.
        from: Option<At>,
    },
    /// A file is no configuration.
    #[error("{}:{}: {}", path.display(), error.place.line, error.fault)]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: SyntaxError,
    },
    /// A file includes itself, through others or not.
    #[error("{from} includes {}, which is being read already: {}", path.display(), Chain(chain))]
    Cycle {
        /// The file.
        path: PathBuf,
        /// Where it is included.
        from: At,
        /// The files from the first reading of it to this place.
        chain: Vec<PathBuf>,
    },
    /// Includes within includes.
    #[error("{from} includes {} more than {INCLUDE_DEPTH_MAX} files deep", path.display())]
    TooDeep {
        /// The file.
        path: PathBuf,
        /// Where it is included.
        from: At,
    },
    /// More files than anybody has.
    #[error("the configuration is made of more than {FILES_MAX} files; {} was one too many", path.display())]
    TooManyFiles {
        /// The file that was not read.
        path: PathBuf,
    },
    /// A file, or all together, are too large.
    #[error(
        "{} is too large: keywheel reads at most {FILE_BYTES_MAX} bytes of one file and \
         {TOTAL_BYTES_MAX} of all",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Names of files with arrows between.
struct Chain<'a>(&'a [PathBuf]);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let arrow = if index == 0 { "" } else { " → " };
            write!(f, "{arrow}{}", path.display())?;
        }
        Ok(())
    }
}

impl FollowError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { path, from: Some(_), source }
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                format!("make {}, or take the include away", path.display())
            }
            Self::Unreadable { .. } => {
                "name the main file of the running nginx (`nginx -V` shows --conf-path), and let \
                 keywheel's user read all that it includes"
                    .to_owned()
            }
            Self::NotAFile { .. } => "include files; a folder's with `folder/*.conf`".to_owned(),
            Self::Syntax { error, .. } => error.fault.remedy().to_owned(),
            Self::Cycle { .. } => "take one of these includes away".to_owned(),
            Self::TooDeep { .. } | Self::TooManyFiles { .. } => {
                "see whether files include each other, and include fewer".to_owned()
            }
            Self::TooLarge { .. } => {
                "move large tables out of the configuration, or see whether a wrong file is \
                 included"
                    .to_owned()
            }
        }
    }
}
