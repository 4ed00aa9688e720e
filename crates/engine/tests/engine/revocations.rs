//! Revocations as the engine keeps them: over restarts and servers, in the record, within bounds,
//! and at the end of a rotation.

use std::time::Duration;

use keywheel_core::revocation::{Facts, Revocation, Revoked};
use keywheel_engine::ports::{Clock as _, Store as _};
use keywheel_engine::{AfterRotation, Engine, EngineError, Issued, RevocationPage, Verb};
use serde_json::json;

use super::support::{Fate, World, context, ring, spec, version, with};

fn now(world: &World) -> i64 {
    world.clock.wall().0.div_euclid(1_000)
}

fn jti(world: &World, jti: &str) -> Revocation {
    Revocation::jti(jti, now(world) + 600).unwrap()
}

fn checked(engine: &Engine, jti: &str) -> Option<Revoked> {
    let facts = Facts { jti: Some(jti), issued_at: Some(i64::MAX), ..Facts::default() };
    engine.revocations(&ring()).unwrap().check(&facts)
}

/// Everything that the log tells after a number, and where it ends.
fn told(engine: &Engine, since: u64) -> (Vec<Revocation>, u64) {
    let (mut entries, mut at) = (Vec::new(), since);
    loop {
        let RevocationPage { entries: more, next, newest, .. } =
            engine.revocation_page(&ring(), at).unwrap();
        entries.extend(more);
        at = next;
        if at == newest {
            return (entries, at);
        }
    }
}

#[test]
fn what_is_revoked_stays_so_over_a_restart_and_on_every_server() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    let second = world.second("b");
    let theirs = second.revocations(&ring()).unwrap();
    let cursor = world.engine.head().unwrap();
    let recorded = world.engine.revoke(&ring(), &[jti(&world, "one")], &context()).unwrap();
    assert_eq!((recorded.number, recorded.count), (1, 1));
    assert_eq!(checked(&world.engine, "one"), Some(Revoked::Jti));
    assert_eq!(checked(&world.engine, "two"), None);
    // The other server asks for changes, as its feed does, and is told.
    let (changes, _) = second.changes(cursor, 100).unwrap();
    assert_eq!(changes.iter().map(|change| change.revocations).collect::<Vec<_>>(), [Some(1)]);
    let facts = Facts { jti: Some("one"), issued_at: Some(i64::MAX), ..Facts::default() };
    assert_eq!(theirs.check(&facts), Some(Revoked::Jti));
    let again = Engine::open(world.parts_again()).unwrap();
    assert_eq!(checked(&again, "one"), Some(Revoked::Jti));
    // A server that only makes its rounds learns of it too.
    world.engine.revoke(&ring(), &[jti(&world, "two")], &context()).unwrap();
    second.drive();
    assert!(theirs.check(&Facts { jti: Some("two"), ..facts }).is_some());
}

#[test]
fn the_log_tells_everything_and_then_only_what_is_new() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    let all: Vec<_> = (0..5_000).map(|n| jti(&world, &format!("t{n}"))).collect();
    world.engine.revoke(&ring(), &all, &context()).unwrap();
    let (mut entries, end) = told(&world.engine, 0);
    entries.sort();
    let mut wanted = all;
    wanted.sort();
    assert_eq!(entries, wanted);
    assert_eq!(told(&world.engine, end), (Vec::new(), end));
    let recorded = world.engine.revoke(&ring(), &[jti(&world, "new")], &context()).unwrap();
    assert_eq!(told(&world.engine, end), (vec![jti(&world, "new")], recorded.number));
    // A cursor from a store that was set back begins anew.
    assert_eq!(told(&world.engine, end + 100).0.len(), 5_001);
}

#[test]
fn one_entry_of_the_record_tells_how_many_and_why_but_never_which() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    let kid = world.engine.snapshot(&ring()).unwrap().ring.versions[&version(1)].kid.clone();
    let entries = [
        jti(&world, "secret-jti"),
        Revocation::subject("secret-alice", now(&world), now(&world) + 60).unwrap(),
        Revocation::kid(kid, None).unwrap(),
        Revocation::IssuedBefore { at: 7 },
    ];
    world.engine.revoke(&ring(), &entries, &context()).unwrap();
    let page = world.engine.audit(0, 100).unwrap();
    assert!(page.verified);
    let entry = page.entries.last().unwrap();
    assert_eq!(entry.action, "revoked");
    assert_eq!(entry.detail["tokens"], 1);
    assert_eq!(entry.detail["subjects"], 1);
    assert_eq!(entry.detail["issued_before"], 7);
    assert_eq!(entry.detail["reason"], "a test");
    assert!(!entry.detail.to_string().contains("secret"));
}

