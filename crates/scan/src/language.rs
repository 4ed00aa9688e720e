//! Which reader a file gets: by its name, by the interpreter that it names, and, where names say
//! nothing, by its first lines. Files for people (documentation, translations), files that programs
//! wrote (lock files, bundles) and files that are no text get none.

use std::path::Path;

use crate::apache;
use crate::config::Format;
use crate::nginx::consumers::is_nginx;

/// What a reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Language {
    /// Python.
    Python,
    /// JavaScript and TypeScript, with or without JSX, and what stands around them in components.
    JavaScript,
    /// Ruby.
    Ruby,
    /// Go.
    Go,
    /// Java and Kotlin.
    Java,
    /// PHP.
    Php,
    /// A configuration file of this format.
    Config(Format),
    /// nginx's configuration.
    Nginx,
    /// Apache's configuration.
    Apache,
    /// SQL.
    Sql,
    /// Any other text: read by lines.
    Other,
}

impl Language {
    /// The name by which tables of rules know it, if it has functions.
    pub const fn of_rules(self) -> Option<&'static str> {
        match self {
            Self::Python => Some("python"),
            Self::JavaScript => Some("javascript"),
            Self::Ruby => Some("ruby"),
            Self::Go => Some("go"),
            Self::Java => Some("java"),
            Self::Php => Some("php"),
            _ => None,
        }
    }
}

/// Endings of files in which nothing is configured and nothing runs.
const NOT_READ: &[&str] = &[
    "7z", "a", "adoc", "apk", "asc", "avi", "avif", "bin", "bmp", "br", "bz2", "class", "css",
    "csv", "dat", "db", "deb", "dia", "dll", "doc", "docx", "dylib", "ear", "eot", "eps", "exe",
    "gif", "gz", "ico", "ics", "icns", "jar", "jpeg", "jpg", "jsonl", "ko", "less", "lock", "log",
    "map", "markdown", "md", "mdx", "mo", "mov", "mp3", "mp4", "ndjson", "o", "ods", "odt", "ogg",
    "otf", "parquet", "patch", "diff", "pdf", "pickle", "pkl", "png", "po", "pot", "ppt", "pptx",
    "psd", "pyc", "pyd", "rar", "rpm", "rst", "rtf", "sass", "scss", "snap", "so", "sqlite",
    "sqlite3", "strings", "sum", "svg", "tar", "tgz", "tif", "tiff", "tsv", "ttf", "txt", "war",
    "wasm", "wav", "webm", "webp", "whl", "woff", "woff2", "xcf", "xls", "xlsx", "xlf", "xliff",
    "xz", "zip", "zst", "crt", "cer", "csr", "der", "p12", "pfx", "jks", "pub",
];

/// Whole names of files that programs write or that only people read.
const NOT_READ_NAMES: &[&str] = &[
    ".gitattributes",
    ".gitignore",
    ".mailmap",
    "authors",
    "changelog",
    "changes",
    "contributors",
    "copying",
    "licence",
    "license",
    "license-apache",
    "license-mit",
    "npm-shrinkwrap.json",
    "notice",
    "readme",
];

/// Endings that say of what is before them that it is an example or a template of it.
const AROUND: &[&str] = &[
    "bak",
    "ci",
    "default",
    "defaults",
    "dev",
    "development",
    "dist",
    "docker",
    "ejs",
    "enc",
    "erb",
    "example",
    "gotmpl",
    "hbs",
    "in",
    "j2",
    "jinja",
    "jinja2",
    "local",
    "m4",
    "mustache",
    "orig",
    "prod",
    "production",
    "sample",
    "staging",
    "template",
    "test",
    "testing",
    "tmpl",
    "tpl",
];

/// Endings of configuration files.
const CONFIG_ENDINGS: &[&str] =
    &["cfg", "cnf", "ejson", "ini", "json", "json5", "jsonc", "properties", "toml", "yaml", "yml"];

/// How much of a file is looked at where its name says nothing.
const LOOK_BYTES: usize = 16 * 1024;

