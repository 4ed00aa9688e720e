//! What in a configuration of Apache's httpd holds or uses a key. httpd reads it at a restart and
//! keeps it, so none of it takes a new key by itself. Findings are of the same kind as those of
//! nginx: that of web servers.

use std::borrow::Cow;
use std::path::Path;

use crate::config::entry_class;
use crate::finding::{Class, Does, Kind, Scope, Source};
use crate::literal::Literal;
use crate::rules::Rules;
use crate::site::{Hot, Link, Site, Sites, Unreadable};
use crate::source::SourceFile;

const REASON: &str = "httpd reads it at a restart and keeps it until the next one";
const REMEDY: &str = "let keywheel agent write an included file and ask for a graceful restart";

/// Lines that begin so are at home here.
const LINES: &[&str] = &[
    "<VirtualHost",
    "<Directory",
    "<Location",
    "<IfModule",
    "<Files",
    "LoadModule ",
    "RewriteEngine ",
    "SSLEngine ",
    "SSLCertificate",
    "RequestHeader ",
    "DocumentRoot ",
    "ProxyPass",
    "SetEnv ",
    "PassEnv ",
    "SetEnvIf ",
    "OIDC",
    "AuthType ",
    "SessionCrypto",
    "RewriteRule ",
    "RewriteCond ",
];

/// Directives whose argument is a key or its file, in lower case.
const DIRECTIVES: &[(&str, bool, Does)] = &[
    ("sslcertificatekeyfile", true, Does::Signs),
    ("sslsessionticketkeyfile", true, Does::EncryptsAndDecrypts),
    ("sslproxymachinecertificatefile", true, Does::Signs),
    ("sessioncryptopassphrase", false, Does::EncryptsAndDecrypts),
    ("sessioncryptopassphrasefile", true, Does::EncryptsAndDecrypts),
    ("oidcclientsecret", false, Does::Authenticates),
    ("oidcoauthclientsecret", false, Does::Authenticates),
    ("oidccryptopassphrase", false, Does::EncryptsAndDecrypts),
    ("oidcprivatekeyfiles", true, Does::Decrypts),
    ("oidcclienttokenendpointkey", true, Does::Signs),
    ("oidcoauthverifysharedkeys", false, Does::Verifies),
    ("oidcoauthverifycertfiles", true, Does::Verifies),
    ("authjwtsignaturesharedsecret", false, Does::SignsAndVerifies),
    ("authjwtsignatureprivatekeyfile", true, Does::Signs),
    ("authjwtsignaturepublickeyfile", true, Does::Verifies),
    ("tktauthsecret", false, Does::SignsAndVerifies),
    ("auth_openidc_secret", false, Does::Authenticates),
    ("mellonspprivatekeyfile", true, Does::Signs),
    ("casssosecret", false, Does::Authenticates),
];

/// Whether a file is a configuration of httpd, or a fragment of one.
///
/// ```
/// use keywheel_scan::apache::is_apache;
/// assert!(is_apache("site.conf".as_ref(), "<VirtualHost *:80>\n  SSLEngine on\n"));
/// assert!(!is_apache("site.conf".as_ref(), "server {\n  listen 80;\n}\n"));
/// ```
pub fn is_apache(path: &Path, text: &str) -> bool {
    let end = path.extension().map_or(&b"conf"[..], |end| end.as_encoded_bytes());
    let ends: [&[u8]; 9] =
        [b"conf", b"htaccess", b"vhost", b"inc", b"template", b"tpl", b"j2", b"erb", b"dist"];
    if !ends.contains(&end) {
        return false;
    }
    let is_at_home = path.components().any(|part| {
        let part = part.as_os_str().as_encoded_bytes();
        part.starts_with(b".htaccess")
            || part.starts_with(b"httpd")
            || memchr::memmem::find(part, b"apache").is_some()
    });
    let needed = if is_at_home { 1 } else { 2 };
    let lines = text.lines().take(2000).map(str::trim).filter(|line| {
        !line.ends_with([';', '{']) && LINES.iter().any(|start| line.starts_with(start))
    });
    lines.take(needed).count() == needed
}

/// Reads a configuration or a fragment of one.
///
/// # Errors
/// Never; what httpd would refuse is passed over.
pub fn read(file: &SourceFile<'_>, _: &Rules, sites: &mut Sites) -> Result<(), Unreadable> {
    for (start, line) in file.lines() {
        let content = line.trim_start();
        if !content.starts_with('#') {
            directive(content, start + line.len() - content.len(), file, sites);
        }
    }
    Ok(())
}

