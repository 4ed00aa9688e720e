//! The change feed: one thread asks the engine, every watcher is told from memory.
//!
//! A change is serialized once, and every watcher is given the same bytes. A watcher holds a cursor
//! and nothing else; one that falls behind what is kept is cut off, and comes back with its cursor.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use keywheel_api::watch::Change;
use keywheel_core::id::RingName;
use keywheel_engine::ports::Seq;
use keywheel_engine::{Engine, EngineError, RingChange, RingScope};
use tokio::sync::watch;

use crate::edge::Shelf;

/// How many changes are asked for, or handed to one watcher, at once.
pub(crate) const PAGE: usize = 256;

/// How long one wait on the store lasts; also the longest that a stop waits for the thread.
const WAIT: Duration = Duration::from_millis(500);

/// What watchers wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Something may have changed since the last signal.
    Changed,
    /// The server goes down.
    Closing,
}

/// The recent changes, and the bell that rings when there are more.
pub(crate) struct Feed {
    recent: RwLock<Recent>,
    bell: watch::Sender<Signal>,
    keep: usize,
    watchers: AtomicUsize,
    attended: AtomicU64,
}

struct Recent {
    /// Changes up to this one are no longer kept.
    floor: u64,
    /// Changes up to this one are known.
    head: u64,
    /// In order of their numbers.
    entries: VecDeque<Entry>,
}

struct Entry {
    change: Change,
    ring: RingName,
    event: Bytes,
}

/// What a watcher gets.
pub(crate) enum Taken<T> {
    /// What it may see since its cursor, and its next cursor.
    News(T, u64),
    /// It is too far behind.
    Behind,
}

impl Feed {
    /// A feed that knows nothing before `head`.
    pub(crate) fn new(head: Seq, keep: usize) -> Self {
        let recent = Recent { floor: head.0, head: head.0, entries: VecDeque::new() };
        let (bell, _) = watch::channel(Signal::Changed);
        Self {
            recent: RwLock::new(recent),
            bell,
            keep: keep.max(PAGE),
            watchers: AtomicUsize::new(0),
            attended: AtomicU64::new(0),
        }
    }

    /// What rings when there is something new.
    pub(crate) fn bell(&self) -> watch::Receiver<Signal> {
        self.bell.subscribe()
    }

    /// The newest change that is known.
    pub(crate) fn head(&self) -> u64 {
        self.recent.read().unwrap_or_else(PoisonError::into_inner).head
    }

    /// Changes up to this one are no longer kept.
    pub(crate) fn floor(&self) -> u64 {
        self.recent.read().unwrap_or_else(PoisonError::into_inner).floor
    }

    /// How many watch.
    pub(crate) fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    /// Counts a watcher for as long as the result lives.
    pub(crate) fn attend(self: &Arc<Self>) -> Attendance {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        let number = self.attended.fetch_add(1, Ordering::Relaxed);
        Attendance { feed: Arc::clone(self), number }
    }

    /// The events after a cursor, as they go onto the wire; one alone is shared, not copied.
    pub(crate) fn events(&self, cursor: u64, scope: &RingScope) -> Taken<Option<Bytes>> {
        self.take(cursor, scope, |entries| {
            let first = entries.next()?.event.clone();
            let Some(second) = entries.next() else { return Some(first) };
            let mut all = BytesMut::from(first.as_ref());
            all.extend_from_slice(&second.event);
            entries.for_each(|entry| all.extend_from_slice(&entry.event));
            Some(all.freeze())
        })
    }

    /// The changes after a cursor.
    pub(crate) fn changes(&self, cursor: u64, scope: &RingScope) -> Taken<Vec<Change>> {
        self.take(cursor, scope, |entries| entries.map(|entry| entry.change.clone()).collect())
    }

