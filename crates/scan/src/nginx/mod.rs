//! The configuration language of nginx: what a file says, with the place of every word, and which
//! files a configuration is made of.
//!
//! [`consumers`] says what in a configuration holds or uses a key, [`lint`] what may be wrong with
//! it.
//!
//! The language is read as nginx reads it (`ngx_conf_read_token`), including its corners: a quote
//! within a bare word is a letter, `${` does not open a block, and `}` may end a bare word's text.
//! What a directive *means* is left to whoever asks. Nothing here runs nginx.
//!
//! Configurations hold secrets. Words and texts are erased when dropped, and no error and no
//! `Debug` shows more of them than a directive's name.

pub mod consumers;
mod error;
mod follow;
mod glob;
mod lex;
pub mod lint;
mod tree;

pub use error::{At, FollowError, SyntaxError, SyntaxFault};
pub use follow::{
    Configuration, FILE_BYTES_MAX, FILES_MAX, File, INCLUDE_DEPTH_MAX, Include, TOTAL_BYTES_MAX,
    Unread, follow, follow_without,
};
pub use glob::{escaped_path, matches};
pub use lex::{Lexer, Quote, Span, Token, TokenKind, Word, quoted};
pub use tree::{BLOCK_DEPTH_MAX, Body, Directive, parse, walk};
