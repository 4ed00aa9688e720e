//! The one thread of a client: it does what the session asks for, with blocking calls, and shows
//! the application what came of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keywheel_api::instance::{Acknowledged, Report, Reports};
use keywheel_api::material::Material;
use keywheel_api::watch::{Change, Changes};
use keywheel_core::id::{Incarnation, Revision};
use keywheel_core::text::is_printable;
use keywheel_core::time::Span;

use crate::builder::{HOST_CHARS_MAX, Origin, Server, Settings, TokenSource};
use crate::cache::{Entry, HostCache};
use crate::clock::{BootTime, boot_time, wall_millis};
use crate::http::{Event, Events, Http, HttpError, Next, Token};
use crate::identity::IdentityFile;
use crate::live::{Finding, Live, Slot, Status};
use crate::local::Local;
use crate::random;
use crate::report::{self, Identity};
use crate::session::{Action, Session};
use crate::state::{Applied, ConsumerState, Counted};

mod errands;
mod registration;

const CALL_TIMEOUT: Span = Span::from_secs(10);
const GOODBYE_TIMEOUT: Span = Span::from_millis(1_500);

/// Starts the watcher of a process.
pub(crate) fn start(live: Arc<Live>, settings: Arc<Settings>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("keywheel-watch".into());
    // The handle is let go at once: a forked child must not inherit one of a thread that it does
    // not have.
    thread.spawn(move || Watcher::new(live, settings).run()).map(drop)
}

/// Says that the watcher has ended, also when it panics.
struct Ending(Arc<Live>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
        self.0.announce();
    }
}

struct Watcher {
    live: Arc<Live>,
    settings: Arc<Settings>,
    session: Session,
    locals: Vec<Local>,
    http: Option<Http>,
    identity: Option<Identity>,
    identity_file: Option<IdentityFile>,
    /// Whose place the next registration takes.
    former: Option<Identity>,
    /// Why the identity file does not say who this process is.
    identity_trouble: Option<Arc<str>>,
    /// What the instance that was rejected says last, once there is a new one.
    farewell: Option<Reports>,
    events: Option<Events>,
    cache: Option<HostCache>,
    cache_tried: bool,
    trouble: Option<Arc<str>>,
    cache_trouble: Option<Arc<str>>,
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.chars().filter(|c| is_printable(*c)).take(HOST_CHARS_MAX).collect()
}

/// Whether no server of ours answered, so that the host cache may stand in.
fn is_outage(error: &HttpError) -> bool {
    match error {
        HttpError::Unreachable { .. } => true,
        HttpError::Problem(problem) => problem.status == 503,
        _ => false,
    }
}

fn has_status(error: &HttpError, status: u16) -> bool {
    error.problem().is_some_and(|problem| problem.status == status)
}

/// Reads the token from where it comes from.
pub(crate) fn read_token(source: &TokenSource) -> Result<Token, HttpError> {
    let read = match source {
        TokenSource::Value(token) => return Ok(token.clone()),
        TokenSource::File(path) => Token::from_file(path).map(Some),
        TokenSource::Environment => Token::from_environment(),
    };
    let setup = |cause: String, remedy: &str| HttpError::Setup { cause, remedy: remedy.into() };
    read.map_err(|error| setup(error.to_string(), "then try again"))?.ok_or_else(|| {
        setup(
            "KEYWHEEL_TOKEN_FILE names no file".into(),
            "let it name the file that holds this consumer's token",
        )
    })
}

/// An action that waits no longer than until this moment.
fn bounded(action: Action, now: BootTime, limit: Option<BootTime>) -> Action {
    match (action, limit) {
        (Action::Rest { until }, Some(limit)) => Action::Rest { until: until.min(limit) },
        (Action::Poll { since, wait }, Some(limit)) => {
            Action::Poll { since, wait: wait.min(limit.since(now)) }
        }
        (action, _) => action,
    }
}

