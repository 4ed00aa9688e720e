//! The change feed: server-sent events, long poll, cursors, and the end of a watcher.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::Events;
use crate::support::{Request, World, eventually, spec};

fn watch(world: &World, query: &str) -> Events {
    let path = format!("/v1/watch{query}");
    Events::open(&world.address, &Request::new("GET", &path).token(world.token("operator")))
}

fn poll(world: &World, query: &str) -> Value {
    world.ask("operator", "GET", &format!("/v1/watch?{query}")).json()
}

fn pause(world: &World, ring: &str, verb: &str) {
    let answer = world.ask("operator", "POST", &format!("/v1/rings/{ring}/{verb}"));
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn every_watcher_hears_of_a_change() {
    let world = World::new();
    let mut watchers: Vec<_> = (0..20).map(|_| watch(&world, "")).collect();
    pause(&world, "web", "pause");
    for watcher in &mut watchers {
        let change = watcher.change().unwrap();
        let data = change.data.unwrap();
        assert_eq!(data["ring"], "web");
        assert_eq!(data["seq"].as_u64(), change.id);
        assert_eq!(data["incarnation"], world.status("web")["incarnation"]);
    }
}

#[test]
fn a_watcher_comes_back_with_its_cursor() {
    let world = World::new();
    let mut first = watch(&world, "");
    pause(&world, "web", "pause");
    let seen = first.change().unwrap().id.unwrap();
    drop(first);
    pause(&world, "web", "resume");
    let mut since = watch(&world, &format!("?since={seen}"));
    assert!(since.change().unwrap().id.unwrap() > seen);
    let request = Request::new("GET", "/v1/watch?since=0")
        .token(world.token("operator"))
        .header("last-event-id", &seen.to_string());
    let mut resumed = Events::open(&world.address, &request);
    assert!(resumed.change().unwrap().id.unwrap() > seen);
}

#[test]
fn what_happened_before_the_server_started_is_read_from_the_store() {
    let mut world = World::new();
    for ring in ["a", "b"] {
        world.declare(ring, &spec("secret"));
    }
    world.stop(Duration::from_secs(1));
    let settings = keywheel_server::Settings {
        listen: vec![keywheel_server::Listen::parse("127.0.0.1:0").unwrap()],
        ..Default::default()
    };
    let started = keywheel_server::Server::start(world.engine.clone(), settings);
    let running = world.runtime.block_on(started).unwrap();
    let keywheel_server::Listen::Tcp(address) = running.addresses()[0] else { unreachable!() };
    world.running = Some(running);
    world.address = address;

    let mut events = watch(&world, "?since=0");
    let mut heard = Vec::new();
    while heard.len() < 3 {
        heard.push(events.change().unwrap().data.unwrap()["ring"].as_str().unwrap().to_owned());
    }
    heard.sort();
    assert_eq!(heard, ["a", "b", "web"]);
    let polled = poll(&world, "since=0&wait=5s");
    assert_eq!(polled["changes"].as_array().unwrap().len(), 3);
}

#[test]
fn a_long_poll_answers_with_news_or_when_its_time_is_over() {
    let world = World::new();
    // The feed may hear of the ring's creation a moment later.
    let empty = eventually("a poll without news", || {
        let polled = poll(&world, "wait=10ms");
        (polled["changes"] == json!([])).then_some(polled)
    });
    let since = empty["seq"].as_u64().unwrap();
    let news = std::thread::scope(|scope| {
        let polling = scope.spawn(|| poll(&world, &format!("since={since}&wait=20s")));
        pause(&world, "web", "pause");
        polling.join().unwrap()
    });
    assert_eq!(news["changes"][0]["ring"], "web");
    assert!(news["seq"].as_u64().unwrap() > since);
}

#[test]
fn a_watcher_hears_of_its_own_rings_only() {
    let world = World::new();
    world.declare("elsewhere", &spec("secret"));
    let request = Request::new("GET", "/v1/watch").token(world.elsewhere("operator"));
    let mut events = Events::open(&world.address, &request);
    pause(&world, "web", "pause");
    pause(&world, "elsewhere", "pause");
    assert_eq!(events.change().unwrap().data.unwrap()["ring"], "elsewhere");
}

#[test]
fn a_silent_feed_beats_and_ends_with_its_token() {
    let world = World::with(|settings, _| {
        settings.limits.heartbeat = Duration::from_millis(20);
    });
    let body = json!({ "name": "short", "role": "operator", "rings": ["*"] });
    let created = world.tell("admin", "POST", "/v1/tokens", &body).json();
    let request = Request::new("GET", "/v1/watch").token(created["token"].as_str().unwrap());
    let mut events = Events::open(&world.address, &request);
    assert_eq!(events.next().unwrap().comment.as_deref(), Some("beat"));
    let id = created["info"]["id"].as_str().unwrap();
    assert_eq!(world.ask("admin", "DELETE", &format!("/v1/tokens/{id}")).status, 200);
    eventually("the end of the feed", || events.next().is_none().then_some(()));
}

#[test]
fn watchers_are_counted() {
    let world = World::new();
    let counted = |expected: &str| {
        eventually("the count of watchers", || {
            let text = world.ask("operator", "GET", "/metrics").body;
            text.contains(&format!("keywheel_watchers {expected}\n")).then_some(())
        });
    };
    let watchers = [watch(&world, ""), watch(&world, "")];
    counted("2");
    drop(watchers);
    counted("0");
}

#[test]
fn going_down_ends_watchers_and_lets_requests_end() {
    let mut world = World::new();
    let mut events = watch(&world, "");
    let address = world.address;
    let request = Request::new("GET", "/v1/watch?wait=30s").token(world.token("operator"));
    let polling = std::thread::spawn(move || crate::support::http::exchange(&address, &request));
    eventually("the long poll", || {
        let text = world.ask("operator", "GET", "/metrics").body;
        text.contains("keywheel_watchers 2\n").then_some(())
    });
    world.stop(Duration::from_secs(10));
    while events.next().is_some() {}
    assert_eq!(polling.join().unwrap().json()["changes"], json!([]));
    assert!(std::net::TcpStream::connect(world.address).is_err());
    assert!(!world.socket.exists());
}
