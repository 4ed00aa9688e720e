//! One consumer: follows its rings, delivers what changed, probes with every half lease, and tells
//! the server what was seen. Runs on a thread of its own until it is told to stop.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keywheel_client::clock::{BootTime, boot_time};
use keywheel_client::{BuildError, Client, ClientError, Keyset, RingHandle};
use keywheel_core::time::Span;

use super::board::{Board, Standing};
use super::delivery::{Carried, Carrier};
use super::evidence;
use super::pace::{Due, FileMark, Marks, Pace};
use super::world::{Host, World as _};
use crate::file::Disk;
use crate::journal::Journal;
use crate::redact::Redactor;
use crate::saga::End;
use crate::settings::{Content, Delivery, Target, Template, WhenOffline};
use crate::values::{AllValues, Values};

/// How often templates, the server's acknowledgement and the time without a server are looked at.
const LOOK: Span = Span::from_secs(2);
/// How often, while the server's acknowledgement is awaited.
const LOOK_SOON: Span = Span::from_millis(100);

/// How long until a consumer that could not be stopped is stopped again.
const STOP_AGAIN: Span = Span::from_secs(30);

type Keysets = Vec<Arc<Keyset>>;

/// The thread of one consumer.
pub(super) struct Worker {
    delivery: Delivery,
    client: Client,
    rings: Vec<RingHandle>,
    journal: Journal,
    disk: Arc<dyn Disk>,
    stop: Arc<AtomicBool>,
    board: Arc<Board>,
    pace: Pace,
    /// What was delivered last, as far as this process knows.
    former: Option<AllValues>,
    /// When the consumer must have been stopped if no server is reached, where that is known from
    /// before this process.
    stop_at: Option<BootTime>,
    /// It could not be stopped, and is not tried again before.
    stop_again_at: BootTime,
    /// The consumer was stopped, because no server was reached for too long.
    is_stopped: bool,
    /// When an unfinished delivery is taken back, unless the keys arrive before.
    give_up_at: BootTime,
}

impl Worker {
    pub(super) fn new(
        delivery: Delivery,
        client: Client,
        journal: Journal,
        disk: Arc<dyn Disk>,
        stop: Arc<AtomicBool>,
        board: Arc<Board>,
    ) -> Result<Self, BuildError> {
        let rings: Result<Vec<_>, _> =
            delivery.rings.iter().map(|ring| client.ring(ring.as_str())).collect();
        let now = boot_time();
        let left = journal.may_go_on_millis().map(Span::from_millis);
        Ok(Self {
            rings: rings?,
            pace: Pace::new(delivery.wait, delivery.splay),
            former: None,
            stop_at: left.map(|left| now.after(left)),
            stop_again_at: now,
            is_stopped: false,
            give_up_at: now.after(delivery.deadline),
            delivery,
            client,
            journal,
            disk,
            stop,
            board,
        })
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        while !self.is_told_to_stop() {
            let wait = match self.turn() {
                Ok(wait) => wait,
                Err(ClientError::Closed) => break,
                Err(error) => {
                    self.stand(Standing::Waiting { why: Some(error.to_string()) });
                    LOOK
                }
            };
            self.rest(wait);
        }
        if self.is_stopped {
            // The consumer has ended, so nothing need wait for it.
            self.client.leave();
        } else {
            self.client.shutdown();
        }
    }

    fn is_told_to_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn stand(&self, standing: Standing) {
        self.board.set(&self.delivery.consumer, standing);
    }

