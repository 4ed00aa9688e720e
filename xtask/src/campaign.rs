//! `cargo xtask campaign` and `bench`: long programs of `keywheel-testkit` at full size, and one of
//! Python, whose Markdown is committed. What they check or measure is their own business; this file
//! names them, builds what they need, and puts the machine's description on top.

use std::fmt::Write as _;
use std::path::Path;

use crate::failure::Failure;
use crate::process::{self, Steps, cargo, git, output, run, stopwatch};
use crate::test::{Prepared, prepared};
use crate::{bench_python, bench_reencrypt, bench_scan};

/// A program whose report is committed.
struct Program {
    name: &'static str,
    /// What its report is about, as a heading.
    title: &'static str,
    /// Whether it drives the real `keywheel` binary.
    needs_binary: bool,
}

#[rustfmt::skip]
const CAMPAIGNS: &[Program] = &[
    Program { name: "model", title: "Model check", needs_binary: false },
    Program { name: "world", title: "Simulated world", needs_binary: false },
    Program { name: "kill", title: "Kill campaign", needs_binary: true },
];

#[rustfmt::skip]
const BENCHES: &[Program] = &[
    Program { name: "watchers", title: "10,000 watching consumers", needs_binary: false },
    Program { name: "rings", title: "100,000 rings", needs_binary: false },
    Program { name: "rotation", title: "Commit to proof, 100 instances", needs_binary: false },
    Program { name: "server", title: "Start-up time and idle memory", needs_binary: false },
    Program { name: "report", title: "A proof report", needs_binary: false },
    Program { name: "tokens", title: "Verifying and making tokens", needs_binary: false },
    Program { name: "authz", title: "nginx and /authz", needs_binary: false },
    Program { name: "seal", title: "Sealing and committing", needs_binary: false },
    Program { name: "revocation", title: "Was it revoked?", needs_binary: false },
    Program { name: bench_python::NAME, title: "Tokens from Python", needs_binary: false },
    Program { name: bench_scan::NAME, title: "Scanner", needs_binary: false },
    Program { name: bench_reencrypt::NAME, title: "Re-encryption", needs_binary: false },
];

/// The verifiers of others with the times that they have by themselves: a test of the command line
/// at full length, about a quarter of an hour, and not a program of the testkit.
const JWKS: &str = "jwks";

