//! Adopting keywheel and leaving it again, byte for byte.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod world;

use base64::Engine as _;
use world::{Ran, World, mode};

const RINGS: &str = "[ring.flask]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                     [ring.django]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                     [ring.docker]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                     [ring.binary]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                     [ring.session]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                     [ring.piped]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                     [ring.hex]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
                     [ring.tokens]\nkind = \"signing\"\nlongest_lifetime = \"15m\"\n\
                     [ring.hmac]\nkind = \"signing\"\nalgorithm = \"HS256\"\n\
                     longest_lifetime = \"15m\"\n\
                     [ring.partner]\nkind = \"external\"\nlongest_lifetime = \"1h\"\n";

/// An Ed25519 key made for this test.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";

fn ejected(world: &World, name: &str) -> Vec<u8> {
    std::fs::read(world.path("out").join(name)).unwrap()
}

#[test]
fn import_takes_exact_bytes() {
    let world = World::with(RINGS);
    let server = world.serve_with(&["--no-apply"]);
    let hmac_key = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([0xa5; 32]);
    world.write("secret.txt", "correct horse battery staple, and 7 more words\n");
    world.write(".env", "DEBUG=1\nSECRET_KEY='django-insecure-#$%^&*(x'  # keep\n");
    world.write("docker.env", "KEY=\"quoted and all\"\n");
    world.write("raw.bin", [0, 1, 2, 0xff, b'\n']);
    world.write("key.pem", PEM);
    let jwk = format!(r#"{{"kty":"oct","kid":"team-2024","alg":"HS256","k":"{hmac_key}"}}"#);
    world.write("key.jwk", jwk);

    world.ok(&["ring", "import", "flask", "secret.txt"]);
    world.ok(&["ring", "import", "django", "--env-file", ".env", "--key", "SECRET_KEY"]);
    world.ok(&[
        "ring",
        "import",
        "docker",
        "--env-file",
        "docker.env",
        "--key",
        "KEY",
        "--literal",
    ]);
    world.ok(&["ring", "import", "binary", "raw.bin"]);
    world.write("hex.txt", "00ff10\n");
    world.ok(&["ring", "import", "hex", "--format", "hex", "hex.txt"]);
    let mut command = world.command(&["ring", "import", "session", "--env", "SESSION"]);
    let ran = Ran::of(command.env("SESSION", "from the environment"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let piped = world.run_with(&["ring", "import", "piped", "--stdin"], b"through a pipe\r\n");
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    world.ok(&["ring", "import", "tokens", "key.pem"]);
    world.ok(&["ring", "import", "hmac", "key.jwk"]);
    world.ok(&["ring", "import", "partner", "secret.txt"]);

    let page = world.json(&["status", "hmac"]);
    assert_eq!(page["versions"][0]["kid"], "team-2024");
    assert_eq!(page["versions"][0]["origin"], "imported");

    server.stop();
    let told = world.ok(&["eject", "--to", "out", "--reveal"]);
    assert!(!told.contains("horse"), "{told}");
    assert_eq!(ejected(&world, "flask/v1.key"), b"correct horse battery staple, and 7 more words");
    assert_eq!(ejected(&world, "django/v1.key"), b"django-insecure-#$%^&*(x");
    assert_eq!(ejected(&world, "docker/v1.key"), b"\"quoted and all\"");
    assert_eq!(ejected(&world, "binary/v1.key"), [0, 1, 2, 0xff, b'\n']);
    assert_eq!(ejected(&world, "session/v1.key"), b"from the environment");
    assert_eq!(ejected(&world, "piped/v1.key"), b"through a pipe");
    assert_eq!(ejected(&world, "hex/v1.key"), [0x00, 0xff, 0x10]);
    assert_eq!(ejected(&world, "hmac/v1.key"), [0xa5; 32]);
    assert_eq!(String::from_utf8(ejected(&world, "tokens/v1.private.pem")).unwrap(), PEM);
    let set: serde_json::Value =
        serde_json::from_slice(&ejected(&world, "tokens/jwks.json")).unwrap();
    assert_eq!(set["keys"][0]["crv"], "Ed25519");
    let symmetric: serde_json::Value =
        serde_json::from_slice(&ejected(&world, "hmac/v1.jwk.json")).unwrap();
    assert_eq!(symmetric["k"], hmac_key);
    assert_eq!(mode(&world.path("out")), 0o700);
    assert_eq!(mode(&world.path("out/flask")), 0o700);
    assert_eq!(mode(&world.path("out/flask/v1.key")), 0o600);
    let readme = String::from_utf8(ejected(&world, "README.md")).unwrap();
    assert!(readme.contains("[v1.private.pem](tokens/v1.private.pem)"), "{readme}");
    assert!(!readme.contains("horse"), "{readme}");
}

#[test]
fn a_weak_key_is_taken_and_flagged() {
    let world = World::with(RINGS);
    let server = world.serve_with(&["--no-apply"]);
    let ran = world.run_with(&["ring", "import", "flask", "--stdin"], b"dev");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("warning: this key is weak"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("dev"), "{}", ran.stderr);
    let page = world.ok(&["status", "flask"]);
    assert!(page.contains("imported; "), "{page}");
    server.stop();
}

#[test]
fn an_existing_ring_is_never_overwritten() {
    let world = World::with(RINGS);
    let server = world.serve();
    let before = world.json(&["status", "flask"])["versions"].clone();
    let ran = world.run_with(&["ring", "import", "flask", "--stdin"], b"another key altogether");
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert_eq!(world.json(&["status", "flask"])["versions"], before);
    server.stop();
}
