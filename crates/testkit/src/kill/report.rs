//! What came of a kill campaign: the judgement, and Markdown for docs/campaigns.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::consumers::Tally;
use super::ledger::Ledger;

/// What came of a campaign.
#[derive(Clone, Debug, Default)]
pub struct Report {
    kills: u32,
    seed: u64,
    /// How often each stage was under way in a ring when the server was killed.
    stages: BTreeMap<String, u32>,
    asked: BTreeMap<&'static str, u64>,
    acknowledged: BTreeMap<&'static str, u64>,
    pub(super) ledger: Ledger,
    pub(super) tally: Tally,
    pub(super) audit_entries: u64,
    faults: Vec<String>,
}

impl Report {
    pub(super) fn new(kills: u32, seed: u64) -> Self {
        Self { kills, seed, ..Self::default() }
    }

    pub(super) fn killed(&mut self, stage: String) {
        *self.stages.entry(stage).or_default() += 1;
    }

    pub(super) fn asked(&mut self, ring: &'static str) {
        *self.asked.entry(ring).or_default() += 1;
    }

    pub(super) fn acknowledged(&mut self, ring: &'static str) {
        *self.acknowledged.entry(ring).or_default() += 1;
    }

    pub(super) fn acknowledgements(&self, ring: &str) -> u64 {
        self.acknowledged.get(ring).copied().unwrap_or_default()
    }

    pub(super) fn fault(&mut self, words: String) {
        self.faults.push(words);
    }

    /// Draws together what was seen, when everything has come to its end.
    pub(super) fn judge(&mut self, rings: &[&'static str]) {
        self.faults.extend(self.ledger.faults.iter().cloned());
        let tally = &self.tally;
        if tally.refused > 0 || tally.unprotected > 0 {
            self.faults.push(format!(
                "consumers refused {} times, and could not sign {} times",
                tally.refused, tally.unprotected
            ));
            self.faults.extend(tally.described.iter().cloned());
        }
        if tally.accepted == 0 || tally.accepted_late == 0 {
            self.faults.push("consumers checked nothing, so nothing is proved".into());
        }
        for ring in rings {
            let made = self.ledger.versions(ring).saturating_sub(1);
            let acknowledged = self.acknowledgements(ring);
            let asked = self.asked.get(ring).copied().unwrap_or_default();
            if made < acknowledged || made > asked {
                self.faults.push(format!(
                    "{ring} rotated {made} times, but was asked {asked} times and promised \
                     {acknowledged}"
                ));
            }
        }
        for ((ring, number), kid) in &tally.kids {
            if self.ledger.kid(ring, *number) != Some(kid) {
                self.faults.push(format!("v{number} of {ring} was {kid} for its consumers"));
            }
        }
    }

    /// What should not have happened; nothing when all is well.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        let tally = &self.tally;
        let signed: u64 = tally.signed.values().sum();
        let rotations: u64 = self.acknowledged.values().sum();
        let mut text = String::new();
        let _ = writeln!(
            text,
            "The server was killed {} times (SIGKILL, seed {}) at random moments of rotations of \
             two rings, and started again on the same SQLite store, while five consumers signed \
             for one another.\n",
            self.kills, self.seed
        );
        let rows = [
            ("kills", u64::from(self.kills)),
            ("rotations, each of which came to its end", rotations),
            ("versions lost, doubled or changed", self.ledger.faults.len() as u64),
            ("signatures made", signed),
            ("signatures accepted at once", tally.accepted),
            ("signatures accepted again at nine tenths of their life", tally.accepted_late),
            ("signatures refused before they expired", tally.refused),
            ("times a consumer could not sign", tally.unprotected),
            ("times a consumer had been without a server for `offline_max`", tally.offline),
            ("looks at rings and their versions", self.ledger.looks),
            ("entries of the audit record, which verifies", self.audit_entries),
        ];
        let _ = writeln!(text, "| what | count |\n|---|---:|");
        for (what, count) in rows {
            let _ = writeln!(text, "| {what} | {count} |");
        }
        let _ =
            writeln!(text, "\n| a ring was at, when its server was killed | times |\n|---|---:|");
        for (stage, count) in &self.stages {
            let _ = writeln!(text, "| {stage} | {count} |");
        }
        if self.faults.is_empty() {
            let _ = writeln!(text, "\nNothing was lost, doubled or retired early.");
        } else {
            let _ = writeln!(text, "\n**It failed:**\n\n- {}", self.faults.join("\n- "));
        }
        text
    }
}
