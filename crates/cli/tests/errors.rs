//! Every error that a user can meet says its cause and then its remedy. The words are kept as
//! snapshots, so that a change of them is seen.

mod world;

use world::{WEB, World};

/// A configuration and what is said about it.
fn refused(name: &str, text: &str) {
    let world = World::new();
    world.write("keywheel.toml", text);
    let transcript = world.transcript(&["serve"]);
    assert!(transcript.contains("exit code 2"), "{transcript}");
    assert!(transcript.contains("remedy: "), "{transcript}");
    assert!(!transcript.contains("hunter2"), "{transcript}");
    assert!(!world.path(".keywheel").exists(), "a bad configuration made files");
    insta::assert_snapshot!(name, transcript);
}

#[test]
fn configurations_that_cannot_be() {
    let ring = |field: &str| format!("[ring.web]\nkind = \"secret\"\n{field}\n");
    refused("config_unknown_field", &ring("longest_lifetime = \"1h\"\nrotate_evry = \"1d\""));
    refused("config_unknown_table", "[servers]\nlisten = []\n");
    refused("config_missing_field", "[ring.web]\nkind = \"secret\"\n");
    refused("config_no_toml", "[ring.web\nkind = \n");
    refused("config_wrong_type", "[server]\nlisten = \"postgres://me:hunter2@db\"\n");
    refused("config_duplicate_ring", &format!("{WEB}\n{WEB}"));
    refused(
        "config_ring_name",
        "[ring.\"Web Session\"]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n",
    );
    refused("config_bad_cron", &ring("longest_lifetime = \"1h\"\ncron = \"every day\""));
    refused(
        "config_retires_early",
        &ring("longest_lifetime = \"31d\"\nretire_after = \"1d\"\nrotate_every = \"90d\""),
    );
    refused("config_too_fast", &ring("longest_lifetime = \"31d\"\nrotate_every = \"1h\""));
    refused(
        "config_consumers",
        "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
         [[ring.web.consumer]]\nname = \"a\"\nrole = \"protect\"\n\
         min_instances = 5\nmax_instances = 2\n\
         [[ring.web.consumer]]\nname = \"nginx\"\nrole = \"process\"\none_slot = true\n",
    );
    refused("config_listen", "[server]\nlisten = [\"0.0.0.0:7117\", \"nonsense\"]\n");
    refused("config_listen_nowhere", "[server]\nlisten = []\n");
    refused("config_store_later", "[server]\nstore = \"postgres://me:hunter2@db/keys\"\n");
    refused("config_store_unknown", "[server]\nstore = \"mysql://me:hunter2@db/keys\"\n");
    refused("config_kek", "[server]\nkek = { file = \"a\", credential = \"b\" }\n");
    refused("config_lease", "[server]\nlease_ttl = \"1h\"\nname = \"two words\"\n");
    refused(
        "config_notify",
        "[[notify]]\non = [\"stalled\", \"sneezed\"]\n\
         [[notify]]\non = [\"*\"]\ncommand = []\n\
         [[notify]]\non = []\nrings = [\"web\"]\ncommand = [\"true\"]\n",
    );
}

#[test]
fn commands_without_what_they_need() {
    let world = World::new();
    let say = |name: &str, args: &[&str]| {
        insta::assert_snapshot!(name, world.transcript(args));
    };
    say("no_configuration", &["status"]);
    say("no_token", &["status", "--server", "unix:/nowhere.sock"]);
    say("bad_endpoint", &["status", "--server", "http://10.0.0.1:1", "--token-file", "x"]);
    world.configure(WEB);
    say("no_store_to_back_up", &["backup", "--to", "b.db"]);
    say("no_store_to_eject", &["eject", "--to", "out", "--reveal"]);
    say("no_store_for_kek", &["kek", "status"]);
    say("never_started", &["status"]);
    say("eject_without_reveal", &["eject", "--to", "out"]);
    say("init_never_replaces", &["init"]);
    say("unknown_command", &["rotat", "web"]);
    say("bad_ring_name", &["rotate", "Web"]);
    say("token_goes_nowhere", &["token", "create", "a", "--role", "admin"]);
    say("bad_role", &["token", "create", "a", "--role", "root", "--reveal"]);
    say("apply_undeclared", &["apply", "other"]);
    say("json_error", &["--json", "status"]);
    say("json_usage", &["--json", "rotate"]);
    let doctor = world.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.contains("warn  store"), "{}", doctor.stdout);
    assert!(!world.path(".keywheel").exists(), "the doctor made files");
}

