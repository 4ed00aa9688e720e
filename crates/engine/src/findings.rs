//! What scans of code bases found that uses a ring: one sealed record for each ring and code base,
//! and what gates need of them in memory.
//!
//! It stands outside of the ring's document, as presence does: code changes without the ring, and
//! people waive a place for longer than one rotation. What a literal's fingerprint told is kept as
//! the version that it is of; the fingerprint itself is not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use keywheel_core::id::{RingName, ScanName, VersionNumber};
use keywheel_core::ring::Attribution;
use keywheel_core::time::{ClusterTime, Now, WallTime};
use keywheel_core::view::{BlockingPlace, Moment, PlaceWaiver, Scan};
use serde::{Deserialize, Serialize};

use crate::engine::lock;
use crate::error::EngineError;
use crate::ports::{Key, Seq};
use crate::records::Records;

/// The first segment of the keys.
pub(crate) const FAMILY: &str = "scan";

/// How many places of one scan a view has: enough to name, and for the first waiver to end.
const VIEWED_MAX: usize = 8;

/// How many records are read at once; one may have several megabytes.
const PAGE: usize = 8;

/// The most code bases that report about one ring.
pub(crate) const SCANS_MAX: usize = 64;

/// A place that consumes a key, as a scan reports it. The words are those of the scan's own JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Names the place over changes elsewhere in the file.
    pub id: String,
    /// What kind of place it is.
    pub kind: String,
    /// Which rule found it.
    pub rule: String,
    /// The logical key.
    pub key: String,
    /// The name of the key at this place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file, or the object of a database.
    pub path: String,
    /// The line, from one.
    pub line: u32,
    /// The column, from one.
    pub column: u32,
    /// When the place runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whether the place takes a new key while the application runs.
    pub hot_reload: String,
    /// From where the key comes.
    pub source: String,
    /// Whether a literal stands there that only stands for a value; nothing without a literal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<bool>,
    /// What takes the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Whether a rotation would break here, as the scan sees it.
    pub blocking: bool,
    /// Why.
    pub reason: String,
    /// What makes it live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether it stands among tests or examples.
    pub in_tests: bool,
}

/// How a place is known to belong to a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Tie {
    /// By the name of its key.
    Name,
    /// The key itself stands there.
    Literal {
        /// Of which version.
        version: VersionNumber,
    },
}

/// A place that belongs to a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TiedPlace {
    /// The place.
    pub place: Place,
    /// Why it belongs to the ring.
    pub tie: Tie,
}

impl TiedPlace {
    /// Whether a rotation would break here. A key that stands in a file does not follow a rotation,
    /// wherever the file belongs.
    pub const fn blocks(&self) -> bool {
        self.place.blocking || matches!(self.tie, Tie::Literal { .. })
    }

    /// Where it is and why it breaks, in words.
    fn in_words(&self) -> String {
        let Place { path, line, key, reason, .. } = &self.place;
        match self.tie {
            Tie::Name => format!("{path}:{line} ({key}, {})", short(reason)),
            Tie::Literal { version } => {
                format!("{path}:{line} ({key}, the key of {version} itself stands there)")
            }
        }
    }
}

/// A person's word that a place may break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaivedPlace {
    /// Who and why.
    pub by: Attribution,
    /// Until when, for gates.
    pub until: ClusterTime,
    /// Until when, for people.
    pub until_wall: WallTime,
}

/// The last scan of one code base, as far as it concerns one ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanRecord {
    /// Which scanner.
    pub tool: String,
    /// Which state of the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Who reported it.
    pub by: String,
    /// When.
    pub at: Now,
    /// How many findings the scan has left out of its report.
    pub left_out: u64,
    /// The places, in the order of the report.
    pub places: Vec<TiedPlace>,
    /// Which of them are waived, by id; also ids that a later scan may find again.
    pub waivers: BTreeMap<String, WaivedPlace>,
}

impl ScanRecord {
    /// The waiver of a place that stands at a moment.
    pub fn waiver(&self, id: &str, now: ClusterTime) -> Option<&WaivedPlace> {
        self.waivers.get(id).filter(|waiver| now < waiver.until)
    }

    fn viewed(&self, name: &ScanName) -> Scan {
        let blocking = self.places.iter().filter(|place| place.blocks());
        let mut blocking: Vec<_> =
            blocking.map(|place| (self.waivers.get(&place.place.id), place)).collect();
        // Nothing sorts before something, and what ends first before what ends later.
        blocking.sort_by_key(|(waiver, _)| waiver.map(|waiver| waiver.until));
        let beyond = blocking.iter().skip(VIEWED_MAX);
        Scan {
            name: name.clone(),
            at: Moment { cluster: self.at.cluster, wall: self.at.wall },
            more: beyond.filter(|(waiver, _)| waiver.is_none()).count(),
            blocking: blocking
                .into_iter()
                .take(VIEWED_MAX)
                .map(|(waiver, place)| BlockingPlace {
                    place: place.in_words(),
                    waiver: waiver
                        .map(|known| PlaceWaiver { by: known.by.clone(), until: known.until }),
                })
                .collect(),
        }
    }
}

