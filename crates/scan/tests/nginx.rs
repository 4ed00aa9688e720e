//! Reads configurations of nginx as nginx does, whatever bytes they are.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use keywheel_scan::nginx::{
    Body, Directive, FollowError, Lexer, SyntaxFault, TokenKind, Unread, escaped_path, follow,
    follow_without, matches, parse, quoted, walk,
};
use proptest::prelude::*;

/// The tree in one line: words in `‹›`, blocks in braces.
fn shown(directives: &[Directive]) -> String {
    let mut text = String::new();
    for directive in directives {
        for word in std::iter::once(&directive.name).chain(&directive.arguments) {
            write!(text, "‹{}›", String::from_utf8_lossy(&word.value)).unwrap();
        }
        match &directive.body {
            Body::None => text += ";",
            Body::Block(children) => write!(text, "{{{}}}", shown(children)).unwrap(),
            Body::Foreign(_) => text += "{…}",
        }
    }
    text
}

fn read(text: &str) -> String {
    shown(&parse(text.as_bytes()).unwrap())
}

fn fault(text: &str) -> (u32, u32, SyntaxFault) {
    let error = parse(text.as_bytes()).unwrap_err();
    assert!(!error.fault.remedy().is_empty());
    (error.place.line, error.place.column, error.fault)
}

#[test]
fn words_quotes_comments_and_blocks_are_read_as_nginx_reads_them() {
    assert_eq!(read(""), "");
    assert_eq!(read("a b;#c d;\n e{f;}# end"), "‹a›‹b›;‹e›{‹f›;}");
    assert_eq!(read("a \"b c\" 'd;{}';"), "‹a›‹b c›‹d;{}›;");
    // Escapes: only these are resolved; any other backslash stays.
    assert_eq!(read(r#"a "\"\'\\" '\"\'' \; \d\\;"#), "‹a›‹\"'\\›‹\"'›‹\\;›‹\\d\\›;");
    assert_eq!(read(r"a \t\n\r;"), "‹a›‹\t\n\r›;");
    // A quote, a comment sign and a closing brace within a bare word are letters.
    assert_eq!(read("a b\"c d'e f#g h};"), "‹a›‹b\"c›‹d'e›‹f#g›‹h}›;");
    // `${` opens no block, in the middle of a word or at its beginning.
    assert_eq!(read("a ${b}c d${e};f {}"), "‹a›‹${b}c›‹d${e}›;‹f›{}");
    assert_eq!(read("a b{c;}"), "‹a›‹b›{‹c›;}");
    // nginx lets `)` follow a quote, for the conditions of `if`.
    assert_eq!(read("if ($a = \"b\") {}"), "‹if›‹($a›‹=›‹b›‹)›{}");
    assert_eq!(read("a \"\" \"x\ny\";"), "‹a›‹›‹x\ny›;");
}

#[test]
fn bodies_in_lua_are_skipped_whole() {
    let lua = r#"content_by_lua_block {
        local a = "}" .. '}' .. [[ } ]] .. [==[ ]] } ]==] -- }
        --[[ } ]] if #t[1] == 0 then return { {}, "\"}" } end
    } access_log off;"#;
    assert_eq!(read(lua), "‹content_by_lua_block›{…}‹access_log›‹off›;");
    assert_eq!(read("set_by_lua_block $x { return '}' } a;"), "‹set_by_lua_block›‹$x›{…}‹a›;");
    assert_eq!(fault("a_by_lua_block { {}").2, SyntaxFault::EndsInBlock);
}

#[test]
fn faults_have_their_place() {
    use SyntaxFault::*;
    assert_eq!(fault("a b"), (1, 4, EndsInDirective));
    assert_eq!(fault("a b "), (1, 3, EndsInDirective));
    assert_eq!(fault("a \"b"), (1, 3, EndsInQuotes));
    assert_eq!(fault("a {\n b;\n"), (1, 3, EndsInBlock));
    assert_eq!(fault("a \"b\"c;"), (1, 6, AfterQuotes));
    assert_eq!(fault("a;\n ;"), (2, 2, NoDirective(';')));
    assert_eq!(fault("{"), (1, 1, NoDirective('{')));
    assert_eq!(fault("a {\n b }"), (2, 4, CloseInDirective));
    assert_eq!(fault("}"), (1, 1, ClosesNothing));
    assert_eq!(fault(&"a{".repeat(100)).2, TooDeep);
}

