//! What the rules find in configurations of nginx, what they leave alone, and that nginx does what
//! they say it does.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use keywheel_scan::nginx::follow;
use keywheel_scan::nginx::lint::{Finding, Limits, Weight, lint};

/// An endpoint that every rule is content with.
const GOOD_LOCATION: &str = r#"
    location = /_auth {
        internal;
        proxy_pass http://authz/check;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }
"#;

const GOOD_UPSTREAM: &str = "upstream authz { server unix:/run/authz.sock; keepalive 16; }";

fn found_in(files: &[(&str, &str)]) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let (main, _) = files.first().unwrap();
    let configuration = follow(&folder.path().join(main)).unwrap();
    lint(&configuration, Limits::default()).unwrap()
}

/// The findings of one file, each as rule and line, without what every file here lacks or has.
fn found(text: &str) -> Vec<(&'static str, u32)> {
    let text = format!("worker_shutdown_timeout 30s; {text}");
    let found = found_in(&[("nginx.conf", &text)]);
    assert!(found.iter().all(|one| !one.why.is_empty() && !one.remedy.is_empty()));
    found.iter().map(|one| (one.rule, one.line)).collect()
}

/// A server with a good endpoint and something more.
fn guarded(more: &str) -> String {
    format!("http {{ {GOOD_UPSTREAM} server {{ {GOOD_LOCATION} {more} }} }}")
}

/// A server with this in the endpoint, besides what is good about it.
fn endpoint(more: &str) -> String {
    let location = GOOD_LOCATION.replace("internal;", &format!("internal; {more}"));
    let asks = "location / { auth_request /_auth; proxy_pass http://app; }";
    format!("http {{ {GOOD_UPSTREAM} server {{ {location} {asks} }} }}")
}

fn rules(text: &str) -> Vec<&'static str> {
    found(text).into_iter().map(|(rule, _)| rule).collect()
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    assert_eq!(rules(&endpoint("")), [""; 0]);
    assert_eq!(rules("events {}"), [""; 0]);
    assert_eq!(rules("stream { server { listen 1; return ok; } }"), [""; 0]);
}

#[test]
fn return_beside_auth_request() {
    let rule = "return-beside-auth-request";
    let with = |location: &str| rules(&guarded(location));
    assert_eq!(with("location / { auth_request /_auth; return 200 secret; }"), [rule]);
    assert_eq!(with("location / { auth_request /_auth; return 204; }"), [rule]);
    // What an outer block says holds within; what an inner one says, more.
    assert_eq!(with("auth_request /_auth; location / { return 200 x; }"), [rule]);
    assert_eq!(with("auth_request /_auth; location / { location /a { return 200 x; } }"), [rule]);
    assert_eq!(with("auth_request /_auth; return 200 x;"), [rule]);
    assert_eq!(with("location / { auth_request /_auth; if ($a) { return 200 x; } }"), [rule]);
    let none: [&str; 0] = [];
    assert_eq!(with("auth_request /_auth; location / { auth_request off; return 200 x; }"), none);
    assert_eq!(with("location / { return 200 x; }"), none);
    for harmless in
        ["return 403;", "return 302 /login;", "return https://$host$uri;", "return 444;"]
    {
        assert_eq!(with(&format!("location / {{ auth_request /_auth; {harmless} }}")), none);
    }
    // How preflight requests are answered.
    assert_eq!(with("location / { auth_request /_auth; if ($cors) { return 204; } }"), none);
    // Only an internal redirect leads there, from where it was asked.
    assert_eq!(with("auth_request /_auth; location @in { return 200 x; }"), none);
    assert_eq!(with("auth_request /_auth; location /i { internal; return 200 x; }"), none);
    // Whoever comes by itself is asked about, and would pass.
    let open = "location / { auth_request /_auth2; return 200 x; }";
    assert!(with(open).contains(&rule));
    // The request that asks is not asked about.
    let own = "auth_request /_own; location = /_own { internal; return 200; }";
    assert_eq!(with(own), none);
}

