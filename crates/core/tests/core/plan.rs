//! What a rotation would do, foretold.

use keywheel_core::plan::plan;
use keywheel_core::policy::{OnStall, Policy, Spec};
use keywheel_core::time::Span;
use serde_json::json;

use crate::common::{Driver, policy};

fn told(policy: Policy) -> String {
    let driver = Driver::new(policy);
    let plan = plan(&driver.ring, &driver.view(), driver.now);
    let mut text = match plan.begins {
        Some((at, cause)) => format!("begins {at} ({cause:?})\n"),
        None => "begins when somebody asks\n".into(),
    };
    for stage in plan.stages {
        let line =
            format!("{} +{}: {}\n", stage.stage, stage.earliest_end, stage.waits_for.join("; "));
        text.push_str(&line);
        for cutover in stage.cutover {
            text.push_str(&format!("  cutover: {cutover}\n"));
        }
    }
    for warning in plan.warnings {
        text.push_str(&format!("! {warning}\n"));
    }
    text
}

#[test]
fn a_plain_ring() {
    insta::assert_snapshot!(told(policy()), @r"
begins when somebody asks
stage +0s: room in the accepted set
publish +0s: every server to serve the new version
confirm +0s: proof of every instance of gateway, at least 1; proof of every instance of issuer, at least 1
promote +0s: every protector to switch, work in progress included
drain +10m10s: 10m10s after the last switch: lifetime 10m, skew 10s, caches 0s, hold 0s
retire +10m10s: every instance to show that it dropped the old version
destroy +1d10m10s: 1d for the way back
");
}

#[test]
fn a_ring_with_everything_that_is_worth_a_warning() {
    let spec: Spec = serde_json::from_value(json!({
        "kind": "encryption",
        "longest_lifetime": "1h",
        "rotate_every": "30d",
        "passive": ["envoy"],
        "approval": true,
        "require": ["probes"],
        "on_compromise": "reject_first",
        "consumer": [
            {"name": "nginx", "role": "process", "one_slot": true, "cutover": true},
            {"name": "web", "role": "process", "min_instances": 0, "min_evidence": "probed"},
        ],
    }))
    .unwrap();
    let mut policy = Policy::try_from(&spec).unwrap();
    policy.on_stall = OnStall::Rollback;
    insta::assert_snapshot!(told(policy), @r"
begins 2023-12-14T22:30:00Z (Interval)
stage +0s: room in the accepted set
publish +0s: every server to serve the new version
confirm +10m: proof of every instance of web, at least 0, shown by probed; 10m for envoy to learn: an unknown kid makes it fetch nothing (remote_jwks of Envoy, envoy/issues/39643: cache_duration 10 m, in each worker unless async_fetch); evidence for gate probes; a tested second wrap of the material; an operator's approval
promote +10m: every protector to switch, work in progress included
  cutover: nginx holds one value and cannot accept the new version before it is used: until it has taken the new value it refuses what others protect with it, and afterwards what is still valid under the old one, for up to 1h1m
drain +1h21m: 1h11m after the last switch: lifetime 1h, skew 1m, caches 10m, hold 0s; envoy may keep it for 10m (remote_jwks of Envoy, envoy/issues/39643: cache_duration 10 m, in each worker unless async_fetch); a verified count of zero rows under the old version
retire +1h21m: every instance to show that it dropped the old version
destroy +0s: never by itself
! nginx breaks law 1 in each rotation: it is cut over in stage promote, at the cost named there
! nginx only processes, but holds a key that can also protect
! web may have no instance at all: its absence proves nothing
! web only processes, but holds a key that can also protect
! envoy cannot report; that it knows is assumed after its delay
! A compromise rejects at once whatever the bad version protected
! A stage longer than 30m is taken back by itself
");
}

#[test]
fn the_foretold_times_are_kept() {
    let mut driver = Driver::new(policy());
    let drain = plan(&driver.ring, &driver.view(), driver.now)
        .stages
        .into_iter()
        .find(|stage| stage.stage == "drain")
        .unwrap();
    driver.rotate().finish();
    let secs = drain.earliest_end.as_secs();
    driver.wait(secs - 1).tick();
    assert_eq!(driver.state(1), "retiring");
    driver.wait(1).tick();
    assert_eq!(driver.state(1), "retired");
    assert_eq!(drain.earliest_end, Span::from_secs(610));
}
