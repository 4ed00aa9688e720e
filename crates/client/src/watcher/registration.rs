//! How the process becomes known to the server: with all of its rings, or, where the server refuses
//! some, with the others. Those that were refused are asked for again from time to time.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::instance::{Register, Registered};
use zeroize::Zeroizing;

use super::{CALL_TIMEOUT, Watcher, host_name, is_outage};
use crate::clock::{BootTime, boot_time};
use crate::http::HttpError;
use crate::identity::{self, IdentityFile};
use crate::live::Slot;
use crate::random;
use crate::report::Identity;

impl Watcher {
    pub(super) fn register(&mut self, indices: &[usize], asked_at: BootTime) {
        if let Err(error) = self.open_identity_file() {
            self.registration_failed(&error);
            return;
        }
        match self.ask_to_register(indices, asked_at) {
            Ok(()) => self.trouble = None,
            Err(error) if self.goes_on_without(&error) => {}
            Err(error) => self.registration_failed(&error),
        }
    }

    /// Registers with a ring more. While that is refused, the present instance stays.
    pub(super) fn extend(&mut self, indices: &[usize], asked_at: BootTime) {
        let Err(error) = self.ask_to_register(indices, asked_at) else { return };
        self.show_refusals(&error);
        self.session.not_extended(indices, boot_time(), random::number());
        if error.problem().is_none_or(|problem| problem.rings.is_empty()) {
            self.note(&error);
        }
    }

    fn ask_to_register(&mut self, indices: &[usize], asked_at: BootTime) -> Result<(), HttpError> {
        let rings = indices.iter().filter_map(|index| self.settings.rings.get(*index));
        let rings: Vec<String> = rings.map(ToString::to_string).collect();
        let former = self.former.as_ref().or(self.identity.as_ref());
        let succeeds = former.map(identity::predecessor);
        let mut body = Register {
            consumer: self.settings.consumer.as_ref().map(ToString::to_string),
            rings,
            host: self.settings.host.clone().unwrap_or_else(host_name),
            pid: self.settings.pid.unwrap_or_else(std::process::id),
            endures: self.settings.endures,
            succeeds: succeeds.map(|told| (*told).clone()),
        };
        let answer: Result<Registered, _> =
            self.http().and_then(|http| http.post("/v1/instances", Some(&body), &[]));
        if let Some(told) = &mut body.succeeds {
            zeroize::Zeroize::zeroize(&mut told.secret);
        }
        self.take_identity(indices, answer?, asked_at)
    }

    /// Whether the registration was refused because of some rings, and there are others.
    fn goes_on_without(&mut self, error: &HttpError) -> bool {
        let refused: Vec<usize> = self.show_refusals(error);
        if !self.session.refused(&refused, boot_time(), random::number()) {
            return false;
        }
        if is_outage(error) {
            // What the store says of these is not believed; what was held once may be.
            self.recall();
        }
        for slot in refused.iter().filter_map(|index| self.live.slots.get(*index)) {
            slot.attempted();
            slot.revocation_attempted();
        }
        self.live.announce();
        true
    }

    /// Lets the users of each ring that a registration was refused for know why; gives these rings.
    fn show_refusals(&self, error: &HttpError) -> Vec<usize> {
        let problems = error.problem().map_or(&[][..], |problem| &problem.rings);
        let all = problems.iter().filter_map(|problem| {
            let is_it = |slot: &Slot| slot.ring.as_str() == problem.ring;
            let index = self.live.slots.iter().position(is_it)?;
            let text = format!("{}; {}", problem.cause, problem.remedy);
            self.live.slots.get(index)?.refusal.store(Some(Arc::new(text)));
            Some(index)
        });
        all.collect()
    }

    fn registration_failed(&mut self, error: &HttpError) {
        self.note(error);
        self.session.unregistered(boot_time(), random::number());
        if is_outage(error) {
            self.recall();
        }
        self.publish_status();
        for slot in &self.live.slots {
            slot.attempted();
            slot.revocation_attempted();
        }
        self.live.announce();
    }

    /// Takes the identity file for this process, before its first registration.
    fn open_identity_file(&mut self) -> Result<(), HttpError> {
        if let Some(path) = &self.settings.identity_file
            && self.identity_file.is_none()
        {
            let (file, former) = IdentityFile::open(path)?;
            (self.identity_file, self.former) = (Some(file), former);
        }
        Ok(())
    }

    /// Writes down who this process is; until that has succeeded, each report tries it again.
    pub(super) fn keep_identity(&mut self) {
        if let (Some(file), Some(identity)) = (&self.identity_file, &self.identity) {
            let kept = file.keep(identity);
            self.identity_trouble =
                kept.err().map(|error| format!("{error}; {}", error.remedy()).into());
        }
    }

    fn take_identity(
        &mut self,
        indices: &[usize],
        answer: Registered,
        asked_at: BootTime,
    ) -> Result<(), HttpError> {
        let Registered { instance, secret, nonces } = answer;
        let secret = Zeroizing::new(secret);
        let odd = || HttpError::Protocol {
            cause: "the server answered the registration with something unreadable".into(),
            remedy: "use client and server of one release".into(),
        };
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| odd());
        let rings = indices.iter().filter_map(|index| self.settings.rings.get(*index));
        let in_order: Result<Vec<_>, _> =
            rings.map(|ring| decode(nonces.get(ring.as_str()).ok_or_else(odd)?)).collect();
        let in_order = in_order?;
        let secret = Zeroizing::new(decode(&secret)?);
        let instance = instance.parse().map_err(|_| odd())?;
        let identity = Identity { instance, secret };
        if self.settings.identity_file.is_some() {
            self.former = Some(identity.clone());
        }
        self.identity = Some(identity);
        // Before any key arrives: whoever holds one can be succeeded.
        self.keep_identity();
        self.session.registered(indices, in_order, asked_at);
        for slot in indices.iter().filter_map(|index| self.live.slots.get(*index)) {
            slot.refusal.store(None);
        }
        self.share_contacts();
        if let Some(farewell) = self.farewell.take() {
            // Nothing depends on it: without it the former instance is lost by its lease.
            let _ = self.send_reports(&farewell, CALL_TIMEOUT);
        }
        Ok(())
    }
}
