//! Scans of code bases: what the scanner reports, and what of it belongs to a ring.
//!
//! Material never travels: a literal is sent as HMAC-SHA256 under the server's nonce, and the
//! server makes the same of its own keys.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ring::{GateStatus, Mark};

/// Answer of `POST /v1/scans`: with what a scan marks the literals that it finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanNonce {
    /// The key of the marks, in base64url. It serves the token that asked for it.
    pub nonce: String,
    /// When the server no longer takes a report that was made with it, RFC 3339.
    pub expires: String,
}

/// Body of `PUT /v1/scans/{scan}`: all that a scan of this code base found, in place of what was
/// reported before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportScan {
    /// The nonce of this scan.
    pub nonce: String,
    /// Which scanner, with its version.
    pub tool: String,
    /// Which state of the code, for example a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Which keys of the code are of which ring: names as they stand in the code, by ring. A key
    /// that is named like its ring needs no entry. A ring with an empty list is reported on too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rings: BTreeMap<String, Vec<String>>,
    /// At most 5,000, each text at most 512 bytes.
    pub findings: Vec<Found>,
    /// How many findings the scan had beyond these.
    #[serde(default)]
    pub left_out: u64,
}

/// A place that consumes a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Names the finding over changes elsewhere in the file.
    pub id: String,
    /// What kind of place it is.
    pub kind: String,
    /// Which rule found it.
    pub rule: String,
    /// The logical key.
    pub key: String,
    /// The name of the key at this place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The file, relative to the code base, or the object of a database.
    pub path: String,
    /// The line, from one.
    pub line: u32,
    /// The column, from one.
    pub column: u32,
    /// When the place runs: `module`, `class`, `instance` or `call`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whether the place takes a new key while the application runs: `yes`, `no` or `unknown`.
    pub hot_reload: String,
    /// From where the key comes.
    pub source: String,
    /// The literal that stands there, without its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub literal: Option<FoundLiteral>,
    /// What takes the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Whether a rotation of the key would break here.
    pub blocking: bool,
    /// Why.
    pub reason: String,
    /// What makes it live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether it stands among tests or examples.
    pub in_tests: bool,
}

/// A literal, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FoundLiteral {
    /// HMAC-SHA256 of the value under the nonce of this scan, 64 lower-case hexadecimal digits.
    pub fingerprint: String,
    /// Whether it only stands for a value, such as `changeme`.
    pub placeholder: bool,
}

/// Answer to [`ReportScan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedScan {
    /// The code base.
    pub scan: String,
    /// Every ring that the token is good for and the report says something about, by name.
    pub rings: Vec<TiedRing>,
    /// How many findings belong to none of them.
    pub untied: u64,
}

/// What a report says of one ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TiedRing {
    /// The ring.
    pub ring: String,
    /// Its findings.
    pub findings: Vec<TiedFinding>,
    /// How many of them keep the gate `findings` closed.
    pub blocking: u64,
    /// How many would, but are waived.
    pub waived: u64,
}

/// Why a finding belongs to a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TiedFinding {
    /// The finding.
    pub id: String,
    /// `name`, or `literal`: the key itself stands there.
    pub by: String,
    /// `literal`: of which version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Answer of `DELETE /v1/scans/{scan}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgottenScan {
    /// The code base.
    pub scan: String,
    /// The rings that it had said something about.
    pub rings: Vec<String>,
}

/// Answer of `GET /v1/rings/{ring}/findings`: who is declared to use the ring, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingFindings {
    /// The ring.
    pub ring: String,
    /// Whether the policy asks for a scan.
    pub required: bool,
    /// The gate `findings`, where it stands before the ring now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// The consumers of the policy.
    pub declared: Vec<DeclaredConsumer>,
    /// What each code base reported, by name.
    pub scans: Vec<ScanFindings>,
}

/// A consumer of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeclaredConsumer {
    /// Its name.
    pub name: String,
    /// `protect`, `process`, or `passive`: it cannot report.
    pub role: String,
    /// How many of its instances are live.
    pub live: u64,
}

/// The last report of one code base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanFindings {
    /// The code base.
    pub scan: String,
    /// When it was reported, RFC 3339.
    pub reported: String,
    /// Who reported it, as the token is named.
    pub by: String,
    /// Which scanner.
    pub tool: String,
    /// Which state of the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How many findings the scan had left out.
    pub left_out: u64,
    /// What it found, in the order of the report.
    pub findings: Vec<RingFinding>,
}

/// A place that consumes the ring's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingFinding {
    /// Names the finding over changes elsewhere in the file.
    pub id: String,
    /// What kind of place it is.
    pub kind: String,
    /// The logical key.
    pub key: String,
    /// The file, or the object of a database.
    pub path: String,
    /// The line, from one.
    pub line: u32,
    /// The column, from one.
    pub column: u32,
    /// When the place runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whether the place takes a new key while the application runs.
    pub hot_reload: String,
    /// From where the key comes.
    pub source: String,
    /// What takes the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Why it belongs to the ring: `name`, or `literal`.
    pub tied_by: String,
    /// The version that stands there as a literal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Whether it keeps the gate closed, but for a waiver.
    pub blocking: bool,
    /// Why.
    pub reason: String,
    /// What makes it live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Whether it stands among tests or examples.
    pub in_tests: bool,
    /// Who waived it, why, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<WaivedFinding>,
}

/// A person's word that a place may break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaivedFinding {
    /// Who and why.
    pub by: Mark,
    /// Until when, RFC 3339.
    pub until: String,
}