/// The language of a file; none if it is not read.
///
/// ```
/// use keywheel_scan::language::{Language, of};
/// assert_eq!(of("deploy/nginx.conf.template".as_ref(), b""), Some(Language::Nginx));
/// assert_eq!(of("run".as_ref(), b"#!/usr/bin/env python3\n"), Some(Language::Python));
/// assert_eq!(of("docs/keys.md".as_ref(), b""), None);
/// ```
pub fn of(path: &Path, text: &[u8]) -> Option<Language> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let folders = path.parent().map(|at| at.to_string_lossy().to_ascii_lowercase());
    let folders = folders.unwrap_or_default();
    if NOT_READ_NAMES.contains(&name.as_str()) || is_bundle(&name) || is_translation(&folders) {
        return None;
    }
    let mut bare = name.as_str();
    while let Some((before, last)) = bare.rsplit_once('.')
        && AROUND.contains(&last)
        && !before.is_empty()
    {
        bare = before;
    }
    if NOT_READ.contains(&ending(bare)) || NOT_READ.contains(&ending(&name)) {
        return None;
    }
    let head = text.get(..text.len().min(LOOK_BYTES)).unwrap_or_default();
    if name.starts_with(".env.") {
        // `.env.ci.pgsql`: what stands behind says for what it is, and not what.
        return Some(Language::Config(Format::Env));
    }
    if let Some(language) = by_name(path, bare, &folders, head) {
        return Some(language);
    }
    if let Some(format) = Format::of(path).or_else(|| Format::of(&path.with_file_name(bare))) {
        return Some(Language::Config(format));
    }
    // What has the ending of a configuration and is none, such as a manifest, holds no keys.
    if CONFIG_ENDINGS.contains(&ending(bare)) {
        return None;
    }
    let text = String::from_utf8_lossy(head);
    let by_head = by_interpreter(head).or_else(|| by_look(&text));
    let by_head = by_head.or_else(|| of_server(path, &text));
    let by_head = by_head.or_else(|| is_env(&text).then_some(Language::Config(Format::Env)));
    let by_head = by_head.or_else(|| is_ini(&text).then_some(Language::Config(Format::Ini)));
    Some(by_head.unwrap_or_else(|| of_nameless(&name, &folders)))
}

fn ending(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// Bundles and generated code.
fn is_bundle(name: &str) -> bool {
    [".min.js", ".min.mjs", ".min.css", ".bundle.js", ".chunk.js", ".pb.go", "_pb2.py", ".d.ts"]
        .into_iter()
        .any(|end| name.ends_with(end))
}

fn is_translation(folders: &str) -> bool {
    folders
        .split(['/', '\\'])
        .any(|one| matches!(one, "locale" | "locales" | "i18n" | "translations" | "lang" | "langs"))
}

fn by_name(path: &Path, name: &str, folders: &str, head: &[u8]) -> Option<Language> {
    match name {
        "gemfile" | "rakefile" | "capfile" | "guardfile" | "vagrantfile" | "config.ru" => {
            return Some(Language::Ruby);
        }
        "makefile" | "justfile" => return Some(Language::Config(Format::Shell)),
        "jenkinsfile" => return Some(Language::Java),
        ".htaccess" | "httpd.conf" | "apache2.conf" => return Some(Language::Apache),
        "nginx.conf" => return Some(Language::Nginx),
        _ => {}
    }
    Some(match ending(name) {
        "py" | "pyw" | "pyi" | "wsgi" => Language::Python,
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" | "vue" | "svelte"
        | "astro" | "njs" => Language::JavaScript,
        "rb" | "rake" | "ru" | "gemspec" | "jbuilder" => Language::Ruby,
        "go" => Language::Go,
        "java" | "kt" | "kts" | "groovy" | "gradle" => Language::Java,
        "php" | "phtml" | "inc" => Language::Php,
        "nginx" | "vhost" | "server_conf" => Language::Nginx,
        "sql" | "pgsql" | "psql" | "plpgsql" | "ddl" => Language::Sql,
        "conf" | "config" => of_conf(path, folders, name, head),
        _ => return None,
    })
}

/// Files named `.conf` are of nginx, Apache, systemd, or lists of `key = value`.
fn of_conf(path: &Path, folders: &str, name: &str, head: &[u8]) -> Language {
    let text = String::from_utf8_lossy(head);
    if let Some(look) = by_look(&text).or_else(|| of_server(path, &text)) {
        return look;
    }
    let is_of = |word: &str| folders.contains(word) || name.contains(word);
    if is_of("nginx") || is_of("openresty") {
        Language::Nginx
    } else if is_of("apache") || is_of("httpd") {
        Language::Apache
    } else if is_of(".service.d") || is_of("systemd") {
        Language::Config(Format::Systemd)
    } else {
        Language::Config(Format::Ini)
    }
}

/// Whether a text has lines of a web server.
fn of_server(path: &Path, text: &str) -> Option<Language> {
    if apache::is_apache(path, text) {
        Some(Language::Apache)
    } else {
        is_nginx(path, text).then_some(Language::Nginx)
    }
}

fn by_interpreter(head: &[u8]) -> Option<Language> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words =
        line.split_ascii_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let program = words.find(|word| !matches!(*word, "env" | "-S" | "with-contenv"));
    let program = program.unwrap_or("sh").trim_end_matches(|one: char| !one.is_alphabetic());
    match program {
        "python" | "pypy" => Some(Language::Python),
        "node" | "nodejs" | "deno" | "bun" | "tsx" | "ts-node" => Some(Language::JavaScript),
        "ruby" => Some(Language::Ruby),
        "php" => Some(Language::Php),
        "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash" | "execlineb" | "bashio" => {
            Some(Language::Config(Format::Shell))
        }
        _ => None,
    }
}

