//! How long a silent connection lives, on a clock that the tests move.

use keywheel_core::id::RingName;
use keywheel_core::revocation::{Facts, Revoked};
use keywheel_core::time::WallTime;
use keywheel_engine::ports::{Clock, Elapsed};
use tokio::io::{DuplexStream, duplex};

use super::super::{Accepted, Authority, EdgeSettings, Profile, Stale};
use super::*;

/// Knows no ring, and what time it is at no moment.
struct Nobody;

impl Authority for Nobody {
    fn accepted(&self, _: &RingName) -> Option<Arc<Accepted>> {
        None
    }

    fn revoked(&self, _: &RingName, _: &Facts<'_>) -> Result<Option<Revoked>, Stale> {
        Ok(None)
    }

    fn unknown_kid(&self, _: &RingName, _: &str) {}
}

impl Clock for Nobody {
    fn wall(&self) -> WallTime {
        WallTime(0)
    }

    fn monotonic(&self) -> Elapsed {
        Elapsed(Duration::ZERO)
    }
}

const QUESTION: &[u8] = b"GET /authz HTTP/1.1\r\nhost: x\r\n\r\n";

/// A connection, and when it ended.
fn connect() -> (DuplexStream, tokio::task::JoinHandle<Duration>) {
    let settings = EdgeSettings { profile: Profile::Nginx, routes: Vec::new() };
    let edge = Arc::new(Edge::new(settings, Arc::new(Nobody), Arc::new(Nobody)));
    let (ours, theirs) = duplex(4_096);
    let mut connection = Connection {
        edge,
        stream: Stalling::new(theirs, WRITE_TIMEOUT),
        unread: Vec::new(),
        out: Vec::new(),
        to_skip: 0,
    };
    let ended = tokio::spawn(async move {
        let began = Instant::now();
        connection.converse().await.unwrap();
        began.elapsed()
    });
    (ours, ended)
}

async fn ask(stream: &mut DuplexStream) {
    stream.write_all(QUESTION).await.unwrap();
    let mut answer = [0; 512];
    assert_ne!(stream.read(&mut answer).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_ends_after_ten_minutes_and_not_before() {
    let (_stream, ended) = connect();
    let lived = ended.await.unwrap();
    assert!(lived > LOOK_EVERY * IDLE_LOOKS && lived <= LOOK_EVERY * (IDLE_LOOKS + 1), "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn half_a_question_is_not_waited_for() {
    let (mut stream, ended) = connect();
    ask(&mut stream).await;
    stream.write_all(QUESTION.get(..10).unwrap()).await.unwrap();
    let lived = ended.await.unwrap();
    assert!(lived <= LOOK_EVERY * 3, "{lived:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_now_and_then_goes_on_to_be_answered() {
    let (mut stream, ended) = connect();
    for _ in 0..20 {
        // Longer than between two looks, so that looks and questions come in turn.
        // tidy: sleeps because time passes here only when the test says so.
        tokio::time::sleep(LOOK_EVERY * 3 / 2).await;
        ask(&mut stream).await;
    }
    drop(stream);
    let lived = ended.await.unwrap();
    assert_eq!(lived, LOOK_EVERY * 3 / 2 * 20);
}
