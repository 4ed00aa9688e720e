//! What shows that the real path works, settled from the file.

use keywheel_core::time::Span;
use keywheel_deliver::probe;
use keywheel_deliver::settings::{
    Artefact, Attempt, FingerprintHeader, HttpAttempt, Make, Parent, Probe, Tls, Workers,
};

use super::act::{self, HookFields};
use super::place::{Place, count};
use super::raw::{RawArtefact, RawFingerprint, RawProbe, RawWorkers};

const WITHIN: Span = Span::from_secs(30);
const TIMEOUT: Span = Span::from_secs(5);
const TIMES: (Span, Span) = (Span::from_millis(10), Span::from_secs(3_600));
const FRESH: u16 = 5;
const FRESH_MAX: u16 = 1_000;

pub(super) fn probes(field: &str, raw: Vec<RawProbe>, at: &mut Place<'_, '_>) -> Vec<Probe> {
    raw.into_iter()
        .enumerate()
        .filter_map(|(index, raw)| {
            let place = raw.name.clone().unwrap_or_else(|| index.to_string());
            probe(index, raw, at.under(&[field, &place]))
        })
        .collect()
}

fn probe(index: usize, raw: RawProbe, mut at: Place<'_, '_>) -> Option<Probe> {
    let kinds = [
        ("http", raw.http.is_some()),
        ("command", raw.command.is_some()),
        ("nginx-workers", raw.nginx_workers.is_some()),
        ("tcp", raw.tcp.is_some()),
    ];
    if count(&kinds.map(|(_, is_there)| is_there)) != 1 {
        at.fault("", "needs exactly one of http, command, nginx_workers and tcp", "keep one");
        return None;
    }
    strays(&raw, &mut at);
    let within = at.span_within("within", raw.within.as_deref(), WITHIN, TIMES);
    let default = TIMEOUT.min(within);
    let timeout = at.span_within("timeout", raw.timeout.as_deref(), default, TIMES);
    if timeout > within {
        at.fault(
            "timeout",
            format!("one try may take {timeout}, longer than all of them in {within}"),
            "raise within, or lower timeout",
        );
    }
    let kind = kinds.iter().find(|(_, is_there)| *is_there).map_or("probe", |(kind, _)| *kind);
    let name = raw.name.clone().unwrap_or_else(|| format!("{kind}-{}", index.saturating_add(1)));
    let attempt = attempt(raw, &mut at)?;
    let probe = Probe { name, attempt, within, timeout };
    // A target is put into an address only later.
    if !is_for_targets(&probe)
        && let Err(missing) = probe::check(&probe)
    {
        at.fault("", missing.to_string(), missing.remedy());
    }
    Some(probe)
}

/// Fields that belong to another kind of probe.
fn strays(raw: &RawProbe, at: &mut Place<'_, '_>) {
    let only_http = [
        ("method", raw.method.is_some()),
        ("headers", !raw.headers.is_empty()),
        ("fresh", raw.fresh.is_some()),
        ("accepted", !raw.accepted.is_empty()),
        ("refused", !raw.refused.is_empty()),
        ("fingerprint", raw.fingerprint.is_some()),
        ("workers", raw.workers.is_some()),
    ];
    for (field, is_there) in only_http {
        if is_there && raw.http.is_none() {
            at.fault(field, "has no meaning without http", "remove it");
        }
    }
    if raw.artefact.is_some() && raw.http.is_none() && raw.command.is_none() {
        at.fault("artefact", "has no meaning without http or command", "remove it");
    }
    if raw.kill_after.is_some() && raw.command.is_none() {
        at.fault("kill_after", "has no meaning without command", "remove it");
    }
    let is_https = raw.http.as_deref().is_some_and(|url| url.starts_with("https://"));
    for (field, is_there) in
        [("tls_name", raw.tls_name.is_some()), ("tls_ca_file", raw.tls_ca_file.is_some())]
    {
        if is_there && raw.tcp.is_none() && !is_https {
            at.fault(field, "has no meaning without tcp or https", "remove it");
        }
    }
    if raw.tls_ca_file.is_some() && raw.tls_name.is_none() {
        at.fault("tls_name", "is missing beside tls_ca_file", "name who the certificate is for");
    }
}

