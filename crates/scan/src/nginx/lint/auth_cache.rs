//! Cached answers of the authentication endpoint: whom they are given to, and for how long.

use super::scope::{Endpoint, Node};
use super::{Finding, Limits, Weight, finding, has_variable, text};

/// Variables that never hold the token of a header or a cookie.
const WITHOUT_TOKEN: &[&str] = &[
    "args",
    "binary_remote_addr",
    "document_uri",
    "host",
    "is_args",
    "proxy_host",
    "proxy_port",
    "query_string",
    "remote_addr",
    "request_method",
    "request_uri",
    "scheme",
    "server_addr",
    "server_name",
    "server_port",
    "uri",
];

pub(super) fn look(endpoint: &Endpoint<'_, '_>, limits: Limits, found: &mut Vec<Finding>) {
    let place = &endpoint.place;
    let Some(cache) = place.one("proxy_cache") else { return };
    if cache.says("off") || place.one("proxy_pass").is_none() {
        return;
    }
    let key = place.one("proxy_cache_key");
    if key.is_none_or(|key| surely_without_token(key)) {
        found.push(finding(
            "auth-cache-key-without-token",
            Weight::Danger,
            key.unwrap_or(cache),
            "answers about tokens are cached under a key without the token, so that a request \
             with another one, or with none, is let in by the answer to the first",
            "switch proxy_cache off for this location, or put what carries the token into the \
             key, such as $http_authorization",
        ));
    }
    let budget = limits.auth_cache_secs;
    for valid in place.all("proxy_cache_valid") {
        let Some(secs) = success_secs(valid).filter(|secs| *secs > budget) else { continue };
        let ignored = ignores_headers(endpoint);
        let (weight, unless) = if ignored {
            (Weight::Danger, "")
        } else {
            (Weight::Advice, ", unless each answer says Cache-Control: no-store")
        };
        found.push(finding(
            "auth-answer-cached",
            weight,
            valid,
            format!(
                "a revoked token and a retired key are let in for {secs} s by cached answers, \
                 where {budget} s are allowed{unless}"
            ),
            "switch proxy_cache off for this location, or shorten the time",
        ));
    }
}

/// Whether nothing in the key can be a token. A variable that is not known may hold one.
fn surely_without_token(key: &Node<'_>) -> bool {
    key.arguments().iter().all(|word| {
        !has_variable(word)
            || text(word).split('$').skip(1).all(|part| {
                let part = part.trim_start_matches('{');
                let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let name = part.get(..end.unwrap_or(part.len())).unwrap_or_default();
                WITHOUT_TOKEN.contains(&name)
            })
    })
}

/// For how long a success is kept by this directive.
fn success_secs(valid: &Node<'_>) -> Option<u64> {
    let (time, codes) = valid.arguments().split_last()?;
    let names_success = |word| matches!(&*text(word), "any" | "200" | "204");
    if !codes.is_empty() && !codes.iter().any(names_success) {
        return None;
    }
    seconds(&text(time))
}

/// A time of nginx in seconds: `10`, `10s`, `1m30s`, `1h`, `1d`.
fn seconds(text: &str) -> Option<u64> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let number: u64 = number.parse().ok()?;
        let mut letters = tail.chars();
        let scale: u64 = match letters.next() {
            None | Some('s' | ' ') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some('M') => 2_592_000,
            Some('y') => 31_536_000,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(scale)?)?;
        rest = letters.as_str().trim_start();
    }
    Some(total)
}

/// Whether what the endpoint says about caching is ignored.
fn ignores_headers(endpoint: &Endpoint<'_, '_>) -> bool {
    endpoint.place.all("proxy_ignore_headers").iter().any(|node| {
        node.arguments().iter().any(|word| text(word).eq_ignore_ascii_case("cache-control"))
    })
}
