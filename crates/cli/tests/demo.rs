//! The demonstration, smaller, without a terminal: what it must show, and that it leaves nothing
//! behind, however it ends.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const GONE_WITHIN: Span = Span::from_secs(180);

/// The demonstration with a folder for its temporary files, which must be empty afterwards.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywheel"));
    command.args(["demo", "--quick"]).args(arguments);
    command.env("TMPDIR", folder).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The processes that were told of a file in this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command_line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command_line = String::from_utf8_lossy(&command_line).replace('\0', " ");
        if command_line.contains(folder) {
            found.push(command_line);
        }
    }
    found
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// Starts the demonstration and waits until it says this.
fn started(folder: &Path, words: &str) -> Child {
    let mut command = demo(folder, &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(words)), "it ended before it said: {words}");
    // Whatever else it says must not block it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn four_rotations_lose_no_request_and_show_what_they_must() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["passed"], true, "{summary:#}");
    assert_eq!(summary["load"]["failed"], 0, "{summary:#}");
    assert!(summary["load"]["requests"].as_u64().unwrap() >= 1_000, "{summary:#}");
    assert!(summary["load"]["checked_again"].as_u64().unwrap() > 0, "{summary:#}");
    let rotations = summary["rotations"].as_array().unwrap();
    assert_eq!(rotations.len(), 4);
    let seen: Vec<&str> = rotations
        .iter()
        .flat_map(|rotation| rotation["observations"].as_array().unwrap())
        .inspect(|one| assert_eq!(one["seen"], true, "{summary:#}"))
        .map(|one| one["expected"].as_str().unwrap())
        .collect();
    for expected in [
        "the gate named billing-4",
        "the gate held",
        "became primary again",
        "were accepted after the rollback",
        "the server was killed in mid-rotation",
        "no version was lost or doubled",
    ] {
        assert!(seen.iter().any(|seen| seen.contains(expected)), "{expected}: {seen:?}");
    }
    for (rotation, stages) in rotations.iter().zip([6, 6, 7, 6]) {
        let times = rotation["stages_millis"].as_object().unwrap();
        assert_eq!(times.values().filter(|time| time.is_u64()).count(), stages, "{summary:#}");
    }
    assert!(is_empty(folder.path()));
    assert_eq!(processes_of(folder.path()), Vec::<String>::new());
}

#[test]
fn a_swap_in_one_step_fails_before_everybodys_eyes() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path(), &["--naive", "--rotations", "1"]).output().unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("failed: "), "{text}");
    assert!(text.contains("signed with key-2, but this process has key-1"), "{text}");
    assert!(text.contains("swap 1 cost"), "{text}");
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(!line("one-step swap ").ends_with(" 0 failed"), "{text}");
    assert!(line("keywheel ").ends_with(" 0 failed"), "{text}");
    assert!(is_empty(folder.path()));
}

#[test]
fn an_interrupted_demonstration_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = started(folder.path(), "SIGSTOP");
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(processes_of(folder.path()), Vec::<String>::new());
    assert!(is_empty(folder.path()));
}

#[test]
fn processes_end_with_a_demonstration_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = started(folder.path(), "SIGSTOP");
    assert!(!processes_of(folder.path()).is_empty());
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    let deadline = boot_time().after(GONE_WITHIN);
    while !processes_of(folder.path()).is_empty() {
        assert!(boot_time() < deadline, "{:?}", processes_of(folder.path()));
        // tidy: sleeps because it looks again whether the processes have ended.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["--rotations", "0"], ["--rotations", "5"], ["--workers", "1"]] {
        let output = demo(folder.path(), &arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
}
