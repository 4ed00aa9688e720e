//! What is refused, and in which words: each case is a file with one thing wrong in it, or several.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::failure::Failure;

const SERVER: &str = "[server]\nurl = \"unix:/run/keywheel.sock\"\ntoken_file = \"/etc/token\"\n";

/// A consumer with these fields and one sink with those.
fn with(consumer: &str, sink: &str) -> String {
    format!(
        "{SERVER}[[consumer]]\nname = \"web\"\n{consumer}\n[[consumer.sink]]\nname = \"env\"\n\
         env_file = \"/srv/.env\"\nset.KEY = \"web\"\n{sink}\n"
    )
}

/// A consumer with this sink.
fn of(sink: &str) -> String {
    format!("{SERVER}[[consumer]]\nname = \"web\"\n[[consumer.sink]]\nname = \"one\"\n{sink}\n")
}

fn probe(fields: &str) -> String {
    with("", &format!("[[consumer.probe]]\n{fields}"))
}

fn told(name: &str, text: &str, serving: Serving) -> String {
    let mut told = format!("# {name}\n");
    match AgentConfig::parse(Path::new("agent.toml"), text, serving) {
        Ok(_) => told.push_str("it is taken\n"),
        Err(errors) => {
            for (cause, remedy) in Failure::from(errors).lines() {
                let _ = writeln!(told, "error: {cause}\n  remedy: {remedy}");
            }
        }
    }
    told
}

#[test]
fn every_fault_names_field_cause_and_remedy() {
    let bad = [
        ("no toml", "[server".to_owned()),
        ("nothing to do", SERVER.to_owned()),
        ("no server", "[server]\n[[consumer]]\nname = \"web\"\n".to_owned()),
        ("a stranger", with("sinks = 1", "")),
        ("a stranger in a take", of("json = \"/a\"\nset.a = { rink = \"web\" }")),
        ("a consumer twice", format!("{}{}", with("", ""), with("", "").replace(SERVER, ""))),
        ("names", with("", "set.\"9 LIVES\" = \"web\"\nset.X = \"No Ring\"")),
        ("times", with("wait = \"5s\"\nwait_most = \"1s\"\nsplay = \"soon\"", "")),
        ("offline", with("when_offline = \"stop\"", "")),
        ("two kinds", with("", "json = \"/srv/x.json\"")),
        ("no kind", of("set.A = \"web\"")),
        ("relative", of("file = \"key\"\nvalue = \"web\"")),
        ("upwards", of("file = \"/srv/../etc/key\"\nvalue = \"web\"")),
        ("no value", of("file = \"/srv/key\"")),
        ("world readable", of("file = \"/srv/key\"\nvalue = \"web\"\nmode = \"0644\"")),
        ("writable by others", of("file = \"/srv/key\"\nvalue = \"web\"\nmode = \"0620\"")),
        ("modes", of("file = \"/srv/key\"\nvalue = \"web\"\nmode = \"rw\"\nbackups = 99")),
        ("takes", with("", "set.A = { ring = \"web\", which = \"all\", join = \"\" }")),
        ("one value, joined", with("", "set.A = { ring = \"web\", join = \",\" }")),
        ("bytes", with("", "set.A = { ring = \"web\", form = \"bytes\" }")),
        ("rings", of("jwks = \"/srv/jwks.json\"\nrings = [\"a\", \"a\"]")),
        ("template", of("template = \"/srv/x\"\ntext = \"x\"\nsource = \"/y\"\nrings = [\"a\"]")),
        ("accept", of("nginx = \"/srv/x\"\naccept.ok = { from = \"api_key\", ring = \"a\" }")),
        ("check", with("", "check = { command = [\"/bin/true\"] }")),
        ("two checks", with("", "check = { command = [\"t\", \"{staged}\"], nginx = {} }")),
        ("programs", with("", "reload = [{ command = [] }, { command = [\"bin/x\"] }]")),
        ("secrets in arguments", with("", "reload = [{ command = [\"x\", \"{artefact}\"] }]")),
        (
            "signals",
            with("", "reload = [{ signal = \"KILL\", pid_file = \"/a\" }, { signal = \"HUP\" }]"),
        ),
        ("reload elsewhere", with("", "reload = [{ http = \"http://10.0.0.1/reload\" }]")),
        ("password", with("", "reload = [{ http = \"http://me:pass@127.0.0.1/\" }]")),
        ("rolling", with("", "reload = [{ rolling = { command = [\"x\"], targets = [\"a\"] } }]")),
        ("probe of nothing", probe("within = \"1s\"")),
        ("probe times", probe("tcp = \"127.0.0.1:1\"\nwithin = \"1s\"\ntimeout = \"9s\"")),
        ("probe past the end", probe("tcp = \"127.0.0.1:1\"\nwithin = \"30m\"")),
        ("tcp", probe("tcp = \"here\"\nfresh = 3")),
        ("artefact in the URL", probe("http = \"http://127.0.0.1/?k={artefact}\"")),
        (
            "artefact in the clear",
            probe(
                "http = \"http://10.0.0.1/\"\nheaders = { X-Key = \"{artefact}\" }\n\
                 artefact = { ring = \"web\" }",
            ),
        ),
        (
            "artefact nowhere",
            probe("http = \"http://127.0.0.1/\"\nartefact = { ring = \"web\", jwt = { exp = 1 } }"),
        ),
        ("statuses", probe("http = \"http://127.0.0.1/\"\naccepted = [200, 42]\nrefused = [200]")),
    ];
    let mut all = String::new();
    for (name, text) in bad {
        let told = told(name, &text, Serving::Elsewhere);
        assert!(told.contains("error: "), "{name} is taken");
        assert!(!told.contains("remedy: \n"), "{told}");
        all.push_str(&told);
    }
    let alone = with("", "");
    all.push_str(&told("a server beside the agent's own", &alone, Serving::Standalone));
    insta::assert_snapshot!("faults", all);
}

