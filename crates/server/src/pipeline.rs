//! What happens to every request before its handler and after it, in this order: bounds, peer,
//! token, rights, form, handler.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::RequestPartsExt as _;
use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use keywheel_api::problem::Kind;
use keywheel_engine::{Caller, EngineError, Peer};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::app::App;
use crate::authz::{self, Right};
use crate::call::{Call, Credential};
use crate::operation::{self, Access, Answer, Body, Operation};
use crate::query::Query;
use crate::refusal::Refusal;

/// The router of every operation in the table.
pub(crate) fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for operation in operation::all() {
        let Ok(filter) = MethodFilter::try_from(operation.method.clone()) else { continue };
        let handler = move |State(app): State<Arc<App>>, request: Request| async move {
            serve(app, operation, request).await
        };
        router = router.route(operation.path, on(filter, handler));
    }
    router
        .method_not_allowed_fallback(|| async {
            Refusal::new(
                Kind::MethodNotAllowed,
                "this path does not take this method",
                "See the Allow header and /openapi.json",
            )
        })
        .fallback(|| async {
            Refusal::new(Kind::NotFound, "there is no such path", "See /openapi.json")
        })
        .with_state(app)
}

async fn serve(app: Arc<App>, operation: &'static Operation, request: Request) -> Response {
    let started = Instant::now();
    let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
    let answering = AssertUnwindSafe(bounded(&app, operation, peer, request)).catch_unwind();
    let answer = match answering.await {
        Ok(answer) => answer,
        Err(_) => Err(Refusal::defect(&"a handler panicked")),
    };
    let response = answer.unwrap_or_else(Refusal::into_response);
    let status = response.status().as_u16();
    app.counters.request(operation.id, status);
    tracing::debug!(
        operation = operation.id,
        status,
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        ip = peer.ip.map(tracing::field::display),
        uid = peer.uid,
        "request"
    );
    response
}

async fn bounded(
    app: &Arc<App>,
    operation: &'static Operation,
    peer: Peer,
    request: Request,
) -> Result<Response, Refusal> {
    let answering = answer(app, operation, peer, request);
    if matches!(operation.answer, Answer::Events(..)) {
        return answering.await;
    }
    let within = app.limits.request_timeout;
    tokio::time::timeout(within, answering).await.unwrap_or_else(|_| {
        Err(Refusal::new(
            Kind::StoreUnavailable,
            format!("the request was not done within {} s", within.as_secs()),
            "Read the ring again before you repeat anything; see that the store answers",
        ))
    })
}

async fn answer(
    app: &Arc<App>,
    operation: &'static Operation,
    peer: Peer,
    request: Request,
) -> Result<Response, Refusal> {
    let (mut parts, body) = request.into_parts();
    check_bounds(app, operation, &parts.headers)?;
    let credential = credential(&mut parts.headers)?;
    let caller = authenticate(app, operation, peer, credential.as_ref()).await?;
    let path = path_of(&mut parts).await?;
    if let (Access::Right(right), Some(caller)) = (operation.access, &caller) {
        check_rights(caller, right, &path)?;
    }
    let body = read_body(app, operation, &parts.headers, body).await?;
    let query = Query::read(&parts.uri, operation)?;
    let app = Arc::clone(app);
    let headers = parts.headers;
    let call = Call { app, caller, credential, peer, path, query, headers, body };
    (operation.handler)(call).await
}

fn check_bounds(app: &App, operation: &Operation, headers: &HeaderMap) -> Result<(), Refusal> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    if announced > operation.body_bytes(app.limits.body_bytes) {
        return Err(too_large(app, operation));
    }
    let carries = announced > 0 || headers.contains_key(TRANSFER_ENCODING);
    if carries && matches!(operation.body, Body::Nothing) {
        return Err(Refusal::new(
            Kind::Malformed,
            "this operation takes no body",
            "Send the request without one",
        ));
    }
    Ok(())
}

fn too_large(app: &App, operation: &Operation) -> Refusal {
    let most = operation.body_bytes(app.limits.body_bytes);
    Refusal::new(
        Kind::TooLarge,
        format!("the body is longer than {most} bytes"),
        "Send less at once",
    )
}

/// Takes the token out of the headers, so that nothing further on can show it.
fn credential(headers: &mut HeaderMap) -> Result<Option<Credential>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .filter(|_| values.next().is_none())
        .map(|(_, token)| Arc::new(Zeroizing::new(token.trim().to_owned())));
    headers.remove(AUTHORIZATION);
    token.map(Some).ok_or_else(|| {
        Refusal::new(
            Kind::Unauthenticated,
            "the Authorization header is not one bearer token",
            "Send Authorization: Bearer kw_…",
        )
    })
}