#[test]
fn auth_cache_key_without_token() {
    let rule = "auth-cache-key-without-token";
    let with = |more: &str| rules(&endpoint(&format!("proxy_cache auth; {more}")));
    assert_eq!(with(""), [rule], "the default key has no header in it");
    assert_eq!(with("proxy_cache_key $uri;"), [rule]);
    assert_eq!(with("proxy_cache_key \"$scheme://${host}$request_uri\";"), [rule]);
    assert_eq!(with("proxy_cache_key constant;"), [rule]);
    let none: [&str; 0] = [];
    assert_eq!(with("proxy_cache_key $http_authorization;"), none);
    assert_eq!(with("proxy_cache_key $uri$cookie_session;"), none);
    assert_eq!(with("proxy_cache_key $my_token_key;"), none, "nobody knows what it holds");
    assert_eq!(rules(&endpoint("proxy_cache off;")), none);
    // A cache of the application is not one of the verdicts.
    let app = "location / { auth_request /_auth; proxy_pass http://app; proxy_cache app; }";
    assert_eq!(rules(&guarded(app)), none);
}

#[test]
fn auth_answer_cached() {
    let rule = "auth-answer-cached";
    let with = |more: &str| {
        let key = "proxy_cache auth; proxy_cache_key $http_authorization;";
        rules(&endpoint(&format!("{key} {more}")))
    };
    assert_eq!(with("proxy_cache_valid 10s;"), [rule]);
    assert_eq!(with("proxy_cache_valid 200 401 1m30s;"), [rule]);
    assert_eq!(with("proxy_cache_valid any 1h;"), [rule]);
    let none: [&str; 0] = [];
    assert_eq!(with("proxy_cache_valid 200 2s;"), none);
    assert_eq!(with("proxy_cache_valid 401 10s;"), none, "a refusal that lives on lets nobody in");
    assert_eq!(with("proxy_cache_valid 200 soon;"), none, "nginx refuses it by itself");

    let text = endpoint(
        "proxy_cache a; proxy_cache_key $http_authorization; proxy_cache_valid 10s; \
         proxy_ignore_headers Expires Cache-Control;",
    );
    let text = format!("worker_shutdown_timeout 30s; {text}");
    let found = found_in(&[("nginx.conf", &text)]);
    assert_eq!(found[0].weight, Weight::Danger, "no-store is not heeded");
    assert!(found[0].why.contains("for 10 s by cached answers, where 2 s are allowed"));
}

#[test]
fn auth_upstream_without_keepalive() {
    let rule = "auth-upstream-without-keepalive";
    let none: [&str; 0] = [];
    let without = |from: &str, to: &str| rules(&endpoint("").replacen(from, to, 1));
    assert_eq!(without("keepalive 16;", ""), [rule]);
    assert_eq!(without("keepalive 16;", "keepalive 0;"), [rule]);
    assert_eq!(without("http://authz/check", "http://127.0.0.1:7117/authz"), [rule]);
    assert_eq!(without("http://authz/check", "http://unix:/run/a.sock:/authz"), [rule]);
    assert_eq!(without("proxy_http_version 1.1;", ""), [rule]);
    assert_eq!(without("proxy_set_header Connection \"\";", ""), [rule]);
    assert_eq!(without("Connection \"\"", "Connection close"), [rule]);
    // Nobody knows where that leads.
    assert_eq!(without("http://authz/check", "http://$somewhere"), none);
    assert_eq!(without("Connection \"\"", "Connection $upgrade"), none);
    // Inherited where the location says nothing, and only then.
    let outside = endpoint("").replacen("proxy_http_version 1.1;", "", 1);
    assert_eq!(rules(&outside), [rule]);
    let outside = outside.replacen("server {", "server { proxy_http_version 1.1;", 1);
    assert_eq!(rules(&outside), none);

    let of = |from: &str, to: &str| {
        let text = format!("worker_shutdown_timeout 1s; {}", endpoint("").replacen(from, to, 1));
        found_in(&[("nginx.conf", &text)]).remove(0).why
    };
    assert!(of("keepalive 16;", "").starts_with("before 1.29.7, "), "later ones do by default");
    assert!(!of("keepalive 16;", "keepalive 0;").contains("1.29.7"), "in every version");
}

