//! `return` answers in the rewrite phase, before anybody is asked whether the request may pass.

use super::scope::{Node, Place};
use super::{Finding, Weight, finding, text};

/// Looks at a server and its locations.
pub(super) fn look(server: &Place<'_, '_>, found: &mut Vec<Finding>) {
    within(server, false, found);
}

fn within(place: &Place<'_, '_>, is_if: bool, found: &mut Vec<Finding>) {
    // What only an internal redirect reaches was asked about where it came from, and nobody is
    // asked about the request that asks.
    let is_exempt = place.block().is_some_and(is_internal);
    if place.auth_request().is_some() && !is_exempt {
        for node in place.own().iter().filter(|node| node.is("return")) {
            if lets_pass(node, is_if) {
                found.push(finding(
                    "return-beside-auth-request",
                    Weight::Danger,
                    node,
                    "nginx answers here before auth_request is asked, so that a request without \
                     any token gets this answer",
                    "let a content handler answer (proxy_pass, try_files, empty_gif), or move the \
                     return into a location that is reached by an internal redirect",
                ));
            }
        }
    }
    for inner in place.inner(&["location"]) {
        within(&inner, false, found);
    }
    for inner in place.inner(&["if", "limit_except"]) {
        within(&inner, true, found);
    }
}

fn is_internal(block: &Node<'_>) -> bool {
    let is_named = block.arguments().first().is_some_and(|word| word.value.starts_with(b"@"));
    block.is("location") && (is_named || block.children.iter().any(|node| node.is("internal")))
}

/// Whether what it answers is a success. Redirects and refusals give nothing away, and an empty
/// answer under a condition is how preflight requests are answered.
fn lets_pass(node: &Node<'_>, is_if: bool) -> bool {
    let Some(code) = node.arguments().first() else { return false };
    let code = text(code);
    match code.parse::<u16>() {
        Ok(204) => !is_if,
        Ok(code) => (200..300).contains(&code),
        // `return URL` is a redirect.
        Err(_) => false,
    }
}
