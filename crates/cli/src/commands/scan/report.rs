//! What a scan tells a server: the places that it found, without any value that stands there. The
//! server gives a nonce first, the scan marks literals under it, and the server says which of them
//! are its own keys.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::scan::{Found, FoundLiteral, ReportScan, ReportedScan, ScanNonce};
use keywheel_core::id::{NameError, RingName, ScanName};
use keywheel_core::text::is_printable;
use keywheel_engine::{FINDINGS_MAX, TEXT_BYTES_MAX};
use keywheel_scan::finding::Finding;
use keywheel_scan::literal::Marker;

use crate::failure::Failure;
use crate::remote::Remote;
use crate::show::{Line, Piece, Tone, counted};

/// A scan that is to be reported.
pub(super) struct Reporting {
    remote: Remote,
    nonce: String,
    key: Vec<u8>,
}

/// What of a code base is to be told beside the findings.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// Which state of the code, for example a commit.
    pub(super) commit: Option<String>,
    /// Which keys are of which ring, by name.
    pub(super) rings: BTreeMap<RingName, Vec<String>>,
    /// How many findings the scan itself has left out.
    pub(super) left_out: u64,
}

/// Reads `--ring`: `web=SECRET_KEY` gives a key to a ring, `web` reports on the ring alone.
///
/// # Errors
/// When it names no ring, or an empty key.
pub(super) fn ring_of_key(text: &str) -> Result<(RingName, Option<String>), String> {
    let (ring, key) = match text.split_once('=') {
        Some((_, "")) => return Err("name the key after the `=`, as in web=SECRET_KEY".into()),
        Some((ring, key)) => (ring, Some(key.to_owned())),
        None => (text, None),
    };
    let ring = ring.parse().map_err(|error: NameError| format!("the ring: {error}"))?;
    Ok((ring, key))
}

impl About {
    /// Takes in what [`ring_of_key`] read.
    pub(super) fn with_rings(mut self, given: &[(RingName, Option<String>)]) -> Self {
        for (ring, key) in given {
            self.rings.entry(ring.clone()).or_default().extend(key.clone());
        }
        self
    }
}

impl Reporting {
    /// Asks the server for the nonce of this scan, before anything is read.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub(super) fn begin(remote: Remote) -> Result<Self, Failure> {
        let given: ScanNonce = remote.http().post("/v1/scans", None::<&()>, &[])?;
        let key = URL_SAFE_NO_PAD.decode(&given.nonce).map_err(|_| {
            Failure::failed(
                "the server's nonce cannot be read",
                "use client and server of one release",
            )
        })?;
        Ok(Self { remote, nonce: given.nonce, key })
    }

    /// With what this scan marks literals: only marks of this marker can be reported here.
    pub(super) fn marker(&self) -> Marker {
        Marker::new(&self.key)
    }

    /// Reports what was found, in place of what this code base reported before.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub(super) fn send(
        &self,
        name: &ScanName,
        findings: &[Finding],
        about: &About,
    ) -> Result<ReportedScan, Failure> {
        let told = most_telling(findings);
        let dropped = findings.len().saturating_sub(told.len());
        let body = ReportScan {
            nonce: self.nonce.clone(),
            tool: concat!("keywheel ", env!("CARGO_PKG_VERSION")).into(),
            commit: about.commit.as_deref().map(fitting),
            rings: about
                .rings
                .iter()
                .map(|(ring, keys)| (ring.to_string(), keys.clone()))
                .collect(),
            findings: told.into_iter().map(found).collect(),
            left_out: about.left_out.saturating_add(u64::try_from(dropped).unwrap_or(u64::MAX)),
        };
        Ok(self.remote.http().put(&format!("/v1/scans/{name}"), Some(&body), &[])?)
    }
}

/// As many findings as a report takes. What goes first is what can close a gate last: places among
/// tests, then those that take a new key.
fn most_telling(findings: &[Finding]) -> Vec<&Finding> {
    let mut told: Vec<_> = findings.iter().collect();
    if told.len() > FINDINGS_MAX {
        told.sort_by_key(|finding| {
            (!finding.blocking, finding.literal.is_none(), finding.in_tests)
        });
        told.truncate(FINDINGS_MAX);
    }
    told
}

fn found(finding: &Finding) -> Found {
    let word = |word: &str| word.to_owned();
    Found {
        id: fitting(&finding.id),
        kind: word(finding.kind.word()),
        rule: fitting(&finding.rule),
        key: fitting(&finding.key),
        name: finding.name.as_deref().map(fitting),
        path: fitting(&finding.path),
        line: finding.line,
        column: finding.column,
        scope: finding.scope.map(|scope| word(scope.word())),
        hot_reload: word(finding.hot_reload.word()),
        source: word(finding.source.word()),
        literal: finding.literal.as_ref().map(|literal| FoundLiteral {
            fingerprint: literal.fingerprint.clone(),
            placeholder: literal.placeholder,
        }),
        sink: finding.sink.as_deref().map(fitting),
        blocking: finding.blocking,
        reason: fitting(&finding.reason),
        remedy: finding.remedy.as_deref().map(fitting),
        in_tests: finding.in_tests,
    }
}

