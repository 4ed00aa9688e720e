//! The bare axum server that the real one is compared with: it says hello, and repeats to every
//! watcher whatever it is told, with no store, no rights and no cursors.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::broadcast;

use crate::{Fallible, child, measure};

/// An event of the same size as one of the change feed.
const EVENT: &str = "id: 123456\nevent: change\ndata: {\"seq\":123456,\"ring\":\"access-token\",\
                     \"revision\":123,\"incarnation\":\"0123456789abcdefghijkl\"}\n\n";

pub(crate) fn serve(listen: &str) -> Fallible<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (sender, _) = broadcast::channel::<Bytes>(64);
    let watched = sender.clone();
    let app = Router::new().route("/readyz", get(|| async { "hello\n" })).route(
        "/v1/watch",
        get(move || {
            let receiver = watched.subscribe();
            async move { stream(receiver) }
        }),
    );
    let port = if let Some(path) = listen.strip_prefix("unix:") {
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::bind(path)?
        };
        runtime.spawn(async move { axum::serve(listener, app).await });
        0
    } else {
        let listener = runtime.block_on(tokio::net::TcpListener::bind(listen))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(async move { axum::serve(listener, app).await });
        port
    };
    child::obey(port, |words| match words {
        ["publish"] => {
            let now = measure::monotonic();
            sender.send(Bytes::from_static(EVENT.as_bytes())).map_err(|_| "nobody watches")?;
            Ok(vec![child::nanos(now)])
        }
        other => Err(format!("{other:?} means nothing to the peer").into()),
    })
}

fn stream(receiver: broadcast::Receiver<Bytes>) -> Response {
    let first = Some(Bytes::from_static(b"id: 123456\nretry: 1000\n\n"));
    let events = futures_util::stream::unfold((first, receiver), |(first, mut receiver)| async {
        let bytes = match first {
            Some(bytes) => bytes,
            None => receiver.recv().await.ok()?,
        };
        Some((Ok::<Bytes, Infallible>(bytes), (None, receiver)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let kind = axum::http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
    response
}
