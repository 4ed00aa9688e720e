//! Hooks as they really are: slow, deaf, talkative, with children of their own.

use std::path::Path;

use super::*;
use crate::processes::Process;
use crate::testing::{eventually, never};

fn hook(argv: &[&str], timeout_millis: u64, kill_after_millis: u64) -> Hook {
    Hook {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        timeout: Span::from_millis(timeout_millis),
        kill_after: Span::from_millis(kill_after_millis),
    }
}

fn shell(script: &str) -> Hook {
    hook(&["sh", "-c", script], 60_000, 200)
}

fn ran(hook: &Hook) -> Result<Ran, HookError> {
    run(hook, &[], None, &Redactor::none(), &never)
}

/// A process that ended and whose parent has not asked how does no harm, but ours must be asked.
fn is_gone(pid: i32) -> bool {
    Process::look(pid).is_none_or(|process| process.is_zombie)
}

fn pid_in(text: &str) -> i32 {
    text.trim().parse().unwrap()
}

#[test]
fn a_hook_gets_its_arguments_as_they_are_and_a_small_environment() {
    let words = hook(&["printf", "%s|", "$HOME", "a b", "{target}", "{other}"], 60_000, 100);
    let replace = [("target", "x{other}"), ("other", "y")];
    let output = run(&words, &replace, None, &Redactor::none(), &never).unwrap().output_tail;
    assert_eq!(output, "$HOME|a b|x{other}|y|");

    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO_")), "nothing to leave out");
    let output = ran(&hook(&["env"], 60_000, 100)).unwrap().output_tail;
    for line in output.lines() {
        let name = line.split('=').next().unwrap();
        assert!(ENVIRONMENT.contains(&name) || name.starts_with("LC_"), "{line}");
    }
    assert!(output.contains("PATH="));
}

#[test]
fn a_hook_writes_no_core_and_has_a_group_of_its_own() {
    let output = ran(&hook(&["cat", "/proc/self/limits"], 60_000, 100)).unwrap().output_tail;
    let limit = output.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let soft = limit.split_whitespace().nth(4).unwrap();
    assert_eq!(soft, "1", "{limit}");
    let output = ran(&shell("cat /proc/$$/stat")).unwrap().output_tail;
    let fields: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(fields[0], fields[4], "it leads its group");
    assert!(Process::look(pid_in(fields[0])).is_none(), "it was reaped");
}

#[test]
fn a_hook_that_hangs_is_told_to_end() {
    let error = ran(&hook(&["sleep", "600"], 50, 60_000)).unwrap_err();
    assert!(matches!(error, HookError::Timeout { was_killed: false, .. }), "{error}");
}

#[test]
fn a_hook_that_ignores_sigterm_is_killed_with_its_children() {
    let script = "trap '' TERM; echo $$; sleep 600 & echo $!; wait; sleep 600";
    // Long enough for a shell to have set its trap on a busy machine.
    let error = ran(&hook(&["sh", "-c", script], 5_000, 100)).unwrap_err();
    let HookError::Timeout { was_killed: true, words, .. } = &error else { panic!("{error}") };
    let pids: Vec<i32> = words.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(pids.len(), 2, "{words}");
    assert!(Process::look(pids[0]).is_none(), "it was reaped");
    eventually(|| pids.iter().all(|pid| is_gone(*pid)));
}

#[test]
fn what_a_hook_leaves_in_its_group_is_ended() {
    for script in ["sleep 600 & echo $!", "trap '' TERM; sleep 600 & echo $!"] {
        let pid = pid_in(&ran(&shell(script)).unwrap().output_tail);
        eventually(|| is_gone(pid));
    }
}

