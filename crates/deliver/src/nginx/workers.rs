//! Who serves: the master of the pid file, its workers, and which of them are from before a reload.
//!
//! The kernel tells when a process started, in clock ticks since the boot; a worker that started
//! before the reload, or was there when it was asked for, has what was before it. nginx tells the
//! rest in its processes' titles.
//!
//! The master blocks its signals but while it waits for them, so its signal masks tell whether it
//! is done with every reload that was asked for. Only then does what is seen mean anything: while
//! it reads its configuration for somebody else, it may read the former content and start workers
//! afterwards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;
use rustix::time::{ClockId, clock_gettime};

use super::error::{OldWorker, WorkersError};
use super::log::LogMark;
use crate::processes::{self, Process};
use crate::redact::Redactor;
use crate::settings::Nginx;

const MASTER: &str = "nginx: master process";
/// Processes of the master that serve nobody.
const HELPER: &str = "nginx: cache ";
const SHUTTING_DOWN: &str = "is shutting down";
/// How long a reload that others asked for is waited for, before one's own.
const BUSY_MOST: Span = Span::from_secs(10);
const BUSY_LOOK: Span = Span::from_millis(5);
/// The bit of SIGHUP in the kernel's signal masks.
const HANGUP: u64 = 1;
/// A list of children is read until it comes out the same twice, at most this often.
const READINGS_MAX: usize = 20;
/// The longest pid file that makes sense.
const PID_FILE_BYTES_MAX: usize = 32;

/// The moment before a reload: what was there, so that afterwards the new is told from the old.
#[derive(Clone, Debug)]
pub struct Reloading {
    master: Option<Process>,
    workers: BTreeSet<(i32, u64)>,
    ticks: u64,
    log: Option<LogMark>,
}

/// A reload that was taken: every worker is from after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Their process ids.
    pub workers: Vec<u32>,
}

impl Reloading {
    /// Looks at nginx, which need not run, right before it is asked to reload.
    ///
    /// It waits until nginx is done with reloads that were asked for before, ten seconds at most.
    pub fn about_to(nginx: &Nginx) -> Self {
        let master = master(&nginx.pid_file).ok();
        let until = boot_time().after(BUSY_MOST);
        while master.is_some_and(|master| is_busy(master.pid)) && boot_time() < until {
            std::thread::sleep(BUSY_LOOK.to_std());
        }
        let workers = master.map(|master| all_workers(nginx, &master).unwrap_or_default());
        Self {
            master,
            workers: workers.unwrap_or_default().iter().map(Worker::identity).collect(),
            ticks: ticks_now(),
            log: LogMark::of(nginx),
        }
    }

    /// Looks whether the reload was taken. Right after it, it is not yet; ask again until the
    /// error [is final](WorkersError::is_final) or the time is up.
    ///
    /// # Errors
    /// nginx does not run, went on as it was, or still has workers from before.
    pub fn taken(&self, nginx: &Nginx, hide: &Redactor) -> Result<Taken, WorkersError> {
        let master = master(&nginx.pid_file)?;
        let pid = unsigned(master.pid);
        let busy = is_busy(master.pid);
        let workers = all_workers(nginx, &master)?;
        if busy || is_busy(master.pid) {
            return Err(WorkersError::Busy { master: pid });
        }
        let Some(youngest) = workers.iter().map(|worker| worker.process.started).max() else {
            return Err(WorkersError::NoWorker { master: pid });
        };
        let old = old_among(&workers, |worker| self.is_old(worker));
        if old.is_empty() {
            let pids = workers.iter().map(|worker| unsigned(worker.process.pid));
            return Ok(Taken { workers: pids.collect() });
        }
        // A reload that is taken asks every old worker to end. Where none was asked, and a new one
        // is there all the same, it may have followed one that crashed; then the log decides.
        let none_asked = !old.iter().any(|worker| worker.is_shutting_down);
        if none_asked && self.is_same(&master) {
            let emerg = self.log.as_ref().and_then(|mark| mark.emerg_since(pid, hide));
            if emerg.is_some() || old.len() == workers.len() {
                return Err(WorkersError::Kept { master: pid, youngest_age: age(youngest), emerg });
            }
        }
        Err(WorkersError::Old { workers: old })
    }

    fn is_old(&self, worker: &Worker) -> bool {
        worker.is_shutting_down
            || worker.process.started < self.ticks
            || self.workers.contains(&worker.identity())
    }

    fn is_same(&self, master: &Process) -> bool {
        self.master.is_some_and(|old| (old.pid, old.started) == (master.pid, master.started))
    }
}

/// The workers from before a reload that are still there; without a known reload, those that nginx
/// itself is about to end.
///
/// # Errors
/// nginx does not run, or its workers cannot be seen.
pub fn old_workers(
    nginx: &Nginx,
    since: Option<&Reloading>,
) -> Result<Vec<OldWorker>, WorkersError> {
    let master = master(&nginx.pid_file)?;
    let workers = all_workers(nginx, &master)?;
    let is_old = |worker: &Worker| match since {
        Some(reloading) => reloading.is_old(worker),
        None => worker.is_shutting_down,
    };
    Ok(old_among(&workers, is_old))
}

