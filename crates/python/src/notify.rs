//! Tells Python code that the keys of a ring changed: one thread for each client that anybody
//! listens to. It starts when somebody begins to listen, again in a forked child, and ends when
//! nobody listens any more.
//!
//! There is no lock here: a fork in the wrong moment would leave it locked in the child. For the
//! same reason the thread lets go of Python objects only while it is attached to the interpreter,
//! and it attaches once for its life and detaches where it waits. To attach is to enter a list of
//! the interpreter, whose lock is not Python's global one: a fork in that moment copies it locked,
//! and before 3.12 a child that was forked so hangs for ever. So [`settle`] lets no fork of Python
//! come into that moment either.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use keywheel_client::clock::boot_time;
use keywheel_client::{Client, Keyset, RingHandle, forks};
use keywheel_core::time::Span;
use pyo3::prelude::*;

use crate::ring::Ring;

/// How long the thread waits in one go; it goes on waiting afterwards.
const WAIT: Span = Span::from_secs(3_600);

/// How long a fork waits for a thread that begins; it is there in a moment.
const SETTLE: Span = Span::from_secs(5);

/// How long the end of the interpreter waits for a callback that runs. One that still computes
/// afterwards comes back to an interpreter that has ended, which aborts the process until 3.14.
const LEAVE: Span = Span::from_secs(2);

/// How often these two look.
const LOOK: std::time::Duration = std::time::Duration::from_micros(200);

/// The thread does little.
const STACK_BYTES: usize = 512 * 1_024;

/// The clients that somebody listens to, or did.
static NOTIFIERS: ArcSwapOption<Vec<Arc<Notifier>>> = ArcSwapOption::const_empty();

struct Notifier {
    client: Client,
    listeners: ArcSwap<Vec<Arc<Listener>>>,
    /// In which process the thread runs: the number of forks before it plus one, 0 where it does
    /// not.
    runs_in: AtomicU64,
    /// The same, from the moment on in which the thread has attached to the interpreter.
    attached_in: AtomicU64,
}

/// Somebody who listens.
pub(crate) struct Listener {
    handle: RingHandle,
    seen: ArcSwapOption<Keyset>,
    /// Absent once it is closed.
    told: ArcSwapOption<Told>,
}

struct Told {
    ring: Py<Ring>,
    callback: Py<PyAny>,
}

/// Whether these are two views of the same keys. A forked child has views of its own.
fn is_same(one: &Keyset, other: &Keyset) -> bool {
    one.incarnation() == other.incarnation()
        && one.revision() == other.revision()
        && one.versions().len() == other.versions().len()
}

impl Listener {
    /// What it has not been told of yet.
    fn news(&self) -> Option<Arc<Keyset>> {
        let held = self.handle.held()?;
        match &*self.seen.load() {
            Some(seen) if Arc::ptr_eq(seen, &held) || is_same(seen, &held) => None,
            _ => Some(held),
        }
    }

    fn tell(&self, py: Python<'_>) {
        let Some(news) = self.news() else { return };
        self.seen.store(Some(Arc::clone(&news)));
        let Some(told) = self.told.load_full() else { return };
        let called = told
            .ring
            .get()
            .show(py, news)
            .and_then(|snapshot| told.callback.call1(py, (snapshot,)));
        if let Err(error) = called {
            error.write_unraisable(py, Some(told.callback.bind(py)));
        }
    }
}

/// Lets `callback` be called with each new snapshot of the ring.
pub(crate) fn listen(
    ring: Py<Ring>,
    handle: &RingHandle,
    callback: Py<PyAny>,
) -> std::io::Result<Arc<Listener>> {
    let listener = Arc::new(Listener {
        handle: handle.clone(),
        seen: ArcSwapOption::from(handle.held()),
        told: ArcSwapOption::from_pointee(Told { ring, callback }),
    });
    let notifier = notifier_of(&handle.client());
    notifier.listeners.rcu(|all| {
        all.iter().chain(std::iter::once(&listener)).map(Arc::clone).collect::<Vec<_>>()
    });
    notifier.run()?;
    notifier.client.nudge();
    Ok(listener)
}

/// Ends a subscription. A call that has begun goes on.
pub(crate) fn close(listener: &Arc<Listener>) {
    listener.told.store(None);
    for notifier in NOTIFIERS.load().iter().flat_map(|all| all.iter()) {
        let has_it = notifier.listeners.load().iter().any(|one| Arc::ptr_eq(one, listener));
        if has_it {
            notifier.listeners.rcu(|all| {
                let others = all.iter().filter(|one| !Arc::ptr_eq(one, listener));
                others.map(Arc::clone).collect::<Vec<_>>()
            });
            notifier.client.nudge();
        }
    }
    forget_idle();
}

/// Starts the threads of this process that its parent had, where there was one.
pub(crate) fn revive() -> std::io::Result<()> {
    let Some(all) = NOTIFIERS.load_full() else { return Ok(()) };
    for notifier in all.iter().filter(|notifier| !notifier.listeners.load().is_empty()) {
        notifier.run()?;
    }
    Ok(())
}

