//! How far each column has moved away from each version, and who says so.

use keywheel_api::column::{ColumnStatus, ReportedColumn};

use super::table::Table;
use super::text::{Line, Piece, Tone};

/// A row for each column and version, and one for each column that nobody has reported yet.
pub fn columns(columns: &[ColumnStatus]) -> Vec<Line> {
    let mut table = Table::new(&[
        "COLUMN",
        "FORMAT",
        "WORKER",
        "VERSION",
        "LEFT",
        "MOVED",
        "QUARANTINED",
        "STATE",
        "BY",
        "AT",
    ])
    .indented(2);
    for column in columns {
        let head = || {
            vec![
                Piece::new(Tone::Strong, &column.name),
                Piece::from(&column.format),
                Piece::from(&column.worker),
            ]
        };
        for report in &column.reports {
            let mut row = head();
            row.extend(reported(report));
            table.row(row);
        }
        if column.reports.is_empty() {
            let mut row = head();
            row.extend(["-", "-", "-", "-"].map(Piece::from));
            row.extend([Piece::new(Tone::Waiting, "no report"), "-".into(), "-".into()]);
            table.row(row);
        }
    }
    table.lines()
}

fn reported(report: &ReportedColumn) -> Vec<Piece> {
    vec![
        format!("v{}", report.version).into(),
        report.left.to_string().into(),
        report.moved.to_string().into(),
        report.quarantined.to_string().into(),
        state(report),
        Piece::from(&report.by),
        Piece::from(&report.at),
    ]
}

fn state(report: &ReportedColumn) -> Piece {
    let is_zero = report.left == 0 && report.quarantined == 0;
    match (report.quarantined, report.verified) {
        (1.., _) => Piece::new(Tone::Bad, "no key opens rows"),
        (0, true) if report.counts => Piece::new(Tone::Good, "verified zero"),
        (0, true) if is_zero => Piece::new(Tone::Waiting, "counted too early"),
        (0, true) => Piece::new(Tone::Waiting, "verified"),
        (0, false) => Piece::new(Tone::Waiting, "not verified"),
    }
}
