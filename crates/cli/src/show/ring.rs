//! How rings stand: the table of all, and the operator's page of one.

use keywheel_api::ring::{
    GateStatus, InstanceStatus, Laggard, RingStatus, StageGates, VersionStatus,
};
use keywheel_core::time::WallTime;

use super::columns::columns;
use super::table::Table;
use super::text::{Line, Piece, Tone};
use super::time::{age, until};

/// The table of all rings.
pub fn table(rings: &[RingStatus], now: WallTime) -> Vec<Line> {
    let mut table = Table::new(&["RING", "KIND", "STAGE", "PRIMARY", "AGE", "NEXT", "GATES"]);
    for ring in rings {
        table.row(vec![
            Piece::new(Tone::Strong, &ring.name),
            Piece::from(&ring.kind),
            stage(ring),
            primary(ring),
            primary_version(ring).map_or(Piece::from("-"), |v| age(&v.since, now).into()),
            next(ring, now),
            gates_in_short(ring),
        ]);
    }
    table.lines()
}

/// How a ring stands, in one line without times: for logs and for the end of a command.
pub fn line(ring: &RingStatus) -> String {
    let path = ring.path.as_ref();
    let path = path.map(|path| format!(" of v{} ({})", path.version, path.direction));
    let gates = gates_in_short(ring).text;
    let gates = if gates == "-" { String::new() } else { format!(", gates: {gates}") };
    let (stage, primary) = (stage(ring).text, primary(ring).text);
    format!("{}: {stage}{}, primary {primary}{gates}", ring.name, path.unwrap_or_default())
}

/// The operator's page of one ring.
pub fn page(ring: &RingStatus, now: WallTime) -> Vec<Line> {
    let mut lines = heading(ring, now);
    let (path, tails): (Vec<_>, Vec<_>) =
        ring.gates.iter().partition(|gates| is_on_path(ring, gates));
    for gates in path {
        section(&mut lines, &format!("GATES before {} of v{}", gates.stage, gates.version));
        self::gates(&mut lines, gates);
    }
    for tail in tails {
        section(&mut lines, &format!("TAIL of v{}: {}", tail.version, tail.stage));
        self::gates(&mut lines, tail);
    }
    section(&mut lines, "VERSIONS");
    lines.extend(versions(ring, now));
    section(&mut lines, "CONSUMERS");
    lines.extend(consumers(ring));
    if !ring.columns.is_empty() {
        section(&mut lines, "COLUMNS");
        lines.extend(columns(&ring.columns));
    }
    exposure(&mut lines, ring);
    bent(&mut lines, ring, now);
    lines
}

fn heading(ring: &RingStatus, now: WallTime) -> Vec<Line> {
    let mut lines = vec![
        Line::new(vec![
            Piece::new(Tone::Strong, &ring.name),
            Piece::from(format!("  {}  ", ring.kind)),
            Piece::new(
                Tone::Faint,
                format!("revision {}, incarnation {}", ring.revision, ring.incarnation),
            ),
        ]),
        Line::new(vec!["stage    ".into(), stage(ring)]),
    ];
    if let (Some(path), Some(line)) = (&ring.path, lines.last_mut()) {
        line.pieces.push(
            format!(
                " of v{}, {}, since {}; cause: {}",
                path.version,
                path.direction,
                age(&path.since, now),
                path.cause
            )
            .into(),
        );
        if let Some(mark) = &path.approved {
            line.pieces.push(format!("; approved by {}", mark.who).into());
        }
    }
    let held = primary_version(ring)
        .map(|v| format!(" {} since {}", v.kid, age(&v.since, now)))
        .unwrap_or_default();
    lines.push(Line::new(vec!["primary  ".into(), primary(ring), Piece::new(Tone::Faint, held)]));
    lines.push(Line::new(vec!["next     ".into(), next(ring, now)]));
    if let Some(count) = ring.revocations.filter(|count| count.newest > 0) {
        let kept = format!("revoked  {}, up to number {}", count.kept, count.newest);
        lines.push(Line::new(vec![kept.into()]));
    }
    if let Some(mark) = &ring.paused {
        let since = mark.at.as_deref().map(|at| age(at, now)).unwrap_or_default();
        lines.push(Line::new(vec![
            Piece::new(Tone::Bad, "held     "),
            format!("by {} for {since}: {}", mark.who, mark.reason).into(),
        ]));
    }
    if let Some(at) = &ring.deleted {
        lines.push(Line::new(vec![Piece::new(Tone::Bad, "deleted  "), at.into()]));
    }
    lines
}

fn section(lines: &mut Vec<Line>, title: &str) {
    lines.push(Line::default());
    lines.push(Line::new(vec![Piece::new(Tone::Strong, title)]));
}