#[test]
fn spans_lead_back_to_the_text() {
    let text = b"http {\n  include \"a b.conf\" ;\n}\n";
    let read = parse(text).unwrap();
    let include = &read[0].children()[0];
    assert_eq!(&text[include.span.start..include.span.end], b"include \"a b.conf\" ;");
    assert_eq!((include.span.line, include.span.column), (2, 3));
    let word = &include.arguments[0];
    assert_eq!(&text[word.span.start..word.span.end], b"\"a b.conf\"");
    assert_eq!(&text[read[0].span.start..read[0].span.end], &text[..text.len() - 1]);
}

#[test]
fn no_debug_output_shows_a_value() {
    let read = parse(b"set $key \"hunter2hunter2\";").unwrap();
    assert!(!format!("{read:?}").contains("hunter2"));
}

#[test]
fn patterns_match_as_the_c_library_matches_them() {
    let yes = [
        ("*.conf", "a.conf"),
        ("*", "a"),
        ("a*b*c", "aXbXbc"),
        ("?.conf", "x.conf"),
        ("[a-c]x", "bx"),
        ("[!a-c]x", "dx"),
        ("[]x]", "]"),
        ("[[:digit:]_]", "7"),
        ("[", "["),
        ("\\*", "*"),
        (".*", ".a"),
        ("a[b", "a[b"),
    ];
    for (pattern, name) in yes {
        assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
    }
    let no = [
        ("*.conf", ".a.conf"),
        ("?a", ".a"),
        ("[.]a", ".a"),
        ("*.conf", "a.conf~"),
        ("[!a]", "a"),
        ("[a-c]", "d"),
        ("\\*", "a"),
        ("", "a"),
        ("a", ""),
    ];
    for (pattern, name) in no {
        assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
    }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn names(root: &Path, paths: impl IntoIterator<Item = PathBuf>) -> Vec<String> {
    let name = |path: PathBuf| path.strip_prefix(root).unwrap().display().to_string();
    paths.into_iter().map(name).collect()
}

#[test]
fn includes_are_followed_as_nginx_follows_them() {
    let folder = folder(&[
        ("nginx.conf", "include conf.d/*.conf;\nhttp { include mime.types; include none/*; }"),
        // Relative to the main file's folder, not to this one's.
        ("conf.d/b.conf", "include mime.types;"),
        ("conf.d/a.conf", "include [a-z]ites/*/x;"),
        ("conf.d/.hidden.conf", "}"),
        ("conf.d/c.conf.bak", "}"),
        ("mime.types", "types { include sites/two/x; }"),
        ("sites/two/x", ""),
        ("sites/one/x", ""),
    ]);
    let read = follow(&folder.path().join("nginx.conf")).unwrap();
    let paths = read.files.iter().map(|file| file.path.clone());
    let expected = [
        "nginx.conf",
        "conf.d/a.conf",
        "sites/one/x",
        "sites/two/x",
        "conf.d/b.conf",
        "mime.types",
    ];
    assert_eq!(names(folder.path(), paths), expected);
    assert_eq!(read.files[0].includes[2].paths, [] as [PathBuf; 0]);
}

#[test]
fn what_cannot_be_followed_is_refused_by_name() {
    let folder = folder(&[
        ("missing.conf", "a;\ninclude gone;"),
        ("syntax.conf", "include broken;"),
        ("broken", "\n\n}"),
        ("cycle.conf", "include one;"),
        ("one", "include two;"),
        ("two", "\ninclude on[e];"),
        ("self.conf", "include self.conf;"),
        ("folder.conf", "include sub;"),
        ("sub/file", ""),
    ]);
    let root = folder.path().canonicalize().unwrap();
    let told = |name: &str| {
        let error = follow(&root.join(name)).unwrap_err();
        let text = format!("{error}; {}", error.remedy());
        text.replace(&root.display().to_string(), "")
    };
    assert_eq!(
        told("missing.conf"),
        "/gone, which /missing.conf:2 includes, cannot be read; make /gone, or take the include away"
    );
    assert_eq!(
        told("syntax.conf"),
        "/broken:3: the `}` closes no block; take it away, or see which block lacks its `{`"
    );
    assert_eq!(
        told("cycle.conf"),
        "/two:2 includes /one, which is being read already: /one → /two → /one; \
         take one of these includes away"
    );
    assert!(told("self.conf").contains("/self.conf → /self.conf"));
    assert!(told("folder.conf").starts_with("/sub, which /folder.conf:1 includes, is not a file"));
    assert!(told("nowhere.conf").starts_with("/nowhere.conf cannot be read; name the main file"));
}

#[test]
fn depth_size_and_number_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for number in 0..40 {
        std::fs::write(path(&number.to_string()), format!("include {};", number + 1)).unwrap();
    }
    assert!(matches!(follow(&path("0")), Err(FollowError::TooDeep { .. })));
    std::fs::write(path("large"), vec![b' '; keywheel_scan::nginx::FILE_BYTES_MAX + 1]).unwrap();
    assert!(matches!(follow(&path("large")), Err(FollowError::TooLarge { .. })));
    // A pipe would not open until somebody writes to it.
    std::os::unix::fs::symlink("/dev/null", path("device")).unwrap();
    assert!(matches!(follow(&path("device")), Err(FollowError::NotAFile { .. })));
}

