//! SARIF 2.1.0 (OASIS), as code hosts read it: one result a finding, with a fingerprint that moved
//! lines do not change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::finding::{Finding, HotReload, Kind};
use crate::report::{Note, NoteKind, Report};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log of one run.
pub(super) fn log(report: &Report) -> Value {
    let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
    for finding in &report.findings {
        kinds.entry(&finding.rule).or_insert(finding.kind);
    }
    let rules: Vec<Value> = kinds.iter().map(|(rule, kind)| described(rule, *kind)).collect();
    let indexes: BTreeMap<&str, usize> = kinds.keys().copied().zip(0..).collect();
    let has_baseline = report.findings.iter().any(|finding| finding.known);
    let results = report.findings.iter().map(|finding| result(finding, &indexes, has_baseline));
    let results: Vec<Value> = results.collect();
    let notes: Vec<Value> = report.notes.iter().map(notification).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "keywheel scan",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { "SRCROOT": {
                "description": { "text": "The folder in which the scan ran." },
            }},
            "results": results,
            "invocations": [{
                "executionSuccessful": !report.notes.iter().any(Note::is_error),
                "toolExecutionNotifications": notes,
            }],
        }],
    })
}

fn described(rule: &str, kind: Kind) -> Value {
    let short = match kind {
        Kind::Hardcoded => "A key stands in the code",
        Kind::EnvLoad => "Code loads a key",
        Kind::ConfigFile => "A configuration gives or passes on a key",
        Kind::KeyUse => "Code uses a key",
        Kind::Sql => "SQL handles a key",
        Kind::Nginx => "A web server's configuration holds or uses a key",
        Kind::Scheduler => "The application rotates keys by a timer of its own",
    };
    json!({
        "id": rule,
        "shortDescription": { "text": short },
        "properties": { "tags": ["security", kind.word()] },
    })
}

const fn level(finding: &Finding) -> &'static str {
    match (finding.blocking, finding.in_tests, finding.hot_reload) {
        (true, ..) => "error",
        (false, true, _) | (false, false, HotReload::Yes) => "note",
        (false, false, _) => match finding.kind {
            Kind::ConfigFile => "note",
            _ => "warning",
        },
    }
}

fn result(finding: &Finding, indexes: &BTreeMap<&str, usize>, has_baseline: bool) -> Value {
    let mut text = format!("{}: {}", finding.key, finding.reason);
    if let Some(remedy) = &finding.remedy {
        let _ = write!(text, " Remedy: {remedy}");
    }
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": indexes.get(finding.rule.as_str()),
        "level": level(finding),
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": artifact(&finding.path),
            "region": { "startLine": finding.line.max(1), "startColumn": finding.column.max(1) },
        }}],
        "partialFingerprints": { "keywheelFinding/v1": finding.id },
        "properties": {
            "key": finding.key,
            "kind": finding.kind,
            "scope": finding.scope,
            "hotReload": finding.hot_reload,
            "source": finding.source,
            "blocking": finding.blocking,
            "inTests": finding.in_tests,
        },
    });
    if let (true, Some(object)) = (has_baseline, result.as_object_mut()) {
        let state = if finding.known { "unchanged" } else { "new" };
        object.insert("baselineState".to_owned(), state.into());
    }
    result
}

fn notification(note: &Note) -> Value {
    let level = match note.kind {
        NoteKind::BadIgnore => "error",
        NoteKind::LeftOut | NoteKind::ReadByLines => "note",
        _ => "warning",
    };
    let mut value = json!({ "level": level, "message": { "text": note.says } });
    if let (Some(path), Some(object)) = (&note.path, value.as_object_mut()) {
        let place = json!([{ "physicalLocation": { "artifactLocation": artifact(path) } }]);
        object.insert("locations".to_owned(), place);
    }
    value
}

fn artifact(path: &str) -> Value {
    let uri = encoded(path);
    if path.starts_with('/') {
        json!({ "uri": format!("file://{uri}") })
    } else if path.starts_with("postgresql:") {
        json!({ "uri": uri.replacen("%3A", ":", 1) })
    } else {
        json!({ "uri": uri, "uriBaseId": "SRCROOT" })
    }
}

/// A path as a URI reference (RFC 3986).
fn encoded(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::{finding, report};

    #[test]
    fn a_log_has_what_code_hosts_ask_for() {
        let mut blocking = finding("python/env-load", "a b/ü.py", 3, "KEY");
        blocking.blocking = true;
        let mut live = finding("python/sink", "a.py", 1, "KEY");
        live.hot_reload = HotReload::Yes;
        live.known = true;
        let mut report = report(vec![live, blocking]);
        report.notes.push(Note::of(NoteKind::Unreadable, "x.py", "no"));
        let log = log(&report);
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), 2);
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(result["partialFingerprints"]["keywheelFinding/v1"].is_string());
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        }
        let first = &run["results"][0];
        assert_eq!(
            (first["level"].as_str(), first["baselineState"].as_str()),
            (Some("note"), Some("unchanged"))
        );
        let second = &run["results"][1];
        assert_eq!(
            (second["level"].as_str(), second["baselineState"].as_str()),
            (Some("error"), Some("new"))
        );
        let place = &second["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%BC.py");
        assert_eq!(place["region"]["startLine"], 3);
        let told = &run["invocations"][0]["toolExecutionNotifications"][0];
        assert_eq!(told["level"], "warning");
        assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    }

    #[test]
    fn places_that_are_no_relative_paths_have_whole_uris() {
        assert_eq!(artifact("/srv/a.py")["uri"], "file:///srv/a.py");
        assert_eq!(artifact("postgresql:public.f")["uri"], "postgresql:public.f");
        assert_eq!(artifact("c:d")["uri"], "c%3Ad");
    }
}
