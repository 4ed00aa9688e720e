//! One process of a consumer: the real rules of the client library (`keywheel_client::session` and
//! `state`) with simulated messages instead of sockets, and work that protects.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::ring::Counts;
use keywheel_client::clock::BootTime;
use keywheel_client::session::Session;
use keywheel_client::state::{
    Acknowledged, Applied, ConsumerState, Epoch, Offer, ReportPlan, Verdict,
};
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{ConsumerName, Incarnation, InstanceId, Kid, RingName, VersionNumber};
use keywheel_core::policy::Role;
use keywheel_core::revocation::Revocation;
use keywheel_core::time::Span;
use keywheel_engine::{
    Done, KeysetMaterial, Registration, ReportInput, ReportOutcome, ReportVerdict, RevocationPage,
};
use keywheel_jose::Holder;
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{self, AcceptedVersion, Statement};

use super::Flaw;
use super::random::Random;

/// Who a process is to the servers.
pub(crate) struct Identity {
    pub(crate) instance: InstanceId,
    secret: Vec<u8>,
}

/// A key as a process holds it.
struct Held {
    holder: Holder,
    salt: Vec<u8>,
}

/// Something that protects and is not finished.
pub(crate) struct Work {
    epoch: Epoch,
    incarnation: Incarnation,
    kid: Kid,
    version: VersionNumber,
    lifetime: Span,
    skew: Span,
}

/// Something that was protected and is out in the world.
pub(crate) struct Artefact {
    pub(crate) ring: usize,
    pub(crate) incarnation: Incarnation,
    pub(crate) kid: Kid,
    /// After this moment nobody has to accept it, wherever clocks stand.
    pub(crate) until: u64,
}

/// What one process has of one ring.
pub(crate) struct Local {
    pub(crate) ring: usize,
    pub(crate) name: RingName,
    keys: BTreeMap<(Incarnation, VersionNumber), Held>,
    works: BTreeMap<u64, Work>,
    counts: BTreeMap<VersionNumber, Counts>,
    /// The last moment at which a server agreed that what is held is what is served, as the moment
    /// at which this process had asked.
    current_at: Option<BootTime>,
    /// The keys of former lives that it knew when they ended.
    pub(crate) left: BTreeSet<(Incarnation, Kid)>,
    /// For the flaw of a process that proves what it does not use yet: what it used before.
    lagging: Option<(u64, BTreeSet<Kid>)>,
    /// What it knows to be revoked.
    revoked: BTreeSet<Revocation>,
}

/// The reports of one call. They travel twice at times, so they are shared.
pub(crate) type Reports = Rc<Vec<ReportInput>>;

/// One process.
pub(crate) struct Process {
    pub(crate) consumer: ConsumerName,
    pub(crate) role: Role,
    pub(crate) alive: bool,
    pub(crate) paused_until: u64,
    pub(crate) server: usize,
    pub(crate) feed: Option<usize>,
    pub(crate) session: Session,
    pub(crate) identity: Option<Identity>,
    pub(crate) farewell: Option<(InstanceId, Reports)>,
    pub(crate) locals: Vec<Local>,
    /// The call that is under way: its number, and when it was begun.
    pub(crate) outstanding: Option<(u64, BootTime)>,
    pub(crate) next_step: u64,
    boot_offset: u64,
    next_work: u64,
    flaw: Option<Flaw>,
}

impl Process {
    pub(crate) fn new(
        consumer: ConsumerName,
        role: Role,
        rings: &[(usize, RingName)],
        server: usize,
        flaw: Option<Flaw>,
        random: &mut Random,
    ) -> Self {
        let locals = rings.iter().map(|(ring, name)| Local {
            ring: *ring,
            name: name.clone(),
            keys: BTreeMap::new(),
            works: BTreeMap::new(),
            counts: BTreeMap::new(),
            current_at: None,
            left: BTreeSet::new(),
            lagging: None,
            revoked: BTreeSet::new(),
        });
        Self {
            consumer,
            role,
            alive: true,
            paused_until: 0,
            server,
            feed: None,
            session: Session::new(rings.iter().map(|(_, name)| name.clone())),
            identity: None,
            farewell: None,
            locals: locals.collect(),
            outstanding: None,
            next_step: u64::MAX,
            boot_offset: random.below(1_000_000),
            next_work: 0,
            flaw,
        }
    }

    pub(crate) const fn boot(&self, now: u64) -> BootTime {
        BootTime(now.saturating_add(self.boot_offset))
    }