/// Waits until no thread of this process is about to attach to the interpreter. Python calls it
/// before it forks.
pub(crate) fn settle(py: Python<'_>) -> std::io::Result<()> {
    let here = forks()?.saturating_add(1);
    wait_for_all(py, SETTLE, |one| {
        one.runs_in.load(Ordering::SeqCst) != here || one.attached_in.load(Ordering::SeqCst) == here
    });
    Ok(())
}

/// Ends every subscription and waits for the callbacks that run. Python calls it before the
/// interpreter ends, in which no thread may be that wants to go on in it.
pub(crate) fn leave(py: Python<'_>) -> std::io::Result<()> {
    let here = forks()?.saturating_add(1);
    let Some(all) = NOTIFIERS.load_full() else { return Ok(()) };
    for listener in all.iter().flat_map(|one| Vec::clone(&one.listeners.load_full())) {
        close(&listener);
    }
    wait_for_all(py, LEAVE, |one| one.runs_in.load(Ordering::SeqCst) != here);
    Ok(())
}

/// Waits, and lets other threads run meanwhile, until `is_ready` holds of every notifier.
fn wait_for_all(py: Python<'_>, limit: Span, is_ready: impl Fn(&Notifier) -> bool) {
    let deadline = boot_time().after(limit);
    let are_ready = || NOTIFIERS.load().iter().flat_map(|all| all.iter()).all(|one| is_ready(one));
    while !are_ready() && boot_time() < deadline {
        py.detach(|| std::thread::sleep(LOOK));
    }
}

fn notifier_of(client: &Client) -> Arc<Notifier> {
    loop {
        let present = NOTIFIERS.load_full();
        let all = present.as_deref().map_or(&[][..], Vec::as_slice);
        if let Some(known) = all.iter().find(|one| one.client.is_same(client)) {
            return Arc::clone(known);
        }
        let made = Arc::new(Notifier {
            client: client.clone(),
            listeners: ArcSwap::default(),
            runs_in: AtomicU64::new(0),
            attached_in: AtomicU64::new(0),
        });
        let next = all.iter().chain(std::iter::once(&made)).map(Arc::clone).collect::<Vec<_>>();
        let before = NOTIFIERS.compare_and_swap(&present, Some(Arc::new(next)));
        let has_won = match (&*before, &present) {
            (Some(before), Some(present)) => Arc::ptr_eq(before, present),
            (None, None) => true,
            _ => false,
        };
        if has_won {
            return made;
        }
    }
}

/// Lets go of the clients that nobody listens to any more and no thread waits for, so that they can
/// end.
fn forget_idle() {
    NOTIFIERS.rcu(|all| {
        let all = all.as_ref()?;
        let is_used = |one: &&Arc<Notifier>| {
            !one.listeners.load().is_empty() || one.runs_in.load(Ordering::SeqCst) != 0
        };
        Some(Arc::new(all.iter().filter(is_used).map(Arc::clone).collect::<Vec<_>>()))
    });
}

impl Notifier {
    /// Lets the thread run in this process.
    fn run(self: &Arc<Self>) -> std::io::Result<()> {
        let here = forks()?.saturating_add(1);
        let before = self.runs_in.swap(here, Ordering::SeqCst);
        if before == here {
            return Ok(());
        }
        self.attached_in.store(0, Ordering::SeqCst);
        let own = Arc::clone(self);
        let thread = std::thread::Builder::new().name("keywheel-notify".into());
        let spawned = thread.stack_size(STACK_BYTES).spawn(move || own.follow(here));
        if spawned.is_err() {
            self.runs_in.store(0, Ordering::SeqCst);
        }
        spawned.map(drop)
    }

    fn follow(&self, here: u64) {
        let attached = Python::try_attach(|py| {
            self.attached_in.store(here, Ordering::SeqCst);
            self.serve(py, here);
        });
        if attached.is_none() {
            // Nothing to attach to means that the interpreter has ended.
            self.runs_in.store(0, Ordering::SeqCst);
        }
        forget_idle();
    }

    /// Attached, but for the time in which it waits.
    fn serve(&self, py: Python<'_>, here: u64) {
        let has_news = || {
            let listeners = self.listeners.load();
            listeners.is_empty() || listeners.iter().any(|one| one.news().is_some())
        };
        loop {
            let waited = py.detach(|| self.client.wait_until(WAIT, has_news));
            if waited.is_ok() && !self.listeners.load().is_empty() {
                self.tell(py);
                continue;
            }
            self.runs_in.store(0, Ordering::SeqCst);
            // Somebody may have come who saw the thread still run.
            let came = waited.is_ok() && !self.listeners.load().is_empty();
            if !came || self.runs_in.swap(here, Ordering::SeqCst) != 0 {
                break;
            }
        }
    }

    fn tell(&self, py: Python<'_>) {
        let listeners = self.listeners.load_full();
        listeners.iter().for_each(|listener| listener.tell(py));
    }
}

/// A subscription to the changes of a ring.
#[pyclass(frozen, module = "keywheel")]
pub(crate) struct Subscription {
    listener: Arc<Listener>,
}

impl Subscription {
    pub(crate) const fn of(listener: Arc<Listener>) -> Self {
        Self { listener }
    }
}

#[pymethods]
impl Subscription {
    /// Ends the subscription. Doing it again does no harm.
    fn close(&self) {
        close(&self.listener);
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        close(&self.listener);
    }
}
