//! What the workers of columns report, and what becomes of it when the ring changes.

use std::collections::BTreeMap;

use super::{Notice, Refused, RefusedKind, Work};
use crate::gate::{ColumnRecord, ColumnReport, REENCRYPTION};
use crate::id::{ColumnName, ConsumerName, Incarnation, VersionNumber};
use crate::policy::Column;
use crate::ring::{Refusal, State};

/// So many reports a ring document keeps: every column of every version that can be accepted.
const RECORDS_MAX: usize = 64 * 64;

impl Work {
    pub(super) fn column(
        &mut self,
        column: ColumnName,
        incarnation: &Incarnation,
        report: ColumnReport,
        worker: Option<&ConsumerName>,
        by: String,
    ) -> Result<(), Refused> {
        self.check_column(&column, worker)?;
        self.check_report(incarnation, &report)?;
        let of = |record: &ColumnRecord| {
            record.column == column && record.report.version == report.version
        };
        let before = self.ring.columns.iter().find(|record| of(record));
        let found_in = before.and_then(|record| record.found_in);
        if report.is_zero()
            && let Some(found_in) = found_in.filter(|found_in| report.seen < *found_in)
        {
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!(
                    "this zero of {column} was counted at {}, before rows were found at {found_in}",
                    report.seen
                ),
                "Read the ring, then look at every row again, and report what was found",
            ));
        }
        self.ring.columns.retain(|record| !of(record));
        if self.ring.columns.len() >= RECORDS_MAX {
            self.forget_columns_of_the_past();
        }
        let found_in = if report.found() { Some(self.ring.revision) } else { found_in };
        let record = ColumnRecord { column, report, by, at: self.now, found_in };
        self.ring.columns.push(record.clone());
        self.notify(Notice::Column { record });
        Ok(())
    }

    fn check_column(
        &self,
        column: &ColumnName,
        worker: Option<&ConsumerName>,
    ) -> Result<(), Refused> {
        let Some(declared) = self.ring.policy.columns.get(column) else {
            return Err(self.refuse(
                RefusedKind::NotFound,
                format!("the policy declares no column `{column}`"),
                match self.column_names() {
                    names if names.is_empty() => "Declare it in the ring's policy first".into(),
                    names => format!("Its columns are {names}"),
                },
            ));
        };
        if worker.is_some_and(|worker| *worker != declared.worker) {
            return Err(self.refuse(
                RefusedKind::Forbidden,
                format!("only its worker reports what column {column} holds"),
                format!(
                    "Use the token of consumer {}, or one of role evidence:{REENCRYPTION}",
                    declared.worker
                ),
            ));
        }
        Ok(())
    }

    fn check_report(
        &self,
        incarnation: &Incarnation,
        report: &ColumnReport,
    ) -> Result<(), Refused> {
        let number = report.version;
        let Some(version) = self.ring.versions.get(&number) else {
            return Err(self.no_such_version(number));
        };
        if matches!(version.state, State::Destroyed { .. }) {
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!("{number} is destroyed; nothing can be moved away from it"),
                "Restore what still needs it from a backup of the keys",
            ));
        }
        let cause = if *incarnation != self.ring.incarnation {
            "what was seen is of another life of this ring".to_owned()
        } else if report.seen >= self.ring.revision {
            format!("nobody has seen {} of this ring yet", report.seen)
        } else {
            return Ok(());
        };
        let remedy = "Read the ring, count, and give incarnation and revision as they were read";
        Err(self.refuse(RefusedKind::Invalid, cause, remedy))
    }

    /// The declared columns, as text.
    pub(super) fn column_names(&self) -> String {
        let names: Vec<_> = self.ring.policy.columns.keys().map(ColumnName::as_str).collect();
        names.join(", ")
    }

    /// Evidence in words opens the gate only where nothing is declared that can be counted.
    pub(super) fn check_uncounted(&self) -> Result<(), Refused> {
        if self.ring.policy.columns.is_empty() {
            return Ok(());
        }
        Err(self.refuse(
            RefusedKind::Illegal,
            format!("this ring declares columns, and gate {REENCRYPTION} believes counts only"),
            format!("Report what each column holds: {}", self.column_names()),
        ))
    }

    /// What a version that nobody accepts any more left behind is in the audit record.
    pub(super) fn forget_columns_of_the_past(&mut self) {
        let accepted: Vec<_> = self.ring.accepted().map(|(number, _)| number).collect();
        self.ring.columns.retain(|record| accepted.contains(&record.report.version));
    }

    /// From here on, whoever reads the ring knows that nobody protects with the version any more.
    pub(super) fn note_switch(&mut self, number: VersionNumber) {
        let revision = self.ring.revision;
        if let Some(version) = self.ring.versions.get_mut(&number) {
            version.switched = Some(revision);
        }
    }

    /// After an edit: reports about what is not declared any more are dropped, and it is said which
    /// versions that lets go.
    pub(super) fn settle_columns(&mut self, former: &BTreeMap<ColumnName, Column>) {
        let present = &self.ring.policy.columns;
        let stays = |(name, column): (&ColumnName, &Column)| {
            present.get(name).is_some_and(|now| now.is_same_data(column))
        };
        let gone: Vec<_> =
            former.iter().filter(|one| !stays(*one)).map(|(name, _)| name.clone()).collect();
        let counted = !present.is_empty();
        self.ring.columns.retain(|record| !gone.contains(&record.column));
        if counted {
            // Nor does somebody's word of before count when the columns are taken out again.
            self.ring.evidence.retain(|record| record.gate.as_str() != REENCRYPTION);
        }
        let mut retiring = Vec::new();
        for (number, version) in &mut self.ring.versions {
            let last_switch = match version.state {
                State::Retiring { last_switch, .. } => last_switch,
                State::Compromised { refusal: Refusal::Since { .. }, .. } => None,
                _ => continue,
            };
            retiring.push(*number);
            if counted && last_switch.is_some() && version.switched.is_none() {
                // It switched before this was written down.
                version.switched = Some(self.ring.revision);
            }
        }
        if !gone.is_empty() && !retiring.is_empty() {
            self.notify(Notice::ColumnsReleased { columns: gone, versions: retiring });
        }
    }
}
