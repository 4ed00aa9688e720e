//! Real forks: a child proves for itself, nobody hangs, and nobody speaks for the parent.

#![cfg(test)]
#![expect(unsafe_code, reason = "there is no safe fork")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use keywheel_client::{Client, RingHandle};
use keywheel_core::revocation::{Facts, Revocation};
use keywheel_engine::Verb;
use keywheel_jose::token::Expected;
use serde_json::json;
use support::{World, context, eventually, name, spec, with};

const PATIENCE: Duration = Duration::from_mins(3);

/// A forked child that will say one line.
struct Child {
    pid: libc::pid_t,
    line: std::sync::mpsc::Receiver<String>,
}

/// Forks; the child does `work`, says what it returned, and ends without running anything else.
fn fork(work: impl FnOnce() -> String) -> Child {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    // SAFETY: the child runs on in this thread alone. It uses the allocator and threads, which
    // glibc makes usable in children, and ends with `_exit`, so that no destructor or test harness
    // of the parent runs twice.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let said = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| "panicked".into());
        let _ = writer.write_all(format!("{said}\n").as_bytes());
        // SAFETY: ends the process; takes nothing and gives nothing back.
        unsafe { libc::_exit(0) };
    }
    drop(writer);
    let (sender, line) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let mut byte = [0];
        while reader.read(&mut byte).is_ok_and(|count| count == 1) && byte != *b"\n" {
            said.push(byte[0]);
        }
        let _ = sender.send(String::from_utf8(said).unwrap());
    });
    Child { pid, line }
}

impl Child {
    /// What the child said; a child that hangs is killed, and the test fails.
    fn said(self) -> String {
        let said = self.line.recv_timeout(PATIENCE);
        // SAFETY: both concern a child of this process that nobody else waits for.
        unsafe {
            if said.is_err() {
                libc::kill(self.pid, libc::SIGKILL);
            }
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
        said.expect("the child hangs")
    }
}

/// Uses the ring, waits until this process has proved, and gives its name at the server.
fn prove(ring: &RingHandle) -> String {
    let (kid, signature) = ring.sign(b"message").unwrap();
    ring.verify(&kid.0, b"message", &signature).unwrap();
    eventually("this process proves", || ring.health().proved.then_some(()));
    ring.health().instance.unwrap().to_string()
}

#[test]
fn child_and_grandchild_prove_for_themselves() {
    let world = World::new();
    world.put("r", &spec("signing"));
    let client = world.client("api", "r");
    let ring = client.ring("r").unwrap();
    let parent = prove(&ring);
    let child = fork(|| {
        let inherited = ring.health();
        assert!(inherited.instance.is_none() && inherited.revision.is_none());
        let own = prove(&ring);
        let grandchild = fork(|| prove(&ring)).said();
        assert_eq!(prove(&ring), own, "a fork does not disturb the one that forks");
        format!("{own} {grandchild}")
    })
    .said();
    let mut names: BTreeSet<_> = child.split(' ').map(str::to_owned).collect();
    names.insert(parent.clone());
    assert_eq!(names.len(), 3, "{child}, child of {parent}");
    let proved: BTreeSet<_> = world.proved("r").into_iter().collect();
    assert_eq!(proved, names);
    assert_eq!(prove(&ring), parent);
}

#[test]
fn a_child_that_was_forked_before_the_first_use_has_its_own_client() {
    let world = World::new();
    world.put("r", &spec("secret"));
    let client = world.client("api", "r");
    let ring = client.ring("r").unwrap();
    let names: BTreeSet<_> = (0..4).map(|_| fork(|| prove(&ring)).said()).collect();
    assert_eq!(names.len(), 4);
    assert!(ring.health().instance.is_none(), "the parent has not used it");
}

#[test]
fn a_child_knows_of_no_revocation_before_it_has_asked() {
    let world = World::new();
    world.put("r", &with(spec("signing"), &json!({ "revocations_stale_after": "30s" })));
    let revocation = Revocation::jti("dead", 4_000_000_000).unwrap();
    world.engine.revoke(&name("r"), &[revocation], &context()).unwrap();
    let client = world.client("api", "r");
    let ring = client.ring("r").unwrap();
    let check = |jti| {
        let facts = Facts { jti: Some(jti), issued_at: Some(0), ..Facts::default() };
        match ring.is_revoked(&facts) {
            Ok(revoked) => format!("{}", revoked.is_some()),
            Err(_) => "refused".into(),
        }
    };
    assert_eq!([check("dead"), check("alive")], ["true", "false"]);
    // The child does not lean on what its parent was sure of.
    world.away.store(true, Ordering::Release);
    let orphan = fork(|| check("alive"));
    assert_eq!(check("alive"), "false");
    assert_eq!(orphan.said(), "refused");
    world.away.store(false, Ordering::Release);
    assert_eq!(fork(|| format!("{} {}", check("dead"), check("alive"))).said(), "true false");
}

/// Names are drawn many at once, and a child inherits what is left over.
#[test]
fn no_two_processes_name_their_tokens_alike() {
    let world = World::new();
    world.put("r", &with(spec("signing"), &json!({ "longest_lifetime": "60s" })));
    let client = world.client("api", "r");
    let ring = client.ring("r").unwrap();
    let names = |count: usize| -> Vec<String> {
        let mint = || {
            let token = ring.sign_token(b"{}").unwrap();
            let verified = ring.verify_token(token.as_bytes(), &Expected::new()).ok().unwrap();
            verified.claims.jti().unwrap().into_owned()
        };
        (0..count).map(|_| mint()).collect()
    };
    // One is drawn, and most are left.
    let mut all = names(1);
    for _ in 0..8 {
        let said = fork(|| {
            let mut own = names(1);
            let grandchild = fork(|| names(20).join(" ")).said();
            own.extend(names(20));
            format!("{} {grandchild}", own.join(" "))
        });
        all.extend(said.said().split(' ').map(str::to_owned));
    }
    all.extend(names(40));
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (1 + 8 * 41 + 40, 1 + 8 * 41 + 40));
}

