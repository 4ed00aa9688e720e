//! Probes against real sockets and real processes: services that are right, and services that are
//! wrong in the ways in which services are.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;

use super::*;
use crate::settings::{FingerprintHeader, Hook, HttpAttempt, Make};
use crate::testing::{all, eventually, key, never, of, ring, ring_name, secret_kind, version};
use crate::values::Key;

mod tls;

/// A status and headers for the credentials that were shown.
type Answer = (u16, Vec<(String, String)>);

/// A service of one thread that answers each connection once, until it is dropped.
struct Service {
    address: String,
    is_over: Arc<AtomicBool>,
    requests: Arc<AtomicU32>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Service {
    /// `answer` gets the number of the request and the value of its header `x-key`.
    fn start(mut answer: impl FnMut(u32, &str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (is_over, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (over, count) = (Arc::clone(&is_over), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let mut reader = BufReader::new(stream.unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
                let shown = head.lines().find_map(|line| line.strip_prefix("x-key: "));
                let nth = count.fetch_add(1, Ordering::SeqCst);
                let (status, headers) = answer(nth, shown.unwrap_or_default());
                let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n");
                for (name, value) in headers {
                    for part in [&name, ": ", &value, "\r\n"] {
                        text.push_str(part);
                    }
                }
                let _ = reader.get_mut().write_all((text + "\r\n").as_bytes());
            }
        });
        Self { address, is_over, requests, thread: Some(thread) }
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(&self.address);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn named(attempt: Attempt, within_millis: u64) -> Probe {
    let (within, timeout) = (Span::from_millis(within_millis), Span::from_secs(30));
    Probe { name: "front".into(), attempt, within, timeout }
}

fn values_artefact() -> Artefact {
    Artefact { ring: ring_name(), make: Make::Value }
}

fn attempt(service: &Service, fresh: u16) -> HttpAttempt {
    HttpAttempt {
        url: format!("http://{}/", service.address),
        tls: None,
        method: "GET".into(),
        headers: vec![("x-key".into(), "{artefact}".into())],
        artefact: Some(values_artefact()),
        fresh,
        accepted: Vec::new(),
        refused: Vec::new(),
        fingerprint: None,
        workers: None,
    }
}

fn http(attempt: HttpAttempt, within_millis: u64) -> Probe {
    named(Attempt::Http(attempt), within_millis)
}

fn tried(attempt: HttpAttempt, values: &AllValues, within_millis: u64) -> Result<Seen, ProbeError> {
    // The time is over after the first failure that is not mended by then.
    let mut probe = http(attempt, within_millis);
    probe.timeout = Span::from_millis(within_millis.min(30_000));
    super::probe(&probe, values, &Redactor::none(), &never)
}

/// What is missing in the end, given ever more time: a busy machine may not get far in little.
fn missing(attempt: &HttpAttempt, values: &AllValues, is_it: impl Fn(&Missing) -> bool) -> Missing {
    let mut last = None;
    for within_millis in [200, 1_000, 5_000, 30_000] {
        let error = tried(attempt.clone(), values, within_millis).unwrap_err();
        let found = error.missing().unwrap().clone();
        if is_it(&found) {
            return found;
        }
        last = Some(found);
    }
    panic!("{last:?}")
}

/// Two versions, and the values that a service accepts.
fn two() -> (AllValues, Vec<String>) {
    let ring = ring(vec![key(&secret_kind(), 1), key(&secret_kind(), 2)]);
    let accepted = ring
        .versions()
        .iter()
        .map(|version| artefact::good(&values_artefact(), version, 0).unwrap().expose().to_owned());
    let accepted = accepted.collect();
    (all(ring), accepted)
}

fn status(accepted: &[String], shown: &str) -> u16 {
    if accepted.iter().any(|value| value == shown) { 204 } else { 401 }
}

#[test]
fn a_service_that_has_both_versions_passes() {
    let (values, accepted) = two();
    let service = Service::start(move |_, shown| (status(&accepted, shown), Vec::new()));
    let seen = tried(attempt(&service, 5), &values, 60_000).unwrap();
    assert_eq!(seen, Seen { tries: 20, ..Seen::default() });
    assert_eq!(service.requests(), 20, "each on a connection of its own");
}

#[test]
fn a_service_that_answers_some_connections_with_the_old_key_is_caught() {
    let (values, accepted) = two();
    let service = Service::start(move |nth, shown| {
        let known = if nth % 5 == 4 { &accepted[..1] } else { &accepted[..] };
        (status(known, shown), Vec::new())
    });
    let wanted = Missing::Refused { version: VersionNumber(2), status: 401, worker: None };
    missing(&attempt(&service, 5), &values, |found| *found == wanted);
}

#[test]
fn a_service_that_still_accepts_what_was_dropped_is_caught() {
    let (former, accepted) = two();
    let mut values = of(vec![version(2, Key::Whole(Arc::new(key(&secret_kind(), 2))))]);
    values.drop_those_of(former.values().next().unwrap());
    let values = all(values);
    let known = accepted.clone();
    let service = Service::start(move |_, shown| (status(&known, shown), Vec::new()));
    let wanted = Missing::StillAccepted { version: VersionNumber(1), status: 204, worker: None };
    missing(&attempt(&service, 2), &values, |found| *found == wanted);
    let known = accepted[1..].to_vec();
    let service = Service::start(move |_, shown| (status(&known, shown), Vec::new()));
    let seen = tried(attempt(&service, 2), &values, 60_000).unwrap();
    assert_eq!(seen.tries, 6, "the present one, a bogus one and the dropped one, twice");
}

#[test]
fn a_service_that_accepts_everything_is_caught() {
    let (values, _) = two();
    let service = Service::start(|_, _| (200, Vec::new()));
    missing(&attempt(&service, 1), &values, |found| {
        matches!(found, Missing::BogusNotRefused { status: 200, is_accepted: true, .. })
    });
    let (values, accepted) = two();
    let broken = Service::start(move |_, shown| {
        (if status(&accepted, shown) == 204 { 204 } else { 500 }, Vec::new())
    });
    missing(&attempt(&broken, 1), &values, |found| {
        matches!(found, Missing::BogusNotRefused { status: 500, is_accepted: false, .. })
    });
}

#[test]
fn a_cache_that_ignores_the_credentials_is_caught() {
    let (values, accepted) = two();
    let mut cached = None;
    let service = Service::start(move |_, shown| {
        (*cached.get_or_insert_with(|| status(&accepted, shown)), Vec::new())
    });
    missing(&attempt(&service, 1), &values, |found| {
        matches!(found, Missing::BogusNotRefused { .. })
    });
}

#[test]
fn a_service_that_takes_the_key_late_passes_then() {
    let (values, accepted) = two();
    let service = Service::start(move |nth, shown| {
        let known = if nth < 10 { &accepted[..1] } else { &accepted[..] };
        (status(known, shown), Vec::new())
    });
    let seen = tried(attempt(&service, 3), &values, 60_000).unwrap();
    assert!(seen.tries >= 12, "{}", seen.tries);
}

#[test]
fn the_fingerprint_must_be_that_of_the_primary() {
    let (values, accepted) = two();
    let ring = &values[&ring_name()];
    let [old, new] = [0, 1].map(|place| ring.versions()[place].fingerprint().to_string());
    let shown_as = Arc::new(Mutex::new(new.clone()));
    let (for_service, known) = (Arc::clone(&shown_as), accepted.clone());
    let service = Service::start(move |_, shown| {
        let fingerprint = for_service.lock().unwrap().clone();
        (status(&known, shown), vec![("X-Key-Fp".into(), fingerprint)])
    });
    let with_header = |header: &str| {
        let mut attempt = attempt(&service, 2);
        let header = header.to_owned();
        attempt.fingerprint = Some(FingerprintHeader { header, ring: ring_name() });
        attempt
    };
    tried(with_header("X-Key-Fp"), &values, 60_000).unwrap();
    // Without an artefact only the status and the fingerprint are looked at.
    let mut bare = with_header("X-Key-Fp");
    (bare.artefact, bare.headers, bare.accepted) = (None, Vec::new(), vec![401]);
    assert_eq!(tried(bare, &values, 60_000).unwrap().tries, 2);

    shown_as.lock().unwrap().clone_from(&old);
    let other = |found: &Missing| matches!(found, Missing::Fingerprint { seen: Some(_), .. });
    let found = missing(&with_header("x-key-fp"), &values, other);
    let Missing::Fingerprint { seen, wanted, .. } = found else { panic!("{found}") };
    assert_eq!((seen, wanted), (Some(old), new));
    // A service that shows the key itself must not make the agent repeat it.
    shown_as.lock().unwrap().clone_from(&accepted[0]);
    let found = missing(&with_header("x-key-fp"), &values, other);
    assert!(!format!("{found} {found:?}").contains(&accepted[0]), "{found}");
    missing(&with_header("x-other"), &values, |found| {
        matches!(found, Missing::Fingerprint { seen: None, .. })
    });
}

/// A parent with children that serve nothing, whose numbers a service can give.
struct Workers4 {
    parent: Child,
    orders: Option<ChildStdin>,
    pids: Arc<Mutex<Vec<u32>>>,
}

impl Workers4 {
    fn start() -> Self {
        let one = "sleep 600 <&- >&- & echo $!";
        let script = format!("{one}\n{one}\n{one}\n{one}\nwhile read line; do {one}\ndone; wait");
        let mut parent = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let orders = parent.stdin.take().unwrap();
        let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
        let pids = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&pids);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                noted.lock().unwrap().push(line.parse().unwrap());
            }
        });
        let workers = Self { parent, orders: Some(orders), pids };
        eventually(|| workers.pids().len() == 4);
        workers
    }

