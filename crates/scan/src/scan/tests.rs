//! The run with a reader of its own: what is read, what is said, and what memory and threads make
//! no difference to. What readers find is tested with them.

use std::path::Path;

use super::*;
use crate::finding::{Kind, Source};
use crate::literal::Literal;
use crate::site::{Link, Reaches, Site, Sites, Unreadable};
use crate::source::SourceFile;

/// Finds `NAME_SECRET = value` on lines, and a call `use_key(x)` of a wrapper if rules have it.
fn stand_in(file: &SourceFile<'_>, rules: &Rules, sites: &mut Sites) -> Result<(), Unreadable> {
    if file.text.contains("no python at all") {
        return Err(Unreadable { why: "it is odd".into(), at: Some(file.position(0)) });
    }
    assert!(!file.text.contains("make the reader panic"));
    for (start, line) in file.lines() {
        if let Some((name, value)) = line.split_once(" = ")
            && name.trim().ends_with("_SECRET")
        {
            let at = start + line.find(name.trim()).unwrap();
            let mut site = Site::new(Kind::Hardcoded, "test/literal", file.position(at));
            site.links = vec![Link::Setting(name.trim().to_owned())];
            site.name = Some(name.trim().to_owned());
            site.source = Source::Literal;
            site.literal = Some(Literal::new(value));
            sites.found.push(site);
        }
        if line.contains("def use_key(") {
            sites.wrappers.push(Wrapper {
                function: "use_key".to_owned(),
                parameter: 0,
                keyword: None,
                reaches: Reaches::Loader(Source::Environment),
            });
        } else if line.contains("use_key(")
            && rules.of("python").any(|table| table.sources.iter().any(|one| one.call == "use_key"))
        {
            sites.found.push(Site::new(Kind::EnvLoad, "test/wrapper", file.position(start)));
        }
    }
    Ok(())
}

fn of(_: Language) -> crate::reader::Reader {
    stand_in
}

fn setup(folder: &Path) -> Scan {
    Scan {
        roots: Roots {
            paths: vec![folder.to_owned()],
            base: folder.to_owned(),
            respects_ignores: true,
            are_listed: false,
        },
        threads: 2,
        passwords: false,
        today: Day::parse("2026-11-28").unwrap(),
        marker: Marker::new(b"k"),
        rules: Rules::default(),
        readers: Readers { of, of_pieces: of, lines: stand_in },
        also: Vec::new(),
        also_notes: Vec::new(),
    }
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn run(folder: &Path) -> Report {
    scan(setup(folder), &|_| {}).unwrap()
}

fn places(report: &Report) -> Vec<String> {
    let place = |one: &crate::finding::Finding| format!("{}:{}:{}", one.path, one.line, one.column);
    report.findings.iter().map(place).collect()
}

#[test]
fn a_tree_is_read_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "a.py", "x = 1\nWEB_SECRET = k3f9qz81mv\n");
    write(path, "tests/a.py", "  WEB_SECRET = changeme\n");
    write(path, "b.py", "nothing here\n");
    write(path, "noise.py", [0_u8, 1, 2, 0xFF, 0xFE].repeat(3_000));
    write(path, "latin.py", b"# caf\xE9 secret\nOLD_SECRET = \xE9\xE9k3f9qz\n");
    let report = run(path);
    assert_eq!(places(&report), ["a.py:2:1", "latin.py:2:1", "tests/a.py:1:3"]);
    assert_eq!(report.stats.files, 5);
    assert_eq!(report.stats.files_with_keys, 3);
    assert_eq!((report.stats.findings, report.stats.in_tests), (2, 1));
    assert_eq!(report.stats.blocking, 2);
    let web = &report.keys[1];
    assert_eq!((web.key.as_str(), web.consumers, web.in_tests), ("WEB_SECRET", 1, 1));
    let text = serde_json::to_string(&report).unwrap();
    assert!(!text.contains("k3f9qz"), "{text}");
}

