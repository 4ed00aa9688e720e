//! What tells the languages apart for the lexer and for the reader of structure.

/// A language that this reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// JavaScript and TypeScript, with JSX.
    JavaScript,
    /// Ruby.
    Ruby,
    /// Go.
    Go,
    /// Java.
    Java,
    /// Kotlin.
    Kotlin,
    /// PHP.
    Php,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::JavaScript, Self::Ruby, Self::Go, Self::Java, Self::Kotlin, Self::Php];

    /// The language of a file by the end of its name, without the dot.
    ///
    /// ```
    /// use keywheel_scan::code::Dialect;
    /// assert_eq!(Dialect::of_extension("tsx"), Some(Dialect::JavaScript));
    /// assert_eq!(Dialect::of_extension("py"), None);
    /// ```
    pub fn of_extension(extension: &str) -> Option<Self> {
        Some(match extension {
            "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" | "njs" | "vue"
            | "svelte" => Self::JavaScript,
            "rb" | "rake" | "ru" | "gemspec" | "jbuilder" => Self::Ruby,
            "go" => Self::Go,
            "java" => Self::Java,
            "kt" | "kts" | "groovy" | "gradle" => Self::Kotlin,
            "php" | "phtml" | "inc" => Self::Php,
            _ => return None,
        })
    }

    /// The name of its table of rules.
    pub const fn table(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
            Self::Ruby => "ruby",
            Self::Go => "go",
            Self::Java | Self::Kotlin => "java",
            Self::Php => "php",
        }
    }

    /// Whether `//` begins a comment and `/*` one over several lines.
    pub const fn has_slash_comments(self) -> bool {
        !matches!(self, Self::Ruby)
    }

    /// Whether `#` begins a comment.
    pub const fn has_hash_comments(self) -> bool {
        matches!(self, Self::Ruby | Self::Php)
    }

    /// Whether a string in these quotes may go over several lines.
    pub const fn spans_lines(self, quote: u8) -> bool {
        match self {
            Self::Ruby | Self::Php => true,
            Self::JavaScript | Self::Go => quote == b'`',
            Self::Java | Self::Kotlin => false,
        }
    }

    /// Whether a statement ends with its line.
    pub const fn ends_with_line(self) -> bool {
        !matches!(self, Self::Java | Self::Php)
    }

    /// Whether regular expressions stand between slashes.
    pub const fn has_regex(self) -> bool {
        matches!(self, Self::JavaScript | Self::Ruby)
    }
}