/// What the first lines look like, where they begin with words that only one language has.
fn by_look(text: &str) -> Option<Language> {
    let mut units = 0;
    for line in text.lines().map(str::trim).take(400) {
        let first = line.split([' ', '\t', '{', ';', '>', '=']).next().unwrap_or_default();
        let is_block = line.ends_with('{');
        let is_nginx = match first {
            "server" | "http" | "events" | "stream" | "geo" => is_block,
            "location" | "upstream" | "map" => is_block || line.ends_with("{}"),
            "proxy_pass"
            | "proxy_set_header"
            | "fastcgi_pass"
            | "fastcgi_param"
            | "ssl_certificate_key"
            | "auth_jwt_key_file"
            | "js_import"
            | "secure_link_md5"
            | "worker_processes"
            | "add_header"
            | "uwsgi_pass" => line.contains(';'),
            _ => false,
        };
        if is_nginx {
            return Some(Language::Nginx);
        }
        match first {
            "<VirtualHost"
            | "<Directory"
            | "<Location"
            | "<IfModule"
            | "LoadModule"
            | "SSLCertificateKeyFile"
            | "RewriteEngine"
            | "<Files"
            | "<Proxy" => {
                return Some(Language::Apache);
            }
            "<?php" => return Some(Language::Php),
            "[Unit]" | "[Service]" | "[Install]" => units += 1,
            _ => {}
        }
        if units > 0 {
            return Some(Language::Config(Format::Systemd));
        }
    }
    None
}

/// Whether a text has nothing but variables of an environment, and comments: at least three of
/// them, one a line.
fn is_env(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).take(400);
    let mut count = 0_usize;
    let is_all = lines.all(|line| {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, _)) = line.split_once('=') else {
            return line.is_empty() || line.starts_with('#');
        };
        count += usize::from(!line.starts_with('#'));
        let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        line.starts_with('#') || (!name.is_empty() && name.bytes().all(is_part))
    });
    is_all && count >= 3
}

/// Whether a text has nothing but comments, `[section]`s and lines of `name = value`, and begins
/// with a section.
fn is_ini(text: &str) -> bool {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let is_section = |line: &str| line.starts_with('[') && line.ends_with(']');
    let is_entry = |line: &str| {
        line.split_once(['=', ':']).is_some_and(|(name, _)| {
            let name = name.trim();
            !name.is_empty() && !name.contains([' ', '(', '"', '{', '<'])
        })
    };
    lines.next().is_some_and(is_section)
        && lines.clone().any(is_entry)
        && lines.take(400).all(|line| is_section(line) || is_entry(line))
}

