//! What a rotation revokes when it is done.
//!
//! The moment is when every protector has switched, and what is revoked are the versions that they
//! left, by `kid` and by when it was issued. So nothing that the new primary signed is refused,
//! however clocks stand; nothing that was signed before survives, because nobody signs with those
//! versions any more; and a rollback, which makes one of them primary again, signs what is accepted
//! as soon as the skew is over. An epoch of the whole ring could promise only one of the first two.
//!
//! Like everything else about a ring it follows from what is stored: the wish stands in the
//! document and is taken out in the commit that fulfils it.

use keywheel_core::id::VersionNumber;
use keywheel_core::revocation::{Revocation, everything_until};
use keywheel_core::ring::Ring;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::ledger::Spared;
use crate::ports::Expect;
use crate::rings::Loaded;
use crate::verbs::Context;

/// What is to be revoked when a rotation is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AfterRotation {
    /// Everything that the versions before it protected.
    pub active: bool,
    /// What the ledger says that they were, token by token.
    pub issued: bool,
}

/// A wish, as the document of a ring keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// The version with which the rotation is done.
    pub(crate) version: VersionNumber,
    pub(crate) revoke: AfterRotation,
    pub(crate) actor: String,
    pub(crate) reason: Option<String>,
}

impl AfterRotation {
    /// Whether nothing is to be revoked.
    pub const fn is_nothing(self) -> bool {
        !self.active && !self.issued
    }
}

impl Engine {
    /// Fulfils the wish of a ring whose rotation is done, or forgets that of one that was taken
    /// back. True when the document has changed.
    pub(crate) fn fulfil_wish(&self, loaded: &Loaded) -> Result<bool, EngineError> {
        let ring = &loaded.document.ring;
        let Some(wish) = &loaded.document.wish else { return Ok(false) };
        if ring.path.as_ref().is_some_and(|path| path.target == wish.version) {
            return Ok(false);
        }
        let context = Context {
            actor: wish.actor.clone(),
            reason: wish.reason.clone(),
            ..Context::default()
        };
        let is_done = ring.primary() == Some(wish.version) && ring.deleted.is_none();
        let primary = ring.versions.get(&wish.version).filter(|_| is_done);
        if let Some(primary) = primary.filter(|_| wish.revoke.issued) {
            let since = primary.state.since().wall;
            let spared = Spared { kid: primary.kid.clone(), since };
            self.revoke_issued_but(&ring.name, Some(&spared), &context)?;
        }
        let dead = match primary {
            Some(_) if wish.revoke.active => self.left_behind(ring, wish.version),
            _ => Vec::new(),
        };
        let action = if is_done { "revoked" } else { "not_revoked" };
        let mut document = loaded.document.clone();
        document.wish = None;
        self.revoke_with(&ring.name, &dead, action, &context, |engine| {
            let key = crate::rings::key(&ring.name);
            let (incarnation, revision) = (&ring.incarnation.0, ring.revision.0);
            let expect = Expect::At(loaded.seq);
            let records = &engine.records;
            let write = records.write_as(key, expect, incarnation, revision, &document)?;
            Ok((vec![write], serde_json::json!({ "rotation_to": wish.version })))
        })?;
        Ok(true)
    }

    /// Every other version that ever protected, until now by the clock that is furthest ahead.
    fn left_behind(&self, ring: &Ring, primary: VersionNumber) -> Vec<Revocation> {
        let until = everything_until(self.clock.wall().after(ring.policy.skew));
        ring.versions
            .iter()
            .filter(|(number, version)| {
                **number != primary && version.protected_since.is_some() && version.has_material()
            })
            .map(|(_, version)| Revocation::Kid {
                kid: version.kid.clone(),
                issued_before: Some(until),
            })
            .collect()
    }
}