    /// Does what is due, and says how long nothing is.
    fn turn(&mut self) -> Result<Span, ClientError> {
        let now = boot_time();
        self.keep_time_without_server(now);
        let Some(keysets) = self.keysets()? else {
            return Ok(self.without_keys(now));
        };
        if self.is_stopped {
            self.stand(Standing::Stopped);
            return Ok(LOOK);
        }
        let marks = self.marks(&keysets);
        match self.pace.due(now, &marks, &mut random_below) {
            Due::At(at) => {
                let look = if self.is_awaiting_acknowledgement() { LOOK_SOON } else { LOOK };
                Ok(at.since(now).min(look))
            }
            Due::Deliver => {
                self.deliver(&keysets, marks, false);
                Ok(Span::ZERO)
            }
            Due::Probe => {
                self.deliver(&keysets, marks, true);
                Ok(Span::ZERO)
            }
        }
    }

    /// What is held of each ring; nothing until all have arrived.
    fn keysets(&self) -> Result<Option<Keysets>, ClientError> {
        let held = self.rings.iter().map(|ring| ring.wait_for_change(None, Span::ZERO));
        held.collect()
    }

    fn without_keys(&mut self, now: BootTime) -> Span {
        let trouble = self.rings.iter().find_map(|ring| ring.health().trouble);
        self.stand(Standing::Waiting { why: trouble.map(|text| text.to_string()) });
        if self.journal.is_open() && now >= self.give_up_at {
            self.give_up_at = now.after(self.delivery.deadline);
            tracing::warn!(
                consumer = %self.delivery.consumer,
                "no server was reached to finish the delivery that was cut off; it is taken back"
            );
            let why = "no server was reached".to_owned();
            let values = AllValues::new();
            let carried = self.carry(&values, false, &|| Some(why.clone()));
            self.log_end(&carried.end);
        }
        LOOK
    }

    /// Waits until something arrives, somebody calls, or the time is over.
    fn rest(&self, limit: Span) {
        if limit == Span::ZERO {
            return;
        }
        let revisions: Vec<_> = self.rings.iter().map(|ring| ring.health().revision).collect();
        let waited = self.client.wait_until(limit, || {
            let mut present = self.rings.iter().map(|ring| ring.health().revision);
            self.is_told_to_stop() || !present.by_ref().eq(revisions.iter().copied())
        });
        // A client that cannot start must not make this loop spin.
        if waited.is_err() && !self.is_told_to_stop() {
            std::thread::park_timeout(limit.min(LOOK).to_std());
        }
    }

    fn marks(&self, keysets: &Keysets) -> Marks {
        let keysets = keysets.iter().map(|keyset| {
            (keyset.ring().clone(), (keyset.incarnation().clone(), keyset.revision()))
        });
        let templates = self.delivery.sinks.iter().filter_map(|sink| match &sink.target {
            Target::File { content: Content::Template(Template::File(path)), .. } => {
                Some(file_mark(path))
            }
            _ => None,
        });
        Marks { keysets: keysets.collect(), templates: templates.collect() }
    }

    /// Delivers. A probe is a delivery of what is there already: it also finds what somebody else
    /// has changed. When the consumer does not stand by it any more, it is reloaded once.
    fn deliver(&mut self, keysets: &Keysets, marks: Marks, is_probe: bool) {
        let values: AllValues = keysets
            .iter()
            .map(|keyset| {
                let mut values = Values::from_keyset(keyset);
                let former = self.former.as_ref().and_then(|former| former.get(keyset.ring()));
                if let Some(former) = former {
                    values.drop_those_of(former);
                }
                (keyset.ring().clone(), values)
            })
            .collect();
        let mut carried = self.carry_timed(&values, false);
        match &carried.end {
            End::TakenBack { why } | End::Stuck { why, .. }
                if is_probe && !self.is_told_to_stop() =>
            {
                tracing::warn!(
                    consumer = %self.delivery.consumer,
                    why,
                    "what was delivered does not stand any more; it is delivered once more"
                );
                self.report(&format!("what was delivered does not stand any more: {why}"));
                carried = self.carry_timed(&values, true);
            }
            End::Delivered { changed: true } if is_probe => {
                tracing::warn!(
                    consumer = %self.delivery.consumer,
                    "somebody else had changed what was delivered; it was delivered again"
                );
            }
            _ => {}
        }
        self.log_end(&carried.end);
        match carried.end {
            End::Delivered { .. } => match carried.pending {
                None => self.delivered(values, keysets, marks),
                Some(why) => {
                    self.former = Some(values);
                    self.report(&why);
                    self.pace.pending(boot_time(), marks);
                }
            },
            End::TakenBack { .. } | End::Stuck { .. } if self.is_told_to_stop() => {}
            End::TakenBack { why } => self.troubled(marks, &why),
            End::Stuck { why, further } => {
                let why = format!("{why}; on the way back: {}", further.join("; "));
                self.troubled(marks, &why);
            }
        }
    }

