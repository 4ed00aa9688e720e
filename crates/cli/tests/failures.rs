//! What consumers live through when their server fails: it is down, its disk is full, a row of its
//! store is torn, its store is put back. Real servers, real clients; what commands say about files
//! and locks stands in `state.rs`.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod support;

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use keywheel_client::{Client, ProtectError, RingHandle};
use support::{Admin, Installation, Process, eventually, installation, words};

/// A consumer signs and checks; everything happens within seconds.
fn ring(name: &str) -> String {
    format!(
        "[ring.{name}]\nkind = \"signing\"\nlongest_lifetime = \"60s\"\nskew = \"200ms\"\n\
         lease_ttl = \"1s\"\noffline_max = \"4s\"\n\
         [[ring.{name}.consumer]]\nname = \"app\"\nrole = \"protect\"\n"
    )
}

/// A client of the consumer `app` that has its keys.
fn client(installation: &Installation, rings: &[&str], cache: Option<&Path>) -> Client {
    let token = installation.admin().unwrap().token("app", "consumer", &["*"]).unwrap();
    with_token(installation, token, rings, cache)
}

fn with_token(
    installation: &Installation,
    token: keywheel_client::Token,
    rings: &[&str],
    cache: Option<&Path>,
) -> Client {
    let mut builder = Client::builder(installation.endpoint(), token).consumer("app");
    for ring in rings {
        builder = builder.ring(*ring);
    }
    if let Some(cache) = cache {
        builder = builder.host_cache(cache);
    }
    let client = builder.build().unwrap();
    client.start().unwrap();
    client
}

/// Something that was signed, and with which key.
struct Signed {
    kid: String,
    number: u32,
    signature: Vec<u8>,
}

const MESSAGE: &[u8] = b"a request";

fn sign(ring: &RingHandle) -> Result<Signed, ProtectError> {
    let guard = ring.guard()?;
    let signature = guard.material().sign(MESSAGE)?;
    Ok(Signed { kid: guard.kid().to_string(), number: guard.number().0, signature })
}

fn accepts(ring: &RingHandle, signed: &Signed) -> Result<(), String> {
    let version = ring.version(&signed.kid).map_err(words)?;
    version.verify(MESSAGE, &signed.signature).map_err(words)
}

/// Rotates, and waits until the new version is the one that signs.
fn rotate(admin: &Admin, ring: &RingHandle) -> Signed {
    let before = admin.ring(ring.name()).unwrap().primary;
    eventually("a rotation begins", || Ok(admin.rotate(ring.name()).is_ok().then_some(())))
        .unwrap();
    eventually("the new version signs", || match sign(ring) {
        // On a busy machine it may not have heard of its server for a while.
        Err(ProtectError::Offline { .. }) => Ok(None),
        signed => Ok(Some(signed.map_err(words)?).filter(|one| Some(one.number) > before)),
    })
    .unwrap()
}