#[test]
fn threads_make_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..200 {
        write(folder.path(), &format!("{number}.py"), format!("N{number}_SECRET = a{number}\n"));
    }
    let one = scan(Scan { threads: 1, ..setup(folder.path()) }, &|_| {}).unwrap();
    let many = scan(Scan { threads: 7, ..setup(folder.path()) }, &|_| {}).unwrap();
    assert_eq!(one, many);
}

#[test]
fn progress_ends_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.py", "");
    write(folder.path(), "b.md", "");
    let most = AtomicUsize::new(0);
    let told = |progress: Progress| {
        assert_eq!(progress.files, 2);
        most.fetch_max(progress.done, Ordering::Relaxed);
    };
    scan(setup(folder.path()), &told).unwrap();
    assert_eq!(most.into_inner(), 2);
}

#[test]
fn a_reader_that_fails_costs_no_more_than_its_file() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.py", "secret\nno python at all\n");
    write(folder.path(), "b.py", "secret\nmake the reader panic\n");
    write(folder.path(), "c.py", "A_SECRET = b\n");
    let report = run(folder.path());
    assert_eq!(places(&report), ["c.py:1:1"]);
    let notes: Vec<&str> = report.notes.iter().map(|note| note.says.as_str()).collect();
    assert!(notes.contains(&"read by lines: it is odd (line 1)"), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("has a defect")), "{notes:?}");
}

#[test]
fn a_file_that_is_too_long_is_read_in_pieces_with_the_right_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "filler line number nothing\n".repeat(MAX_PARSED_BYTES / 20);
    let lines = text.lines().count();
    text.push_str("  FAR_SECRET = k3f9qz81mv\n");
    write(folder.path(), "long.py", &text);
    let report = run(folder.path());
    assert_eq!(places(&report), [format!("long.py:{}:3", lines + 1)]);
    assert_eq!(report.notes[0].kind, NoteKind::Limit);
}

#[test]
fn one_endless_line_is_read_in_pieces_too() {
    let folder = tempfile::tempdir().unwrap();
    let text = "x".repeat(MAX_PARSED_BYTES + 10) + " A_SECRET = b";
    write(folder.path(), "line.py", &text);
    let report = run(folder.path());
    assert_eq!(report.stats.bytes, u64::try_from(text.len()).unwrap());
}

#[test]
fn a_sparse_file_costs_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("zero.py")).unwrap();
    file.set_len(500 << 20).unwrap();
    let report = run(folder.path());
    assert_eq!(report.stats.bytes, 500 << 20);
    assert!(report.findings.is_empty());
}

#[test]
fn a_file_with_a_list_of_keys_is_cut_off_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> =
        (0..MAX_SITES_PER_FILE + 7).map(|number| format!("N{number}_SECRET = v")).collect();
    let text = lines.join("\n");
    write(folder.path(), "many.py", text);
    let report = run(folder.path());
    assert_eq!(report.findings.len(), MAX_SITES_PER_FILE);
    assert_eq!(report.notes[0].says, "1000 findings, and 7 more");
}

#[test]
fn functions_of_other_files_that_hand_keys_on_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "app/vault.py", "# secret\ndef use_key(name): ...\n");
    write(folder.path(), "app/uses.py", "from app.vault import use_key\nuse_key('A_SECRET')\n");
    write(folder.path(), "app/another.py", "use_key('A_SECRET')\n");
    let report = run(folder.path());
    assert_eq!(places(&report), ["app/uses.py:2:1"]);
}

#[test]
fn ignores_take_out_and_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "a.py", "A_SECRET = b # keywheel: ignore[*] it goes\nB_SECRET = c\n");
    write(path, "b.py", "# keywheel: ignore[*]\nC_SECRET = b\n");
    write(path, FILE_NAME, "[[ignore]]\nkeys = [\"B_SECRET\"]\nreason = \"dead\"\n");
    let report = run(path);
    assert_eq!(places(&report), ["b.py:2:1"]);
    assert_eq!(report.stats.ignored, 2);
    assert!(report.notes.iter().any(Note::is_error));
    write(path, FILE_NAME, "[[ignore]]\nkeys = [\"B_SECRET\"]\n");
    let refused = scan(setup(path), &|_| {}).unwrap_err();
    assert!(matches!(refused, ScanError::Ignores(..)));
}