    fn pids(&self) -> Vec<u32> {
        self.pids.lock().unwrap().clone()
    }

    fn expected(&self) -> Workers {
        Workers { header: "X-Pid".into(), parent: Parent::Pid(self.parent.id()) }
    }
}

impl Drop for Workers4 {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.parent);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.parent.wait();
    }
}

fn pid_header(pid: u32) -> Vec<(String, String)> {
    vec![("X-Pid".into(), pid.to_string())]
}

#[test]
fn every_worker_must_have_answered() {
    let (values, accepted) = two();
    let workers = Workers4::start();
    let pids = workers.pids();
    let answering = Arc::new(AtomicU32::new(4));
    let (count, known) = (Arc::clone(&answering), accepted.clone());
    let mut random: u32 = 1;
    let service = Service::start(move |_, shown| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let place = (random >> 16) % count.load(Ordering::SeqCst);
        (status(&known, shown), pid_header(pids[place as usize]))
    });
    let mut attempt = attempt(&service, 2);
    attempt.workers = Some(workers.expected());
    let seen = tried(attempt.clone(), &values, 60_000).unwrap();
    let mut pids = workers.pids();
    pids.sort_unstable();
    assert_eq!(seen.workers, pids);

    answering.store(3, Ordering::SeqCst);
    let silent = workers.pids()[3];
    let wanted = Missing::Workers { silent: vec![silent], answered: 3 };
    missing(&attempt, &values, |found| *found == wanted);
    // A worker that has ended is not waited for.
    let ended = rustix::process::Pid::from_raw(silent.cast_signed()).unwrap();
    rustix::process::kill_process(ended, rustix::process::Signal::KILL).unwrap();
    let seen = tried(attempt, &values, 60_000).unwrap();
    assert_eq!(seen.workers.len(), 3);
}

