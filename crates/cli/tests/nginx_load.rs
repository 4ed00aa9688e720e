//! nginx under load while its keys turn: no answer is wrong, and what is dropped is dropped by
//! nginx's own reloads.

mod edge;
mod world;

use edge::callers::Callers;
use edge::delivery::{Checked, Delivery};
use edge::load::{CONNECTIONS, Load, Told};
use edge::websocket::WebSocket;
use world::until;

/// Clients with one connection each, beside those of `wrk`.
const CALLERS: u64 = 2;
/// A run goes on until so many answers were right.
const ANSWERS_LEAST: u64 = 500;

/// What one run under load came to.
struct Run {
    reloads: usize,
    answers: u64,
    dropped: u64,
    /// The same as `wrk` counted it.
    wrk: Told,
}

/// Does something while clients and `wrk` ask and a websocket is open.
fn under_load(all: &Delivery, key: &str, act: impl FnOnce()) -> Run {
    let before = all.site.reloads();
    let mut socket = WebSocket::open(all.site.address);
    let callers = Callers::start(all.site.address, 2, &all.caller.keys());
    let load = Load::start(&all.site.folder, all.site.address, key);
    until("the load is on", || callers.right() > 20);
    act();
    let so_far = callers.right();
    until("enough was answered", || callers.right() > so_far.max(ANSWERS_LEAST));
    let wrk = load.end();
    let (answers, dropped) = callers.end();
    let reloads = all.site.reloads() - before;
    // It was open when the first reload came, and its worker did not wait for it for ever.
    assert_eq!(socket.is_open(), reloads == 0);
    let run = Run { reloads, answers, dropped, wrk };
    assert_eq!(run.wrk.wrong, 0, "wrk got answers that are not 200: {:?}", run.wrk);
    run
}

impl Run {
    /// A reload ends each connection once, and whoever is just asking on it asks in vain. Whoever
    /// connects again at once may come to a worker that is about to end, and lose one more.
    fn dropped_by_reloads(&self) {
        let most = |connections: u64| self.reloads as u64 * connections * 2;
        assert!(self.dropped <= most(CALLERS), "{self}");
        assert!(self.wrk.dropped <= most(CONNECTIONS), "{self}");
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} reloads: {} answers, {} requests dropped; by wrk: {} answers, {} dropped",
            self.reloads, self.answers, self.dropped, self.wrk.answers, self.wrk.dropped
        )
    }
}

#[test]
fn three_rotations_and_a_rollback_give_no_wrong_answer() {
    let all = Delivery::start("worker_shutdown_timeout 300ms;", Checked::Yes);
    // It stays accepted to the end: what it protected lives for an hour.
    let first = all.caller.key();

    let quiet = under_load(&all, &first, || {});
    println!("without a reload:  {quiet}");
    assert_eq!((quiet.reloads, quiet.dropped, quiet.wrk.dropped), (0, 0, 0), "{quiet}");

    let rotated = under_load(&all, &first, || {
        for _ in 0..3 {
            all.rotate();
        }
        let third = all.caller.key();
        all.world.ok(&["rollback", "api", "--reason", "to see that it goes back"]);
        until("the caller is back on the former key", || all.caller.key() != third);
        all.until_status("\"rest\"");
    });
    println!("keywheel:          {rotated}");
    assert!(rotated.reloads >= 8, "{rotated}");
    rotated.dropped_by_reloads();

    let bare = under_load(&all, &first, || {
        for _ in 0..rotated.reloads {
            all.site.reload_and_wait();
        }
    });
    println!("without keywheel:  {bare}");
    assert_eq!(bare.reloads, rotated.reloads);
    bare.dropped_by_reloads();
}
