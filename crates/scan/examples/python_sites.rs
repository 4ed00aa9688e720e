//! Prints what the reader of Python sees in files, one line each, for work on its rules:
//! `python_sites FILE…`. Functions that hand a key on are known to all of the files. With a number
//! first, it reads them so many times and prints only how many places there are, for a measurement
//! from outside.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use keywheel_scan::python;
use keywheel_scan::rules::Rules;
use keywheel_scan::site::{Reaches, Site, Sites, Wrapper};
use keywheel_scan::source::SourceFile;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let times = arguments.first().and_then(|first| first.parse::<usize>().ok());
    if times.is_some() {
        arguments.remove(0);
    }
    let mut rules = Rules::default();
    rules.add(python::TABLE)?;
    let mut texts = Vec::new();
    for path in arguments {
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        texts.push((path, text));
    }
    let mut out = std::io::stdout().lock();
    if let Some(times) = times {
        let count: usize = (0..times)
            .flat_map(|_| &texts)
            .map(|(path, text)| read(path, text, &rules).0.found.len())
            .sum();
        let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
        writeln!(out, "{count} places, {} bytes", bytes * times)?;
        return Ok(());
    }
    let mut more = "[[table]]\nlanguage = \"python\"\n".to_owned();
    for (path, text) in &texts {
        for wrapper in read(path, text, &rules).0.wrappers {
            writeln!(out, "{path}\tWRAPPER\t{}\t{}", wrapper.function, wrapper.parameter)?;
            rule_of(&wrapper, &mut more);
        }
    }
    rules.add(&more)?;
    for (path, text) in &texts {
        let (sites, error) = read(path, text, &rules);
        if let Some(error) = error {
            writeln!(out, "{path}\tUNREADABLE\t{error}")?;
        }
        for site in &sites.found {
            writeln!(out, "{path}\t{}", line_of(site))?;
        }
    }
    Ok(())
}

fn read(path: &str, text: &str, rules: &Rules) -> (Sites, Option<String>) {
    let file = SourceFile::new(Path::new(path), text);
    let mut sites = Sites::default();
    let error = python::read(&file, rules, &mut sites).err();
    (sites, error.map(|error| error.to_string()))
}

fn rule_of(wrapper: &Wrapper, more: &mut String) {
    let (name, at) = (&wrapper.function, wrapper.parameter);
    let _ = match &wrapper.reaches {
        Reaches::Loader(from) => writeln!(
            more,
            "[[table.source]]\ncall = \"*.{name}\"\nsetting = {at}\nfrom = \"{from}\""
        ),
        Reaches::Sink(_, does) => writeln!(
            more,
            "[[table.sink]]\ncall = \"*.{name}\"\nkey = {at}\nkeywords = [{:?}]\ndoes = \"{does}\"\n\
             certain = false",
            wrapper.keyword.as_deref().unwrap_or(name)
        ),
    };
}

fn line_of(site: &Site) -> String {
    format!(
        "{}\t{}\t{}\t{}\t{}\t{:?}\t{}\t{}\t{}",
        site.at.line,
        site.kind,
        site.name.as_deref().unwrap_or("-"),
        site.class,
        site.scope.map_or("-", |scope| scope.word()),
        site.hot,
        site.source,
        site.rule,
        site.reason,
    )
}
