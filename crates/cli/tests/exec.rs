//! `keywheel exec` with small programs: what they get, when they are started and ended, what the
//! server is told, and what is left behind.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]

mod world;

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use world::{Server, World, until};

const RING: &str = "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"1s\"\nskew = \"0s\"\n\
                    lease_ttl = \"2s\"\noffline_max = \"4s\"\nstall_after = \"1h\"\n\
                    [[ring.web.consumer]]\nname = \"web\"\nrole = \"protect\"\n";
/// Writes down what it was given, and goes on until it is ended.
const NOTE: &str = "echo \"$$ $KEY $OLD\" >> runs; exec sleep 1000";
const BOTH: [&str; 6] =
    ["--env", "KEY=ring:web", "--env", "OLD=ring:web:others,json", "--settle", "50ms"];

struct Bench {
    world: World,
    server: Option<Server>,
}

/// A line that a program wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    pid: u32,
    key: String,
    rest: String,
}

impl Bench {
    fn new() -> Self {
        Self::with(RING)
    }

    fn with(ring: &str) -> Self {
        let world = World::with(ring);
        let server = Some(world.serve());
        let create = ["token", "create", "web", "--role", "consumer", "--consumer", "web"];
        world.ok(&[create.as_slice(), &["--ring", "web", "--out", "web.token"]].concat());
        Self { world, server }
    }

    fn arguments<'a>(options: &[&'a str], program: &[&'a str]) -> Vec<&'a str> {
        let exec = ["--token-file", "web.token", "exec", "--consumer", "web"];
        [exec.as_slice(), options, &["--"], program].concat()
    }

    fn exec(&self, options: &[&str], script: &str) -> Server {
        let arguments = Self::arguments(options, &["sh", "-c", script]);
        self.world.start(self.world.command(&arguments))
    }

    fn runs(&self) -> Vec<Run> {
        let text = std::fs::read_to_string(self.world.path("runs")).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines
            .map(|line| {
                let mut words = line.split(' ');
                let mut word = || words.next().unwrap_or_default().to_owned();
                Run { pid: word().parse().unwrap(), key: word(), rest: word() }
            })
            .collect()
    }

    fn until_runs(&self, count: usize) -> Vec<Run> {
        until("the program has started", || self.runs().len() >= count);
        self.runs()
    }

    fn status(&self) -> Value {
        self.world.json(&["status", "web"])
    }

    /// The processes that the server knows as live.
    fn live(&self) -> Vec<u32> {
        let status = self.status();
        let instances = status["consumers"][0]["instances"].as_array().unwrap().clone();
        let live = instances.iter().filter(|one| one["standing"] == "live");
        live.map(|one| pid_in(one["process"].as_str().unwrap())).collect()
    }
}

