//! Ring documents: whatever is read is written back as the same document, and whatever happens to
//! it is answered, by a step or by a refusal, and never by a panic.

#![no_main]

use keywheel_core::policy::Spec;
use keywheel_core::ring::{Attribution, Ring};
use keywheel_core::rotation::{Input, gates, step};
use keywheel_core::schedule::Cause;
use keywheel_core::time::{Now, Span};
use keywheel_core::view::View;
use keywheel_fuzz::{SPECS, at, minted, ring};

/// A document, and what happens to it in turn.
type Story = (Ring, Vec<(Input, Now)>);

/// More happens in no input.
const INPUTS_MAX: usize = 32;

keywheel_fuzz::target!(seeds: stories(), |input: &[u8]| {
    let Ok((mut ring, inputs)) = serde_json::from_slice::<Story>(input) else { return };
    let written = serde_json::to_string(&ring).expect("a document that was read can be written");
    assert_eq!(serde_json::from_str::<Ring>(&written).ok().as_ref(), Some(&ring));

    for (input, now) in inputs.into_iter().take(INPUTS_MAX) {
        let _ = gates(&ring, &View::default(), now);
        if let Ok(done) = step(&ring, input, now) {
            ring = done.ring;
        }
    }
});

/// The same story for each kind of ring, so that mutation starts from every state.
fn stories() -> Vec<String> {
    let specs = SPECS.iter().filter_map(|spec| serde_json::from_str::<Spec>(spec).ok());
    let told = specs.filter_map(|spec| {
        let ring = ring(&spec)?;
        let by = || Attribution { who: "ann".into(), reason: "practice".into() };
        let rotate = |kid| Input::Rotate {
            cause: Cause::Operator { by: "ann".into(), reason: Some("practice".into()) },
            minted: minted(&ring.policy, kid),
        };
        let tick = || Input::Tick { view: View::default() };
        let waive = || Input::Waive {
            gate: "instances".parse().ok().unwrap_or_else(|| unreachable!("it is a gate's name")),
            version: None,
            instance: None,
            by: by(),
            lasts: Span::from_secs(600),
            view: View::default(),
        };
        let inputs = vec![
            rotate("second"),
            tick(),
            waive(),
            Input::Approve { by: by() },
            tick(),
            Input::Promote { view: View::default() },
            Input::Rollback { by: by() },
            Input::Pause { by: by() },
            Input::Resume,
            rotate("third"),
            tick(),
            Input::Event { name: "login".into() },
        ];
        let timed = (1_u64..).map(|step| at(step * 60));
        let story: Vec<(Input, Now)> = inputs.into_iter().zip(timed).collect();
        serde_json::to_string(&(ring, story)).ok()
    });
    told.collect()
}