#[test]
fn a_daemon_that_keeps_the_pipes_open_lives_on_and_holds_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script = "setsid sh -c 'echo $$ > \"$0\"; exec sleep 600' \"$0\" &
                  until [ -s \"$0\" ]; do :; done";
    let ready_text = ready.to_str().unwrap();
    let began = boot_time();
    ran(&hook(&["sh", "-c", script, ready_text], 60_000, 60_000)).unwrap();
    assert!(boot_time().since(began) < Span::from_secs(50));
    let pid = pid_in(&std::fs::read_to_string(&ready).unwrap());
    assert!(!is_gone(pid));
    let daemon = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(daemon, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn of_ten_megabytes_the_end_is_kept() {
    let script = "head -c 10000000 /dev/zero | tr '\\0' x; echo; echo the end >&2";
    let output = ran(&shell(script)).unwrap().output_tail;
    assert!(output.len() < 2 * output::KEPT_BYTES + 2, "{}", output.len());
    assert!(output.starts_with("xxxx") && output.ends_with("the end\n"));
}

#[test]
fn a_hook_that_speaks_for_ever_is_ended_in_time() {
    let error = ran(&hook(&["yes"], 100, 60_000)).unwrap_err();
    assert!(matches!(error, HookError::Timeout { .. }), "{error}");
}

#[test]
fn a_hook_reads_its_input_or_leaves_it() {
    let input = vec![b'z'; 3_000_000];
    let hide = Redactor::none();
    let output = run(&shell("wc -c"), &[], Some(&input), &hide, &never).unwrap().output_tail;
    assert_eq!(output.trim(), "3000000");
    run(&shell("true"), &[], Some(&input), &hide, &never).unwrap();
    let deaf = run(&hook(&["sleep", "600"], 100, 100), &[], Some(&input), &hide, &never);
    assert!(matches!(deaf, Err(HookError::Timeout { .. })));
    let without = run(&shell("wc -c"), &[], None, &hide, &never).unwrap().output_tail;
    assert_eq!(without.trim(), "0");
}

#[test]
fn a_secret_that_a_hook_prints_is_in_no_message() {
    let secret = "correct-horse-battery";
    let mut hide = Redactor::none();
    hide.hide(secret.as_bytes());
    let input = Some(secret.as_bytes());
    let script =
        "read -r s; printf 'key %s\\033[1m \\n' \"$s\"; printf 'no: %s\\n' \"$s\" >&2; exit 3";
    let error = run(&shell(script), &[], input, &hide, &never).unwrap_err();
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("horse") && !text.contains('\u{1b}'), "{text}");
    }
    assert_eq!(error.to_string(), "sh ended with exit code 3; it said: no: [hidden]");
    let script = "read -r s; echo \"$s\"; echo \"$s\" >&2";
    let output = run(&shell(script), &[], input, &hide, &never).unwrap().output_tail;
    assert_eq!(output, "[hidden]\n[hidden]\n");
    // The guard is what hides it: without it the secret shows.
    let leak = run(&shell(script), &[], input, &Redactor::none(), &never).unwrap().output_tail;
    assert!(leak.contains("horse"));
}

#[test]
fn a_caller_that_stops_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    let script =
        hook(&["sh", "-c", "echo > \"$0\"; sleep 600", ready.to_str().unwrap()], 600_000, 60_000);
    let began = boot_time();
    let error = run(&script, &[], None, &Redactor::none(), &|| ready.exists()).unwrap_err();
    assert!(matches!(error, HookError::Stopped { .. }), "{error}");
    assert!(boot_time().since(began) < Span::from_secs(50));
}

fn message(error: &HookError) -> String {
    format!("{error}\n  {}", error.remedy())
}

#[test]
fn every_failure_says_its_cause_and_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    let shown = |path: &Path, text: String| text.replace(path.to_str().unwrap(), "/folder/plain");
    let mut messages = vec![message(&ran(&hook(&[], 100, 100)).unwrap_err())];
    messages.push(message(&ran(&hook(&["no-such-program-here"], 100, 100)).unwrap_err()));
    let error = ran(&hook(&[plain.to_str().unwrap()], 100, 100)).unwrap_err();
    messages.push(shown(&plain, message(&error)));
    messages.push(message(&ran(&hook(&["sleep", "600"], 50, 60_000)).unwrap_err()));
    let deaf = hook(&["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], 5_000, 50);
    messages.push(message(&ran(&deaf).unwrap_err()));
    messages.push(message(&ran(&shell("echo it is broken >&2; exit 7")).unwrap_err()));
    messages.push(message(&ran(&shell("kill -KILL $$")).unwrap_err()));
    let stopped = run(&shell("sleep 600"), &[], None, &Redactor::none(), &|| true);
    messages.push(message(&stopped.unwrap_err()));
    let program = "reload".to_owned();
    messages.push(message(&HookError::Start {
        program: program.clone(),
        source: std::io::Error::other("x"),
    }));
    messages.push(message(&HookError::Lost { program }));
    insta::assert_snapshot!(messages.join("\n"));
}
