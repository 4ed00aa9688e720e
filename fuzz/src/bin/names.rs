//! Names: whatever one of the name types accepts is short, plain, and unchanged.

#![no_main]

use keywheel_core::id::{ConsumerName, GateName, InstanceId, RingName};

keywheel_fuzz::target!(
    seeds: vec!["web-session", "we", "instances", "a.b_c-9", "", "-we", "We", "../etc"],
    |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let accepted = [
            text.parse::<RingName>().map(String::from),
            text.parse::<ConsumerName>().map(String::from),
            text.parse::<GateName>().map(String::from),
            text.parse::<InstanceId>().map(String::from),
        ];
        for name in accepted.into_iter().flatten() {
            assert_eq!(name, text);
            assert!(!name.is_empty() && name.len() <= 64);
            // A name becomes a segment of a store key and of a path.
            assert!(!name.contains(['/', '\\', '\0', ' ', '%']) && !name.starts_with('.'));
        }
    }
);
