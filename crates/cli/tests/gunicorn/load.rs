//! Users who log in and come back while keys change: each logs in, shows the session at once, and
//! shows it again when it is almost too old.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use keywheel_client::clock::{BootTime, boot_time};
use keywheel_core::time::Span;

/// Between two visits of one user.
const PAUSE: Duration = Duration::from_millis(40);
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);
const FAILURES_MAX: usize = 10;

/// What all users together saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    /// Sessions that were shown again after a while, and were accepted.
    pub(crate) shown_again: u64,
    pub(crate) failures: Vec<String>,
}

/// Users at work.
pub(crate) struct Load {
    users: Vec<JoinHandle<Seen>>,
    stop: Vec<Sender<()>>,
    failures: Arc<AtomicUsize>,
}

/// An answer of the application.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    head: String,
}

impl Answer {
    fn cookie(&self) -> Option<String> {
        let line = self.head.lines().find_map(|line| line.strip_prefix("Set-Cookie: "))?;
        Some(line.split(';').next()?.to_owned())
    }
}

/// Asks once, on a connection of its own.
pub(crate) fn ask(socket: &Path, path: &str, cookie: Option<&str>) -> Result<Answer, String> {
    let words = |error: std::io::Error| format!("{path}: {error}");
    let mut stream = UnixStream::connect(socket).map_err(words)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN)).map_err(words)?;
    let cookie = cookie.map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n{cookie}\r\n");
    stream.write_all(request.as_bytes()).map_err(words)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(words)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(format!("{path}: no answer"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(format!("{path}: no status"))?;
    Ok(Answer { status, body: body.to_owned(), head: head.to_owned() })
}

impl Load {
    /// Lets users come. A session lives for at least `lifetime`.
    pub(crate) fn start(socket: &Path, users: usize, lifetime: Span) -> Self {
        let (mut threads, mut stop) = (Vec::new(), Vec::new());
        let failures = Arc::new(AtomicUsize::new(0));
        for number in 0..users {
            let (sender, receiver) = channel();
            let (sessions, seen) = (VecDeque::new(), Seen::default());
            let failures = Arc::clone(&failures);
            let socket = socket.to_owned();
            let user = User { socket, number, lifetime, sessions, seen, failures };
            stop.push(sender);
            threads.push(std::thread::spawn(move || user.come_and_go(&receiver)));
        }
        Self { users: threads, stop, failures }
    }

    /// How often something has failed so far.
    pub(crate) fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }

    /// Lets them go, and tells what they saw.
    pub(crate) fn stop(self) -> Seen {
        drop(self.stop);
        let mut all = Seen::default();
        for user in self.users {
            let seen = user.join().unwrap();
            all.requests += seen.requests;
            all.shown_again += seen.shown_again;
            all.failures.extend(seen.failures);
        }
        all
    }
}

struct User {
    socket: PathBuf,
    number: usize,
    lifetime: Span,
    sessions: VecDeque<(BootTime, String)>,
    seen: Seen,
    failures: Arc<AtomicUsize>,
}

impl User {
    fn come_and_go(mut self, stop: &Receiver<()>) -> Seen {
        while stop.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout)
            && self.seen.failures.len() < FAILURES_MAX
        {
            if let Err(failure) = self.visit() {
                self.seen.failures.push(failure);
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.seen
    }

    fn visit(&mut self) -> Result<(), String> {
        let path = format!("/sign/user-{}", self.number);
        let since = boot_time();
        let answer = self.ask(&path, None)?;
        let cookie = answer.cookie().ok_or(format!("{path}: {} and no session", answer.status))?;
        self.show(since, &cookie)?;
        self.sessions.push_back((since, cookie));
        // The oldest that may not be refused yet is shown again.
        let almost = Span::from_millis(self.lifetime.as_millis() * 3 / 4);
        while let Some((since, cookie)) =
            self.sessions.pop_front_if(|(since, _)| boot_time().since(*since) >= almost)
        {
            self.show(since, &cookie)?;
            self.seen.shown_again += 1;
        }
        Ok(())
    }

    fn ask(&mut self, path: &str, cookie: Option<&str>) -> Result<Answer, String> {
        self.seen.requests += 1;
        ask(&self.socket, path, cookie)
    }

    fn show(&mut self, since: BootTime, cookie: &str) -> Result<(), String> {
        let answer = self.ask("/check", Some(cookie))?;
        let age = boot_time().since(since);
        // Whoever was kept waiting for too long may be refused.
        let is_refused = answer.status != 200 && age < self.lifetime;
        if is_refused || !matches!(answer.status, 200 | 401) {
            return Err(format!("/check: {} after {age}: {}", answer.status, answer.body));
        }
        Ok(())
    }
}
