//! From the raw file to the settled configuration, refusing what cannot work and saying all of it
//! at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keywheel_core::id::RingName;
use keywheel_core::policy::{Policy, Spec};
use keywheel_core::time::Span;
use keywheel_server::notify::{NOTICES, NotifyTarget, Sink};
use keywheel_server::{AuthzSettings, Listen, Tls};
use keywheel_store::KekSource;

use super::error::{ConfigErrors, Faults};
use super::raw::{RawAuthz, RawConfig, RawNotify, RawServer, RawTls};
use super::{Config, ServerConfig, authz};
use crate::redact::SecretUrl;

/// The longest path of a unix socket that every system takes.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// How long a command of `notify` may take, unless the file says otherwise.
const COMMAND_TIMEOUT: Span = Span::from_secs(30);

pub(super) fn settle(file: &Path, text: &str, raw: RawConfig) -> Result<Config, ConfigErrors> {
    let mut faults = Faults::new(text);
    let folder = folder_of(file);
    let server = server(raw.server, &folder, &mut faults);
    let rings = rings(raw.ring, &mut faults);
    let mut notify = Vec::new();
    for (index, entry) in raw.notify.into_iter().enumerate() {
        notify.extend(self::notify(index, entry, &folder, &rings, &mut faults));
    }
    let state_dir = server.as_ref().map_or(folder, |server| server.state_dir.clone());
    let authz = authz(raw.authz, &state_dir, &rings, &mut faults);
    let issuer = issuer(raw.oidc.issuer, &mut faults);
    let config =
        server.map(|server| Config { file: file.to_owned(), server, rings, notify, authz, issuer });
    faults.into_result(file, config)
}

/// What proxies may ask. Rings of this file must be for signing; others may be on the server.
fn authz(
    raw: RawAuthz,
    state_dir: &Path,
    rings: &BTreeMap<RingName, Spec>,
    faults: &mut Faults<'_>,
) -> AuthzSettings {
    let at = ["authz", "listen"];
    let listen =
        raw.listen.iter().filter_map(|text| endpoint_at(&at, text, state_dir, false, faults));
    let listen: Vec<Listen> = listen.collect();
    let has_routes = !raw.route.is_empty();
    let mut fault = |path: &[&str], cause: String, remedy: &str| {
        faults.add(&[&["authz"][..], path].concat(), cause, remedy);
    };
    let edge = authz::settle(raw.profile.as_deref(), raw.route, &mut fault);
    let socket_mode = authz::socket_mode(raw.socket_mode.as_deref(), &mut fault);
    if !has_routes && !listen.is_empty() {
        fault(&["route"], "is missing, so nothing would pass".into(), "add [[authz.route]]");
    }
    for (index, route) in edge.routes.iter().enumerate() {
        if rings.get(&route.ring).is_some_and(|spec| spec.kind != "signing") {
            fault(
                &["route", &index.to_string(), "ring"],
                format!("the ring {} does not sign tokens", route.ring),
                "name a ring of kind signing",
            );
        }
    }
    AuthzSettings { edge, listen, socket_mode }
}

fn issuer(raw: Option<String>, faults: &mut Faults<'_>) -> Option<String> {
    let text = raw?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"".contains(&byte));
    if !is_plain {
        faults.add(
            &["oidc", "issuer"],
            format!("`{text}` is no address of an issuer"),
            "write https:// and the name at which clients reach this server, without ? and #",
        );
    }
    Some(text)
}

