//! JWK sets over HTTP, and the record of who fetched which. Whoever fetched the keys since a
//! version was published has had the chance to learn of it; that is no proof, but it shows an
//! operator which caches a rotation has not reached.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, USER_AGENT,
};
use keywheel_api::jwks::JwksClient;
use keywheel_core::id::RingName;
use keywheel_core::time::WallTime;
use keywheel_engine::Peer;

use crate::edge::Document;
use crate::refusal::Refusal;

/// So many clients are remembered, the latest ones.
const CLIENTS_MAX: usize = 1_024;
/// So many rings of one client, of those that it fetched one at a time.
const RINGS_MAX: usize = 64;
/// What is kept of a User-Agent.
const AGENT_CHARS_MAX: usize = 120;

/// Who fetched what.
#[derive(Default)]
pub(crate) struct Fetches {
    clients: Mutex<HashMap<(String, String), Client>>,
}

struct Client {
    /// Of the document of all rings.
    all: Option<Arc<BTreeMap<RingName, u64>>>,
    /// Of documents of one ring.
    rings: BTreeMap<RingName, u64>,
    fetches: u64,
    first: WallTime,
    last: WallTime,
}

impl Fetches {
    /// Notes a fetch. `one` when it was the document of one ring.
    pub(crate) fn note(
        &self,
        peer: Peer,
        headers: &HeaderMap,
        document: &Document,
        one: Option<&RingName>,
        now: WallTime,
    ) {
        let name = (address(peer), agent(headers));
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.contains_key(&name) && clients.len() >= CLIENTS_MAX {
            let oldest = clients.iter().min_by_key(|(_, client)| client.last);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                clients.remove(&oldest);
            }
        }
        let fresh =
            || Client { all: None, rings: BTreeMap::new(), fetches: 0, first: now, last: now };
        let client = clients.entry(name).or_insert_with(fresh);
        client.fetches = client.fetches.saturating_add(1);
        client.last = now;
        match one {
            None => client.all = Some(Arc::clone(&document.generations)),
            Some(ring) => {
                let has_room = client.rings.len() < RINGS_MAX || client.rings.contains_key(ring);
                if let Some(generation) = document.generations.get(ring).filter(|_| has_room) {
                    client.rings.insert(ring.clone(), *generation);
                }
            }
        }
    }

    /// Who fetched a ring's keys, the latest first.
    pub(crate) fn of(&self, ring: &RingName) -> Vec<JwksClient> {
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<_> = clients
            .iter()
            .filter_map(|((address, user_agent), client)| {
                let of_all = client.all.as_ref().and_then(|all| all.get(ring));
                let revision = client.rings.get(ring).max(of_all).copied()?;
                let shown = JwksClient {
                    address: address.clone(),
                    user_agent: user_agent.clone(),
                    revision,
                    fetches: client.fetches,
                    first: client.first.to_string(),
                    last: client.last.to_string(),
                };
                Some((client.last, shown))
            })
            .collect();
        found.sort_by_key(|(last, _)| std::cmp::Reverse(*last));
        found.into_iter().map(|(_, shown)| shown).collect()
    }
}

fn address(peer: Peer) -> String {
    match (peer.ip, peer.uid) {
        (Some(ip), _) => ip.to_canonical().to_string(),
        (None, Some(uid)) => format!("uid {uid}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// What the client calls itself, so far as people can read it.
fn agent(headers: &HeaderMap) -> String {
    let text = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    text.chars().filter(|c| !c.is_control()).take(AGENT_CHARS_MAX).collect()
}

/// The answer to a request for a JWK set.
pub(crate) fn answer(headers: &HeaderMap, document: &Document) -> Result<Response, Refusal> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|error| Refusal::defect(&error));
    let cache = value(&cache_control(document.max_age_secs))?;
    let common = [(ETAG, value(&document.etag)?), (CACHE_CONTROL, cache)];
    if is_held(headers, &document.etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let media = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((common, media, document.body.clone()).into_response())
}

/// A shared cache would add its time to that of the verifier behind it, and the gate `propagation`
/// waits for the verifier alone.
fn cache_control(max_age_secs: u64) -> String {
    match max_age_secs {
        0 => "no-cache".into(),
        secs => format!("private, max-age={secs}"),
    }
}

/// Whether the client holds this document (RFC 9110 section 13.1.2, which compares weakly).
fn is_held(headers: &HeaderMap, etag: &str) -> bool {
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(ring: &str, revision: u64) -> Document {
        Document {
            body: bytes::Bytes::new(),
            etag: "\"x\"".into(),
            max_age_secs: 0,
            generations: Arc::new(BTreeMap::from([(ring.parse().unwrap(), revision)])),
        }
    }

    fn headers(name: hyper::header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn no_shared_cache_keeps_a_set_and_nobody_does_where_nothing_waits_for_a_copy() {
        for (max_age_secs, expected) in [(0, "no-cache"), (240, "private, max-age=240")] {
            let kept = Document { max_age_secs, ..document("web", 1) };
            let answer = answer(&HeaderMap::new(), &kept).ok().unwrap();
            assert_eq!(answer.headers()[CACHE_CONTROL], expected);
        }
    }

    #[test]
    fn an_entity_tag_is_compared_weakly_and_among_others() {
        for held in ["\"x\"", "W/\"x\"", "\"y\", \"x\"", "*"] {
            assert!(is_held(&headers(IF_NONE_MATCH, held), "\"x\""), "{held}");
        }
        for other in ["\"y\"", "x", "W/\"y\"", ""] {
            assert!(!is_held(&headers(IF_NONE_MATCH, other), "\"x\""), "{other}");
        }
    }

    #[test]
    fn the_newest_fetch_counts_and_the_oldest_client_is_forgotten() {
        let fetches = Fetches::default();
        let ring: RingName = "web".parse().unwrap();
        let note = |agent: &str, revision, one: bool, now| {
            let headers = headers(USER_AGENT, agent);
            let document = document("web", revision);
            let one = one.then_some(&ring);
            fetches.note(Peer::default(), &headers, &document, one, WallTime(now));
        };
        note("first", 1, true, 1);
        note("second", 1, false, 2);
        note("first", 4, true, 3);
        note("second", 2, true, 4);
        let seen: Vec<_> =
            fetches.of(&ring).into_iter().map(|one| (one.user_agent, one.revision)).collect();
        assert_eq!(seen, [("second".to_owned(), 2), ("first".to_owned(), 4)]);
        assert!(fetches.of(&"other".parse().unwrap()).is_empty());
        for number in 0..CLIENTS_MAX {
            note(&format!("agent {number}"), 5, false, 5);
        }
        let left = fetches.of(&ring);
        assert_eq!(left.len(), CLIENTS_MAX);
        assert!(left.iter().all(|client| client.revision == 5));
    }
}
