//! What is revoked in a world: operators revoke, and whoever says that it knows all of it up to a
//! moment must refuse whatever was acknowledged before then.

use keywheel_core::revocation::Revocation;

use super::World;
use crate::world::operator::context;
use crate::world::process::Process;
use crate::world::truth::{Check, RingTruth};

/// Far behind the end of every world, so that nothing that was revoked is forgotten.
const NEVER: i64 = 1 << 40;

/// How long everybody has to hear, once nothing fails any more.
const LEARNED_WITHIN: u64 = 60_000;

/// A process never says that it knows more of what is revoked than it does.
pub(super) fn invariant_confirmed_is_complete(ring: &RingTruth, processes: &[Process]) -> Check {
    for (number, process) in processes.iter().enumerate().filter(|(_, one)| one.alive) {
        let index = process.locals.iter().position(|local| local.name == ring.name);
        let Some((index, until)) = index.and_then(|at| Some((at, process.knows_until(at)?))) else {
            continue;
        };
        let known = ring.revoked.iter().filter(|(_, acknowledged)| *acknowledged < until);
        for (revocation, acknowledged) in known {
            if !process.refuses(index, revocation) {
                return Err(format!(
                    "invariant_confirmed_revocations_are_complete: p{number} says that it knows \
                     what was revoked in {} until {until}, but not what was at {acknowledged}",
                    ring.name
                ));
            }
        }
    }
    Ok(())
}

impl World {
    /// Revokes one more token of a ring.
    pub(crate) fn revoke(&mut self, ring: usize) -> Check {
        let Some(one) = self.truth.rings.get(ring) else { return Ok(()) };
        let (name, restored) = (one.name.clone(), one.restored);
        let jti = format!("{}-{}", self.ticket, self.now());
        let Ok(revocation) = Revocation::jti(jti, NEVER) else { return Ok(()) };
        let entries = [revocation.clone()];
        let done = self
            .with_leader("revoke", |engine| engine.revoke(&name, &entries, &context()).map(drop))?
            .is_ok();
        let now = self.now();
        if let Some(one) = self.truth.rings.get_mut(ring)
            && done
            && one.restored == restored
        {
            one.revoked.push((revocation, now));
            self.shared.count("token revoked");
        }
        Ok(())
    }

    /// With nothing failing, every process hears of everything that was revoked.
    pub(crate) fn liveness_everybody_learns_what_is_revoked(&mut self) -> Check {
        let end = self.now().saturating_add(LEARNED_WITHIN);
        loop {
            self.run_for(1_000)?;
            let ignorant = self.truth.rings.iter().find_map(|ring| {
                let mut running = self.processes.iter().enumerate().filter(|(_, one)| one.alive);
                running.find_map(|(number, process)| {
                    let index = process.locals.iter().position(|one| one.name == ring.name)?;
                    let mut revoked = ring.revoked.iter();
                    let knows_all = revoked.all(|(what, _)| process.refuses(index, what));
                    (!knows_all).then(|| format!("p{number} in {}", ring.name))
                })
            });
            let Some(ignorant) = ignorant else { return Ok(()) };
            if self.now() > end {
                return Err(format!("liveness_everybody_learns_what_is_revoked: not {ignorant}"));
            }
        }
    }
}
