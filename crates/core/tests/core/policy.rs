//! What a policy refuses, in the words that people read: field, cause, remedy.

use std::collections::BTreeSet;

use keywheel_core::policy::profiles::{OnUnknownKid, PROFILES};
use keywheel_core::policy::{Policy, Spec};
use keywheel_core::time::Span;
use serde_json::{Value, json};

/// A ring that is fine, with some fields replaced or added.
fn judged(changes: &Value) -> String {
    let mut spec = json!({
        "kind": "signing",
        "longest_lifetime": "15m",
        "consumer": [{"name": "web", "role": "protect"}],
    });
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    match serde_json::from_value::<Spec>(spec) {
        Err(error) => format!("unreadable: {error}"),
        Ok(spec) => match Policy::try_from(&spec) {
            Ok(_) => "accepted".into(),
            Err(errors) => errors.to_string(),
        },
    }
}

macro_rules! refused {
    ($($test:ident: $changes:tt => @$words:literal;)*) => {
        $(#[test]
        fn $test() {
            insta::assert_snapshot!(judged(&json!($changes)), @$words);
        })*
    };
}

#[test]
fn a_plain_ring_is_accepted() {
    assert_eq!(judged(&json!({})), "accepted");
}

refused! {
    unknown_field: {"rotate_evry": "7d"} => @"unreadable: unknown field `rotate_evry`, expected one of `kind`, `algorithm`, `rsa_bits`, `length_bytes`, `encoding`, `alphabet`, `rotate_every`, `cron`, `time_zone`, `max_age_at_use`, `max_uses`, `on_event`, `jitter`, `quiet_hours`, `longest_lifetime`, `skew`, `hold`, `quiet_use`, `retire_after`, `max_accepted`, `stall_after`, `on_stall`, `lease_ttl`, `offline_max`, `destroy_after`, `on_compromise`, `switch_within`, `approval`, `require`, `findings_max_age`, `max_rejected_percent`, `revocations_stale_after`, `ledger`, `passive`, `consumer`, `column`";
    unknown_consumer_field: {"consumer": [{"name": "web", "role": "protect", "min": 2}]} => @"unreadable: unknown field `min`, expected one of `name`, `role`, `min_instances`, `max_instances`, `one_slot`, `cutover`, `min_evidence`";
    assumed_evidence: {"consumer": [{"name": "web", "role": "protect", "min_evidence": "assumed"}]} => @"consumer.web.min_evidence: `assumed` is what holds when nobody has shown anything. Use attested, held, exercised or probed";
    unknown_evidence: {"consumer": [{"name": "web", "role": "protect", "min_evidence": "sure"}]} => @"unreadable: unknown variant `sure`, expected one of `assumed`, `attested`, `held`, `exercised`, `probed`";
    unknown_role: {"consumer": [{"name": "web", "role": "sign"}]} => @"unreadable: unknown variant `sign`, expected `protect` or `process`";
    unknown_kind: {"kind": "cookie"} => @"kind: `cookie` is not a kind of ring. Use secret, signing, encryption or external";
    unknown_algorithm: {"algorithm": "none"} => @"algorithm: `none` is not a signing algorithm. Use EdDSA, ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, HS256, HS384 or HS512";
    unknown_encryption: {"kind": "encryption", "algorithm": "AES-ECB"} => @"algorithm: `AES-ECB` is not an encryption algorithm. Use AES-256-GCM, ChaCha20-Poly1305, Fernet or passphrase";
    foreign_field_of_kind: {"length_bytes": 32} => @"length_bytes: has no meaning for a ring of kind `signing`. It belongs to kind `secret`; remove it";
    algorithm_of_a_secret: {"kind": "secret", "algorithm": "HS256"} => @"algorithm: has no meaning for a ring of kind `secret`. It belongs to `signing` and `encryption`; remove it";
    short_secret: {"kind": "secret", "length_bytes": 8} => @"length_bytes: 8 is outside 16 to 1024. 16 bytes are the least that nobody can guess; 48 is the default";
    alphabet_and_encoding: {"kind": "secret", "alphabet": "abc", "encoding": "hex"} => @"alphabet: stands beside `encoding`. Keep one of the two";
    weak_alphabet: {"kind": "secret", "alphabet": "01", "length_bytes": 48} => @"alphabet: 48 characters of it carry only 48 bits. Raise length_bytes until they carry 128";
    doubled_alphabet: {"kind": "secret", "alphabet": "aab", "length_bytes": 200} => @"alphabet: needs at least two printable ASCII characters, each once. List each character once, for example 0123456789abcdef";
    unknown_encoding: {"kind": "secret", "encoding": "base32"} => @"encoding: `base32` is not an encoding. Use base64url, hex or raw, or give an alphabet";
    rsa_bits: {"algorithm": "RS256", "rsa_bits": 1024} => @"rsa_bits: 1024 is not offered. Use 2048, 3072 or 4096";
    rsa_bits_of_a_curve: {"rsa_bits": 2048} => @"rsa_bits: `EdDSA` keys have no modulus. Remove it";
    bad_span: {"longest_lifetime": "15 minutes"} => @"longest_lifetime: `15 minutes` is not a length of time; write a whole number and a unit, such as 90s, 30m, 12h, 7d or 2w. Correct the value";
    bad_cron: {"cron": "every sunday"} => @"cron: `every sunday` in time zone `UTC` is not a cron expression: it needs five fields: minute, hour, day of month, month, day of week. Example: `0 3 * * SUN` is each Sunday at 03:00";
    cron_without_a_moment: {"cron": "0 0 31 2 *"} => @"cron: `0 0 31 2 *` in time zone `UTC` is not a cron expression: no moment ever fits it. Example: `0 3 * * SUN` is each Sunday at 03:00";
    bad_time_zone: {"cron": "0 3 * * SUN", "time_zone": "Mars/Base"} => @"cron: `0 3 * * SUN` in time zone `Mars/Base` is not a cron expression: `Mars/Base` is not an IANA time zone. Example: `0 3 * * SUN` is each Sunday at 03:00";
    cron_out_of_range: {"cron": "61 * * * *"} => @"cron: `61 * * * *` in time zone `UTC` is not a cron expression: value must be in range 0..=59; found 61. Example: `0 3 * * SUN` is each Sunday at 03:00";
    bad_quiet_hours: {"quiet_hours": "22-6"} => @"quiet_hours: `22-6` is not a part of the day. Write from-until, such as 22:00-06:00";
    zero_interval: {"rotate_every": "0s"} => @"rotate_every: is zero. Give a length of time, or remove it";
    zero_uses: {"max_uses": 0} => @"max_uses: is zero. Give at least 1, or remove it";
    retire_before_lifetime: {"retire_after": "10m"} => @"retire_after: 10m is shorter than what the ring protects may live (16m). Raise it to 16m or more, remove it, or shorten longest_lifetime";
    rotation_faster_than_its_stages: {"rotate_every": "4m"} => @"rotate_every: 4m is faster than the ring's own stages: a replaced version stays accepted for 16m, so 4 would drain at once, and max_accepted = 5 leaves room for 3. Rotate more slowly, shorten longest_lifetime, or raise max_accepted";
    rotation_faster_than_caches: {"rotate_every": "5m", "passive": ["social-core"], "max_accepted": 64} => @"rotate_every: 5m is shorter than the propagation of passive consumers (1d). Rotate more slowly than your slowest cache learns";
    narrow: {"max_accepted": 1} => @"max_accepted: 1 is outside 2 to 64. A rotation needs two accepted versions: the old and the new";
    offline_before_lost: {"offline_max": "10s"} => @"offline_max: 10s is shorter than lease_ttl (30s). An instance must be lost before it can be gone; raise offline_max";
    findings_age_without_the_gate: {"findings_max_age": "1d"} => @"findings_max_age: has no meaning where the gate `findings` is not required. Add findings to require, or remove it";
    findings_age_of_nothing: {"require": ["findings"], "findings_max_age": "0s"} => @"findings_max_age: is zero. No scan would ever be new enough";
    too_many_percent: {"max_rejected_percent": 101} => @"max_rejected_percent: is more than 100. Give 0 to 100";
    duplicate_consumer: {"consumer": [{"name": "web", "role": "protect"}, {"name": "web", "role": "process"}]} => @"consumer.name: `web` is declared twice. One consumer is one service; count its processes with min_instances";
    consumer_name: {"consumer": [{"name": "Web Shop", "role": "protect"}]} => @"consumer.name: `Web Shop` cannot name a consumer; use 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit. Rename it";
    more_than_can_exist: {"consumer": [{"name": "web", "role": "protect", "min_instances": 3, "max_instances": 2}]} => @"consumer.web.min_instances: asks for 3 instances where at most 2 can exist. The gates would never open; lower it, or raise max_instances";
    too_many_instances: {"consumer": [{"name": "web", "role": "protect", "max_instances": 20_000}]} => @"consumer.web.max_instances: 20000 is more than a server carries. At most 10000 instances of a consumer can be";
    one_slot_without_cutover: {"consumer": [{"name": "nginx", "role": "process", "one_slot": true}]} => @"consumer.nginx.one_slot: a consumer that holds one value cannot accept a key before it is used. Let it hold two values, or set cutover = true and accept what its reload refuses";
    cutover_without_one_slot: {"consumer": [{"name": "nginx", "role": "process", "cutover": true}]} => @"consumer.nginx.cutover: is declared for a consumer that holds several values. Remove it; this consumer needs no exception";
    passive_without_a_name: {"passive": ["=5m"]} => @"passive: an entry has no name. Name it, for example `gateway=5m`";
    passive_with_three_times: {"passive": ["cdn=5m/1h/2h"]} => @"passive: `1h/2h` is not a length of time; write a whole number and a unit, such as 90s, 30m, 12h, 7d or 2w. Correct the value";
    passive_without_a_time: {"passive": ["cdn=5m/"]} => @"passive: `` is not a length of time; write a whole number and a unit, such as 90s, 30m, 12h, 7d or 2w. Correct the value";
    duplicate_passive: {"passive": ["envoy", "envoy=5m"]} => @"passive: `envoy` is listed twice. Keep one of them";
    built_in_gate: {"require": ["instances"]} => @"require: `instances` is a gate of keywheel's own and always in force. Remove it, or name a gate that you will report";
    gate_name: {"require": ["My Gate"]} => @"require: `My Gate` cannot name a gate; use 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit. Rename it";
    unknown_compromise: {"on_compromise": "panic"} => @"on_compromise: `panic` is not known. Use switch_first or reject_first";
    switch_within_of_reject_first: {"on_compromise": "reject_first", "switch_within": "5s"} => @r#"switch_within: has no meaning with on_compromise = "reject_first". Remove it"#;
    columns_of_signatures: {"column": [{"table": "orders", "column": "card", "worker": "web"}]} => @"column: has no meaning for a ring of kind `signing`. It belongs to kind `encryption`; remove it";
    column_without_a_worker: {"kind": "encryption", "column": [{"table": "orders", "column": "card", "worker": "mover"}]} => @r#"column.orders.card.worker: `mover` is not a consumer of this ring. Declare the program that moves the rows as a consumer, with role = "process" and min_instances = 0"#;
    column_twice: {"kind": "encryption", "column": [{"table": "orders", "column": "card", "worker": "web"}, {"table": "orders", "column": "card", "worker": "web", "format": "raw"}]} => @"column.name: `orders.card` is declared twice. Keep one of them, or give each a name of its own";
    column_that_cannot_name_itself: {"kind": "encryption", "column": [{"table": "\"Orders\"", "column": "card", "worker": "web"}]} => @r#"column.name: `"Orders".card` cannot name a column; use 1 to 128 lower-case letters, digits, `-`, `_` or `.`, starting with a letter or digit. Give the column a name of its own with `name`"#;
    column_of_no_table: {"kind": "encryption", "column": [{"table": "", "column": "card", "worker": "web"}]} => @"column.table: does not have 1 to 256 printable bytes. Write it as SQL does, for example public.orders";
    column_of_no_format: {"kind": "encryption", "column": [{"table": "orders", "column": "card", "worker": "web", "format": "rot13"}]} => @"unreadable: unknown variant `rot13`, expected one of `pgp`, `pgp-armored`, `fernet`, `keywheel`, `raw`";
    unknown_column_field: {"kind": "encryption", "column": [{"table": "orders", "column": "card", "worker": "web", "key": "id"}]} => @"unreadable: unknown field `key`, expected one of `name`, `table`, `column`, `format`, `worker`";
    several_at_once: {"kind": "cookie", "max_uses": 0, "skew": "soon"} => @"
kind: `cookie` is not a kind of ring. Use secret, signing, encryption or external
skew: `soon` is not a length of time; write a whole number and a unit, such as 90s, 30m, 12h, 7d or 2w. Correct the value
max_uses: is zero. Give at least 1, or remove it
";
}

