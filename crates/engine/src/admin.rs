//! Tokens, audit, the change feed, notices, and what follows a restore or a new master key.

use std::sync::Arc;

use keywheel_core::id::{Incarnation, Revision, RingName};
use keywheel_core::ring::Attribution;
use keywheel_core::rotation::{self, Input};
use keywheel_core::time::Now;
use zeroize::Zeroizing;

use crate::audit::{self, AuditPage, Event};
use crate::document::Document;
use crate::engine::{Engine, lock};
use crate::error::EngineError;
use crate::journal::JournalEntry;
use crate::outbox::{self, PendingNotice};
use crate::ports::{Commit, Expect, Key, Mark, Seq, Stored, Write};
use crate::revocations::HEAD_FAMILY;
use crate::rings::{Change, TRIES_MAX};
use crate::tokens::{self, Caller, NewToken, Peer, StoredToken, TokenInfo};
use crate::verbs::Context;

/// One line of the change feed, as consumers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingChange {
    /// The cursor.
    pub seq: Seq,
    /// The ring.
    pub ring: RingName,
    /// Its keyset revision.
    pub revision: Revision,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The number of its newest revocations; nothing when they are not believed.
    pub revocations: Option<u64>,
}

/// What became of the rings of a store that was accepted as it is.
#[derive(Debug, Default)]
pub struct Adopted {
    /// Those that began a new life.
    pub rings: Vec<RingName>,
    /// Those that are not believed, and why. They are as they were.
    pub left: Vec<(RingName, EngineError)>,
}

/// The most tokens that a store holds.
const TOKENS_MAX: usize = 10_000;

impl Engine {
    /// Makes a token. The text is shown this once and never again.
    ///
    /// # Errors
    /// When a field is wrong, or the store does not take it.
    pub fn create_token(
        &self,
        new: NewToken,
        context: &Context,
    ) -> Result<(Zeroizing<String>, TokenInfo), EngineError> {
        if self.records.store.list("token/", None, TOKENS_MAX)?.len() >= TOKENS_MAX {
            return Err(EngineError::TooMany(format!("there are {TOKENS_MAX} tokens already")));
        }
        let now = self.clock.wall();
        let (text, stored) = StoredToken::make(new, now, &mut |buffer| self.fill(buffer))?;
        let info = stored.info.clone();
        let detail = serde_json::to_value(&info).map_err(EngineError::defect)?;
        self.with_audit("token_created", &detail, context, || {
            let key = tokens::key(&info.id);
            Ok(vec![self.records.write_as(key, Expect::Absent, "-", 1, &stored)?])
        })?;
        self.raise(tokens::key(&info.id).as_str(), "-", 1)?;
        Ok((text, info))
    }

    /// Who a token names, if it is valid here and now.
    ///
    /// # Errors
    /// `Unauthenticated` for whatever is wrong with it; the reason is nobody's business.
    pub fn authenticate(&self, token: &str, peer: &Peer) -> Result<Caller, EngineError> {
        let (id, secret) = tokens::parse(token).ok_or(EngineError::Unauthenticated)?;
        let stored = self.token(id)?.ok_or(EngineError::Unauthenticated)?;
        if !stored.admits(secret, peer, self.clock.wall()) {
            return Err(EngineError::Unauthenticated);
        }
        let info = &stored.info;
        Ok(Caller {
            token_id: info.id.clone(),
            name: info.name.clone(),
            role: info.role.clone(),
            rings: info.rings.clone(),
            consumer: info.consumer.clone(),
        })
    }

    fn token(&self, id: &str) -> Result<Option<Arc<StoredToken>>, EngineError> {
        if let Some(known) = lock(&self.tokens).get(id) {
            return Ok(Some(Arc::clone(known)));
        }
        let key = tokens::key(id);
        // The mark before the record, so that a revocation in between is no forgery.
        let mark = self.high_water.mark(key.as_str())?;
        let Some(record) = self.records.read::<StoredToken>(&key)? else { return Ok(None) };
        if mark.is_some_and(|mark| mark.revision > record.revision) {
            return Err(EngineError::Distrusted {
                subject: key.as_str().into(),
                cause: "an older form of this token was put back".into(),
                remedy: "Restore the store, or revoke the token".into(),
            });
        }
        let stored = Arc::new(record.value);
        let mut cache = lock(&self.tokens);
        if cache.len() >= TOKENS_MAX {
            cache.clear();
        }
        cache.insert(id.into(), Arc::clone(&stored));
        Ok(Some(stored))
    }