/// What a place holds.
#[derive(Clone, Copy)]
enum Held<'h> {
    Literal(&'h str),
    File,
    Environment(&'h str),
    Program,
}

fn directive(line: &str, at: usize, file: &SourceFile<'_>, sites: &mut Sites) {
    let words: Vec<&str> = words(line).take(16).collect();
    let Some(name) = words.first() else { return };
    let folded = name.to_ascii_lowercase();
    let mut push = |rule: &str, name: &str, held, does| {
        sites.found.push(site(rule, name, held, does, file, at));
    };
    let rest = words.get(1..).unwrap_or_default();
    match (folded.as_str(), rest) {
        (folded, [value, ..]) if DIRECTIVES.iter().any(|(known, ..)| *known == folded) => {
            let known = DIRECTIVES.iter().find(|(known, ..)| *known == folded);
            let Some((_, is_file, does)) = known else { return };
            push(&folded.replace('_', "-"), name, held(value, *is_file), Some(*does));
        }
        ("setenv" | "define", [key, value, ..]) if entry_class(key).is_some() => {
            push("setenv", key, held(value, value.starts_with('/')), None);
        }
        ("passenv", keys) => {
            for key in keys.iter().filter(|key| entry_class(key).is_some()) {
                push("passenv", key, Held::Environment(key), None);
            }
        }
        ("requestheader" | "header", [action, header, value, ..])
            if matches!(*action, "set" | "add" | "append" | "setifempty")
                && is_credential(header)
                && !value.contains("%{")
                && value.len() > 3 =>
        {
            push("request-header", header, held(value, false), Some(Does::Authenticates));
        }
        ("rewritecond" | "<if" | "setenvif", [subject, pattern, ..])
            if subject_of(subject).is_some_and(is_credential) =>
        {
            let value = pattern.trim_start_matches(['!', '^', '=']).trim_end_matches(['$', '>']);
            let is_value = value.len() > 4 && !value.contains(['(', '[', '*', '+', '\\', '%']);
            if let (true, Some(header)) = (is_value, subject_of(subject)) {
                push("rewrite-cond", header, held(value, false), Some(Does::Authenticates));
            }
        }
        ("proxypass" | "proxypassmatch" | "balancermember", options) => {
            let secret = options.iter().find_map(|option| option.strip_prefix("secret="));
            if let Some(value) = secret {
                push("proxy-secret", "secret", held(value, false), Some(Does::Authenticates));
            }
        }
        _ => {}
    }
}

/// The header in `%{HTTP:X-Api-Key}`.
fn subject_of(subject: &str) -> Option<&str> {
    let (_, rest) = subject.split_once("%{HTTP:")?;
    rest.split('}').next()
}

fn is_credential(header: &str) -> bool {
    header.eq_ignore_ascii_case("authorization")
        || entry_class(header.trim_start_matches(['X', 'x', '-'])).is_some()
        || header.to_ascii_lowercase().ends_with("-token")
}

fn held(value: &str, is_file: bool) -> Held<'_> {
    if value.starts_with("exec:") || value.starts_with('|') {
        return Held::Program;
    }
    if let Some(name) = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        return Held::Environment(name);
    }
    let value = ["Bearer ", "Basic ", "Token "]
        .iter()
        .find_map(|scheme| value.strip_prefix(scheme))
        .unwrap_or(value);
    if is_file { Held::File } else { Held::Literal(value) }
}

fn site(
    rule: &str,
    name: &str,
    held: Held<'_>,
    does: Option<Does>,
    file: &SourceFile<'_>,
    at: usize,
) -> Site {
    let mut site = Site::new(Kind::Nginx, format!("apache/{rule}"), file.position(at));
    site.name = Some(name.to_owned());
    site.links = vec![Link::Setting(name.to_owned())];
    let is_public = name.to_ascii_lowercase().contains("public") || name.contains("VerifyCert");
    let class = entry_class(name).filter(|class| *class != Class::Password);
    site.class = if is_public { Class::Public } else { class.unwrap_or(Class::Key) };
    site.scope = Some(Scope::Module);
    (site.hot, site.reason) = (Hot::No, Cow::Borrowed(REASON));
    site.remedy = Some(Cow::Borrowed(REMEDY));
    if does.is_some() {
        site.sink = Some(name.to_owned());
    }
    site.does = does;
    match held {
        Held::Literal(value) => {
            (site.source, site.literal) = (Source::Literal, Some(Literal::new(value)));
        }
        Held::File => site.source = Source::File,
        Held::Program => site.source = Source::SecretStore,
        Held::Environment(other) => {
            site.source = Source::Environment;
            site.links.push(Link::Setting(other.to_owned()));
        }
    }
    site
}

/// The words of a line, without quotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let quote = rest.chars().next().filter(|letter| matches!(letter, '"' | '\''));
        let (word, after) = match quote {
            Some(quote) => {
                let inner = rest.get(1..).unwrap_or_default();
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            None if rest.is_empty() => return None,
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        rest = after;
        Some(word)
    })
}
