//! Who drives a rotation: ports, reconciler, triggers, cluster time and the event journal.
//!
//! The engine decides nothing about keys by itself: `keywheel_core::rotation::step` does. The
//! engine reads, calls it, persists what it returned under a compare-and-swap and a fence, and then
//! performs the effects. It knows no HTTP and no database.
//!
//! It is level-triggered: [`Engine::drive`] takes no input besides what is stored and seen, so a
//! crash at any instruction is repaired by the next round of any server.

pub mod cluster_time;
pub mod ports;

mod admin;
mod after_rotation;
mod agenda;
mod audit;
mod consumers;
mod document;
mod eject;
mod engine;
mod error;
mod findings;
mod journal;
mod ledger;
mod mint;
mod outbox;
mod presence;
mod records;
mod revocations;
mod ring_log;
mod rings;
mod scans;
mod serving;
mod signing;
mod tidying;
mod tokens;
mod verbs;

pub use admin::{Adopted, RingChange};
pub use after_rotation::AfterRotation;
pub use audit::{AuditEntry, AuditPage};
pub use consumers::{
    DeliveredVersion, Done, INSTANCES_MAX, KeysetMaterial, NewInstance, Predecessor, RINGS_MAX,
    Registration, ReportInput, ReportOutcome, ReportVerdict, TROUBLE_CHARS_MAX,
};
pub use eject::Ejected;
pub use engine::{Engine, Health, Parts};
pub use error::EngineError;
pub use findings::{Place, ScanRecord, Tie, TiedPlace, WaivedPlace};
pub use journal::JournalEntry;
pub use ledger::{ISSUED_MAX, Issued};
pub use mint::ImportedKey;
pub use outbox::PendingNotice;
pub use presence::InstanceInfo;
pub use revocations::{REVOCATIONS_MAX, Recorded, RevocationCount, RevocationPage};
pub use rings::{Snapshot, notice_name};
pub use scans::{
    FINDING_WAIVER_MAX, FINDINGS_MAX, FoundPlace, ReportedScan, ScanNonce, TEXT_BYTES_MAX, TiedRing,
};
pub use serving::{Served, ServerUse};
pub use signing::SignedToken;
pub use tokens::{Caller, Cidr, NewToken, Peer, RingScope, Role, TokenInfo};
pub use verbs::{Context, CountedColumn, Verb};
