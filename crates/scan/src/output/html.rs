//! One page for people: no script, nothing from elsewhere, and every text escaped.

use std::fmt::{self, Display, Write as _};

use crate::finding::{Finding, HotReload};
use crate::report::{KeySummary, Report};

const STYLE: &str = include_str!("report.css");

/// A text in HTML, outside of tags or inside of a quoted attribute.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|one| match one {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            one => f.write_char(one),
        })
    }
}

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, report);
    page
}

fn write_page(page: &mut String, report: &Report) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Keys and their consumers</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Keys and their consumers</h1>\n\
         <p class=\"faint\">keywheel scan {version}. No value of a key is in this page.</p>\n"
    )?;
    figures(page, report)?;
    report.keys.iter().try_for_each(|key| one_key(page, report, key))?;
    if !report.notes.is_empty() {
        page.push_str("<h2>What the scan could not do</h2>\n<ul>\n");
        for note in &report.notes {
            page.push_str("<li>");
            if let Some(path) = &note.path {
                write!(page, "<code>{}</code>: ", Escaped(path))?;
            }
            writeln!(page, "{}</li>", Escaped(&note.says))?;
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</body>\n</html>\n");
    Ok(())
}

fn figures(page: &mut String, report: &Report) -> fmt::Result {
    let stats = &report.stats;
    let tone = if stats.blocking > 0 { "bad" } else { "good" };
    page.push_str("<div class=\"figures\">\n");
    for (tone, figure, what) in [
        ("", report.keys.len(), "keys"),
        ("", stats.findings, "places"),
        (tone, stats.blocking, "would break"),
        ("", stats.in_tests, "in tests and examples"),
        ("", stats.files, "files read"),
    ] {
        writeln!(page, "<div><b class=\"{tone}\">{figure}</b> {what}</div>")?;
    }
    page.push_str("</div>\n");
    Ok(())
}

fn one_key(page: &mut String, report: &Report, key: &KeySummary) -> fmt::Result {
    let open = if key.blocking > 0 { " open" } else { "" };
    let places = if key.consumers == 1 { "place" } else { "places" };
    write!(
        page,
        "<details{open}>\n<summary><code>{}</code> <span class=\"faint\">{} {places},</span> ",
        Escaped(&key.key),
        key.consumers
    )?;
    match key.blocking {
        0 => page.push_str("<span class=\"good\">none would break</span>"),
        count => write!(page, "<span class=\"bad\">{count} would break</span>")?,
    }
    if key.in_tests > 0 {
        let count = key.in_tests;
        write!(page, "<span class=\"faint\">; {count} in tests and examples</span>")?;
    }
    page.push_str(
        "</summary>\n<div class=\"scroll\"><table>\n<tr><th>Place</th><th>Kind</th><th>Scope</th>\
         <th>Takes a new key</th><th>Why, and what to do</th></tr>\n",
    );
    report.of_key(&key.key).try_for_each(|finding| row(page, finding))?;
    page.push_str("</table></div>\n</details>\n");
    Ok(())
}

fn row(page: &mut String, finding: &Finding) -> fmt::Result {
    let (path, line, column) = (Escaped(&finding.path), finding.line, finding.column);
    write!(page, "<tr><td class=\"place\"><code>{path}:{line}:{column}</code>")?;
    if finding.in_tests {
        page.push_str(" <span class=\"faint\">(beside the application)</span>");
    }
    write!(page, "</td><td>{}", finding.kind)?;
    if let Some(sink) = &finding.sink {
        write!(page, "<br><code>{}</code>", Escaped(sink))?;
    }
    let scope = finding.scope.map_or("", |scope| scope.word());
    let tone = match (finding.blocking, finding.hot_reload) {
        (true, _) => "bad",
        (false, HotReload::Yes) => "good",
        _ => "",
    };
    let known = if finding.known { " <span class=\"faint\">(known)</span>" } else { "" };
    write!(page, "</td><td>{scope}</td><td class=\"{tone}\">{}{known}</td>", finding.hot_reload)?;
    write!(page, "<td>{}", Escaped(&finding.reason))?;
    if let Some(remedy) = &finding.remedy {
        write!(page, "<br><span class=\"faint\">{}</span>", Escaped(remedy))?;
    }
    page.push_str("</td></tr>\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::{finding, report};
    use crate::report::{Note, NoteKind};

    #[test]
    fn the_page_has_all_places_and_needs_nothing_else() {
        let mut report = report(vec![finding("a/b", "app/a.py", 7, "SECRET_KEY")]);
        report.notes.push(Note::of(NoteKind::Unreadable, "<x>.py", "no"));
        let page = page(&report);
        for part in
            ["<!doctype html>", "SECRET_KEY", "app/a.py:7:1", "color-scheme", "&lt;x&gt;.py"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
        for part in ["<script", "http://", "https://", "src=", "<link", "@import"] {
            assert!(!page.contains(part), "{part}");
        }
    }
}
