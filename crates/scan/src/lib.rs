//! Finds every place that consumes a key, and says of each whether it takes a new key while the
//! application runs. It reads code, configuration and a live database; it runs nothing of what it
//! reads, and no value of a secret leaves it.
//!
//! A file is read by the reader of its language ([`language`]), which says what it saw as *sites*
//! ([`site`]); [`join`] puts the sites of all files together by the names that they share, one
//! logical key each, and makes *findings* of them. What a reader knows of functions and libraries
//! stands in tables that users can extend ([`rules`]).
//!
//! [`nginx`] is also the only parser of nginx configurations in keywheel; whatever asks something
//! of one asks it here.

pub mod apache;
pub mod baseline;
pub mod code;
pub mod config;
#[cfg(feature = "database")]
pub mod database;
mod callers;
mod file;
pub mod finding;
pub mod gate;
pub mod ignores;
pub mod join;
pub mod language;
pub mod lines;
pub mod literal;
pub mod names;
pub mod nginx;
pub mod output;
mod projects;
pub mod purpose;
pub mod python;
mod quick;
pub mod reader;
pub mod report;
pub mod rules;
pub mod scan;
mod shapes;
pub mod site;
pub mod source;
mod spot;
pub mod sql;
pub mod walk;