/// Files whose names and looks say nothing.
fn of_nameless(name: &str, folders: &str) -> Language {
    let is_chart = folders.split('/').any(|one| one == "templates") && ending(name) == "tpl";
    if is_chart { Language::Config(Format::Yaml) } else { Language::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_language() {
        use Format as F;
        use Language as L;
        for (path, language) in [
            ("app/settings.py", L::Python),
            ("src/app.tsx", L::JavaScript),
            ("Gemfile", L::Ruby),
            ("main.go", L::Go),
            ("Auth.kt", L::Java),
            ("index.php", L::Php),
            (".env", L::Config(F::Env)),
            (".env.example", L::Config(F::Env)),
            ("env-example-relational", L::Config(F::Env)),
            ("docker/prod.env.dist", L::Config(F::Env)),
            ("deploy/values.yaml", L::Config(F::Yaml)),
            ("chart/templates/_helpers.tpl", L::Config(F::Yaml)),
            ("pyproject.toml", L::Config(F::Toml)),
            ("appsettings.json", L::Config(F::Json)),
            ("app.cfg", L::Config(F::Ini)),
            ("application.properties", L::Config(F::Ini)),
            ("Dockerfile.prod", L::Config(F::Dockerfile)),
            ("entry.sh", L::Config(F::Shell)),
            ("app.service", L::Config(F::Systemd)),
            ("main.tf", L::Config(F::Hcl)),
            ("nginx/site.conf", L::Nginx),
            ("etc/httpd/site.conf", L::Apache),
            ("my.conf", L::Config(F::Ini)),
            ("0001_keys.sql", L::Sql),
            ("page.html", L::Other),
            ("config/secrets.yml.erb", L::Config(F::Yaml)),
            ("Makefile", L::Config(F::Shell)),
        ] {
            assert_eq!(of(path.as_ref(), b""), Some(language), "{path}");
        }
        for path in [
            "README.md",
            "yarn.lock",
            "a.min.js",
            "logo.png",
            "locale/de.yml",
            "go.sum",
            "tsconfig.json",
        ] {
            assert_eq!(of(path.as_ref(), b""), None, "{path}");
        }
    }

    #[test]
    fn looks_say_it_where_names_do_not() {
        let look = |text: &str| of("site.conf".as_ref(), text.as_bytes());
        assert_eq!(look("# a\nserver {\n listen 80;\n}\n"), Some(Language::Nginx));
        assert_eq!(look("<VirtualHost *:80>\n</VirtualHost>\n"), Some(Language::Apache));
        assert_eq!(look("[Service]\nEnvironment=A=b\n"), Some(Language::Config(Format::Systemd)));
        assert_eq!(look("secret_key = x\n"), Some(Language::Config(Format::Ini)));
        let run = |text: &str| of("run".as_ref(), text.as_bytes());
        assert_eq!(run("#!/usr/bin/env bash\n"), Some(Language::Config(Format::Shell)));
        assert_eq!(run("#!/usr/bin/python3.12 -u\n"), Some(Language::Python));
        assert_eq!(run("hello"), Some(Language::Other));
        let variables = "# the shop\nPORT=80\n\nexport HOST=a\nSECRET_KEY=plum\n";
        assert_eq!(run(variables), Some(Language::Config(Format::Env)));
        assert_eq!(run("A=1\nB=2\n"), Some(Language::Other));
        assert_eq!(run("A=1\nB=2\nC=3\nplain words = 4\n"), Some(Language::Other));
        let settings = "# of the client\n[client]\nhost = x\nclient_secret = plum\n";
        assert_eq!(
            of("clientrc".as_ref(), settings.as_bytes()),
            Some(Language::Config(Format::Ini))
        );
        assert_eq!(run("[client]\nprint(secret == 1)\n"), Some(Language::Other));
        let sample = of("settings.example".as_ref(), variables.as_bytes());
        assert_eq!(sample, Some(Language::Config(Format::Env)));
        let of_database = of("tests/.env.ci.pgsql".as_ref(), b"A=1\n");
        assert_eq!(of_database, Some(Language::Config(Format::Env)));
    }
}
