//! The configuration file: whatever is read as one has rings that are settled, or refused with
//! every fault named, and never with a panic. Addresses and files are settled by the command line,
//! which is too heavy to be built here.

#![no_main]

#[expect(dead_code, reason = "what it read is settled by the command line")]
#[path = "../../../crates/cli/src/config/raw.rs"]
mod raw;

use keywheel_core::id::RingName;
use keywheel_core::policy::Policy;

const TEMPLATE: &str = include_str!("../../../crates/cli/src/config/keywheel.toml");

keywheel_fuzz::target!(seeds: vec![TEMPLATE, RINGS, SERVER], |input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(config) = toml::from_str::<raw::RawConfig>(text) else { return };
    for (name, spec) in &config.ring {
        let _ = name.parse::<RingName>();
        if let Err(faults) = Policy::try_from(spec) {
            assert!(!faults.0.is_empty(), "it was refused without a reason");
            assert!(!faults.to_string().is_empty(), "a fault says nothing");
        }
    }
});

/// Rings of every kind.
const RINGS: &str = r#"
[ring.web-session]
kind = "secret"
length_bytes = 48
rotate_every = "30d"
longest_lifetime = "31d"
stall_after = "30m"
on_stall = "hold"
[[ring.web-session.consumer]]
name = "web"
role = "protect"
min_instances = 2

[ring.access-token]
kind = "signing"
algorithm = "EdDSA"
cron = "0 3 * * SUN"
quiet_hours = "22:00-06:00"
longest_lifetime = "15m"
passive = ["pyjwkclient", "envoy"]
"#;

/// A server that listens and tells.
const SERVER: &str = r#"
[server]
listen = ["127.0.0.1:7117", "unix:/run/keywheel/keywheel.sock"]
store = "sqlite:keywheel.db"
kek = { file = "master.key" }

[[notify]]
on = ["stalled", "failed", "overdue", "done", "compromised"]
webhook = { url_file = "url", secret_file = "secret" }
"#;
