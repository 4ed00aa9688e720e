//! The server: whether one runs, answers, and knows the token.

use std::path::Path;

use super::Finding;
use crate::config::ServerConfig;
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::counted;
use crate::state::{Lock, holder};

pub(super) fn look(invocation: &Invocation, server: &ServerConfig) -> Vec<Finding> {
    let lock = lock(&server.lock_file());
    let remote = match Remote::open(invocation) {
        Ok(remote) => remote,
        Err(failure) => return vec![lock, Finding::failure("server", &failure)],
    };
    let endpoint = remote.http().endpoint().to_string();
    let answer = match remote.rings() {
        Ok(rings) => {
            Finding::ok("server", format!("{endpoint} answers, {}", counted(rings.len(), "ring")))
        }
        Err(failure) if failure.exit == Exit::Permission => {
            Finding::fail("token", failure.cause, failure.remedy)
        }
        Err(failure) => Finding::failure("server", &failure),
    };
    vec![lock, answer]
}

fn lock(path: &Path) -> Finding {
    let what = "lock";
    if !path.exists() {
        return Finding::ok(what, "free: no server runs on this store");
    }
    match Lock::try_take(path) {
        Ok(Some(_)) => Finding::ok(what, "free: no server runs on this store"),
        Ok(None) => {
            let pid = holder(path).map(|pid| format!(" by pid {pid}")).unwrap_or_default();
            Finding::ok(what, format!("held{pid}"))
        }
        Err(failure) => Finding::failure(what, &failure),
    }
}
