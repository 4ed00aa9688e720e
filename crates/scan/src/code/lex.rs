//! Cuts a program into tokens in one pass. It knows comments, strings and what may stand within
//! them, and nothing of grammar. Whatever it meets, it goes on: a quote that is never closed is an
//! operator, and everything after it is read as if it were not there.

use super::dialect::Dialect;
use super::strings::Nest;
use super::token::{Kind, Token, Tokens};

/// How deep strings with interpolation may stand in each other.
pub(super) const NEST_MAX: usize = 64;

/// The state of the pass.
pub(super) struct Lexer<'a> {
    pub(super) dialect: Dialect,
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) all: Vec<Token>,
    /// Strings whose interpolation is being read.
    pub(super) nests: Vec<Nest>,
    /// Here-documents that begin after this line: token, name, and whether it may be indented.
    pub(super) waiting: Vec<(usize, &'a str)>,
    pub(super) bodies: Vec<(usize, usize, usize)>,
    /// Up to where no closing quote was found, for `"`, `'`, a backtick and `/`.
    pub(super) hopeless: [usize; 4],
    pub(super) no_here_documents: bool,
    starts_line: bool,
    spaced: bool,
    islands: Islands,
}

/// Where the program stands in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Islands {
    /// It is the file.
    None,
    /// Between `<?php` and `?>`.
    Php,
    /// In the `<script>` of a component.
    Script,
}

const OTHER: u8 = 0;
const SPACE: u8 = 1;
const LINE: u8 = 2;
const WORD: u8 = 3;
const DIGIT: u8 = 4;
const QUOTE: u8 = 5;
const OPEN: u8 = 6;
const CLOSE: u8 = 7;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut at = 0;
    while at < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it counts the values of a byte")]
        let byte = at as u8;
        let class = match byte {
            b' ' | b'\t' | b'\r' | 0x0b | 0x0c => SPACE,
            b'\n' => LINE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => WORD,
            b'0'..=b'9' => DIGIT,
            b'"' | b'\'' | b'`' => QUOTE,
            b'(' | b'[' | b'{' => OPEN,
            b')' | b']' | b'}' => CLOSE,
            _ => OTHER,
        };
        #[expect(clippy::indexing_slicing, reason = "the table has a place for each byte")]
        {
            table[at] = class;
        }
        at += 1;
    }
    table
}

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(OTHER)
}

/// Whether a name goes on with this byte.
pub(super) fn is_word(byte: u8) -> bool {
    matches!(class(byte), WORD | DIGIT)
}

/// The tokens of a text.
pub fn tokens(text: &str, dialect: Dialect, is_component: bool) -> Tokens<'_> {
    let islands = match dialect {
        Dialect::Php => Islands::Php,
        _ if is_component => Islands::Script,
        _ => Islands::None,
    };
    let mut lexer = Lexer {
        dialect,
        text,
        bytes: text.as_bytes(),
        at: 0,
        all: Vec::with_capacity(text.len() / 6),
        nests: Vec::new(),
        waiting: Vec::new(),
        bodies: Vec::new(),
        hopeless: [0; 4],
        no_here_documents: false,
        starts_line: true,
        spaced: true,
        islands,
    };
    if islands != Islands::None {
        lexer.skip_to_island();
    }
    lexer.run();
    Tokens { text, all: lexer.all, bodies: lexer.bodies }
}