    fn take<T>(
        &self,
        cursor: u64,
        scope: &RingScope,
        collect: impl FnOnce(&mut dyn Iterator<Item = &Entry>) -> T,
    ) -> Taken<T> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if cursor < recent.floor {
            return Taken::Behind;
        }
        let start = recent.entries.partition_point(|entry| entry.change.seq <= cursor);
        let page = recent.entries.range(start..);
        let cut = page.len() > PAGE;
        let mut last = cursor;
        let mut visible = page
            .take(PAGE)
            .inspect(|entry| last = entry.change.seq)
            .filter(|entry| scope.contains(&entry.ring));
        let taken = collect(&mut visible);
        visible.for_each(drop);
        Taken::News(taken, if cut { last } else { recent.head.max(cursor) })
    }

    /// Takes in what the engine told, up to `head`.
    fn publish(&self, changes: Vec<RingChange>, head: u64) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let ring = change.ring.clone();
            let change = wire(change);
            let event = event(&change);
            recent.entries.push_back(Entry { change, ring, event });
        }
        while recent.entries.len() > self.keep {
            if let Some(gone) = recent.entries.pop_front() {
                recent.floor = gone.change.seq;
            }
        }
        recent.head = recent.head.max(head);
        drop(recent);
        self.bell.send_replace(Signal::Changed);
    }

    fn close(&self) {
        self.bell.send_replace(Signal::Closing);
    }
}

/// A watcher that is counted.
pub(crate) struct Attendance {
    feed: Arc<Feed>,
    number: u64,
}

impl Attendance {
    /// Between one half of a span and one and a half, spread evenly over watchers, so that those
    /// who came together do not act together.
    pub(crate) fn spread(&self, span: Duration) -> Duration {
        let drawn = self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        span / 2 + span * u32::try_from(drawn).unwrap_or(0) / 256
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.feed.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A change as it travels.
pub(crate) fn wire(change: RingChange) -> Change {
    Change {
        seq: change.seq.0,
        ring: change.ring.into(),
        revision: change.revision.0,
        incarnation: change.incarnation.0,
        revocations: change.revocations,
    }
}

/// A change as a server-sent event.
pub(crate) fn event(change: &Change) -> Bytes {
    let data = serde_json::to_string(change).unwrap_or_default();
    Bytes::from(format!("id: {}\nevent: change\ndata: {data}\n\n", change.seq))
}

/// The thread that follows the engine.
pub(crate) struct Follower {
    feed: Arc<Feed>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts to follow.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        engine: Arc<Engine>,
        feed: Arc<Feed>,
        shelf: Arc<Shelf>,
    ) -> std::io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("keywheel-feed".into()).spawn({
            let (feed, stopping) = (Arc::clone(&feed), Arc::clone(&stopping));
            move || follow(&engine, &feed, &shelf, &stopping)
        })?;
        Ok(Self { feed, stopping, thread: Some(thread) })
    }

    /// Tells every watcher that the server goes down, and ends the thread. Blocks for a moment.
    pub(crate) fn stop(mut self) {
        self.signal();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the feed thread had panicked");
            }
        }
    }

    fn signal(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.feed.close();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.signal();
    }
}

fn follow(engine: &Engine, feed: &Feed, shelf: &Shelf, stopping: &AtomicBool) {
    let mut since = Seq(feed.head());
    let mut is_loaded = false;
    while !stopping.load(Ordering::Relaxed) {
        let followed = follow_once(engine, feed, shelf, &mut is_loaded, &mut since);
        if let Err(error) = followed {
            tracing::warn!(cause = %error, "the change feed stands still");
            // Nobody misses anything: the next round starts from the same place.
            std::thread::park_timeout(WAIT);
        }
    }
}