impl Watcher {
    fn new(live: Arc<Live>, settings: Arc<Settings>) -> Self {
        let rings = settings.rings.iter().cloned();
        let session =
            if settings.deferred { Session::deferred(rings) } else { Session::new(rings) };
        let locals = settings.rings.iter().map(|_| Local::default()).collect();
        Self {
            live,
            settings,
            session,
            locals,
            http: None,
            identity: None,
            identity_file: None,
            former: None,
            identity_trouble: None,
            farewell: None,
            events: None,
            cache: None,
            cache_tried: false,
            trouble: None,
            cache_trouble: None,
        }
    }

    fn run(mut self) {
        let _ending = Ending(Arc::clone(&self.live));
        loop {
            // First silence, then look: whoever rings afterwards is heard in the next wait.
            self.live.wake.silence();
            if self.live.closing.load(Ordering::SeqCst) {
                break;
            }
            let kept_until = self.look_around();
            let now = boot_time();
            let action = {
                let locals = &mut self.locals;
                let oldest: Vec<_> = locals.iter_mut().map(Local::oldest_guard).collect();
                self.session.next(now, |index| oldest.get(index).copied().flatten())
            };
            self.act(bounded(action, now, kept_until), now);
            self.publish_status();
        }
        self.say_goodbye();
        // Before anybody hears that this has ended, so that the next client may have the file.
        self.identity_file = None;
    }

    /// Sees to what other threads asked for, and to what time brings about. Gives the moment at
    /// which to look again for that, if there is one.
    fn look_around(&mut self) -> Option<BootTime> {
        let mut again = None::<BootTime>;
        for index in 0..self.locals.len() {
            let live = Arc::clone(&self.live);
            let Some(slot) = live.slots.get(index) else { continue };
            if slot.refresh_wanted.swap(false, Ordering::SeqCst) {
                self.session.refresh(index);
            }
            if slot.fresh.take_wish() {
                self.session.check_one(index);
            }
            match slot.take_finding() {
                Some(Finding::Confirmed(incarnation, revision, level)) => {
                    self.session.confirm(index, &incarnation, revision, level);
                }
                Some(Finding::Trouble(text)) => self.session.trouble(index, &text),
                None => {}
            }
            if slot.issued.len() > 0 {
                self.session.issued(index, boot_time(), slot.issued.is_much());
            }
            slot.revoked.drop_expired(wall_millis().div_euclid(1_000));
            let expired =
                self.session.state_mut(index).is_some_and(|state| state.expire(boot_time()));
            if expired {
                self.show(index, slot);
                live.announce();
            }
            let kept_until = slot.let_go(boot_time());
            again = again.into_iter().chain(kept_until).min();
        }
        again
    }

    fn act(&mut self, action: Action, now: BootTime) {
        match action {
            Action::Register(indices) => self.register(&indices, now),
            Action::Extend(indices) => self.extend(&indices, now),
            Action::OpenFeed { since } => self.open_feed(since),
            Action::Poll { since, wait } => self.poll(since, wait),
            Action::Load(index) => self.load(index),
            Action::Report(indices) => self.report(&indices, now),
            Action::FetchRevocations { index, since } => self.fetch_revocations(index, since),
            Action::ReportIssued(index) => self.report_issued(index),
            Action::Rest { until } => self.rest(until),
        }
    }

    fn publish_status(&self) {
        for (index, slot) in self.live.slots.iter().enumerate() {
            let state = self.session.state(index);
            let proved = state.is_some_and(ConsumerState::is_proved);
            let was_proved = slot.proved.swap(proved, Ordering::Relaxed);
            slot.set_confirmed(state.and_then(ConsumerState::confirmed));
            if proved != was_proved {
                self.live.announce();
            }
        }
        let instance = self.identity.as_ref().map(|identity| identity.instance.clone());
        let listening = self.session.is_listening();
        let present = self.live.status.load();
        let all = [&self.trouble, &self.identity_trouble, &self.cache_trouble];
        let mut all = all.into_iter().flatten();
        let trouble = all
            .next()
            .map(|first| all.fold(Arc::clone(first), |all, more| format!("{all}; {more}").into()));
        let same = present.instance == instance
            && present.listening == listening
            && present.trouble == trouble;
        if !same {
            self.live.status.store(Arc::new(Status { instance, listening, trouble }));
        }
    }