fn passive(entries: &[&str]) -> Policy {
    let spec = json!({
        "kind": "signing",
        "longest_lifetime": "15m",
        "passive": entries,
        "consumer": [{"name": "web", "role": "protect"}],
    });
    Policy::try_from(&serde_json::from_value::<Spec>(spec).unwrap()).unwrap()
}

#[test]
fn each_wait_of_a_passive_consumer_follows_from_its_profile_or_its_declaration() {
    let waits = |entry: &str| {
        let policy = passive(&[entry]);
        let cache = policy.promises().cache;
        format!("{entry}: {} / {cache}, max-age {}", policy.propagation(), policy.jwks_max_age())
    };
    let entries = [
        "pyjwkclient",
        "jose",
        "go-oidc",
        "envoy",
        "istio",
        "browser",
        "gateway=5m",
        "gateway=5m/1h",
        "go-oidc=10s/2h",
        "gateway=0s",
    ];
    let told: Vec<_> = entries.into_iter().map(waits).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
pyjwkclient: 30s / 5m, max-age 0s
jose: 30s / 10m, max-age 0s
go-oidc: 0s / 1d, max-age 0s
envoy: 10m / 10m, max-age 5m
istio: 1h / 1h, max-age 5m
browser: 20m / 1d, max-age 5m
gateway=5m: 5m / 5m, max-age 4m
gateway=5m/1h: 5m / 1h, max-age 4m
go-oidc=10s/2h: 10s / 2h, max-age 0s
gateway=0s: 0s / 0s, max-age 0s
");
}

