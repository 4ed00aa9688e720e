//! `examples/nginx`, as its page says: laid out, started, asked, rotated.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod edge;
mod world;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use edge::callers::{ask_for, ask_with};
use edge::site::{Master, free_address};
use world::{World, until, until_or};

/// Puts the example where a user would, but on ports that are free here. Gives the addresses of the
/// guarded site and of the one that knows its callers by a key.
fn lay_out(world: &World) -> (SocketAddr, SocketAddr) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/nginx");
    let laid_out = Command::new("sh").arg(example.join("setup.sh")).arg(world.path("")).status();
    assert!(laid_out.unwrap().success());
    // The page's ports may be taken here.
    let (guarded, legacy) = (free_address(), free_address());
    for file in ["nginx.conf", "agent.toml"] {
        let text = std::fs::read_to_string(world.path(file)).unwrap();
        let text = text.replace("127.0.0.1:8080", &guarded.to_string());
        world.write(file, text.replace("127.0.0.1:8081", &legacy.to_string()));
    }
    // A server that has just come waits for a lease before it believes that it knows everybody.
    let rings = std::fs::read_to_string(world.path("keywheel.toml")).unwrap();
    let quick = rings.replace("longest_lifetime", "lease_ttl = \"2s\"\nlongest_lifetime");
    world.write("keywheel.toml", quick);
    (guarded, legacy)
}

#[test]
fn the_example_does_what_its_page_says() {
    let world = World::new();
    let (guarded, legacy) = lay_out(&world);
    let mut upstream = Command::new("python3");
    upstream.arg(world.path("upstream.py")).arg(world.path(""));
    let upstream = world.start(upstream);
    until("the services listen", || world.path("app.sock").exists());
    let nginx = Master::start(&world.path("nginx.conf"), &world.path("nginx-stderr"));
    until("nginx listens", || std::net::TcpStream::connect(legacy).is_ok());
    let standalone = ["agent", "--standalone", "--config", "agent.toml"];
    let all = [&standalone[..], &["--server-config", "keywheel.toml"]].concat();
    let agent = world.start(world.command(&all));

    let key = || {
        let keys = std::fs::read_to_string(world.path("caller.keys")).unwrap_or_default();
        keys.lines().next().unwrap_or_default().to_owned()
    };
    let at = guarded;
    let guarded = |key: &str| ask_with(at, &format!("Authorization: Bearer {key}"));
    let token = || {
        let signer = std::fs::read_to_string(world.path("signer.token")).unwrap();
        let (path, json) = ("/v1/rings/access-token/sign", "application/json");
        let claims = r#"{"claims": {"sub": "me"}}"#;
        let socket = world.state("keywheel.sock");
        let (status, body) = edge::callers::post(&socket, path, signer.trim(), json, claims);
        assert_eq!(status, 200, "{body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        answer["token"].as_str().unwrap().to_owned()
    };
    until("the server is there", || world.state("admin.token").exists());
    let create = ["token", "create", "me", "--role", "signer", "--ring", "access-token"];
    until("a signer is made", || {
        world.run(&[&create[..], &["--out", "signer.token"]].concat()).code == 0
    });
    until("the edge listens", || world.path("authz.sock").exists());
    let mine = token();
    let legacy = |key: &str| ask_with(legacy, &format!("X-Api-Key: {key}"));
    let seen = || (guarded(&mine), legacy(&key()));
    until_or(
        "both sites accept the caller",
        || !key().is_empty() && seen() == (200, 200),
        || format!("{:?}\n{}", seen(), agent.log()),
    );
    assert_eq!((guarded("bogus"), legacy("bogus")), (401, 403));

    let former = key();
    for ring in ["access-token", "api-key", "backend-key"] {
        let ran = world.run(&["rotate", ring, "--wait", "--timeout", "3m"]);
        assert_eq!(ran.code, 0, "{}{}\n{}", ran.stdout, ran.stderr, agent.log());
    }
    assert_ne!(key(), former);
    for key in [&former, &key()] {
        assert_eq!(legacy(key), 200);
    }
    let admin = |token: &str| {
        let header = format!("Authorization: Bearer {token}\r\nX-Original-URI: /");
        ask_for(at, "/admin/", &header)
    };
    for token in [&mine, &token()] {
        assert_eq!((guarded(token), admin(token)), (200, 403));
    }
    let plan = world.ok(&["plan", "backend-key"]);
    assert!(plan.contains("holds one value"), "{plan}");
    drop((agent, nginx, upstream));
}