    /// The connection to the server; made with the first call, and anew when the token changed.
    fn http(&mut self) -> Result<&Http, HttpError> {
        if self.http.is_none() {
            let server = self.server()?;
            let token = read_token(&server.token)?;
            let http = Http::new(server.endpoint.clone(), Some(&token), &server.tls)?;
            if let Some(directory) = &self.settings.host_cache {
                let consumer = self.settings.consumer.as_ref();
                let whose = consumer.map_or_else(|| token.id(), |name| name.as_str());
                self.cache = Some(HostCache::new(directory, &token, whose));
            }
            self.http = Some(http.with_timeout(CALL_TIMEOUT));
        }
        self.http.as_ref().ok_or(HttpError::GivenUp)
    }

    fn server(&self) -> Result<&Server, HttpError> {
        match &self.settings.origin {
            Origin::Server(server) => Ok(server),
            Origin::Still(_) => Err(HttpError::GivenUp),
        }
    }

    /// Notes what went wrong. A token that is not accepted any more is read again next time.
    fn note(&mut self, error: &HttpError) {
        self.trouble = Some(error.to_string().into());
        if has_status(error, 401) {
            self.http = None;
            self.events = None;
        }
    }

    fn share_contacts(&self) {
        for (index, slot) in self.live.slots.iter().enumerate() {
            if let Some(at) = self.session.state(index).and_then(ConsumerState::last_contact) {
                slot.set_contact(at);
            }
        }
    }