fn stage(ring: &RingStatus) -> Piece {
    let stalled = ring.path.as_ref().is_some_and(|path| path.stalled);
    let (tone, note) = if ring.deleted.is_some() {
        (Tone::Faint, " (deleted)")
    } else if ring.paused.is_some() {
        (Tone::Bad, " (held)")
    } else if stalled {
        (Tone::Bad, " (stalled)")
    } else if ring.stage == "rest" {
        (Tone::Good, "")
    } else {
        (Tone::Waiting, "")
    };
    Piece::new(tone, format!("{}{note}", ring.stage))
}

fn primary(ring: &RingStatus) -> Piece {
    match ring.primary {
        Some(number) => format!("v{number}").into(),
        None => Piece::new(Tone::Bad, "none yet"),
    }
}

fn primary_version(ring: &RingStatus) -> Option<&VersionStatus> {
    ring.versions.iter().find(|version| Some(version.number) == ring.primary)
}

fn next(ring: &RingStatus, now: WallTime) -> Piece {
    match &ring.next_rotation {
        Some(then) if ring.overdue => {
            Piece::new(Tone::Bad, format!("overdue, was {}", until(then, now)))
        }
        Some(then) => until(then, now).into(),
        None => Piece::new(Tone::Faint, "when asked"),
    }
}

fn is_on_path(ring: &RingStatus, gates: &StageGates) -> bool {
    ring.path.as_ref().is_some_and(|path| path.version == gates.version)
        && matches!(gates.stage.as_str(), "stage" | "publish" | "confirm" | "promote")
}

/// Only the gates that are not open, and how many instances each one misses.
fn gates_in_short(ring: &RingStatus) -> Piece {
    let on_path: Vec<_> = ring.gates.iter().filter(|gates| is_on_path(ring, gates)).collect();
    let shown = if on_path.is_empty() { ring.gates.iter().collect() } else { on_path };
    let closed: Vec<&GateStatus> =
        shown.iter().flat_map(|gates| &gates.gates).filter(|gate| gate.status != "open").collect();
    if closed.is_empty() {
        return if shown.is_empty() { "-".into() } else { Piece::new(Tone::Good, "open") };
    }
    let worst = closed.iter().map(|gate| gate_tone(gate)).max_by_key(|tone| *tone == Tone::Bad);
    let texts: Vec<String> = closed
        .iter()
        .map(|gate| match gate.missing.len() {
            0 => format!("{} {}", gate.name, gate.status),
            missing => format!("{} {} on {missing}", gate.name, gate.status),
        })
        .collect();
    Piece::new(worst.unwrap_or(Tone::Waiting), texts.join(", "))
}

/// How well a gate stands.
pub fn gate_tone(gate: &GateStatus) -> Tone {
    match gate.status.as_str() {
        "open" => Tone::Good,
        "waiting" => Tone::Waiting,
        _ => Tone::Bad,
    }
}

fn gates(lines: &mut Vec<Line>, stage: &StageGates) {
    let mut table = Table::new(&["GATE", "STATUS", "EVIDENCE", "LEFT", "WHY"]).indented(2);
    for gate in &stage.gates {
        table.row(vec![
            Piece::from(&gate.name),
            Piece::new(gate_tone(gate), &gate.status),
            gate.level.as_deref().unwrap_or("-").into(),
            gate.remaining.as_deref().unwrap_or("-").into(),
            why(gate).into(),
        ]);
    }
    let mut rows = table.lines().into_iter();
    lines.extend(rows.next());
    for (gate, row) in stage.gates.iter().zip(rows) {
        lines.push(row);
        lines.extend(gate.missing.iter().map(laggard));
        lines.extend(gate.places.iter().map(|place| {
            let mark = Piece::new(Tone::Bad, "    would break: ");
            Line::new(vec![mark, Piece::from(place)])
        }));
    }
}

/// Why a gate is closed, without the places that stand below it.
fn why(gate: &GateStatus) -> &str {
    let detail = gate.detail.as_deref().unwrap_or("");
    let first = gate.places.first().and_then(|place| detail.find(place.as_str()));
    let head = first.and_then(|start| detail.get(..start));
    head.map_or(detail, |head| head.trim_end_matches(": "))
}

fn laggard(missing: &Laggard) -> Line {
    let process = missing.process.as_deref().or(missing.instance.as_deref());
    let who = process.map(|process| format!(" {process}")).unwrap_or_default();
    let silent = missing.silent_for.as_deref();
    let silent = silent.map(|silent| format!(", silent for {silent}")).unwrap_or_default();
    let tone = if missing.standing == "live" { Tone::Waiting } else { Tone::Bad };
    Line::new(vec![
        "    missing: ".into(),
        Piece::new(Tone::Strong, format!("{}{who}", missing.consumer)),
        " ".into(),
        Piece::new(tone, format!("{}{silent}", missing.standing)),
        format!(": {}", missing.why).into(),
    ])
}