#[test]
fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    let refused = |entries: &[Revocation]| {
        let error = world.engine.revoke(&ring(), entries, &context()).unwrap_err();
        format!("{error}. {}", error.remedy())
    };
    let later = now(&world) + 3_600;
    let wrong = [
        refused(&[]),
        refused(&[Revocation::kid(keywheel_core::id::Kid("other".into()), None).unwrap()]),
        refused(&[Revocation::IssuedBefore { at: later }]),
        refused(&[Revocation::subject("a", later, later).unwrap()]),
    ];
    assert!(wrong[0].contains("0 revocations were named"), "{wrong:?}");
    assert!(wrong[1].contains("has no key `other`"), "{wrong:?}");
    assert!(wrong[2..].iter().all(|text| text.contains("lies ahead")), "{wrong:?}");
    let missing = world.engine.revoke(&"none".parse().unwrap(), &[], &context());
    assert!(matches!(missing, Err(EngineError::NotFound { .. })));
    assert_eq!(world.engine.newest_revocation(&ring()).unwrap(), 0);
    assert_eq!(world.audit(), ["created"]);
}

#[test]
fn everything_active_dies_at_once_and_what_comes_after_lives() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    world.engine.revoke_active(&ring(), &context()).unwrap();
    let set = world.engine.revocations(&ring()).unwrap();
    let issued = |issued_at| Facts { issued_at, ..Facts::default() };
    assert!(set.check(&issued(Some(now(&world)))).is_some());
    assert!(set.check(&issued(None)).is_some());
    assert_eq!(set.check(&issued(Some(now(&world) + 1))), None);
}

#[test]
fn a_commit_that_fails_revokes_nothing_and_one_unheard_may_be_repeated() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    world.probe.next([Fate::Away]);
    let away = world.engine.revoke(&ring(), &[jti(&world, "a")], &context());
    assert!(matches!(away, Err(EngineError::Store(_))));
    assert_eq!(checked(&world.engine, "a"), None);
    world.probe.next([Fate::DoneUnheard]);
    let unheard = world.engine.revoke(&ring(), &[jti(&world, "a")], &context());
    assert!(matches!(unheard, Err(EngineError::Unknown(_))));
    world.engine.revoke(&ring(), &[jti(&world, "a")], &context()).unwrap();
    assert!(checked(&world.engine, "a").is_some());
    assert_eq!(checked(&Engine::open(world.parts_again()).unwrap(), "a"), Some(Revoked::Jti));
}

#[test]
fn expired_records_are_removed_and_small_ones_merged() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    let old = Revocation::jti("old", now(&world) + 1).unwrap();
    world.engine.revoke(&ring(), &[old], &context()).unwrap();
    let young = now(&world) + 86_400;
    for number in 0..5 {
        let one = Revocation::jti(format!("young-{number}"), young).unwrap();
        world.engine.revoke(&ring(), &[one], &context()).unwrap();
    }
    let (_, middle) = (told(&world.engine, 0), 4);
    let rows = || world.store.list("revocation/", None, 100).unwrap().len();
    assert_eq!(rows(), 6);
    world.clock.advance(Duration::from_hours(4));
    world.engine.drive();
    world.pass_secs(5);
    assert_eq!(rows(), 1);
    let entries = told(&world.engine, 0).0;
    assert_eq!(entries.len(), 5);
    // Whoever stood in between is told it all once more, and misses nothing.
    assert_eq!(told(&world.engine, middle).0.len(), 5);
    let again = Engine::open(world.parts_again()).unwrap();
    assert_eq!(checked(&again, "young-0"), Some(Revoked::Jti));
    assert_eq!(checked(&again, "old"), None);
    assert_eq!(again.revocations(&ring()).unwrap().len(), 5);
}

#[test]
fn the_log_of_a_deleted_ring_goes() {
    let world = World::new();
    world.create(&ring(), &with("signing", json!({ "ledger": true })));
    world.engine.revoke(&ring(), &[jti(&world, "a")], &context()).unwrap();
    let issued = Issued { jti: "b".into(), expires: now(&world) + 600, kid: None };
    world.engine.record_issued(&ring(), &[issued]).unwrap();
    world.engine.act(&ring(), &Verb::Delete { lose_data: true }, &context()).unwrap();
    assert!(matches!(world.engine.revocations(&ring()), Err(EngineError::NotFound { .. })));
    world.clock.advance(Duration::from_hours(1));
    world.engine.drive();
    world.pass_secs(5);
    for family in ["revocation/", "issued/"] {
        assert!(world.store.list(family, None, 10).unwrap().is_empty(), "{family}");
    }
}

#[test]
fn records_that_somebody_took_out_or_put_back_are_missed() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    world.engine.revoke(&ring(), &[jti(&world, "a")], &context()).unwrap();
    let head = world.row("revocation-head/web");
    world.engine.revoke(&ring(), &[jti(&world, "b")], &context()).unwrap();
    let (row, newer) = ("revocation/web/0000000000000002", world.row("revocation-head/web"));
    let kept = world.row(row);
    world.overwrite(row, None);
    let again =
        || Engine::open(world.parts_again()).unwrap().revocations(&ring()).map(|set| set.len());
    assert!(matches!(again(), Err(EngineError::Distrusted { .. })));
    // Nothing else is kept up by that: the ring goes on, also through the hour of tidying.
    world.clock.advance(Duration::from_hours(1));
    world.rotate();
    world.pass_secs(3);
    assert_eq!(world.primary(), Some(version(1)));
    assert!(world.engine.snapshot(&ring()).unwrap().ring.path.is_some());
    world.overwrite("revocation-head/web", Some(head));
    assert!(matches!(again(), Err(EngineError::Distrusted { .. })));
    world.overwrite("revocation-head/web", None);
    assert!(matches!(again(), Err(EngineError::Distrusted { .. })));
    world.overwrite("revocation-head/web", Some(newer));
    world.overwrite(row, Some(kept));
    assert_eq!(again().unwrap(), 2);
}

