//! `keywheel scan`: every place that consumes a key, and whether it takes a new one while the
//! application runs. It needs no server and no configuration, runs nothing of what it reads, and
//! shows no value. What is found and how is decided in `keywheel-scan`; what a server may learn of
//! it, in `report.rs`.

use std::path::{Path, PathBuf};

use keywheel_core::id::{RingName, ScanName};
use keywheel_engine::ports::{Clock as _, Entropy as _};
use keywheel_scan::baseline::Baseline;
use keywheel_scan::ignores::Day;
use keywheel_scan::literal::Marker;
use keywheel_scan::output::{Form, render};
use keywheel_scan::reader::Readers;
use keywheel_scan::report::{FailOn, Note, Report};
use keywheel_scan::rules::Rules;
use keywheel_scan::scan::{Scan, ScanError, scan};
use keywheel_scan::walk::Roots;
use keywheel_store::{SystemClock, SystemEntropy};
use zeroize::Zeroizing;

use self::report::{About, Reporting};
use crate::console::REPORT;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;
use crate::progress::FilesBar;
use crate::remote::Remote;
use crate::show::Line;

mod database;
mod list;
mod report;
mod table;

/// The shortest key of fingerprints: with fewer bytes, somebody could try them all.
const FINGERPRINT_KEY_BYTES_MIN: usize = 16;

/// The arguments of `keywheel scan`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Files and folders; a file given by name is always read
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Reads the files that this file lists instead, one a line or ended by zero bytes; - is
    /// standard input
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    files_from: Option<PathBuf>,
    /// The form of the report; --json is the same as --format json
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Format::Table)]
    format: Format,
    /// Writes the report into a file instead
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Ends with exit code 7 for a finding of this sort outside tests: one at which a rotation
    /// would break something, a literal, or any
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Fails::None)]
    fail_on: Fails,
    /// Findings that this file knows do not count for --fail-on
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Writes all findings into such a file, over an older one
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Shows one key alone, by any of its names
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Rules of your own, besides those of keywheel; may be given again
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Files read at the same time. Default: one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Reports the passwords of databases, mail servers and users too
    #[arg(long)]
    passwords: bool,
    /// Shows each finding among tests, samples and examples
    #[arg(long)]
    tests: bool,
    /// Reads also what .gitignore and the like leave out, and the folders of dependencies
    #[arg(long)]
    no_ignore: bool,
    #[command(flatten)]
    live: Live,
    /// Makes fingerprints with the bytes of this file, so that those of two scans can be compared.
    /// Default: with a key that nobody has
    #[arg(long, value_name = "FILE")]
    fingerprint_key_file: Option<PathBuf>,
    #[command(flatten)]
    reported: Reported,
}

/// A database that is read too.
#[derive(clap::Args, Debug)]
struct Live {
    /// Reads a live PostgreSQL too: postgresql://user@host/database. The password comes from
    /// PGPASSWORD or ~/.pgpass; nothing is written, and no value leaves the server
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Connects to another machine even if the connection is not encrypted
    #[arg(long, requires = "database")]
    allow_plaintext: bool,
}

/// What the server is told of.
#[derive(clap::Args, Debug)]
struct Reported {
    /// Tells the server what was found; no value travels
    #[arg(long, requires = "name", conflicts_with = "fingerprint_key_file")]
    report: bool,
    /// The name of the code base, whose next report takes the place of this one
    #[arg(long, value_name = "NAME", requires = "report")]
    name: Option<ScanName>,
    /// Gives a key to a ring by its name, as in web=SECRET_KEY; `web` alone reports on the ring
    /// with the keys that are called like it. May be given again
    #[arg(long, value_name = "RING[=KEY]", requires = "report", value_parser = report::ring_of_key)]
    ring: Vec<(RingName, Option<String>)>,
    /// Which state of the code was scanned, for the report
    #[arg(long, value_name = "TEXT", requires = "report")]
    commit: Option<String>,
}

