//! The rings of the configuration at the start of the server, as `keywheel apply` would send them.

use std::collections::BTreeMap;

use keywheel_core::id::RingName;
use keywheel_core::policy::Spec;
use keywheel_engine::{Context, Engine, EngineError};

/// Creates rings that are not there and changes policies that differ. A ring that is refused keeps
/// its former policy, says so in the log, and keeps no other ring waiting.
pub(super) fn apply(engine: &Engine, rings: &BTreeMap<RingName, Spec>) {
    let context = Context {
        actor: "keywheel".into(),
        reason: Some("the configuration at the start of the server".into()),
        ..Context::default()
    };
    for (name, spec) in rings {
        match engine.snapshot(name) {
            Ok(known) if known.ring.deleted.is_some() => {
                tracing::warn!(ring = %name, "it was deleted; keywheel apply creates it anew");
            }
            Ok(known) if known.spec == *spec => {}
            Ok(_) | Err(EngineError::NotFound { .. }) => {
                match engine.put_ring(name, spec, None, None, &context) {
                    Ok(_) => tracing::info!(ring = %name, "is as declared now"),
                    Err(error) => refused(name, &error),
                }
            }
            Err(error) => refused(name, &error),
        }
    }
}

fn refused(name: &RingName, error: &EngineError) {
    tracing::error!(
        ring = %name,
        cause = %error,
        remedy = error.remedy(),
        "the ring could not be made as declared"
    );
}
