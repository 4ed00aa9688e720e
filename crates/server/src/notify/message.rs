//! What a target is told: the notice as JSON, and in one sentence for people.

use keywheel_core::rotation::Notice;
use keywheel_engine::{PendingNotice, notice_name};
use serde::Serialize;

use crate::status::cause;

/// A message longer than this goes without its particulars, so that it fits any pipe and any hook.
const BODY_MAX_BYTES: usize = 48 * 1024;

/// A notice, ready to be sent.
pub(crate) struct Message {
    pub(crate) id: u64,
    /// One sentence.
    pub(crate) text: String,
    /// The JSON body.
    pub(crate) body: Vec<u8>,
}

#[derive(Serialize)]
struct Body<'a> {
    /// The same for every attempt.
    id: u64,
    event: &'static str,
    ring: &'a str,
    at: String,
    text: &'a str,
    notice: Option<&'a Notice>,
}

impl Message {
    pub(crate) fn of(notice: &PendingNotice) -> Self {
        let text = sentence(notice.ring.as_str(), &notice.notice);
        let write = |with: Option<&Notice>| {
            let body = Body {
                id: notice.id,
                event: notice_name(&notice.notice),
                ring: notice.ring.as_str(),
                at: notice.at.to_string(),
                text: &text,
                notice: with,
            };
            serde_json::to_vec(&body).unwrap_or_default()
        };
        let mut body = write(Some(&notice.notice));
        if body.len() > BODY_MAX_BYTES || body.is_empty() {
            body = write(None);
        }
        Self { id: notice.id, text, body }
    }
}

fn sentence(ring: &str, notice: &Notice) -> String {
    let said = match notice {
        Notice::Created { version } => format!("was created with {version}"),
        Notice::Started { version, cause: why } => {
            format!("rotates to {version}: {}", cause(why))
        }
        Notice::Published { version } => format!("published {version}"),
        Notice::Served { version } => format!("asks for proof of {version}"),
        Notice::Promoted { version, .. } => format!("promoted {version}"),
        Notice::Done { version } => format!("has finished its rotation to {version}"),
        Notice::Draining { version } => format!("lets {version} drain: nobody protects with it"),
        Notice::Retired { version } => format!("retired {version}"),
        Notice::Dropped { version } => format!("has dropped {version} everywhere"),
        Notice::Destroyed { version } => format!("destroyed {version}"),
        Notice::RolledBack { version, by, .. } => {
            format!("took {version} back ({}: {})", by.who, by.reason)
        }
        Notice::Stalled { version, stage, missing, gates } => {
            let missing: Vec<_> = missing.iter().take(10).map(laggard).collect();
            format!(
                "stalls with {version} at stage {stage}; closed gates: {}; missing: {}",
                gates.join(", "),
                if missing.is_empty() { "nobody".into() } else { missing.join(", ") }
            )
        }
        Notice::Failed { version, gate, why } => {
            format!("does not go on with {version}: gate {gate} failed: {why}")
        }
        Notice::Overdue { cause: why } => format!("is overdue: {}", cause(why)),
        Notice::Compromised { version, successor, by, .. } => {
            let successor = successor.map(|next| format!("; {next} takes its place"));
            let (who, why) = (&by.who, &by.reason);
            format!("has a compromised {version} ({who}: {why}){}", successor.unwrap_or_default())
        }
        Notice::Refused { version } => format!("tells consumers to refuse {version}"),
        Notice::Suspended { version, by } => {
            format!("suspended {version} ({}: {})", by.who, by.reason)
        }
        Notice::ResumedVersion { version } => format!("accepts {version} again"),
        Notice::Waived { gate, version, by } => {
            format!("passes gate {gate} of {version} unproved ({}: {})", by.who, by.reason)
        }
        Notice::InstanceEnded { instance, consumer, by } => {
            format!("counts instance {instance} of {consumer} as ended ({}: {})", by.who, by.reason)
        }
        Notice::Approved { version, by } => format!("may promote {version}, says {}", by.who),
        Notice::Evidence { record } => format!("has evidence for gate {}", record.gate),
        Notice::Column { record } => {
            let (column, report) = (&record.column, &record.report);
            let (left, version) = (report.left, report.version);
            format!("has {left} rows left under {version} in column {column}, says {}", record.by)
        }
        Notice::ColumnsReleased { columns, versions } => {
            let columns: Vec<_> = columns.iter().map(ToString::to_string).collect();
            let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
            format!("lets {} go without {}", versions.join(", "), columns.join(", "))
        }
        Notice::Paused { by } => format!("is paused ({}: {})", by.who, by.reason),
        Notice::Resumed => "goes on".into(),
        Notice::Edited => "has another policy".into(),
        Notice::Restored { by } => format!("came back from a backup ({}: {})", by.who, by.reason),
        Notice::Deleted { by } => format!("was deleted ({}: {})", by.who, by.reason),
    };
    format!("keywheel: ring {ring} {said}")
}

fn laggard(laggard: &keywheel_core::gate::Laggard) -> String {
    match &laggard.instance {
        Some(instance) => format!("{}/{instance}", laggard.consumer),
        None => format!("an instance of {}", laggard.consumer),
    }
}
