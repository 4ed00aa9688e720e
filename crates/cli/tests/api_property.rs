//! The API under a property-based tester (schemathesis), driven by the OpenAPI document that the
//! running server gives out: no answer is a server error or not as documented, and bad input
//! changes nothing. `cargo xtask test` installs the tester.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, and says what it left out"
)]

mod support;

use std::path::PathBuf;
use std::process::Command;

use keywheel_api::ring::RingStatus;
use support::{Admin, Installation, Process, SERVER};

/// Two rings: one to be played with, and one that must stay as it is.
const RINGS: &str = r#"
[ring.web]
kind = "secret"
longest_lifetime = "1h"
on_event = ["login"]
consumer = [{ name = "web", role = "protect" }]

[ring.victim]
kind = "signing"
longest_lifetime = "1h"
require = ["probes"]
consumer = [{ name = "web", role = "protect" }]
"#;

/// Where the tests were told that the tester is; says so when they were not.
fn tester() -> Option<PathBuf> {
    let program =
        std::env::var_os("KEYWHEEL_VENV").map(|venv| PathBuf::from(venv).join("bin/schemathesis"));
    if program.is_none() {
        eprintln!(
            "SKIPPED: KEYWHEEL_VENV does not say where schemathesis is; run the tests with \
             `cargo xtask test`, which installs it"
        );
    }
    program
}

struct World {
    tester: PathBuf,
    installation: Installation,
    server: Process,
    admin: Admin,
}

impl World {
    fn new(tester: PathBuf) -> Self {
        let listen = SERVER.replace("\"unix:s\"", "\"unix:s\", \"127.0.0.1:0\"");
        let installation =
            Installation::new(&support::binary(), &format!("{listen}{RINGS}")).unwrap();
        let server = installation.start(&[]).unwrap();
        let admin = installation.admin().unwrap();
        Self { tester, installation, server, admin }
    }

    /// The address that the server chose.
    fn address(&self) -> String {
        let log = self.installation.log();
        let (_, rest) = log.split_once("address=127.0.0.1:").unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        format!("http://127.0.0.1:{port}")
    }

    /// Lets the tester play the holder of a token, with requests about one ring.
    fn play(&self, token: &str, ring: &str, arguments: &[&str]) {
        // `If-Match` of another revision is refused with 412, and rightly so. Headers that nobody
        // knows are no bad input.
        let settings = format!(
            "[parameters]\n\"path.ring\" = \"{ring}\"\n\
             [generation]\nallow-extra-parameters = false\n\
             [checks]\nnegative_data_rejection.expected-statuses = \
             [400, 401, 403, 404, 405, 409, 412, 413, 415, 422]\n"
        );
        std::fs::write(self.installation.path("schemathesis.toml"), settings).unwrap();
        let output = Command::new(&self.tester)
            .current_dir(self.installation.path(""))
            .arg("run")
            .arg(format!("{}/openapi.json", self.address()))
            .args(["--header", &format!("Authorization: Bearer {token}")])
            // It answers for as long as somebody listens; crates/server tests it.
            .args(["--exclude-path", "/v1/watch"])
            .args(["--seed", "1", "--no-shrink", "--suppress-health-check", "all"])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}:\n{said}\n{complained}");
        assert!(said.contains(" passed"), "nothing was tested:\n{said}");
    }

    /// Operations to which no body at all is a good one. What the tester makes up as a bad body may
    /// be just that, so for these only its chosen cases can be judged.
    fn operations_without_body(&self) -> Vec<String> {
        let document = self.admin.document("/openapi.json").unwrap();
        let paths = document["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|path| path.as_object().unwrap().values());
        let optional = operations.filter(|operation| {
            operation["requestBody"].is_object() && operation["requestBody"]["required"] != true
        });
        let ids = optional.map(|operation| operation["operationId"].as_str().unwrap().to_owned());
        let ids: Vec<String> = ids.collect();
        assert!(ids.iter().any(|id| id == "deleteRing"), "{ids:?}");
        ids
    }

    fn ends_well(mut self) {
        let log = self.installation.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(self.server.end().unwrap().success());
    }
}

const CONFORMANCE: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                           response_schema_conformance";
const REFUSAL: &str = "not_a_server_error,status_code_conformance,negative_data_rejection";

#[test]
fn every_answer_is_one_that_the_document_names() {
    let Some(tester) = tester() else { return };
    let world = World::new(tester);
    let token = |name: &str, role: &str| world.admin.token_text(name, role, &["*"]).unwrap();
    let arguments = |phases, examples| {
        ["--checks", CONFORMANCE, "--phases", phases, "--max-examples", examples]
    };
    world.play(&token("web", "consumer"), "web", &arguments("fuzzing", "3"));
    world.play(&token("glass", "breakglass"), "web", &arguments("fuzzing", "2"));
    world.play(&token("gate", "evidence:probes"), "victim", &arguments("fuzzing", "2"));
    let admin = world.installation.admin_token_text().unwrap();
    world.play(&admin, "web", &arguments("coverage,fuzzing", "2"));
    world.ends_well();
}

/// What must not change. Gates, instances and the like move by themselves.
fn settled(ring: &RingStatus) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        ring.incarnation.clone(),
        ring.revision,
        ring.versions.clone(),
        ring.policy.clone(),
        ring.paused.clone(),
        ring.bent.clone(),
    )
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let Some(tester) = tester() else { return };
    let world = World::new(tester);
    let before = settled(&world.admin.ring("victim").unwrap());
    let arguments = ["--checks", REFUSAL, "--mode", "negative", "--max-examples", "4"];
    let without_body = world.operations_without_body();
    let mut fuzzing = [&arguments[..], &["--phases", "fuzzing"]].concat();
    for id in &without_body {
        fuzzing.extend(["--exclude-operation-id", id.as_str()]);
    }
    let roles = [("web", "consumer"), ("glass", "breakglass"), ("op", "operator"), ("ad", "admin")];
    for (name, role) in roles {
        let token = world.admin.token_text(name, role, &["*"]).unwrap();
        world.play(&token, "victim", &fuzzing);
        assert_eq!(settled(&world.admin.ring("victim").unwrap()), before, "{role}");
    }
    let admin = world.installation.admin_token_text().unwrap();
    world.play(&admin, "victim", &[&arguments[..], &["--phases", "coverage"]].concat());
    assert_eq!(settled(&world.admin.ring("victim").unwrap()), before);
    world.ends_well();
}
