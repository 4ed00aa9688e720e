//! From the raw file to the settled configuration of an agent, saying all that is wrong at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keywheel_client::Endpoint;
use keywheel_core::time::Span;
use keywheel_deliver::settings::{Delivery, Wait, WhenOffline};
use keywheel_server::Listen;

use super::act;
use super::check::{self, Places};
use super::place::Place;
use super::raw::{RawAgent, RawAgentAuthz, RawAgentServer, RawConsumer, RawHook};
use super::sink;
use super::{AgentAuthz, AgentConfig, AgentConsumer, AgentServer, Serving, probe};
use crate::config::authz as rules;
use crate::config::error::{ConfigErrors, Faults};

const WAIT: Span = Span::from_secs(1);
const WAIT_MAX: Span = Span::from_secs(24 * 3_600);
/// How much longer than the quiet time changes are collected, unless the file says otherwise.
const WAIT_FACTOR: u64 = 4;
const SPLAY_MAX: Span = Span::from_secs(24 * 3_600);
const DEADLINE: Span = Span::from_secs(5 * 60);
const DEADLINES: (Span, Span) = (Span::from_secs(1), Span::from_secs(24 * 3_600));

pub(super) fn settle(
    file: &Path,
    text: &str,
    raw: RawAgent,
    serving: Serving,
) -> Result<AgentConfig, ConfigErrors> {
    let mut faults = Faults::new(text);
    let shared_token = raw.server.token_file.clone();
    let server = server(raw.server, serving, Place::new(&mut faults, &["server"]));
    let authz = raw.authz.and_then(|raw| {
        authz(raw, shared_token.clone(), serving, &mut Place::new(&mut faults, &["authz"]))
    });
    if raw.consumer.is_empty() && authz.is_none() {
        faults.add(
            &["consumer"],
            "is missing, so there is nothing to do",
            "declare a [[consumer]] with its sinks, or [authz] for proxies",
        );
    }
    let mut names = BTreeSet::new();
    let mut places = Places::default();
    let mut consumers = Vec::new();
    for raw in raw.consumer {
        let name = raw.name.clone();
        let mut at = Place::new(&mut faults, &["consumer", &name]);
        if !names.insert(name.clone()) {
            at.fault("name", format!("`{name}` is declared twice"), "put its sinks into one");
        }
        let token = raw.token_file.clone().or_else(|| shared_token.clone());
        let token_file = token_file(token, serving, &mut at);
        let Some(delivery) = delivery(raw, &mut at) else { continue };
        for sink in &delivery.sinks {
            places.claim(sink, &mut at);
            if let Some(server) = &server {
                check::outside(&server.state_dir, sink, &mut at);
            }
        }
        consumers.push(AgentConsumer { token_file, delivery });
    }
    let config =
        server.map(|server| AgentConfig { file: file.to_owned(), server, consumers, authz });
    faults.into_result(file, config)
}

fn authz(
    raw: RawAgentAuthz,
    shared_token: Option<PathBuf>,
    serving: Serving,
    at: &mut Place<'_, '_>,
) -> Option<AgentAuthz> {
    let consumer = match raw.consumer.parse() {
        Ok(consumer) => Some(consumer),
        Err(error) => {
            at.fault("consumer", format!("{error}"), "name it as the rings' policies declare it");
            None
        }
    };
    let token_file = token_file(raw.token_file.or(shared_token), serving, at);
    let mut listen = Vec::new();
    for text in &raw.listen {
        match Listen::parse(text) {
            Ok(address) => listen.push(address),
            Err(error) => at.fault("listen", error.to_string(), "unix:/run/keywheel/authz.sock"),
        }
    }
    if raw.route.is_empty() {
        at.fault("route", "is missing, so nothing would pass", "add [[authz.route]]");
    }
    let mut fault = |path: &[&str], cause: String, remedy: &str| {
        at.fault(&path.join("."), cause, remedy);
    };
    let edge = rules::settle(raw.profile.as_deref(), raw.route, &mut fault);
    let socket_mode = rules::socket_mode(raw.socket_mode.as_deref(), &mut fault);
    Some(AgentAuthz { consumer: consumer?, token_file, listen, socket_mode, edge })
}

