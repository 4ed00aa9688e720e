//! Bodies of API requests, reports of instances among them: whatever is read as one of them is
//! written back as the same body, and a declared policy is settled or refused.

#![no_main]

use keywheel_api::instance::{Register, Reports};
use keywheel_api::ring::{Event, Evidence, PutRing, Verb, Waive};
use keywheel_api::token::CreateToken;
use keywheel_core::policy::Policy;
use keywheel_fuzz::SPECS;
use serde::Serialize;
use serde::de::DeserializeOwned;

keywheel_fuzz::target!(seeds: seeds(), |input: &[u8]| {
    if let Some(body) = same_again::<PutRing>(input) {
        let _ = Policy::try_from(&body.policy);
    }
    same_again::<Verb>(input);
    same_again::<Waive>(input);
    same_again::<Evidence>(input);
    same_again::<Event>(input);
    same_again::<Register>(input);
    same_again::<Reports>(input);
    same_again::<CreateToken>(input);
});

/// Reads a body and holds that it is written as something that reads as the same body.
fn same_again<Body: Serialize + DeserializeOwned>(input: &[u8]) -> Option<Body> {
    let body = serde_json::from_slice::<Body>(input).ok()?;
    let written = serde_json::to_string(&body).expect("a body that was read can be written");
    let again = serde_json::from_str::<Body>(&written).expect("a body that was written is read");
    assert_eq!(serde_json::to_string(&again).ok().as_ref(), Some(&written));
    Some(body)
}

fn seeds() -> Vec<String> {
    let digest = "A".repeat(43);
    let bodies = [
        r#"{"reason":"practice","order":"reject_first","lose_data":true}"#.to_owned(),
        r#"{"import":{"format":"hex","value":"AAEC"}}"#.to_owned(),
        r#"{"reason":"practice","lasts":"10m","instance":"i1","version":2}"#.to_owned(),
        r#"{"verdict":"fail","why":"found one","level":"probed","version":2}"#.to_owned(),
        r#"{"name":"login"}"#.to_owned(),
        r#"{"consumer":"web","rings":["web-session"],"host":"a","pid":7}"#.to_owned(),
        r#"{"name":"web","role":"consumer","rings":["*"],"consumer":"web","cidr":"10.0.0.0/8",
            "uid":33,"expires_in":"90d"}"#
            .to_owned(),
        format!(
            r#"{{"instance":"i1","goodbye":true,"reports":[{{"ring":"web-session",
                "incarnation":"one","revision":3,"sequence":1,"accepted_set":"{digest}",
                "proofs":{{"1":"{digest}"}},"answer":"AAEC","oldest_guard":2,
                "counts":{{"1":{{"processed":4,"rejected":0}}}},
                "stale_for_millis":5,"refused_revision":2}}]}}"#
        ),
    ];
    let declared = SPECS.iter().map(|spec| format!(r#"{{"policy":{spec}}}"#));
    bodies.into_iter().chain(declared).collect()
}