    /// Ends a token. Doing it twice is doing it once.
    ///
    /// # Errors
    /// When there is no such token, or the store does not take it.
    pub fn revoke_token(&self, id: &str, context: &Context) -> Result<TokenInfo, EngineError> {
        let key = tokens::key(id);
        let missing =
            || EngineError::NotFound { what: "token", name: id.chars().take(64).collect() };
        let record = self.records.read::<StoredToken>(&key)?.ok_or_else(missing)?;
        if record.value.info.revoked.is_some() {
            return Ok(record.value.info);
        }
        let mut stored = record.value;
        stored.info.revoked = Some(self.clock.wall());
        let revision = record.revision + 1;
        let detail = serde_json::json!({ "id": id, "name": stored.info.name });
        self.with_audit("token_revoked", &detail, context, || {
            let expect = Expect::At(record.seq);
            Ok(vec![self.records.write_as(key.clone(), expect, "-", revision, &stored)?])
        })?;
        lock(&self.tokens).remove(id);
        self.raise(key.as_str(), "-", revision)?;
        Ok(stored.info)
    }

    /// Every token, in order of creation.
    ///
    /// # Errors
    /// When the store does not answer, or holds something that is not believed.
    pub fn tokens(&self) -> Result<Vec<TokenInfo>, EngineError> {
        let rows = self.records.list::<StoredToken>("token/", None, TOKENS_MAX)?;
        let mut infos: Vec<_> = rows.into_iter().map(|(_, record)| record.value.info).collect();
        infos.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(infos)
    }

    /// A page of the audit record, oldest first, after an entry's number.
    ///
    /// # Errors
    /// When the store does not answer, or holds something that is not believed.
    pub fn audit(&self, after: u64, limit: usize) -> Result<AuditPage, EngineError> {
        audit::page(&self.records, after, limit)
    }

    /// The hash of the newest audit entry.
    ///
    /// # Errors
    /// As [`Self::audit`].
    pub fn audit_head(&self) -> Result<String, EngineError> {
        Ok(audit::newest(&self.records)?.1)
    }

    /// Commits writes together with one audit entry that is about no ring.
    fn with_audit(
        &self,
        action: &str,
        detail: &serde_json::Value,
        context: &Context,
        writes: impl Fn() -> Result<Vec<Write>, EngineError>,
    ) -> Result<(), EngineError> {
        let event = Event {
            actor: context.actor.clone(),
            ring: None,
            action: action.into(),
            detail: detail.clone(),
        };
        self.with_audits(&[event], writes)
    }

