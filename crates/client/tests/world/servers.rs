//! Two servers on one `SQLite` file. A second process on such a file is refused, so both run in
//! this one, each with an engine, a feed and a socket of its own.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keywheel_client::RingHandle;
use keywheel_core::revocation::Revocation;
use keywheel_engine::ports::Store;
use keywheel_jose::token::Expected;
use keywheel_server::edge::Route;
use keywheel_store::{SqliteStore, SystemClock};
use serde_json::json;

use crate::support::{World, eventually, name, now, spec, with};

/// Says how `/authz` of a server answers.
fn authz(world: &World, token: &str) -> u16 {
    let mut stream = UnixStream::connect(world.socket()).unwrap();
    let head = "GET /authz/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    write!(stream, "{head}authorization: Bearer {token}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn verdict(ring: &RingHandle, token: &str) -> &'static str {
    let verified = ring.verify_token(token.as_bytes(), &Expected::new());
    verified.map_or_else(|refusal| refusal.kind(), |_| "ok")
}

fn revoke(ring: &RingHandle, jti: &str) {
    ring.revoke(&[Revocation::jti(jti, 4_000_000_000).unwrap()], Some("a test")).unwrap();
}

/// Ends a server without a word to anybody: nothing that is under way is waited for.
fn kill(world: &mut World) {
    world.stopping.store(true, Ordering::Release);
    let running = world.running.take().unwrap();
    world.runtime.block_on(running.stop(Duration::ZERO));
}

#[test]
fn what_one_server_revokes_the_other_refuses_though_the_first_has_died() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(&folder.path().join("keywheel.db"), Arc::new(SystemClock));
    let store: Arc<dyn Store> = Arc::new(sqlite.unwrap());
    let open = |server: &str| {
        let key = folder.path().join("key");
        let own = tempfile::tempdir().unwrap();
        let mut world = World::over(Arc::clone(&store), &key, server, own);
        world.routes = vec![Route::new("/", name("r"))];
        world
    };
    let mut first = open("first");
    first.put("r", &with(spec("signing"), &json!({ "longest_lifetime": "5m" })));
    first.start();
    let mut second = open("second");
    second.start();
    let (api, edge) = (first.client("api", "r"), second.client("edge", "r"));
    let (signer, checker) = (api.ring("r").unwrap(), edge.ring("r").unwrap());
    let [one, two, alive] = ["1", "2", "3"]
        .map(|jti| signer.sign_token(format!(r#"{{"jti":"{jti}"}}"#).as_bytes()).unwrap());
    for token in [&one, &two, &alive] {
        eventually("the other accepts it", || (authz(&second, token) == 200).then_some(()));
        assert_eq!(verdict(&checker, token), "ok");
    }
    eventually("its client listens", || checker.health().listening.then_some(()));

    let asked = now();
    revoke(&signer, "1");
    eventually("the other refuses it", || (authz(&second, &one) == 401).then_some(()));
    eventually("its client does", || (verdict(&checker, &one) == "revoked").then_some(()));
    eprintln!("another server and its client refused it after {:?}", now() - asked);

    // Whoever revoked dies before the other was seen to know of it.
    revoke(&signer, "2");
    kill(&mut first);
    eventually("the other refuses it", || (authz(&second, &two) == 401).then_some(()));
    eventually("its client does", || (verdict(&checker, &two) == "revoked").then_some(()));
    // So does who was not there: a server and a client that begin now.
    let mut third = open("third");
    third.start();
    let late = second.client("edge", "r");
    let late = late.ring("r").unwrap();
    // Before it has read the ring it accepts nobody, and least of all these.
    assert_eq!([&one, &two].map(|token| authz(&third, token) == 200), [false, false]);
    eventually("the third serves the ring", || (authz(&third, &alive) == 200).then_some(()));
    for world in [&second, &third] {
        assert_eq!([&one, &two, &alive].map(|token| authz(world, token)), [401, 401, 200]);
    }
    for ring in [&checker, &late] {
        let verdicts = [&one, &two, &alive].map(|token| verdict(ring, token));
        assert_eq!(verdicts, ["revoked", "revoked", "ok"]);
    }
}
