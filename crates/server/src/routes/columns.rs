//! Columns that hold values under a ring's keys: how far each is, and what its worker reports.

use axum::response::Response;
use hyper::{Method, StatusCode};
use keywheel_api::column::{ColumnReport, RetiringVersion, RingColumns};
use keywheel_api::ring::RingStatus;
use keywheel_core::gate::{self, REENCRYPTION};
use keywheel_core::id::{Incarnation, Revision, VersionNumber};
use keywheel_core::ring::State;
use keywheel_engine::{CountedColumn, Role, Verb};

use crate::authz::{self, Right};
use crate::call::{Call, json};
use crate::operation::{Access, Answer, Body, Operation, schema};
use crate::refusal::Refusal;
use crate::routes::{rings, verbs};

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        id: "readColumns",
        method: Method::GET,
        path: "/v1/rings/{ring}/columns",
        summary: "Shows the columns that hold values under a ring's keys, and how far each is.",
        access: Access::Right(Right::ReadStatus),
        query: &[],
        conditional: false,
        body: Body::Nothing,
        answer: Answer::Json(200, schema::<RingColumns>),
        refusals: &[],
        handler: |call| Box::pin(read(call)),
    },
    Operation {
        id: "reportColumn",
        method: Method::PUT,
        path: "/v1/rings/{ring}/columns/{column}",
        summary: "Reports what a column holds under a version; a consumer only where it is the \
                  column's worker.",
        access: Access::Right(Right::ReportColumn),
        query: &[],
        conditional: true,
        body: Body::Required(schema::<ColumnReport>),
        answer: Answer::Ring(schema::<RingStatus>),
        refusals: &[],
        handler: |call| Box::pin(report(call)),
    },
];

async fn read(call: Call) -> Result<Response, Refusal> {
    let ring = call.ring()?;
    let snapshot = call.engine(move |engine| engine.snapshot(&ring)).await?;
    let status = rings::visible(call.caller()?, &snapshot)?;
    let mut gates = status.gates;
    let mut gate = |version: u32| {
        let own = gates.iter_mut().find(|stage| stage.version == version && stage.stage == "drain");
        let own = own.map(|stage| std::mem::take(&mut stage.gates)).unwrap_or_default();
        own.into_iter().find(|gate| gate.name == REENCRYPTION)
    };
    let versions = snapshot.ring.versions.iter();
    let policy = &snapshot.ring.policy;
    let retiring = versions.filter(|(_, one)| {
        let is_left = matches!(one.state, State::Retiring { .. } | State::Compromised { .. });
        is_left && one.is_accepted(policy)
    });
    let answer = RingColumns {
        ring: status.name,
        incarnation: status.incarnation,
        revision: status.revision,
        primary: status.primary,
        retiring: retiring
            .map(|(number, one)| RetiringVersion {
                version: number.0,
                switched: one.switched.map(|revision| revision.0),
                gate: gate(number.0),
            })
            .collect(),
        columns: status.columns,
    };
    json(StatusCode::OK, &answer)
}

async fn report(call: Call) -> Result<Response, Refusal> {
    let (ring, column) = (call.ring()?, call.column()?);
    let wire: ColumnReport = call.body()?;
    let caller = call.caller()?;
    let worker = if caller.role == Role::Consumer {
        let snapshot = call.engine(move |engine| engine.snapshot(&ring)).await?;
        authz::check_declared(caller, &snapshot.ring.policy)?;
        caller.consumer.clone()
    } else {
        None
    };
    let report = gate::ColumnReport {
        version: VersionNumber(wire.version),
        seen: Revision(wire.seen),
        left: wire.left,
        moved: wire.moved,
        quarantined: wire.quarantined,
        rows: wire.rows,
        verified: wire.verified,
    };
    let incarnation = Incarnation(wire.incarnation);
    let counted = CountedColumn { column, incarnation, report, worker };
    verbs::act(call, Verb::Column(counted), None).await
}