    /// The true moment of a moment on this process's clock.
    pub(crate) const fn moment(&self, at: BootTime) -> u64 {
        at.0.saturating_sub(self.boot_offset)
    }

    pub(crate) fn state(&self, index: usize) -> Option<&ConsumerState> {
        self.session.state(index)
    }

    /// The oldest epoch that work in progress on a ring holds.
    pub(crate) fn oldest(&self, index: usize) -> Option<Epoch> {
        if self.flaw == Some(Flaw::ClientForgetsOlderWork) {
            return None;
        }
        self.locals.get(index)?.works.values().map(|work| work.epoch).min()
    }

    /// Lets former lives end whose time is over, and gives up work that a long silence has
    /// overtaken: others may have retired meanwhile what it protects with.
    pub(crate) fn expire(&mut self, now: u64) {
        let boot = self.boot(now);
        for index in 0..self.locals.len() {
            let lapsed = self.session.state(index).is_some_and(|state| {
                let contact = state.last_contact();
                contact.is_some_and(|at| boot.since(at) > state.offline_max())
            });
            if lapsed
                && self.flaw != Some(Flaw::ClientIgnoresOfflineMax)
                && let Some(local) = self.locals.get_mut(index)
            {
                local.works.clear();
            }
            if let Some(state) = self.session.state_mut(index) {
                state.expire(boot);
            }
        }
    }

    /// Whether a report that it sends for a ring would say something.
    pub(crate) fn write_reports(&mut self, indices: &[usize], now: u64) -> Option<Reports> {
        let boot = self.boot(now);
        let mut reports = Vec::with_capacity(indices.len());
        for index in indices {
            let oldest = self.oldest(*index);
            let local = self.locals.get_mut(*index)?;
            let state = self.session.state_mut(*index)?;
            let Some(plan) = state.report(oldest, boot, || std::mem::take(&mut local.counts))
            else {
                continue;
            };
            let identity = self.identity.as_ref()?;
            reports.push(write(local, identity, plan));
        }
        (!reports.is_empty()).then(|| Rc::new(reports))
    }

    /// The reports with which the present instance ends.
    pub(crate) fn farewell_reports(&mut self, now: u64) -> Option<(InstanceId, Reports)> {
        let instance = self.identity.as_ref()?.instance.clone();
        let all: Vec<_> = (0..self.locals.len()).collect();
        let mut reports = Rc::try_unwrap(self.write_reports(&all, now)?).ok()?;
        for report in &mut reports {
            report.proofs.clear();
            report.answer = None;
        }
        Some((instance, Rc::new(reports)))
    }

    pub(crate) fn registered(&mut self, registration: &Registration, asked_at: BootTime) {
        let nonces = self.locals.iter().map(|local| registration.nonces.get(&local.name));
        let nonces = nonces.map(|nonce| nonce.cloned().unwrap_or_default()).collect();
        self.identity = Some(Identity {
            instance: registration.instance.clone(),
            secret: registration.secret.to_vec(),
        });
        let all: Vec<usize> = (0..self.locals.len()).collect();
        self.session.registered(&all, nonces, asked_at);
    }

    pub(crate) fn forget_identity(&mut self, now: u64, random: &mut Random) {
        self.identity = None;
        self.session.unregistered(self.boot(now), random.next());
        // Until it is registered again, nobody waits for it.
        for local in &mut self.locals {
            local.current_at = None;
        }
    }

    /// Takes in a part of what is revoked.
    pub(crate) fn took_in(&mut self, index: usize, page: &RevocationPage, asked_at: BootTime) {
        let Some(local) = self.locals.get_mut(index) else { return };
        local.revoked.extend(page.entries.iter().cloned());
        let (life, next, newest) = (&page.incarnation, page.next, page.newest);
        self.session.revocations_took_in(index, life, next, newest, asked_at);
    }

    /// Whether it refuses this.
    pub(crate) fn refuses(&self, index: usize, revocation: &Revocation) -> bool {
        self.locals.get(index).is_some_and(|local| local.revoked.contains(revocation))
    }

    /// The moment up to which it says that it knows everything that was revoked.
    pub(crate) fn knows_until(&self, index: usize) -> Option<u64> {
        self.session.revocations_confirmed_at(index).map(|at| self.moment(at))
    }

