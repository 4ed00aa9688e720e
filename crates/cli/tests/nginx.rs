//! What nginx takes, what it refuses, and what it keeps doing with an old key: each is seen, named,
//! and waited for.

mod edge;
mod world;

use std::sync::Arc;

use edge::callers::{Callers, Keys, ask_once};
use edge::delivery::{Checked, Delivery};
use edge::site::{ACCEPT, ONE_SLOT, Site};
use edge::websocket::WebSocket;
use world::{World, until};

/// One key, for ever.
struct Fixed;

impl Keys for Fixed {
    fn with(&self, show: &mut dyn FnMut(&str)) {
        show("fixed");
    }

    fn is_known(&self, key: &str) -> bool {
        key == "known"
    }
}

#[test]
fn the_clients_see_every_kind_of_wrong_answer() {
    let world = World::new();
    let mut site = Site::new(&world.path("nginx"), "");
    site.start();
    let keys: Arc<dyn Keys> = Arc::new(Fixed);
    // Refused though good; accepted though bogus; accepted, with an unknown key for the upstream.
    let accepting = |value: u8| format!("map $http_x_api_key $accepted {{ default {value}; }}\n");
    for (accept, example) in
        [(accepting(0), "403 where 200"), (accepting(1), "200 where 403"), (accepting(1), "knows")]
    {
        std::fs::write(site.folder.join(ACCEPT), accept).unwrap();
        site.reload_and_wait();
        let callers = Callers::start(site.address, 1, &keys);
        until("the wrong answer is seen", || {
            callers.tally.examples.lock().unwrap().iter().any(|told| told.contains(example))
        });
    }
}

#[test]
fn a_broken_include_never_reaches_nginx() {
    let all = Delivery::start("", Checked::Yes);
    let (accept, reloads) = (all.site.include(ACCEPT), all.site.reloads());
    let good = all.break_nginx();
    all.world.ok(&["rotate", "api"]);
    let status = all.until_status("nginx refuses the configuration with the new");
    assert!(status.contains("frobnicate"), "{status}");
    assert_eq!(all.site.include(ACCEPT), accept);
    assert_eq!(all.site.reloads(), reloads, "nginx was asked to take what it would refuse");
    assert_eq!(ask_once(all.site.address, &all.caller.key()), 200);
    // Nothing of the test is left beside the configuration, but while it is tried again.
    until("no file of the test is there", || {
        let names = std::fs::read_dir(&all.site.folder).unwrap().flatten();
        !names.into_iter().any(|name| name.file_name().to_string_lossy().contains("-check-"))
    });

    std::fs::write(all.site.config(), good).unwrap();
    let former = all.caller.key();
    until("the rotation goes on", || all.caller.key() != former);
    assert_eq!(ask_once(all.site.address, &all.caller.key()), 200);
}

#[test]
fn a_reload_that_silently_kept_the_old_configuration_is_caught() {
    // Without the check, as if the fault came between check and reload.
    let all = Delivery::start("", Checked::No);
    let (accept, one_slot) = (all.site.include(ACCEPT), all.site.include(ONE_SLOT));
    let good = all.break_nginx();
    all.world.ok(&["rotate", "api"]);
    let status = all.until_status("did not take the reload");
    assert!(status.contains("unknown directive") && status.contains("frobnicate"), "{status}");
    until("the includes are back", || {
        all.site.include(ACCEPT) == accept && all.site.include(ONE_SLOT) == one_slot
    });
    assert!(!status.contains(&all.caller.key()));
    assert!(!all.agent.log().contains(&all.caller.key()));
    assert_eq!(ask_once(all.site.address, &all.caller.key()), 200);

    std::fs::write(all.site.config(), good).unwrap();
    let former = all.caller.key();
    until("the rotation goes on", || all.caller.key() != former);
}

#[test]
fn old_workers_close_the_gate_until_they_have_ended() {
    let all = Delivery::start("", Checked::Yes);
    let former = all.caller.key();
    let mut socket = WebSocket::open(all.site.address);
    all.world.ok(&["rotate", "api"]);
    let status = all.until_status("workers of nginx from before the reload are still there");
    // Others end as well, and soon; the one with the websocket does not.
    let mut old = Vec::new();
    until("one worker is left that ends", || {
        old = all.site.workers_that_end();
        old.len() == 1
    });
    assert!(status.contains(&old[0].to_string()), "{old:?} in {status}");
    assert!(socket.is_open());
    // New connections are served with the new content, and nobody protects with the new key yet.
    assert_eq!(ask_once(all.site.address, &former), 200);
    assert_eq!(all.caller.key(), former);

    drop(socket);
    until("the gate opens", || all.caller.key() != former);
    assert_eq!(ask_once(all.site.address, &all.caller.key()), 200);
}

#[test]
fn a_shutdown_timeout_opens_the_gate() {
    let all = Delivery::start("worker_shutdown_timeout 500ms;", Checked::Yes);
    let mut socket = WebSocket::open(all.site.address);
    all.rotate();
    assert!(!socket.is_open());
    until("only new workers are left", || all.site.workers().len() == 2);
}