    /// Commits writes together with audit entries. That another writer was faster with the first
    /// write is the caller's to judge.
    pub(crate) fn with_audits(
        &self,
        events: &[Event],
        writes: impl Fn() -> Result<Vec<Write>, EngineError>,
    ) -> Result<(), EngineError> {
        let at = self.clock.wall().to_string();
        for _ in 0..TRIES_MAX {
            let _turn = lock(&self.turn);
            let appended = audit::append(&self.records, &at, events.to_vec())?;
            let mut all = writes()?;
            let first = all.first().map(|write| write.key.clone());
            all.extend(appended.writes);
            match self.records.store.commit(&Commit { fence: None, writes: all }) {
                Ok(_) => {
                    self.raise(audit::HEAD_KEY, "-", appended.number)?;
                    return Ok(());
                }
                Err(crate::ports::CommitError::Conflict(key)) if Some(&key) != first.as_ref() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(EngineError::Contended("the audit record".into()))
    }

    /// The newest cursor.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn head(&self) -> Result<Seq, EngineError> {
        Ok(self.records.store.head()?)
    }

    /// The rings that changed after a cursor, oldest first, and the cursor to go on from. A ring
    /// that is not believed is left out: its consumers go on with what they hold.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn changes(&self, since: Seq, limit: usize) -> Result<(Vec<RingChange>, Seq), EngineError> {
        let changes = self.records.store.changes(since, limit)?;
        let cursor = changes.last().map_or(since, |change| change.seq);
        let mut rings = Vec::new();
        for change in changes {
            let Some((family, name)) = change.key.as_str().split_once('/') else { continue };
            if family != "ring" && family != HEAD_FAMILY {
                continue;
            }
            let Ok(ring) = name.parse::<RingName>() else { continue };
            match self.ring_change(ring, change.seq) {
                Ok(change) => rings.push(change),
                Err(EngineError::Store(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok((rings, cursor))
    }

    fn ring_change(&self, ring: RingName, seq: Seq) -> Result<RingChange, EngineError> {
        // Whoever is told of a change may ask this server next: its own set comes first.
        self.follow_believed(&ring)?;
        let loaded = self.load(&ring)?;
        let own = &loaded.document.ring;
        Ok(RingChange {
            seq,
            revision: own.keyset_revision,
            incarnation: own.incarnation.clone(),
            revocations: self.believed_revocations(&ring)?,
            ring,
        })
    }

    /// Blocks until something changed after a cursor, or the time is over.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn wait(&self, since: Seq, at_most: std::time::Duration) -> Result<Seq, EngineError> {
        Ok(self.records.store.wait(since, at_most)?)
    }

    /// The notices whose delivery is due, oldest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn due_notices(&self, limit: usize) -> Result<Vec<PendingNotice>, EngineError> {
        outbox::due(&self.records, self.clock.wall(), limit)
    }

    /// How many notices wait for delivery.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn notices_waiting(&self) -> Result<usize, EngineError> {
        outbox::depth(&self.records)
    }

    /// A notice was taken. Doing it twice is harmless.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn notice_delivered(&self, id: u64) -> Result<(), EngineError> {
        outbox::delivered(&self.records, id)
    }