#[test]
fn auth_location_not_internal_and_with_body() {
    let none: [&str; 0] = [];
    let without = |from: &str, to: &str| rules(&endpoint("").replacen(from, to, 1));
    assert_eq!(without("internal;", ""), ["auth-location-not-internal"]);
    let body = "auth-request-with-body";
    assert_eq!(without("proxy_pass_request_body off;", ""), [body]);
    assert_eq!(without("proxy_pass_request_body off;", "proxy_pass_request_body on;"), [body]);
    assert_eq!(without("Content-Length \"\"", "Content-Length 0"), [body]);
    // Headers of an outer block do not hold where the location sets its own.
    let outer = endpoint("").replacen("proxy_set_header Content-Length \"\";", "", 1);
    let outer = outer.replacen("server {", "server { proxy_set_header Content-Length \"\";", 1);
    assert_eq!(rules(&outer), [body]);
    let inherited = endpoint("").replacen("proxy_pass_request_body off;", "", 1);
    let inherited = inherited.replacen("location =", "proxy_pass_request_body off; location =", 1);
    assert_eq!(rules(&inherited), none);
    // Which location answers cannot be told, so nothing is said.
    let by_variable = "location = /_a { } location / { auth_request $where; }";
    assert_eq!(rules(&format!("http {{ server {{ {by_variable} }} }}")), none);
    let by_expression = "location ~ ^/_a { } location /_a { } location /x { auth_request /_a; }";
    assert_eq!(rules(&format!("http {{ server {{ {by_expression} }} }}")), none);
    let final_prefix = by_expression.replacen("location /_a", "location ^~ /_a", 1);
    let internal = ["auth-location-not-internal"];
    assert_eq!(rules(&format!("http {{ server {{ {final_prefix} }} }}")), internal);
    let nested = "location /a { location /a/b { } } location /x { auth_request /a/b/c; }";
    assert_eq!(rules(&format!("http {{ server {{ {nested} }} }}")), internal);
}

#[test]
fn secret_in_set() {
    let rule = "secret-in-set";
    let none: [&str; 0] = [];
    let with = |set: &str| rules(&format!("http {{ server {{ location / {{ {set} }} }} }}"));
    for secret in ["$secret", "$jwt_key", "$API_KEY", "$upstream_token", "$db_password"] {
        assert_eq!(with(&format!("set {secret} \"hunter2\";")), [rule], "{secret}");
    }
    for other in ["$cache_key", "$limit_key", "$monkey_business", "$name"] {
        assert_eq!(with(&format!("set {other} \"hunter2\";")), none, "{other}");
    }
    for value in ["\"\"", "0", "off", "$http_x", "\"Bearer $cookie_a\""] {
        assert_eq!(with(&format!("set $token {value};")), none, "{value}");
    }
    let text = "worker_shutdown_timeout 1s; http { server { set $secret hunter2; } }";
    let found = found_in(&[("nginx.conf", text)]);
    assert!(!format!("{found:?}{}", found[0]).contains("hunter2"));
}

#[test]
fn no_worker_shutdown_timeout() {
    let rule =
        |text: &str| found_in(&[("nginx.conf", text)]).into_iter().map(|one| one.rule).collect();
    let found: Vec<_> = rule("events {} http {}");
    assert_eq!(found, ["no-worker-shutdown-timeout"]);
    let found: Vec<_> = rule("worker_shutdown_timeout 10s; http {}");
    assert_eq!(found, [""; 0]);
    let found: Vec<_> = rule("events {} stream {}");
    assert_eq!(found, [""; 0]);
}

#[test]
fn included_files_are_seen_where_they_are_included_and_named() {
    let main = "worker_shutdown_timeout 1s;\nhttp {\n  include up.conf;\n  server {\n    \
                include auth.conf;\n    location /a { include guard.conf; return 200 x; }\n    \
                location /b { include guard.conf; empty_gif; }\n  }\n}\n";
    let found = found_in(&[
        ("nginx.conf", main),
        ("up.conf", GOOD_UPSTREAM),
        ("auth.conf", &GOOD_LOCATION.replace("internal;", "")),
        ("guard.conf", "auth_request /_auth;\nset $secret \"x1\";\n"),
    ]);
    let places: Vec<_> = found
        .iter()
        .map(|one| {
            let file = one.path.file_name().unwrap().to_str().unwrap();
            format!("{file}:{}:{} {}", one.line, one.column, one.rule)
        })
        .collect();
    assert_eq!(
        places,
        [
            "auth.conf:2:5 auth-location-not-internal",
            "guard.conf:2:1 secret-in-set",
            "nginx.conf:6:39 return-beside-auth-request",
        ]
    );
}

