//! The change feed: server-sent events, or one answer after a bounded wait.
//!
//! What it tells are hints. A watcher that was cut off, fell behind or met another server comes
//! back with its cursor, and whatever it then reads is the truth.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use keywheel_api::problem::Kind;
use keywheel_api::watch::{Change, Changes};
use keywheel_engine::ports::Seq;
use keywheel_engine::{Caller, Peer};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, timeout, timeout_at};

use crate::app::App;
use crate::authz::Right;
use crate::call::{Call, Credential, json};
use crate::feed::{self, Attendance, PAGE, Signal, Taken};
use crate::operation::{Access, Answer, Body, Operation, Parameter, Shape, schema};
use crate::pipeline;
use crate::refusal::Refusal;

/// The longest long poll.
const WAIT_MAX_SECS: u64 = 60;

/// A watcher's token is checked again after about this many heartbeats.
const CHECK_EVERY: u32 = 4;

const CURSOR_MAX: u64 = i64::MAX.unsigned_abs();

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "watch",
    method: Method::GET,
    path: "/v1/watch",
    summary: "Tells which of the token's rings change, as server-sent events; with `wait`, as one \
              answer when there is something to tell or the wait is over.",
    access: Access::Right(Right::Watch),
    query: &[
        Parameter {
            name: "since",
            description: "The cursor of the last change that was seen; from now on when absent.",
            required: false,
            shape: Shape::Integer { least: 0, most: CURSOR_MAX },
        },
        Parameter {
            name: "wait",
            description: "Answers once, after this long at the latest.",
            required: false,
            shape: Shape::Span { most_secs: WAIT_MAX_SECS },
        },
    ],
    conditional: false,
    body: Body::Nothing,
    answer: Answer::Events(schema::<Change>, schema::<Changes>),
    refusals: &[],
    handler: |call| Box::pin(watch(call)),
}];

async fn watch(call: Call) -> Result<Response, Refusal> {
    let since = cursor(&call)?;
    let wait = call.query.span("wait");
    let Call { app, caller: Some(caller), credential: Some(credential), peer, .. } = call else {
        return Err(keywheel_engine::EngineError::Unauthenticated.into());
    };
    // The bell is taken before the cursor, so that what comes in between rings it.
    let bell = app.feed.bell();
    let head = app.feed.head();
    // A cursor from the future comes from a store that was set back.
    let cursor = since.map_or(head, |since| since.min(head));
    let attendance = app.feed.attend();
    let check_at = Instant::now() + attendance.spread(app.limits.heartbeat * CHECK_EVERY);
    let watcher = Watcher {
        app,
        caller,
        credential,
        peer,
        bell,
        cursor,
        greeted: false,
        check_at,
        attendance,
    };
    match wait {
        Some(wait) => watcher.poll(wait).await,
        None => Ok(watcher.stream()),
    }
}

fn cursor(call: &Call) -> Result<Option<u64>, Refusal> {
    let Some(value) = call.headers.get("last-event-id") else {
        return Ok(call.query.integer("since"));
    };
    let cursor = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
    match cursor.filter(|cursor| *cursor <= CURSOR_MAX) {
        Some(cursor) => Ok(Some(cursor)),
        None => Err(Refusal::field(
            Kind::Malformed,
            "Last-Event-ID",
            "it is not a cursor",
            "Send the id of the last event, or leave it out",
        )),
    }
}

/// What one watcher holds: who it is and how far it has come.
struct Watcher {
    app: Arc<App>,
    caller: Arc<Caller>,
    credential: Credential,
    peer: Peer,
    bell: Receiver<Signal>,
    cursor: u64,
    greeted: bool,
    check_at: Instant,
    attendance: Attendance,
}

impl Watcher {
    fn stream(self) -> Response {
        let events = futures_util::stream::unfold(self, |watcher| async move {
            let (bytes, watcher) = watcher.next().await?;
            Some((Ok::<Bytes, Infallible>(bytes), watcher))
        });
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (StatusCode::OK, headers, HttpBody::from_stream(events)).into_response()
    }

    /// The next bytes for the wire; nothing when the stream ends.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if !self.greeted {
            self.greeted = true;
            return Some((Bytes::from(format!("id: {}\nretry: 1000\n\n", self.cursor)), self));
        }
        loop {
            if *self.bell.borrow_and_update() == Signal::Closing {
                return None;
            }
            let news = match self.app.feed.events(self.cursor, &self.caller.rings) {
                Taken::News(events, cursor) => {
                    self.cursor = cursor;
                    events
                }
                Taken::Behind => self.catch_up_events().await.ok()?,
            };
            // Whoever is due to be checked hears first what others hear now, but not for ever.
            let overdue = Instant::now().saturating_duration_since(self.check_at);
            if news.is_none() || overdue > self.app.limits.heartbeat * CHECK_EVERY {
                self.is_still_good().await.then_some(())?;
            }
            if let Some(events) = news {
                return Some((events, self));
            }
            match timeout(self.app.limits.heartbeat, self.bell.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some((Bytes::from_static(b": beat\n\n"), self)),
            }
        }
    }

    /// Asks now and then whether the token is still good. A store that does not answer ends no
    /// stream: nothing that is told is secret from who could hear it a moment ago.
    async fn is_still_good(&mut self) -> bool {
        let now = Instant::now();
        if now < self.check_at {
            return true;
        }
        self.check_at = now + self.attendance.spread(self.app.limits.heartbeat * CHECK_EVERY);
        match pipeline::still_good(&self.app, &self.credential, self.peer).await {
            Ok(()) => true,
            Err(refusal) => !pipeline::is_unauthenticated(&refusal),
        }
    }

    /// Reads from the store what is no longer kept in memory, a page at a time.
    async fn catch_up(&mut self) -> Result<Vec<Change>, Refusal> {
        let since = Seq(self.cursor);
        let floor = self.app.feed.floor();
        let (changes, cursor) = self.app.engine(move |engine| engine.changes(since, PAGE)).await?;
        // Nothing left before what the feed keeps; the rest is in memory.
        self.cursor = if cursor > since { cursor.0 } else { floor };
        let visible = changes.into_iter().filter(|one| self.caller.rings.contains(&one.ring));
        Ok(visible.map(feed::wire).collect())
    }

    async fn catch_up_events(&mut self) -> Result<Option<Bytes>, Refusal> {
        let mut events = BytesMut::new();
        for change in self.catch_up().await? {
            events.extend_from_slice(&feed::event(&change));
        }
        Ok(if events.is_empty() { None } else { Some(events.freeze()) })
    }

    /// Waits for something to tell, at most this long.
    async fn poll(mut self, wait: Duration) -> Result<Response, Refusal> {
        let deadline = Instant::now() + wait;
        loop {
            let closing = *self.bell.borrow_and_update() == Signal::Closing;
            let (changes, behind) = match self.app.feed.changes(self.cursor, &self.caller.rings) {
                Taken::News(changes, cursor) => {
                    self.cursor = cursor;
                    (changes, false)
                }
                Taken::Behind => (self.catch_up().await?, true),
            };
            if !changes.is_empty() || closing {
                return json(StatusCode::OK, &Changes { changes, seq: self.cursor });
            }
            if behind {
                continue;
            }
            let over = !matches!(timeout_at(deadline, self.bell.changed()).await, Ok(Ok(())));
            if over {
                return json(StatusCode::OK, &Changes { changes, seq: self.cursor });
            }
        }
    }
}