    /// A notice could not be delivered; it is tried again later, for about a day. False when it was
    /// given up, which the audit record then says.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn notice_failed(&self, id: u64, why: &str) -> Result<bool, EngineError> {
        if outbox::failed(&self.records, id, self.clock.wall())? {
            return Ok(true);
        }
        let context = Context { actor: "keywheel".into(), ..Context::default() };
        let detail = serde_json::json!({ "notice": id, "why": why });
        self.with_audit("notice_given_up", &detail, &context, || Ok(Vec::new()))?;
        Ok(false)
    }

    /// Accepts the store as it is, after a restore from a backup or the loss of the memory outside
    /// the store: every ring begins a new life, every process must register again, and tokens that
    /// this server knows to be revoked stay so. A ring that is not believed is left as it is, and
    /// goes on to be refused.
    ///
    /// # Errors
    /// When the store does not take the change. Doing it again goes on.
    pub fn adopt(&self, context: &Context) -> Result<Adopted, EngineError> {
        let fence = self.fence().ok_or(EngineError::NotLeader)?;
        let by = Attribution {
            who: context.actor.clone(),
            reason: context.reason.clone().unwrap_or_else(|| "restore".into()),
        };
        self.presence.forget_all(&self.records)?;
        let (number, _) = audit::newest(&self.records)?;
        let mark = Mark { incarnation: "-".into(), revision: number };
        self.high_water.adopt(audit::HEAD_KEY, Some(&mark))?;
        let (mut adopted, mut present) = (Adopted::default(), Vec::new());
        let mut after = None;
        loop {
            let page = self.records.store.list("ring/", after.as_ref(), 100)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, stored) in page {
                let ring: RingName = key.tail().parse().map_err(EngineError::defect)?;
                present.push(ring.clone());
                match self.adoptable(&key, &stored) {
                    Ok(document) if document.ring.deleted.is_some() => {}
                    Ok(document) => {
                        self.begin_new_life(&key, document, stored.seq, &by, fence, context)?;
                        adopted.rings.push(ring);
                    }
                    Err(error @ EngineError::Distrusted { .. }) => adopted.left.push((ring, error)),
                    Err(error) => return Err(error),
                }
            }
        }
        self.forget_missing(&present)?;
        self.keep_revoked()?;
        self.adopt_revocations()?;
        let left = adopted.left.iter().map(|(ring, error)| (ring.clone(), error.to_string()));
        *lock(&self.refused) = left.collect();
        Ok(adopted)
    }

    fn adoptable(&self, key: &Key, stored: &Stored) -> Result<Document, EngineError> {
        let document = self.records.open::<Document>(key, &stored.value, stored.seq)?.value;
        document.check().map_err(|cause| EngineError::Distrusted {
            subject: key.as_str().into(),
            cause,
            remedy: "Restore the store from another backup".into(),
        })?;
        Ok(document)
    }

    fn begin_new_life(
        &self,
        key: &Key,
        document: Document,
        seq: Seq,
        by: &Attribution,
        fence: crate::ports::Fence,
        context: &Context,
    ) -> Result<(), EngineError> {
        let incarnation = Incarnation(self.random_name());
        let now: Now = self.now();
        let input = Input::Restore { incarnation: incarnation.clone(), by: by.clone() };
        let before = document.ring.clone();
        let step = rotation::step(&before, input.clone(), now)?;
        let mut change = Change::new(input.clone(), step, now, &context.actor);
        change.reason.clone_from(&context.reason);
        let next = Document { ring: change.step.ring.clone(), ..document };
        let journal = JournalEntry { before, input: Ok(input), now, after: next.ring.clone() };
        let mark = Mark { incarnation: incarnation.0, revision: next.ring.revision.0 };
        // The mark first: were it lost, the new life would be taken for a forgery.
        self.high_water.adopt(key.as_str(), Some(&mark))?;
        self.write_all(next, &change, Some(&journal), Expect::At(seq), Some(fence))?;
        if let Ok(ring) = key.tail().parse::<RingName>() {
            self.enlist(&ring);
        }
        Ok(())
    }

    /// Rings that the restored store does not have are not missed any more.
    fn forget_missing(&self, present: &[RingName]) -> Result<(), EngineError> {
        for (subject, _) in self.high_water.all()? {
            let Some(name) = subject.strip_prefix("ring/") else { continue };
            if !present.iter().any(|ring| ring.as_str() == name) {
                self.high_water.adopt(&subject, None)?;
            }
        }
        Ok(())
    }

    /// A token that was revoked after the backup was made is revoked again.
    fn keep_revoked(&self) -> Result<(), EngineError> {
        let rows = self.records.list::<StoredToken>("token/", None, TOKENS_MAX)?;
        for (key, record) in rows {
            let mark = self.high_water.mark(key.as_str())?;
            let Some(mark) = mark.filter(|mark| mark.revision > record.revision) else { continue };
            let mut stored = record.value;
            stored.info.revoked = Some(self.clock.wall());
            let expect = Expect::At(record.seq);
            let write = self.records.write_as(key, expect, "-", mark.revision, &stored)?;
            self.records.store.commit(&Commit { fence: None, writes: vec![write] })?;
        }
        lock(&self.tokens).clear();
        Ok(())
    }

    /// Moves every value to the present master key, without touching what they say. Returns how
    /// many were moved. Doing it again after an interruption goes on.
    ///
    /// # Errors
    /// When a value does not open under a master key that is at hand.
    pub fn rewrap_all(&self) -> Result<usize, EngineError> {
        let mut moved = 0;
        let mut after = None;
        loop {
            let page = self.records.store.list("", after.as_ref(), 500)?;
            let Some((last, _)) = page.last() else { return Ok(moved) };
            after = Some(last.clone());
            for (key, stored) in page {
                let sealed = self
                    .records
                    .seal
                    .rewrap(key.as_str(), &stored.value)
                    .map_err(|fault| EngineError::sealing(key.as_str(), &fault))?;
                if sealed == stored.value {
                    continue;
                }
                let expect = Expect::At(stored.seq);
                let write = Write { key, expect, value: Some(sealed) };
                self.records.store.commit(&Commit { fence: None, writes: vec![write] })?;
                moved += 1;
            }
        }
    }
}