fn server(raw: RawAgentServer, serving: Serving, mut at: Place<'_, '_>) -> Option<AgentServer> {
    let default = || PathBuf::from("/var/lib/keywheel-agent");
    let state_dir = at.path("state_dir", raw.state_dir.unwrap_or_else(default));
    let ca_file = raw.ca_file.and_then(|path| at.path("ca_file", path));
    match (serving, &raw.url) {
        (Serving::Elsewhere, None) => at.fault(
            "url",
            "is missing",
            "name the server, such as unix:/run/keywheel/keywheel.sock; or start the agent with \
             --standalone to let it be the server",
        ),
        (Serving::Elsewhere, Some(url)) => {
            if let Err(error) = Endpoint::parse(url) {
                at.fault("url", error.to_string(), "name the server's address");
            }
        }
        (Serving::Standalone, Some(_)) => at.fault(
            "url",
            "names a server, and with --standalone the agent is the server",
            "remove it, or start the agent without --standalone",
        ),
        (Serving::Standalone, None) => {}
    }
    Some(AgentServer { url: raw.url, ca_file, state_dir: state_dir? })
}

fn token_file(raw: Option<PathBuf>, serving: Serving, at: &mut Place<'_, '_>) -> Option<PathBuf> {
    match (serving, raw) {
        (Serving::Elsewhere, Some(path)) => at.path("token_file", path),
        (Serving::Elsewhere, None) => {
            at.fault(
                "token_file",
                "is missing here and in server",
                "make one with: keywheel token create NAME --role consumer --consumer … --out FILE",
            );
            None
        }
        (Serving::Standalone, Some(_)) => {
            at.fault(
                "token_file",
                "has no meaning with --standalone, where the agent makes tokens",
                "remove it",
            );
            None
        }
        (Serving::Standalone, None) => None,
    }
}

fn delivery(raw: RawConsumer, at: &mut Place<'_, '_>) -> Option<Delivery> {
    let consumer = match raw.name.parse() {
        Ok(consumer) => Some(consumer),
        Err(error) => {
            at.fault("name", format!("{error}"), "name it as the rings' policies declare it");
            None
        }
    };
    let wait = wait(raw.wait.as_deref(), raw.wait_most.as_deref(), at);
    let splay = at.span_within("splay", raw.splay.as_deref(), Span::ZERO, (Span::ZERO, SPLAY_MAX));
    let deadline = at.span_within("deadline", raw.deadline.as_deref(), DEADLINE, DEADLINES);
    let when_offline = when_offline(raw.when_offline.as_deref(), raw.stop, at);
    if raw.sink.is_empty() {
        at.fault("sink", "is missing, so nothing would be delivered", "add [[consumer.sink]]");
    }
    let declared = raw.sink.len();
    let mut of_templates = Vec::new();
    let mut sinks = Vec::new();
    for raw in raw.sink {
        if raw.template.is_some() {
            let named = raw.rings.iter().filter_map(|name| name.parse().ok());
            of_templates.extend(named);
        }
        let name = raw.name.clone();
        sinks.extend(sink::sink(raw, at.under(&["sink", &name])));
    }
    let probes = probe::probes("probe", raw.probe, at);
    check::sinks(&sinks, at);
    check::probes(&sinks, &probes, deadline, at);
    let rings = check::rings(&sinks, of_templates, &probes, at);
    (sinks.len() == declared).then_some(())?;
    Some(Delivery {
        consumer: consumer?,
        rings,
        sinks,
        probes,
        wait,
        splay,
        deadline,
        when_offline: when_offline?,
    })
}

fn wait(least: Option<&str>, most: Option<&str>, at: &mut Place<'_, '_>) -> Wait {
    let least = at.span_within("wait", least, WAIT, (Span::ZERO, WAIT_MAX));
    let default = Span::from_millis(least.as_millis().saturating_mul(WAIT_FACTOR));
    let most = at.span("wait_most", most, default);
    if most < least {
        at.fault(
            "wait_most",
            format!("{most} is shorter than wait, {least}"),
            "remove it for four times wait",
        );
    }
    Wait { least, most }
}

fn when_offline(
    raw: Option<&str>,
    stop: Option<RawHook>,
    at: &mut Place<'_, '_>,
) -> Option<WhenOffline> {
    match (raw.unwrap_or("keep"), stop) {
        ("keep", None) => Some(WhenOffline::Keep),
        ("keep", Some(_)) => {
            at.fault("stop", "has no meaning without when_offline = \"stop\"", "remove one");
            None
        }
        ("stop", Some(hook)) => {
            act::whole_hook(hook, &mut at.under(&["stop"])).map(WhenOffline::Stop)
        }
        ("stop", None) => {
            at.fault(
                "stop",
                "is missing",
                "say how the consumer is stopped: stop = { command = […] }",
            );
            None
        }
        (other, _) => {
            at.fault("when_offline", format!("`{other}` is unknown"), "use keep or stop");
            None
        }
    }
}