/// What a report looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Columns for people
    Table,
    /// Everything, as docs/reference/scan.schema.json says
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// A flow chart of Mermaid
    Mermaid,
    /// A graph of Graphviz
    Dot,
    /// One page
    Html,
}

impl Format {
    const fn form(self) -> Option<Form> {
        match self {
            Self::Table => None,
            Self::Json => Some(Form::Json),
            Self::Sarif => Some(Form::Sarif),
            Self::Mermaid => Some(Form::Mermaid),
            Self::Dot => Some(Form::Dot),
            Self::Html => Some(Form::Html),
        }
    }
}

/// For what the command fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Fails {
    Blocking,
    Hardcoded,
    Any,
    None,
}

impl From<Fails> for FailOn {
    fn from(fails: Fails) -> Self {
        match fails {
            Fails::Blocking => Self::Blocking,
            Fails::Hardcoded => Self::Hardcoded,
            Fails::Any => Self::Any,
            Fails::None => Self::None,
        }
    }
}

/// Scans and reports.
///
/// # Errors
/// When a path, a rule, an ignore or the baseline cannot be used. What was found is no error but
/// an exit code, and only if it was asked for.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    let reporting = if args.reported.report {
        Some(Reporting::begin(Remote::open(invocation)?)?)
    } else {
        None
    };
    let marker = match &reporting {
        Some(reporting) => reporting.marker(),
        None => marker(args.fingerprint_key_file.as_deref())?,
    };
    let mut report = make(invocation, args, marker)?;
    let told = reporting.as_ref().map(|reporting| tell(reporting, args, &report)).transpose()?;
    if let Some(path) = &args.write_baseline {
        write_baseline(path, &report)?;
    }
    if let Some(baseline) = &baseline {
        let gone = baseline.mark(&mut report);
        if gone > 0 && !invocation.global.quiet {
            let these = if gone == 1 { "finding is" } else { "findings are" };
            let says = format!("{gone} {these} in the baseline and no more in the code");
            invocation.console.warn(&format!("{says}; write it anew with --write-baseline"));
        }
    }
    if let Some(key) = &args.key {
        report.keep_key(key);
    }
    show(invocation, args, &report)?;
    if let Some(lines) = told.filter(|_| !invocation.console.json()) {
        invocation.console.lines(&lines)?;
    }
    if report.notes.iter().any(Note::is_error) {
        return Ok(Exit::Usage);
    }
    let fails = report.failing(args.fail_on.into()).next().is_some();
    Ok(if fails { Exit::Found } else { Exit::Done })
}

/// Scans, with a bar where somebody watches.
fn make(invocation: &Invocation, args: &Args, marker: Marker) -> Result<Report, Failure> {
    let base = std::env::current_dir()
        .map_err(|error| Failure::io("found", Path::new("the current folder"), &error))?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let listed = args.files_from.as_deref().map(list::read).transpose()?;
    let read_live = |url| database::read(url, args.live.allow_plaintext);
    let database = args.live.database.as_deref().map(read_live).transpose()?.unwrap_or_default();
    let what = Scan {
        roots: Roots {
            paths: listed.clone().unwrap_or_else(|| args.paths.clone()),
            base,
            respects_ignores: !args.no_ignore,
            are_listed: listed.is_some(),
        },
        threads: args.threads.map_or(cores, usize::from),
        passwords: args.passwords,
        today: today(),
        marker,
        rules: rules(&args.rules)?,
        readers: Readers::built_in(),
        also: database.read,
        also_notes: database.notes,
    };
    let bar = FilesBar::new(&invocation.console);
    // A reader that panics is a note; what it was looking at must not be told on standard error.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let report = scan(what, &|progress| bar.show(progress.done, progress.files));
    std::panic::set_hook(hook);
    bar.finish();
    report.map_err(|error| refused(&error))
}

/// Tells the server what was found.
fn tell(reporting: &Reporting, args: &Args, report: &Report) -> Result<Vec<Line>, Failure> {
    let Some(name) = &args.reported.name else { return Ok(Vec::new()) };
    let about = About {
        commit: args.reported.commit.clone(),
        left_out: u64::try_from(report.stats.dropped).unwrap_or(u64::MAX),
        ..About::default()
    };
    let reported =
        reporting.send(name, &report.findings, &about.with_rings(&args.reported.ring))?;
    Ok(report::lines(&reported))
}