impl<'a> Lexer<'a> {
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    pub(super) fn rest(&self, at: usize) -> &'a [u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    pub(super) fn push(&mut self, kind: Kind, start: usize, end: usize, quote: usize) {
        let number = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        self.all.push(Token {
            start: number(start),
            end: number(end),
            mate: number(self.all.len()),
            kind,
            starts_line: self.starts_line,
            quote: u8::try_from(quote).unwrap_or(u8::MAX),
            spaced: self.spaced,
        });
        self.starts_line = false;
        self.spaced = false;
        self.at = end;
    }

    fn run(&mut self) {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            match class(byte) {
                SPACE => {
                    self.spaced = true;
                    self.at += 1;
                }
                LINE => self.line_end(),
                WORD => self.word(self.at),
                DIGIT => self.number(),
                QUOTE => self.quote(byte),
                OPEN => {
                    if byte == b'{'
                        && let Some(nest) = self.nests.last_mut()
                    {
                        nest.braces += 1;
                    }
                    self.push(Kind::Open, self.at, self.at + 1, 0);
                }
                CLOSE => self.close(byte),
                _ => self.other(byte),
            }
        }
    }

    fn line_end(&mut self) {
        self.starts_line = true;
        self.spaced = true;
        self.at += 1;
        if !self.waiting.is_empty() {
            self.here_documents();
        }
        if self.dialect == Dialect::Ruby {
            let rest = self.rest(self.at);
            if rest.starts_with(b"=begin") {
                let end = memchr::memmem::find(rest, b"\n=end");
                self.at += end.map_or(rest.len(), |end| end + 5);
            } else if rest.starts_with(b"__END__") {
                self.at = self.bytes.len();
            }
        }
    }

    fn close(&mut self, byte: u8) {
        self.push(Kind::Close, self.at, self.at + 1, 0);
        if byte != b'}' {
            return;
        }
        let Some(nest) = self.nests.last_mut() else { return };
        if nest.braces > 0 {
            nest.braces -= 1;
        } else if let Some(nest) = self.nests.pop() {
            self.go_on(&nest);
        }
    }

    fn word(&mut self, start: usize) {
        let mut at = start;
        let mut is_plain = true;
        let (is_ruby, is_php) = (self.dialect == Dialect::Ruby, self.dialect == Dialect::Php);
        let may_have_dollars =
            matches!(self.dialect, Dialect::JavaScript | Dialect::Java | Dialect::Php);
        while let Some(byte) = self.bytes.get(at).copied() {
            let goes_on = is_word(byte)
                || (byte == b'$' && may_have_dollars)
                || (byte == b'\\' && is_php && is_word(self.byte(at + 1)));
            if !goes_on {
                break;
            }
            is_plain &= byte != b'\\';
            at += 1;
        }
        if is_ruby && matches!(self.byte(at), b'?' | b'!') && self.byte(at + 1) != b'=' {
            at += 1;
        }
        self.push(Kind::Word, start, at, usize::from(!is_plain));
    }

    fn number(&mut self) {
        let start = self.at;
        let mut at = start;
        while is_word(self.byte(at))
            || (self.byte(at) == b'.' && self.byte(at + 1).is_ascii_digit())
        {
            at += 1;
        }
        self.push(Kind::Number, start, at, 0);
    }

    fn other(&mut self, byte: u8) {
        let next = self.byte(self.at + 1);
        match byte {
            b'/' if self.dialect.has_slash_comments() && next == b'/' => self.line_comment(),
            b'/' if self.dialect.has_slash_comments() && next == b'*' => self.block_comment(),
            b'#' if self.dialect.has_hash_comments()
                && !(self.dialect == Dialect::Php && next == b'[') =>
            {
                self.line_comment();
            }
            b'#' if self.at == 0 && next == b'!' => self.line_comment(),
            b'/' if self.dialect.has_regex() && self.may_begin_regex() => self.regex(),
            b'$' | b'@' | b'#' | b'\\' if self.is_sigil(byte, next) => {
                self.word_with_sigil();
            }
            b':' if self.dialect == Dialect::Ruby && self.is_symbol(next) => self.symbol(next),
            b'<' if next == b'<' && self.may_be_here_document() => self.here_document(),
            b'%' if self.dialect == Dialect::Ruby && self.percent_string() => {}
            b'?' if next == b'>' && self.islands == Islands::Php => self.leave_island(2),
            b'<' if self.islands == Islands::Script
                && self.rest(self.at).starts_with(b"</script") =>
            {
                self.leave_island(8);
            }
            _ => self.operator(byte, next),
        }
    }

    fn is_sigil(&self, byte: u8, next: u8) -> bool {
        match (byte, self.dialect) {
            (b'$', Dialect::JavaScript | Dialect::Java) => true,
            (b'$', Dialect::Php | Dialect::Ruby)
            | (b'#', Dialect::JavaScript)
            | (b'\\', Dialect::Php) => is_word(next),
            (b'@', Dialect::Ruby) => is_word(next) || next == b'@',
            _ => false,
        }
    }

    fn word_with_sigil(&mut self) {
        let start = self.at;
        let mut at = start + 1;
        while self.byte(at) == b'@' {
            at += 1;
        }
        self.word(at);
        if let Some(token) = self.all.last_mut() {
            token.start = u32::try_from(start).unwrap_or(u32::MAX);
            token.quote = 1;
        }
    }

    fn line_comment(&mut self) {
        let rest = self.rest(self.at);
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        if self.islands == Islands::Php
            && let Some(close) = memchr::memmem::find(rest.get(..end).unwrap_or_default(), b"?>")
        {
            self.at += close;
            self.leave_island(2);
            return;
        }
        self.at += end;
    }

    fn block_comment(&mut self) {
        let rest = self.rest(self.at + 2);
        let length = memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2);
        let comment = rest.get(..length).unwrap_or_default();
        self.starts_line |= memchr::memchr(b'\n', comment).is_some();
        self.spaced = true;
        self.at += 2 + length;
    }

    fn operator(&mut self, byte: u8, next: u8) {
        let length = if next.is_ascii_punctuation() { self.operator_bytes(byte, next) } else { 1 };
        self.push(Kind::Op, self.at, self.at + length, 0);
    }

    fn operator_bytes(&self, byte: u8, next: u8) -> usize {
        let third = self.byte(self.at + 2);
        let is_javascript = self.dialect == Dialect::JavaScript;
        if OPERATORS_OF_THREE.contains(&&[byte, next, third]) {
            return 3;
        }
        let is_pair = match [byte, next] {
            [b'?', b'.'] => !third.is_ascii_digit(),
            [b'?', b':'] => !is_javascript,
            pair => OPERATORS_OF_TWO.contains(&&pair),
        };
        if is_pair { 2 } else { 1 }
    }

    fn leave_island(&mut self, skip: usize) {
        // A statement ends where the program does.
        self.push(Kind::Op, self.at, self.at + 1, 0);
        self.at += skip.saturating_sub(1);
        self.nests.clear();
        self.skip_to_island();
    }

    fn skip_to_island(&mut self) {
        let rest = self.rest(self.at);
        let (mark, is_php): (&[u8], _) = match self.islands {
            Islands::Php => (b"<?", true),
            _ => (b"<script", false),
        };
        self.starts_line = true;
        let Some(found) = memchr::memmem::find(rest, mark) else {
            self.at = self.bytes.len();
            return;
        };
        self.at += found + mark.len();
        let rest = self.rest(self.at);
        if is_php {
            let length =
                if rest.starts_with(b"php") { 3 } else { usize::from(rest.starts_with(b"=")) };
            self.at += length;
        } else {
            self.at += memchr::memchr(b'>', rest).map_or(rest.len(), |end| end + 1);
        }
    }

    /// Whether the last token is a value, so that what follows it is an operator.
    pub(super) fn follows_value(&self) -> bool {
        let Some(last) = self.all.last() else { return false };
        match last.kind {
            Kind::Op | Kind::Open | Kind::Fragment => false,
            Kind::Word => {
                let word = self.text.get(last.start as usize..last.end as usize);
                !word.is_some_and(|word| BEFORE_VALUES.contains(&word))
            }
            _ => true,
        }
    }
}

const OPERATORS_OF_THREE: &[&[u8; 3]] =
    &[b"===", b"!==", b"...", b"||=", b"&&=", b"??=", b"?->", b"<=>", b"**="];

const OPERATORS_OF_TWO: &[&[u8; 2]] = &[
    b"=>", b"->", b"::", b":=", b"||", b"&&", b"??", b"&.", b"==", b"!=", b"=~", b"+=", b"-=",
    b"*=", b".=", b"|=", b"<=", b">=", b"<<", b"<-", b"++", b"--", b"**", b"..", b"!!",
];

/// Keywords after which a value begins.
const BEFORE_VALUES: &[&str] = &[
    "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do",
    "await", "yield", "if", "unless", "when", "and", "or", "not", "while", "until", "elsif",
    "then",
];