fn folder_of(file: &Path) -> PathBuf {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

fn server(raw: RawServer, folder: &Path, faults: &mut Faults<'_>) -> Option<ServerConfig> {
    let state_dir = folder.join(raw.state_dir.unwrap_or_else(|| PathBuf::from(".keywheel")));
    let tls = raw.tls.map(|tls| self::tls(tls, folder));
    let listen = raw
        .listen
        .unwrap_or_else(|| vec!["127.0.0.1:7117".to_owned(), "unix:keywheel.sock".to_owned()]);
    if listen.is_empty() {
        faults.add(
            &["server", "listen"],
            "is empty, so nobody could reach the server",
            "name an address or a unix socket, or remove the field for the default",
        );
    }
    let listen: Vec<Listen> = listen
        .iter()
        .filter_map(|text| endpoint(text, &state_dir, tls.is_some(), faults))
        .collect();
    let store = store(raw.store.as_deref(), &state_dir, faults);
    let kek = raw.kek.unwrap_or_else(|| KekSource::File { path: PathBuf::from("master.key") });
    Some(ServerConfig {
        listen,
        store: store?,
        high_water: state_dir
            .join(raw.high_water.unwrap_or_else(|| PathBuf::from("high-water.db"))),
        kek: kek.relative_to(&state_dir),
        tls,
        name: server_name(raw.name, faults),
        lease_ttl: lease_ttl(raw.lease_ttl.as_deref(), faults),
        open_metrics: raw.open_metrics,
        state_dir,
    })
}

fn tls(raw: RawTls, folder: &Path) -> Tls {
    Tls {
        cert_file: folder.join(raw.certificate),
        key_file: folder.join(raw.key),
        client_ca_file: raw.client_ca.map(|path| folder.join(path)),
    }
}

fn endpoint(
    text: &str,
    state_dir: &Path,
    has_tls: bool,
    faults: &mut Faults<'_>,
) -> Option<Listen> {
    endpoint_at(&["server", "listen"], text, state_dir, has_tls, faults)
}

fn endpoint_at(
    at: &[&str],
    text: &str,
    state_dir: &Path,
    has_tls: bool,
    faults: &mut Faults<'_>,
) -> Option<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = state_dir.join(path);
        if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            faults.add(
                at,
                format!(
                    "the path of the socket has {} bytes, and a unix socket takes {}",
                    path.as_os_str().len(),
                    SOCKET_PATH_BYTES_MAX
                ),
                "give a shorter absolute path, such as unix:/run/keywheel/keywheel.sock",
            );
            return None;
        }
        return Some(Listen::Unix(path));
    }
    let address = text.replacen("localhost:", "127.0.0.1:", 1);
    match address.parse::<std::net::SocketAddr>() {
        Ok(address) if !has_tls && !address.ip().is_loopback() => {
            faults.add(
                at,
                format!("{address} is not loopback, and plain HTTP would carry keys in the clear"),
                "add `tls` with a certificate, or listen on 127.0.0.1 or a unix socket",
            );
            None
        }
        Ok(address) => Some(Listen::Tcp(address)),
        Err(_) => {
            faults.add(
                at,
                format!("`{text}` is no address to listen on"),
                "write address:port, such as 127.0.0.1:7117, or unix:/path/of/a.sock",
            );
            None
        }
    }
}

fn store(raw: Option<&str>, state_dir: &Path, faults: &mut Faults<'_>) -> Option<PathBuf> {
    let at = ["server", "store"];
    let text = raw.unwrap_or("sqlite:keywheel.db");
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    match scheme {
        "sqlite" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            if path.is_empty() || path.contains(['?', '\0']) || path.starts_with(':') {
                faults.add(&at, "names no database file", "write sqlite: and a file name");
                return None;
            }
            Some(state_dir.join(path))
        }
        "postgres" | "postgresql" | "etcd" | "redis" | "rediss" | "redis+sentinel" | "vault" => {
            let shown = SecretUrl::new(text.to_owned());
            faults.add(
                &at,
                format!("{shown} is an engine that this keywheel cannot use yet"),
                "use sqlite:keywheel.db; the others come with a later release",
            );
            None
        }
        _ => {
            let shown = SecretUrl::new(text.to_owned());
            faults.add(
                &at,
                format!("`{shown}` names no store that keywheel knows"),
                "write sqlite: and a file name, such as sqlite:keywheel.db",
            );
            None
        }
    }
}

fn server_name(raw: Option<String>, faults: &mut Faults<'_>) -> Option<String> {
    let name = raw?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        faults.add(
            &["server", "name"],
            format!("`{name}` cannot name a server"),
            "use 1 to 64 letters, digits, `-`, `_` or `.`",
        );
    }
    Some(name)
}

