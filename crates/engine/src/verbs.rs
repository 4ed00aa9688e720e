//! What people and programs ask of rings: creation, policy changes, and the operator verbs.

use std::sync::Arc;

use aws_lc_rs::digest;
use keywheel_core::gate::{ColumnReport, EvidenceLevel, Verdict};
use keywheel_core::id::{
    ColumnName, ConsumerName, GateName, Incarnation, InstanceId, Revision, RingName, VersionNumber,
};
use keywheel_core::plan::{Plan, plan};
use keywheel_core::policy::{OnCompromise, Policy, Spec};
use keywheel_core::ring::Attribution;
use keywheel_core::rotation::{self, Input};
use keywheel_core::schedule::Cause;
use keywheel_core::time::Span;

use crate::after_rotation::AfterRotation;
use crate::document::{Document, Receipt, StoredMaterial};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::journal::{self, JournalEntry};
use crate::mint::ImportedKey;
use crate::ports::Expect;
use crate::rings::{Change, Loaded, Snapshot, TRIES_MAX};

/// Who asks, and under which conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The name of the caller's token.
    pub actor: String,
    /// Why, in words.
    pub reason: Option<String>,
    /// Only if the ring is at this revision.
    pub if_match: Option<Revision>,
    /// A name for the request: the same one twice is one request.
    pub idempotency_key: Option<String>,
}

/// What can be asked of a ring.
pub enum Verb {
    /// Begin a rotation.
    Rotate {
        /// The new key, for rings of kind `external`.
        import: Option<ImportedKey>,
    },
    /// Begin a rotation, and revoke when it is done.
    RotateAndRevoke {
        /// The new key, for rings of kind `external`.
        import: Option<ImportedKey>,
        /// What.
        revoke: AfterRotation,
    },
    /// Promote now, if every gate is open.
    Promote,
    /// Approve the promotion.
    Approve,
    /// Take the rotation back.
    Rollback,
    /// Hold the ring still.
    Pause,
    /// Let it go on.
    Resume,
    /// Take a version out for a while.
    Suspend(VersionNumber),
    /// Let it be accepted again.
    ResumeVersion(VersionNumber),
    /// A version is in wrong hands.
    Compromise {
        /// Which.
        version: VersionNumber,
        /// What to do first; the policy's choice when absent.
        order: Option<OnCompromise>,
    },
    /// Erase a retired version whose time has come.
    Destroy(VersionNumber),
    /// Open a gate, or excuse an instance at it.
    Waive {
        /// Which gate.
        gate: GateName,
        /// For which version.
        version: Option<VersionNumber>,
        /// Only this instance.
        instance: Option<InstanceId>,
        /// For how long.
        lasts: Span,
    },
    /// Count an instance as ended that cannot say goodbye.
    EndInstance(InstanceId),
    /// Evidence from outside.
    Evidence {
        /// Which gate.
        gate: GateName,
        /// About which version.
        version: Option<VersionNumber>,
        /// What was found.
        verdict: Verdict,
        /// How strongly.
        level: EvidenceLevel,
    },
    /// What the worker of a column counted.
    Column {
        /// Which column.
        column: ColumnName,
        /// The life of the ring that was read before the count began.
        incarnation: Incarnation,
        /// What was counted.
        report: ColumnReport,
        /// The consumer that reports; nothing for whoever may speak of every column.
        worker: Option<ConsumerName>,
    },
    /// The application reports an event.
    Event {
        /// Its name.
        name: String,
    },
    /// Make the ring a tombstone.
    Delete {
        /// Says that what it protected may become unreadable.
        lose_data: bool,
    },
}