#[test]
fn an_unread_file_counts_as_included_and_is_not_opened() {
    let folder = folder(&[
        ("nginx.conf", "include conf.d/*.conf; include linked.conf; include conf.d/key.conf;"),
        ("conf.d/a.conf", ""),
        ("conf.d/z.conf", ""),
    ]);
    std::os::unix::fs::symlink("conf.d", folder.path().join("link.d")).unwrap();
    std::os::unix::fs::symlink("conf.d/key.conf", folder.path().join("linked.conf")).unwrap();
    let main = folder.path().join("nginx.conf");
    // It does not exist yet, so the link to it leads nowhere.
    let unread = Unread::new(&folder.path().join("link.d/key.conf")).unwrap();
    assert!(follow_without(&main, &unread).is_err());
    // It exists, and is not even text.
    std::fs::write(folder.path().join("conf.d/key.conf"), "}\0").unwrap();
    let read = follow_without(&main, &unread).unwrap();
    assert_eq!(
        names(folder.path(), read.unread),
        ["conf.d/key.conf", "linked.conf", "conf.d/key.conf"]
    );
    let globbed = names(folder.path(), read.files[0].includes[0].paths.clone());
    assert_eq!(globbed, ["conf.d/a.conf", "conf.d/key.conf", "conf.d/z.conf"]);
    std::fs::remove_file(folder.path().join("linked.conf")).unwrap();
    std::fs::remove_file(folder.path().join("conf.d/key.conf")).unwrap();
    std::fs::write(&main, "include conf.d/*.conf;").unwrap();
    let read = follow_without(&main, &unread).unwrap();
    assert_eq!(names(folder.path(), read.unread), ["conf.d/key.conf"]);
}

#[test]
fn an_escaped_path_matches_itself_only() {
    let folder = folder(&[("a[b]*\\.conf", ""), ("ab.conf", ""), ("abx\\.conf", "")]);
    let path = folder.path().join("a[b]*\\.conf");
    let mut text = b"include ".to_vec();
    text.extend_from_slice(&quoted(&escaped_path(&path)));
    text.push(b';');
    std::fs::write(folder.path().join("nginx.conf"), text).unwrap();
    let read = follow(&folder.path().join("nginx.conf")).unwrap();
    assert_eq!(read.files[0].includes[0].paths, [path]);
}

