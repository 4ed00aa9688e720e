//! Reads Python: parses a file, gathers what stands in it, and follows each key from where it comes
//! to what uses it. Nothing is run, and no other file is opened: what functions of other files do
//! with a key comes in as rules.
//!
//! ```text
//! gate, plain      whether the text is worth it, by its names and those of the rules
//! parse, nesting   text → tree, or why not
//! scopes           tree → definitions, calls, literals, each with what becomes of it
//! resolve, table   a call → its full name and the rules about it
//! named            what an expression names: a text, a setting
//! flow             an expression → from where it comes, and whether it is read anew
//! loads, asked, copies, files, classes, declares  places that get a key
//! literals         keys that stand in the code
//! uses, compares, wraps  places that use one, through functions of the file too
//! timers, embedded timers that turn keys, SQL in strings
//! out              places → sites, with a reason and a remedy
//! ```

mod asked;
mod classes;
mod compares;
mod copies;
mod declares;
mod embedded;
mod files;
mod flow;
mod gate;
mod literals;
mod loads;
mod named;
mod nesting;
mod out;
mod parse;
mod plain;
mod resolve;
mod scopes;
mod shapes;
mod table;
mod timers;
mod uses;
mod words;
mod wraps;

use crate::finding::Does;
use crate::rules::Rules;
use crate::site::{Sites, Speaks, Unreadable};
use crate::source::SourceFile;
pub(crate) use gate::{may_load, words_of_keys};
use out::Out;
use resolve::Names;
pub(crate) use table::Index;
use wraps::Wraps;

/// The rules about Python that come with keywheel.
pub const TABLE: &str = include_str!("../../rules/python.toml");

/// Says what a file of Python gets, holds and uses of keys.
///
/// # Errors
/// When it is not Python 3, or is nested too deeply to be read.
pub fn read(file: &SourceFile<'_>, rules: &Rules, sites: &mut Sites) -> Result<(), Unreadable> {
    (sites.speaks, sites.calls) = gate::speaks(file.text, rules.python(), !rules.leaves_passwords);
    if sites.speaks != Speaks::OfKeys {
        return Ok(());
    }
    let module = parse::parse(file)?;
    let with_strings = embedded::may_hold(file.text);
    let names = Names::new(scopes::gather(&module, with_strings), rules.python());
    sites.calls = Some(names.called());
    let mut out = Out::new(file, sites);
    let mut wraps = Wraps::default();
    places(&names, &mut out, &mut wraps);
    wraps::follow(&names, &mut out, &mut wraps);
    rest(&names, &mut out);
    wraps::export(&names, &mut out, &wraps);
    Ok(())
}

/// The places that rules tell.
fn places(names: &Names<'_>, out: &mut Out<'_>, wraps: &mut Wraps) {
    for (scope, field) in &names.scopes.fields {
        classes::field(names, out, *scope, field);
    }
    for placed in &names.scopes.calls {
        let (rules, callee) = names.rules(placed.node, placed.scope);
        if embedded::function(names, out, placed) {
            continue;
        }
        let is_use = uses::at(names, out, wraps, placed, &rules);
        let is_stranger = callee.function.is_none() && callee.class.is_none();
        let is_told = is_use || loads::at(names, out, wraps, placed, &rules);
        let has_rule = rules.iter().any(|rule| match rule {
            table::Rule::Sink(sink) => {
                sink.certain && !sink.receiver || sink.does == Does::Authenticates
            }
            _ => false,
        });
        let is_shaped = !is_told
            && is_stranger
            && (uses::by_stranger(names, out, placed)
                || (!has_rule && shapes::at(names, out, wraps, placed))
                || (rules.is_empty()
                    && (shapes::made(names, out, placed) || shapes::handed(names, out, placed))));
        if !is_told && is_stranger && !is_shaped && !asked::at(names, out, placed) {
            loads::by_stranger(names, out, wraps, placed, &callee);
        }
        timers::at(names, out, placed, &rules);
        declares::at(names, out, placed);
        if !is_use {
            copies::arguments(names, out, placed);
        }
    }
    for placed in &names.scopes.compares {
        compares::at(names, out, placed);
    }
    for placed in &names.scopes.indexed {
        loads::indexed(names, out, wraps, placed);
    }
    for placed in &names.scopes.attributes {
        loads::attribute(names, out, placed);
    }
}

/// The places that need no rule; they come last, for what others have told is not told again.
fn rest(names: &Names<'_>, out: &mut Out<'_>) {
    for placed in &names.scopes.calls {
        shapes::own(names, out, placed);
        asked::own(names, out, placed);
    }
    for copy in &names.scopes.copies {
        copies::at(names, out, copy);
    }
    for placed in &names.scopes.choices {
        literals::fallback(names, out, placed);
    }
    for placed in &names.scopes.calls {
        literals::wrapped(names, out, placed);
    }
    for placed in &names.scopes.literals {
        literals::named(names, out, placed);
    }
    for scope in 0..names.scopes.all.len() {
        literals::returned(names, out, scope);
        shapes::cached(names, out, scope);
        shapes::defaults(names, out, scope);
    }
    embedded::strings(names, out);
    for placed in &names.scopes.dicts {
        timers::entry(names, out, placed);
    }
    timers::functions(names, out);
}
