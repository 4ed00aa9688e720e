//! How the location that answers an authentication request has to be set up.

use super::scope::{Endpoint, header};
use super::{Finding, Weight, finding};

pub(super) fn look(endpoint: &Endpoint<'_, '_>, found: &mut Vec<Finding>) {
    let (place, location) = (&endpoint.place, endpoint.location);
    // Not inherited by nginx, so only what stands in the location itself counts.
    if !place.own().iter().any(|node| node.is("internal")) {
        found.push(finding(
            "auth-location-not-internal",
            Weight::Advice,
            location,
            "anybody can call the authentication endpoint through this location, and try tokens \
             there without asking for anything else",
            "write `internal;` into this location",
        ));
    }
    if !place.own().iter().any(|node| node.is("proxy_pass")) {
        return;
    }
    let passes_body = place.one("proxy_pass_request_body").is_none_or(|node| !node.says("off"));
    let length = header(place, "Content-Length");
    let is_empty = |word: &super::Word| word.value.is_empty();
    let keeps_length = length.is_none_or(|node| !node.arguments().get(1).is_some_and(is_empty));
    if passes_body || keeps_length {
        let what = match (passes_body, keeps_length) {
            (true, true) => "the body and its Content-Length are",
            (true, false) => "the body is",
            _ => "the Content-Length of a body that does not come is",
        };
        found.push(finding(
            "auth-request-with-body",
            Weight::Advice,
            location,
            format!(
                "{what} passed to the authentication endpoint, which then waits for an upload or \
                 has to read it"
            ),
            "write `proxy_pass_request_body off;` and `proxy_set_header Content-Length \"\";` \
             into this location",
        ));
    }
}
