//! Who may do what: one table of rights and roles, and the one place where it is applied.
//!
//! `admin` holds everything but what bends a law. Waiving a gate, ending an instance, suspending,
//! compromising or destroying a version, removing a consumer that still has instances, and giving
//! up data are `breakglass`, which in turn holds nothing else: whoever does these things does them
//! with a token that was made for it, and the audit record names that token. An admin may make such
//! a token; the record then shows that too.
//!
//! A role that lacks a right is told so. A token that has the right, but not for this ring, is told
//! what it would be told if the ring did not exist.

use keywheel_api::problem::Kind;
use keywheel_api::revocation::Revoke;
use keywheel_core::gate::{FINDINGS, REENCRYPTION};
use keywheel_core::id::RingName;
use keywheel_core::policy::Policy;
use keywheel_core::revocation::Revocation;
use keywheel_engine::{Caller, Role};

use crate::refusal::Refusal;

/// What an operation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// See how rings stand.
    ReadStatus,
    /// See what a rotation would do.
    Plan,
    /// Follow the change feed.
    Watch,
    /// Create rings and change policies.
    PutRing,
    /// Turn a ring into a tombstone.
    DeleteRing,
    /// Rotate, promote, approve, roll back, pause, resume.
    Operate,
    /// Bend a law: waive, end an instance, suspend, compromise, destroy.
    BreakGlass,
    /// Report to a gate.
    GiveEvidence,
    /// Report what a scan found, to the gate `findings`.
    ReportScan,
    /// See what scans found: where keys are used, and where they stand.
    ReadFindings,
    /// Report what a column holds, to the gate `reencryption`. A consumer only where it is the
    /// column's worker.
    ReportColumn,
    /// Report what happened in the application.
    SendEvent,
    /// Register processes, report proofs, fetch keys.
    Consume,
    /// Revoke what a ring protects. A consumer may do so only where it protects, and only by token
    /// and by subject; see [`check_logout`].
    Revoke,
    /// Read what was revoked.
    ReadRevocations,
    /// Report what was issued.
    ReportIssued,
    /// Make, list and revoke tokens.
    ManageTokens,
    /// Read the audit record.
    ReadAudit,
    /// Read metrics.
    ReadMetrics,
    /// See who fetched public keys.
    ReadFetches,
    /// Ask whether a token is good.
    Introspect,
    /// Have the server sign tokens.
    Sign,
}

/// The table.
pub(crate) fn allows(role: &Role, right: Right) -> bool {
    use Role::{Admin, Auditor, Breakglass, Consumer, Evidence, Operator, Signer};
    match right {
        Right::ReadStatus => true,
        Right::Plan => matches!(role, Admin | Operator | Breakglass | Auditor),
        Right::Watch | Right::ReadRevocations => {
            matches!(role, Admin | Operator | Breakglass | Auditor | Consumer)
        }
        // With `breakglass` only to remove a consumer or to give up data; see `needs_breakglass`.
        Right::PutRing | Right::DeleteRing => matches!(role, Admin | Breakglass),
        Right::Operate => matches!(role, Admin | Operator),
        Right::BreakGlass => matches!(role, Breakglass),
        Right::GiveEvidence => matches!(role, Evidence(_)),
        Right::ReportScan => is_of(role, FINDINGS),
        Right::ReadFindings => {
            matches!(role, Admin | Operator | Breakglass | Auditor) || is_of(role, FINDINGS)
        }
        // Not the administrator: who declares a column does not count what is in it.
        Right::ReportColumn => matches!(role, Consumer) || is_of(role, REENCRYPTION),
        Right::SendEvent | Right::Revoke | Right::ReportIssued => {
            matches!(role, Admin | Operator | Consumer)
        }
        Right::Consume => matches!(role, Consumer),
        Right::ManageTokens => matches!(role, Admin),
        Right::ReadAudit => matches!(role, Admin | Auditor),
        Right::ReadMetrics | Right::ReadFetches => matches!(role, Admin | Operator | Auditor),
        Right::Introspect => matches!(role, Admin | Operator | Consumer | Signer),
        // Not the administrator either: whoever signs does it with a token made for it.
        Right::Sign => matches!(role, Signer),
    }
}

fn is_of(role: &Role, name: &str) -> bool {
    matches!(role, Role::Evidence(gate) if gate.as_str() == name)
}

/// Whether a role may see where in the code keys stand; others see that a gate is closed.
pub(crate) fn sees_places(role: &Role) -> bool {
    allows(role, Right::ReadFindings)
}