fn jwks(root: &Path) -> Result<(), Failure> {
    let started = stopwatch();
    let mut steps = Steps::default();
    let Some(Prepared { venv, node }) = prepared(root, &mut steps)? else {
        return steps.finish();
    };
    let mut command = cargo(root);
    command.env("KEYWHEEL_VENV", &venv).env("KEYWHEEL_NODE", &node);
    command.env("KEYWHEEL_JWKS_DEFAULTS", "1");
    command.args(["test", "--locked", "--package", "keywheel", "--test", "jwks_clients"]);
    run(command.args(["--", "--nocapture"]))?;
    println!("campaign {JWKS}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// The scanner against labels that people made. The labels are here, the texts are not: they are
/// other people's, and stand in a folder that the variable names.
const SCAN: &str = "scan";
const SCAN_TEXTS: &str = "KEYWHEEL_SCAN_TEXTS";

/// Replaces the figures in docs/campaigns/scan.md; what people say of them stays.
fn scan(root: &Path) -> Result<(), Failure> {
    let started = stopwatch();
    let Some(texts) = std::env::var_os(SCAN_TEXTS) else {
        return Err(Failure::usage(format!(
            "{SCAN_TEXTS} must name the folder with the texts that crates/scan/corpus speaks of"
        )));
    };
    let labels = root.join("crates/scan/corpus");
    let against = |labels: &Path, half: &[&str]| {
        let mut command = cargo(root);
        command.args(["run", "--locked", "--release", "--package", "keywheel-scan"]);
        command.args(["--example", "evaluate", "--"]).args([labels, Path::new(&texts)]);
        output(command.args(half)).map(|table| table.trim_end().to_owned())
    };
    let unseen = against(&labels.join("unseen"), &[])?;
    let (first, second) = (against(&labels, &["first"])?, against(&labels, &["second"])?);
    let machine = machine(root)?;
    let header = header(&machine, &format!("{SCAN_TEXTS}=… cargo xtask campaign {SCAN}"));
    let body = format!(
        "## Set W: not seen before\n\n{header}\n{unseen}\n\n\
         ## Sets A to V: with which the rules were made\n\n\
         The first half of the repositories:\n\n{first}\n\nThe second half:\n\n{second}"
    );
    let path = root.join("docs/campaigns/scan.md");
    let before = std::fs::read_to_string(&path)
        .unwrap_or_else(|_| "# Campaign: the scanner against labels\n".to_owned());
    write(&path, &with_section(&before, &format!("campaign:{SCAN}"), &body))?;
    println!("campaign {SCAN}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs the named campaigns, or all of them, and writes `docs/campaigns/NAME.md`. The one of the
/// verifiers writes nothing: it passes, or says who refused what. That of the scanner needs texts
/// that are not here, and runs only by its name.
pub(crate) fn campaign(root: &Path, names: &[&str]) -> Result<(), Failure> {
    if names == [SCAN] {
        return scan(root);
    }
    if names.is_empty() || names.contains(&JWKS) {
        jwks(root)?;
        if names == [JWKS] {
            return Ok(());
        }
    }
    let names: Vec<&str> = names.iter().copied().filter(|name| *name != JWKS).collect();
    let names = names.as_slice();
    let programs = chosen("campaign", CAMPAIGNS, names)?;
    let machine = machine(root)?;
    for program in programs {
        let started = stopwatch();
        let report = report(root, "campaign", program, &["--scale", "full"])?;
        let again = format!("cargo xtask campaign {}", program.name);
        let text = format!("# {}\n\n{}\n{}", program.title, header(&machine, &again), report);
        write(&root.join("docs/campaigns").join(format!("{}.md", program.name)), &text)?;
        println!("campaign {}: {:.0} s", program.name, started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Runs the named benchmarks, or all of them, and replaces their sections of docs/benchmarks.md.
pub(crate) fn bench(root: &Path, names: &[&str]) -> Result<(), Failure> {
    let programs = chosen("benchmark", BENCHES, names)?;
    crate::machine::packages()?;
    let machine = machine(root)?;
    let path = root.join("docs/benchmarks.md");
    for program in programs {
        let report = match program.name {
            bench_python::NAME => bench_python::report(root)?,
            bench_scan::NAME => bench_scan::report(root)?,
            bench_reencrypt::NAME => bench_reencrypt::report(root)?,
            _ => report(root, "bench", program, &[])?,
        };
        let again = format!("cargo xtask bench {}", program.name);
        let body = format!("## {}\n\n{}\n{}", program.title, header(&machine, &again), report);
        let before = std::fs::read_to_string(&path).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
        write(&path, &with_section(&before, &format!("bench:{}", program.name), &body))?;
        println!("docs/benchmarks.md: {} measured", program.name);
    }
    Ok(())
}

/// The programs that were asked for; all of them when none was.
fn chosen(
    what: &str,
    all: &'static [Program],
    names: &[&str],
) -> Result<Vec<&'static Program>, Failure> {
    if names.is_empty() {
        return Ok(all.iter().collect());
    }
    let find = |name: &&str| {
        all.iter().find(|program| program.name == *name).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|program| program.name).collect();
            Failure::usage(format!("there is no {what} `{name}`; there are: {}", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

/// Runs one program of the testkit and returns the Markdown that it wrote.
fn report(root: &Path, bin: &str, program: &Program, more: &[&str]) -> Result<String, Failure> {
    println!("==> {bin} {}", program.name);
    let mut command = cargo(root);
    if program.needs_binary {
        run(cargo(root).args(["build", "--locked", "--release", "--package", "keywheel"]))?;
        command.env("KEYWHEEL_BIN", process::target_dir(root)?.join("release/keywheel"));
    }
    command.env("KEYWHEEL_SCALE", "full");
    // What is measured is what is shipped; what only has to be fast need not take as long to build.
    let profile = if bin == "bench" { "dist" } else { "release" };
    command.args(["run", "--locked", "--profile", profile, "--package", "keywheel-testkit"]);
    command.args(["--bin", bin]);
    output(command.args(["--", program.name]).args(more))
}

/// What the reports say about their machine: enough to judge a figure, nothing that names it.
fn machine(root: &Path) -> Result<String, Failure> {
    let commit = output(git(root).args(["rev-parse", "--short=12", "HEAD"]))?;
    let edited = output(git(root).args(["status", "--porcelain", "--untracked-files=no"]))?;
    let edited = if edited.trim().is_empty() { "" } else { " with local changes" };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu_model(&cpu).unwrap_or("unknown processor");
    let rustc = output(std::process::Command::new("rustc").arg("--version"))?;
    let version = rustc.split_whitespace().nth(1).unwrap_or("of unknown version");
    Ok(format!("Commit {}{edited}; {cores} cores, {cpu}; Rust {version}.", commit.trim()))
}

/// The processor's name as the kernel tells it.
fn cpu_model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

fn header(machine: &str, again: &str) -> String {
    format!("{machine}\nWritten by `{again}`; do not edit.\n")
}

/// The document with one section replaced, or added at the end.
fn with_section(document: &str, name: &str, body: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let section = format!("{open}\n{}\n{close}\n", body.trim_end());
    let place = document.split_once(&open).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&close)?;
        Some((before, after.trim_start_matches('\n')))
    });
    let mut text = String::new();
    match place {
        Some((before, "")) => text.push_str(before),
        Some((before, after)) => {
            let _ = write!(text, "{before}{section}\n{after}");
            return text;
        }
        None => {
            let _ = writeln!(text, "{}\n", document.trim_end());
        }
    }
    text.push_str(&section);
    text
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let text = format!("{}\n", text.trim_end());
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)).map_err(|error| {
        Failure::machine(
            format!("{} cannot be written: {error}", path.display()),
            "check its permissions and the free space",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_added_and_then_replaced_in_its_place() {
        let first = with_section("# Benchmarks\n", "bench:a", "## A\n\none\n");
        let both = with_section(&first, "bench:b", "## B\n");
        let again = with_section(&both, "bench:a", "## A\n\ntwo\n");
        assert_eq!(
            again,
            "# Benchmarks\n\n<!-- bench:a -->\n## A\n\ntwo\n<!-- /bench:a -->\n\n\
             <!-- bench:b -->\n## B\n<!-- /bench:b -->\n"
        );
        assert_eq!(with_section(&again, "bench:b", "## B\n"), again);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let failure = chosen("campaign", CAMPAIGNS, &["modle"]).err().unwrap();
        assert_eq!(failure.cause, "there is no campaign `modle`; there are: model, world, kill");
    }

    #[test]
    fn the_processor_is_read_from_cpuinfo() {
        assert_eq!(
            cpu_model("processor : 0\nmodel name\t: Some CPU @ 2 GHz\n"),
            Some("Some CPU @ 2 GHz")
        );
        assert_eq!(cpu_model("processor : 0\n"), None);
    }
}
