//! What the watcher does besides keys: it learns what is revoked, and reports what was issued.

use std::sync::Arc;

use keywheel_api::revocation::{RecordedIssued, ReportIssued, Revocations};
use keywheel_core::id::Incarnation;
use keywheel_core::time::Span;

use super::{CALL_TIMEOUT, Watcher};
use crate::clock::{BootTime, boot_time};
use crate::http::HttpError;
use crate::random;
use crate::state::Applied;

impl Watcher {
    /// Takes in a part of what is revoked.
    pub(super) fn fetch_revocations(&mut self, index: usize, since: u64) {
        let live = Arc::clone(&self.live);
        let Some(slot) = live.slots.get(index) else { return };
        let asked_at = boot_time();
        let path = format!("/v1/revocations?ring={}&since={since}", slot.ring);
        let deadline = asked_at.after(CALL_TIMEOUT);
        let answer = self.http().and_then(|http| {
            let answer = http.call("GET", &path, None, &[], deadline, None)?;
            serde_json::from_slice::<Revocations>(&answer.body).map_err(|_| HttpError::Protocol {
                cause: "the server told something unreadable of what is revoked".into(),
                remedy: "use client and server of one release".into(),
            })
        });
        match answer {
            Ok(page) => {
                for revocation in &page.revocations {
                    slot.revoked.apply(revocation);
                }
                let incarnation = Incarnation(page.incarnation);
                self.session.revocations_took_in(
                    index,
                    &incarnation,
                    page.next,
                    page.newest,
                    asked_at,
                );
                self.trouble = None;
                self.share_confirmations();
            }
            Err(error) => {
                self.note(&error);
                self.session.revocations_failed(index, boot_time(), random::number());
                slot.revocation_attempted();
                self.publish_status();
                self.live.announce();
            }
        }
    }

    /// Shows the application since when it is known what is revoked. A set is shown as complete
    /// only after everything was taken in.
    pub(super) fn share_confirmations(&self) {
        for (index, slot) in self.live.slots.iter().enumerate() {
            let Some(at) = self.session.revocations_confirmed_at(index) else { continue };
            let before = slot.revocations_confirmed();
            slot.set_revocations_confirmed(at);
            if before.is_none() {
                slot.revocation_attempted();
                self.live.announce();
            }
        }
    }

    /// Shows the application how long the primary is young enough to be used.
    pub(super) fn share_freshness(
        &self,
        index: usize,
        fresh_for: Option<Span>,
        asked_at: BootTime,
        applied: Applied,
    ) {
        if let Some(slot) = self.live.slots.get(index)
            && applied != Applied::Refused
        {
            slot.fresh.set(fresh_for.map(|span| asked_at.after(span)), boot_time());
        }
    }

    /// Reports a batch of what was issued.
    pub(super) fn report_issued(&mut self, index: usize) {
        let live = Arc::clone(&self.live);
        let Some(slot) = live.slots.get(index) else { return };
        let issued = slot.issued.take();
        if issued.is_empty() {
            self.session.issued_reported(index, boot_time(), false);
            return;
        }
        let body = ReportIssued { issued };
        let path = format!("/v1/rings/{}/issued", slot.ring);
        let answer: Result<RecordedIssued, _> =
            self.http().and_then(|http| http.post(&path, Some(&body), &[]));
        let now = boot_time();
        match answer {
            Ok(_) => self.session.issued_reported(index, now, slot.issued.len() > 0),
            Err(error) => {
                self.note(&error);
                let refused = error.problem().is_some_and(|problem| {
                    (400..500).contains(&problem.status)
                        && ![401, 408, 429].contains(&problem.status)
                });
                if refused {
                    // The ledger will never take these; what comes next may be better.
                    slot.issued.drop_many(body.issued.len());
                    self.session.issued_reported(index, now, slot.issued.len() > 0);
                } else {
                    slot.issued.put_back(body.issued);
                    self.session.issued_failed(index, now, random::number());
                }
            }
        }
    }
}