/// The roles that hold a right, as they are written.
pub(crate) fn roles(right: Right) -> Vec<&'static str> {
    let all = [
        ("admin", Role::Admin),
        ("operator", Role::Operator),
        ("breakglass", Role::Breakglass),
        ("consumer", Role::Consumer),
        ("auditor", Role::Auditor),
        ("signer", Role::Signer),
    ];
    let mut named: Vec<_> =
        all.iter().filter(|(_, role)| allows(role, right)).map(|(name, _)| *name).collect();
    // What holds for a gate of the user's own holds for all.
    let holds = |gate: &str| gate.parse().is_ok_and(|gate| allows(&Role::Evidence(gate), right));
    if holds("probes") {
        named.push("evidence:<gate>");
        return named;
    }
    let own = [(FINDINGS, "evidence:findings"), (REENCRYPTION, "evidence:reencryption")];
    named.extend(own.iter().filter(|(gate, _)| holds(gate)).map(|(_, role)| role));
    named
}

/// Checks the role, then the ring.
///
/// # Errors
/// 403 when the role lacks the right, whatever the ring; 404 when the token is not good for it.
pub(crate) fn check(caller: &Caller, right: Right, ring: Option<&RingName>) -> Result<(), Refusal> {
    if !allows(&caller.role, right) {
        return Err(lacks(caller));
    }
    match ring {
        Some(ring) if !caller.rings.contains(ring) => Err(Refusal::no_such_ring()),
        _ => Ok(()),
    }
}

/// For requests that are `breakglass` only when they ask for it: exactly then, and otherwise not.
///
/// # Errors
/// 403 when role and request do not fit.
pub(crate) fn needs_breakglass(caller: &Caller, bends_a_law: bool) -> Result<(), Refusal> {
    if matches!(caller.role, Role::Breakglass) == bends_a_law { Ok(()) } else { Err(lacks(caller)) }
}

/// A consumer sees the rings that declare it, and no other.
///
/// # Errors
/// 404 when this one does not.
pub(crate) fn check_declared(caller: &Caller, policy: &Policy) -> Result<(), Refusal> {
    let declared =
        || caller.consumer.as_ref().is_some_and(|own| policy.consumers.contains_key(own));
    if caller.role != Role::Consumer || declared() { Ok(()) } else { Err(Refusal::no_such_ring()) }
}

/// A consumer speaks of tokens that it may have made itself: it must be one that protects.
///
/// # Errors
/// 403 when the ring does not declare it so.
pub(crate) fn check_protects(caller: &Caller, policy: &Policy) -> Result<(), Refusal> {
    if caller.role != Role::Consumer {
        return Ok(());
    }
    check_declared(caller, policy)?;
    let declared = caller.consumer.as_ref().and_then(|name| policy.consumers.get(name));
    match declared.map(|consumer| consumer.role) {
        Some(keywheel_core::policy::Role::Protect) => Ok(()),
        _ => Err(Refusal::new(
            Kind::Forbidden,
            "only a consumer that protects with the ring may do this",
            "Use the token of a consumer whose role is protect, or one of an operator",
        )),
    }
}

/// A consumer logs somebody out: one token, or one subject. What reaches further is an operator's.
///
/// # Errors
/// 403 when it names more.
pub(crate) fn check_logout(caller: &Caller, revoke: &Revoke) -> Result<(), Refusal> {
    let is_narrow = !revoke.active
        && !revoke.issued
        && revoke
            .revoke
            .iter()
            .all(|one| matches!(one, Revocation::Jti { .. } | Revocation::Subject { .. }));
    if caller.role != Role::Consumer || is_narrow {
        return Ok(());
    }
    Err(Refusal::new(
        Kind::Forbidden,
        "a consumer may revoke by jti and by subject only",
        "Name the tokens or the subject, or ask an operator to revoke by kid or issued_before",
    ))
}

/// Evidence is accepted for the token's own gate only.
///
/// # Errors
/// 403 when it is another one.
pub(crate) fn check_gate(caller: &Caller, gate: &str) -> Result<(), Refusal> {
    match &caller.role {
        Role::Evidence(own) if own.as_str() == gate => Ok(()),
        _ => Err(lacks(caller)),
    }
}

fn lacks(caller: &Caller) -> Refusal {
    Refusal::new(
        Kind::Forbidden,
        format!("a token of role {} may not do this", String::from(caller.role.clone())),
        "Use a token whose role has the right; /openapi.json names them as x-roles",
    )
}
