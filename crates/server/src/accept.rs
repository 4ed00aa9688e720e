//! Accepting and serving connections: one task each, bounded in number, each of which knows who is
//! at the other end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keywheel_engine::Peer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::app::App;
use crate::edge::Edge;
use crate::listen::Bound;
use crate::stall::Stalling;

/// A TLS handshake that takes longer is cut off.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far the server has come on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// It takes no new connection, and ends each one after its present request.
    Draining,
    /// It ends every connection where it stands.
    Ending,
}

/// What every listener shares.
#[derive(Clone)]
pub(crate) struct Acceptor {
    pub(crate) app: Arc<App>,
    pub(crate) router: Router,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) phase: watch::Receiver<Phase>,
}

impl Acceptor {
    /// Accepts from one listener until the server drains.
    pub(crate) async fn run(mut self, bound: Bound) {
        match bound {
            Bound::Tcp(listener) => self.run_tcp(&listener).await,
            // The file outlives the listener, so that nobody finds it stale in between.
            Bound::Unix(listener, file) => {
                self.run_unix(&listener).await;
                drop(listener);
                drop(file);
            }
        }
    }

    async fn run_tcp(&mut self, listener: &TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.phase.changed() => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause(&error).await;
                    continue;
                }
            };
            let Some(permit) = self.admit() else { continue };
            // Small answers must not wait for the acknowledgement of the ones before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection was gone at once");
                continue;
            }
            let peer = Peer { ip: Some(address.ip()), uid: None };
            let acceptor = self.clone();
            match self.tls.clone() {
                None => drop(tokio::spawn(acceptor.serve(stream, peer, permit))),
                Some(tls) => drop(tokio::spawn(async move {
                    let handshake = tls.accept(stream);
                    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                        Ok(Ok(stream)) => acceptor.serve(stream, peer, permit).await,
                        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                        Err(_) => tracing::debug!("a TLS handshake took too long"),
                    }
                })),
            }
        }
    }

    async fn run_unix(&mut self, listener: &UnixListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.phase.changed() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    pause(&error).await;
                    continue;
                }
            };
            let Some(permit) = self.admit() else { continue };
            // Without credentials a caller is nobody, and tokens bound to a user do not work.
            let uid = stream.peer_cred().map(|credentials| credentials.uid()).ok();
            let peer = Peer { ip: None, uid };
            drop(tokio::spawn(self.clone().serve(stream, peer, permit)));
        }
    }

    fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok();
        if permit.is_none() {
            self.app.counters.turned_away();
        }
        permit
    }

    async fn serve<S>(mut self, stream: S, peer: Peer, permit: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.app.limits;
        let io = TokioIo::new(Stalling::new(stream, limits.write_timeout));
        let router = self.router.clone();
        let edge = Arc::clone(&self.app.edge);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            // The edge answers at once, and from the head alone.
            if edge.has_routes() && Edge::takes(request.uri().path()) {
                let answer = edge.answer(&request.into_parts().0).map(|()| Body::empty());
                return Either::Left(std::future::ready(Ok(answer)));
            }
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            Either::Right(router.clone().oneshot(request))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(limits.header_bytes.max(8 * 1024))
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::trace!(%error, "a connection broke off");
                    }
                    break;
                }
                changed = self.phase.changed() => {
                    let phase = *self.phase.borrow_and_update();
                    if changed.is_err() || phase == Phase::Ending {
                        break;
                    }
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
        drop(permit);
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