#[test]
fn one_stale_worker_of_four_is_named() {
    let (values, accepted) = two();
    let workers = Workers4::start();
    let (pids, stale) = (workers.pids(), workers.pids()[2]);
    let mut random: u32 = 7;
    let service = Service::start(move |_, shown| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let pid = pids[(random >> 16) as usize % 4];
        let known = if pid == stale { &accepted[..1] } else { &accepted[..] };
        (status(known, shown), pid_header(pid))
    });
    let mut attempt = attempt(&service, 1);
    attempt.workers = Some(workers.expected());
    missing(&attempt, &values, |found| match found {
        Missing::Refused { worker, .. } => *worker == Some(stale),
        Missing::Workers { silent, .. } => silent.contains(&stale),
        _ => false,
    });
}

#[test]
fn a_worker_that_starts_during_the_probe_must_answer_too() {
    let (values, accepted) = two();
    let mut workers = Workers4::start();
    let expected = workers.expected();
    let pids = Arc::clone(&workers.pids);
    let mut orders = workers.orders.take().unwrap();
    let service = Service::start(move |nth, shown| {
        if nth == 3 {
            orders.write_all(b"one more\n").unwrap();
            eventually(|| pids.lock().unwrap().len() == 5);
        }
        let pid = pids.lock().unwrap()[nth as usize / 4 % 4];
        (status(&accepted, shown), pid_header(pid))
    });
    let mut attempt = attempt(&service, 1);
    attempt.workers = Some(expected);
    missing(
        &attempt,
        &values,
        |found| matches!(found, Missing::Workers { silent, answered: 4 } if *silent == workers.pids()[4..]),
    );
}

