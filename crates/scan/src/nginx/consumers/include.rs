//! What a configuration includes, and within which blocks: what is said in a file that is included
//! within a `map` are entries of that map.

/// More includes of one file are not followed.
pub(super) const INCLUDES_MAX: usize = 1_000;

/// Blocks whose names readers are told; what else stands in front of a brace may be of users.
const NAMES: &[&str] =
    &["http", "stream", "server", "location", "upstream", "geo", "types", "limit_except", "if"];

/// An open block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Block {
    /// `map` with its source and its target.
    Map(String, String),
    /// One of this name; empty where it is none that nginx has.
    Named(&'static str),
}

impl Block {
    pub(super) fn named(name: &str) -> Self {
        Self::Named(NAMES.iter().find(|known| **known == name).copied().unwrap_or_default())
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Map(..) => "map",
            Self::Named(name) => name,
        }
    }
}

/// An `include`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Include {
    /// What is included: a path, or a pattern of some.
    pub(crate) pattern: String,
    /// The line of the directive.
    pub(crate) line: u32,
    /// The blocks around it, outermost first.
    pub(crate) blocks: Vec<Block>,
}

/// Where the text of a file stands in a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// The blocks around it, outermost first.
    pub(crate) blocks: Vec<Block>,
    /// Who includes it, in words.
    pub(crate) via: Option<String>,
}

impl Around {
    /// The place of a file that another one includes, whose path is shown so.
    pub(crate) fn of(include: &Include, includer: &str) -> Self {
        let names = include.blocks.iter().map(Block::name).filter(|name| !name.is_empty());
        let names: Vec<&str> = names.collect();
        let within = if names.is_empty() { "" } else { " in " };
        let via = format!("{includer}:{} includes it{within}{}", include.line, names.join(", "));
        Self { blocks: include.blocks.clone(), via: Some(via) }
    }

    /// The map whose entries the text is, if it is within one.
    pub(crate) fn map(&self) -> Option<&Block> {
        self.blocks.last().filter(|block| matches!(block, Block::Map(..)))
    }
}
