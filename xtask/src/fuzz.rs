//! `cargo xtask fuzz`: libFuzzer on the stable toolchain, without sanitizers.
//!
//! The compiler's own coverage pass is switched on by flags, and only for the target's platform, so
//! that build scripts and procedural macros stay as they are. The targets live in `fuzz/src/bin`;
//! each brings its own seeds.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;
use crate::process::{cargo, output, run as run_program, succeeds};

/// How long one target is fuzzed unless the caller says otherwise.
const DEFAULT_SECS: u32 = 20;

/// Switches on the coverage that libFuzzer reads. `--cfg fuzzing` is the usual mark of such builds.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// How long a target is fuzzed by [`briefly`].
const BRIEF_SECS: u32 = 8;

/// Fuzzes the named target, or all of them.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), Failure> {
    let all = targets(root)?;
    let (names, secs) = asked(&all, words)?;
    let programs = build(root, &[])?;
    fuzz_all(root, &programs, names, secs)
}

/// Fuzzes all targets for as long as shows that each runs and reaches far. Most of the time goes
/// into the build, so that is less optimised.
pub(crate) fn briefly(root: &Path) -> Result<(), Failure> {
    let programs = build(root, &["--config", "profile.release.opt-level=1"])?;
    fuzz_all(root, &programs, targets(root)?, BRIEF_SECS)
}