    fn load(&mut self, index: usize) {
        let live = Arc::clone(&self.live);
        let Some(slot) = live.slots.get(index) else { return };
        match self.fetch(index) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                self.note(&error);
                slot.revocation_attempted();
                if has_status(&error, 404) {
                    self.forget_identity();
                } else {
                    self.session.load_failed(index, boot_time(), random::number());
                }
            }
        }
        self.publish_status();
        slot.attempted();
        self.live.announce();
    }

    fn fetch(&mut self, index: usize) -> Result<(), HttpError> {
        let Some(ring) = self.settings.rings.get(index).cloned() else { return Ok(()) };
        let Some(identity) = &self.identity else { return Ok(()) };
        let path = format!("/v1/rings/{ring}/material?instance={}", identity.instance);
        let asked_at = boot_time();
        let deadline = asked_at.after(CALL_TIMEOUT);
        let answer = self.http()?.call("GET", &path, None, &[], deadline, None)?;
        let unusable = |cause: String| HttpError::Protocol {
            cause,
            remedy: "use client and server of one release".into(),
        };
        let wire: Material = serde_json::from_slice(&answer.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            unusable(format!("the material of {ring} is unreadable at {line}:{column}"))
        })?;
        let Some(local) = self.locals.get_mut(index) else { return Ok(()) };
        let arrived = local.parse(wire, &ring).map_err(|error| unusable(error.to_string()))?;
        let cacheable = arrived.cacheable;
        let (life, revoked) = (arrived.offer.keyset.incarnation.clone(), arrived.revocations);
        if let Some(revoked) = revoked {
            self.session.revocations_told(index, &life, revoked, asked_at);
        }
        let applied = self.session.loaded(index, arrived.offer, boot_time(), random::number());
        self.applied(index, applied, arrived.versions);
        self.share_freshness(index, arrived.fresh_for, asked_at, applied);
        // After what arrived is shown: it may end a silence.
        self.share_contacts();
        self.share_confirmations();
        if let Some(local) = self.locals.get_mut(index)
            && applied != Applied::Refused
        {
            let keep = cacheable && self.cache.is_some();
            local.body = keep.then_some(answer.body);
            local.cached_at = None;
        }
        self.save(index);
        Ok(())
    }

    fn applied(
        &mut self,
        index: usize,
        applied: Applied,
        versions: Vec<Arc<crate::keyset::Version>>,
    ) {
        let live = Arc::clone(&self.live);
        let (Some(slot), Some(state)) = (live.slots.get(index), self.session.state(index)) else {
            return;
        };
        slot.refused.store(state.refused_count(), Ordering::Relaxed);
        if applied == Applied::Swapped {
            if let Some(local) = self.locals.get_mut(index) {
                local.adopt(versions);
            }
            self.show(index, slot);
        }
        if applied != Applied::Refused {
            slot.from_cache.store(false, Ordering::Relaxed);
        }
    }

    /// Shows the application what is held now.
    fn show(&mut self, index: usize, slot: &Slot) {
        let (Some(state), Some(local)) = (self.session.state(index), self.locals.get_mut(index))
        else {
            return;
        };
        if let Some(keyset) = local.view(state) {
            slot.show(Arc::new(keyset));
        }
    }

    fn report(&mut self, indices: &[usize], asked_at: BootTime) {
        let mut reported = Vec::with_capacity(indices.len());
        let mut reports = Vec::with_capacity(indices.len());
        for index in indices {
            if let Some(report) = self.write_report(*index, asked_at) {
                reported.push(*index);
                reports.push(report);
            }
        }
        let Some(identity) = &self.identity else { return };
        if reports.is_empty() {
            return;
        }
        let instance = identity.instance.to_string();
        let body = Reports { instance, reports, goodbye: false };
        let asked_at = boot_time();
        match self.send_reports(&body, CALL_TIMEOUT) {
            Ok(answer) => {
                self.trouble = None;
                if self.identity_trouble.is_some() {
                    self.keep_identity();
                }
                self.take_acknowledgements(&reported, answer, asked_at);
            }
            Err(error) => {
                self.note(&error);
                if has_status(&error, 404) && reported.len() == 1 {
                    self.forget_identity();
                } else {
                    let refused = error.problem().is_some();
                    self.session.report_failed(&reported, refused, boot_time(), random::number());
                }
            }
        }
    }

    fn write_report(&mut self, index: usize, now: BootTime) -> Option<Report> {
        let identity = self.identity.as_ref()?;
        let local = self.locals.get_mut(index)?;
        let state = self.session.state_mut(index)?;
        let oldest = local.oldest_guard();
        let life = state.held()?.keyset.incarnation.clone();
        let slot = self.live.slots.get(index)?;
        let counted = || Counted { counts: local.take_counts(&life), unknown: slot.take_unknown() };
        let plan = state.report(oldest, now, counted)?;
        let ring = state.ring().clone();
        Some(report::write(&ring, identity, plan, &local.versions, &mut random::fill))
    }

    fn send_reports(&mut self, body: &Reports, limit: Span) -> Result<Acknowledged, HttpError> {
        let deadline = boot_time().after(limit);
        let json = crate::http::to_json(body)?;
        let answer = self.http()?.call("POST", "/v1/reports", Some(&json), &[], deadline, None)?;
        serde_json::from_slice(&answer.body).map_err(|_| HttpError::Protocol {
            cause: "the server acknowledged with something unreadable".into(),
            remedy: "use client and server of one release".into(),
        })
    }

    fn take_acknowledgements(
        &mut self,
        reported: &[usize],
        answer: Acknowledged,
        asked_at: BootTime,
    ) {
        let mut rejected = false;
        for (index, acknowledgement) in reported.iter().zip(answer.rings) {
            let why = acknowledgement.why.clone();
            let now = boot_time();
            let Some(read) = report::read(acknowledgement) else { continue };
            if self.session.acknowledged(*index, read, asked_at, now, random::number()) {
                rejected = true;
                let why = why.unwrap_or_else(|| "no reason was given".into());
                let text = format!(
                    "the server rejected the proof of this process: {why}; it registers anew"
                );
                self.trouble = Some(text.into());
            }
        }
        self.share_contacts();
        self.share_confirmations();
        for index in reported {
            self.save(*index);
        }
        if rejected {
            self.farewell = self.farewell_reports().map(|mut farewell| {
                // What was counted goes with the first report of the next instance.
                farewell.reports.iter_mut().for_each(|report| {
                    report.counts.clear();
                    report.unknown = 0;
                    report.unknown_kids.clear();
                });
                farewell
            });
            self.forget_identity();
        }
    }

    fn forget_identity(&mut self) {
        self.identity = None;
        self.session.unregistered(boot_time(), random::number());
    }

    /// Renewals with which the present instance ends.
    fn farewell_reports(&mut self) -> Option<Reports> {
        let instance = self.identity.as_ref()?.instance.to_string();
        let now = boot_time();
        let mut reports = Vec::new();
        for index in 0..self.locals.len() {
            if let Some(mut report) = self.write_report(index, now) {
                report.proofs = BTreeMap::new();
                report.answer = None;
                reports.push(report);
            }
        }
        (!reports.is_empty()).then_some(Reports { instance, reports, goodbye: true })
    }

    fn say_goodbye(&mut self) {
        self.live.let_all_go();
        if self.trouble.is_none() && self.identity.is_some() {
            for index in 0..self.locals.len() {
                self.report_issued(index);
            }
        }
        if self.settings.deferred && !self.live.leaving.load(Ordering::SeqCst) {
            // What this process answers for goes on.
            return;
        }
        let in_use = self.locals.iter().any(Local::is_in_use);
        let reached = self.trouble.is_none() && self.session.is_listening();
        if in_use || (self.cache.is_some() && !reached) {
            return;
        }
        // What stands on this instance's word in the host cache must not outlive that word.
        if let (Some(cache), Some(identity)) = (&self.cache, &self.identity) {
            for ring in &self.settings.rings {
                cache.withdraw(ring, identity.instance.as_str());
            }
        }
        if let Some(farewell) = self.farewell_reports()
            && self.send_reports(&farewell, GOODBYE_TIMEOUT).is_ok()
            && let Some(file) = &self.identity_file
        {
            file.remove();
        }
    }

    fn open_feed(&mut self, since: Option<u64>) {
        let path = since.map_or("/v1/watch".into(), |since| format!("/v1/watch?since={since}"));
        let opened = self.http().and_then(|http| http.sse(&path, &[], None));
        match opened {
            Ok(events) => {
                self.events = Some(events);
                self.session.feed_opened();
            }
            Err(error) => {
                self.note(&error);
                match error {
                    HttpError::Protocol { .. } => self.session.feed_unusable(boot_time()),
                    _ => self.session.feed_closed(boot_time(), random::number()),
                }
            }
        }
    }

    /// Listens until something happens.
    fn rest(&mut self, until: BootTime) {
        let Some(events) = &mut self.events else {
            self.live.wake.wait(until);
            return;
        };
        match events.wait(until, Some(&self.live.wake)) {
            Ok(Next::Event(event)) => self.hear(&event),
            Ok(Next::Deadline | Next::Woken) => {}
            Ok(Next::Ended) => self.close_feed(),
            Err(error) => {
                let mute = events.is_mute();
                self.note(&error);
                self.close_feed();
                if mute {
                    self.session.feed_unusable(boot_time());
                }
            }
        }
    }

    fn close_feed(&mut self) {
        let events = self.events.take();
        let cursor = events.as_ref().and_then(|events| events.last_id()?.parse().ok());
        if let Some(cursor) = cursor {
            self.session.move_cursor(cursor);
        }
        self.session.feed_closed(boot_time(), random::number());
    }

    fn hear(&mut self, event: &Event) {
        self.session.feed_alive(boot_time());
        match serde_json::from_str::<Change>(&event.data) {
            Ok(change) if event.name == "change" => self.hear_change(change),
            // The server says something else: that it lost our place, most likely.
            _ => self.session.resync(None),
        }
    }

    fn hear_change(&mut self, change: Change) {
        let life = Incarnation(change.incarnation);
        let revision = Revision(change.revision);
        self.session.changed(change.seq, &change.ring, &life, revision, change.revocations);
    }

    fn poll(&mut self, since: Option<u64>, wait: Span) {
        let since = since.map(|since| format!("since={since}&")).unwrap_or_default();
        let path = format!("/v1/watch?{since}wait={wait}");
        let deadline = boot_time().after(wait).after(CALL_TIMEOUT);
        let live = Arc::clone(&self.live);
        let answer = self
            .http()
            .and_then(|http| http.call("GET", &path, None, &[], deadline, Some(&live.wake)));
        let changes = answer.and_then(|answer| {
            serde_json::from_slice::<Changes>(&answer.body).map_err(|_| HttpError::Protocol {
                cause: "the server answered the poll with something unreadable".into(),
                remedy: "use client and server of one release".into(),
            })
        });
        match changes {
            Ok(changes) => {
                self.session.feed_alive(boot_time());
                changes.changes.into_iter().for_each(|change| self.hear_change(change));
                self.session.move_cursor(changes.seq);
            }
            Err(HttpError::GivenUp) => {}
            Err(error) => {
                self.note(&error);
                self.session.feed_closed(boot_time(), random::number());
            }
        }
    }

    /// Writes what is held into the host cache, as often as keeps it useful.
    fn save(&mut self, index: usize) {
        let (Some(cache), Some(identity)) = (&self.cache, &self.identity) else { return };
        let (Some(local), Some(state)) = (self.locals.get_mut(index), self.session.state(index))
        else {
            return;
        };
        let (Some(body), Some(held), Some(contact)) =
            (&local.body, state.held(), state.last_contact())
        else {
            return;
        };
        let interval = Span::from_millis(held.keyset.offline_max.as_millis() / 8);
        if local.cached_at.is_some_and(|at| contact.since(at) < interval) {
            return;
        }
        let ago = i64::try_from(boot_time().since(contact).as_millis()).unwrap_or(i64::MAX);
        let entry = Entry {
            contact_wall_millis: wall_millis().saturating_sub(ago),
            contact,
            instance: identity.instance.to_string(),
            may_protect: true,
            body: body.clone(),
        };
        let stored = cache.store(state.ring(), &entry);
        self.cache_trouble = stored.err().map(|error| error.to_string().into());
        local.cached_at = Some(contact);
    }

    /// Takes from the host cache what no server gives. Once in a process: afterwards it knows more.
    fn recall(&mut self) {
        if std::mem::replace(&mut self.cache_tried, true) {
            return;
        }
        for index in 0..self.locals.len() {
            if let Err(error) = self.recall_one(index) {
                self.cache_trouble = Some(error.to_string().into());
            }
        }
    }

    fn recall_one(&mut self, index: usize) -> Result<(), crate::cache::CacheError> {
        let (Some(cache), Some(ring)) = (&self.cache, self.settings.rings.get(index)) else {
            return Ok(());
        };
        let Some(entry) = cache.load(ring)? else { return Ok(()) };
        let wire = serde_json::from_slice::<Material>(&entry.body)
            .map_err(|_| crate::cache::CacheError::damaged(ring))?;
        let age = entry.age(boot_time(), wall_millis());
        let Some(local) = self.locals.get_mut(index) else { return Ok(()) };
        let arrived =
            local.parse(wire, ring).map_err(|_| crate::cache::CacheError::damaged(ring))?;
        let Some(state) = self.session.state_mut(index) else { return Ok(()) };
        if !arrived.cacheable || state.apply(arrived.offer, boot_time()) != Applied::Swapped {
            return Ok(());
        }
        if let Some(age) = age.filter(|_| entry.may_protect) {
            state.recall_contact(boot_time().before(age));
        }
        self.share_contacts();
        self.applied(index, Applied::Swapped, arrived.versions);
        if let Some(slot) = self.live.slots.get(index) {
            slot.from_cache.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
