//! Reloads of real processes and real sockets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use super::*;
use crate::settings::{Attempt, Hook, Probe};
use crate::testing::{eventually, never};

/// A process that notes each SIGHUP in a file.
struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Shells that start a program with vfork drop signals that come in this moment, so the
        // shell starts none once its file is there, which it writes itself; and whoever waits for
        // that waits for the whole line.
        let script = "trap 'echo heard > heard' HUP; sleep 600 & echo $$ > pid
                      while :; do wait; done";
        // Under `nohup` the signal is ignored, and no shell may trap what it finds ignored.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", "sh", "-c", script]);
        command.current_dir(folder.path()).process_group(0);
        let daemon = Self { child: command.spawn().unwrap(), folder };
        eventually(|| std::fs::read(daemon.pid_file()).is_ok_and(|text| text.ends_with(b"\n")));
        daemon
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    fn written(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

fn run(how: &Reload) -> Result<(), ReloadError> {
    reload(how, &AllValues::new(), &Redactor::none(), &never)
}

fn hang_up(pid_file: PathBuf) -> Result<(), ReloadError> {
    run(&Reload::Signal { signal: "HUP".into(), pid_file })
}

fn message(outcome: Result<(), ReloadError>) -> String {
    let error = outcome.unwrap_err();
    format!("{error}\n  {}", error.remedy())
}

#[test]
fn a_signal_reaches_the_process_that_its_file_names() {
    let daemon = Daemon::start();
    hang_up(daemon.pid_file()).unwrap();
    eventually(|| daemon.folder.path().join("heard").exists());
}

#[test]
fn a_pid_file_that_does_not_name_its_process_is_refused() {
    let daemon = Daemon::start();
    let pid = daemon.child.id();
    let folder = daemon.folder.path().to_str().unwrap().to_owned();
    let shown = |text: String| text.replace(&folder, "/run").replace(&pid.to_string(), "PID");

    let mut ended = Command::new("true").spawn().unwrap();
    let ended_pid = ended.id();
    ended.wait().unwrap();
    let stale = daemon.written("ended.pid", &ended_pid.to_string());
    let mut messages = vec![message(hang_up(stale)).replace(&ended_pid.to_string(), "ENDED")];

    let reused = daemon.written("reused.pid", &pid.to_string());
    let file = std::fs::File::options().write(true).open(&reused).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    file.set_modified(written - Duration::from_hours(2)).unwrap();
    messages.push(shown(message(hang_up(reused))));

    let open = daemon.written("open.pid", &pid.to_string());
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&open, everybody).unwrap();
    messages.push(shown(message(hang_up(open))));

    messages.push(shown(message(hang_up(daemon.folder.path().join("none.pid")))));
    for text in ["", "0", "-5", "+5", "5 6", "x", "1\n2\n", "99999999999999999999"] {
        let odd = hang_up(daemon.written("odd.pid", text));
        assert!(matches!(odd, Err(ReloadError::PidFile(PidFileError::Form { .. }))), "{text:?}");
    }
    messages.push(shown(message(hang_up(daemon.written("odd.pid", "x")))));
    // Only root can give a file away; whoever else runs this has nobody to be misled by.
    let foreign = daemon.written("foreign.pid", &pid.to_string());
    if std::os::unix::fs::chown(&foreign, Some(12_345), None).is_ok() {
        let error = hang_up(foreign).unwrap_err();
        assert!(matches!(error, ReloadError::OtherOwner { .. }), "{error}");
    }
    assert!(!daemon.folder.path().join("heard").exists());
    insta::assert_snapshot!(messages.join("\n"));
}

/// Answers one request with this status, and gives back its first line.
fn service(status: u16) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/reload?token=x", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        head.lines().next().unwrap().to_owned()
    });
    (url, thread)
}

fn http(method: &str, url: &str) -> Reload {
    Reload::Http { method: method.into(), url: url.into(), timeout: Span::from_secs(30) }
}

