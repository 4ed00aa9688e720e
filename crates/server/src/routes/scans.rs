//! Scans of code bases: their nonces, what they report, and what of it belongs to a ring.

use std::collections::BTreeMap;

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{Method, StatusCode};
use keywheel_api::problem::Kind;
use keywheel_api::ring::Mark;
use keywheel_api::scan::{
    DeclaredConsumer, ForgottenScan, Found, FoundLiteral, ReportScan, ReportedScan, RingFinding,
    RingFindings, ScanFindings, ScanNonce, TiedFinding, TiedRing, WaivedFinding,
};
use keywheel_core::gate::FINDINGS;
use keywheel_core::id::{RingName, ScanName};
use keywheel_core::time::ClusterTime;
use keywheel_engine::{FoundPlace, Place, ScanRecord, Tie, TiedPlace};

use crate::authz::{self, Right};
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::status;

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "beginScan",
        method: Method::POST,
        path: "/v1/scans",
        summary: "Gives a nonce, under which a scan marks the literals that it finds.",
        access: Access::Right(Right::ReportScan),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<ScanNonce>),
        refusals: &[],
        handler: |call| Box::pin(begin(call)),
    },
    Operation {
        id: "reportScan",
        method: Method::PUT,
        path: "/v1/scans/{scan}",
        summary: "Reports what a scan of a code base found, in place of its last report, and says \
                  which of it belongs to which ring.",
        access: Access::Right(Right::ReportScan),
        query: &[],
        conditional: false,
        body: Body::Large(schema::<ReportScan>),
        answer: Answer::Json(200, schema::<ReportedScan>),
        refusals: &[Kind::TooMany],
        handler: |call| Box::pin(report(call)),
    },
    Operation {
        id: "forgetScan",
        method: Method::DELETE,
        path: "/v1/scans/{scan}",
        summary: "Forgets what a code base reported about the rings of the token.",
        access: Access::Right(Right::ReportScan),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<ForgottenScan>),
        refusals: &[],
        handler: |call| Box::pin(forget(call)),
    },
    Operation {
        id: "readFindings",
        method: Method::GET,
        path: "/v1/rings/{ring}/findings",
        summary: "Shows who is declared to use a ring beside what scans of code bases found.",
        access: Access::Right(Right::ReadFindings),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<RingFindings>),
        refusals: &[],
        handler: |call| Box::pin(findings(call)),
    },
];

async fn begin(call: Call) -> Result<Response, Refusal> {
    let id = call.caller()?.token_id.clone();
    let given = call.engine(move |engine| engine.scan_nonce(&id)).await?;
    let nonce = URL_SAFE_NO_PAD.encode(&given.nonce);
    json(StatusCode::OK, &ScanNonce { nonce, expires: given.expires.to_string() })
}

async fn report(call: Call) -> Result<Response, Refusal> {
    let name = call.scan()?;
    let wire: ReportScan = call.body()?;
    let count = wire.findings.len();
    let report = reported(&call, name.clone(), wire)?;
    let (caller, context) = (call.caller()?, call.context(None)?);
    let (scope, id) = (caller.rings.clone(), caller.token_id.clone());
    let tied = call.engine(move |e| e.report_scan(&report, &scope, &id, &context)).await?;
    let mut ids: Vec<_> = tied.iter().flat_map(|ring| &ring.places).map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    let untied = length(count.saturating_sub(ids.len()));
    let rings = tied
        .iter()
        .map(|ring| TiedRing {
            ring: ring.ring.to_string(),
            findings: ring
                .places
                .iter()
                .map(|(id, tie)| {
                    let (by, version) = tied_by(*tie);
                    TiedFinding { id: id.clone(), by, version }
                })
                .collect(),
            blocking: length(ring.blocking),
            waived: length(ring.waived),
        })
        .collect();
    json(StatusCode::OK, &ReportedScan { scan: name.into(), rings, untied })
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn tied_by(tie: Tie) -> (String, Option<u32>) {
    match tie {
        Tie::Name => ("name".into(), None),
        Tie::Literal { version } => ("literal".into(), Some(version.0)),
    }
}

fn reported(
    call: &Call,
    name: ScanName,
    wire: ReportScan,
) -> Result<keywheel_engine::ReportedScan, Refusal> {
    let nonce = URL_SAFE_NO_PAD.decode(&wire.nonce).map_err(|_| {
        Refusal::invalid("nonce", "it is not base64url without padding", "Send it as it came")
    })?;
    let mut rings = BTreeMap::new();
    for (ring, names) in wire.rings {
        let ring: RingName = ring.parse().map_err(|_| Refusal::no_such_ring())?;
        authz::check(call.caller()?, Right::ReportScan, Some(&ring))?;
        rings.insert(ring, names);
    }
    let mut findings = Vec::with_capacity(wire.findings.len());
    for (index, found) in wire.findings.into_iter().enumerate() {
        findings.push(place(index, found)?);
    }
    let (tool, commit, left_out) = (wire.tool, wire.commit, wire.left_out);
    Ok(keywheel_engine::ReportedScan { name, nonce, tool, commit, rings, findings, left_out })
}

fn place(index: usize, found: Found) -> Result<FoundPlace, Refusal> {
    let mark = found.literal.as_ref().map(|literal| mark(index, literal)).transpose()?;
    let place = Place {
        id: found.id,
        kind: found.kind,
        rule: found.rule,
        key: found.key,
        name: found.name,
        path: found.path,
        line: found.line,
        column: found.column,
        scope: found.scope,
        hot_reload: found.hot_reload,
        source: found.source,
        placeholder: found.literal.map(|literal| literal.placeholder),
        sink: found.sink,
        blocking: found.blocking,
        reason: found.reason,
        remedy: found.remedy,
        in_tests: found.in_tests,
    };
    Ok(FoundPlace { place, mark })
}

fn mark(index: usize, literal: &FoundLiteral) -> Result<[u8; 32], Refusal> {
    let text = literal.fingerprint.as_bytes();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut mark = [0; 32];
    let (pairs, rest) = text.as_chunks::<2>();
    let mut is_whole = rest.is_empty() && pairs.len() == mark.len();
    for (byte, [high, low]) in mark.iter_mut().zip(pairs) {
        match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => is_whole = false,
        }
    }
    is_whole.then_some(mark).ok_or_else(|| {
        Refusal::invalid(
            format!("findings[{index}].literal.fingerprint"),
            "it is not 64 lower-case hexadecimal digits",
            "Send HMAC-SHA256(nonce, value); never the value",
        )
    })
}