/// The beginning of a reason: gates name many places.
fn short(reason: &str) -> String {
    let reason = reason.trim_end_matches('.');
    if reason.chars().count() <= REASON_SHOWN {
        return reason.into();
    }
    let shown: String = reason.chars().take(REASON_SHOWN).collect();
    format!("{}…", shown.trim_end())
}

/// How many characters of a reason a gate shows.
const REASON_SHOWN: usize = 100;

struct Known {
    seq: Seq,
    scan: Scan,
}

/// What gates look at, of every ring that any scan spoke of.
#[derive(Default)]
pub(crate) struct Findings {
    rings: Mutex<HashMap<RingName, BTreeMap<ScanName, Known>>>,
}

pub(crate) fn key(ring: &RingName, scan: &ScanName) -> Key {
    Key::new(&[FAMILY, ring.as_str(), scan.as_str()])
}

/// The prefix of the keys of one ring.
pub(crate) fn prefix(ring: &RingName) -> String {
    format!("{FAMILY}/{ring}/")
}

pub(crate) fn parse_key(key: &Key) -> Option<(RingName, ScanName)> {
    let (ring, scan) = key.as_str().strip_prefix(FAMILY)?.strip_prefix('/')?.split_once('/')?;
    Some((ring.parse().ok()?, scan.parse().ok()?))
}

impl Findings {
    /// Reads every record that the store has.
    pub(crate) fn load(records: &Records, now: Now) -> Result<Self, EngineError> {
        let findings = Self::default();
        let prefix = format!("{FAMILY}/");
        let mut after = None;
        loop {
            let page = records.store.list(&prefix, after.as_ref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(findings) };
            after = Some(last.clone());
            for (key, stored) in page {
                findings.adopt(records, &key, &stored.value, stored.seq, now);
            }
        }
    }

    /// Takes in a record as the store has it. One that is not believed closes the gate: whoever can
    /// change the store must not be able to open it.
    fn adopt(&self, records: &Records, key: &Key, sealed: &[u8], seq: Seq, now: Now) {
        let Some((ring, name)) = parse_key(key) else { return };
        let scan = match records.open::<ScanRecord>(key, sealed, seq) {
            Ok(record) => record.value.viewed(&name),
            Err(cause) => {
                tracing::error!(%ring, scan = %name, %cause, "a scan is not believed");
                let place = "its stored report is not believed; report it again".into();
                Scan {
                    name: name.clone(),
                    at: Moment { cluster: now.cluster, wall: now.wall },
                    blocking: vec![BlockingPlace { place, waiver: None }],
                    more: 0,
                }
            }
        };
        let mut rings = lock(&self.rings);
        let scans = rings.entry(ring).or_default();
        if scans.get(&name).is_none_or(|known| known.seq < seq) {
            scans.insert(name, Known { seq, scan });
        }
    }

    /// Follows a change that the store announced, and says whose it is.
    pub(crate) fn follow(
        &self,
        records: &Records,
        key: &Key,
        seq: Seq,
        now: Now,
    ) -> Result<Option<RingName>, EngineError> {
        let Some((ring, name)) = parse_key(key) else { return Ok(None) };
        let is_known = |known: &Known| known.seq >= seq;
        let rings = lock(&self.rings);
        if rings.get(&ring).and_then(|scans| scans.get(&name)).is_some_and(is_known) {
            return Ok(None);
        }
        drop(rings);
        if let Some(stored) = records.store.read(key)? {
            self.adopt(records, key, &stored.value, stored.seq, now);
            return Ok(Some(ring));
        }
        let mut rings = lock(&self.rings);
        if let Some(scans) = rings.get_mut(&ring) {
            scans.remove(&name);
            if scans.is_empty() {
                rings.remove(&ring);
            }
        }
        drop(rings);
        Ok(Some(ring))
    }

    /// What gates of a ring look at.
    pub(crate) fn of(&self, ring: &RingName) -> Vec<Scan> {
        let rings = lock(&self.rings);
        let Some(scans) = rings.get(ring) else { return Vec::new() };
        scans.values().map(|known| known.scan.clone()).collect()
    }

    /// The rings that a scan of this name spoke of, in order.
    pub(crate) fn rings_of(&self, scan: &ScanName) -> Vec<RingName> {
        let rings = lock(&self.rings);
        let mut own: Vec<_> = rings
            .iter()
            .filter(|(_, scans)| scans.contains_key(scan))
            .map(|(ring, _)| ring.clone())
            .collect();
        own.sort();
        own
    }
}