fn attempt(mut raw: RawProbe, at: &mut Place<'_, '_>) -> Option<Attempt> {
    if let Some(nginx) = raw.nginx_workers {
        return act::nginx(nginx, &mut at.under(&["nginx_workers"])).map(Attempt::NginxWorkers);
    }
    if let Some(address) = raw.tcp {
        let port = address.rsplit_once(':').and_then(|(host, port)| {
            (!host.is_empty()).then(|| port.parse::<u16>().ok().filter(|port| *port != 0))?
        });
        if port.is_none() && !address.contains("{target}") {
            at.fault("tcp", format!("`{address}` is no host:port"), "write host:port");
        }
        let tls = tls(raw.tls_name, raw.tls_ca_file, at);
        return Some(Attempt::Tcp { address, tls });
    }
    let artefact = match raw.artefact.take() {
        Some(raw) => Some(artefact(raw, &mut at.under(&["artefact"]))?),
        None => None,
    };
    if let Some(argv) = raw.command {
        let fields = HookFields {
            argv,
            timeout: raw.timeout.as_deref(),
            kill_after: raw.kill_after.as_deref(),
        };
        let hook = act::hook(fields, &["{target}"], at)?;
        return Some(Attempt::Command { hook, artefact });
    }
    http(raw, artefact, at).map(Attempt::Http)
}

fn artefact(raw: RawArtefact, at: &mut Place<'_, '_>) -> Option<Artefact> {
    let ring = at.ring("ring", &raw.ring);
    let make = match (raw.hmac, raw.jwt) {
        (None, None) => Make::Value,
        (Some(message), None) => Make::Hmac(message),
        (None, Some(claims)) => {
            for claim in ["iat", "exp"].iter().filter(|claim| claims.contains_key(**claim)) {
                at.fault(
                    "jwt",
                    format!("sets `{claim}`, which the agent sets itself"),
                    "remove it",
                );
            }
            Make::Jwt(claims)
        }
        (Some(_), Some(_)) => {
            at.fault("jwt", "stands beside hmac", "keep one of the two");
            return None;
        }
    };
    Some(Artefact { ring: ring?, make })
}

fn http(raw: RawProbe, artefact: Option<Artefact>, at: &mut Place<'_, '_>) -> Option<HttpAttempt> {
    let address = raw.http?;
    let fits = url("http", &address, at);
    let method = method(raw.method, "GET", &["GET", "HEAD", "POST"], at);
    let fresh = raw.fresh.unwrap_or(FRESH);
    if !(1..=FRESH_MAX).contains(&fresh) {
        at.fault("fresh", format!("{fresh} is outside 1 to {FRESH_MAX}"), "5 is the default");
    }
    for (field, codes) in [("accepted", &raw.accepted), ("refused", &raw.refused)] {
        if let Some(code) = codes.iter().find(|code| !(200..=599).contains(*code)) {
            at.fault(field, format!("{code} is no status that ends a request"), "use 200 to 599");
        }
    }
    if let Some(code) = raw.accepted.iter().find(|code| raw.refused.contains(code)) {
        at.fault("refused", format!("{code} also counts as accepted"), "keep it in one of the two");
    }
    let headers = headers(raw.headers, artefact.as_ref(), at);
    let fingerprint = match raw.fingerprint {
        Some(raw) => Some(fingerprint(raw, &mut at.under(&["fingerprint"]))?),
        None => None,
    };
    let tls = tls(raw.tls_name, raw.tls_ca_file, at);
    let workers = match raw.workers {
        Some(workers) => Some(self::workers(workers, &mut at.under(&["workers"]))?),
        None => None,
    };
    Some(HttpAttempt {
        url: fits.then_some(address)?,
        tls,
        method: method?,
        headers,
        artefact,
        fresh,
        accepted: raw.accepted,
        refused: raw.refused,
        fingerprint,
        workers,
    })
}

