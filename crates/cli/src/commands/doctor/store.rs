//! The store: its file, its values, its rings, and what this machine remembers of them.

use std::sync::Arc;

use keywheel_engine::ports::{Kek as _, Store as _};
use keywheel_store::{Envelope, FileHighWater, Sealer, SqliteStore, SystemClock, SystemEntropy};

use super::Finding;
use crate::config::ServerConfig;
use crate::failure::chain;
use crate::show::counted;
use crate::state::{open_failure, sealed_under, wrong_kek};

pub(super) fn look(server: &ServerConfig) -> Vec<Finding> {
    let what = "store";
    if !server.store.exists() {
        return vec![Finding::warn(
            what,
            format!("{} does not exist", server.store.display()),
            "the first start of the server makes it: keywheel serve",
        )];
    }
    let store = match SqliteStore::open(&server.store, Arc::new(SystemClock)) {
        Ok(store) => store,
        Err(error) => return vec![Finding::failure(what, &open_failure(&error))],
    };
    let mut findings = vec![match store.integrity_check() {
        Ok(()) => Finding::ok(what, format!("{}, every page is whole", server.store.display())),
        Err(error) => Finding::fail(what, chain(&error), "restore a backup: keywheel restore"),
    }];
    findings.extend(values(server, &store));
    findings
}

/// Opens every value, and compares each with what this machine remembers of it.
fn values(server: &ServerConfig, store: &SqliteStore) -> Vec<Finding> {
    let what = "sealed values";
    let Ok(kek) = server.kek.open(Arc::new(SystemEntropy)) else {
        // The master key has its own line.
        return Vec::new();
    };
    let present = kek.id().0;
    match sealed_under(store) {
        Ok(Some(needed))
            if needed != present && !kek.former_ids().iter().any(|id| id.0 == needed) =>
        {
            return vec![Finding::failure(what, &wrong_kek(&needed, &present))];
        }
        Ok(_) => {}
        Err(failure) => return vec![Finding::failure(what, &failure)],
    }
    let sealer = Sealer::new(Arc::new(kek), Arc::new(SystemEntropy));
    let (mut opened, mut findings, mut after) = (0_usize, Vec::new(), None);
    loop {
        let page = match store.list("", after.as_ref(), 500) {
            Ok(page) => page,
            Err(error) => {
                findings.push(Finding::fail(what, chain(&error), "restore a backup"));
                return findings;
            }
        };
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for (key, stored) in &page {
            match sealer.unseal(key.as_str(), &stored.value) {
                Ok(_) => opened += 1,
                Err(error) => {
                    findings.push(Finding::fail(what, chain(&error), error.remedy()));
                }
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(what, format!("{} opened", counted(opened, "value"))));
    }
    findings.push(high_water(server, store));
    findings
}

/// No row may be older than what this machine has seen, and none may be missing.
fn high_water(server: &ServerConfig, store: &SqliteStore) -> Finding {
    use keywheel_engine::ports::{HighWater as _, Key};
    let what = "high-water mark";
    if !server.high_water.exists() {
        return Finding::warn(
            what,
            format!("{} does not exist", server.high_water.display()),
            "the next start makes it; until then an older store would not be noticed",
        );
    }
    let marks = match FileHighWater::open(&server.high_water) {
        Ok(file) => file.all(),
        Err(error) => return Finding::failure(what, &open_failure(&error)),
    };
    let marks = match marks {
        Ok(marks) => marks,
        Err(error) => return Finding::fail(what, chain(&error), "restore it, or move it away"),
    };
    let mut older = Vec::new();
    for (subject, mark) in &marks {
        if !subject.starts_with("ring/") {
            continue;
        }
        let stored = store.read(&Key::from_stored(subject.clone())).ok().flatten();
        let believed = stored.as_ref().and_then(|stored| Envelope::parse(&stored.value).ok());
        let current = believed.is_some_and(|envelope| {
            envelope.incarnation() == mark.incarnation && envelope.revision() >= mark.revision
        });
        if !current {
            older.push(subject.as_str());
        }
    }
    if older.is_empty() {
        return Finding::ok(
            what,
            format!("{}, none ahead of the store", counted(marks.len(), "mark")),
        );
    }
    Finding::fail(
        what,
        format!("the store is older than this machine has seen: {}", older.join(", ")),
        "put the newer store back, or accept the older one with: keywheel restore --adopt",
    )
}