    /// Takes a keyset in. Returns what became of it.
    pub(crate) fn loaded(
        &mut self,
        index: usize,
        material: &KeysetMaterial,
        now: u64,
        random: &mut Random,
    ) -> Result<Applied, String> {
        let boot = self.boot(now);
        let before: BTreeSet<_> = self.held_keys(index);
        let old_life = self.state(index).and_then(|state| state.held());
        let old_life = old_life.map(|offer| offer.keyset.incarnation.clone());
        let offer = Offer { keyset: material.keyset.clone(), skew: material.skew };
        let applied = self.session.loaded(index, offer, boot, random.next());
        let last_contact = self.state(index).and_then(ConsumerState::last_contact);
        let lags = self.flaw == Some(Flaw::ClientProvesWhatItDoesNotUse);
        let Some(local) = self.locals.get_mut(index) else { return Ok(applied) };
        if applied == Applied::Refused {
            return Ok(applied);
        }
        let life = &material.keyset.incarnation;
        for version in &material.versions {
            let holder = Holder::from_delivery(&version.kind, &version.delivery)
                .map_err(|error| error.to_string())?;
            let salt = URL_SAFE_NO_PAD.decode(&version.salt).map_err(|error| error.to_string())?;
            local.keys.insert((life.clone(), version.number), Held { holder, salt });
        }
        if applied == Applied::Swapped {
            if old_life.as_ref().is_some_and(|old| old != life) {
                local.left.extend(before.iter().cloned());
            }
            if lags && !before.is_empty() {
                let kids = before.into_iter().map(|(_, kid)| kid).collect();
                local.lagging = Some((now.saturating_add(8_000), kids));
            }
        }
        local.current_at = last_contact;
        Ok(applied)
    }

    fn held_keys(&self, index: usize) -> BTreeSet<(Incarnation, Kid)> {
        let held = self.state(index).and_then(|state| state.held());
        held.into_iter()
            .flat_map(|offer| {
                let keyset = &offer.keyset;
                keyset.accepted.values().map(|kid| (keyset.incarnation.clone(), kid.clone()))
            })
            .collect()
    }

    /// Takes in the answer to a report. True when the server did not believe it.
    pub(crate) fn acknowledged(
        &mut self,
        index: usize,
        outcome: &ReportOutcome,
        asked_at: BootTime,
        now: u64,
        random: &mut Random,
    ) -> bool {
        let verdict = match outcome.verdict {
            ReportVerdict::Proved => Verdict::Proved,
            ReportVerdict::Renewed => Verdict::Renewed,
            ReportVerdict::Rejected { .. } => Verdict::Rejected,
            ReportVerdict::Stale => Verdict::Stale,
        };
        let answer = Acknowledged {
            verdict,
            incarnation: outcome.incarnation.clone(),
            revision: outcome.revision,
            nonce: outcome.nonce.clone(),
            revocations: outcome.revocations,
        };
        let boot = self.boot(now);
        let rejected = self.session.acknowledged(index, answer, asked_at, boot, random.next());
        let held = self.state(index).and_then(|state| state.held());
        let current = held.is_some_and(|offer| {
            offer.keyset.incarnation == outcome.incarnation
                && offer.keyset.revision == outcome.revision
        });
        if current
            && matches!(verdict, Verdict::Proved | Verdict::Renewed)
            && let Some(local) = self.locals.get_mut(index)
        {
            local.current_at = local.current_at.max(Some(asked_at));
        }
        rejected
    }

    /// Begins to protect, if it may, and returns the number of the work.
    pub(crate) fn begin_work(&mut self, index: usize, now: u64, share: u64) -> Option<u64> {
        let boot = self.boot(now);
        let state = self.session.state(index)?;
        let protector = match (state.protector(boot), self.flaw) {
            (Ok(protector), _) => protector,
            (Err(_), Some(Flaw::ClientIgnoresOfflineMax)) => state.primary()?,
            (Err(_), _) => return None,
        };
        let former = state.former().iter().map(|former| &former.offer);
        let offer = state
            .held()
            .into_iter()
            .chain(former)
            .find(|offer| offer.keyset.incarnation == *protector.incarnation)?;
        let work = Work {
            epoch: state.epoch(),
            incarnation: protector.incarnation.clone(),
            kid: offer.keyset.accepted.get(&protector.version)?.clone(),
            version: protector.version,
            lifetime: Span::from_millis(protector.longest_lifetime.as_millis() * share / 100),
            skew: offer.skew,
        };
        let number = self.next_work;
        self.next_work += 1;
        let local = self.locals.get_mut(index)?;
        local.works.insert(number, work);
        Some(number)
    }