fn headers(
    raw: std::collections::BTreeMap<String, String>,
    artefact: Option<&Artefact>,
    at: &mut Place<'_, '_>,
) -> Vec<(String, String)> {
    for (name, value) in &raw {
        if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
            at.fault("headers", format!("`{name}` cannot be sent"), "use a plain name and value");
        }
        if ["host", "content-length", "connection", "transfer-encoding"]
            .contains(&name.to_ascii_lowercase().as_str())
            && !name.eq_ignore_ascii_case("host")
        {
            at.fault("headers", format!("`{name}` is set by the agent itself"), "remove it");
        }
    }
    let shows = raw.values().any(|value| value.contains("{artefact}"));
    match artefact {
        Some(_) if !shows => at.fault(
            "headers",
            "show the artefact nowhere, so the probe would prove nothing about the key",
            "put {artefact} into a header, such as Authorization = \"Bearer {artefact}\"",
        ),
        None if shows => {
            at.fault("artefact", "is missing, and a header names it", "say how it is made");
        }
        _ => {}
    }
    raw.into_iter().collect()
}

fn tls(
    name: Option<String>,
    ca_file: Option<std::path::PathBuf>,
    at: &mut Place<'_, '_>,
) -> Option<Tls> {
    let ca_file = ca_file.and_then(|path| at.path("tls_ca_file", path));
    name.map(|name| Tls { name, ca_file })
}

fn fingerprint(raw: RawFingerprint, at: &mut Place<'_, '_>) -> Option<FingerprintHeader> {
    if !is_token(&raw.header) {
        at.fault("header", format!("`{}` is no header", raw.header), "name a header");
    }
    let ring = at.ring("ring", &raw.ring)?;
    Some(FingerprintHeader { header: raw.header, ring })
}

/// Whether a probe is asked for each target of a rolling restart.
fn is_for_targets(probe: &Probe) -> bool {
    match &probe.attempt {
        Attempt::Http(http) => http.url.contains("{target}"),
        Attempt::Command { hook, .. } => hook.argv.iter().any(|word| word.contains("{target}")),
        Attempt::Tcp { address, .. } => address.contains("{target}"),
        Attempt::NginxWorkers(_) => false,
    }
}

fn workers(raw: RawWorkers, at: &mut Place<'_, '_>) -> Option<Workers> {
    if !is_token(&raw.header) {
        at.fault("header", format!("`{}` is no header", raw.header), "name a header");
    }
    let Some(pid_file) = raw.pid_file else {
        at.fault("pid_file", "is missing", "name the file with the id of the workers' parent");
        return None;
    };
    let pid_file = at.path("pid_file", pid_file)?;
    Some(Workers { header: raw.header, parent: Parent::PidFile(pid_file) })
}

pub(super) fn method(
    raw: Option<String>,
    default: &str,
    known: &[&str],
    at: &mut Place<'_, '_>,
) -> Option<String> {
    let method = raw.unwrap_or_else(|| default.to_owned());
    if known.contains(&method.as_str()) {
        return Some(method);
    }
    at.fault("method", format!("`{method}` is unknown"), format!("use {}", known.join(", ")));
    None
}

/// Whether a URL may be asked: of a kind that is spoken, and with nothing secret in it.
pub(super) fn url(field: &str, url: &str, at: &mut Place<'_, '_>) -> bool {
    let spoken = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let (fits, has_path) = match (spoken, url.strip_prefix("unix:")) {
        (Some(rest), _) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if authority.contains('@') {
                at.fault(
                    field,
                    "carries a password, which would stand in messages and logs",
                    "take the password out of the URL",
                );
                return false;
            }
            (!authority.is_empty(), true)
        }
        (None, Some(rest)) => (rest.starts_with('/'), rest.contains(":/")),
        (None, None) => (false, true),
    };
    if url.contains("{artefact}") {
        at.fault(
            field,
            "carries the artefact, which would stand in the access log of the server",
            "put {artefact} into a header",
        );
        return false;
    }
    if !fits || !has_path || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        at.fault(
            field,
            "is no URL that the agent can ask",
            "write http://127.0.0.1:port/path, https://host/path or unix:/path.sock:/path",
        );
        return false;
    }
    true
}

/// Whether a text is a token of RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(allowed)
}
