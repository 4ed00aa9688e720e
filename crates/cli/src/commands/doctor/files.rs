//! Folders, files, disk and clock.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use keywheel_core::time::WallTime;
use keywheel_engine::ports::{Clock as _, Kek as _};
use keywheel_store::{SystemClock, SystemEntropy};

use super::Finding;
use crate::config::ServerConfig;
use crate::state::kek_failure;

/// Below this, a store should be given room; below a tenth of it, it will soon refuse to write.
const FREE_BYTES_LOW: u64 = 200 * 1024 * 1024;

/// No clock is right that says this keywheel was not yet written: 2026-01-01.
const EARLIEST: WallTime = WallTime(1_767_225_600_000);

pub(super) fn look(server: &ServerConfig) -> Vec<Finding> {
    let mut findings = vec![folder(&server.state_dir)];
    if server.state_dir.exists() {
        findings.push(disk(&server.state_dir));
    }
    findings.push(master_key(server));
    findings.push(admin_token(&server.admin_token()));
    if let Some(tls) = &server.tls {
        findings.push(private_file("TLS key", &tls.key_file));
    }
    findings
}

pub(super) fn clock() -> Finding {
    let now = SystemClock.wall();
    if now > EARLIEST {
        Finding::ok("clock", now.to_string())
    } else {
        Finding::fail(
            "clock",
            format!("it says {now}, which is before keywheel was written"),
            "set the clock, and let NTP keep it; no key is retired early meanwhile",
        )
    }
}

fn folder(path: &Path) -> Finding {
    let what = "state folder";
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::warn(
            what,
            format!("{shown} does not exist"),
            "the first start of the server makes it: keywheel serve",
        ),
        Err(error) => Finding::fail(what, format!("{shown}: {error}"), "check the path"),
        Ok(facts) if !facts.is_dir() => {
            Finding::fail(what, format!("{shown} is not a folder"), "correct server.state_dir")
        }
        Ok(facts) if facts.uid() != rustix::process::geteuid().as_raw() => Finding::fail(
            what,
            format!("{shown} belongs to uid {}", facts.uid()),
            "run keywheel as that user, or give the folder to this one",
        ),
        Ok(facts) if facts.mode() & 0o077 != 0 => Finding::warn(
            what,
            format!("{shown} has mode {:04o}, so others can look into it", facts.mode() & 0o7777),
            format!("run: chmod 700 {shown}"),
        ),
        Ok(_) => Finding::ok(what, format!("{shown}, mode 0700")),
    }
}

fn disk(path: &Path) -> Finding {
    let what = "disk";
    let facts = match rustix::fs::statvfs(path) {
        Ok(facts) => facts,
        Err(error) => {
            return Finding::warn(what, format!("{}: {error}", path.display()), "check the path");
        }
    };
    let free = facts.f_bavail.saturating_mul(facts.f_frsize);
    let shown = format!("{} MiB free", free / (1024 * 1024));
    if free < FREE_BYTES_LOW / 10 {
        Finding::fail(what, shown, "free some space: a full disk stops every rotation")
    } else if free < FREE_BYTES_LOW {
        Finding::warn(what, shown, "free some space before the disk is full")
    } else {
        Finding::ok(what, shown)
    }
}

fn master_key(server: &ServerConfig) -> Finding {
    let what = "master key";
    if !server.store.exists() {
        return Finding::ok(what, "not needed yet: there is no store");
    }
    match server.kek.open(Arc::new(SystemEntropy)) {
        Err(error) => Finding::failure(what, &kek_failure(&error, None)),
        Ok(kek) if kek.former_ids().is_empty() => Finding::ok(what, kek.id().0),
        Ok(kek) => Finding::warn(
            what,
            format!("{}, and its replacement is not finished", kek.id().0),
            "stop the server and run: keywheel kek rotate",
        ),
    }
}

fn admin_token(path: &Path) -> Finding {
    let what = "admin token";
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::warn(
            what,
            format!("{} is not there", path.display()),
            "name yours with --token-file; a new one is made by: keywheel serve --new-admin-token",
        ),
        _ => private_file(what, path),
    }
}

fn private_file(what: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) => Finding::fail(what, format!("{shown}: {error}"), "check the path"),
        Ok(facts) if facts.mode() & 0o077 != 0 => Finding::fail(
            what,
            format!("{shown} has mode {:04o}, so others can read it", facts.mode() & 0o7777),
            format!("run: chmod 600 {shown}; and replace it if others could have read it"),
        ),
        Ok(_) => Finding::ok(what, shown.to_string()),
    }
}