#[test]
fn files_that_are_included_again_and_again_end() {
    let folder = tempfile::tempdir().unwrap();
    for level in 0..30 {
        let next = format!("include {}.conf;\n", level + 1);
        std::fs::write(folder.path().join(format!("{level}.conf")), next.repeat(4)).unwrap();
    }
    std::fs::write(folder.path().join("30.conf"), "a b;").unwrap();
    let configuration = follow(&folder.path().join("0.conf")).unwrap();
    let error = lint(&configuration, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("more than 500000 directives"), "{error}");
}

/// A running nginx that listens on a socket in a folder.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.0.id().to_string()]).status();
        self.0.wait().unwrap();
    }
}

/// Runs nginx with this in its `http` block, and gives the rules' findings about it, too.
fn running(folder: &Path, http: &str) -> (Nginx, Vec<Finding>) {
    let at = folder.display();
    let mut temp = String::new();
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(temp, "{kind}_temp_path {at}/{kind};").unwrap();
    }
    let text = format!(
        "worker_shutdown_timeout 1s;\nworker_processes 1;\npid {at}/nginx.pid;\ndaemon off;\n\
         error_log {at}/error.log;\nevents {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{temp}{}\n}}\n",
        http.replace("FOLDER", &at.to_string())
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let found = lint(&follow(&file).unwrap(), Limits::default()).unwrap();
    let child = Command::new("/usr/sbin/nginx")
        .arg("-c")
        .arg(&file)
        .arg("-p")
        .arg(folder)
        .arg("-e")
        .arg(folder.join("error.log"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (Nginx(child), found)
}

/// The status and body that a request gets.
fn get(folder: &Path, path: &str, token: Option<&str>) -> (u16, String) {
    let socket = folder.join("front.sock");
    let mut stream = (0..2_000)
        .find_map(|_| {
            let stream = UnixStream::connect(&socket).ok();
            if stream.is_none() {
                std::thread::park_timeout(std::time::Duration::from_millis(5));
            }
            stream
        })
        .unwrap();
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{token}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status, body.unwrap_or_default())
}

/// An endpoint that knows one token.
const JUDGE: &str = r#"
    server {
        listen unix:FOLDER/judge.sock;
        location / {
            if ($http_authorization = "Bearer good") { return 200; }
            return 401;
        }
    }
"#;

#[test]
fn nginx_answers_a_return_before_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (_nginx, found) = running(
        folder.path(),
        &format!(
            "{JUDGE} server {{ listen unix:FOLDER/front.sock; {}
             location /trap {{ auth_request /_auth; return 200 secret; }}
             location /fine {{ auth_request /_auth; empty_gif; }} }}",
            "location = /_auth { internal; proxy_pass http://unix:FOLDER/judge.sock:/; }"
        ),
    );
    assert_eq!(get(folder.path(), "/fine", None).0, 401);
    assert_eq!(get(folder.path(), "/fine", Some("good")).0, 200);
    let (status, body) = get(folder.path(), "/trap", None);
    assert_eq!((status, body.as_str()), (200, "secret"), "nobody was asked");
    let of_rule = found.iter().filter(|one| one.rule == "return-beside-auth-request");
    assert_eq!(of_rule.count(), 1, "and the rule says so, of the one location");
}

#[test]
fn nginx_lets_a_request_without_a_token_in_by_a_cached_answer() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = |name: &str, key: &str| {
        format!(
            "location = /_{name} {{ internal; proxy_pass http://unix:FOLDER/judge.sock:/; \
             proxy_cache verdicts; proxy_cache_valid 200 1m; {key} }}
             location /{name} {{ auth_request /_{name}; empty_gif; }}"
        )
    };
    let (_nginx, found) = running(
        folder.path(),
        &format!(
            "proxy_cache_path FOLDER/cache keys_zone=verdicts:1m; {JUDGE}
             server {{ listen unix:FOLDER/front.sock; {} {} {} }}",
            endpoint("uri", "proxy_cache_key $uri;"),
            endpoint("default", ""),
            endpoint("token", "proxy_cache_key $http_authorization;"),
        ),
    );
    for (name, without_token) in [("uri", 200), ("default", 200), ("token", 401)] {
        let path = format!("/{name}");
        assert_eq!(get(folder.path(), &path, None).0, 401, "nothing is cached yet");
        assert_eq!(get(folder.path(), &path, Some("good")).0, 200);
        assert_eq!(get(folder.path(), &path, None).0, without_token, "{name}");
    }
    let of_rule = found.iter().filter(|one| one.rule == "auth-cache-key-without-token");
    assert_eq!(of_rule.count(), 2, "and the rule says so, of the two");
}