impl Engine {
    /// Lists ring names in order, deleted ones too.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn ring_names(
        &self,
        after: Option<&RingName>,
        limit: usize,
    ) -> Result<Vec<RingName>, EngineError> {
        let after = after.map(crate::rings::key);
        let page = self.records.store.list("ring/", after.as_ref(), limit)?;
        Ok(page.iter().filter_map(|(key, _)| key.tail().parse().ok()).collect())
    }

    /// Foretells the next rotation.
    ///
    /// # Errors
    /// When there is no such ring, or it is not believed.
    pub fn plan(&self, ring: &RingName) -> Result<Plan, EngineError> {
        let loaded = self.load(ring)?;
        let view = self.view(&loaded)?;
        Ok(plan(&loaded.document.ring, &view, self.now()))
    }

    /// The journal of a ring's latest transitions, oldest first.
    ///
    /// # Errors
    /// When the store does not answer, or holds something that is not believed.
    pub fn journal(&self, ring: &RingName) -> Result<Vec<JournalEntry>, EngineError> {
        journal::read(&self.records, ring)
    }

    /// Creates a ring, or changes the policy of one that exists. `removing` answers for consumers
    /// that are taken out while they have instances.
    ///
    /// # Errors
    /// When the policy cannot be, the transition is refused, or the store does not take it.
    pub fn put_ring(
        &self,
        ring: &RingName,
        spec: &Spec,
        import: Option<&ImportedKey>,
        removing: Option<String>,
        context: &Context,
    ) -> Result<Snapshot, EngineError> {
        let policy = Policy::try_from(spec)?;
        match self.load(ring) {
            Err(EngineError::NotFound { .. }) => {
                let loaded = self.create_ring(ring, policy, spec, import, context)?;
                self.enlist(ring);
                self.snapshot_of(&loaded)
            }
            Err(error) => Err(error),
            Ok(_) if import.is_some() => {
                Err(EngineError::Exists { what: "ring", name: ring.to_string() })
            }
            Ok(_) => {
                let removing =
                    removing.map(|reason| Attribution { who: context.actor.clone(), reason });
                let nothing = AfterRotation::default();
                self.transition(ring, context, "edit", Some(spec), nothing, |engine, loaded| {
                    let view = engine.view(loaded)?;
                    let policy = Box::new(policy.clone());
                    Ok((Input::Edit { policy, removing: removing.clone(), view }, None))
                })
            }
        }
    }

    fn create_ring(
        &self,
        ring: &RingName,
        policy: Policy,
        spec: &Spec,
        import: Option<&ImportedKey>,
        context: &Context,
    ) -> Result<Arc<Loaded>, EngineError> {
        let fence = self.fence().ok_or(EngineError::NotLeader)?;
        let key = self.mint(ring, &policy.kind, import)?;
        let now = self.now();
        let incarnation = Incarnation(self.random_name());
        let step = rotation::create(ring.clone(), incarnation, policy, key.minted.clone(), now);
        let stored = StoredMaterial::new(&key.material, &key.salt);
        let document = Document {
            material: step.ring.versions.keys().map(|n| (*n, stored.clone())).collect(),
            ring: step.ring.clone(),
            spec: spec.clone(),
            receipts: std::collections::VecDeque::default(),
            audit_head: String::new(),
            wish: None,
        };
        let mut change = Change::new(Input::Resume, step, now, &context.actor);
        change.reason.clone_from(&context.reason);
        for _ in 0..TRIES_MAX {
            let written =
                self.write_all(document.clone(), &change, None, Expect::Absent, Some(fence));
            match written {
                Err(EngineError::Contended(key)) if key == crate::rings::key(ring).as_str() => {
                    return Err(EngineError::Exists { what: "ring", name: ring.to_string() });
                }
                Err(EngineError::Contended(_)) => {}
                result => return result,
            }
        }
        Err(EngineError::Contended("the audit record".into()))
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// When it is refused, or the store does not take it.
    pub fn act(
        &self,
        ring: &RingName,
        verb: &Verb,
        context: &Context,
    ) -> Result<Snapshot, EngineError> {
        let request = verb.describe();
        let revoke = match verb {
            Verb::RotateAndRevoke { revoke, .. } => *revoke,
            _ => AfterRotation::default(),
        };
        if matches!(verb, Verb::Rotate { .. } | Verb::RotateAndRevoke { .. }) {
            // The next rotation's wish takes the place of the last one's.
            let _changed = self.fulfil_wish(&*self.load(ring)?)?;
        }
        let snapshot =
            self.transition(ring, context, &request, None, revoke, |engine, loaded| {
                engine.input(verb, loaded, context)
            })?;
        if matches!(verb, Verb::Delete { .. })
            && let Err(cause) = self.drop_scans(ring)
        {
            tracing::warn!(%ring, %cause, "what scans reported about a deleted ring stays stored");
        }
        self.enlist(ring);
        Ok(snapshot)
    }

    /// The rings that know an instance, deleted ones apart; none when nobody knows it.
    ///
    /// # Errors
    /// When the store does not answer, or holds something that is not believed.
    pub fn rings_of(&self, instance: &InstanceId) -> Result<Vec<RingName>, EngineError> {
        self.follow()?;
        let mut rings = Vec::new();
        for ring in self.presence.rings_of(instance) {
            match self.load(&ring) {
                Ok(loaded) if loaded.document.ring.deleted.is_none() => rings.push(ring),
                Ok(_) | Err(EngineError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rings)
    }

    /// Ends an instance in these rings, durably: it counts no more, and what it says is refused.
    /// Asked again, nothing changes.
    ///
    /// # Errors
    /// When one of the rings does not know it or still hears it, in which case it ends in none; or
    /// when the store does not take it, in which case it may have ended in some.
    pub fn end_instance(
        &self,
        instance: &InstanceId,
        rings: &[RingName],
        context: &Context,
    ) -> Result<(), EngineError> {
        let verb = Verb::EndInstance(instance.clone());
        for ring in rings {
            let loaded = self.load(ring)?;
            let (input, _) = self.input(&verb, &loaded, context)?;
            rotation::step(&loaded.document.ring, input, self.now())?;
        }
        for ring in rings {
            self.act(ring, &verb, context)?;
        }
        Ok(())
    }

    fn input(
        &self,
        verb: &Verb,
        loaded: &Loaded,
        context: &Context,
    ) -> Result<(Input, Option<crate::mint::NewKey>), EngineError> {
        let ring = &loaded.document.ring;
        let by = || Attribution {
            who: context.actor.clone(),
            reason: context.reason.clone().unwrap_or_default(),
        };
        let view = || self.view(loaded);
        let input = match verb {
            Verb::Rotate { import } | Verb::RotateAndRevoke { import, .. } => {
                let key = self.mint(&ring.name, &ring.policy.kind, import.as_ref())?;
                if ring.versions.values().any(|version| version.kid == key.minted.kid) {
                    return Err(EngineError::Exists { what: "key", name: key.minted.kid.0 });
                }
                let cause =
                    Cause::Operator { by: context.actor.clone(), reason: context.reason.clone() };
                return Ok((Input::Rotate { cause, minted: key.minted.clone() }, Some(key)));
            }
            Verb::Compromise { version, order } => {
                let kind = match &ring.policy.kind {
                    // An external ring cannot make a successor; one must be published already.
                    keywheel_core::kind::Kind::External => return Self::compromise_external(),
                    kind => kind,
                };
                let key = self.mint(&ring.name, kind, None)?;
                let input = Input::Compromise {
                    version: *version,
                    by: by(),
                    order: *order,
                    fresh: key.minted.clone(),
                    view: view()?,
                };
                return Ok((input, Some(key)));
            }
            Verb::Promote => Input::Promote { view: view()? },
            Verb::Approve => Input::Approve { by: by() },
            Verb::Rollback => Input::Rollback { by: by() },
            Verb::Pause => Input::Pause { by: by() },
            Verb::Resume => Input::Resume,
            Verb::Suspend(version) => Input::Suspend { version: *version, by: by() },
            Verb::ResumeVersion(version) => Input::ResumeVersion { version: *version },
            Verb::Destroy(version) => Input::Destroy { version: *version, view: view()? },
            Verb::Waive { gate, version, instance, lasts } => Input::Waive {
                gate: gate.clone(),
                version: *version,
                instance: instance.clone(),
                by: by(),
                lasts: *lasts,
                view: view()?,
            },
            Verb::EndInstance(instance) => {
                self.presence.fetch(&self.records, &ring.name, instance, self.now().cluster)?;
                if self.presence.process(&ring.name, instance).is_none() {
                    let name = instance.to_string();
                    return Err(EngineError::NotFound { what: "instance", name });
                }
                Input::EndInstance { instance: instance.clone(), by: by(), view: view()? }
            }
            Verb::Evidence { gate, version, verdict, level } => Input::Evidence {
                gate: gate.clone(),
                version: *version,
                verdict: verdict.clone(),
                level: *level,
                by: context.actor.clone(),
            },
            Verb::Column { column, incarnation, report, worker } => Input::Column {
                column: column.clone(),
                incarnation: incarnation.clone(),
                report: *report,
                worker: worker.clone(),
                by: context.actor.clone(),
            },
            Verb::Event { name } => Input::Event { name: name.clone() },
            Verb::Delete { lose_data } => {
                Input::Delete { by: by(), lose_data: *lose_data, view: view()? }
            }
        };
        Ok((input, None))
    }

    fn compromise_external() -> Result<(Input, Option<crate::mint::NewKey>), EngineError> {
        Err(EngineError::Invalid {
            field: "version".into(),
            cause: "a ring of kind `external` cannot make a successor by itself".into(),
            remedy: "Rotate to a new key first, then suspend the old version".into(),
        })
    }

    /// Moves a ring by one input, again when another writer was faster.
    fn transition(
        &self,
        ring: &RingName,
        context: &Context,
        request: &str,
        spec: Option<&Spec>,
        revoke: AfterRotation,
        make: impl Fn(&Self, &Loaded) -> Result<(Input, Option<crate::mint::NewKey>), EngineError>,
    ) -> Result<Snapshot, EngineError> {
        let receipt = context.idempotency_key.as_ref().map(|key| Receipt {
            key: fingerprint(&[&context.actor, key]),
            request: fingerprint(&[request, &format!("{spec:?}")]),
        });
        for _ in 0..TRIES_MAX {
            let loaded = self.load(ring)?;
            if let Some(receipt) = &receipt {
                let known = loaded.document.receipts.iter().find(|one| one.key == receipt.key);
                match known {
                    Some(known) if known == receipt => return self.snapshot_of(&loaded),
                    Some(_) => return Err(EngineError::IdempotencyConflict),
                    None => {}
                }
            }
            let present = loaded.document.ring.revision;
            if let Some(expected) = context.if_match
                && expected != present
            {
                return Err(EngineError::RevisionConflict {
                    expected: expected.0,
                    present: present.0,
                });
            }
            let now = self.now();
            let (input, new_key) = make(self, &loaded)?;
            let step = rotation::step(&loaded.document.ring, input.clone(), now)?;
            if step.ring == loaded.document.ring && spec.is_none_or(|s| *s == loaded.document.spec)
            {
                return self.snapshot_of(&loaded);
            }
            let mut change = Change::new(input, step, now, &context.actor);
            change.reason.clone_from(&context.reason);
            change.new_key = new_key;
            change.spec = spec.cloned();
            change.revoke = revoke;
            change.receipt.clone_from(&receipt);
            change.advance_revision(&loaded.document.ring);
            match self.commit(&loaded, &change) {
                Ok(loaded) => {
                    self.enlist(ring);
                    return self.snapshot_of(&loaded);
                }
                Err(EngineError::Contended(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(EngineError::Contended(ring.to_string()))
    }
}

impl Change {
    /// A change of the declaration alone is a new document too.
    fn advance_revision(&mut self, before: &keywheel_core::ring::Ring) {
        if self.step.ring.revision == before.revision {
            self.step.ring.revision = before.revision.next();
            self.replayable = false;
        }
    }
}

impl Verb {
    /// The request as text, to tell two requests apart; never with key material in it.
    fn describe(&self) -> String {
        match self {
            Self::Rotate { import } => match import {
                None => "rotate".into(),
                Some(key) => format!("rotate {}", fingerprint_bytes(&key.bytes)),
            },
            Self::RotateAndRevoke { import, revoke } => {
                let import = import.as_ref().map(|key| fingerprint_bytes(&key.bytes));
                format!("rotate {import:?} {revoke:?}")
            }
            Self::Promote => "promote".into(),
            Self::Approve => "approve".into(),
            Self::Rollback => "rollback".into(),
            Self::Pause => "pause".into(),
            Self::Resume => "resume".into(),
            Self::Suspend(version) => format!("suspend {version}"),
            Self::ResumeVersion(version) => format!("resume {version}"),
            Self::Compromise { version, order } => format!("compromise {version} {order:?}"),
            Self::Destroy(version) => format!("destroy {version}"),
            Self::Waive { gate, version, instance, lasts } => {
                format!("waive {gate} {version:?} {instance:?} {lasts}")
            }
            Self::EndInstance(instance) => format!("end {instance}"),
            Self::Evidence { gate, version, verdict, level } => {
                format!("evidence {gate} {version:?} {verdict:?} {level:?}")
            }
            Self::Column { column, incarnation, report, worker } => {
                format!("column {column} {incarnation} {report:?} {worker:?}")
            }
            Self::Event { name } => format!("event {name}"),
            Self::Delete { lose_data } => format!("delete {lose_data}"),
        }
    }
}

fn fingerprint(parts: &[&str]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    crate::audit::hex(context.finish().as_ref())
}

fn fingerprint_bytes(bytes: &[u8]) -> String {
    crate::audit::hex(digest::digest(&digest::SHA256, bytes).as_ref())
}
