//! Prints what the reader of Python sees in files, one line each, for work on its rules:
//! `python_sites FILE…`. With a number first, it reads them so many times and prints only how many
//! places there are, for a measurement from outside.

use std::io::Write;
use std::path::Path;

use keywheel_scan::python;
use keywheel_scan::rules::Rules;
use keywheel_scan::site::{Reaches, Sites};
use keywheel_scan::source::SourceFile;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let times = arguments.first().and_then(|first| first.parse::<usize>().ok());
    if times.is_some() {
        arguments.remove(0);
    }
    let mut rules = Rules::default();
    rules.add(python::TABLE)?;
    let mut texts = Vec::new();
    for path in &arguments {
        texts.push((path, String::from_utf8_lossy(&std::fs::read(path)?).into_owned()));
    }
    let mut out = std::io::stdout().lock();
    if let Some(times) = times {
        let mut count = 0;
        for _ in 0..times {
            for (path, text) in &texts {
                let file = SourceFile::new(Path::new(path), text);
                let mut sites = Sites::default();
                let _ = python::read(&file, &rules, &mut sites);
                count += sites.found.len();
            }
        }
        let bytes: usize = texts.iter().map(|(_, text)| text.len()).sum();
        writeln!(out, "{count} places, {} bytes", bytes * times)?;
        return Ok(());
    }
    let mut more = String::new();
    for (path, text) in &texts {
        let file = SourceFile::new(Path::new(path), text);
        let mut sites = Sites::default();
        let _ = python::read(&file, &rules, &mut sites);
        for wrapper in &sites.wrappers {
            let keywords = wrapper.keyword.iter().map(|name| format!("{name:?}"));
            let keywords = keywords.collect::<Vec<_>>().join(", ");
            let (name, at) = (&wrapper.function, wrapper.parameter);
            more += &match &wrapper.reaches {
                Reaches::Loader(source) => {
                    format!(
                        "[[table.source]]\ncall = \"*.{name}\"\nsetting = {at}\nfrom = \"{source}\"\n"
                    )
                }
                Reaches::Sink(_, does) => format!(
                    "[[table.sink]]\ncall = \"*.{name}\"\nkey = {at}\nkeywords = [{keywords}]\n\
                     does = \"{}\"\ncertain = false\n",
                    does.word()
                ),
            };
        }
    }
    rules.add(&format!("[[table]]\nlanguage = \"python\"\n{more}"))?;
    for (path, text) in &texts {
        let file = SourceFile::new(Path::new(path), text);
        let mut sites = Sites::default();
        if let Err(error) = python::read(&file, &rules, &mut sites) {
            writeln!(out, "{path}\tUNREADABLE\t{error}")?;
        }
        for site in &sites.found {
            writeln!(
                out,
                "{path}\t{}\t{}\t{}\t{}\t{}\t{:?}\t{}\t{}",
                site.at.line,
                site.kind,
                site.name.as_deref().unwrap_or("-"),
                site.class,
                site.scope.map_or("-", |scope| scope.word()),
                site.hot,
                site.source,
                site.reason,
            )?;
        }
        for wrapper in &sites.wrappers {
            let reaches = match &wrapper.reaches {
                Reaches::Loader(source) => format!("loads from {source}"),
                Reaches::Sink(name, _) => format!("reaches {name}"),
            };
            writeln!(out, "{path}\tWRAPPER\t{} {} {reaches}", wrapper.function, wrapper.parameter)?;
        }
    }
    Ok(())
}