fn versions(ring: &RingStatus, now: WallTime) -> Vec<Line> {
    let mut table =
        Table::new(&["VERSION", "STATE", "FOR", "KID", "ALGORITHM", "FINGERPRINT", "NOTE"])
            .indented(2);
    for version in &ring.versions {
        let tone = match version.state.as_str() {
            "primary" => Tone::Good,
            "published" | "retiring" | "staged" => Tone::Waiting,
            "compromised" | "suspended" => Tone::Bad,
            _ => Tone::Faint,
        };
        let mut notes = version.weaknesses.clone();
        if version.origin == "imported" {
            notes.insert(0, "imported".into());
        }
        table.row(vec![
            format!("v{}", version.number).into(),
            Piece::new(tone, &version.state),
            age(&version.since, now).into(),
            Piece::from(&version.kid),
            Piece::from(&version.algorithm),
            Piece::from(&version.fingerprint),
            Piece::new(
                if version.weaknesses.is_empty() { Tone::Faint } else { Tone::Bad },
                notes.join("; "),
            ),
        ]);
    }
    table.lines()
}

fn consumers(ring: &RingStatus) -> Vec<Line> {
    if ring.consumers.is_empty() {
        return vec!["  none is declared: nobody can prove anything, and no gate will open".into()];
    }
    let mut lines = Vec::new();
    for consumer in &ring.consumers {
        let tone = if consumer.live < consumer.min_instances { Tone::Bad } else { Tone::Good };
        let mut pieces = vec![
            "  ".into(),
            Piece::new(Tone::Strong, &consumer.name),
            format!(" {}  ", consumer.role).into(),
            Piece::new(tone, format!("{} live", consumer.live)),
            format!(" of at least {}", consumer.min_instances).into(),
        ];
        if consumer.lost > 0 {
            pieces.push(Piece::new(Tone::Bad, format!(", {} lost", consumer.lost)));
        }
        lines.push(Line::new(pieces));
        if consumer.instances.is_empty() {
            continue;
        }
        let mut table =
            Table::new(&["INSTANCE", "PROCESS", "STANDING", "SILENT", "HOLDS"]).indented(4);
        for instance in &consumer.instances {
            let tone = if instance.standing == "live" { Tone::Good } else { Tone::Bad };
            table.row(vec![
                Piece::from(&instance.id),
                Piece::from(&instance.process),
                Piece::new(tone, standing(instance)),
                Piece::from(&instance.silent_for),
                holds(ring, instance),
            ]);
        }
        let mut rows = table.lines().into_iter();
        lines.extend(rows.next());
        for (instance, row) in consumer.instances.iter().zip(rows) {
            lines.push(row);
            lines.extend(lost_for_good(instance));
            lines.extend(instance.trouble.as_deref().map(|trouble| {
                let mark = Piece::new(Tone::Bad, "      in trouble: ");
                Line::new(vec![mark, trouble.into()])
            }));
        }
    }
    lines
}

/// What to do about an instance that silence never ends.
fn lost_for_good(instance: &InstanceStatus) -> Option<Line> {
    let lost = instance.endures && instance.standing == "lost";
    let way = format!(
        "      start its agent again; if it is gone for good: keywheel instance end {}",
        instance.id
    );
    lost.then(|| Line::new(vec![Piece::new(Tone::Bad, way)]))
}

fn standing(instance: &InstanceStatus) -> String {
    let endures = if instance.endures { ", endures" } else { "" };
    format!("{}{endures}", instance.standing)
}

fn holds(ring: &RingStatus, instance: &InstanceStatus) -> Piece {
    match instance.holds {
        Some(revision) if revision == ring.keyset_revision => match instance.level.as_deref() {
            // What the process itself proved is the rule, and goes without saying.
            None | Some("held") => format!("r{revision}").into(),
            Some(level) => format!("r{revision}, {level}").into(),
        },
        Some(revision) => {
            Piece::new(Tone::Waiting, format!("r{revision}, not r{}", ring.keyset_revision))
        }
        None => Piece::new(Tone::Waiting, "nothing proved"),
    }
}

fn exposure(lines: &mut Vec<Line>, ring: &RingStatus) {
    for version in ring.versions.iter().filter(|version| !version.exposure.is_empty()) {
        section(lines, &format!("EXPOSURE of v{}", version.number));
        let mut table = Table::new(&["CONSUMER", "LAST ACCEPTED", "REFUSED SINCE"]).indented(2);
        for consumer in &version.exposure {
            table.row(vec![
                Piece::from(&consumer.consumer),
                consumer.last_accepted.as_deref().unwrap_or("never seen").into(),
                match consumer.refused_since.as_deref() {
                    Some(since) => Piece::new(Tone::Good, since),
                    None => Piece::new(Tone::Bad, "not shown yet"),
                },
            ]);
        }
        lines.extend(table.lines());
    }
}