#[test]
fn a_child_that_drops_the_client_says_nothing_for_its_parent() {
    let world = World::new();
    world.put("r", &spec("secret"));
    let client = world.client("api", "r");
    let ring = client.ring("r").unwrap();
    let parent = prove(&ring);
    let guard = ring.guard().unwrap();
    let (mut client, mut ring) = (Some(client), Some(ring));
    let mut guard = Some(guard);
    let said = fork(|| {
        drop(guard.take());
        assert!(client.as_ref().is_some_and(Client::shutdown));
        drop((client.take(), ring.take()));
        "dropped".into()
    })
    .said();
    assert_eq!(said, "dropped");
    assert!(world.snapshot("r").view.instances.iter().all(|instance| !instance.ended));
    let ring = ring.unwrap();
    assert_eq!(prove(&ring), parent);
    // The parent's guard still counts.
    let edge = world.client("edge", "r");
    edge.start().unwrap();
    world.rotate("r");
    eventually("v2 is primary", || (world.primary("r") == Some(2)).then_some(()));
    eventually("the parent reports its older work", || {
        let snapshot = world.snapshot("r");
        let mut held = snapshot.view.instances.iter().filter_map(|instance| instance.held);
        held.any(|held| held.oldest_guard < held.revision).then_some(())
    });
    drop(guard);
    eventually("the path ends", || world.snapshot("r").ring.path.is_none().then_some(()));
}

#[test]
fn fifty_forks_of_a_busy_process_do_not_hang() {
    let world = World::new();
    // The watcher renews ten times a second, and follows one rotation after the other.
    world.put("r", &with(spec("secret"), &serde_json::json!({ "lease_ttl": "300ms" })));
    let client = world.client("api", "r");
    let ring = client.ring("r").unwrap();
    let parent = prove(&ring);
    let running = Arc::new(AtomicBool::new(true));
    let uses = Arc::new(AtomicUsize::new(0));
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let (ring, running, uses) = (ring.clone(), running.clone(), uses.clone());
            std::thread::spawn(move || {
                while running.load(Ordering::Relaxed) {
                    let (kid, signature) = ring.sign(b"message").unwrap();
                    ring.verify(&kid.0, b"message", &signature).unwrap();
                    // Keeps the watcher busy, and takes the lock of those who wait.
                    let _ = ring.refresh_for_unknown("nobody");
                    uses.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut names = BTreeSet::from([parent]);
    for _ in 0..50 {
        // Refused while one is under way.
        let _ = world.engine.act(&name("r"), &Verb::Rotate { import: None }, &context());
        let said = fork(|| {
            let (kid, signature) = ring.sign(b"message").unwrap();
            ring.verify(&kid.0, b"message", &signature).unwrap();
            ring.health().instance.unwrap().to_string()
        })
        .said();
        assert!(names.insert(said.clone()), "{said} came twice");
    }
    running.store(false, Ordering::Relaxed);
    for thread in busy {
        thread.join().unwrap();
    }
    assert!(uses.load(Ordering::Relaxed) > 50);
}
