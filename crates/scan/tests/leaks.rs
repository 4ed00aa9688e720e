//! No value of a secret leaves a scan: values are planted in every kind of file, and every output
//! is searched for them, as they are and in the forms in which values travel.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]

use std::path::Path;

use keywheel_scan::baseline::Baseline;
use keywheel_scan::literal::Marker;
use keywheel_scan::output::{Form, render};
use keywheel_scan::report::Report;
use keywheel_scan::scan::{Scan, scan};

/// A value as people make them, and one that only stands for one.
const VALUES: [&str; 2] = ["Zq7-planted-9fKw2Lx81", "changeme-planted-please"];

/// A file that ends within a string: it must not leak, and it need not be understood.
const CUT_OFF: &str = "web/half.js";

/// A file of each kind, with `@` where the value goes.
const FILES: &[(&str, &str)] = &[
    ("app/settings.py", "SECRET_KEY = '@'\nJWT = os.getenv('JWT_SECRET', '@')\n"),
    ("app/use.py", "import jwt\njwt.encode({}, '@', algorithm='HS256')\nFernet(b'@')\n"),
    ("app/broken.py", "SECRET_KEY = '@'\ndef (:\n  jwt.encode({}, '@'\n"),
    ("app/old.py", "print 'secret', '@'\nSECRET_KEY = \"@\"\n"),
    ("web/app.ts", "const secret = process.env.JWT_SECRET || '@';\njwt.sign({}, '@');\n"),
    ("web/app.js", "app.use(session({ secret: '@' }));\nexports.JWT_SECRET = \"@\";\n"),
    (CUT_OFF, "const jwtSecret = '@\n"),
    ("app/a.rb", "Rails.application.config.secret_key_base = '@'\nJWT.encode(p, '@')\n"),
    ("main.go", "package a\nvar jwtSecret = []byte(\"@\")\nvar _ = hmac.New(f, []byte(\"@\"))\n"),
    ("A.java", "class A { static final String SECRET_KEY = \"@\"; }\n"),
    ("a.php", "<?php define('AUTH_KEY', '@'); hash_hmac('sha256', $d, '@');\n"),
    (".env", "SECRET_KEY=@\nexport JWT_SECRET='@'\n"),
    ("compose.yml", "services:\n  web:\n    environment:\n      SECRET_KEY: '@'\n"),
    ("k8s.yaml", "kind: Secret\nstringData:\n  jwt-secret: @\n"),
    ("a.toml", "[app]\nsecret_key = \"@\"\n"),
    ("a.json", "{ \"secretKey\": \"@\" }\n"),
    ("a.ini", "[app]\nsecret_key = @\n"),
    ("a.properties", "jwt.secret=@\n"),
    ("Dockerfile", "FROM a\nENV SECRET_KEY=@\nARG JWT_SECRET=@\n"),
    ("run.sh", "export SECRET_KEY=@\nopenssl enc -k @ # secret\n"),
    ("a.service", "[Service]\nEnvironment=SECRET_KEY=@\n"),
    ("main.tf", "variable \"jwt_secret\" {\n  default = \"@\"\n}\n"),
    ("nginx.conf", "server {\n  set $secret \"@\";\n  secure_link_md5 \"$uri @\";\n}\n"),
    ("apache/site.conf", "<VirtualHost *:80>\nSetEnv SECRET_KEY @\n</VirtualHost>\n"),
    ("a.sql", "SELECT pgp_sym_encrypt('x', '@');\nALTER DATABASE a SET app.secret_key = '@';\n"),
    ("page.html", "<script>const secretKey = '@';</script>\n"),
];

fn planted(folder: &Path) {
    for (number, value) in VALUES.iter().enumerate() {
        for (name, text) in FILES {
            let path = folder.join(number.to_string()).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.replace('@', value)).unwrap();
        }
    }
}

fn scanned(folder: &Path) -> Report {
    let what = Scan {
        threads: 2,
        passwords: true,
        ..Scan::of_folder(folder, Marker::new(b"0123456789abcdef")).unwrap()
    };
    scan(what, &|_| {}).unwrap()
}

/// A value, and how it would look if somebody had written it in another form.
fn forms(value: &str) -> Vec<String> {
    let hex: Vec<_> = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let reversed: String = value.chars().rev().collect();
    let debugged = format!("{:?}", value.as_bytes());
    vec![value.to_owned(), hex.to_uppercase(), hex, base64(value.as_bytes()), reversed, debugged]
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    // Whole groups of three are the same whatever follows.
    for group in bytes.chunks_exact(3) {
        let number = group.iter().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.push(char::from(SIGNS[number >> shift & 63]));
        }
    }
    text
}

#[test]
fn no_output_has_a_value() {
    let folder = tempfile::tempdir().unwrap();
    planted(folder.path());
    let report = scanned(folder.path());
    let mut outputs: Vec<String> = [Form::Json, Form::Sarif, Form::Mermaid, Form::Dot, Form::Html]
        .into_iter()
        .map(|form| render(&report, form).unwrap())
        .collect();
    outputs.push(Baseline::of(&report).text().unwrap());
    outputs.push(format!("{report:?}"));
    for value in VALUES {
        for form in forms(value) {
            // A part is a leak too.
            let part: String = form.chars().take(12).collect();
            for output in &outputs {
                let found = output.find(&part).map(|at| &output[at.saturating_sub(80)..at]);
                assert_eq!(found, None, "{value} in an output");
            }
        }
    }
}

#[test]
fn the_planted_places_are_found() {
    let folder = tempfile::tempdir().unwrap();
    planted(folder.path());
    let report = scanned(folder.path());
    for (name, _) in FILES.iter().filter(|(name, _)| *name != CUT_OFF) {
        let path = format!("0/{name}");
        let is_there = report.findings.iter().any(|finding| finding.path == path);
        assert!(is_there, "nothing was found in {name}");
    }
}