/// The number in the name of a process, which stands last.
fn pid_in(process: &str) -> u32 {
    let digits: String = process.chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().unwrap()
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

fn is_alive(number: u32) -> bool {
    // Whoever has ended and waits to be reaped is no more.
    let state = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
    let is_zombie = state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    test_kill_process(pid(number)).is_ok() && !is_zombie
}

fn signal(server: &Server, signal: Signal) {
    kill_process(pid(server.pid()), signal).unwrap();
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

#[test]
fn a_program_runs_anew_with_each_change_and_the_server_knows_it_by_its_pid() {
    let bench = Bench::new();
    let exec = bench.exec(&BOTH, NOTE);
    let first = bench.until_runs(1)[0].clone();
    assert_eq!(first.rest, "[]");
    until("the server knows the program", || bench.live() == [first.pid]);
    bench.world.ok(&["rotate", "web", "--wait"]);
    until("the former key is dropped", || bench.runs().last().unwrap().rest == "[]");
    let runs = bench.runs();
    let last = runs.last().unwrap().clone();
    assert_ne!(last.key, first.key);
    // It accepted the new key before it protected with it, and the old one afterwards.
    assert!(
        runs.contains(&Run {
            pid: runs[1].pid,
            key: first.key.clone(),
            rest: format!("[\"{}\"]", last.key)
        }),
        "{} runs",
        runs.len()
    );
    assert!(runs[2..].iter().any(|run| run.rest == format!("[\"{}\"]", first.key)));
    until("only the last one is known", || bench.live() == [last.pid]);
    let log = exec.log();
    assert!(!log.contains(&first.key) && !log.contains(&last.key), "a key is in the log");
    let (code, _) = exec.stop();
    assert_eq!(code, 143, "sleep ends by the signal, as a shell says it");
    until("its goodbye was heard", || bench.live().is_empty());
}

#[test]
fn keys_are_in_the_environment_of_the_program_and_nowhere_else() {
    let bench = Bench::new();
    let exec = bench.exec(&BOTH, NOTE);
    let run = bench.until_runs(1)[0].clone();
    let proc = |pid: u32, file: &str| text(Path::new(&format!("/proc/{pid}/{file}")));
    until("the shell became sleep", || proc(run.pid, "cmdline").starts_with("sleep"));
    assert!(proc(run.pid, "environ").contains(&run.key));
    assert!(!proc(run.pid, "cmdline").contains(&run.key));
    for file in ["environ", "cmdline"] {
        assert!(!proc(exec.pid(), file).contains(&run.key), "{file}");
    }
    let limit = |pid: u32| {
        let limits = proc(pid, "limits");
        let line = limits.lines().find(|line| line.starts_with("Max core")).unwrap_or_default();
        line.split_whitespace().nth(4).unwrap_or_default().to_owned()
    };
    let own = limit(std::process::id());
    assert_eq!(limit(run.pid), own, "the program has the limit that exec was started with");
    exec.stop();
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let bench = Bench::new();
    for (script, expected) in [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)] {
        let (code, log) = bench.exec(&BOTH, script).wait();
        assert_eq!(code, expected, "{script}: {log}");
    }
    let missing = Bench::arguments(&BOTH, &["no-such-program"]);
    let ran = bench.world.run(&missing);
    assert_eq!(ran.code, 127, "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no program no-such-program"), "{}", ran.stderr);
    until("nobody is left", || bench.live().is_empty());
}

#[test]
fn without_its_keys_nothing_is_started() {
    let mut bench = Bench::new();
    bench.server.take().unwrap().stop();
    let options = [&BOTH[..], &["--start-timeout", "500ms"]].concat();
    let (code, log) = bench.exec(&options, "touch started").wait();
    assert_eq!(code, 5, "{log}");
    assert!(log.contains("is not started without its keys"), "{log}");
    assert!(log.contains("remedy: "), "{log}");
    assert!(!bench.world.path("started").exists());
}

#[test]
fn what_does_not_end_in_time_is_killed_with_its_whole_group() {
    let bench = Bench::new();
    let script = "trap '' TERM; sleep 1000 & echo \"$$ $!\" >> runs; while :; do wait; done";
    let options = [&BOTH[..], &["--stop-timeout", "300ms"]].concat();
    let exec = bench.exec(&options, script);
    let run = bench.until_runs(1)[0].clone();
    let (code, log) = exec.stop();
    assert_eq!(code, 137, "{log}");
    assert!(log.contains("did not end in time and is killed"), "{log}");
    assert!(!is_alive(run.pid));
    let of_its_group = run.key.parse().unwrap();
    until("what was killed with it is gone", || !is_alive(of_its_group));
}

#[test]
fn a_program_does_not_outlive_exec() {
    let bench = Bench::new();
    let exec = bench.exec(&BOTH, NOTE);
    let run = bench.until_runs(1)[0].clone();
    exec.kill();
    until("the program is gone", || !is_alive(run.pid));
}

