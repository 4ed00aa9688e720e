//! Tokens that a server signs for those who must not hold the key.
//!
//! A server that signs is a protector, so law 2 binds it: no token may be signed with a version
//! after the wait for the end of that version's tokens has begun. The ring is read from the store
//! before a token is signed, and once more after that. The token goes out only when the same
//! version was primary both times. Its `iat` and `exp` were fixed before the second reading, so
//! they belong to a moment at which the version was primary, however long this thread then stands
//! still; any wait that begins with the switch covers them. A server thus needs no registration, no
//! guard, and nobody who waits for it.

use keywheel_core::id::{Kid, RingName, VersionNumber};
use keywheel_core::kind::Kind;
use keywheel_core::time::Span;
use keywheel_jose::token::{Claims, Completed, IssueError, Signer, Terms, UnixSeconds, complete};
use serde_json::{Map, Value};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::ledger::Issued;
use crate::rings::{Loaded, TRIES_MAX};

/// Claims that the server adds, and nobody else.
const OWN: [&str; 2] = ["iat", "jti"];

/// A token that was signed.
pub struct SignedToken {
    /// The token.
    pub token: String,
    /// The key that signed it.
    pub kid: Kid,
    /// Its name.
    pub jti: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}

impl Engine {
    /// Signs claims with the primary version, and counts it as a use. Adds `jti` (128 random bits),
    /// `iat` and, unless the claims have one, `exp`.
    ///
    /// # Errors
    /// When the ring does not sign or has no primary, the claims say what the server says, or the
    /// token would live longer than the ring promises.
    pub fn sign(
        &self,
        ring: &RingName,
        claims: &Map<String, Value>,
        lifetime: Option<Span>,
    ) -> Result<SignedToken, EngineError> {
        if let Some(name) = OWN.iter().find(|name| claims.contains_key(**name)) {
            return Err(invalid(
                &format!("claims.{name}"),
                "the server says this".into(),
                "Leave it out",
            ));
        }
        if lifetime.is_some() && claims.contains_key("exp") {
            return Err(invalid(
                "expires_in",
                "it stands beside claims.exp".into(),
                "Give one of the two",
            ));
        }
        for _ in 0..TRIES_MAX {
            let loaded = self.load(ring)?;
            let number = primary(&loaded)?;
            let signed = self.sign_with(&loaded, number, claims, lifetime)?;
            if loaded.document.ring.policy.ledger {
                let (jti, kid) = (signed.jti.clone(), Some(signed.kid.clone()));
                let issued = Issued { jti, expires: signed.expires, kid };
                self.record_issued(ring, &[issued])?;
            }
            let again = self.load(ring)?;
            let same_life = again.document.ring.incarnation == loaded.document.ring.incarnation;
            if same_life && primary(&again)? == number {
                self.count_signed(ring, number);
                let triggers = &again.document.ring.policy.triggers;
                if triggers.max_uses.is_some() || triggers.max_age_at_use.is_some() {
                    self.enlist(ring);
                }
                return Ok(signed);
            }
        }
        Err(EngineError::Contended(ring.to_string()))
    }

    fn sign_with(
        &self,
        loaded: &Loaded,
        number: VersionNumber,
        claims: &Map<String, Value>,
        lifetime: Option<Span>,
    ) -> Result<SignedToken, EngineError> {
        let ring = &loaded.document.ring;
        let kid = ring.versions.get(&number).map(|version| version.kid.clone());
        let (Some(kid), Some(material)) = (kid, loaded.material.get(&number)) else {
            return Err(EngineError::defect(format!("{number} has no material")));
        };
        let longest = ring.policy.longest_lifetime;
        if let Some(wanted) = lifetime
            && (wanted > longest || wanted < Span::from_secs(1))
        {
            return Err(lives_too_long("expires_in", longest));
        }
        let json = serde_json::to_string(claims).map_err(EngineError::defect)?;
        let claims = Claims::of_text(json).map_err(IssueError::Claims);
        let mut jti = [0; 16];
        self.fill(&mut jti);
        let now = UnixSeconds(self.now().wall.seconds());
        let terms = Terms { now, longest_lifetime: lifetime.unwrap_or(longest), jti };
        let completed = claims.and_then(|claims| complete(claims, &terms));
        let Completed { json, jti, expires } = completed.map_err(|error| match error {
            IssueError::TooLong { .. } | IssueError::Over => lives_too_long("claims.exp", longest),
            IssueError::Claims(error) => {
                invalid("claims", error.to_string(), "Write them as RFC 7519 does")
            }
            error => invalid("claims", error.to_string(), "Leave out what the server says"),
        })?;
        let signer = Signer::of_material(material, &kid).map_err(EngineError::defect)?;
        let token = signer.sign(json.as_bytes()).map_err(EngineError::defect)?;
        Ok(SignedToken { token, kid, jti, expires })
    }
}

fn primary(loaded: &Loaded) -> Result<VersionNumber, EngineError> {
    let ring = &loaded.document.ring;
    if ring.deleted.is_some() {
        return Err(EngineError::NotFound { what: "ring", name: ring.name.to_string() });
    }
    if !matches!(ring.policy.kind, Kind::Signing { .. }) {
        return Err(invalid(
            "ring",
            "its keys do not sign tokens".into(),
            "Name a ring of kind signing",
        ));
    }
    ring.primary().ok_or_else(|| {
        invalid("ring", "it has no primary now".into(), "Wait until its consumers have come back")
    })
}

fn lives_too_long(field: &str, longest: Span) -> EngineError {
    invalid(
        field,
        format!("a token of this ring lives at most {longest}, and at least a second"),
        "Ask for less; a longer life would outlast the key",
    )
}

fn invalid(field: &str, cause: String, remedy: &str) -> EngineError {
    EngineError::Invalid { field: field.into(), cause, remedy: remedy.into() }
}