#[test]
fn versions_of_which_only_a_half_is_held_are_said_to_be_missing() {
    use keywheel_core::kind::{Kind, SigningAlgorithm};
    let signing = Kind::Signing { algorithm: SigningAlgorithm::EdDsa };
    let (old, new) = (key(&signing, 1), Arc::new(key(&signing, 2)));
    let half = old.public_key().unwrap().clone();
    let verifies = Arc::clone(&new);
    let service = Service::start(move |_, shown| {
        let (signed, signature) = shown.rsplit_once('.').unwrap();
        let signature = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let good = verifies.verify(signed.as_bytes(), &signature).is_ok();
        (if good { 200 } else { 403 }, Vec::new())
    });
    let mut attempt = attempt(&service, 2);
    let make = Make::Jwt(BTreeMap::new());
    attempt.artefact = Some(Artefact { ring: ring_name(), make });
    let halves = vec![version(1, Key::Public(half.clone())), version(2, Key::Whole(new))];
    let seen = tried(attempt.clone(), &all(of(halves)), 60_000).unwrap();
    assert_eq!((seen.tries, seen.not_shown), (4, vec![VersionNumber(1)]));
    // A probe that could show nothing must not pass.
    let nothing = all(of(vec![version(1, Key::Public(half))]));
    let error = tried(attempt, &nothing, 60_000).unwrap_err();
    assert!(matches!(error, ProbeError::Never { .. }), "{error}");
}

#[test]
fn a_command_reads_the_artefacts_and_nobody_else_sees_them() {
    let (values, accepted) = two();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    let hook = |script: &str| Hook {
        argv: ["sh", "-c", script, file.to_str().unwrap()].map(str::to_owned).into(),
        timeout: Span::from_secs(30),
        kill_after: Span::from_secs(1),
    };
    let command =
        |script: &str| Attempt::Command { hook: hook(script), artefact: Some(values_artefact()) };
    let script =
        "tr '\\0' '\\n' < /proc/$$/cmdline > \"$0.seen\"; env >> \"$0.seen\"; cat > \"$0\"";
    let passed = named(command(script), 60_000);
    let seen = super::probe(&passed, &values, &Redactor::none(), &never).unwrap();
    assert_eq!(seen.tries, 1);
    let input: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&input["ring"], &input["primary"]), (&"web".into(), &2.into()));
    assert_eq!(input["versions"][1]["good"], accepted[1].as_str());
    assert_ne!(input["versions"][1]["bogus"], accepted[1].as_str());
    let public = std::fs::read_to_string(folder.path().join("input.seen")).unwrap();
    assert!(!accepted.iter().any(|secret| public.contains(secret)));

    let leaking = named(command("cat >&2; exit 1"), 50);
    let error = super::probe(&leaking, &values, &Redactor::none(), &never).unwrap_err();
    let text = format!("{error} {error:?}");
    let bogus = input["versions"][1]["bogus"].as_str().unwrap();
    assert!(text.contains("[hidden]"), "{text}");
    assert!(!accepted.iter().any(|secret| text.contains(secret)) && !text.contains(bogus));
}

