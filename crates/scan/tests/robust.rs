//! Files that nobody should have: each reader gets through them, and what it could not read is said
//! in the notes. `KEYWHEEL_SCALE=full` makes them as large as the largest that were promised.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use keywheel_scan::literal::Marker;
use keywheel_scan::report::{NoteKind, Report};
use keywheel_scan::scan::{MAX_PARSED_BYTES, Scan, scan};

/// A name for each reader.
const NAMES: &[&str] = &[
    "a.py",
    "a.ts",
    "a.vue",
    "a.rb",
    "a.go",
    "a.java",
    "a.kt",
    "a.php",
    ".env",
    "a.yml",
    "a.toml",
    "a.json",
    "a.ini",
    "Dockerfile",
    "a.sh",
    "a.service",
    "a.tf",
    "nginx.conf",
    "httpd.conf",
    "a.sql",
    "a.html",
    "a.rs",
];

fn is_full() -> bool {
    std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full")
}

fn scanned(folder: &Path) -> Report {
    let what =
        Scan { threads: 2, passwords: true, ..Scan::of_folder(folder, Marker::new(b"k")).unwrap() };
    scan(what, &|_| {}).unwrap()
}

/// Scans one text under each name, and looks that no reader had a defect.
fn each(text: &[u8]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let report = scanned(folder.path());
    let defects: Vec<_> =
        report.notes.iter().filter(|note| note.says.contains("has a defect")).collect();
    assert!(defects.is_empty(), "{defects:?}");
    assert_eq!(report.stats.files, NAMES.len());
    report
}

/// Numbers that look random and are the same each time (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes().map(|byte| byte.max(1)));
    }
    bytes
}

#[test]
fn noise_is_read_as_it_is() {
    let mut text = b"secret_key = ".to_vec();
    text.extend(noise(100_000));
    each(&text);
    let signs = b"(){}[]<>\"'`#/*\\=:;,.$%@!|&\n\t secret_key jwt";
    let text: Vec<u8> =
        noise(200_000).iter().map(|byte| signs[usize::from(*byte) % signs.len()]).collect();
    each(&text);
}

#[test]
fn deep_nesting_is_read_or_refused_with_a_reason() {
    let depth = if is_full() { 1_000_000 } else { 5_000 };
    for (open, close) in [("(", ")"), ("[", "]"), ("{", "}"), ("{\"secret_key\":", "}")] {
        let text = format!("secret_key = {}1{}", open.repeat(depth), close.repeat(depth));
        each(text.as_bytes());
        each(format!("secret_key = {}", open.repeat(depth)).as_bytes());
    }
    for part in
        ["- ", "secret_key: ", "not ", "-", "a.", "if x:\n ", "${", "{{", "#{", "`${", "<a "]
    {
        each(format!("secret_key = {}", part.repeat(depth / 2)).as_bytes());
    }
    let steps: Vec<String> =
        (0..1_500).map(|depth| format!("{}secret_key:", " ".repeat(depth))).collect();
    each(steps.join("\n").as_bytes());
}

#[test]
fn one_long_line_is_read() {
    let bytes = if is_full() { 10_000_000 } else { 200_000 };
    let part = "var a=process.env.JWT_SECRET||\"x\";f(a,'b');c={secret_key:\"d\"};";
    let report = each(part.repeat(bytes / part.len()).as_bytes());
    assert!(!report.findings.is_empty());
    // Too long to be parsed.
    let folder = tempfile::tempdir().unwrap();
    let text = part.repeat(MAX_PARSED_BYTES * 5 / 4 / part.len());
    std::fs::write(folder.path().join("a.ts"), text).unwrap();
    let report = scanned(folder.path());
    assert!(report.notes.iter().any(|note| note.kind == NoteKind::Limit), "{:?}", report.notes);
}

#[test]
fn a_dump_is_read_in_pieces() {
    let rows = if is_full() { 500 } else { 6 };
    let folder = tempfile::tempdir().unwrap();
    let row = "1\tsecret\t\\\\x6b65790a\tFor the secret of the jwt see the keys\n";
    let mut text = "COPY public.notes (id, a, b, c) FROM stdin;\n".to_owned();
    text.push_str(&row.repeat(rows * (1 << 20) / row.len()));
    text.push_str("\\.\nSELECT pgp_sym_encrypt(a, 'Zq7planted9fKw') FROM public.notes;\n");
    std::fs::write(folder.path().join("dump.sql"), &text).unwrap();
    let report = scanned(folder.path());
    let last = u32::try_from(text.lines().count()).unwrap();
    let lines: Vec<u32> = report.findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [last]);
}