    /// Carries a delivery within its deadline, unless the agent is told to stop.
    fn carry_timed(&mut self, values: &AllValues, forced: bool) -> Carried {
        let (stop, deadline) = (Arc::clone(&self.stop), self.delivery.deadline);
        let late_at = boot_time().after(deadline);
        let halt = || {
            if stop.load(Ordering::SeqCst) {
                Some("the agent was told to end".to_owned())
            } else if boot_time() >= late_at {
                Some(format!("the delivery took longer than {deadline}"))
            } else {
                None
            }
        };
        self.carry(values, forced, &halt)
    }

    fn carry(
        &mut self,
        values: &AllValues,
        forced: bool,
        halt: &dyn Fn() -> Option<String>,
    ) -> Carried {
        let mut hide = Redactor::of(values);
        if let Some(former) = &self.former {
            hide = hide.and(former);
        }
        let task = Carrier {
            delivery: &self.delivery,
            values,
            former: self.former.as_ref(),
            forced,
            world: &Host::new(&self.delivery, hide),
            disk: &*self.disk,
            halt,
        };
        match task.deliver(&mut self.journal) {
            Ok(carried) => carried,
            Err(error) => {
                tracing::error!(
                    consumer = %self.delivery.consumer,
                    cause = %error,
                    remedy = error.remedy(),
                    "nothing can be delivered"
                );
                Carried { end: End::TakenBack { why: error.to_string() }, pending: None }
            }
        }
    }

    fn log_end(&self, end: &End) {
        let consumer = &self.delivery.consumer;
        match end {
            End::Delivered { changed: true } => tracing::info!(%consumer, "delivered"),
            End::Delivered { changed: false } => tracing::debug!(%consumer, "it stands"),
            End::TakenBack { why } => {
                tracing::warn!(%consumer, why, "the delivery failed, and all is as it was");
            }
            End::Stuck { why, further } => tracing::error!(
                %consumer,
                why,
                further = further.join("; "),
                "the delivery failed, and could not be taken back whole"
            ),
        }
    }

    /// Confirms what was delivered, unless something newer is held by now.
    fn delivered(&mut self, values: AllValues, keysets: &Keysets, marks: Marks) {
        let mut is_present = true;
        for (ring, keyset) in self.rings.iter().zip(keysets) {
            let level = evidence::level(&self.delivery, keyset.ring());
            match ring.confirm(keyset.incarnation(), keyset.revision(), level) {
                Ok(confirmed) => is_present &= confirmed,
                Err(error) => tracing::warn!(ring = %keyset.ring(), %error, "cannot confirm"),
            }
        }
        self.former = Some(values);
        let lease = keysets.iter().map(|keyset| keyset.lease_ttl()).min();
        self.pace.delivered(boot_time(), marks, lease.unwrap_or(LOOK));
        if is_present {
            self.stand(Standing::Delivered);
        }
        self.note_contact(keysets);
    }

    fn troubled(&mut self, marks: Marks, why: &str) {
        self.report(why);
        self.pace.failed(boot_time(), marks);
    }

    /// Tells the server that what was proved does not stand any more.
    fn report(&self, why: &str) {
        for ring in &self.rings {
            if let Err(error) = ring.trouble(why) {
                tracing::debug!(ring = ring.name(), %error, "the trouble cannot be reported");
            }
        }
        self.stand(Standing::Troubled { why: why.to_owned() });
    }