#[test]
fn a_port_is_tried_until_something_listens() {
    // An address of its own, so that no other test takes the port when it is given back.
    let listener = TcpListener::bind("127.0.7.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tcp = |address: &str| Attempt::Tcp { address: address.to_owned(), tls: None };
    let open = named(tcp(&address), 60_000);
    super::probe(&open, &AllValues::new(), &Redactor::none(), &never).unwrap();
    drop(listener);
    let mut closed = named(tcp(&address), 60);
    closed.timeout = Span::from_millis(60);
    let error = super::probe(&closed, &AllValues::new(), &Redactor::none(), &never).unwrap_err();
    assert!(matches!(error.missing(), Some(Missing::Answer { .. })), "{error}");
}

#[test]
fn a_probe_ends_when_it_is_asked_to_stop() {
    let (values, _) = two();
    let service = Service::start(|_, _| (503, Vec::new()));
    let probe = http(attempt(&service, 1), 600_000);
    let stop = || service.requests() >= 2;
    let error = super::probe(&probe, &values, &Redactor::none(), &stop).unwrap_err();
    assert!(matches!(error, ProbeError::Stopped { .. }), "{error}");
}

#[test]
fn what_can_never_pass_is_refused_at_once() {
    let (values, _) = two();
    let service = Service::start(|_, _| (200, Vec::new()));
    let good = attempt(&service, 1);
    let mut messages = Vec::new();
    let changes: [fn(&mut HttpAttempt); 8] = [
        |attempt| attempt.url = "http://app.example/".into(),
        |attempt| attempt.url = "ftp://127.0.0.1/".into(),
        |attempt| attempt.method = "DELETE".into(),
        |attempt| attempt.headers.clear(),
        |attempt| attempt.accepted = vec![401],
        |attempt| attempt.headers.push(("x-a".into(), "b\r\nc".into())),
        |attempt| attempt.artefact.as_mut().unwrap().ring = "other".parse().unwrap(),
        |attempt| {
            let (header, ring) = ("x".into(), "other".parse().unwrap());
            attempt.fingerprint = Some(FingerprintHeader { header, ring });
        },
    ];
    for change in changes {
        let mut attempt = good.clone();
        change(&mut attempt);
        let error = tried(attempt, &values, 600_000).unwrap_err();
        assert!(matches!(error, ProbeError::Never { .. }), "{error}");
        messages.push(format!("{error}\n  {}", error.remedy()));
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn what_was_missing_is_said_precisely() {
    let version = VersionNumber(7);
    let worker = Some(4242);
    let messages: Vec<String> = [
        Missing::Answer { place: "http://127.0.0.1:80/".into(), cause: "it is late".into() },
        Missing::Refused { version, status: 401, worker },
        Missing::BogusNotRefused { version, status: 200, worker: None, is_accepted: true },
        Missing::BogusNotRefused { version, status: 500, worker, is_accepted: false },
        Missing::StillAccepted { version, status: 204, worker },
        Missing::Status { status: 503, worker: None },
        Missing::Fingerprint {
            header: "x-key-fp".into(),
            seen: Some("0011223344556677".into()),
            wanted: "8899aabbccddeeff".into(),
            worker,
        },
        Missing::Fingerprint {
            header: "x-key-fp".into(),
            seen: None,
            wanted: "8899aabbccddeeff".into(),
            worker: None,
        },
        Missing::Pid { header: "x-pid".into() },
        Missing::Workers { silent: vec![11, 12], answered: 6 },
        Missing::Workers { silent: (1..=10).collect(), answered: 0 },
    ]
    .into_iter()
    .map(|missing| {
        let (probe, within) = ("front".to_owned(), Span::from_secs(30));
        let error = ProbeError::NotInTime { probe, within, tries: 9, missing };
        format!("{error}\n  {}", error.remedy())
    })
    .chain(
        [ProbeError::Stopped { probe: "front".into() }]
            .map(|error| format!("{error}\n  {}", error.remedy())),
    )
    .collect();
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn a_target_is_put_into_every_place() {
    let service = Service::start(|_, _| (200, Vec::new()));
    let mut attempt = attempt(&service, 1);
    attempt.url = "http://127.0.0.1:{target}/".into();
    attempt.headers.push(("host".into(), "{target}.example".into()));
    let parent = Parent::PidFile("/run/{target}.pid".into());
    attempt.workers = Some(Workers { header: "x".into(), parent });
    let Attempt::Http(there) = with(&http(attempt, 1), &[("target", "81")]).attempt else {
        panic!("it is another attempt");
    };
    assert_eq!(
        (there.url.as_str(), there.headers[1].1.as_str()),
        ("http://127.0.0.1:81/", "81.example")
    );
    assert_eq!(there.headers[0].1, "{artefact}");
    assert_eq!(there.workers.unwrap().parent, Parent::PidFile("/run/81.pid".into()));
}