    /// Ends a work. What it makes is made now, unless the process was offline for too long.
    pub(crate) fn end_work(&mut self, index: usize, number: u64, now: u64) -> Option<Artefact> {
        self.expire(now);
        let local = self.locals.get_mut(index)?;
        let work = local.works.remove(&number)?;
        let counts = local.counts.entry(work.version).or_default();
        counts.protected += 1;
        Some(Artefact {
            ring: local.ring,
            incarnation: work.incarnation,
            kid: work.kid,
            until: now
                .saturating_add(work.lifetime.as_millis())
                .saturating_add(work.skew.as_millis()),
        })
    }

    /// Checks something that was made with a key, as a request would.
    pub(crate) fn exercise(&mut self, index: usize, version: VersionNumber) {
        if let Some(local) = self.locals.get_mut(index) {
            local.counts.entry(version).or_default().processed += 1;
        }
    }

    /// Whether it accepts what was made with a key.
    pub(crate) fn accepts(&self, index: usize, kid: &Kid, now: u64) -> bool {
        if let Some((until, kids)) = self.locals.get(index).and_then(|one| one.lagging.as_ref())
            && *until > now
        {
            return kids.contains(kid);
        }
        let boot = self.boot(now);
        let Some(state) = self.state(index) else { return false };
        let within = |offer: &Offer| offer.keyset.accepted.values().any(|one| one == kid);
        let former = state.former().iter();
        let former = former.filter(|one| one.accepted_until.is_none_or(|until| boot < until));
        state.held().into_iter().chain(former.map(|one| &one.offer)).any(within)
    }

    /// Whether it is one of those that a rotation answers for: it runs, and within `offline_max` a
    /// server agreed that what it holds is current.
    pub(crate) fn is_covered(&self, index: usize, now: u64) -> bool {
        if !self.alive || self.paused_until > now {
            return false;
        }
        let (Some(local), Some(state)) = (self.locals.get(index), self.state(index)) else {
            return false;
        };
        let Some(held) = state.held() else { return false };
        local.current_at.is_some_and(|at| self.boot(now).since(at) <= held.keyset.offline_max)
    }
}

const fn done(counts: Counts) -> Done {
    let Counts { protected, processed, rejected, unknown } = counts;
    Done { protected, processed, rejected, unknown }
}

/// Writes a report with every proof that the plan asks for.
fn write(local: &Local, identity: &Identity, plan: ReportPlan) -> ReportInput {
    let accepted: Vec<_> = plan
        .accepted
        .iter()
        .map(|(number, kid)| AcceptedVersion {
            version: *number,
            kid,
            usage: if plan.primary == Some(*number) { 2 } else { 1 },
        })
        .collect();
    let digest = proof::accepted_set_digest(&plan.incarnation, plan.revision, &accepted);
    let mut proofs = BTreeMap::new();
    let mut answer = None;
    let held = plan.accepted.keys().filter(|_| plan.prove).filter_map(|number| {
        let key = local.keys.get(&(plan.incarnation.clone(), *number))?;
        Some((*number, key))
    });
    for (number, key) in held {
        let statement = Statement {
            ring: &local.name,
            incarnation: &plan.incarnation,
            revision: plan.revision,
            accepted_set: &digest,
            version: number,
            instance: &identity.instance,
            sequence: plan.sequence,
            nonce: &plan.nonce,
            instance_secret: &identity.secret,
        };
        proofs.insert(number, proof::prove(&key.holder.proof_secret(), &key.salt, &statement));
        if plan.primary == Some(number) {
            let challenge = Challenge {
                ring: &local.name,
                incarnation: &plan.incarnation,
                revision: plan.revision,
                version: number,
                instance: &identity.instance,
                nonce: &plan.nonce,
            };
            let material = key.holder.material();
            answer =
                material.and_then(|key| challenge.answer(key, &mut |bytes| bytes.fill(9)).ok());
        }
    }
    ReportInput {
        ring: local.name.clone(),
        incarnation: plan.incarnation,
        revision: plan.revision,
        sequence: plan.sequence,
        nonce: plan.nonce,
        accepted_set: digest,
        proofs,
        answer,
        evidence: plan.evidence.unwrap_or(EvidenceLevel::Held),
        trouble: plan.trouble,
        oldest_guard: plan.oldest_guard,
        counts: plan.counts.into_iter().map(|(number, counts)| (number, done(counts))).collect(),
        unknown: plan.unknown.total(),
        unknown_kids: plan.unknown.kids().clone(),
    }
}