#[test]
fn the_slowest_passive_consumer_decides_each_wait_by_itself() {
    let policy = passive(&["pyjwkclient", "gateway=10m/1m"]);
    assert_eq!(policy.propagation(), Span::from_secs(600));
    assert_eq!(policy.promises().cache, Span::from_secs(300));
    assert_eq!(policy.jwks_max_age(), Span::from_secs(300));
    assert_eq!(passive(&[]).jwks_max_age(), Span::ZERO, "nothing would wait for a copy");
}

#[test]
fn what_is_a_guess_is_said() {
    let warnings = passive(&["browser", "go-oidc", "kong-oidc=1m/2h", "envoy"]).passive_warnings();
    insta::assert_snapshot!(warnings.join("\n"), @r"
`browser` is not a known profile: it is given 20m to learn of a key and 1d to forget one; say its times (`browser=5m/1h`), or use one of pyjwkclient, pyjwkclient-cache-keys, authlib, jose, jwks-rsa, spring, spring-reactive, go-oidc, envoy, istio, aws-http-api, kong-oidc, confluent-cloud, hcl-domino, tibco-ems, nginx-proxy-cache, social-core
go-oidc keeps a key until an unknown kid makes it fetch: 1d is a guess; say how long one lives there (`go-oidc=0s/1h`)
After a compromise go-oidc goes on with the bad key by itself: send a token with an unknown kid through it, so that it fetches
After a compromise kong-oidc goes on with the bad key by itself: send a token with an unknown kid through it, so that it fetches
");
}

#[test]
fn a_document_of_one_wait_still_reads_and_never_waits_shorter() {
    let policy = passive(&["gateway=5m/1h"]);
    let mut stored = serde_json::to_value(&policy).unwrap();
    assert_eq!(serde_json::from_value::<Policy>(stored.clone()).unwrap(), policy);
    stored["passive"] = json!({
        "envoy": 300_000,
        "pyjwkclient": 330_000,
        "social-core": 86_400_000,
        "jose": 330_000,
        "gateway": 60_000,
    });
    let read = serde_json::from_value::<Policy>(stored).unwrap().passive;
    let secs = |name: &str| {
        let one = read[name];
        (one.learns_within.as_secs(), one.keeps_for.as_secs(), one.declared)
    };
    assert_eq!(secs("envoy"), (600, 600, false), "the profile of then was too short");
    assert_eq!(secs("pyjwkclient"), (330, 330, false));
    assert_eq!(secs("social-core"), (86_400, 86_400, false));
    assert_eq!(secs("jose"), (330, 330, true), "it was no profile then");
    assert_eq!(secs("gateway"), (60, 60, true));
}

#[test]
fn the_profiles_are_in_order() {
    let mut names = BTreeSet::new();
    for profile in PROFILES {
        assert!(names.insert(profile.name), "{} stands there twice", profile.name);
        assert!(!profile.source.is_empty() && !profile.name.contains('='), "{}", profile.name);
        if let OnUnknownKid::FetchesAfter(cooldown) = profile.unknown_kid {
            assert!(profile.learns_within >= cooldown, "{} learns too soon", profile.name);
        }
    }
}

#[test]
fn columns_are_named_by_their_place_and_are_few() {
    let many = |count: usize| {
        let columns: Vec<_> = (0..count)
            .map(|n| json!({"table": "t", "column": format!("c{n}"), "worker": "web"}))
            .collect();
        json!({"kind": "encryption", "column": columns})
    };
    assert_eq!(judged(&many(64)), "accepted");
    assert_eq!(
        judged(&many(65)),
        "column: 65 columns are more than 64. Give the others to a second ring"
    );
    let spec = json!({
        "kind": "encryption",
        "longest_lifetime": "15m",
        "consumer": [{"name": "mover", "role": "process", "min_instances": 0}],
        "column": [
            {"table": "public.orders", "column": "card", "worker": "mover"},
            {"name": "old", "table": "\"Orders\"", "column": "Card", "worker": "mover",
             "format": "pgp-armored"},
        ],
    });
    let policy = Policy::try_from(&serde_json::from_value::<Spec>(spec).unwrap()).unwrap();
    let told: Vec<_> = policy
        .columns
        .iter()
        .map(|(name, one)| format!("{name}: {} {} {}", one.table, one.format, one.worker))
        .collect();
    assert_eq!(
        told,
        ["old: \"Orders\" pgp-armored mover", "public.orders.card: public.orders pgp mover"]
    );
}