#[test]
fn signals_are_passed_on() {
    let bench = Bench::new();
    let script = "for s in HUP USR1 USR2 WINCH; do trap \"echo 1 $s >> runs\" $s; done; \
                  trap 'exit 9' TERM; echo \"$$ up\" >> runs; \
                  while :; do sleep 1000 & wait $!; done";
    let exec = bench.exec(&BOTH, script);
    bench.until_runs(1);
    let all = [
        (Signal::HUP, "HUP"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::WINCH, "WINCH"),
    ];
    for (one, name) in all {
        signal(&exec, one);
        until(name, || bench.runs().iter().any(|run| run.key == name));
    }
    let (code, log) = exec.stop();
    assert_eq!(code, 9, "{log}");
}

#[test]
fn sockets_are_handed_over_as_systemd_does() {
    let bench = Bench::new();
    let listen = format!("unix:{}", bench.world.path("app.sock").display());
    let options = [&BOTH[..], &["--listen", &listen, "--listen", "127.0.0.1:0"]].concat();
    let script = "echo \"$$ $LISTEN_PID $LISTEN_FDS\" >> runs; exec sleep 1000";
    let exec = bench.exec(&options, script);
    let run = bench.until_runs(1)[0].clone();
    assert_eq!(run.key, run.pid.to_string());
    assert_eq!(run.rest, "2");
    let open = |fd: u32| std::fs::read_link(format!("/proc/{}/fd/{fd}", run.pid));
    until("the shell became sleep", || {
        text(Path::new(&format!("/proc/{}/comm", run.pid))).starts_with("sleep")
    });
    for fd in [3, 4] {
        assert!(open(fd).unwrap().to_string_lossy().starts_with("socket:"));
    }
    assert_eq!(open(0).unwrap(), Path::new("/dev/null"));
    // While sleep loads its libraries, it has them open.
    until("nothing is open that was not handed over", || open(5).is_err());
    let mode = std::fs::symlink_metadata(bench.world.path("app.sock")).unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_socket(&mode.file_type()));
    exec.stop();
    assert!(!bench.world.path("app.sock").exists());
}

/// How many copies were ready at the worst moment after all were, as the log has it.
fn worst(log: &str, copies: usize) -> usize {
    let mut ready = 0_usize;
    let mut worst = copies;
    let mut all_were = false;
    for line in log.lines() {
        if line.contains("a child is ready") {
            ready += 1;
            all_were |= ready == copies;
        } else if line.contains("a child is to end") {
            ready -= 1;
        }
        if all_were {
            worst = worst.min(ready);
        }
    }
    worst
}

#[test]
fn copies_are_replaced_one_after_the_other_and_the_floor_stays() {
    let bench = Bench::new();
    let script = "echo \"$$ $KEY $KEYWHEEL_INDEX-$PORT-$0\" >> runs; exec sleep 1000";
    let copies = ["--copies", "3", "--floor", "2", "--env", "PORT=800{index}"];
    let options = [&BOTH[..], &copies].concat();
    let arguments = Bench::arguments(&options, &["sh", "-c", script, "copy-{index}"]);
    let exec = bench.world.start(bench.world.command(&arguments));
    let first = bench.until_runs(3);
    for index in 0..3 {
        let rest = format!("{index}-800{index}-copy-{index}");
        assert_eq!(first.iter().filter(|run| run.rest == rest).count(), 1, "{rest}");
    }
    until("all are known", || bench.live().len() == 3);
    bench.world.ok(&["rotate", "web", "--wait"]);
    until("all three hold the next one alone", || {
        let runs = bench.runs();
        let last = &runs[runs.len().saturating_sub(3)..];
        let mut live = bench.live();
        let mut pids: Vec<u32> = last.iter().map(|run| run.pid).collect();
        live.sort_unstable();
        pids.sort_unstable();
        live == pids && last.iter().all(|run| run.key != first[0].key)
    });
    let log = exec.log();
    assert_eq!(worst(&log, 3), 2, "{log}");
    exec.stop();
}

