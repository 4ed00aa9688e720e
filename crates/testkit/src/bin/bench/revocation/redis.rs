//! The same question put to Redis: a server of its own, asked from Python over TCP as the client's
//! documentation has it, and over a unix socket on one kept connection, which is the cheapest way.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::Texts;
use crate::Fallible;
use crate::others::{Guard, python, wait};

/// The newest releases that were current when this was written.
const PACKAGES: [&str; 2] = ["redis==8.1.0", "hiredis==3.5.0"];
const CLIENT: &str = include_str!("redis.py");

/// What the client says. Times are nanoseconds of one question.
#[derive(Deserialize)]
pub(super) struct Answer {
    /// Version of the server.
    pub(super) server: String,
    /// Version of the client.
    pub(super) client: String,
    /// Version of what reads the answers.
    pub(super) parser: String,
    /// Memory of the set.
    pub(super) bytes: f64,
    /// Over TCP with a pool: about tokens that were not revoked, and that were.
    pub(super) pooled: [Cost; 2],
    /// Over a unix socket on one kept connection.
    pub(super) kept: [Cost; 2],
}

/// CPU of the client, CPU of the server, and time on the wall.
#[derive(Clone, Copy, Deserialize)]
pub(super) struct Cost(pub(super) f64, pub(super) f64, pub(super) f64);

impl Cost {
    pub(super) fn cpu(self) -> f64 {
        self.0 + self.1
    }
}

/// Puts these tokens into a Redis and asks it.
pub(super) fn ask(
    revoked: &Texts,
    absent: &Texts,
    present: &Texts,
    seconds: &str,
) -> Fallible<Answer> {
    let python = python("revocation", &PACKAGES)?;
    let scratch = tempfile::Builder::new().prefix("kwr").tempdir()?;
    let folder = scratch.path();
    let socket = folder.join("redis.sock");
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let _server = serve(folder, &socket, &port)?;
    let mut client = Command::new(python);
    client.args(["-c", CLIENT]).arg(&socket).arg(&port);
    for (name, texts) in [("revoked", revoked), ("absent", absent), ("present", present)] {
        let file = folder.join(name);
        std::fs::write(&file, texts.lines())?;
        client.arg(file);
    }
    let output = client.arg(seconds).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the client of Redis has failed".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A server that writes nothing to the disk and listens on loopback only.
fn serve(folder: &Path, socket: &Path, port: &str) -> Fallible<Guard> {
    let server = Command::new("redis-server")
        .args([
            "--bind",
            "127.0.0.1",
            "--port",
            port,
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ])
        .args(["--loglevel", "warning", "--unixsocket"])
        .arg(socket)
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null())
        // Standard output is the report's.
        .stdout(std::io::stderr())
        .spawn()?;
    let server = Guard(server);
    wait(|| std::os::unix::net::UnixStream::connect(socket).is_ok())?;
    Ok(server)
}