/// Fuzzes as many targets at a time as there are cores.
fn fuzz_all(root: &Path, programs: &Path, names: Vec<String>, secs: u32) -> Result<(), Failure> {
    let queue = Mutex::new(names.into_iter().collect::<VecDeque<String>>());
    let failures = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(name) = next(&queue) {
                    if let Err(failure) = fuzz(root, programs, &name, secs) {
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    for failure in failures.iter().skip(1) {
        eprintln!("{failure}");
    }
    failures.into_iter().next().map_or(Ok(()), Err)
}

fn next(queue: &Mutex<VecDeque<String>>) -> Option<String> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

/// The targets' names, from their files.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let folder = root.join("fuzz/src/bin");
    let entries = std::fs::read_dir(&folder).map_err(|error| {
        Failure::found(
            format!("{} cannot be read: {error}", folder.display()),
            "restore the folder from the repository",
        )
    })?;
    let names = entries.flatten().filter_map(|entry| {
        let path = entry.path();
        let rust = path.extension().is_some_and(|extension| extension == "rs");
        rust.then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    Ok(names)
}

/// Which targets, and for how long.
fn asked(all: &[String], words: &[&str]) -> Result<(Vec<String>, u32), Failure> {
    let (name, secs) = match words {
        [] => (None, None),
        [name] => (Some(*name), None),
        [name, secs] => (Some(*name), Some(*secs)),
        _ => return Err(Failure::usage("`fuzz` takes a target and a number of seconds")),
    };
    let names = match name {
        None => all.to_vec(),
        Some(name) if all.iter().any(|known| known == name) => vec![name.to_owned()],
        Some(name) => {
            let known = all.join(", ");
            let cause = format!("there is no fuzz target `{name}`; there are: {known}");
            return Err(Failure::usage(cause));
        }
    };
    let secs = secs.map_or(Ok(DEFAULT_SECS), str::parse);
    let secs = secs.map_err(|_| Failure::usage("the time to fuzz is a whole number of seconds"))?;
    Ok((names, secs))
}

/// Builds all targets with coverage and returns the folder of the programs.
fn build(root: &Path, more: &[&str]) -> Result<PathBuf, Failure> {
    let about = output(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let target = root.join("fuzz/target");
    let mut command = cargo(root);
    command.env("RUSTFLAGS", COVERAGE).env("CARGO_TARGET_DIR", &target);
    command.args([
        "build",
        "--locked",
        "--quiet",
        "--release",
        "--manifest-path",
        "fuzz/Cargo.toml",
    ]);
    run_program(command.args(["--bins", "--target", host]).args(more))?;
    Ok(target.join(host).join("release"))
}

/// Fuzzes one target. A finding is reported with the bytes that cause it.
fn fuzz(root: &Path, programs: &Path, name: &str, secs: u32) -> Result<(), Failure> {
    let corpus = folder(root.join("fuzz/corpus").join(name))?;
    let artifacts = format!("fuzz/artifacts/{name}/");
    folder(root.join(&artifacts))?;
    let program = programs.join(name);
    if !succeeds(Command::new(&program).env("KEYWHEEL_FUZZ_SEEDS", &corpus)) {
        return Err(Failure::found(
            format!("the fuzz target {name} could not write its seeds"),
            format!("run it with KEYWHEEL_FUZZ_SEEDS={} to see why", corpus.display()),
        ));
    }
    let dictionary = corpus.with_extension("dict");
    write_dictionary(&corpus, &dictionary)?;
    let mut command = Command::new(&program);
    command.current_dir(root).env("RUST_BACKTRACE", "0");
    command.arg(format!("-max_total_time={secs}"));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=8192", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={artifacts}")).arg(&corpus);
    command.arg(format!("-dict={}", dictionary.display()));
    let ended = command.stdin(Stdio::null()).output().map_err(|error| {
        Failure::machine(format!("`{}` cannot be started: {error}", program.display()), "build it")
    })?;
    let log = String::from_utf8_lossy(&ended.stderr);
    if !ended.status.success() {
        return Err(finding(root, name, &log));
    }
    if !log.contains("inline 8-bit counters") {
        return Err(Failure::found(
            format!("the fuzz target {name} was built without coverage"),
            "see the flags in xtask/src/fuzz.rs; this compiler may have renamed the pass",
        ));
    }
    println!("{name}: {}", summary(&log));
    Ok(())
}

/// Writes the words that stand in quotes in the seeds as libFuzzer's dictionary, so that field
/// names and variants need not be guessed letter by letter.
fn write_dictionary(corpus: &Path, dictionary: &Path) -> Result<(), Failure> {
    let unusable = |error: std::io::Error| {
        Failure::machine(
            format!("{} cannot be used: {error}", corpus.display()),
            "remove the folder; it is made again",
        )
    };
    let mut words = BTreeSet::new();
    for entry in std::fs::read_dir(corpus).map_err(unusable)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("seed-") {
            let seed = std::fs::read(entry.path()).map_err(unusable)?;
            words.extend(quoted(&String::from_utf8_lossy(&seed)));
        }
    }
    let lines: Vec<String> = words.iter().map(|word| format!(r#""\"{word}\"""#)).collect();
    std::fs::write(dictionary, lines.join("\n") + "\n").map_err(unusable)
}

/// The plain words between quotes.
fn quoted(text: &str) -> Vec<String> {
    let plain = |word: &&str| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
        !word.is_empty() && word.len() <= 64 && word.chars().all(fits)
    };
    text.split('"').skip(1).step_by(2).filter(plain).map(str::to_owned).collect()
}

/// Runs and coverage, from libFuzzer's own last words.
fn summary(log: &str) -> String {
    let runs = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let covered = log.lines().rev().find_map(|line| line.split_once(" cov: ")?.1.split(' ').next());
    format!("{} runs, {} edges", runs.unwrap_or("?").trim(), covered.unwrap_or("?"))
}

/// The report of a crash: what was said, and the input that says it again.
fn finding(root: &Path, name: &str, log: &str) -> Failure {
    let file = log.lines().find_map(|line| line.split_once("Test unit written to "));
    let file = file.map_or("", |(_, file)| file.trim());
    let bytes = std::fs::read(root.join(file)).unwrap_or_default();
    Failure::found(
        format!(
            "the fuzz target {name} found an input that it cannot stand:\n{}\n\
             input ({} bytes): b\"{}\"",
            said(log),
            bytes.len(),
            bytes.escape_ascii()
        ),
        format!("make the input (kept in {file}) a test case beside the code, and mend the code"),
    )
}

/// The few lines of a log that say what went wrong: the panic, or libFuzzer's own verdict.
fn said(log: &str) -> String {
    let telling = |line: &&str| line.contains("panicked at") || line.contains("ERROR: libFuzzer");
    let from = log.lines().position(|line| telling(&line)).unwrap_or_default();
    log.lines().skip(from).take(4).collect::<Vec<_>>().join("\n")
}

fn folder(path: PathBuf) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(&path).map_err(|error| {
        Failure::machine(format!("{} cannot be made: {error}", path.display()), "free the disk")
    })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_and_its_time_are_read() {
        let all = ["names".to_owned(), "span".to_owned()];
        assert_eq!(asked(&all, &[]).unwrap(), (all.to_vec(), 20));
        assert_eq!(asked(&all, &["span", "5"]).unwrap(), (vec!["span".to_owned()], 5));
        assert!(asked(&all, &["spam"]).is_err());
        assert!(asked(&all, &["span", "long"]).is_err());
    }

    #[test]
    fn a_finding_starts_with_the_panic() {
        let log = "#2 INITED\nthread '<unnamed>' panicked at src/a.rs:1:2:\nleft: 1\nright: 2\n\
                   note: x\n==1== ERROR: libFuzzer: deadly signal\n";
        assert!(said(log).starts_with("thread '<unnamed>' panicked at src/a.rs:1:2:\nleft: 1"));
    }

    #[test]
    fn the_dictionary_holds_plain_words_in_quotes() {
        assert_eq!(
            quoted("{\"kind\":\"secret\",\"why\":\"a b\",\"x\":1}"),
            ["kind", "secret", "why", "x"]
        );
    }

    #[test]
    fn the_summary_comes_from_the_last_line_with_coverage() {
        let log = "#2 INITED cov: 3 ft: 3\n#9 NEW    cov: 12 ft: 30 corp: 2\n\
                   stat::number_of_executed_units: 900\n";
        assert_eq!(summary(log), "900 runs, 12 edges");
    }
}
