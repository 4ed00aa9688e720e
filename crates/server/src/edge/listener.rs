//! A listener of the edge's own, on a thread of its own: one thread that reads, judges and writes
//! costs less than half of what several cost that hand requests to each other.

use std::future::Future as _;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Edge;
use super::said::Writing;
use super::wire::{self, Question, Read};
use crate::error::StartError;
use crate::listen::{self, Bound};
use crate::settings::{AuthzSettings, Listen, Settings, SocketMode};
use crate::stall::Stalling;

/// Connections at once; further ones are closed at once. A proxy keeps as many as it has requests
/// under way.
const CONNECTIONS_MAX: usize = 4_096;
/// So often it is seen whether a connection still says something.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// An idle connection is closed after ten minutes: later than proxies close theirs, so that no
/// request meets a connection that has just ended.
const IDLE_LOOKS: u32 = 40;
/// A connection that takes nothing of an answer for this long is closed.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How much is read at once, at first.
const READ_BYTES: usize = 4 * 1024;
/// How long, and with how many reads, the rest of what nobody wants is taken when a connection
/// ends.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
const WASTE_READS_MAX: usize = 256;
/// How long to wait when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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

    /// Answers what was asked, and ends. Blocks for a moment.
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
    // A question that was read is answered before anything else happens on this thread, so the
    // connections can go with the runtime.
    while listeners.join_next().await.is_some() {}
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
        let mut connection = Connection {
            edge: self.edge,
            stream: Stalling::new(stream, WRITE_TIMEOUT),
            unread: Vec::with_capacity(READ_BYTES),
            out: Vec::with_capacity(512),
            to_skip: 0,
        };
        if let Err(error) = connection.converse().await {
            tracing::trace!(%error, "a connection broke off");
        }
        drop(permit);
    }
}

/// One connection of a proxy.
struct Connection<S> {
    edge: Arc<Edge>,
    stream: Stalling<S>,
    /// What was read and not answered yet.
    unread: Vec<u8>,
    out: Vec<u8>,
    /// How much of a body is still to be stepped over.
    to_skip: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Answers question after question. One timer looks now and then whether anything was heard,
    /// so that a question costs none.
    async fn converse(&mut self) -> io::Result<()> {
        let mut look = std::pin::pin!(tokio::time::sleep(LOOK_EVERY));
        let (mut was_heard, mut silent_looks) = (true, 0);
        let mut is_awaited = false;
        loop {
            let goes_on = self.answer_all();
            if !self.out.is_empty() {
                self.stream.write_all(&self.out).await?;
                self.out.clear();
            }
            if !goes_on {
                return self.take_leave().await;
            }
            let Self { stream, unread, .. } = self;
            let mut reading = std::pin::pin!(stream.read_buf(unread));
            let next = std::future::poll_fn(|context| {
                if let Poll::Ready(read) = reading.as_mut().poll(context) {
                    return Poll::Ready(Some(read));
                }
                // Once the timer knows whom to wake, which is always this task, asking it costs
                // more than looking at it.
                if is_awaited && !look.is_elapsed() {
                    return Poll::Pending;
                }
                is_awaited = true;
                look.as_mut().poll(context).map(|()| None)
            });
            if let Some(read) = next.await {
                if read? == 0 {
                    return Ok(());
                }
                was_heard = true;
                continue;
            }
            silent_looks = if was_heard { 0 } else { silent_looks + 1 };
            // Half a question must become a whole one soon; none may be a long time coming.
            let is_waiting = !self.unread.is_empty() || self.to_skip > 0;
            if silent_looks >= if is_waiting { 1 } else { IDLE_LOOKS } {
                return Ok(());
            }
            (was_heard, is_awaited) = (false, false);
            look.as_mut().reset(Instant::now() + LOOK_EVERY);
        }
    }

    /// Answers every question that is there as a whole. False when the connection has to end.
    fn answer_all(&mut self) -> bool {
        let Self { edge, unread, out, to_skip, .. } = self;
        let mut taken = 0;
        let goes_on = loop {
            let rest = unread.get(taken..).unwrap_or_default();
            let skipped = rest.len().min(usize::try_from(*to_skip).unwrap_or(usize::MAX));
            taken = taken.saturating_add(skipped);
            *to_skip = to_skip.saturating_sub(skipped as u64);
            let rest = rest.get(skipped..).unwrap_or_default();
            if rest.is_empty() {
                break true;
            }
            match wire::read(rest, &mut wire::room()) {
                Read::Part => break true,
                Read::Bad(status) => {
                    wire::begin(out, status);
                    wire::end(out, false);
                    break false;
                }
                Read::Question(question) => {
                    taken = taken.saturating_add(question.head_bytes);
                    *to_skip = question.body_bytes;
                    answer(edge, &question, out);
                    if !question.goes_on {
                        break false;
                    }
                }
            }
        };
        if taken == unread.len() {
            unread.clear();
        } else {
            unread.drain(..taken);
        }
        goes_on
    }

    /// Ends a connection on which more may be on its way: closing it at once could take the answer
    /// away from the other side.
    async fn take_leave(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        let mut waste = Vec::with_capacity(READ_BYTES);
        let rest = async {
            for _ in 0..WASTE_READS_MAX {
                waste.clear();
                if self.stream.read_buf(&mut waste).await? == 0 {
                    break;
                }
            }
            Ok(())
        };
        tokio::time::timeout(LEAVE_WITHIN, rest).await.unwrap_or(Ok(()))
    }
}

fn answer(edge: &Edge, question: &Question<'_>, out: &mut Vec<u8>) {
    if Edge::takes(question.asked.path()) {
        edge.decide(&question.asked, &mut Writing::behind(out));
    } else {
        wire::begin(out, StatusCode::NOT_FOUND);
    }
    wire::end(out, question.goes_on);
}

#[cfg(test)]
mod tests;