fn lease_ttl(raw: Option<&str>, faults: &mut Faults<'_>) -> Span {
    let at = ["server", "lease_ttl"];
    let default = Span::from_secs(10);
    let Some(text) = raw else { return default };
    match text.parse::<Span>() {
        Ok(span) if (2..=60).contains(&span.as_secs()) => span,
        Ok(span) => {
            faults.add(&at, format!("{span} is outside 2s to 60s"), "10s is the default");
            default
        }
        Err(error) => {
            faults.add(&at, error.to_string(), "10s is the default");
            default
        }
    }
}

fn rings(raw: BTreeMap<String, Spec>, faults: &mut Faults<'_>) -> BTreeMap<RingName, Spec> {
    let mut rings = BTreeMap::new();
    for (name, spec) in raw {
        let settled = match name.parse::<RingName>() {
            Ok(settled) => settled,
            Err(error) => {
                faults.add(&["ring", &name], error.to_string(), "rename the ring");
                continue;
            }
        };
        if let Err(errors) = Policy::try_from(&spec) {
            for error in errors.0 {
                let mut path = vec!["ring", name.as_str()];
                path.extend(error.field.split('.'));
                faults.add(&path, error.cause, error.remedy);
            }
        }
        rings.insert(settled, spec);
    }
    rings
}

fn notify(
    index: usize,
    raw: RawNotify,
    folder: &Path,
    rings: &BTreeMap<RingName, Spec>,
    faults: &mut Faults<'_>,
) -> Option<NotifyTarget> {
    let number = index.to_string();
    let mut add = |field: &str, cause: String, remedy: &str| {
        faults.add(&["notify", &number, field], cause, remedy);
    };
    if raw.on.is_empty() {
        add("on", "is empty, so nothing would ever be told".into(), "name an event, or *");
    }
    for event in raw.on.iter().filter(|event| *event != "*" && !is_notice(event)) {
        let remedy = format!("use some of {}, or *", NOTICES.join(", "));
        add("on", format!("`{event}` is no event"), &remedy);
    }
    let mut only = BTreeSet::new();
    for name in raw.rings.iter().flatten() {
        match name.parse::<RingName>() {
            Ok(ring) if rings.contains_key(&ring) => {
                only.insert(ring);
            }
            _ => add("rings", format!("`{name}` is not declared in this file"), "correct the name"),
        }
    }
    if raw.timeout.is_some() && raw.command.is_none() {
        add("timeout", "has no meaning without a command".into(), "remove it");
    }
    let all = raw.on.iter().any(|event| event == "*");
    let on = if all { BTreeSet::new() } else { raw.on.iter().cloned().collect() };
    match sink(raw, folder) {
        Ok((kind, sink)) => {
            let name = format!("notify {} ({kind})", index + 1);
            Some(NotifyTarget { name, on, rings: only, sink })
        }
        Err((field, cause, remedy)) => {
            add(field, cause, remedy);
            None
        }
    }
}

fn is_notice(name: &str) -> bool {
    NOTICES.contains(&name)
}

type SinkFault = (&'static str, String, &'static str);

fn sink(raw: RawNotify, folder: &Path) -> Result<(&'static str, Sink), SinkFault> {
    match (raw.webhook, raw.slack, raw.command) {
        (Some(webhook), None, None) => {
            let sink = Sink::Webhook {
                url_file: folder.join(webhook.url_file),
                secret_file: folder.join(webhook.secret_file),
                ca_file: webhook.ca_file.map(|path| folder.join(path)),
            };
            Ok(("webhook", sink))
        }
        (None, Some(slack), None) => {
            let sink = Sink::Slack {
                url_file: folder.join(slack.url_file),
                ca_file: slack.ca_file.map(|path| folder.join(path)),
            };
            Ok(("slack", sink))
        }
        (None, None, Some(argv)) if argv.is_empty() => {
            Err(("command", "is empty".into(), "name the program and its arguments"))
        }
        (None, None, Some(argv)) => {
            let timeout = raw.timeout.as_deref().map_or(Ok(COMMAND_TIMEOUT), str::parse);
            let timeout = timeout.map_err(|error: keywheel_core::time::SpanError| {
                ("timeout", error.to_string(), "30s is the default")
            })?;
            Ok(("command", Sink::Command { argv, timeout: timeout.to_std() }))
        }
        _ => Err((
            "on",
            "needs exactly one of webhook, slack and command beside it".into(),
            "write one [[notify]] for each",
        )),
    }
}
