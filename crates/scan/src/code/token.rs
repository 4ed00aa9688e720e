//! The tokens of a program: what the lexer makes and everything else reads. Brackets know their
//! mates, so that whoever reads may step over what they hold.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name or keyword, with its sigils (`$key`, `@key`), and with its namespace in PHP.
    Word,
    /// A number.
    Number,
    /// A whole string without interpolation, with its quotes.
    Str,
    /// A symbol of Ruby, with its colon.
    Symbol,
    /// The text between the interpolations of a string.
    Fragment,
    /// A regular expression.
    Regex,
    /// An operator or a separator.
    Op,
    /// `(`, `[`, `{`, the quote that opens a string with interpolation, or its `${`.
    Open,
    /// What closes one of these.
    Close,
}

/// One token.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// The offset of its first byte.
    pub start: u32,
    /// The offset past its last byte.
    pub end: u32,
    /// For a bracket (and the words that open and end a block of Ruby) its other half; else itself.
    pub mate: u32,
    /// What it is.
    pub kind: Kind,
    /// Whether it is the first one of its line.
    pub starts_line: bool,
    /// How many bytes of quotes stand before the text of a string; of a name, whether it has sigils
    /// or a namespace.
    pub quote: u8,
    /// Whether space stands before it.
    pub spaced: bool,
}

/// The tokens of one file.
pub struct Tokens<'a> {
    /// The text of the file.
    pub text: &'a str,
    /// In their order.
    pub all: Vec<Token>,
    /// The texts of here-documents: the token that announces one, and where its text stands.
    pub bodies: Vec<(usize, usize, usize)>,
}

impl<'a> Tokens<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// One of them.
    #[inline]
    pub fn at(&self, index: usize) -> Option<Token> {
        self.all.get(index).copied()
    }

    /// Its text; that of a token which does not exist is empty.
    #[inline]
    pub fn text(&self, index: usize) -> &'a str {
        let Some(token) = self.all.get(index) else { return "" };
        self.text.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    /// The text before `index`.
    pub fn before(&self, index: usize) -> &'a str {
        index.checked_sub(1).map_or("", |before| self.text(before))
    }

    /// What it is.
    #[inline]
    pub fn kind(&self, index: usize) -> Option<Kind> {
        self.all.get(index).map(|token| token.kind)
    }

    /// Whether it is a name.
    #[inline]
    pub fn is_word(&self, index: usize) -> bool {
        self.kind(index) == Some(Kind::Word)
    }

    /// Whether it is an operator or bracket with this text.
    #[inline]
    pub fn is(&self, index: usize, text: &str) -> bool {
        self.all.get(index).is_some_and(|token| {
            matches!(token.kind, Kind::Op | Kind::Open | Kind::Close)
                && token.end.saturating_sub(token.start) as usize == text.len()
                && (token.start as usize..)
                    .zip(text.bytes())
                    .all(|(at, byte)| self.text.as_bytes().get(at) == Some(&byte))
        })
    }

    /// Whether it is the first one of its line.
    pub fn starts_line(&self, index: usize) -> bool {
        self.all.get(index).is_none_or(|token| token.starts_line)
    }

    /// The other half of a bracket, where it has one.
    pub fn mate(&self, index: usize) -> Option<usize> {
        let token = self.all.get(index)?;
        let mate = token.mate as usize;
        (mate != index).then_some(mate)
    }

    /// The token after this one, or after what it opens.
    pub fn past(&self, index: usize) -> usize {
        match (self.kind(index), self.mate(index)) {
            (Some(Kind::Open | Kind::Word), Some(mate)) if mate > index => mate.saturating_add(1),
            _ => index.saturating_add(1),
        }
    }

    /// The text of a string without its quotes, of a symbol without its colon.
    pub fn string(&self, index: usize) -> Option<&'a str> {
        let token = self.all.get(index)?;
        let quote = usize::from(token.quote);
        match token.kind {
            Kind::Str => {
                if let Ok(at) = self.bodies.binary_search_by_key(&index, |body| body.0) {
                    let (_, start, end) = self.bodies.get(at).copied()?;
                    return self.text.get(start..end);
                }
                let end = (token.end as usize).checked_sub(quote.min(3))?;
                let end =
                    if self.text(index).starts_with('%') { token.end as usize - 1 } else { end };
                self.text.get((token.start as usize).saturating_add(quote)..end)
            }
            Kind::Symbol => {
                Some(self.text(index).trim_start_matches(':').trim_matches(['"', '\'']))
            }
            _ => None,
        }
    }

    /// A name without sigil and namespace.
    #[inline]
    pub fn name(&self, index: usize) -> &'a str {
        let word = self.text(index);
        // Nearly every name is plain.
        let is_plain = |token: &Token| token.kind == Kind::Word && token.quote == 0;
        if self.all.get(index).is_some_and(is_plain) {
            return word;
        }
        let from = word.bytes().rposition(|byte| byte == b'\\').map_or(0, |at| at + 1);
        let word = word.get(from..).unwrap_or(word);
        word.trim_start_matches(['$', '@', '#'])
    }
}
