//! Configuration files of every format, web servers and SQL: whatever is read as one is read to its
//! end or refused for its depth, and every place lies within the text.

#![no_main]

use keywheel_scan::rules::Rules;
use keywheel_scan::site::Sites;
use keywheel_scan::source::SourceFile;
use keywheel_scan::sql::{Within, sites_in};
use keywheel_scan::{apache, config, nginx, sql};

const NAMES: &[&str] = &[
    ".env",
    "a.yml",
    "a.json",
    "a.toml",
    "a.ini",
    "Dockerfile",
    "a.sh",
    "a.service",
    "a.tf",
    "a.xml",
    "nginx.conf",
];

keywheel_fuzz::target!(seeds: vec![YAML, ENV, NGINX, SQL, TERRAFORM, JSON], |input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
    let rules = Rules::default();
    for name in NAMES {
        let file = SourceFile::new(name.as_ref(), &text);
        let mut sites = Sites::default();
        let _ = config::read(&file, &rules, &mut sites);
        let _ = nginx::consumers::read(&file, &rules, &mut sites);
        let _ = apache::read(&file, &rules, &mut sites);
        let _ = sql::read(&file, &rules, &mut sites);
        for site in &sites.found {
            assert!(site.at.line >= 1 && site.at.line <= lines, "a place lies outside of the text");
            assert!(site.at.column >= 1);
            assert!(!site.reason.is_empty());
        }
    }
    for within in [Within::Sql, Within::Code] {
        for site in sites_in(&text, within) {
            assert!(text.is_char_boundary(site.offset) && site.offset < text.len());
        }
    }
});

const YAML: &str = "a:\n  - name: JWT_SECRET\n    value: ${X:-plum}\n  - {b: [c, \"d\"], e: |\n";
const ENV: &str = "export SECRET_KEY=\"plum\n\"\nA=${{ secrets.B_TOKEN }} # c\n";
const NGINX: &str = "map $a $secret { default \"plum\"; }\nset $secret {{ key }};\n\
                     if ($http_x_api_key = \"plum\") {\n";
const SQL: &str = "SELECT pgp_sym_encrypt(a, $$b$$), 'x''y' FROM t;\n\
                   SET app.jwt_secret = E'a\\'b';\n\\set jwt_secret 1\n";
const TERRAFORM: &str = "variable \"jwt_secret\" {\n  default = \"plum\"\n}\n\
                         a = jsonencode([{ name = \"X\", value = <<E\nE\n}])\n";
const JSON: &str = "{\"a\": {\"secret\": \"plum\", /* c */ \"b\": [1, {\"key\": null}]}} // d\n";
