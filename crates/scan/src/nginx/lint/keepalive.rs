//! Connections to the authentication endpoint that are opened anew for each request.

use super::scope::{Endpoint, Node, Place, header};
use super::{Finding, Weight, finding, has_variable, text};

const RULE: &str = "auth-upstream-without-keepalive";

const REMEDY: &str = "name the endpoint in an upstream block with `keepalive 16;`, and write \
                      `proxy_http_version 1.1;` and `proxy_set_header Connection \"\";` into this \
                      location";

pub(super) fn look(endpoint: &Endpoint<'_, '_>, found: &mut Vec<Finding>) {
    let place = &endpoint.place;
    let own = place.own().iter().find(|node| node.is("proxy_pass"));
    let Some(pass) = own else { return };
    let Some(url) = pass.arguments().first().filter(|url| !has_variable(url)) else { return };
    let missing = missing(place, &text(url));
    if missing.is_empty() {
        return;
    }
    let always = missing.iter().any(|one| one.always);
    let before = if always { "" } else { "before 1.29.7, " };
    let list: Vec<_> = missing.iter().map(|one| one.what).collect();
    found.push(finding(
        RULE,
        Weight::Advice,
        pass,
        format!(
            "{before}nginx opens a connection for each authentication request, which doubles its \
             cost and more: {}",
            list.join(", ")
        ),
        REMEDY,
    ));
}

/// What keeps connections from being used again, and whether in every version of nginx. From 1.29.7
/// on, what is not written is as it should be.
struct Missing {
    what: &'static str,
    always: bool,
}

fn missing(place: &Place<'_, '_>, url: &str) -> Vec<Missing> {
    let mut all = Vec::new();
    let upstream = place.http().and_then(|http| upstream_of(http, url));
    match upstream.map(|upstream| upstream.children.iter().find(|node| node.is("keepalive"))) {
        None => all.push(Missing { what: "there is no upstream block", always: false }),
        Some(None) => all.push(Missing { what: "its upstream has no keepalive", always: false }),
        Some(Some(keepalive)) if keepalive.says("0") => {
            all.push(Missing { what: "its upstream has keepalive 0", always: true });
        }
        Some(Some(_)) => {}
    }
    match place.one("proxy_http_version") {
        None => all.push(Missing { what: "proxy_http_version is not 1.1", always: false }),
        Some(node) if node.says("1.0") => {
            all.push(Missing { what: "proxy_http_version is 1.0", always: true });
        }
        Some(_) => {}
    }
    match header(place, "Connection").and_then(|node| node.arguments().get(1)) {
        None => all.push(Missing { what: "Connection is not cleared", always: false }),
        Some(word) if word.value.is_empty() || has_variable(word) => {}
        Some(_) => all.push(Missing { what: "Connection is set", always: true }),
    }
    all
}

/// The upstream block that a URL names.
fn upstream_of<'t, 'a>(http: &'t Node<'a>, url: &str) -> Option<&'t Node<'a>> {
    let (_, rest) = url.split_once("://")?;
    let name = rest.split(['/', '?']).next()?;
    let mut upstreams = http.children.iter().filter(|node| node.is("upstream"));
    upstreams.find(|node| node.says(name))
}