#[test]
fn sinks_that_would_undo_each_other_are_refused() {
    let two = |one: &str, other: &str| {
        format!("{}\n[[consumer.sink]]\nname = \"two\"\n{other}\n", of(one))
    };
    let pairs = [
        ("file = \"/srv/a\"\nvalue = \"web\"", "json = \"/srv/a\"\nset.a = \"web\""),
        ("credentials = \"/srv/a\"\nset.a = \"web\"", "file = \"/srv/a/b\"\nvalue = \"web\""),
        ("command = [\"/bin/push\"]\nset.a = \"web\"", "file = \"/srv/b\"\nvalue = \"web\""),
        ("file = \"/var/lib/keywheel-agent/x\"\nvalue = \"web\"", "file = \"/c\"\nvalue = \"web\""),
    ];
    let mut all = String::new();
    for (one, other) in pairs {
        let told = told("two sinks", &two(one, other), Serving::Elsewhere);
        assert!(told.contains("error: "), "{told}");
        all.push_str(&told);
    }
    insta::assert_snapshot!("sinks", all);
}

#[test]
fn a_public_file_may_be_read_by_all_and_so_may_a_secret_that_says_danger() {
    for sink in [
        "jwks = \"/srv/jwks.json\"\nrings = [\"a\"]",
        "file = \"/srv/key.pem\"\nvalue = { ring = \"a\", form = \"public_pem\" }\nmode = \"0644\"",
        "file = \"/srv/k\"\nvalue = \"a\"\nmode = \"0644\"\ndanger_world_readable = true",
        "file = \"/srv/k\"\nvalue = \"a\"\nmode = \"0640\"\nowner = \"root:www-data\"",
    ] {
        let config = AgentConfig::parse(Path::new("agent.toml"), &of(sink), Serving::Elsewhere);
        assert!(config.is_ok(), "{sink}: {config:?}");
    }
}

#[test]
fn the_rings_of_a_consumer_are_those_that_sinks_and_probes_name() {
    let text = of("template = \"/srv/x\"\ntext = \"x\"\nrings = [\"of-template\"]\n\
                   [[consumer.probe]]\nhttp = \"http://127.0.0.1/\"\n\
                   headers = { X-Key = \"{artefact}\" }\nartefact = { ring = \"of-artefact\" }\n\
                   fingerprint = { header = \"X-Fp\", ring = \"of-fingerprint\" }");
    let config = AgentConfig::parse(Path::new("agent.toml"), &text, Serving::Elsewhere).unwrap();
    let rings: Vec<_> =
        config.consumers[0].delivery.rings.iter().map(ToString::to_string).collect();
    assert_eq!(rings, ["of-artefact", "of-fingerprint", "of-template"]);
}