#[test]
fn consumers_outlive_their_server() {
    let installation = installation(&ring("tokens"));
    let mut server = installation.start(&[]).unwrap();
    let cache = installation.path("cache");
    std::fs::DirBuilder::new().mode(0o700).create(&cache).unwrap();
    let token = installation.admin().unwrap().token("app", "consumer", &["*"]).unwrap();
    let client = with_token(&installation, token.clone(), &["tokens"], Some(&cache));
    let ring = client.ring("tokens").unwrap();
    let before = sign(&ring).unwrap();
    eventually("the cache is written", || {
        // Beside it stands what is being written.
        let mut files = cache.read_dir().map_err(words)?.flatten();
        Ok(files.any(|file| file.path().extension().is_some_and(|x| x == "kwcache")).then_some(()))
    })
    .unwrap();

    server.kill();
    accepts(&ring, &before).unwrap();
    // A worker that starts now never reaches a server, and has what it needs to accept.
    let worker = with_token(&installation, token, &["tokens"], Some(&cache));
    let its_ring = worker.ring("tokens").unwrap();
    accepts(&its_ring, &before).unwrap();

    let refused = eventually("protecting is refused", || match sign(&ring) {
        Ok(signed) => accepts(&its_ring, &signed).map(|()| None),
        Err(error) => Ok(Some(error)),
    })
    .unwrap();
    assert!(matches!(refused, ProtectError::Offline { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("offline_max") && said.contains("; check that a server runs"), "{said}");
    accepts(&ring, &before).unwrap();

    let _server = installation.start(&[]).unwrap();
    let after = eventually("protecting is permitted again", || Ok(sign(&ring).ok())).unwrap();
    accepts(&ring, &after).unwrap();
    eventually("the late worker protects too", || Ok(sign(&its_ring).ok())).unwrap();
    assert!(rotate(&installation.admin().unwrap(), &ring).number > after.number);
}

#[test]
fn a_torn_row_stops_its_ring_and_no_other() {
    let installation = installation(&(ring("torn") + &ring("whole")));
    let mut server = installation.start(&[]).unwrap();
    let client = client(&installation, &["torn", "whole"], None);
    let (torn, whole) = (client.ring("torn").unwrap(), client.ring("whole").unwrap());
    let before = sign(&torn).unwrap();
    server.kill();
    let database = rusqlite::Connection::open(installation.path("state/keywheel.db")).unwrap();
    let rows = database.execute(
        "UPDATE kv SET value = substr(value, 1, length(value) / 2) WHERE key = 'ring/torn'",
        [],
    );
    assert_eq!(rows.unwrap(), 1);
    drop(database);

    let _server = installation.start(&[]).unwrap();
    let admin = installation.admin().unwrap();
    let refusal = admin.ring("torn").unwrap_err();
    let problem = refusal.problem().unwrap();
    assert_eq!(problem.kind(), Some(keywheel_api::problem::Kind::StoreRefused), "{refusal}");
    assert!(problem.detail.contains("torn") && !problem.remedy.is_empty(), "{refusal}");
    assert!(admin.rotate("torn").is_err());
    // The other ring rotates, and who holds keys of the torn one goes on with them.
    assert_eq!(rotate(&admin, &whole).number, 2);
    accepts(&torn, &before).unwrap();
    let listed = admin.document("/v1/rings").unwrap();
    assert_eq!(listed["refused"][0]["name"], "torn", "{listed}");
}

#[test]
fn consumers_go_on_after_a_full_restore() {
    let installation = installation(&ring("tokens"));
    let mut server = installation.start(&[]).unwrap();
    let admin = installation.admin().unwrap();
    let client = client(&installation, &["tokens"], None);
    let ring = client.ring("tokens").unwrap();
    let run = |arguments: &[&str]| {
        let output = installation.run(arguments).unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complained}");
    };
    run(&["backup", "--to", "backup.db"]);
    let life = admin.ring("tokens").unwrap().incarnation;
    // The backup knows nothing of the version that this consumer signs with.
    let lost = rotate(&admin, &ring);
    assert_eq!(lost.number, 2);
    server.kill();
    run(&["restore", "--from", "backup.db"]);

    let _server = installation.start(&[]).unwrap();
    assert_ne!(admin.ring("tokens").unwrap().incarnation, life);
    accepts(&ring, &lost).unwrap();
    let after = eventually("the restored ring has a primary that signs", || {
        let primary = admin.ring("tokens").map_err(words)?.primary;
        let signed = sign(&ring).ok().filter(|signed| signed.kid != lost.kid);
        Ok(signed.filter(|signed| Some(signed.number) == primary))
    })
    .unwrap();
    accepts(&ring, &after).unwrap();
    accepts(&ring, &lost).unwrap();
    let next = rotate(&admin, &ring);
    for signed in [&lost, &after, &next] {
        accepts(&ring, signed).unwrap();
    }
    run(&["audit", "--verify"]);
}

/// A file system of two mebibytes, seen by the server alone, which grows when it is told to. Needs
/// the right to make a mount namespace.
fn start_on_small_disk(installation: &Installation) -> Option<Process> {
    let mut command = std::process::Command::new("unshare");
    let serve = installation.command(&["serve"]);
    command
        .current_dir(installation.path(""))
        .args(["--mount", "--map-root-user", "sh", "-c"])
        .arg(
            "cp -a state saved && mount -t tmpfs -o size=2m,mode=700 tmpfs state && \
             cp -a saved/. state/ && touch mounted && \
             { (until test -e grow; do sleep 0.1; done; \
                mount -o remount,size=32m state && touch grown) & } && exec \"$@\"",
        )
        .arg("sh")
        .arg(serve.get_program())
        .args(serve.get_args())
        .stdin(std::process::Stdio::null());
    let mut server = installation.spawn_command(command).ok()?;
    let mounted = eventually("a file system is mounted", || {
        let is_mounted = installation.path("mounted").exists();
        Ok(if is_mounted { Some(true) } else { server.ended()?.map(|_| false) })
    });
    mounted.unwrap().then_some(server)
}

#[test]
fn a_full_disk_stops_changes_until_there_is_space() {
    let installation = installation(&ring("tokens"));
    // The socket stands outside of the small disk, where the test can see it.
    let socket = installation.path("s").display().to_string();
    let text = std::fs::read_to_string(installation.path("keywheel.toml")).unwrap();
    let mut first = installation.start(&[]).unwrap();
    let admin_token = installation.admin_token().unwrap();
    assert!(first.end().unwrap().success());
    installation.configure(&text.replace("unix:s", &format!("unix:{socket}"))).unwrap();
    let Some(mut server) = start_on_small_disk(&installation) else {
        return eprintln!("SKIPPED: no private file system can be mounted: {}", installation.log());
    };
    let _ = std::fs::remove_file(installation.path("state/s"));
    std::os::unix::fs::symlink(&socket, installation.path("state/s")).unwrap();
    installation.until_ready(&mut server).unwrap();
    let admin = Admin { http: installation.http(Some(&admin_token)).unwrap() };
    let verb = |name: &str| {
        let body = keywheel_api::ring::Verb { reason: Some("x".repeat(200)), ..Default::default() };
        admin.http.post::<serde_json::Value>(&format!("/v1/rings/tokens/{name}"), Some(&body), &[])
    };
    let mut turn = 0;
    let refused = eventually("the disk is full", || {
        for _ in 0..50 {
            turn += 1;
            if let Err(error) = verb(if turn % 2 == 1 { "pause" } else { "resume" }) {
                return Ok(Some(error));
            }
        }
        Ok(None)
    })
    .unwrap();
    let problem = refused.problem().unwrap_or_else(|| panic!("{refused}"));
    assert_eq!(problem.status, 503, "{refused}");
    assert!(!problem.remedy.is_empty(), "{refused}");
    let status = admin.ring("tokens").unwrap();
    assert_eq!(status.primary, Some(1));

    std::fs::write(installation.path("grow"), "").unwrap();
    eventually("the server goes on", || {
        // Whichever of the two fits the state that the last good change has left.
        Ok((verb("pause").is_ok() || verb("resume").is_ok()).then_some(()))
    })
    .unwrap();
    let audit = admin.document("/v1/audit?limit=1000").unwrap();
    assert_eq!(audit["verified"], true);
    let output = installation
        .command(&["audit", "--verify", "--token-file"])
        .arg(installation.path("saved/admin.token"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(admin.ring("tokens").unwrap().versions, status.versions);
    assert!(!installation.log().contains("panicked"), "{}", installation.log());
}
