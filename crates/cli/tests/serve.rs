//! The way that everybody takes first: init, serve, apply, status; and the way down again.

mod world;

use std::os::unix::net::UnixDatagram;

use world::{WEB, World, mode, until};

#[test]
fn init_serve_apply_status() {
    let world = World::new();
    world.ok(&["init"]);
    let text = std::fs::read_to_string(world.path("keywheel.toml")).unwrap();
    let socket_only = text.replacen(
        "#listen = [\"127.0.0.1:7117\", \"unix:keywheel.sock\"]",
        "listen = [\"unix:keywheel.sock\"]",
        1,
    );
    assert_ne!(text, socket_only);
    world.write("keywheel.toml", &socket_only);
    let server = world.serve();

    let table = world.ok(&["status"]);
    assert!(table.lines().nth(1).unwrap().starts_with("web-session  secret  rest   v1"), "{table}");
    let page = world.ok(&["status", "web-session"]);
    assert!(page.contains("web protect  0 live of at least 1"), "{page}");

    let more = "\n[ring.tokens]\nkind = \"signing\"\nlongest_lifetime = \"15m\"\n";
    let changed = socket_only.replace("rotate_every = \"30d\"", "rotate_every = \"60d\"") + more;
    world.write("keywheel.toml", &changed);
    let pending = world.run(&["apply", "--dry-run"]);
    assert_eq!(pending.code, 2, "{}", pending.stderr);
    assert_eq!(
        pending.stdout,
        "tokens will be created\nweb-session will change\n  rotate_every: \"30d\" → \"60d\"\n"
    );
    assert_eq!(world.run(&["apply", "--dry-run"]).code, 2, "a dry run changes nothing");
    world.ok(&["apply"]);
    assert_eq!(
        world.ok(&["apply", "--dry-run"]),
        "tokens is as declared\nweb-session is as declared\n"
    );

    world.write("keywheel.toml", &socket_only);
    assert!(world.ok(&["apply"]).contains("tokens is on the server only, and stays there"));
    assert_eq!(world.json(&["status"]).as_array().unwrap().len(), 2);

    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!world.state("keywheel.sock").exists(), "the socket stayed behind");
    let gone = world.run(&["status"]);
    assert_eq!(gone.code, 5, "{}", gone.stderr);
}

#[test]
fn the_first_start_makes_private_files_and_shows_no_token() {
    let world = World::with(WEB);
    let server = world.serve();
    for name in ["master.key", "admin.token", "keywheel.db", "high-water.db", "keywheel.db.lock"] {
        assert_eq!(mode(&world.state(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&world.state("")), 0o700);
    assert_eq!(std::fs::read(world.state(".gitignore")).unwrap(), b"*\n");
    let token = std::fs::read_to_string(world.state("admin.token")).unwrap();
    let (_, log) = server.stop();
    let secret = token.trim().rsplit('_').next().unwrap();
    assert!(secret.len() >= 20);
    assert!(!log.contains(secret), "the log shows the token");
    assert!(log.contains("admin.token"), "{log}");

    let key = std::fs::read(world.state("master.key")).unwrap();
    let server = world.serve();
    assert_eq!(std::fs::read(world.state("master.key")).unwrap(), key);
    assert_eq!(std::fs::read_to_string(world.state("admin.token")).unwrap(), token);
    server.stop();
}

#[test]
fn a_start_that_was_killed_before_the_token_was_written_is_repaired() {
    let world = World::with(WEB);
    world.serve().stop();
    std::fs::write(world.state("admin.token"), "").unwrap();
    let server = world.serve();
    world.ok(&["status"]);
    server.stop();
    std::fs::remove_file(world.state("admin.token")).unwrap();
    let server = world.serve();
    assert_eq!(world.run(&["status"]).code, 6);
    server.stop();
    let server = world.serve_with(&["--new-admin-token"]);
    world.ok(&["status"]);
    server.stop();
}

#[test]
fn the_supervisor_is_told() {
    let world = World::with(WEB);
    let path = world.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_mins(1))).unwrap();
    let mut command = world.command(&["serve", "--log", "json"]);
    command.env("NOTIFY_SOCKET", &path);
    let server = world.start(command);
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).unwrap();
    let ready = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    let (code, log) = server.stop();
    assert_eq!(code, 0);
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"STOPPING=1");
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["level"].is_string(), "{line}");
    }
}

#[test]
fn a_killed_server_starts_again_and_goes_on() {
    let world = World::with(WEB);
    let server = world.serve();
    world.ok(&["rotate", "web"]);
    server.kill();
    let server = world.serve();
    until("the rotation stands before its gate", || {
        world.json(&["status", "web"])["stage"] == "confirm"
    });
    world.ok(&["audit", "--verify"]);
    server.stop();
}

#[test]
fn status_watch_without_a_terminal_tells_each_change() {
    let world = World::with(WEB);
    let server = world.serve();
    let watch = world.start(world.command(&["status", "web", "--watch"]));
    until("the first line is there", || watch.log().contains("web: rest, primary v1"));
    world.ok(&["rotate", "web"]);
    until("the rotation is told", || watch.log().contains("confirm of v2 (forward)"));
    watch.kill();
    server.stop();
}