#[test]
fn refusals_of_a_running_server() {
    let world = World::with(WEB);
    let server = world.serve();
    let say = |name: &str, args: &[&str]| {
        insta::assert_snapshot!(name, world.transcript(args));
    };
    say("no_such_ring", &["status", "absent"]);
    say("nothing_to_promote", &["promote", "web"]);
    say("nothing_to_roll_back", &["rollback", "web"]);
    say("not_the_right", &["compromise", "web", "v1", "--reason", "leaked"]);
    say("no_such_event", &["ring", "event", "web", "login"]);
    world.ok(&["token", "create", "b", "--role", "breakglass", "--out", "b.token"]);
    let end = |id| ["instance", "end", id, "--reason", "lost", "--token-file", "b.token"];
    say("no_such_instance", &end("0a"));
    say("bad_instance", &end("Host/1"));
    say("end_without_reason", &["instance", "end", "0a"]);
    say("end_is_for_breakglass", &["instance", "end", "0a", "--reason", "lost"]);
    say("no_such_token", &["token", "revoke", "0000"]);
    let revoke = |more: &[&'static str]| [&["revoke", "--ring", "web"], more].concat();
    say("revoke_nothing", &revoke(&[]));
    say("revoke_two_things", &revoke(&["--active", "--kid", "a"]));
    say("revoke_no_such_kid", &revoke(&["--kid", "a"]));
    say("revoke_tomorrow", &revoke(&["--issued-before", "2200-01-01T00:00:00Z"]));
    say("revoke_when", &revoke(&["--issued-before", "yesterday"]));
    say("not_declared", &["ring", "import", "absent", "--env", "HOME"]);
    say("no_such_variable", &["ring", "import", "absent", "--env", "KW_ABSENT"]);
    world.write("a.env", "KEY=a$b\nTWICE=1\nTWICE=2\n");
    say("env_file_ambiguous", &["ring", "import", "absent", "--env-file", "a.env", "--key", "KEY"]);
    say("env_file_twice", &["ring", "import", "absent", "--env-file", "a.env", "--key", "TWICE"]);
    say("env_file_absent", &["ring", "import", "absent", "--env-file", "a.env", "--key", "NO"]);
    say("json_problem", &["--json", "rollback", "web"]);
    world
        .write("forged.token", "kw_0123456789abcdef_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    world::set_mode(&world.path("forged.token"), 0o600);
    say("forged_token", &["status", "--token-file", "forged.token"]);
    world.write("junk.token", "hello\n");
    world::set_mode(&world.path("junk.token"), 0o600);
    say("no_token_in_the_file", &["status", "--token-file", "junk.token"]);
    world.ok(&["ring", "delete", "web", "--reason", "nobody holds it"]);
    say("deleted", &["rotate", "web"]);
    server.stop();
    say("unreachable", &["status"]);
}

#[test]
fn the_doctor_of_nginx_says_where_what_and_why_and_never_a_value() {
    let world = World::new();
    let file = world.path("nginx.conf");
    std::fs::write(&file, "worker_shutdown_timeout 10s;\nhttp {\n  include site.conf;\n}\n")
        .unwrap();
    let site = "server {\n  set $api_key hunter2;\n  location / {\n    auth_request /_auth;\n    \
                return 200 hunter2;\n  }\n}\n";
    std::fs::write(world.path("site.conf"), site).unwrap();
    let file = file.to_str().unwrap();
    let told = world.run(&["doctor", "--nginx", file]);
    assert_eq!(told.code, 1, "a request without a token would pass");
    let folder = world.path("").display().to_string();
    insta::assert_snapshot!(told.stdout.replace(&folder, "FOLDER/"), @r"
warn  secret-in-set: $api_key holds one literal secret: nginx cannot accept its successor before it is used, and each rotation is a reload that may fail requests
      at: FOLDER/site.conf:2:3
      remedy: let auth_request ask for a verdict, or let keywheel agent write the value and declare the consumer as one_slot
warn  auth-location-not-internal: anybody can call the authentication endpoint through this location, and try tokens there without asking for anything else
      at: FOLDER/site.conf:3:3
      remedy: write `internal;` into this location
fail  return-beside-auth-request: nginx answers here before auth_request is asked, so that a request without any token gets this answer
      at: FOLDER/site.conf:5:5
      remedy: let a content handler answer (proxy_pass, try_files, empty_gif), or move the return into a location that is reached by an internal redirect
");
    let json = world.run(&["doctor", "--json", "--nginx", file]);
    assert!(!told.stdout.contains("hunter2") && !json.stdout.contains("hunter2"));
    let findings: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (json.code, &findings[2]["what"], &findings[2]["line"], &findings[2]["column"]),
        (1, &"return-beside-auth-request".into(), &5.into(), &5.into())
    );
    // Advice alone is no failure.
    std::fs::write(world.path("site.conf"), site.replace("return 200 hunter2;", "")).unwrap();
    assert_eq!(world.run(&["doctor", "--nginx", file]).code, 0);
    std::fs::write(world.path("site.conf"), "server {").unwrap();
    let broken = world.run(&["doctor", "--nginx", file]);
    assert_eq!(broken.code, 1);
    assert!(broken.stderr.contains("never closed"), "{}", broken.stderr);
}
