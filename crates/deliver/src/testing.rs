//! What the tests of this crate share: rings with keys from a seed, and waiting without sleeping.

use std::sync::Arc;
use std::time::Duration;

use keywheel_client::clock::boot_time;
use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::kind::{Kind, SecretEncoding};
use keywheel_core::time::Span;
use keywheel_jose::{ImportFormat, Material};
use zeroize::Zeroizing;

use crate::values::{AllValues, Key, Value, Values};

/// A caller that never stops.
pub(crate) fn never() -> bool {
    false
}

/// Waits for a condition, with a deadline.
pub(crate) fn eventually(condition: impl Fn() -> bool) {
    let deadline = boot_time().after(Span::from_secs(180));
    while !condition() {
        assert!(boot_time() < deadline, "it did not come true in time");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

pub(crate) fn ring_name() -> RingName {
    "web".parse().unwrap()
}

pub(crate) fn secret_kind() -> Kind {
    Kind::Secret { length: 32, encoding: SecretEncoding::Hex }
}

/// A key that follows from a seed.
pub(crate) fn key(kind: &Kind, seed: u8) -> Material {
    let mut state = u64::from(seed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut fill = move |buffer: &mut [u8]| {
        for byte in buffer {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = state.to_be_bytes()[0];
        }
    };
    Material::generate(kind, &mut fill).unwrap()
}

/// A key that a team already had.
pub(crate) fn text_key(text: &str) -> Material {
    Material::import(&Kind::External, text.as_bytes(), ImportFormat::Raw).unwrap().material
}

pub(crate) fn version(number: u32, key: Key) -> Value {
    let salt = Zeroizing::new(vec![u8::try_from(number).unwrap(); 32]);
    Value::new(VersionNumber(number), Kid(format!("kid-{number}")), salt, key)
}

/// A ring of these keys, oldest first; the last one is primary.
pub(crate) fn ring(keys: Vec<Material>) -> Values {
    let numbered = (1..).zip(keys);
    let versions: Vec<Value> =
        numbered.map(|(number, key)| version(number, Key::Whole(Arc::new(key)))).collect();
    of(versions)
}

pub(crate) fn of(versions: Vec<Value>) -> Values {
    let primary = versions.len().checked_sub(1);
    let incarnation = Incarnation("0123456789abcdef".into());
    Values::new(ring_name(), incarnation, Revision(1), primary, versions)
}

pub(crate) fn all(ring: Values) -> AllValues {
    [(ring_name(), ring)].into()
}