fn follow_once(
    engine: &Engine,
    feed: &Feed,
    shelf: &Shelf,
    is_loaded: &mut bool,
    since: &mut Seq,
) -> Result<(), EngineError> {
    if !*is_loaded {
        shelf.load_all(engine)?;
        shelf.apply(engine, &[], *since)?;
        *is_loaded = true;
    }
    let head = engine.wait(*since, WAIT)?;
    while head > *since {
        let (changes, cursor) = engine.changes(*since, PAGE)?;
        // An empty page says that nothing up to the head concerns anybody.
        let known = if cursor > *since { cursor } else { head };
        // Whoever is told of a change may ask this server at once, so it serves it first.
        shelf.apply(engine, &changes, known)?;
        feed.publish(changes, known.0);
        *since = known;
    }
    shelf.is_fresh();
    shelf.count(engine);
    Ok(())
}

#[cfg(test)]
mod tests {
    use keywheel_core::id::{Incarnation, Revision};

    use super::*;

    fn change(seq: u64, ring: &str) -> RingChange {
        RingChange {
            seq: Seq(seq),
            ring: ring.parse().unwrap(),
            revision: Revision(seq),
            incarnation: Incarnation("one".into()),
            revocations: Some(0),
        }
    }

    fn news<T>(taken: Taken<T>) -> (T, u64) {
        match taken {
            Taken::News(news, cursor) => (news, cursor),
            Taken::Behind => panic!("behind"),
        }
    }

    #[test]
    fn one_event_is_shared_and_not_copied() {
        let feed = Feed::new(Seq(5), PAGE);
        feed.publish(vec![change(6, "web")], 8);
        let (first, cursor) = news(feed.events(5, &RingScope::All));
        let (second, _) = news(feed.events(5, &RingScope::All));
        assert_eq!(first.unwrap().as_ptr(), second.unwrap().as_ptr());
        assert_eq!(cursor, 8);
        assert_eq!(news(feed.events(cursor, &RingScope::All)), (None, 8));
    }

    #[test]
    fn a_scope_hides_what_is_outside_of_it() {
        let feed = Feed::new(Seq(0), PAGE);
        feed.publish(vec![change(1, "a"), change(2, "b"), change(3, "a")], 3);
        let only = RingScope::Only(vec!["a".parse().unwrap()]);
        let (changes, cursor) = news(feed.changes(0, &only));
        assert_eq!(changes.iter().map(|change| change.seq).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(cursor, 3);
        let none = RingScope::Only(vec!["c".parse().unwrap()]);
        assert_eq!(news(feed.events(0, &none)), (None, 3));
    }

    #[test]
    fn pages_are_bounded_and_nothing_is_left_out_between_them() {
        let feed = Feed::new(Seq(0), 10 * PAGE);
        let last = 2 * PAGE as u64 + 7;
        feed.publish((1..=last).map(|seq| change(seq, "web")).collect(), last);
        let (mut cursor, mut heard) = (0, Vec::new());
        while cursor < last {
            let (changes, next) = news(feed.changes(cursor, &RingScope::All));
            assert!(changes.len() <= PAGE);
            heard.extend(changes.iter().map(|change| change.seq));
            cursor = next;
        }
        assert_eq!(heard, (1..=last).collect::<Vec<_>>());
    }

    #[test]
    fn who_is_too_far_behind_is_told() {
        let feed = Feed::new(Seq(0), PAGE);
        feed.publish((1..=PAGE as u64 + 3).map(|seq| change(seq, "web")).collect(), 0);
        assert_eq!(feed.floor(), 3);
        assert!(matches!(feed.events(2, &RingScope::All), Taken::Behind));
        assert!(matches!(feed.events(3, &RingScope::All), Taken::News(Some(_), _)));
    }

    #[test]
    fn watchers_that_come_together_are_spread() {
        let feed = Arc::new(Feed::new(Seq(0), PAGE));
        let span = Duration::from_mins(1);
        let drawn: Vec<_> = (0..64).map(|_| feed.attend().spread(span)).collect();
        assert!(drawn.iter().all(|one| (span / 2..=span * 3 / 2).contains(one)));
        let early = drawn.iter().filter(|one| **one < span).count();
        assert!((24..=40).contains(&early), "{early} of 64 are early");
    }
}