#[test]
fn a_successor_that_fails_leaves_its_predecessor_and_the_server_knows_why() {
    let bench = Bench::new();
    let listen = format!("unix:{}", bench.world.path("app.sock").display());
    // Long enough for a shell to fail on a busy machine, or it would pass for one that is ready.
    let options = [&BOTH[..4], &["--listen", &listen, "--settle", "3s"]].concat();
    let arguments = Bench::arguments(&options, &["sh", "-c", FAILING]);
    let exec = bench.world.start(bench.world.command(&arguments));
    let first = bench.until_runs(1)[0].clone();
    until("it is ready", || exec.log().contains("a child is ready"));
    bench.world.write("fail", "");
    bench.world.ok(&["rotate", "web"]);
    until("the server says who it waits for, and why", || {
        let gates = bench.status()["gates"].to_string();
        let why = ["its successor, pid ", "ended with exit code 3", &first.pid.to_string()];
        why.iter().all(|words| gates.contains(words))
    });
    assert!(is_alive(first.pid));
    std::fs::remove_file(bench.world.path("fail")).unwrap();
    until("the rotation goes on", || bench.status()["primary"] == 2);
    until("the first one is gone", || !is_alive(first.pid));
    exec.stop();
}

const FAILING: &str = "if [ -e fail ]; then exit 3; fi; echo \"$$ $KEY\" >> runs; exec sleep 1000";

#[test]
fn a_program_with_one_value_never_passes_for_one_that_accepts_the_next() {
    let bench = Bench::new();
    let exec = bench.exec(&["--env", "KEY=ring:web", "--settle", "50ms"], NOTE);
    let first = bench.until_runs(1)[0].clone();
    assert!(exec.log().contains("is given only the primary"), "{}", exec.log());
    until("it is known", || bench.live() == [first.pid]);
    bench.world.ok(&["rotate", "web"]);
    until("the gate waits for it by name", || {
        let gates = bench.status()["gates"].to_string();
        gates.contains("instances") && gates.contains(&first.pid.to_string())
    });
    assert_eq!(bench.status()["primary"], 1);
    // Whoever declares what it is, and accepts the loss, gets on.
    bench.world.configure(&RING.replace("role =", "one_slot = true\ncutover = true\nrole ="));
    bench.world.ok(&["apply"]);
    until("it is cut over", || bench.status()["primary"] == 2);
    until("it runs anew", || bench.runs().len() == 2);
    assert_ne!(bench.runs()[1].key, first.key);
    exec.stop();
}

#[test]
fn a_goodbye_that_no_server_hears_is_said_later() {
    let mut bench = Bench::new();
    let options = [&BOTH[..], &["--restart", "always"]].concat();
    let exec = bench.exec(&options, NOTE);
    let first = bench.until_runs(1)[0].clone();
    until("it is known", || bench.live() == [first.pid]);
    bench.server.take().unwrap().stop();
    kill_process(pid(first.pid), Signal::KILL).unwrap();
    until("its end was noticed", || exec.log().contains("was ended by signal 9"));
    bench.server = Some(bench.world.serve());
    let second = bench.until_runs(2)[1].clone();
    until("the first one was ended and the second is there", || {
        let consumer = bench.status()["consumers"][0].clone();
        bench.live() == [second.pid] && consumer["lost"] == 0
    });
    exec.stop();
}

#[test]
fn the_next_start_ends_what_a_killed_one_left() {
    let bench = Bench::new();
    let folder = bench.world.path("state-of-exec").display().to_string();
    let options = [&BOTH[..], &["--state-dir", &folder]].concat();
    let exec = bench.exec(&options, NOTE);
    let first = bench.until_runs(1)[0].clone();
    until("it is known", || bench.live() == [first.pid]);
    exec.kill();
    until("the program is gone", || !is_alive(first.pid));
    let exec = bench.exec(&options, NOTE);
    let second = bench.until_runs(2)[1].clone();
    until("nobody waits for the first one", || {
        bench.live() == [second.pid] && bench.status()["consumers"][0]["lost"] == 0
    });
    exec.stop();
    until("its goodbye was heard", || bench.live().is_empty());
}