#[cfg(unix)]
#[test]
fn what_is_not_readable_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.py", "A_SECRET = b\n");
    let path = folder.path().join("a.py");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        return; // Root reads everything.
    }
    let report = run(folder.path());
    assert_eq!(report.notes[0].kind, NoteKind::Unreadable);
}

#[test]
fn passwords_of_a_database_need_to_be_asked_for_too() {
    let folder = tempfile::tempdir().unwrap();
    let found = |passwords: bool| {
        let mut setup = Scan { passwords, ..setup(folder.path()) };
        let mut read = Read { path: "postgresql:server a".to_owned(), ..Read::default() };
        for (line, class) in [(1, Class::Password), (2, Class::Key)] {
            let at = crate::source::Position { line, column: 1 };
            let mut site = Site::new(Kind::Sql, "test/setting", at);
            site.class = class;
            read.sites.found.push(site);
        }
        setup.also.push(read);
        scan(setup, &|_| {}).unwrap().findings.len()
    };
    assert_eq!((found(false), found(true)), (1, 2));
}

#[test]
fn a_function_of_go_is_at_home_in_its_folder() {
    assert_eq!(home("shop/auth/token_test.go"), "auth");
    assert_eq!(home("shop/auth/token.py"), "token");
    let of = |home: &str| Elsewhere {
        wrapper: Wrapper {
            function: "signOne".to_owned(),
            parameter: 0,
            keyword: None,
            reaches: Reaches::Loader(Source::Environment),
        },
        home: home.to_owned(),
        folder: home.to_owned(),
        project: None,
    };
    let (here, there) = (of("auth"), of("page"));
    let all = [&here, &there];
    let search = Search::new("go", &all, &[true, true]);
    let called = |text: &str, path: &str| {
        search.called(&search.met(text.as_bytes(), None).unwrap(), path, &BTreeSet::new())
    };
    assert_eq!(called("signOne(a)", "auth/b.go"), Some(vec![0]));
    assert_eq!(called("page.signOne(a)", "c/d.go"), Some(vec![1]));
    assert_eq!(called("signOne(a)", "c/d.go"), None);
}

#[test]
fn a_function_that_many_files_define_is_not_known_by_its_name() {
    let wrapper = Wrapper {
        function: "tag_resource_of".to_owned(),
        parameter: 0,
        keyword: None,
        reaches: Reaches::Loader(Source::Settings),
    };
    let one = Elsewhere {
        wrapper,
        home: "tags".to_owned(),
        folder: "shop/tags".to_owned(),
        project: None,
    };
    let all = [&one];
    let search = Search::new("python", &all, &[true]);
    let met = |text: &str| search.met(text.as_bytes(), None);
    let calls = met("a.tag_resource_of(b, 'SHOP_KEY')\n").unwrap();
    let imports = met("import tags\ntags.tag_resource_of(b, 'SHOP_KEY')\n").unwrap();
    let defines =
        || met("def tag_resource_of(b):\n    c.tag_resource_of(b, 'SHOP_KEY')\n").unwrap();
    let none = BTreeSet::new();
    assert_eq!(search.called(&calls, "a.py", &none), Some(vec![0]));
    assert_eq!(search.called(&defines(), "a.py", &none), None);
    assert_eq!(search.called(&defines(), "shop/tags/a.py", &none), Some(vec![0]));
    let three: Vec<(usize, Met)> = (0..3).map(|index| (index, defines())).collect();
    let common = search.common(&three);
    assert_eq!(search.called(&calls, "a.py", &common), None);
    assert_eq!(search.called(&imports, "a.py", &common), Some(vec![0]));
    assert!(search.common(&three[..2]).is_empty() && met("tag_resource(b)\n").is_none());
}