    /// Whether the server has not yet acknowledged what was confirmed; notes it when it has.
    fn is_awaiting_acknowledgement(&self) -> bool {
        let standings = self.board.standings();
        if standings.get(&self.delivery.consumer) != Some(&Standing::Delivered) {
            return false;
        }
        let is_proved = |ring: &RingHandle| {
            let health = ring.health();
            health.proved && health.confirmed.is_some()
        };
        if !self.rings.iter().all(is_proved) {
            return true;
        }
        self.stand(Standing::Confirmed);
        false
    }

    /// Remembers across restarts how long the consumer may go on, where it is to be stopped then.
    fn note_contact(&mut self, keysets: &Keysets) {
        if self.delivery.when_offline == WhenOffline::Keep {
            return;
        }
        let longest = keysets.iter().map(|keyset| keyset.offline_max()).min();
        let silent = self.rings.iter().filter_map(|ring| ring.health().last_contact).max();
        let left = longest.unwrap_or(Span::ZERO).minus(silent.unwrap_or(Span::ZERO));
        if let Err(error) = self.journal.note_contact(left.as_millis()) {
            tracing::warn!(cause = %error, remedy = error.remedy(), "the contact is not noted");
        }
    }

    /// Stops the consumer when no server was reached for too long and that was wished for, and
    /// begins anew when one is reached again.
    fn keep_time_without_server(&mut self, now: BootTime) {
        if self.delivery.when_offline == WhenOffline::Keep {
            return;
        }
        let has_contact = self.rings.iter().all(|ring| ring.health().last_contact.is_some());
        let is_offline = if has_contact {
            self.rings.iter().any(|ring| ring.health().offline)
        } else {
            self.stop_at.is_some_and(|at| now >= at)
        };
        match (is_offline, self.is_stopped) {
            (true, false) if now >= self.stop_again_at => self.stop_consumer(now),
            (false, true) if has_contact => self.begin_anew(),
            _ => {}
        }
    }

    fn stop_consumer(&mut self, now: BootTime) {
        let WhenOffline::Stop(hook) = &self.delivery.when_offline else { return };
        let hide = self.former.as_ref().map_or_else(Redactor::none, Redactor::of);
        match Host::new(&self.delivery, hide).run(hook, &[], &|| false) {
            Ok(()) => {
                tracing::warn!(
                    consumer = %self.delivery.consumer,
                    "it was stopped, because no server was reached for too long"
                );
                self.is_stopped = true;
                self.stand(Standing::Stopped);
            }
            Err(trouble) => {
                tracing::error!(
                    consumer = %self.delivery.consumer,
                    cause = trouble.cause,
                    remedy = trouble.remedy,
                    "it has to be stopped, and cannot be"
                );
                self.stop_again_at = now.after(STOP_AGAIN);
            }
        }
    }

    /// A reload starts the consumer again, so nothing that it had counts as taken.
    fn begin_anew(&mut self) {
        tracing::info!(
            consumer = %self.delivery.consumer,
            "a server is reached again: what was stopped is delivered to anew"
        );
        self.is_stopped = false;
        self.stop_at = None;
        self.pace = Pace::new(self.delivery.wait, self.delivery.splay);
        if let Err(error) = self.journal.unsettle() {
            tracing::warn!(cause = %error, remedy = error.remedy(), "cannot begin anew");
        }
    }
}

/// What tells the state of a file from any other.
fn file_mark(path: &PathBuf) -> Option<FileMark> {
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.dev(), facts.ino(), facts.size(), (facts.ctime(), facts.ctime_nsec())))
}

/// A random number below another one; nothing depends on its quality.
fn random_below(below: u64) -> u64 {
    let mut bytes = [0_u8; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => u64::from_le_bytes(bytes).checked_rem(below).unwrap_or(0),
        Err(_) => 0,
    }
}
