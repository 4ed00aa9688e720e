//! `keywheel agent` end to end: a real server, a real agent, and a consumer that can only read a
//! file when it is told to.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod legacy;
mod world;

use legacy::{Legacy, RING, Stall};
use world::{World, mode, until};

#[test]
fn an_env_file_and_a_command_are_all_that_a_legacy_application_needs() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let server = legacy.world.serve();
    legacy.make_token();
    legacy.world.ok(&["agent", "--config", "agent.toml", "--once"]);
    let env = legacy.env();
    assert!(env.starts_with("# ours\nDEBUG=1\n"), "{env}");
    assert_eq!(mode(&legacy.world.path("app.env")), 0o600);
    assert_eq!(legacy.running(), env);
    assert!(legacy.status().contains("probed"), "{}", legacy.status());

    let agent = legacy.start();
    for primary in 2..=4 {
        legacy.world.ok(&["rotate", "web", "--wait"]);
        assert_eq!(legacy.primary(), primary);
        until("the file and the application follow", || {
            legacy.running() == legacy.env() && legacy.fallbacks().is_empty()
        });
        assert!(legacy.env().starts_with("# ours\nDEBUG=1\n"), "{}", legacy.env());
    }
    legacy.assert_no_secret_is_told(&[&agent.log(), &server.log()]);
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    server.stop();
}

#[test]
fn a_probe_that_fails_puts_the_former_content_back_and_the_rotation_holds_with_the_reason() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let server = legacy.world.serve();
    legacy.make_token();
    let agent = legacy.start();
    until("the agent has delivered", || legacy.status().contains("probed"));
    let before = legacy.env();

    legacy.refuse_new_keys(true);
    assert_eq!(legacy.world.run(&["rotate", "web", "--wait", "--timeout", "3s"]).code, 3);
    until("status names the reason", || legacy.status().contains("probe try"));
    until("the former content is back, and in use", || {
        legacy.env() == before && legacy.running() == before
    });
    assert_eq!(legacy.primary(), 1);
    assert_eq!(legacy.world.json(&["status", "web"])["stage"], "confirm");

    legacy.refuse_new_keys(false);
    until("the rotation goes on by itself", || legacy.primary() == 2);
    legacy.assert_no_secret_is_told(&[&agent.log()]);
    agent.stop();
    server.stop();
}

#[test]
fn a_rotation_that_the_consumer_refuses_goes_back_where_the_policy_says_so() {
    let legacy = Legacy::new(RING, Stall::Rollback);
    let server = legacy.world.serve();
    legacy.make_token();
    let agent = legacy.start();
    until("the agent has delivered", || legacy.status().contains("probed"));
    let before = legacy.env();
    legacy.refuse_new_keys(true);
    legacy.world.run(&["rotate", "web"]);
    until("the rotation is over", || {
        let ring = legacy.world.json(&["status", "web"]);
        ring["stage"] == "rest" && ring["keyset_revision"].as_u64() > Some(2)
    });
    assert_eq!(legacy.primary(), 1);
    until("the former content is back, and in use", || {
        legacy.env() == before && legacy.running() == before
    });
    agent.stop();
    server.stop();
}

#[test]
fn what_is_wrong_is_said_before_anything_is_written() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let checked = legacy.world.run(&["agent", "--config", "agent.toml", "--check"]);
    assert_eq!(checked.code, 1, "{}{}", checked.stdout, checked.stderr);
    assert!(checked.stdout.contains("FAIL web"), "{}", checked.stdout);

    let server = legacy.world.serve();
    legacy.make_token();
    let checked = legacy.world.run(&["agent", "--config", "agent.toml", "--check"]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    assert_eq!(legacy.env(), "# ours\nDEBUG=1\n", "a check writes nothing");

    // One value and no accepted list, for a consumer that is not declared as one-slot.
    let text = std::fs::read_to_string(legacy.world.path("agent.toml")).unwrap();
    let one_slot =
        text.lines().filter(|line| !line.starts_with("set.SECRET_KEY_FALL")).collect::<Vec<_>>();
    legacy.world.write("agent.toml", one_slot.join("\n"));
    let refused = legacy.world.run(&["agent", "--config", "agent.toml", "--once"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("one_slot"), "{}", refused.stderr);
    assert_eq!(legacy.env(), "# ours\nDEBUG=1\n");
    server.stop();
}

#[test]
fn sighup_reads_the_file_again_all_of_it_or_nothing() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let server = legacy.world.serve();
    legacy.make_token();
    let agent = legacy.start();
    until("the agent has delivered", || legacy.running().contains("SECRET_KEY="));
    let text = std::fs::read_to_string(legacy.world.path("agent.toml")).unwrap();
    legacy
        .world
        .write("agent.toml", text.replace("set.SECRET_KEY =", "set.nonsense = 7\nset.OTHER_KEY ="));
    hang_up(agent.pid());
    until("the fault is told", || agent.log().contains("is not used"));
    assert!(!legacy.env().contains("OTHER_KEY"));
    legacy.world.write("agent.toml", text.replace("set.SECRET_KEY =", "set.OTHER_KEY ="));
    hang_up(agent.pid());
    until("the change is delivered", || legacy.running().contains("OTHER_KEY="));
    agent.stop();
    server.stop();
}

