//! Programs in every language that the scanner reads without a grammar, and text by lines: tokens
//! stand in order within the text, brackets agree with their mates, and whatever is found stands at
//! a line that the text has.

#![no_main]

use keywheel_scan::code::{self, Dialect, Kind, tokens};
use keywheel_scan::lines;
use keywheel_scan::rules::Rules;
use keywheel_scan::site::Sites;
use keywheel_scan::source::SourceFile;

keywheel_fuzz::target!(seeds: vec![JAVASCRIPT, RUBY, GO, JAVA, KOTLIN, PHP],
|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let dialect = Dialect::ALL[usize::from(*first) % Dialect::ALL.len()];
    let read = tokens(&text, dialect, first & 128 != 0);
    let mut end = 0;
    for token in &read.all {
        assert!(token.start >= end && token.end >= token.start, "tokens stand in order");
        assert!(text.get(token.start as usize..token.end as usize).is_some(), "tokens are text");
        end = token.end;
    }
    for at in 0..read.len() {
        let _ = (read.string(at), read.name(at), read.kind(at) == Some(Kind::Str));
    }
    let rules = rules();
    let file = SourceFile::new("fuzz".as_ref(), &text);
    let lines_of_text = u32::try_from(text.lines().count().max(1)).unwrap_or(u32::MAX) + 1;
    for by_lines in [false, true] {
        let mut sites = Sites::default();
        if by_lines {
            lines::read(&file, rules, &mut sites).expect("lines can always be read");
        } else {
            code::read(&file, dialect, rules, &mut sites).expect("it is short");
        }
        for site in &sites.found {
            assert!((1..=lines_of_text).contains(&site.at.line), "it stands in the file");
            assert!(!site.rule.is_empty());
        }
    }
});

fn rules() -> &'static Rules {
    static RULES: std::sync::OnceLock<Rules> = std::sync::OnceLock::new();
    RULES.get_or_init(|| {
        let mut rules = Rules::default();
        for table in code::TABLES {
            rules.add(table).expect("the tables are well formed");
        }
        rules
    })
}

const JAVASCRIPT: &str = r#"0
import jwt, { verify as v } from 'jsonwebtoken';
const key = process.env.JWT_SECRET ?? `a${b + `c${d}`}`; /x["']/.test(e);
export class A { static k = 'x1'; constructor() { this.secret = key; } m({ a = 1 }) { return <p>it's</p>; } }
app.use(session({ secret: ['a1', process.env["B_SECRET"]] })); v(t, (h, cb) => cb(null, key));
"#;

const RUBY: &str = r##"1
class A < B
  KEY = ENV.fetch("SECRET_KEY") { "d#{x}" } if y
  def initialize(a:, b: 1) = @secret ||= %w[a b].first
  def tag(x) ; OpenSSL::HMAC.hexdigest "SHA1", secret, <<~T ; end
    text
  T
  x.each do |y| while z do end end
end
=begin
=end
"##;

const GO: &str = "2\npackage a\nimport (\n j \"x/jwt/v5\"\n)\ntype C struct {\n S string `env:\"JWT_SECRET\"`\n}\nfunc (c *C) F(a []byte) (string, error) { return t.SignedString([]byte(c.S)) }\n";

const JAVA: &str = "3\nclass A { @Value(\"${jwt.secret:x1}\") String s; A() { this.k = Keys.hmacShaKeyFor(s.getBytes()); } Runnable r = () -> { mac.init(k); }; String t = \"\"\"\n a \"\"\"; }\n";

const KOTLIN: &str = "4\nclass A(@Value(\"\\${k}\") val secret: String) { val x = \"a${b.map { \"c\" }}\" ?: \"d1\"; fun f(): Int = 1 }\n";

const PHP: &str = "5<p><?php use A\\JWT as J; class T { private $secret = \"a{$b['c']}\"; function f($k) { return J::encode([], $k ?: 'x1'); } }\n$x = <<<EOT\n a\n EOT; ?></p>";
