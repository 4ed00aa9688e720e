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
mod agenda;
mod audit;
mod consumers;
mod document;
mod eject;
mod engine;
mod error;
mod journal;
mod mint;
mod outbox;
mod presence;
mod records;
mod rings;
mod tokens;
mod verbs;

pub use admin::{Adopted, RingChange};
pub use audit::{AuditEntry, AuditPage};
pub use consumers::{
    DeliveredVersion, Done, INSTANCES_MAX, KeysetMaterial, NewInstance, Predecessor, RINGS_MAX,
    Registration, ReportInput, ReportOutcome, ReportVerdict, TROUBLE_CHARS_MAX,
};
pub use eject::Ejected;
pub use engine::{Engine, Health, Parts};
pub use error::EngineError;
pub use journal::JournalEntry;
pub use mint::ImportedKey;
pub use outbox::PendingNotice;
pub use presence::InstanceInfo;
pub use rings::{Snapshot, notice_name};
pub use tokens::{Caller, Cidr, NewToken, Peer, RingScope, Role, TokenInfo};
pub use verbs::{Context, Verb};
