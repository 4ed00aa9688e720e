//! What the director asks of the server: the same calls as the commands and their users make.

use std::path::Path;

use keywheel_api::audit::{Audit, AuditEntry};
use keywheel_api::ring::{RingStatus, Verb};
use keywheel_api::token::{CreateToken, CreatedToken};
use keywheel_client::http::{Endpoint, Http, TlsOptions, Token};
use keywheel_core::time::Span;

use super::plan::RING;
use crate::failure::{Failure, chain};

/// A server that does not answer in this time is down; the next look asks again.
const ANSWERS_WITHIN: Span = Span::from_secs(3);
/// Far more entries than the demonstration makes.
const AUDIT_LIMIT: usize = 500;

/// The server, as its administrator sees it.
pub(super) struct Admin {
    http: Http,
}

impl Admin {
    /// Reads the token and connects with the first call.
    ///
    /// # Errors
    /// When there is no token yet.
    pub(super) fn open(server: &str, token_file: &Path) -> Result<Self, Failure> {
        let token = Token::from_file(token_file)
            .map_err(|error| Failure::failed(chain(&error), "run the demonstration again"))?;
        let endpoint =
            Endpoint::parse(server).map_err(|error| Failure::failed(error.cause, error.remedy))?;
        let http = Http::new(endpoint, Some(&token), &TlsOptions::default())?;
        Ok(Self { http: http.with_timeout(ANSWERS_WITHIN) })
    }

    /// How the ring stands.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub(super) fn status(&self) -> Result<RingStatus, Failure> {
        Ok(self.http.get(&format!("/v1/rings/{RING}"))?)
    }

    /// Asks for `rotate` or `rollback`.
    ///
    /// # Errors
    /// As [`Admin::status`].
    pub(super) fn act(&self, verb: &str, reason: &str) -> Result<RingStatus, Failure> {
        let body = Verb { reason: Some(reason.into()), ..Verb::default() };
        Ok(self.http.post(&format!("/v1/rings/{RING}/{verb}"), Some(&body), &[])?)
    }

    /// Makes a token for the processes of a service.
    ///
    /// # Errors
    /// As [`Admin::status`].
    pub(super) fn consumer_token(&self, service: &str) -> Result<String, Failure> {
        let body = CreateToken {
            name: service.into(),
            role: "consumer".into(),
            rings: vec![RING.into()],
            consumer: Some(service.into()),
            cidr: None,
            uid: None,
            expires_in: None,
        };
        let created: CreatedToken = self.http.post("/v1/tokens", Some(&body), &[])?;
        Ok(created.token)
    }

    /// The record of who did what, after an entry.
    ///
    /// # Errors
    /// As [`Admin::status`].
    pub(super) fn audit(&self, after: u64) -> Result<Vec<AuditEntry>, Failure> {
        let page: Audit = self.http.get(&format!("/v1/audit?after={after}&limit={AUDIT_LIMIT}"))?;
        Ok(page.entries)
    }
}
