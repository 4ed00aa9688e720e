//! The graph of keys: each key, the places where it comes from, and those that use it. A use hangs
//! on the load in its file, or on the key where its file has none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::finding::{Finding, HotReload, Kind};
use crate::report::Report;

/// A graph with more places is no picture any more.
const MAX_PLACES: usize = 400;

struct Graph<'a> {
    /// The keys by number.
    keys: Vec<&'a str>,
    /// The places by number, and on which key or place each hangs.
    places: Vec<(&'a Finding, From)>,
    /// How many places there was no room for.
    more: usize,
}

#[derive(Clone, Copy)]
enum From {
    Key(usize),
    Place(usize),
}

impl<'a> Graph<'a> {
    fn of(report: &'a Report) -> Self {
        let keys: Vec<&str> = report.keys.iter().map(|key| key.key.as_str()).collect();
        let numbers: BTreeMap<&str, usize> = keys.iter().copied().zip(0..).collect();
        let gives = |finding: &&&Finding| {
            matches!(finding.kind, Kind::EnvLoad | Kind::ConfigFile | Kind::Hardcoded)
        };
        let shown: Vec<&Finding> = report.findings.iter().take(MAX_PLACES).collect();
        let mut places = Vec::new();
        let mut loads: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for finding in shown.iter().filter(|one| gives(one)) {
            let Some(key) = numbers.get(finding.key.as_str()) else { continue };
            loads.entry((finding.path.as_str(), finding.key.as_str())).or_insert(places.len());
            places.push((*finding, From::Key(*key)));
        }
        for finding in shown.iter().filter(|one| !gives(one)) {
            let Some(key) = numbers.get(finding.key.as_str()) else { continue };
            let load = loads.get(&(finding.path.as_str(), finding.key.as_str())).copied();
            places.push((*finding, load.map_or(From::Key(*key), From::Place)));
        }
        Self { keys, places, more: report.findings.len().saturating_sub(MAX_PLACES) }
    }
}

/// What stands in the box of a place: two lines.
fn label(finding: &Finding) -> (String, String) {
    let what = finding.sink.as_deref().unwrap_or(match finding.kind {
        Kind::Hardcoded => "literal",
        Kind::ConfigFile => "configuration",
        _ => finding.source.word(),
    });
    (what.to_owned(), format!("{}:{}", finding.path, finding.line))
}

const fn tone(finding: &Finding) -> &'static str {
    match (finding.blocking, finding.hot_reload) {
        (true, _) => "breaks",
        (false, HotReload::Yes) => "live",
        _ => "other",
    }
}

/// As a flow chart of Mermaid.
pub(super) fn mermaid(report: &Report) -> String {
    let graph = Graph::of(report);
    let mut text = String::from("flowchart LR\n");
    for (number, key) in graph.keys.iter().enumerate() {
        let _ = writeln!(text, "  k{number}([\"{}\"])", entities(key));
    }
    for (number, (finding, from)) in graph.places.iter().enumerate() {
        let (what, place) = label(finding);
        let (what, place, tone) = (entities(&what), entities(&place), tone(finding));
        let _ = writeln!(text, "  p{number}[\"{what}<br>{place}\"]:::{tone}");
        let _ = match from {
            From::Key(key) => writeln!(text, "  k{key} --> p{number}"),
            From::Place(load) => writeln!(text, "  p{load} --> p{number}"),
        };
    }
    if graph.more > 0 {
        let _ = writeln!(text, "  more[\"and {} more places\"]", graph.more);
    }
    text.push_str(
        "  classDef breaks fill:#fde2e1,stroke:#b3261e,color:#410e0b\n  \
         classDef live fill:#dff3e4,stroke:#1e7d3a,color:#0b3318\n  \
         classDef other fill:#eceff3,stroke:#5b6472,color:#1c2128\n",
    );
    text
}

/// As a graph of Graphviz.
pub(super) fn dot(report: &Report) -> String {
    let graph = Graph::of(report);
    let mut text = String::from(
        "digraph keys {\n  rankdir=LR;\n  node [shape=box, style=\"rounded,filled\", \
         fontname=\"sans-serif\", fillcolor=\"#eceff3\", color=\"#5b6472\"];\n",
    );
    for (number, key) in graph.keys.iter().enumerate() {
        let _ = writeln!(text, "  k{number} [shape=ellipse, label=\"{}\"];", quoted(key));
    }
    for (number, (finding, from)) in graph.places.iter().enumerate() {
        let (what, place) = label(finding);
        let colours = match tone(finding) {
            "breaks" => ", fillcolor=\"#fde2e1\", color=\"#b3261e\"",
            "live" => ", fillcolor=\"#dff3e4\", color=\"#1e7d3a\"",
            _ => "",
        };
        let (what, place) = (quoted(&what), quoted(&place));
        let _ = writeln!(text, "  p{number} [label=\"{what}\\n{place}\"{colours}];");
        let _ = match from {
            From::Key(key) => writeln!(text, "  k{key} -> p{number};"),
            From::Place(load) => writeln!(text, "  p{load} -> p{number};"),
        };
    }
    if graph.more > 0 {
        let _ = writeln!(text, "  more [label=\"and {} more places\"];", graph.more);
    }
    text.push_str("}\n");
    text
}

/// Mermaid reads entities in quoted labels, and nothing else is left to it.
fn entities(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, one| {
        if one.is_alphanumeric() || " ./_-:*$@()".contains(one) {
            safe.push(one);
        } else {
            let _ = write!(safe, "#{};", u32::from(one));
        }
        safe
    })
}

/// Inside of quotes in DOT. What would be read as markup is shown as another sign.
fn quoted(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, one| {
        match one {
            '"' | '\\' => safe.extend(['\\', one]),
            '<' => safe.push('‹'),
            '>' => safe.push('›'),
            one if one.is_control() => safe.push(' '),
            one => safe.push(one),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::{finding, report};

    fn example() -> Report {
        let mut used = finding("python/sink", "a.py", 9, "KEY");
        used.kind = Kind::KeyUse;
        used.sink = Some("jwt.encode".to_owned());
        used.blocking = true;
        let mut elsewhere = used.clone();
        elsewhere.path = "b.py".to_owned();
        report(vec![finding("python/env-load", "a.py", 1, "KEY"), used, elsewhere])
    }

    #[test]
    fn uses_hang_on_the_load_of_their_file() {
        let text = mermaid(&example());
        assert!(text.starts_with("flowchart LR\n  k0([\"KEY\"])\n"), "{text}");
        for line in ["k0 --> p0", "p0 --> p1", "k0 --> p2", "jwt.encode<br>a.py:9\"]:::breaks"] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let text = dot(&example());
        for line in ["k0 -> p0;", "p0 -> p1;", "k0 -> p2;"] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn a_large_graph_says_what_it_leaves_out() {
        let all = (0..450).map(|line| finding("a/b", "a.py", line, "KEY")).collect();
        let report = report(all);
        assert!(mermaid(&report).contains("and 50 more places"));
        assert!(dot(&report).contains("and 50 more places"));
    }
}