/// Bytes that look like a configuration often enough.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let letters = prop::sample::select(b"ab{};\"'\\$# \n\t)=[]-}{;".to_vec());
    let word = prop::sample::select(vec![
        &b"include "[..],
        b"a_by_lua_block {",
        b"--[[",
        b"]]",
        b"${",
        b"set $a \"b\";",
    ]);
    let part = prop_oneof![
        letters.prop_map(|letter| vec![letter]),
        word.prop_map(<[u8]>::to_vec),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

/// Every word, mark and foreign body of a text, from the tree, in order.
fn pieces(directives: &[Directive]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    walk(directives, &mut |directive| {
        found.push((directive.name.span.start, directive.name.span.end));
        found.extend(directive.arguments.iter().map(|word| (word.span.start, word.span.end)));
        found.push((directive.span.end - 1, directive.span.end));
        if let Body::Foreign(span) = directive.body {
            found.push((span.start, span.end));
        }
    });
    found.sort_unstable();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in text()) {
        let Ok(read) = parse(&bytes) else { return Ok(()) };
        // Nothing is lost: what stands between the pieces is space, comments and `{`.
        let mut at = 0;
        for (start, end) in pieces(&read) {
            let between = String::from_utf8_lossy(&bytes[at..start]).into_owned();
            let bare: String = between.split('\n').map(|line| line.split('#').next().unwrap()).collect();
            prop_assert_eq!(bare.trim_matches([' ', '\t', '\r', '{']), "", "{}", between);
            at = end;
        }
        // Written anew, it is read as the same.
        let written = written(&read, &bytes);
        prop_assert_eq!(shown(&parse(&written).unwrap()), shown(&read));
    }

    #[test]
    fn a_quoted_value_is_read_as_itself(value in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = b"a ".to_vec();
        bytes.extend_from_slice(&quoted(&value));
        bytes.push(b';');
        let read = parse(&bytes).unwrap();
        prop_assert_eq!(read[0].arguments[0].value.as_slice(), value.as_slice());
    }

    #[test]
    fn tokens_follow_each_other(bytes in text()) {
        let mut lexer = Lexer::new(&bytes);
        let mut at = 0;
        while let Ok(Some(token)) = lexer.token() {
            prop_assert!(token.span.start >= at && token.span.end > token.span.start);
            at = token.span.end;
            let before = &bytes[..token.span.start];
            let lines = before.split(|byte| *byte == b'\n').count();
            prop_assert_eq!(token.span.line as usize, lines);
            if let TokenKind::Word(word) = token.kind {
                prop_assert!(word.value.len() <= word.span.end - word.span.start);
            }
        }
        prop_assert!(at <= bytes.len());
    }

    #[test]
    fn a_pattern_without_signs_matches_itself_only(name in "[a-z.]{1,6}", other in "[a-z.]{1,6}") {
        prop_assert!(matches(name.as_bytes(), name.as_bytes()));
        prop_assert_eq!(matches(name.as_bytes(), other.as_bytes()), name == other);
        let _ = matches(&[b"*".as_slice(), name.as_bytes(), b"*"].concat(), other.as_bytes());
    }
}

/// The tree as text, every word in quotes.
fn written(directives: &[Directive], source: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for directive in directives {
        for word in std::iter::once(&directive.name).chain(&directive.arguments) {
            text.extend_from_slice(&quoted(&word.value));
            text.push(b' ');
        }
        match &directive.body {
            Body::None => text.push(b';'),
            Body::Block(children) => {
                text.push(b'{');
                text.extend_from_slice(&written(children, source));
                text.push(b'}');
            }
            Body::Foreign(span) => {
                text.push(b'{');
                text.extend_from_slice(source.get(span.start..span.end).unwrap());
                text.push(b'}');
            }
        }
    }
    text
}
