//! A listener of the edge's own, on a thread of its own: one thread that reads, judges and writes
//! costs less than half of what several cost that hand requests to each other.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::Edge;
use crate::error::StartError;
use crate::listen::{self, Bound};
use crate::settings::{AuthzSettings, Listen, Settings, SocketMode};
use crate::stall::Stalling;

/// Connections at once; further ones are closed at once. A proxy keeps as many as it has requests
/// under way.
const CONNECTIONS_MAX: usize = 4_096;
/// An idle connection is closed after this long: later than proxies close theirs, so that no
/// request meets a connection that has just ended.
const IDLE: Duration = Duration::from_mins(10);
/// A connection that takes nothing of an answer for this long is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests under way may take when the edge ends.
const DRAIN: Duration = Duration::from_secs(2);

/// The edge on addresses of its own. Dropping it ends it.
pub struct EdgeListener {
    addresses: Vec<Listen>,
    end: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl EdgeListener {
    /// Binds every address and begins to answer.
    ///
    /// # Errors
    /// When an address cannot be used, or the system gives no thread.
    pub fn start(
        edge: Arc<Edge>,
        addresses: Vec<Listen>,
        socket_mode: SocketMode,
    ) -> Result<Self, StartError> {
        let thread = |source| StartError::Bind { address: "a thread".into(), source };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(thread)?;
        let settings = Settings { listen: addresses, socket_mode, ..Settings::default() };
        let bound = runtime.block_on(listen::bind_all(&settings))?;
        let addresses = bound.iter().map(|(address, _)| address.clone()).collect();
        let (end, ended) = watch::channel(false);
        let name = "keywheel-edge";
        let run = move || runtime.block_on(run(edge, bound, ended));
        let thread =
            Some(std::thread::Builder::new().name(name.into()).spawn(run).map_err(thread)?);
        Ok(Self { addresses, end, thread })
    }

    /// The listener that a server's settings ask for, if they do.
    pub(crate) async fn beside(
        edge: &Arc<Edge>,
        settings: &AuthzSettings,
    ) -> Result<Option<Self>, StartError> {
        if settings.listen.is_empty() {
            return Ok(None);
        }
        let (edge, listen) = (Arc::clone(edge), settings.listen.clone());
        let mode = settings.socket_mode;
        let started = tokio::task::spawn_blocking(move || Self::start(edge, listen, mode)).await;
        started
            .unwrap_or_else(|error| {
                let source = io::Error::other(error.to_string());
                Err(StartError::Bind { address: "a thread".into(), source })
            })
            .map(Some)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// Answers what is under way, and ends. Blocks for a moment.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the edge had panicked");
        }
    }
}

impl Drop for EdgeListener {
    fn drop(&mut self) {
        self.finish();
    }
}

async fn run(edge: Arc<Edge>, bound: Vec<(Listen, Bound)>, ended: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut listeners = JoinSet::new();
    for (address, bound) in bound {
        tracing::info!(%address, "the edge listens");
        let door = Door { edge: Arc::clone(&edge), room: Arc::clone(&room), ended: ended.clone() };
        listeners.spawn(door.stand(bound));
    }
    while listeners.join_next().await.is_some() {}
    let everybody = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let left = tokio::time::timeout(DRAIN, room.acquire_many(everybody)).await;
    if left.is_err() {
        tracing::warn!("connections of the edge were cut off because they did not end in time");
    }
}

#[derive(Clone)]
struct Door {
    edge: Arc<Edge>,
    room: Arc<Semaphore>,
    ended: watch::Receiver<bool>,
}

impl Door {
    async fn stand(self, bound: Bound) {
        let mut ended = self.ended.clone();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&bound) => accepted,
                _ = ended.changed() => return,
            };
            if let Err(error) = accepted {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    async fn accept(&self, bound: &Bound) -> io::Result<()> {
        match bound {
            Bound::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Small answers must not wait for the acknowledgement of the ones before.
                if stream.set_nodelay(true).is_ok() {
                    self.admit(stream);
                }
            }
            Bound::Unix(listener, _) => self.admit(listener.accept().await?.0),
        }
        Ok(())
    }

    fn admit<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() {
            drop(tokio::spawn(self.clone().serve(stream, permit)));
        }
    }

    async fn serve<S>(self, stream: S, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { edge, mut ended, .. } = self;
        let service = service_fn(|request: Request<Incoming>| {
            let (parts, _ignored) = request.into_parts();
            std::future::ready(Ok::<_, std::convert::Infallible>(answer(&edge, &parts)))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(Stalling::new(stream, WRITE_TIMEOUT)), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "a connection broke off");
                }
            }
            _ = ended.changed() => {
                connection.as_mut().graceful_shutdown();
                drop(connection.await);
            }
        }
        drop(permit);
    }
}

fn answer(edge: &Edge, parts: &hyper::http::request::Parts) -> Response<Empty<Bytes>> {
    if Edge::takes(parts.uri.path()) {
        return edge.answer(parts).map(|()| Empty::new());
    }
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
