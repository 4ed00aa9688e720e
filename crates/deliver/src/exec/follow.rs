//! The threads beside the supervisor: each tells it what one child's client, process or checks
//! came to. None of them decides anything.

use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use keywheel_client::clock::boot_time;
use keywheel_client::{Client, ClientError, RingHandle};
use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use rustix::process::Signal;

use super::plan::ChildId;
use super::process::Unattended;
use crate::probe;
use crate::redact::Redactor;
use crate::settings::Probe;
use crate::values::{AllValues, Values};

/// How long a client waits for a change before it looks whether it is still wanted.
const LOOK: Span = Span::from_secs(30);
/// How often an undelivered goodbye looks for a server.
const GOODBYE_LOOK: Span = Span::from_secs(1);

/// What the supervisor hears.
pub enum Event {
    /// This process got a signal.
    Signal(Signal),
    /// The keys of a child's client arrived or changed, or did not arrive in time.
    Keys(ChildId, Result<AllValues, String>),
    /// A check of a child passed, or did not.
    Checked(ChildId, Checked, Result<(), String>),
    /// A child has ended, and everything in its process group.
    Ended(ChildId, std::io::Result<ExitStatus>),
    /// The server was told that a child has ended, if it could be reached.
    Left(ChildId),
}

/// What was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// Whether the child works.
    Ready,
    /// Whether it uses the keys.
    Used,
}

/// Starts a thread; where the system refuses, the caller is told.
pub(super) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}

/// Tells what a client holds: once all rings have arrived, and with each change. Ends with the
/// client.
pub(super) fn keys(
    id: ChildId,
    client: &Client,
    rings: &[RingName],
    within: Span,
    events: &SyncSender<Event>,
) {
    let first = arrive(client, rings, within);
    let Ok(handles) = first else {
        let _ = events.send(Event::Keys(id, first.map(|_| AllValues::new())));
        return;
    };
    let mut told = Vec::new();
    loop {
        let held: Result<Vec<_>, _> = handles.iter().map(RingHandle::current).collect();
        let Ok(held) = held else { return };
        let epochs: Vec<_> = held.iter().map(|keyset| keyset.epoch()).collect();
        if epochs != told {
            let values = held.iter().map(|keyset| Values::from_keyset(keyset));
            let values = values.map(|values| (values.ring().clone(), values)).collect();
            if events.send(Event::Keys(id, Ok(values))).is_err() {
                return;
            }
            told = epochs;
        }
        let moved = || {
            let held = handles.iter().map(|handle| handle.current().map(|keyset| keyset.epoch()));
            held.collect::<Result<Vec<_>, _>>().is_ok_and(|epochs| epochs != told)
        };
        if client.wait_until(LOOK, moved).is_err() {
            return;
        }
    }
}

/// Waits for every ring.
fn arrive(client: &Client, rings: &[RingName], within: Span) -> Result<Vec<RingHandle>, String> {
    let deadline = boot_time().after(within);
    let mut handles = Vec::with_capacity(rings.len());
    for ring in rings {
        let handle = client.ring(ring.as_str()).map_err(|error| error.to_string())?;
        let left = deadline.since(boot_time());
        match handle.wait_for_change(None, left) {
            Ok(Some(_)) => handles.push(handle),
            Ok(None) => {
                let trouble = handle.health().trouble;
                let ring = ring.to_string();
                return Err(ClientError::NotLoaded { ring, trouble }.to_string());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(handles)
}

/// Waits for the end of a child, and then tells the server of it.
pub(super) fn end(
    id: ChildId,
    process: Unattended,
    client: &Client,
    ring: Option<&RingName>,
    over: &AtomicBool,
    events: &SyncSender<Event>,
) {
    let status = process.wait();
    let _ = events.send(Event::Ended(id, status));
    // Silence may never count as its end, so the server has to hear of it, however long that takes.
    let handle = ring.and_then(|ring| client.ring(ring.as_str()).ok());
    let is_heard = || handle.as_ref().is_none_or(|handle| handle.health().listening);
    while !over.load(Ordering::Acquire) && !is_heard() {
        let wakes = || is_heard() || over.load(Ordering::Acquire);
        if client.wait_until(GOODBYE_LOOK, wakes).is_err() {
            break;
        }
    }
    client.leave();
    let _ = events.send(Event::Left(id));
}

/// Runs probes one after the other.
pub(super) fn check(
    id: ChildId,
    checked: Checked,
    probes: &[Probe],
    values: &Arc<AllValues>,
    stop: &AtomicBool,
    events: &SyncSender<Event>,
) {
    let hide = Redactor::of(values);
    let outcome = probes.iter().try_for_each(|one| {
        let stopped = || stop.load(Ordering::Acquire);
        let seen = probe::probe(one, values, &hide, &stopped);
        seen.map(drop).map_err(|error| format!("probe {}: {}", one.name, words(&error)))
    });
    let _ = events.send(Event::Checked(id, checked, outcome));
}

/// An error and what caused it, in one line.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
