//! Declarations of rings: whatever is read as a `Spec` is settled or refused, and a ring that was
//! settled can be planned and woken without a panic.

#![no_main]

use keywheel_core::plan::plan;
use keywheel_core::policy::Spec;
use keywheel_core::rotation::{scheduled, wake};
use keywheel_core::view::View;
use keywheel_fuzz::{SPECS, at, ring};

keywheel_fuzz::target!(seeds: SPECS.to_vec(), |input: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(input) else { return };
    let written = serde_json::to_string(&spec).expect("a declaration that was read can be written");
    assert_eq!(serde_json::from_str::<Spec>(&written).ok().as_ref(), Some(&spec));

    let Some(ring) = ring(&spec) else { return };
    let view = View::default();
    let _ = plan(&ring, &view, at(1));
    let _ = wake(&ring, &view, at(1));
    let _ = scheduled(&ring, &view);
});
