//! The agent's file: whatever is read as one is read the same again, or refused with a reason, and
//! never with a panic. What it means is settled by the command line, which is too heavy to be built
//! here.

#![no_main]

#[expect(dead_code, reason = "only the rules of the edge are shared by both files")]
#[path = "../../../crates/cli/src/config/raw.rs"]
mod server;

/// Where the file of an agent looks for what it shares with the server's.
mod config {
    pub(crate) use crate::server as raw;
}

#[expect(dead_code, reason = "what it read is settled by the command line")]
#[path = "../../../crates/cli/src/config/agent/raw.rs"]
mod raw;

use keywheel_core::id::{ConsumerName, RingName};

const EXAMPLE: &str = include_str!("../../../crates/cli/src/config/agent/agent.toml");

keywheel_fuzz::target!(seeds: vec![EXAMPLE, TAKES], |input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let agent = match toml::from_str::<raw::RawAgent>(text) {
        Ok(agent) => agent,
        Err(error) => {
            assert!(!error.message().is_empty(), "it was refused without a reason");
            return;
        }
    };
    for consumer in &agent.consumer {
        let _ = consumer.name.parse::<ConsumerName>();
        for take in consumer.sink.iter().flat_map(|sink| sink.set.values()) {
            let _ = take.0.ring.parse::<RingName>();
        }
    }
});

/// Takes in each of their forms.
const TAKES: &str = r#"
[server]
url = "unix:/run/keywheel/keywheel.sock"
token_file = "/etc/keywheel/agent.token"

[[consumer]]
name = "web"
[[consumer.sink]]
name = "env"
env_file = "/srv/web/.env"
set.SECRET_KEY = "web-session"
set.SECRET_KEY_FALLBACKS = { ring = "web-session", which = "others", join = "," }
[[consumer.sink]]
name = "key"
file = "/srv/web/key"
value = { ring = "web-session", form = "bytes" }
[[consumer.probe]]
http = "http://127.0.0.1:8000/whoami"
headers = { Authorization = "Bearer {artefact}" }
artefact = { ring = "web-session", jwt = { sub = "probe", n = 1, deep = { list = [true] } } }
"#;