#[test]
fn what_somebody_else_changed_is_delivered_again_and_other_variables_are_theirs() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let server = legacy.world.serve();
    legacy.make_token();
    let agent = legacy.start();
    until("the agent has delivered", || legacy.status().contains("probed"));
    let before = legacy.env();
    let edited = before.replace("DEBUG=1", "DEBUG=2").replace("SECRET_KEY=", "SECRET_KEY=x");
    std::fs::write(legacy.world.path("app.env"), edited).unwrap();
    until("it is delivered again", || {
        legacy.running() == before.replace("DEBUG=1", "DEBUG=2") && legacy.running() == legacy.env()
    });
    until("it is told", || agent.log().contains("somebody else had changed"));

    // The application loses its memory; one reload brings it back.
    legacy.world.write("running", "nothing");
    until("it is reloaded", || legacy.running() == legacy.env());
    until("it is told", || agent.log().contains("does not stand any more"));
    legacy.assert_no_secret_is_told(&[&agent.log()]);
    agent.stop();
    server.stop();
}

#[test]
fn a_template_that_changes_is_delivered() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let at = |name: &str| legacy.world.path(name).display().to_string();
    let sink = format!(
        "[[consumer.sink]]\nname = \"ini\"\ntemplate = \"{}\"\nsource = \"{}\"\n\
         rings = [\"web\"]\n[[consumer.probe]]",
        at("app.ini"),
        at("app.j2")
    );
    legacy.change_agent(|text| text.replace("[[consumer.probe]]", &sink));
    legacy.world.write("app.j2", "key = {{ ring(\"web\").primary.text }}\n");
    let server = legacy.world.serve();
    legacy.make_token();
    let agent = legacy.start();
    let ini = || std::fs::read_to_string(legacy.world.path("app.ini")).unwrap_or_default();
    until("the template is delivered", || ini().starts_with("key = "));
    legacy.world.write("app.j2", "secret = {{ ring(\"web\").primary.text }}\n");
    until("its change is delivered", || ini().starts_with("secret = "));
    // One that cannot be rendered leaves everything as it is, and is told.
    let before = ini();
    legacy.world.write("app.j2", "{{ ring(\"web\").nonsense }}");
    until("the fault is told", || legacy.status().contains("ini: "));
    assert_eq!(ini(), before);
    agent.stop();
    server.stop();
}

#[test]
fn an_end_in_the_middle_of_a_delivery_takes_it_back() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let hang = legacy.world.path("hang").display().to_string();
    legacy.change_agent(|text| {
        text.replace("umask 077;", &format!("umask 077; if rm '{hang}'; then sleep 60; fi;"))
    });
    let server = legacy.world.serve();
    legacy.make_token();
    let agent = legacy.start();
    until("the agent has delivered", || legacy.status().contains("probed"));
    let before = legacy.env();
    legacy.world.write("hang", "");
    legacy.world.run(&["rotate", "web"]);
    until("the reload hangs", || !legacy.world.path("hang").exists());
    assert_ne!(legacy.env(), before);
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");
    assert_eq!(legacy.env(), before);
    assert_eq!(legacy.running(), before);
    let agent = legacy.start();
    until("the rotation goes on", || legacy.primary() == 2);
    agent.stop();
    server.stop();
}

#[test]
fn a_consumer_without_a_server_is_stopped_in_time_where_that_was_wished_for() {
    let legacy =
        Legacy::new(&RING.replace("offline_max = \"1m\"", "offline_max = \"3s\""), Stall::Hold);
    let stopped = legacy.world.path("stopped").display().to_string();
    legacy.change_agent(|text| {
        let stop = format!(
            "wait = \"0s\"\nwhen_offline = \"stop\"\nstop = {{ command = [\"touch\", \"{stopped}\"] }}"
        );
        text.replace("wait = \"0s\"", &stop)
    });
    let server = legacy.world.serve();
    legacy.make_token();
    let agent = legacy.start();
    until("the agent has delivered", || legacy.status().contains("probed"));
    server.kill();
    until("the consumer is stopped", || legacy.world.path("stopped").exists());

    // An agent that is started meanwhile remembers that the time is over.
    agent.kill();
    std::fs::remove_file(legacy.world.path("stopped")).unwrap();
    let agent = legacy.start();
    until("the consumer is stopped again", || legacy.world.path("stopped").exists());

    std::fs::remove_file(legacy.world.path("running")).unwrap();
    let server = legacy.world.serve();
    until("its reload starts it again", || legacy.running() == legacy.env());
    until("and it proves", || legacy.status().contains("1 live of at least 1"));
    agent.stop();
    server.stop();
}

#[test]
fn an_agent_that_stands_alone_is_the_server_too() {
    let legacy = Legacy::new(RING, Stall::Hold);
    let text = std::fs::read_to_string(legacy.world.path("agent.toml")).unwrap();
    let alone = |line: &&str| !line.starts_with("url") && !line.starts_with("token_file");
    let text = text.lines().filter(alone).collect::<Vec<_>>().join("\n");
    legacy.world.write("agent.toml", text);
    let args = ["agent", "--config", "agent.toml", "--standalone", "-vv"];
    let agent = legacy.world.start(legacy.world.command(&args));
    until("the agent has delivered", || legacy.running().contains("SECRET_KEY="));
    legacy.world.ok(&["rotate", "web", "--wait"]);
    assert_eq!(legacy.primary(), 2);
    legacy.assert_no_secret_is_told(&[&agent.log()]);
    let (code, log) = agent.stop();
    assert_eq!(code, 0, "{log}");

    // The second start finds its token and itself again.
    let agent = legacy.world.start(legacy.world.command(&args));
    until("the agent proves again", || {
        legacy.world.run(&["status", "web"]).stdout.contains("1 live of at least 1")
    });
    let tokens = legacy.world.json(&["token", "list"]);
    let ours = tokens["tokens"].as_array().unwrap().iter();
    assert_eq!(ours.filter(|token| token["name"] == "agent web").count(), 1, "{tokens}");
    agent.stop();
}

#[test]
fn the_example_is_printed() {
    let world = World::new();
    let example = world.ok(&["agent", "--example"]);
    assert!(example.contains("[[consumer.sink]]"));
}

fn hang_up(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
}
