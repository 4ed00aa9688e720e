//! What all fuzz targets share: seeds that each target brings along, written out when asked.
//!
//! The targets themselves are the files of `src/bin`. Each takes bytes, feeds them to one parser of
//! keywheel, and asserts what must hold of everything that the parser accepts.

use std::path::Path;

use keywheel_core::id::{Incarnation, Kid};
use keywheel_core::policy::{Policy, Spec};
use keywheel_core::ring::{Origin, Ring};
use keywheel_core::rotation::{Minted, create};
use keywheel_core::time::{ClusterTime, Now, WallTime};

/// The variable that asks a target to write its seeds into a folder and end.
pub const SEEDS_FOLDER: &str = "KEYWHEEL_FUZZ_SEEDS";

/// Writes the seeds and ends the program, when the environment asks for it.
///
/// The seeds are made only then; making them may be slow.
pub fn write_seeds<S: AsRef<[u8]>>(seeds: impl FnOnce() -> Vec<S>) {
    let Some(folder) = std::env::var_os(SEEDS_FOLDER) else { return };
    for (number, seed) in seeds().iter().enumerate() {
        let path = Path::new(&folder).join(format!("seed-{number:03}"));
        if let Err(error) = std::fs::write(&path, seed) {
            eprintln!("{} cannot be written: {error}", path.display());
            std::process::exit(1);
        }
    }
    std::process::exit(0);
}

/// Declares a target: its seeds, and what is done with each input.
#[macro_export]
macro_rules! target {
    (seeds: $seeds:expr, |$input:ident: &[u8]| $body:expr) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::write_seeds(|| $seeds),
            |$input: &[u8]| $body
        );
    };
}

/// A moment on both clocks, so many seconds after the beginning of an imagined world.
pub fn at(secs: u64) -> Now {
    let wall = i64::try_from(secs).unwrap_or(i64::MAX).saturating_add(1_700_000_000);
    Now {
        cluster: ClusterTime(secs.saturating_mul(1_000)),
        wall: WallTime(wall.saturating_mul(1_000)),
    }
}

/// A ring declared so, with its first version, unless the declaration is refused.
pub fn ring(spec: &Spec) -> Option<Ring> {
    let policy = Policy::try_from(spec).ok()?;
    let first = minted(&policy, "first");
    let name = "web-session".parse().ok()?;
    Some(create(name, Incarnation("one".into()), policy, first, at(0)).ring)
}

/// A version as the engine describes it to the core.
pub fn minted(policy: &Policy, kid: &str) -> Minted {
    Minted {
        kid: Kid(kid.into()),
        kind: policy.kind.clone(),
        fingerprint: format!("fingerprint-of-{kid}"),
        origin: Origin::Generated,
        recovery_tested: true,
    }
}

/// Declarations that are accepted, one for each corner of the language.
pub const SPECS: &[&str] = &[
    r#"{"kind":"secret","longest_lifetime":"31d","rotate_every":"30d","length_bytes":48,
        "stall_after":"30m","on_stall":"hold",
        "consumer":[{"name":"web","role":"protect","min_instances":2}]}"#,
    r#"{"kind":"signing","algorithm":"EdDSA","longest_lifetime":"15m","cron":"0 3 * * SUN",
        "time_zone":"Europe/Berlin","quiet_hours":"22:00-06:00","jitter":"5m",
        "passive":["pyjwkclient","envoy","edge=5m"],"approval":true,"require":["probes"],
        "consumer":[{"name":"issuer","role":"protect"},{"name":"web","role":"process"}]}"#,
    r#"{"kind":"encryption","algorithm":"passphrase","longest_lifetime":"365d",
        "destroy_after":"never","max_uses":1000,"on_event":["login"],"max_age_at_use":"90d",
        "on_compromise":"reject_first","max_accepted":8,"consumer":[]}"#,
    r#"{"kind":"secret","alphabet":"abcdef0123","longest_lifetime":"1h","skew":"5s","hold":"1m",
        "quiet_use":"10s","retire_after":"2h","lease_ttl":"10s","offline_max":"10m",
        "switch_within":"30s","on_compromise":"switch_first","max_rejected_percent":10,
        "consumer":[{"name":"db","role":"protect","one_slot":true,"cutover":true}]}"#,
];
