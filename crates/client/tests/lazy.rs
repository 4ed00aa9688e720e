//! The constructor starts nothing. A test binary of its own, so that nothing else moves.
#![cfg(test)]

use keywheel_client::{Client, TokenSource};

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[test]
fn building_starts_no_thread_and_opens_nothing() {
    let seen = || (count("/proc/self/task"), count("/proc/self/fd"));
    let before = seen();
    let client = Client::builder(
        "unix:/nonexistent/keywheel.sock",
        TokenSource::File("/nonexistent/token".into()),
    )
    .consumer("web")
    .ring("r")
    .host_cache("/nonexistent/cache")
    .build()
    .unwrap();
    let ring = client.clone().ring("r").unwrap();
    let health = ring.health();
    assert!(health.stale && health.instance.is_none());
    assert_eq!(seen(), before);
    let error = ring.current().err().unwrap().to_string();
    assert!(error.contains("/nonexistent/token"), "{error}");
    assert!(seen().0 > before.0, "the first use starts the watcher");
    assert!(client.ring("other").is_err());
}
