//! What the scanner asks: a nonce for its fingerprints, to take in what it found, and to forget it;
//! and what people ask about that: to see it, and to waive a place.
//!
//! A place is tied to a ring by the name of its key, or because the key itself stands there. The
//! second is found without any key on the way: the scanner sends HMAC(nonce, literal), and the
//! server makes the same of the forms of its own keys. Whoever may report can so ask whether a
//! text is a key of a ring that the token is good for. That is what the right to report means, each
//! hit stands in the audit record, and a nonce serves the token that it was given to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use keywheel_core::id::{RingName, ScanName};
use keywheel_core::ring::Attribution;
use keywheel_core::text::is_printable;
use keywheel_core::time::{Now, Span, WallTime};
use keywheel_jose::Mark;

use crate::audit::Event;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::findings::{self, Place, SCANS_MAX, ScanRecord, Tie, TiedPlace, WaivedPlace};
use crate::ports::{Commit, Expect, Seq, Stored, Write};
use crate::rings::{Loaded, Snapshot, TRIES_MAX};
use crate::tokens::RingScope;
use crate::verbs::Context;

/// The most findings of one report.
pub const FINDINGS_MAX: usize = 5_000;

/// The longest text of a finding, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

/// The longest waiver of one finding.
pub const FINDING_WAIVER_MAX: Span = Span::from_secs(90 * 86_400);

/// How long a nonce serves; a scan of a large tree may take a while.
const NONCE_LASTS: Span = Span::from_secs(3_600);

/// The most rings that one report is held against.
const RINGS_MAX: usize = 1_000;

/// The most names of keys that a report may give to rings.
const NAMES_MAX: usize = 10_000;

/// The most places that one report may tie to rings: one place can belong to several.
const TIES_MAX: usize = 20_000;

/// How many keys that stand in code are told one by one in the audit record.
const HITS_TOLD_MAX: usize = 64;

/// A nonce under which a scan marks the literals that it finds.
pub struct ScanNonce {
    /// The key of the marks.
    pub nonce: Vec<u8>,
    /// When the server no longer takes it.
    pub expires: WallTime,
}

/// A place with the mark of the literal that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPlace {
    /// The place.
    pub place: Place,
    /// HMAC-SHA256(nonce, literal).
    pub mark: Option<Mark>,
}

/// What a scan of one code base found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedScan {
    /// The code base.
    pub name: ScanName,
    /// What [`Engine::scan_nonce`] gave.
    pub nonce: Vec<u8>,
    /// Which scanner.
    pub tool: String,
    /// Which state of the code.
    pub commit: Option<String>,
    /// Which keys belong to which ring, by name. A ring that is named is reported on, also when
    /// nothing was found.
    pub rings: BTreeMap<RingName, Vec<String>>,
    /// What was found.
    pub findings: Vec<FoundPlace>,
    /// How many findings are not in it.
    pub left_out: u64,
}

/// What a report says of one ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TiedRing {
    /// The ring.
    pub ring: RingName,
    /// Its places, by id, and why they are its own.
    pub places: Vec<(String, Tie)>,
    /// How many of them a rotation would break, but for those that are waived.
    pub blocking: usize,
    /// How many of those are waived.
    pub waived: usize,
}

fn invalid(field: impl Into<String>, cause: impl Into<String>, remedy: &str) -> EngineError {
    EngineError::Invalid { field: field.into(), cause: cause.into(), remedy: remedy.into() }
}

impl Engine {
    /// A nonce for one scan of this token's holder. Nothing is kept: the nonce says by itself until
    /// when and for whom it serves.
    ///
    /// # Errors
    /// When the secrets of the cluster cannot be read.
    pub fn scan_nonce(&self, token_id: &str) -> Result<ScanNonce, EngineError> {
        let expires = self.clock.wall().after(NONCE_LASTS);
        let mut random = [0; 16];
        self.fill(&mut random);
        let mut nonce = expires.0.to_be_bytes().to_vec();
        nonce.extend_from_slice(&random);
        let tag = self.nonce_tag(&nonce, token_id)?;
        nonce.extend_from_slice(tag.as_ref());
        Ok(ScanNonce { nonce, expires })
    }