#[test]
fn a_ledger_is_revoked_token_by_token() {
    let world = World::new();
    world.create(&ring(), &with("signing", json!({ "ledger": true })));
    let issued = |jti: &str| Issued { jti: jti.into(), expires: now(&world) + 600, kid: None };
    let many: Vec<_> = (0..3_000).map(|n| issued(&format!("t{n}"))).collect();
    world.engine.record_issued(&ring(), &many).unwrap();
    world.engine.record_issued(&ring(), &[issued("last")]).unwrap();
    assert_eq!(world.engine.ledger_len(&ring()).unwrap(), 3_001);
    assert_eq!(world.engine.revoke_issued(&ring(), &context()).unwrap(), 3_001);
    assert_eq!(world.engine.ledger_len(&ring()).unwrap(), 0);
    assert_eq!(told(&world.engine, 0).0.len(), 3_001);
    assert!(checked(&world.engine, "last").is_some());
    // Again: nothing is left.
    assert_eq!(world.engine.revoke_issued(&ring(), &context()).unwrap(), 0);
    assert_eq!(told(&world.engine, 0).0.len(), 3_001);
}

#[test]
fn a_ring_without_a_ledger_takes_no_reports_for_it() {
    let world = World::new();
    world.create(&ring(), &spec("signing"));
    let issued = Issued { jti: "b".into(), expires: now(&world) + 600, kid: None };
    let error = world.engine.record_issued(&ring(), &[issued]).unwrap_err();
    assert_eq!(error.to_string(), "ring: ring web keeps no ledger of what was issued");
}

#[test]
fn a_rotation_revokes_what_came_before_it_when_every_protector_has_switched() {
    let world = World::new();
    let policy = with("signing", json!({ "ledger": true }));
    let (mut api, mut edge) = world.settled(&policy);
    let kids = |number| {
        world.engine.snapshot(&ring()).unwrap().ring.versions[&version(number)].kid.clone()
    };
    let first = kids(1);
    let expires = now(&world) + 600;
    let issued = |jti: &str, kid| Issued { jti: jti.into(), expires, kid };
    world.engine.record_issued(&ring(), &[issued("by-1", Some(first.clone()))]).unwrap();
    let revoke = AfterRotation { active: true, issued: true };
    world.engine.act(&ring(), &Verb::RotateAndRevoke { import: None, revoke }, &context()).unwrap();
    let set = world.engine.revocations(&ring()).unwrap();
    let token = |kid: &keywheel_core::id::Kid, issued_at| {
        let facts = Facts { kid: Some(&kid.0), issued_at: Some(issued_at), ..Facts::default() };
        set.check(&facts)
    };
    while world.primary() != Some(version(2)) {
        assert_eq!(token(&first, now(&world)), None, "nothing dies before its successor is used");
        world.live(&mut [&mut api, &mut edge], 1);
    }
    let (promoted, second) = (now(&world), kids(2));
    world.engine.record_issued(&ring(), &[issued("by-2", Some(second.clone()))]).unwrap();
    world.live(&mut [&mut api, &mut edge], 3);
    assert!(token(&first, promoted).is_some());
    // Even what a clock that runs ahead has signed is dead, and nothing of the new primary is.
    assert!(token(&first, promoted + 1).is_some());
    assert_eq!(token(&second, now(&world) - 100), None);
    assert!(checked(&world.engine, "by-1").is_some());
    assert_eq!(checked(&world.engine, "by-2"), None);
    // It happens once.
    let after = world.engine.newest_revocation(&ring()).unwrap();
    world.live(&mut [&mut api, &mut edge], 3);
    assert_eq!(world.engine.newest_revocation(&ring()).unwrap(), after);
    // After a rollback the former primary signs again, and what it signs is accepted.
    world.engine.act(&ring(), &Verb::Rollback, &context()).unwrap();
    world.live(&mut [&mut api, &mut edge], 4);
    assert_eq!(world.primary(), Some(version(1)));
    assert_eq!(token(&first, now(&world)), None);
}

#[test]
fn a_rotation_that_is_taken_back_revokes_nothing() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("signing"));
    let revoke = AfterRotation { active: true, issued: false };
    world.engine.act(&ring(), &Verb::RotateAndRevoke { import: None, revoke }, &context()).unwrap();
    world.engine.act(&ring(), &Verb::Rollback, &context()).unwrap();
    world.live(&mut [&mut api, &mut edge], 3);
    assert!(world.engine.revocations(&ring()).unwrap().is_empty());
    assert!(world.audit().contains(&"not_revoked".into()));
}