fn old_among(workers: &[Worker], is_old: impl Fn(&Worker) -> bool) -> Vec<OldWorker> {
    let old = workers.iter().filter(|worker| is_old(worker));
    let told = old.map(|worker| OldWorker {
        pid: unsigned(worker.process.pid),
        age: age(worker.process.started),
        is_shutting_down: worker.is_shutting_down,
    });
    told.collect()
}

/// A process that serves, or did until its last connection ends.
#[derive(Clone, Debug)]
struct Worker {
    process: Process,
    is_shutting_down: bool,
}

impl Worker {
    const fn identity(&self) -> (i32, u64) {
        (self.process.pid, self.process.started)
    }
}

/// The master that a pid file names.
fn master(pid_file: &Path) -> Result<Process, WorkersError> {
    let not = |why: String| Err(WorkersError::NotRunning { why });
    let file = pid_file.display();
    let text = match std::fs::read(pid_file) {
        Ok(text) if text.len() <= PID_FILE_BYTES_MAX => text,
        Ok(_) => return not(format!("{file} holds no process id")),
        Err(error) => return not(format!("{file} cannot be read ({})", error.kind())),
    };
    let pid = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<i32>().ok());
    let Some(pid) = pid.filter(|pid| *pid > 0) else {
        return not(format!("{file} holds no process id"));
    };
    let Some(process) = Process::look(pid).filter(|process| !process.is_zombie) else {
        return not(format!("{file} names process {pid}, which does not exist"));
    };
    if !processes::title(pid).starts_with(MASTER) {
        return not(format!("{file} names process {pid}, which is no master of nginx"));
    }
    Ok(process)
}

/// The workers of the master, and of the one that it replaced while that one ends.
fn all_workers(nginx: &Nginx, master: &Process) -> Result<Vec<Worker>, WorkersError> {
    let mut workers = workers_of(master)?;
    let mut former = nginx.pid_file.clone().into_os_string();
    former.push(".oldbin");
    if let Ok(former) = self::master(&PathBuf::from(former)) {
        let mut old = workers_of(&former)?;
        // They belong to the program from before an upgrade, whenever they started.
        for worker in &mut old {
            worker.is_shutting_down = true;
        }
        workers.extend(old);
    }
    Ok(workers)
}

fn workers_of(master: &Process) -> Result<Vec<Worker>, WorkersError> {
    let unseen = WorkersError::Unseen { master: unsigned(master.pid) };
    let children = children(master.pid).ok_or(unseen)?;
    let looked = children.into_iter().filter_map(|pid| {
        let process = Process::look(pid)?;
        let title = processes::title(pid);
        let serves =
            process.parent == master.pid && !process.is_zombie && !title.starts_with(HELPER);
        serves.then(|| Worker { process, is_shutting_down: title.contains(SHUTTING_DOWN) })
    });
    Ok(looked.collect())
}

/// The children of a process that has one thread, as nginx's master has.
fn children(pid: i32) -> Option<Vec<i32>> {
    let path = processes::folder(pid).join(format!("task/{pid}/children"));
    let read = || {
        let text = std::fs::read_to_string(&path).ok()?;
        Some(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
    };
    let Some(mut last) = read() else {
        // The kernel was built without this list, or the process has ended.
        Process::look(pid)?;
        let all = processes::all().into_iter().filter(|process| process.parent == pid);
        return Some(all.map(|process| process.pid).collect());
    };
    // A child that ends during the reading may hide others, so one reading proves nothing.
    for _ in 0..READINGS_MAX {
        let next = read()?;
        if next == last {
            return Some(next);
        }
        last = next;
    }
    None
}

/// Whether a master has a reload before it or in hand.
fn is_busy(master: i32) -> bool {
    let has_hangup = |mask: &str| {
        let mask = processes::status_field(master, mask);
        let mask = mask.and_then(|mask| u64::from_str_radix(&mask, 16).ok());
        mask.is_some_and(|mask| mask & HANGUP != 0)
    };
    ["SigPnd", "ShdPnd", "SigBlk"].into_iter().any(has_hangup)
}

fn ticks_now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let rate = rustix::param::clock_ticks_per_second();
    let secs = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    secs.saturating_mul(rate).saturating_add(nanos.saturating_mul(rate) / 1_000_000_000)
}

fn age(started: u64) -> Span {
    let rate = rustix::param::clock_ticks_per_second().max(1);
    let ticks = ticks_now().saturating_sub(started);
    Span::from_millis(ticks.saturating_mul(1_000) / rate)
}

fn unsigned(pid: i32) -> u32 {
    u32::try_from(pid).unwrap_or(0)
}
