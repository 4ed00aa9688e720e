//! What people see: lines of toned text, tables, times, and how a ring stands. Nothing here writes;
//! the console and the live screen do.

mod columns;
pub mod ring;
pub mod style;
mod table;
mod text;
pub mod time;

pub use columns::columns;
pub use ring::gate_tone;
pub use table::Table;
pub use text::{Line, Piece, Tone, counted};
pub use time::{age, coarse, moment, until};
