//! nginx for real, under load.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod edge;
mod world;

use std::sync::Arc;

use edge::callers::{Callers, Keys};
use edge::load::Load;
use edge::site::{ACCEPT, Site};
use edge::websocket::{WebSocket, serve};
use world::{World, until};

/// One key for ever.
struct Fixed;

impl Keys for Fixed {
    fn with(&self, show: &mut dyn FnMut(&str)) {
        show("fixed");
    }
}

#[test]
fn nginx_itself_drops_connections_at_reloads_only() {
    let world = World::new();
    let mut site = Site::new(&world.path("nginx"), "worker_shutdown_timeout 500ms;");
    let accept = "map $http_x_api_key $accepted { default 0; fixed 1; }\n";
    std::fs::write(site.folder.join(ACCEPT), accept).unwrap();
    serve(&site.upstream());
    site.start();
    let fixed: Arc<dyn Keys> = Arc::new(Fixed);
    let run = |reloads: usize| {
        let callers = Callers::start(site.address, 2, &fixed);
        let load = Load::start(&site.folder, site.address, "fixed");
        let mut socket = WebSocket::open(site.address);
        for _ in 0..reloads {
            site.reload_and_wait();
        }
        until("enough was answered", || callers.right() > 1_000);
        assert_eq!(socket.is_open(), reloads == 0);
        (callers.end(), load.end())
    };
    println!("{:?}", run(0));
    println!("{:?}", run(8));
}
