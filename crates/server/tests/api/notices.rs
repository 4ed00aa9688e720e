//! Notices on their way to people: signatures, repetition after a failure, commands.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use aws_lc_rs::hmac;
use keywheel_server::notify::{NotifyTarget, Sink};
use keywheel_server::{Server, Settings, StartError};
use serde_json::Value;

use crate::support::http::read_head;
use crate::support::{World, eventually, spec};

const SECRET: &str = "a secret that nobody guesses";

/// What a listener was sent.
struct Post {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A listener that answers with these statuses, the last one for ever.
fn listener(statuses: &'static [u16]) -> (String, Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/T0", listener.local_addr().unwrap());
    let (sender, posts) = channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter().peekable();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            if reader.fill_buf().map_or(0, <[u8]>::len) == 0 {
                continue;
            }
            let headers = request_headers(&mut reader);
            let of = |name: &str| headers.iter().find(|(key, _)| key == name);
            let length = of("content-length").map_or(0, |(_, value)| value.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = match statuses.len() {
                0 | 1 => **statuses.peek().unwrap(),
                _ => *statuses.next().unwrap(),
            };
            let answer =
                format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            if sender.send(Post { headers, body }).is_err() {
                return;
            }
        }
    });
    (url, posts)
}

/// A request's head has the form of an answer's but for its first line.
fn request_headers(reader: &mut impl std::io::BufRead) -> Vec<(String, String)> {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("POST /hooks/T0 HTTP/1.1"), "{line}");
    read_head(&mut b"HTTP/1.1 200 x\r\n".chain(reader)).1
}

fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn target(name: &str, on: &[&str], sink: Sink) -> NotifyTarget {
    let on: BTreeSet<_> = on.iter().map(|name| (*name).to_owned()).collect();
    NotifyTarget { name: name.into(), on, rings: BTreeSet::new(), sink }
}

fn next(posts: &Receiver<Post>) -> Post {
    posts.recv_timeout(Duration::from_mins(2)).expect("a post in time")
}

#[test]
fn a_webhook_is_signed_and_repeated_until_it_is_taken() {
    let (url, posts) = listener(&[500, 200]);
    let (slack_url, slack_posts) = listener(&[200]);
    let world = World::with(|settings, folder| {
        let webhook = Sink::Webhook {
            url_file: file(folder, "url", &url),
            secret_file: file(folder, "secret", SECRET),
            ca_file: None,
        };
        let slack = Sink::Slack { url_file: file(folder, "slack", &slack_url), ca_file: None };
        settings.notify =
            vec![target("hook", &["created"], webhook), target("chat", &["created"], slack)];
    });
    world.declare("web", &spec("secret"));

    let refused = next(&posts);
    let taken = next(&posts);
    assert_eq!(refused.header("keywheel-notice"), taken.header("keywheel-notice"));
    assert_eq!(refused.body, taken.body);
    assert_eq!(taken.header("content-type"), "application/json");
    let notice = taken.json();
    assert_eq!((notice["event"].as_str(), notice["ring"].as_str()), (Some("created"), Some("web")));
    assert_eq!(notice["id"].to_string(), taken.header("keywheel-notice"));

    let signature = taken.header("keywheel-signature");
    let (time, mac) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut signed = format!("{time}.").into_bytes();
    signed.extend_from_slice(&taken.body);
    let mac: Vec<u8> = (0..mac.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(&mac[index..index + 2], 16).unwrap())
        .collect();
    hmac::verify(&key, &signed, &mac).unwrap();

    // The other target took it at the first attempt and does not hear it again.
    let said = next(&slack_posts).json();
    assert!(said["text"].as_str().unwrap().contains("ring web"), "{said}");
    eventually("the empty outbox", || (world.engine.notices_waiting().unwrap() == 0).then_some(()));
    assert!(slack_posts.try_recv().is_err());
}

#[test]
fn a_command_reads_the_notice_from_its_standard_input() {
    let mut written = PathBuf::new();
    let world = World::with(|settings, folder| {
        written = folder.join("notice.json");
        let argv = vec!["tee".into(), written.display().to_string()];
        let sink = Sink::Command { argv, timeout: Duration::from_mins(2) };
        settings.notify = vec![target("script", &["paused"], sink)];
    });
    world.declare("web", &spec("secret"));
    assert_eq!(world.ask("operator", "POST", "/v1/rings/web/pause").status, 200);
    let notice = eventually("the notice", || {
        let text = std::fs::read_to_string(&written).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    });
    assert_eq!(notice["event"], "paused");
    assert!(notice["text"].as_str().unwrap().contains("operator"), "{notice}");
}

#[test]
fn a_command_that_does_not_end_is_ended_and_tried_again() {
    let world = World::with(|settings, _| {
        let argv = vec!["sleep".into(), "600".into()];
        let sink = Sink::Command { argv, timeout: Duration::from_millis(50) };
        settings.notify = vec![target("script", &["created"], sink)];
    });
    world.declare("web", &spec("secret"));
    eventually("the first attempt's end", || {
        // A failed notice is not due for a while; the outbox says that it waits.
        let waiting = world.engine.notices_waiting().unwrap() == 1;
        let due = !world.engine.due_notices(10).unwrap().is_empty();
        (waiting && !due).then_some(())
    });
}

#[test]
fn a_target_that_cannot_be_used_is_refused_at_the_start() {
    let world = World::new();
    let folder = world.folder.path();
    let good_url = file(folder, "good-url", "https://hooks.example/T0/sesame");
    let plain_url = file(folder, "plain-url", "http://hooks.example/T0/sesame");
    let short = file(folder, "short", "short");
    let missing = folder.join("missing");
    let slack = |url_file: &PathBuf| Sink::Slack { url_file: url_file.clone(), ca_file: None };
    for (target, named) in [
        (target("t", &["nonsense"], slack(&good_url)), "nonsense"),
        (target("t", &[], slack(&missing)), "missing"),
        (target("t", &[], slack(&plain_url)), "loopback"),
        (
            target("t", &[], Sink::Command { argv: Vec::new(), timeout: Duration::from_secs(1) }),
            "empty",
        ),
        (
            target(
                "t",
                &[],
                Sink::Webhook { url_file: good_url, secret_file: short, ca_file: None },
            ),
            "16 bytes",
        ),
    ] {
        let settings = Settings {
            listen: vec![keywheel_server::Listen::parse("127.0.0.1:0").unwrap()],
            notify: vec![target],
            ..Settings::default()
        };
        let started = Server::start(world.engine.clone(), settings);
        let error = world.runtime.block_on(started).err().expect("refused");
        let said = error.to_string();
        assert!(matches!(error, StartError::Notify { .. }), "{said}");
        assert!(said.contains(named) && !said.contains("sesame"), "{said}");
        assert!(!error.remedy().is_empty());
    }
}