    fn nonce_tag(&self, head: &[u8], token_id: &str) -> Result<hmac::Tag, EngineError> {
        let key = self.secrets.nonce.decode();
        let key = key.ok_or_else(|| EngineError::defect("cluster secrets cannot be read"))?;
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key));
        for part in [b"keywheel/scan-nonce/v1".as_slice(), head, token_id.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        Ok(context.sign())
    }

    fn check_nonce(&self, nonce: &[u8], token_id: &str) -> Result<(), EngineError> {
        let remedy = "Ask for a new nonce, scan with it, and report with the same token";
        let foreign = || invalid("nonce", "this server gave it to nobody, or not to you", remedy);
        let (head, tag) = nonce.split_at_checked(24).ok_or_else(foreign)?;
        let expected = self.nonce_tag(head, token_id)?;
        verify_slices_are_equal(expected.as_ref(), tag).map_err(|_| foreign())?;
        let (expires, _) = head.split_first_chunk::<8>().ok_or_else(foreign)?;
        if self.clock.wall() >= WallTime(i64::from_be_bytes(*expires)) {
            return Err(invalid("nonce", format!("it is older than {NONCE_LASTS}"), remedy));
        }
        Ok(())
    }

    /// Takes in what a scan found, in place of what the last one of this name said about the same
    /// rings. Returns each ring that it says something about, in order.
    ///
    /// # Errors
    /// When the nonce does not serve, a field is wrong or too long, a ring that is named does not
    /// exist within `scope`, there are too many, or the store does not take it.
    pub fn report_scan(
        &self,
        report: &ReportedScan,
        scope: &RingScope,
        token_id: &str,
        context: &Context,
    ) -> Result<Vec<TiedRing>, EngineError> {
        self.check_nonce(&report.nonce, token_id)?;
        check_report(report)?;
        let rings = self.rings_within(report, scope)?;
        self.follow()?;
        let known: BTreeSet<_> = self.findings.rings_of(&report.name).into_iter().collect();
        let mut tied = self.tie(report, &rings)?;
        // A ring that nothing belongs to any more is told so; one that never had anything is not.
        tied.retain(|ring, places| {
            !places.is_empty() || report.rings.contains_key(ring) || known.contains(ring)
        });
        if tied.is_empty() {
            return Ok(Vec::new());
        }
        self.check_room(&report.name, &tied)?;
        let now = self.now();
        let events = told(report, &tied, context);
        for _ in 0..TRIES_MAX {
            let writes = || {
                let write = |(ring, places): (&RingName, &Vec<TiedPlace>)| {
                    let (record, seq) = self.renewed(report, ring, places, now, context)?;
                    self.scan_write(ring, &report.name, seq, &record)
                };
                tied.iter().map(write).collect()
            };
            match self.with_audits(&events, writes) {
                Ok(()) => return self.outcome(report, &tied, now),
                Err(EngineError::Contended(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(EngineError::Contended(format!("the scan {}", report.name)))
    }

    /// Every ring that the report may be about, opened.
    fn rings_within(
        &self,
        report: &ReportedScan,
        scope: &RingScope,
    ) -> Result<Vec<Arc<Loaded>>, EngineError> {
        let names = match scope {
            RingScope::All => self.ring_names(None, RINGS_MAX.saturating_add(1))?,
            RingScope::Only(rings) => {
                let rings: BTreeSet<_> = rings.iter().cloned().collect();
                rings.into_iter().collect()
            }
        };
        if names.len() > RINGS_MAX {
            return Err(EngineError::TooMany(format!(
                "the token is good for more than {RINGS_MAX} rings, and a scan is held against \
                 each; make a token for the rings of this code base"
            )));
        }
        let mut rings = Vec::with_capacity(names.len());
        for name in &names {
            match self.load(name) {
                Ok(loaded) if loaded.document.ring.deleted.is_none() => rings.push(loaded),
                Ok(_) | Err(EngineError::NotFound { .. }) => {}
                // Nobody named it, and it is refused to everybody.
                Err(EngineError::Distrusted { .. }) if !report.rings.contains_key(name) => {}
                Err(error) => return Err(error),
            }
        }
        let there = |name: &RingName| rings.iter().any(|ring| ring.document.ring.name == *name);
        match report.rings.keys().find(|name| !there(name)) {
            Some(name) => Err(EngineError::NotFound { what: "ring", name: name.to_string() }),
            None => Ok(rings),
        }
    }

    /// Which place belongs to which ring.
    fn tie(
        &self,
        report: &ReportedScan,
        rings: &[Arc<Loaded>],
    ) -> Result<BTreeMap<RingName, Vec<TiedPlace>>, EngineError> {
        let marks = Marks::of(report, |buffer| self.fill(buffer));
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, found) in report.findings.iter().enumerate() {
            let name = found.place.name.as_deref().unwrap_or(&found.place.key);
            for name in BTreeSet::from([folded(&found.place.key), folded(name)]) {
                by_name.entry(name).or_default().push(index);
            }
        }
        let (mut all, mut ties) = (BTreeMap::new(), 0_usize);
        for loaded in rings {
            let own = &loaded.document.ring;
            let mut of_ring: BTreeMap<usize, Tie> = BTreeMap::new();
            let given = report.rings.get(&own.name).into_iter().flatten().map(String::as_str);
            for name in given.chain([own.name.as_str()]) {
                let places = by_name.get(&folded(name)).into_iter().flatten();
                of_ring.extend(places.map(|index| (*index, Tie::Name)));
            }
            // A key that stands there says more than a name.
            of_ring.extend(marks.hits(loaded, &report.nonce));
            ties = ties.saturating_add(of_ring.len());
            if ties > TIES_MAX {
                return Err(EngineError::TooMany(format!(
                    "the findings belong to rings more than {TIES_MAX} times; give each key to the \
                     rings that it is of, and report parts of the code base under other names"
                )));
            }
            let place = |(index, tie): (usize, Tie)| {
                let place = report.findings.get(index)?.place.clone();
                Some(TiedPlace { place, tie })
            };
            all.insert(own.name.clone(), of_ring.into_iter().filter_map(place).collect());
        }
        Ok(all)
    }

    fn check_room(
        &self,
        scan: &ScanName,
        tied: &BTreeMap<RingName, Vec<TiedPlace>>,
    ) -> Result<(), EngineError> {
        for ring in tied.keys() {
            let scans = self.findings.of(ring);
            if scans.len() >= SCANS_MAX && !scans.iter().any(|known| known.name == *scan) {
                return Err(EngineError::TooMany(format!(
                    "{SCANS_MAX} code bases report on ring {ring} already; forget those that are \
                     no more"
                )));
            }
        }
        Ok(())
    }

    /// The record that takes the place of the present one; what was waived stays so.
    fn renewed(
        &self,
        report: &ReportedScan,
        ring: &RingName,
        places: &[TiedPlace],
        now: Now,
        context: &Context,
    ) -> Result<(ScanRecord, Option<Seq>), EngineError> {
        let (known, seq) = self.scan_record(ring, &report.name)?;
        let mut waivers = known.map(|record| record.waivers).unwrap_or_default();
        waivers.retain(|_, waiver| now.cluster < waiver.until);
        let record = ScanRecord {
            tool: report.tool.clone(),
            commit: report.commit.clone(),
            by: context.actor.clone(),
            at: now,
            left_out: report.left_out,
            places: places.to_vec(),
            waivers,
        };
        Ok((record, seq))
    }

    /// A record with the commit that wrote it. One that is not believed counts as absent; whoever
    /// reports anew replaces it.
    fn scan_record(
        &self,
        ring: &RingName,
        scan: &ScanName,
    ) -> Result<(Option<ScanRecord>, Option<Seq>), EngineError> {
        let key = findings::key(ring, scan);
        let Some(stored) = self.records.store.read(&key)? else { return Ok((None, None)) };
        match self.records.open::<ScanRecord>(&key, &stored.value, stored.seq) {
            Ok(record) => Ok((Some(record.value), Some(stored.seq))),
            Err(EngineError::Distrusted { .. }) => Ok((None, Some(stored.seq))),
            Err(error) => Err(error),
        }
    }

    fn scan_write(
        &self,
        ring: &RingName,
        scan: &ScanName,
        seq: Option<Seq>,
        record: &ScanRecord,
    ) -> Result<Write, EngineError> {
        let expect = seq.map_or(Expect::Absent, Expect::At);
        self.records.write(findings::key(ring, scan), expect, record)
    }

    fn outcome(
        &self,
        report: &ReportedScan,
        tied: &BTreeMap<RingName, Vec<TiedPlace>>,
        now: Now,
    ) -> Result<Vec<TiedRing>, EngineError> {
        let mut rings = Vec::with_capacity(tied.len());
        for (ring, places) in tied {
            self.enlist_if_moving(ring);
            let record = self.scan_record(ring, &report.name)?.0;
            let is_waived = |place: &&TiedPlace| {
                let id = &place.place.id;
                record.as_ref().is_some_and(|record| record.waiver(id, now.cluster).is_some())
            };
            let blocking = || places.iter().filter(|place| place.blocks());
            let waived = blocking().filter(is_waived).count();
            rings.push(TiedRing {
                ring: ring.clone(),
                places: places.iter().map(|one| (one.place.id.clone(), one.tie)).collect(),
                blocking: blocking().count().saturating_sub(waived),
                waived,
            });
        }
        Ok(rings)
    }

    /// What the scans of code bases found that uses a ring, by the name of the code base.
    ///
    /// # Errors
    /// When there is no such ring, or the store does not answer. A report that is not believed is
    /// left out here, and closes the gate.
    pub fn findings(&self, ring: &RingName) -> Result<Vec<(ScanName, ScanRecord)>, EngineError> {
        self.present_ring(ring)?;
        let page = self.records.store.list(&findings::prefix(ring), None, SCANS_MAX)?;
        let mut scans = Vec::with_capacity(page.len());
        for (key, stored) in page {
            let Some((_, name)) = findings::parse_key(&key) else { continue };
            match self.records.open::<ScanRecord>(&key, &stored.value, stored.seq) {
                Ok(record) => scans.push((name, record.value)),
                Err(EngineError::Distrusted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(scans)
    }

    /// Forgets what a code base reported, with what was waived there. Returns the rings.
    ///
    /// # Errors
    /// When nothing of that name was reported on a ring within `scope`, or the store does not take
    /// it.
    pub fn forget_scan(
        &self,
        scan: &ScanName,
        scope: &RingScope,
        context: &Context,
    ) -> Result<Vec<RingName>, EngineError> {
        for _ in 0..TRIES_MAX {
            self.follow()?;
            let mut rings = self.findings.rings_of(scan);
            rings.retain(|ring| scope.contains(ring));
            if rings.is_empty() {
                return Err(EngineError::NotFound { what: "scan", name: scan.to_string() });
            }
            let event = |ring: &RingName| {
                event(context, ring, "scan_forgotten", serde_json::json!({ "scan": scan }))
            };
            let events: Vec<_> = rings.iter().map(event).collect();
            let removal = |ring: &RingName| -> Result<Write, EngineError> {
                let key = findings::key(ring, scan);
                let stored = self.records.store.read(&key)?;
                let expect = stored.map_or(Expect::Absent, |stored| Expect::At(stored.seq));
                Ok(Write { key, expect, value: None })
            };
            match self.with_audits(&events, || rings.iter().map(removal).collect()) {
                Ok(()) => {
                    for ring in &rings {
                        self.enlist_if_moving(ring);
                    }
                    return Ok(rings);
                }
                Err(EngineError::Contended(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(EngineError::Contended(format!("the scan {scan}")))
    }

    /// Drops what was reported about a ring that is no more.
    pub(crate) fn drop_scans(&self, ring: &RingName) -> Result<(), EngineError> {
        let page = self.records.store.list(&findings::prefix(ring), None, SCANS_MAX)?;
        if page.is_empty() {
            return Ok(());
        }
        let removal =
            |(key, stored): (_, Stored)| Write { key, expect: Expect::At(stored.seq), value: None };
        let writes = page.into_iter().map(removal).collect();
        self.records.store.commit(&Commit { fence: None, writes })?;
        Ok(())
    }

    /// Waives one place that would break, until a time of its own: over new reports and over
    /// rotations. Without `scan` it is the one whose report has the place.
    ///
    /// # Errors
    /// When there is no such place or it does not block, several code bases have it, the ring is at
    /// another revision than the caller expects, or the store does not take it.
    pub fn waive_finding(
        &self,
        ring: &RingName,
        id: &str,
        scan: Option<&ScanName>,
        lasts: Span,
        context: &Context,
    ) -> Result<Snapshot, EngineError> {
        if lasts == Span::ZERO || lasts > FINDING_WAIVER_MAX {
            let cause = format!("{lasts} is not within 1ms and {FINDING_WAIVER_MAX}");
            return Err(invalid("lasts", cause, "Waive until the place is to be mended"));
        }
        let present = self.present_ring(ring)?.revision;
        if let Some(expected) = context.if_match.filter(|expected| *expected != present) {
            return Err(EngineError::RevisionConflict { expected: expected.0, present: present.0 });
        }
        let by = Attribution {
            who: context.actor.clone(),
            reason: context.reason.clone().unwrap_or_default(),
        };
        for _ in 0..TRIES_MAX {
            let name = self.scan_of(ring, id, scan)?;
            let (record, seq) = self.scan_record(ring, &name)?;
            let Some(mut record) = record else { continue };
            let now = self.now();
            let (until, until_wall) = (now.cluster.after(lasts), now.wall.after(lasts));
            let waiver = WaivedPlace { by: by.clone(), until, until_wall };
            record.waivers.retain(|_, waiver| now.cluster < waiver.until);
            record.waivers.insert(id.into(), waiver);
            let detail = serde_json::json!({
                "scan": name,
                "finding": id,
                "until": until_wall.to_string(),
                "reason": context.reason,
            });
            let events = [event(context, ring, "finding_waived", detail)];
            let write = || Ok(vec![self.scan_write(ring, &name, seq, &record)?]);
            match self.with_audits(&events, write) {
                Ok(()) => {
                    self.follow()?;
                    self.enlist_if_moving(ring);
                    return self.snapshot(ring);
                }
                Err(EngineError::Contended(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(EngineError::Contended(format!("the findings of {ring}")))
    }

    /// The one code base whose report has a place that blocks.
    fn scan_of(
        &self,
        ring: &RingName,
        id: &str,
        scan: Option<&ScanName>,
    ) -> Result<ScanName, EngineError> {
        let scans = self.findings(ring)?;
        let mut having: Vec<_> = scans
            .iter()
            .filter(|(name, _)| scan.is_none_or(|wanted| wanted == name))
            .filter_map(|(name, record)| {
                let place = record.places.iter().find(|one| one.place.id == id)?;
                Some((name, place))
            })
            .collect();
        let shown: String = id.chars().filter(|c| is_printable(*c)).take(80).collect();
        if having.is_empty() {
            return Err(EngineError::NotFound { what: "finding", name: shown });
        }
        having.retain(|(_, place)| place.blocks());
        match having.as_slice() {
            [] => Err(invalid(
                "finding",
                format!("`{shown}` keeps no gate closed"),
                "Waive one that blocks; `keywheel ring findings` lists them",
            )),
            [(name, _)] => Ok((*name).clone()),
            several => {
                let names: Vec<_> = several.iter().map(|(name, _)| name.as_str()).collect();
                Err(invalid(
                    "scan",
                    format!("`{shown}` stands in the reports of {}", names.join(", ")),
                    "Name the scan too",
                ))
            }
        }
    }
}

fn event(context: &Context, ring: &RingName, action: &str, detail: serde_json::Value) -> Event {
    Event { actor: context.actor.clone(), ring: Some(ring.clone()), action: action.into(), detail }
}

/// What the audit record says: each ring, and each key that stands in code.
fn told(
    report: &ReportedScan,
    tied: &BTreeMap<RingName, Vec<TiedPlace>>,
    context: &Context,
) -> Vec<Event> {
    let (mut events, mut hits) = (Vec::new(), Vec::new());
    for (ring, places) in tied {
        let literal = |one: &&TiedPlace| matches!(one.tie, Tie::Literal { .. });
        events.push(event(
            context,
            ring,
            "scan_reported",
            serde_json::json!({
                "scan": report.name,
                "commit": report.commit,
                "findings": places.len(),
                "blocking": places.iter().filter(|place| place.blocks()).count(),
                "keys_in_code": places.iter().filter(literal).count(),
            }),
        ));
        hits.extend(places.iter().filter_map(|one| match one.tie {
            Tie::Literal { version } => Some((ring, version, &one.place)),
            Tie::Name => None,
        }));
    }
    events.extend(hits.into_iter().take(HITS_TOLD_MAX).map(|(ring, version, place)| {
        let detail = serde_json::json!({
            "scan": report.name,
            "finding": place.id,
            "place": format!("{}:{}", place.path, place.line),
            "version": version,
        });
        event(context, ring, "key_in_code", detail)
    }));
    events
}

/// The marks of a report, blinded under a key that is drawn for this one comparison. What is looked
/// up is then nothing that the caller could know or choose, so that the time of the look-up tells
/// nothing about how much of a mark was right.
struct Marks {
    blind: hmac::Key,
    places: HashMap<Vec<u8>, Vec<usize>>,
}

impl Marks {
    fn of(report: &ReportedScan, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        fill(key.as_mut_slice());
        let blind = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
        let mut places: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (index, found) in report.findings.iter().enumerate() {
            if let Some(mark) = &found.mark {
                places.entry(hmac::sign(&blind, mark).as_ref().to_vec()).or_default().push(index);
            }
        }
        Self { blind, places }
    }

    /// The places at which a key of this ring stands that anybody accepts; the newest one, should
    /// several versions be the same.
    fn hits(&self, loaded: &Loaded, nonce: &[u8]) -> Vec<(usize, Tie)> {
        if self.places.is_empty() {
            return Vec::new();
        }
        let mut hits = Vec::new();
        for (version, _) in loaded.document.ring.accepted() {
            let Some(material) = loaded.material.get(&version) else { continue };
            for mark in material.marks(nonce) {
                let blinded = hmac::sign(&self.blind, &mark);
                let places = self.places.get(blinded.as_ref()).into_iter().flatten();
                hits.extend(places.map(|index| (*index, Tie::Literal { version })));
            }
        }
        hits
    }
}

/// A name without what people write it with: `web-session` is `WEB_SESSION`.
fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn check_report(report: &ReportedScan) -> Result<(), EngineError> {
    if report.findings.len() > FINDINGS_MAX {
        return Err(invalid(
            "findings",
            format!("{} are more than {FINDINGS_MAX}", report.findings.len()),
            "Report parts of the code base under names of their own, or leave out what does not \
             block and say so in left_out",
        ));
    }
    check_text("tool", &report.tool)?;
    check_optional("commit", report.commit.as_ref())?;
    let mut names = report.rings.values().flatten();
    if report.rings.len() > RINGS_MAX || names.clone().count() > NAMES_MAX {
        let cause = format!("more than {RINGS_MAX} rings or {NAMES_MAX} names were given");
        return Err(invalid("rings", cause, "Name the rings of this code base only"));
    }
    names.try_for_each(|name| check_text("rings", name))?;
    let mut ids = BTreeSet::new();
    for (index, found) in report.findings.iter().enumerate() {
        let at = |field: &str| format!("findings[{index}].{field}");
        check_place(&found.place, at)?;
        if !ids.insert(found.place.id.as_str()) {
            let cause = "another finding has the same";
            return Err(invalid(at("id"), cause, "Give each finding an id of its own"));
        }
    }
    Ok(())
}

fn check_place(place: &Place, at: impl Fn(&str) -> String) -> Result<(), EngineError> {
    let texts = [
        ("id", &place.id),
        ("kind", &place.kind),
        ("rule", &place.rule),
        ("key", &place.key),
        ("path", &place.path),
        ("hot_reload", &place.hot_reload),
        ("source", &place.source),
        ("reason", &place.reason),
    ];
    texts.iter().try_for_each(|(field, text)| check_text(&at(field), text))?;
    let optional = [
        ("name", &place.name),
        ("scope", &place.scope),
        ("sink", &place.sink),
        ("remedy", &place.remedy),
    ];
    optional.iter().try_for_each(|(field, text)| check_optional(&at(field), text.as_ref()))
}

fn check_optional(field: &str, text: Option<&String>) -> Result<(), EngineError> {
    text.map_or(Ok(()), |text| check_text(field, text))
}

fn check_text(field: &str, text: &str) -> Result<(), EngineError> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || !text.chars().all(is_printable) {
        return Err(invalid(
            field,
            format!("it is empty, longer than {TEXT_BYTES_MAX} bytes, or not printable"),
            "Shorten it, and leave out control characters",
        ));
    }
    Ok(())
}
