//! Reports: what processes hold, with proofs, in batches.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{Method, StatusCode};
use keywheel_api::instance::{Acknowledged, Acknowledgement, Report, Reports};
use keywheel_api::problem::Kind;
use keywheel_api::ring::Counts;
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{Incarnation, InstanceId, Revision, VersionNumber};
use keywheel_engine::{Done, RINGS_MAX, ReportInput, ReportOutcome, ReportVerdict};

use crate::authz::Right;
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::routes::instances::{named_ring, own_consumer};

/// So many unknown kids of one ring are told apart in a report.
const UNKNOWN_KIDS_MAX: usize = 16;

pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    id: "report",
    method: Method::POST,
    path: "/v1/reports",
    summary: "Reports what a process holds of up to 64 rings, with proofs.",
    access: Access::Right(Right::Consume),
    query: &[],
    conditional: false,
    body: Body::Required(schema::<Reports>),
    answer: Answer::Json(200, schema::<Acknowledged>),
    refusals: &[Kind::NotFound],
    handler: |call| Box::pin(report(call)),
}];

async fn report(call: Call) -> Result<Response, Refusal> {
    let Reports { instance, reports, goodbye } = call.body()?;
    let consumer = own_consumer(&call)?;
    let instance: InstanceId = instance.parse().map_err(|error| {
        Refusal::invalid("instance", error, "Give the name that the registration answered with")
    })?;
    if reports.len() > RINGS_MAX {
        return Err(Refusal::invalid(
            "reports",
            format!("{} reports are more than {RINGS_MAX}", reports.len()),
            "Send them in several requests",
        ));
    }
    let mut inputs = Vec::with_capacity(reports.len());
    for report in reports {
        inputs.push(input(&call, &instance, report)?);
    }
    let (outcomes, audit_head) = call
        .engine(move |engine| {
            let outcomes = engine.report(&consumer, &instance, &inputs, goodbye)?;
            Ok((outcomes, engine.audit_head()?))
        })
        .await?;
    let rings = outcomes.into_iter().map(acknowledgement).collect();
    json(StatusCode::OK, &Acknowledged { rings, audit_head })
}

fn input(call: &Call, instance: &InstanceId, report: Report) -> Result<ReportInput, Refusal> {
    let ring = named_ring(call, &report.ring)?;
    let decoded = |field: &str, text: &str| {
        URL_SAFE_NO_PAD.decode(text).map_err(|_| {
            Refusal::invalid(field, "it is not base64url without padding", "Send it as it came")
        })
    };
    if let Some(millis) = report.stale_for_millis {
        tracing::warn!(%ring, %instance, millis, "a process went on with old keys meanwhile");
    }
    if let Some(revision) = report.refused_revision {
        tracing::error!(
            %ring, %instance, revision, holds = report.revision,
            "a process refused a revision older than the one it holds"
        );
    }
    let counts = report.counts.into_iter().map(|(number, counts)| {
        let Counts { protected, processed, rejected, unknown } = counts;
        (VersionNumber(number), Done { protected, processed, rejected, unknown })
    });
    if report.unknown_kids.len() > UNKNOWN_KIDS_MAX {
        return Err(Refusal::invalid(
            "unknown_kids",
            format!("there are more than {UNKNOWN_KIDS_MAX} of them"),
            "Send the most frequent ones",
        ));
    }
    Ok(ReportInput {
        ring,
        incarnation: Incarnation(report.incarnation),
        revision: Revision(report.revision),
        sequence: report.sequence,
        nonce: decoded("nonce", &report.nonce)?,
        accepted_set: report.accepted_set,
        proofs: report.proofs.into_iter().map(|(n, proof)| (VersionNumber(n), proof)).collect(),
        answer: report.answer.map(|answer| decoded("answer", &answer)).transpose()?,
        evidence: report.evidence.unwrap_or(EvidenceLevel::Held),
        trouble: report.trouble,
        oldest_guard: Revision(report.oldest_guard),
        counts: counts.collect(),
        unknown: report.unknown,
        unknown_kids: report.unknown_kids,
    })
}

fn acknowledgement(outcome: ReportOutcome) -> Acknowledgement {
    let (verdict, why) = match outcome.verdict {
        ReportVerdict::Proved => ("proved", None),
        ReportVerdict::Renewed => ("renewed", None),
        ReportVerdict::Stale => ("stale", None),
        ReportVerdict::Rejected { why } => ("rejected", Some(why)),
    };
    Acknowledgement {
        ring: outcome.ring.into(),
        verdict: verdict.into(),
        why,
        revision: outcome.revision.0,
        incarnation: outcome.incarnation.0,
        nonce: URL_SAFE_NO_PAD.encode(outcome.nonce),
        revocations: outcome.revocations,
    }
}