async fn forget(call: Call) -> Result<Response, Refusal> {
    let name = call.scan()?;
    let (scope, context) = (call.caller()?.rings.clone(), call.context(None)?);
    let named = name.clone();
    let rings = call.engine(move |engine| engine.forget_scan(&named, &scope, &context)).await?;
    let rings = rings.into_iter().map(Into::into).collect();
    json(StatusCode::OK, &ForgottenScan { scan: name.into(), rings })
}

async fn findings(call: Call) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let named = ring.clone();
    let (scans, snapshot) =
        call.engine(move |engine| Ok((engine.findings(&named)?, engine.snapshot(&named)?))).await?;
    let (now, policy) = (snapshot.now.cluster, &snapshot.ring.policy);
    let status = status::ring_status(&snapshot);
    let gates = status.gates.into_iter().flat_map(|stage| stage.gates);
    let declared = status.consumers.into_iter().map(|consumer| DeclaredConsumer {
        name: consumer.name,
        role: consumer.role,
        live: length(consumer.live),
    });
    let passive = policy.passive.keys().map(|name| DeclaredConsumer {
        name: name.clone(),
        role: "passive".into(),
        live: 0,
    });
    let answer = RingFindings {
        ring: ring.into(),
        required: policy.requires_findings(),
        gate: gates.into_iter().find(|gate| gate.name == FINDINGS),
        declared: declared.chain(passive).collect(),
        scans: scans.into_iter().map(|(name, record)| scan(&name, record, now)).collect(),
    };
    json(StatusCode::OK, &answer)
}

fn scan(name: &ScanName, record: ScanRecord, now: ClusterTime) -> ScanFindings {
    let findings = record.places.iter().map(|place| finding(place, &record, now)).collect();
    ScanFindings {
        scan: name.to_string(),
        reported: record.at.wall.to_string(),
        by: record.by,
        tool: record.tool,
        commit: record.commit,
        left_out: record.left_out,
        findings,
    }
}

fn finding(tied: &TiedPlace, record: &ScanRecord, now: ClusterTime) -> RingFinding {
    let (tied_by, version) = tied_by(tied.tie);
    let place = &tied.place;
    RingFinding {
        id: place.id.clone(),
        kind: place.kind.clone(),
        key: place.key.clone(),
        path: place.path.clone(),
        line: place.line,
        column: place.column,
        scope: place.scope.clone(),
        hot_reload: place.hot_reload.clone(),
        source: place.source.clone(),
        sink: place.sink.clone(),
        tied_by,
        version,
        blocking: tied.blocks(),
        reason: place.reason.clone(),
        remedy: place.remedy.clone(),
        in_tests: place.in_tests,
        waived: record.waiver(&place.id, now).map(|waiver| WaivedFinding {
            by: Mark { who: waiver.by.who.clone(), reason: waiver.by.reason.clone(), at: None },
            until: waiver.until_wall.to_string(),
        }),
    }
}