#[test]
fn a_request_is_made_and_its_status_heard() {
    let (url, thread) = service(202);
    run(&http("POST", &url)).unwrap();
    assert_eq!(thread.join().unwrap(), "POST /reload?token=x HTTP/1.1");
    let (url, thread) = service(500);
    let error = run(&http("PUT", &url)).unwrap_err();
    assert!(matches!(error, ReloadError::Status { status: 500, .. }));
    assert!(!error.to_string().contains("token"), "{error}");
    thread.join().unwrap();
    let error = run(&http("GET", &url)).unwrap_err();
    assert!(matches!(error, ReloadError::Answer { .. }), "{error}");
}

fn hook(script: &str, words: &[&str]) -> Hook {
    let argv = ["sh", "-c", script].into_iter().chain(words.iter().copied()).map(str::to_owned);
    let (timeout, kill_after) = (Span::from_secs(60), Span::from_secs(1));
    Hook { argv: argv.collect(), timeout, kill_after }
}

fn rolling(log: &str, targets: &[&str], floor: usize, script: &str) -> Reload {
    // Long enough for whoever listens to be reached on a busy machine.
    let within = Span::from_secs(3);
    let attempt = Attempt::Tcp { address: "127.0.0.1:{target}".into(), tls: None };
    Reload::Rolling {
        restart: hook(script, &[log, "{target}"]),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        floor,
        ready: vec![Probe { name: "up".into(), attempt, within, timeout: within }],
    }
}

#[test]
fn targets_restart_one_after_the_other_until_one_is_not_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let log = log.to_str().unwrap();
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = listeners.each_ref().map(|it| it.local_addr().unwrap().port().to_string());
    let targets = ports.each_ref().map(String::as_str);
    let note = "echo \"$1\" >> \"$0\"";
    run(&rolling(log, &targets, 2, note)).unwrap();
    let restarted = || std::fs::read_to_string(log).unwrap().lines().count();
    assert_eq!(std::fs::read_to_string(log).unwrap(), format!("{}\n", ports.join("\n")));

    let [first, second, third] = listeners;
    drop(second);
    let error = run(&rolling(log, &targets, 2, note)).unwrap_err();
    let ReloadError::Ready { target, done: 1, of: 3, .. } = &error else { panic!("{error}") };
    assert_eq!((target, restarted()), (&ports[1], 5), "the third one was left alone");

    let script = "echo \"$1\" >> \"$0\"; exit 9";
    let error = run(&rolling(log, &targets, 2, script)).unwrap_err();
    assert!(matches!(error, ReloadError::Restart { done: 0, .. }), "{error}");
    assert_eq!(restarted(), 6);
    drop((first, third));
}

#[test]
fn what_makes_no_sense_is_refused_when_it_is_read() {
    let signal = |name: &str| Reload::Signal { signal: name.into(), pid_file: "/run/x".into() };
    let messages: Vec<String> = [
        signal("KILL"),
        signal("SIGHUP"),
        http("DELETE", "http://127.0.0.1/"),
        http("GET", "https://127.0.0.1/"),
        http("GET", "http://10.1.2.3/"),
        http("GET", "127.0.0.1"),
        rolling("x", &["a", "b"], 2, ""),
        rolling("x", &["a", "a"], 0, ""),
        rolling("x", &[], 0, ""),
    ]
    .iter()
    .map(|reload| message(check(reload)))
    .collect();
    insta::assert_snapshot!(messages.join("\n"));
    check(&signal("HUP")).unwrap();
    check(&http("GET", "unix:/run/app.sock:/reload")).unwrap();
}

#[test]
fn the_messages_of_a_failing_reload_are_whole() {
    let hook = HookError::NotFound { program: "systemctl".into() };
    let probe = ProbeError::Stopped { probe: "up".into() };
    let target = || "app@2".to_owned();
    let place = || "http://127.0.0.1:80/reload".to_owned();
    let messages: Vec<String> = [
        ReloadError::Send { pid: 7, source: std::io::Error::other("x") },
        ReloadError::OtherOwner { pid: 7 },
        ReloadError::Answer { place: place(), cause: "it did not answer in time".into() },
        ReloadError::Status { place: place(), status: 503 },
        ReloadError::Restart { target: target(), done: 1, of: 3, source: hook },
        ReloadError::Ready { target: target(), done: 1, of: 3, source: Box::new(probe) },
        ReloadError::Stopped,
    ]
    .into_iter()
    .map(|error| message(Err(error)))
    .collect();
    insta::assert_snapshot!(messages.join("\n"));
}