async fn authenticate(
    app: &Arc<App>,
    operation: &Operation,
    peer: Peer,
    credential: Option<&Credential>,
) -> Result<Option<Arc<Caller>>, Refusal> {
    let open = match operation.access {
        Access::Open => return Ok(None),
        Access::Metrics => app.open_metrics_on_loopback && is_local(peer),
        Access::Right(_) => false,
    };
    match credential {
        None if open => Ok(None),
        None => Err(Refusal::new(
            Kind::Unauthenticated,
            "this operation needs a token",
            "Send Authorization: Bearer kw_…",
        )),
        Some(credential) => {
            let credential = Arc::clone(credential);
            let caller = app.engine(move |engine| engine.authenticate(&credential, &peer)).await?;
            if operation.access == Access::Metrics {
                authz::check(&caller, Right::ReadMetrics, None)?;
            }
            Ok(Some(Arc::new(caller)))
        }
    }
}

fn is_local(peer: Peer) -> bool {
    peer.uid.is_some() || peer.ip.is_some_and(|ip| ip.to_canonical().is_loopback())
}

async fn path_of(
    parts: &mut hyper::http::request::Parts,
) -> Result<Vec<(String, String)>, Refusal> {
    let params = parts.extract::<RawPathParams>().await.map_err(|_| {
        Refusal::new(Kind::NotFound, "the path cannot be read", "Write it in plain ASCII")
    })?;
    Ok(params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A ring that cannot exist is treated as one that does not: rights first, then 404.
fn check_rights(caller: &Caller, right: Right, path: &[(String, String)]) -> Result<(), Refusal> {
    let segment = path.iter().find(|(name, _)| name == "ring").map(|(_, ring)| ring.parse());
    match segment {
        None => authz::check(caller, right, None),
        Some(Ok(ring)) => authz::check(caller, right, Some(&ring)),
        Some(Err(_)) => {
            authz::check(caller, right, None)?;
            Err(Refusal::no_such_ring())
        }
    }
}

async fn read_body(
    app: &App,
    operation: &Operation,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let required = match operation.body {
        Body::Nothing => return Ok(Zeroizing::default()),
        Body::Optional(_) => false,
        Body::Required(_) | Body::Large(_) | Body::Form(_) => true,
    };
    let is_form = matches!(operation.body, Body::Form(_));
    let reading = Limited::new(body, operation.body_bytes(app.limits.body_bytes)).collect();
    // Half of the time that the whole request has: the other half is for the store.
    let collected = match tokio::time::timeout(app.limits.request_timeout / 2, reading).await {
        Ok(Ok(collected)) => collected,
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(too_large(app, operation));
        }
        Ok(Err(_)) => {
            let detail = "the body broke off";
            return Err(Refusal::new(Kind::Malformed, detail, "Send the whole request"));
        }
        Err(_) => {
            let detail = "the body did not arrive in time";
            return Err(Refusal::new(Kind::Timeout, detail, "Send it at once"));
        }
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let mut chunks = collected.aggregate();
    bytes.reserve_exact(bytes::Buf::remaining(&chunks));
    while bytes::Buf::has_remaining(&chunks) {
        let chunk = bytes::Buf::chunk(&chunks);
        bytes.extend_from_slice(chunk);
        let taken = chunk.len();
        bytes::Buf::advance(&mut chunks, taken);
    }
    if bytes.is_empty() {
        return if required {
            Err(Refusal::new(
                Kind::Malformed,
                "this operation needs a body",
                "See /openapi.json for its form",
            ))
        } else {
            Ok(bytes)
        };
    }
    if is_form && !is_media(headers, "application/x-www-form-urlencoded") {
        return Err(Refusal::new(
            Kind::UnsupportedMediaType,
            "the body is not announced as a form",
            "Send Content-Type: application/x-www-form-urlencoded",
        ));
    }
    if !is_form && !is_media(headers, "application/json") {
        return Err(Refusal::new(
            Kind::UnsupportedMediaType,
            "the body is not announced as JSON",
            "Send Content-Type: application/json",
        ));
    }
    Ok(bytes)
}

fn is_media(headers: &HeaderMap, wanted: &str) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_wanted = parts.next().is_some_and(|media| media.eq_ignore_ascii_case(wanted));
    is_wanted && parts.all(|parameter| parameter.eq_ignore_ascii_case("charset=utf-8"))
}

/// Asks again whether a token is good, for connections that outlive their request.
pub(crate) async fn still_good(
    app: &App,
    credential: &Credential,
    peer: Peer,
) -> Result<(), Refusal> {
    let credential = Arc::clone(credential);
    app.engine(move |engine| engine.authenticate(&credential, &peer).map(|_| ())).await
}

/// Whether a refusal says that the token is no longer good, and not only that nobody could tell.
pub(crate) fn is_unauthenticated(refusal: &Refusal) -> bool {
    refusal.status() == Refusal::from(EngineError::Unauthenticated).status()
}
