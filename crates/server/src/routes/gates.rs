//! Gates: evidence from outside, and waivers.

use axum::response::Response;
use hyper::Method;
use keywheel_api::problem::Kind;
use keywheel_api::ring::{Evidence, RingStatus, Waive};
use keywheel_core::gate::{EvidenceLevel, FINDINGS, Verdict};
use keywheel_core::id::{InstanceId, ScanName, VersionNumber};
use keywheel_core::time::Span;
use keywheel_engine::Verb;

use crate::authz::{self, Right};
use crate::call::{Call, REASON_MAX, ring_json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::routes::{rings, verbs};

/// The longest waiver.
const WAIVER_MAX: Span = Span::from_secs(24 * 3_600);

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "putEvidence",
        method: Method::PUT,
        path: "/v1/rings/{ring}/gates/{gate}",
        summary: "Reports evidence to a gate; needs a token of role evidence:<gate>.",
        access: Access::Right(Right::GiveEvidence),
        query: &[],
        conditional: true,
        body: Body::Required(schema::<Evidence>),
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[],
        handler: |call| Box::pin(evidence(call)),
    },
    Operation {
        id: "waiveGate",
        method: Method::POST,
        path: "/v1/rings/{ring}/gates/{gate}/waive",
        summary: "Opens a gate for a while, or excuses one instance or one finding at it; needs a \
                  reason.",
        access: Access::Right(Right::BreakGlass),
        query: &[],
        conditional: true,
        body: Body::Required(schema::<Waive>),
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[Kind::GateClosed],
        handler: |call| Box::pin(waive(call)),
    },
];

async fn evidence(call: Call) -> Result<Response, Refusal> {
    let gate = call.gate()?;
    authz::check_gate(call.caller()?, gate.as_str())?;
    let wire: Evidence = call.body()?;
    let verdict = match (wire.verdict.as_str(), wire.why) {
        ("pass", None) => Verdict::Pass,
        ("fail", Some(why)) if (1..=REASON_MAX).contains(&why.chars().count()) => {
            Verdict::Fail { why }
        }
        ("pass" | "fail", _) => {
            return Err(Refusal::invalid(
                "why",
                "it belongs to a failure and to nothing else",
                format!("Give it with `fail`, in 1 to {REASON_MAX} characters"),
            ));
        }
        _ => {
            return Err(Refusal::invalid(
                "verdict",
                "there is no such verdict",
                "Use pass or fail",
            ));
        }
    };
    let level = match wire.level.as_deref() {
        None | Some("attested") => EvidenceLevel::Attested,
        Some("assumed") => EvidenceLevel::Assumed,
        Some("held") => EvidenceLevel::Held,
        Some("exercised") => EvidenceLevel::Exercised,
        Some("probed") => EvidenceLevel::Probed,
        Some(_) => {
            return Err(Refusal::invalid(
                "level",
                "there is no such level",
                "Use probed, exercised, held, attested or assumed",
            ));
        }
    };
    let version = wire.version.map(VersionNumber);
    verbs::act(call, Verb::Evidence { gate, version, verdict, level }, None).await
}

async fn waive(call: Call) -> Result<Response, Refusal> {
    let gate = call.gate()?;
    let wire: Waive = call.body()?;
    let lasts: Span = wire
        .lasts
        .parse()
        .map_err(|error| Refusal::invalid("lasts", error, "Write for example 10m"))?;
    if let Some(finding) = wire.finding {
        let alone = wire.instance.is_none() && wire.version.is_none() && gate.as_str() == FINDINGS;
        if !alone {
            return Err(Refusal::invalid(
                "finding",
                "a finding is waived at the gate findings, for every instance and version",
                "Leave out instance and version, or leave out finding",
            ));
        }
        return waive_finding(call, finding, wire.scan, lasts, wire.reason).await;
    }
    if wire.scan.is_some() {
        return Err(Refusal::invalid("scan", "it means nothing without a finding", "Leave it out"));
    }
    if lasts == Span::ZERO || lasts > WAIVER_MAX {
        return Err(Refusal::invalid(
            "lasts",
            format!("{lasts} is not within 1ms and {WAIVER_MAX}"),
            "Waive for as long as you watch, and again if you must",
        ));
    }
    let instance = wire.instance.map(|id| id.parse::<InstanceId>()).transpose();
    let instance =
        instance.map_err(|error| Refusal::invalid("instance", error, "Give its id from status"))?;
    let version = wire.version.map(VersionNumber);
    verbs::act(call, Verb::Waive { gate, version, instance, lasts }, Some(wire.reason)).await
}

/// Waives one place that a scan found. That is kept with what was found and not with the rotation.
async fn waive_finding(
    call: Call,
    finding: String,
    scan: Option<String>,
    lasts: Span,
    reason: String,
) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let scan = scan.map(|name| name.parse::<ScanName>()).transpose();
    let scan = scan.map_err(|error| Refusal::invalid("scan", error, "Give its name"))?;
    let context = call.context(Some(reason))?;
    let snapshot = call
        .engine(move |engine| engine.waive_finding(&ring, &finding, scan.as_ref(), lasts, &context))
        .await?;
    ring_json(&rings::visible(call.caller()?, &snapshot)?)
}