#[test]
fn without_a_server_the_program_goes_on_or_is_stopped_as_it_is_told() {
    let mut bench = Bench::new();
    let keep = bench.exec(&BOTH, "echo \"$$ $KEY\" > kept; exec sleep 1000");
    let stop = bench.exec(&[&BOTH[..], &["--when-offline", "stop"]].concat(), NOTE);
    let first = bench.until_runs(1)[0].clone();
    until("both are known", || bench.live().len() == 2);
    until("the other one runs too", || text(&bench.world.path("kept")).ends_with('\n'));
    bench.server.take().unwrap().stop();
    until("the one that is to be stopped is", || !is_alive(first.pid));
    let kept = text(&bench.world.path("kept"));
    let kept: u32 = kept.split(' ').next().unwrap().parse().unwrap();
    assert!(is_alive(kept));
    assert!(stop.log().contains("longer than offline_max"), "{}", stop.log());
    bench.server = Some(bench.world.serve());
    let second = bench.until_runs(2)[1].clone();
    until("both are known again", || {
        let mut live = bench.live();
        live.sort_unstable();
        let mut both = [kept, second.pid];
        both.sort_unstable();
        live == both
    });
    keep.stop();
    stop.stop();
}

/// The processes whose parent this is, and whether each waits to be reaped.
fn children(parent: u32) -> Vec<(u32, bool)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = text(&entry.path().join("stat"));
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let is_zombie = fields.next() == Some("Z");
        if fields.next() == Some(&parent.to_string()) {
            found.push((pid, is_zombie));
        }
    }
    found
}

#[test]
fn as_the_first_process_of_a_container_it_reaps_orphans() {
    let bench = Bench::new();
    let apart = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let can = std::process::Command::new("unshare").args(apart).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this user may not make a process namespace");
        return;
    }
    let script = "(sh -c 'sleep 0.1' & echo \"$! orphan\" >> runs); exec sleep 1000";
    let inside = Bench::arguments(&BOTH, &["sh", "-c", script]);
    let binary = env!("CARGO_BIN_EXE_keywheel");
    let mut command = std::process::Command::new("unshare");
    command.args(apart).arg(binary).args(inside).current_dir(bench.world.path(""));
    let outer = bench.world.start(command);
    bench.until_runs(1);
    let init = children(outer.pid())[0].0;
    until("the orphan has ended", || children(init).iter().any(|(_, is_zombie)| *is_zombie));
    until("it is reaped", || children(init).iter().all(|(_, is_zombie)| !is_zombie));
    assert_eq!(children(init).len(), 1, "the program runs on");
    kill_process(pid(init), Signal::TERM).unwrap();
    until("all have ended", || children(outer.pid()).is_empty());
}

#[test]
fn what_is_known_of_a_program_can_be_read() {
    let world = World::new();
    let explain =
        |program: &[&str]| world.transcript(&[&["exec", "--explain"][..], program].concat());
    insta::assert_snapshot!("explain_all", explain(&[]));
    insta::assert_snapshot!("explain_gunicorn", explain(&["--", "gunicorn", "app:app"]));
    insta::assert_snapshot!("explain_unknown", explain(&["--copies", "2", "--", "./app"]));
}

#[test]
fn what_cannot_work_is_refused_before_anything_starts() {
    let bench = Bench::new();
    let refused = |name: &str, options: &[&str], program: &[&str]| {
        let arguments = Bench::arguments(options, program);
        insta::assert_snapshot!(format!("refused_{name}"), bench.world.transcript(&arguments));
    };
    let with = |more: &[&'static str]| [&BOTH[..], more].concat();
    refused("floor", &with(&["--copies", "2", "--floor", "2"]), &["true"]);
    refused("no_ring", &["--env", "PORT=80{index}"], &["true"]);
    refused("secret_in_arguments", &["--env", "KEY=hunter2"], &["true"]);
    refused("twice", &with(&["--env", "KEY=ring:web"]), &["true"]);
    refused("own_socket", &with(&["--ready", "/healthz"]), &["true"]);
    refused("several", &["--env", "OLD=ring:web:others"], &["true"]);
    refused("program", &with(&[]), &["no-such-program"]);
    refused("listen", &with(&["--listen", "8000"]), &["true"]);
}
