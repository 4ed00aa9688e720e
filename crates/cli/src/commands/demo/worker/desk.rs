//! Answers what other workers ask, and checks some of it again when it has almost expired: a key
//! that leaves too early would break exactly those.

use std::collections::VecDeque;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;

use super::counters::Failed;
use super::{Worker, spawn};
use crate::commands::demo::protocol::{Answer, Request, read_frame, write_frame};

/// One accepted request in so many is kept.
const KEEP_ONE_IN: u64 = 4;
/// How many are kept at once; more are not needed at this pace.
const KEPT_MAX: usize = 4096;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Accepted requests, oldest first.
static KEPT: Mutex<VecDeque<Request>> = Mutex::new(VecDeque::new());

/// Takes connections, each on a thread of its own: there are no more than workers.
pub(super) fn serve(worker: &Arc<Worker>, listener: &UnixListener) {
    for stream in listener.incoming() {
        let served = stream.map_err(|error| error.to_string()).and_then(|stream| {
            spawn(worker, move |worker| answer_all(&worker, stream))
                .map_err(|failure| failure.cause)
        });
        if let Err(cause) = served {
            worker.counters.describe(format!("a connection is lost: {cause}"));
        }
    }
}

fn answer_all(worker: &Worker, mut stream: UnixStream) {
    while let Ok(Some(frame)) = read_frame(&mut stream) {
        let answer = match Request::decode(&frame) {
            Some(request) => judge(worker, request),
            None => Answer::Refused("the request makes no sense".into()),
        };
        if write_frame(&mut stream, &answer.encode()).is_err() {
            return;
        }
    }
}

fn judge(worker: &Worker, request: Request) -> Answer {
    if boot_time().since(request.issued) >= worker.settings.lifetime {
        return Answer::Expired;
    }
    match worker.keys.verify(&request.kid, &request.signed_bytes(), &request.signature) {
        Ok(version) => {
            worker.counters.accepted(version);
            keep(request);
            Answer::Accepted
        }
        Err(why) => Answer::Refused(why),
    }
}

fn keep(request: Request) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if request.number.is_multiple_of(KEEP_ONE_IN) && kept.len() < KEPT_MAX {
        kept.push_back(request);
    }
}

/// Checks what was kept for nine tenths of its life once more. What this process overslept has
/// expired, and nobody owes it acceptance.
pub(super) fn check_again(worker: &Worker) {
    let lifetime = worker.settings.lifetime;
    let late = Span::from_millis(lifetime.as_millis() * 9 / 10);
    loop {
        while let Some(request) = next_older_than(late) {
            let outcome =
                worker.keys.verify(&request.kid, &request.signed_bytes(), &request.signature);
            // Asked after the check: one that was under way when it expired proves nothing.
            let expired = boot_time().since(request.issued) >= lifetime;
            match outcome {
                Ok(version) => worker.counters.accepted_again(version),
                Err(_) if expired => {}
                Err(why) => {
                    let words = format!("{} later refused: {why}", worker.settings.name);
                    worker.counters.failed(Failed::RefusedLater, words);
                }
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn next_older_than(age: Span) -> Option<Request> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let old = kept.front().is_some_and(|request| boot_time().since(request.issued) >= age);
    if old { kept.pop_front() } else { None }
}