/// A text as the server takes it: printable, and no longer than its bound.
fn fitting(text: &str) -> String {
    let printable = text.chars().map(|c| if is_printable(c) { c } else { ' ' });
    let (mut short, ellipsis) = (String::new(), '…');
    for c in printable {
        if short.len() + c.len_utf8() > TEXT_BYTES_MAX - ellipsis.len_utf8() {
            short.push(ellipsis);
            break;
        }
        short.push(c);
    }
    if short.is_empty() { "-".into() } else { short }
}

/// What became of a report, for people.
pub(super) fn lines(reported: &ReportedScan) -> Vec<Line> {
    let mut lines = Vec::new();
    for ring in &reported.rings {
        let (tone, gate) = match (ring.blocking, ring.waived) {
            (0, 0) => (Tone::Good, "no place would break".to_owned()),
            (0, waived) => (Tone::Waiting, format!("{waived} waived, no other would break")),
            (blocking, _) => (Tone::Bad, format!("{blocking} would break: the gate is closed")),
        };
        let count = counted(ring.findings.len(), "finding");
        lines.push(Line::new(vec![
            "ring ".into(),
            Piece::new(Tone::Strong, &ring.ring),
            format!(": {count}, ").into(),
            Piece::new(tone, gate),
        ]));
        for finding in ring.findings.iter().filter(|finding| finding.by == "literal") {
            let version = finding.version.unwrap_or_default();
            let text = format!("  {}: the key of v{version} itself stands there", finding.id);
            lines.push(Line::new(vec![Piece::new(Tone::Bad, text)]));
        }
    }
    if reported.rings.is_empty() {
        lines.push("no finding belongs to a ring; name its keys with --ring RING=NAME".into());
    } else if reported.untied > 0 {
        lines.push(format!("{} belong to no ring", reported.untied).into());
    }
    lines
}

#[cfg(test)]
mod tests {
    use keywheel_scan::literal::Literal;

    use super::*;

    fn finding(id: &str, more: &serde_json::Value) -> Finding {
        let mut one = serde_json::json!({
            "id": id, "kind": "hardcoded", "rule": "r", "key": "SECRET_KEY", "class": "key",
            "path": "a.py", "line": 1, "column": 1, "hot_reload": "no", "source": "literal",
            "confidence": "high", "reason": "a literal", "blocking": false, "in_tests": false
        });
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(one).unwrap()
    }

    #[test]
    fn what_travels_of_a_literal_is_its_mark() {
        let literal = Literal::new("correct-horse-battery-staple");
        let mark = literal.mark(&Marker::new(b"nonce"));
        let more = serde_json::json!({ "literal": { "fingerprint": mark, "placeholder": false } });
        let body = serde_json::to_string(&found(&finding("f1", &more))).unwrap();
        assert!(body.contains(&mark) && !body.contains("correct-horse"), "{body}");
    }

    #[test]
    fn too_many_findings_leave_out_what_closes_no_gate() {
        let mut all: Vec<_> = (0..FINDINGS_MAX)
            .map(|index| finding(&format!("t{index}"), &serde_json::json!({ "in_tests": true })))
            .collect();
        all.push(finding("live", &serde_json::json!({})));
        all.push(finding("cold", &serde_json::json!({ "blocking": true })));
        let told = most_telling(&all);
        assert_eq!(told.len(), FINDINGS_MAX);
        let first: Vec<_> = told.iter().take(2).map(|finding| finding.id.as_str()).collect();
        assert_eq!(first, ["cold", "live"]);
    }

    #[test]
    fn keys_are_given_to_rings() {
        let read = |text: &str| ring_of_key(text);
        let given = ["web=SECRET_KEY", "api", "web=OLD=KEY"].map(|text| read(text).unwrap());
        let about = About::default().with_rings(&given);
        let rings: Vec<_> = about.rings.iter().map(|(ring, keys)| (ring.as_str(), keys)).collect();
        assert_eq!(
            rings,
            [("api", &Vec::new()), ("web", &vec!["SECRET_KEY".to_owned(), "OLD=KEY".to_owned()]),]
        );
        for wrong in ["", "=KEY", "web=", "Web Shop=KEY"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_fit() {
        assert_eq!(fitting("plain"), "plain");
        assert_eq!(fitting("a\u{1b}[2Jb\n"), "a [2Jb ");
        assert_eq!(fitting(""), "-");
        let long = fitting(&"ä".repeat(600));
        assert!(long.len() <= TEXT_BYTES_MAX && long.ends_with("ä…"), "{}", long.len());
    }

    #[test]
    fn people_read_what_it_means() {
        let reported: ReportedScan = serde_json::from_value(serde_json::json!({
            "scan": "shop", "untied": 2,
            "rings": [
                { "ring": "web", "blocking": 1, "waived": 1, "findings": [
                    { "id": "f1", "by": "name" }, { "id": "f2", "by": "literal", "version": 3 }
                ] },
                { "ring": "api", "blocking": 0, "waived": 0, "findings": [] }
            ]
        }))
        .unwrap();
        let text: Vec<_> = lines(&reported).iter().map(Line::plain).collect();
        assert_eq!(
            text,
            [
                "ring web: 2 findings, 1 would break: the gate is closed",
                "  f2: the key of v3 itself stands there",
                "ring api: 0 findings, no place would break",
                "2 belong to no ring",
            ]
        );
    }
}