fn bent(lines: &mut Vec<Line>, ring: &RingStatus, now: WallTime) {
    if ring.bent.is_empty() {
        return;
    }
    section(lines, "LAWS BENT");
    let mut table = Table::new(&["LAW", "VERSION", "BY", "WHO", "AGO", "REASON"]).indented(2);
    for law in &ring.bent {
        table.row(vec![
            Piece::new(Tone::Bad, &law.law),
            format!("v{}", law.version).into(),
            Piece::from(&law.exception),
            Piece::from(&law.by.who),
            law.by.at.as_deref().map(|at| age(at, now)).unwrap_or_default().into(),
            Piece::from(&law.by.reason),
        ]);
    }
    lines.extend(table.lines());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_how_much_is_revoked_where_anything_ever_was() {
        let heading = |newest: u64| {
            let ring: RingStatus = serde_json::from_value(serde_json::json!({
                "name": "web", "kind": "signing", "incarnation": "1", "revision": 7,
                "keyset_revision": 6, "stage": "rest", "overdue": false, "versions": [],
                "gates": [], "consumers": [], "revocations": { "kept": 2, "newest": newest },
                "policy": { "kind": "signing", "longest_lifetime": "1h" }
            }))
            .unwrap();
            let lines = super::heading(&ring, WallTime(0));
            lines.iter().map(|line| line.plain().trim_end().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(heading(3).last().unwrap(), "revoked  2, up to number 3");
        assert!(!heading(0).iter().any(|line| line.starts_with("revoked")));
    }

    #[test]
    fn each_place_that_would_break_has_a_line() {
        let stage: StageGates = serde_json::from_value(serde_json::json!({
            "version": 2, "stage": "confirm",
            "gates": [
                { "name": "instances", "status": "open", "level": "held" },
                {
                    "name": "findings", "status": "failed",
                    "detail": "2 places would break: shop: a.py:1 (K, x); shop: b.py:2 (K, y)",
                    "places": ["shop: a.py:1 (K, x)", "shop: b.py:2 (K, y)"]
                },
            ]
        }))
        .unwrap();
        let mut lines = Vec::new();
        gates(&mut lines, &stage);
        let text: Vec<_> = lines.iter().map(|line| line.plain().trim_end().to_owned()).collect();
        assert_eq!(
            text,
            [
                "  GATE       STATUS  EVIDENCE  LEFT  WHY",
                "  instances  open    held      -",
                "  findings   failed  -         -     2 places would break",
                "    would break: shop: a.py:1 (K, x)",
                "    would break: shop: b.py:2 (K, y)",
            ]
        );
    }

    #[test]
    fn the_page_says_what_is_wrong_with_an_instance_and_how_well_it_is_known() {
        let instance = |id: &str, more: serde_json::Value| {
            let mut one = serde_json::json!({
                "id": id, "process": format!("host/{id}"), "standing": "live", "silent_for": "1s"
            });
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        let ring: RingStatus = serde_json::from_value(serde_json::json!({
            "name": "web", "kind": "secret", "incarnation": "1", "revision": 7,
            "keyset_revision": 6, "stage": "rest", "primary": 1, "overdue": false,
            "versions": [], "gates": [],
            "consumers": [{
                "name": "nginx", "role": "protect", "min_instances": 1, "live": 3, "lost": 0,
                "instances": [
                    instance("a", serde_json::json!({ "holds": 6, "level": "held" })),
                    instance("b", serde_json::json!({
                        "holds": 6, "level": "probed", "endures": true
                    })),
                    instance("c", serde_json::json!({ "trouble": "the probe got 502" })),
                    instance("d", serde_json::json!({
                        "holds": 6, "standing": "lost", "endures": true
                    })),
                    instance("e", serde_json::json!({ "holds": 6, "standing": "lost" })),
                ]
            }],
            "policy": { "kind": "secret", "longest_lifetime": "1h" }
        }))
        .unwrap();
        let page: Vec<String> =
            consumers(&ring).iter().map(|line| line.plain().trim_end().to_owned()).collect();
        assert_eq!(
            page,
            [
                "  nginx protect  3 live of at least 1",
                "    INSTANCE  PROCESS  STANDING       SILENT  HOLDS",
                "    a         host/a   live           1s      r6",
                "    b         host/b   live, endures  1s      r6, probed",
                "    c         host/c   live           1s      nothing proved",
                "      in trouble: the probe got 502",
                "    d         host/d   lost, endures  1s      r6",
                "      start its agent again; if it is gone for good: keywheel instance end d",
                "    e         host/e   lost           1s      r6",
            ]
        );
    }
}
