//! Tokens through rotations and revocations, between this client and a real server.

use std::collections::BTreeSet;

use keywheel_client::SignError;
use keywheel_core::id::VersionNumber;
use keywheel_core::revocation::Revocation;
use keywheel_jose::token::{Expected, IssueError};
use serde_json::json;

use crate::support::{World, eventually, spec, with};

const SECOND: VersionNumber = VersionNumber(2);

#[test]
fn tokens_outlive_the_switch_and_not_the_retirement() {
    let world = World::new();
    let algorithms = [("EdDSA", json!({})), ("HS256", json!({ "algorithm": "HS256" }))];
    for (nth, (name, changes)) in algorithms.into_iter().enumerate() {
        let ring = format!("r{nth}");
        // Time enough to be seen between the end of a token and that of its version.
        let slow = with(spec("signing"), &json!({ "skew": "4s" }));
        world.put(&ring, &with(slow, &changes));
        let (api, edge) = (world.client("api", &ring), world.client("edge", &ring));
        let (signer, checker) = (api.ring(&ring).unwrap(), edge.ring(&ring).unwrap());
        let expected = Expected::new().audience("app").require(["exp", "iat", "jti"]);
        let sign = || signer.sign_token(br#"{"sub":"ada","aud":"app"}"#).unwrap();
        let check = |token: &str| checker.verify_token(token.as_bytes(), &expected);

        // A token lives for two seconds, in which nobody has to be waited for.
        signer.current().unwrap();
        checker.current().unwrap();
        let old = sign();
        let verified = check(&old).map_err(|refusal| refusal.kind()).ok().unwrap();
        assert_eq!(verified.claims.subject().as_deref(), Some("ada"), "{name}");
        eventually("both prove", || (world.proved(&ring).len() == 2).then_some(()));
        world.rotate(&ring);
        eventually("the signer switches", || {
            (signer.current().unwrap().primary_number() == Some(SECOND)).then_some(())
        });
        // Whoever has not heard of the second version asks for it by its kid.
        let new = sign();
        assert_eq!(check(&new).ok().unwrap().version.number(), SECOND);
        let kinds = eventually("the old token is refused", || {
            let refusal = check(&old).err()?;
            Some(refusal.kind())
        });
        // It has expired before its version retires: law 2.
        assert_eq!(kinds, "expired", "{name}");
        eventually("its version is gone", || {
            (check(&old).err()?.kind() == "unknown_kid").then_some(())
        });
    }
}

#[test]
fn every_token_has_a_name_of_its_own_and_none_outlives_the_promise() {
    let world = World::new();
    world.put("r", &with(spec("signing"), &json!({ "longest_lifetime": "60s" })));
    let api = world.client("api", "r");
    let ring = api.ring("r").unwrap();
    let names: BTreeSet<String> = (0..100)
        .map(|_| {
            let token = ring.sign_token(b"{}").unwrap();
            let verified = ring.verify_token(token.as_bytes(), &Expected::new()).ok().unwrap();
            let claims = verified.claims;
            let issued = claims.issued_at().unwrap().floor();
            assert_eq!(claims.expires().unwrap().floor() - issued, 60);
            claims.jti().unwrap().into_owned()
        })
        .collect();
    assert_eq!(names.len(), 100);
    let too_long = ring.sign_token(br#"{"exp":99999999999}"#).unwrap_err();
    assert!(matches!(too_long, SignError::Claims(IssueError::TooLong { longest_secs: 60, .. })));
    assert!(matches!(ring.sign_token(b"[]"), Err(SignError::Claims(_))));

    world.put("s", &spec("secret"));
    let api = world.client("api", "s");
    assert!(matches!(api.ring("s").unwrap().sign_token(b"{}"), Err(SignError::WrongKind)));
}

#[test]
fn a_revoked_token_is_refused_by_everybody() {
    let world = World::new();
    world.put("r", &with(spec("signing"), &json!({ "longest_lifetime": "60s" })));
    let (api, edge) = (world.client("api", "r"), world.client("edge", "r"));
    let (signer, checker) = (api.ring("r").unwrap(), edge.ring("r").unwrap());
    let [dead, alive] = ["1", "2"]
        .map(|jti| signer.sign_token(format!(r#"{{"jti":"{jti}"}}"#).as_bytes()).unwrap());
    let outcome = |token: &str| {
        let verified = checker.verify_token(token.as_bytes(), &Expected::new());
        verified.map_or_else(|refusal| refusal.kind(), |_| "ok")
    };
    assert_eq!((outcome(&dead), outcome(&alive)), ("ok", "ok"));
    signer.revoke(&[Revocation::jti("1", 99_999_999_999).unwrap()], Some("a test")).unwrap();
    eventually("the other process refuses it", || (outcome(&dead) == "revoked").then_some(()));
    assert_eq!(outcome(&alive), "ok");
}

#[test]
fn forged_tokens_count_against_the_version_that_they_name() {
    let world = World::new();
    world.put("r", &with(spec("signing"), &json!({ "longest_lifetime": "60s" })));
    let edge = world.client("edge", "r");
    let api = world.client("api", "r");
    let (signer, checker) = (api.ring("r").unwrap(), edge.ring("r").unwrap());
    let token = signer.sign_token(b"{}").unwrap();
    let (body, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{body}.{first}{}", &signature[1..]);
    for _ in 0..3 {
        let refusal = checker.verify_token(forged.as_bytes(), &Expected::new()).err().unwrap();
        assert_eq!(refusal.kind(), "signature");
    }
    eventually("they are counted", || {
        let snapshot = world.snapshot("r");
        let count = |instance: &keywheel_core::view::Instance| {
            instance.counts.get(&VersionNumber(1)).map_or(0, |counts| counts.rejected)
        };
        (snapshot.view.instances.iter().map(count).sum::<u64>() == 3).then_some(())
    });
}

/// Whoever missed a key is found by what it refuses.
#[test]
fn the_kid_of_a_refused_token_is_reported() {
    let world = World::new();
    let consumers = json!([
        { "name": "api", "role": "protect" },
        { "name": "edge", "role": "process" },
    ]);
    let changes = json!({ "consumer": consumers, "longest_lifetime": "60s" });
    for name in ["r", "other"] {
        world.put(name, &with(spec("signing"), &changes));
    }
    let (edge, api) = (world.client("edge", "r"), world.client("api", "other"));
    let (checker, signer) = (edge.ring("r").unwrap(), api.ring("other").unwrap());
    checker.current().unwrap();
    let token = signer.sign_token(b"{}").unwrap();
    for _ in 0..3 {
        let refusal = checker.verify_token(token.as_bytes(), &Expected::new()).err().unwrap();
        assert_eq!(refusal.kind(), "unknown_kid");
    }
    eventually("a report carries all three", || {
        let instances = world.snapshot("r").instances;
        (instances.iter().map(|instance| instance.unknown).sum::<u64>() == 3).then_some(())
    });
}
