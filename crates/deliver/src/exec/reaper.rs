//! As process 1 of a container this process inherits every orphan, and has to reap those that end.
//! Hooks and children have somebody who waits for them, whose answer must not be taken away: so
//! only what nobody has waited for in a while is reaped.

use std::collections::BTreeSet;

use keywheel_client::clock::BootTime;
use keywheel_core::time::Span;
use rustix::process::{Pid, WaitOptions, getpid, waitpid};

use crate::processes::{self, Process};

/// Whoever waits for a child has done so within this.
const LOOK: Span = Span::from_secs(5);

/// Reaps orphans.
#[derive(Default)]
pub(super) struct Reaper {
    next: BootTime,
    /// Those that had ended when it last looked, by number and start.
    seen: BTreeSet<(i32, u64)>,
}

impl Reaper {
    /// Reaps what has been waiting since the last look.
    pub(super) fn look(&mut self, now: BootTime) {
        if !getpid().is_init() || now < self.next {
            return;
        }
        self.next = now.after(LOOK);
        let own = getpid().as_raw_nonzero().get();
        let ended = processes::all().into_iter();
        let ended: Vec<Process> =
            ended.filter(|process| process.parent == own && process.is_zombie).collect();
        for process in ended.iter().filter(|one| self.seen.contains(&(one.pid, one.started))) {
            if let Some(pid) = Pid::from_raw(process.pid) {
                // Somebody may have waited for it after all.
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
        self.seen = ended.iter().map(|process| (process.pid, process.started)).collect();
    }
}