fn refused(error: &ScanError) -> Failure {
    match error {
        ScanError::Walk(error) => Failure::io("read", &error.path, &error.source),
        ScanError::Ignores(..) => {
            let remedy =
                "each entry has paths, rules or keys, and a reason; see docs/how-to/scan.md";
            Failure::from_error(Exit::Usage, error, remedy)
        }
        ScanError::IgnoresUnreadable(path, source) => Failure::io("read", path, source),
        _ => Failure::from_error(Exit::Failed, error, "try again with --threads 1"),
    }
}

fn today() -> Day {
    let now = SystemClock.wall().to_timestamp().to_string();
    // In a year that is not written so, every ignore has ended.
    now.get(..10).and_then(Day::parse).unwrap_or(Day::LAST)
}

fn marker(path: Option<&Path>) -> Result<Marker, Failure> {
    let Some(path) = path else {
        let mut key = Zeroizing::new([0; 32]);
        SystemEntropy.fill(key.as_mut_slice());
        return Ok(Marker::new(key.as_slice()));
    };
    let key = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let key = Zeroizing::new(key);
    if key.len() < FINGERPRINT_KEY_BYTES_MIN {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} has fewer than {FINGERPRINT_KEY_BYTES_MIN} bytes", path.display()),
            format!("make one: head -c 32 /dev/urandom > {}", path.display()),
        ));
    }
    Ok(Marker::new(&key))
}

fn rules(paths: &[PathBuf]) -> Result<Rules, Failure> {
    let built_in = Rules::built_in();
    let mut rules = built_in.map_err(|error| Failure::failed(chain(&error), REPORT))?;
    for path in paths {
        let text =
            std::fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))?;
        rules.add(&text).map_err(|error| {
            let cause = format!("{}: {}", path.display(), chain(&error));
            Failure::new(Exit::Usage, cause, "see docs/how-to/scan.md for the form of rules")
        })?;
    }
    Ok(rules)
}

fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))?;
    Baseline::read(&text).map_err(|error| {
        let cause = format!("{}: {}", path.display(), chain(&error));
        let remedy = format!("write one: keywheel scan --write-baseline {}", path.display());
        Failure::new(Exit::Usage, cause, remedy)
    })
}

fn write_baseline(path: &Path, report: &Report) -> Result<(), Failure> {
    let text = Baseline::of(report).text();
    let text = text.map_err(|error| Failure::failed(chain(&error), REPORT))?;
    std::fs::write(path, text).map_err(|error| Failure::io("written", path, &error))
}

/// Shows the report, or writes it into the file that was named.
fn show(invocation: &Invocation, args: &Args, report: &Report) -> Result<(), Failure> {
    let format = if invocation.console.json() { Format::Json } else { args.format };
    let Some(form) = format.form() else {
        let detail = table::Detail {
            why: invocation.global.verbose > 0,
            tests: args.tests,
            summary_only: invocation.global.quiet,
        };
        let lines = table::lines(report, detail);
        return match &args.output {
            None => invocation.console.lines(&lines),
            Some(path) => {
                let text: String = lines.iter().map(|line| line.plain() + "\n").collect();
                std::fs::write(path, text).map_err(|error| Failure::io("written", path, &error))
            }
        };
    };
    let leaves_out = !args.tests && matches!(form, Form::Sarif | Form::Mermaid | Form::Dot);
    let alone = leaves_out.then(|| report.without_tests());
    let text = render(alone.as_ref().unwrap_or(report), form);
    let text = text.map_err(|error| Failure::failed(chain(&error), REPORT))?;
    match &args.output {
        None => invocation.console.bytes(text.as_bytes()),
        Some(path) => {
            std::fs::write(path, text).map_err(|error| Failure::io("written", path, &error))?;
            let told = table::summary(report);
            invocation.console.tell(&told.plain())
        }
    }
}
