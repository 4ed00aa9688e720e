//! Sends requests to one peer, one at a time, over one connection.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;

use super::counters::Failed;
use super::{Worker, socket_of};
use crate::commands::demo::protocol::{Answer, Request, read_frame, signed_bytes, write_frame};

/// Far longer than any process of the demonstration is stopped. A request without an answer by then
/// has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long a peer may take to begin to listen.
const LISTENS_WITHIN: Span = Span::from_secs(20);
const TRY_EVERY: Duration = Duration::from_millis(20);
/// A request that expired unread is signed anew and sent again, so often at most.
const SENT_AGAIN_MAX: u32 = 3;

/// Sends a request in each slot that it gets, as long as the process lives.
pub(super) fn run(worker: &Worker, peer: &str) {
    let mut connection = None;
    let mut number = 0;
    loop {
        worker.pace.slot();
        number += 1;
        worker.counters.waits();
        let message = format!("{} asks {peer} for order {number}", worker.settings.name);
        let outcome = deliver(worker, &mut connection, peer, number, &message);
        if let Err((how, cause)) = outcome {
            worker.counters.failed(how, format!("{} to {peer}: {cause}", worker.settings.name));
        }
        worker.counters.answered();
    }
}

/// Signs and sends a request until it is accepted or refused.
fn deliver(
    worker: &Worker,
    connection: &mut Option<UnixStream>,
    peer: &str,
    number: u64,
    message: &str,
) -> Result<(), (Failed, String)> {
    for _ in 0..=SENT_AGAIN_MAX {
        let request = sign(worker, number, message).map_err(|cause| (Failed::Unsigned, cause))?;
        let issued = request.issued;
        let asked = ask(worker, connection, peer, &request);
        let answer = asked.map_err(|error| {
            *connection = None;
            (Failed::Unanswered, error.to_string())
        })?;
        match answer {
            Answer::Accepted => return Ok(()),
            Answer::Refused(why) => return Err((Failed::Refused, why)),
            Answer::Expired if boot_time().since(issued) >= worker.settings.lifetime => {
                worker.counters.sent_again();
            }
            Answer::Expired => {
                return Err((Failed::Refused, "called expired before its time".into()));
            }
        }
    }
    Err((Failed::Unanswered, "it expired each time before it was read".into()))
}

fn sign(worker: &Worker, number: u64, message: &str) -> Result<Request, String> {
    let issued = boot_time();
    let signed = worker.keys.sign(&|kid| signed_bytes(number, issued, message, kid))?;
    worker.counters.sent(signed.version);
    Ok(Request {
        number,
        issued,
        message: message.to_owned(),
        kid: signed.kid,
        signature: signed.signature,
    })
}

fn ask(
    worker: &Worker,
    connection: &mut Option<UnixStream>,
    peer: &str,
    request: &Request,
) -> io::Result<Answer> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(connect(worker, peer)?),
    };
    write_frame(stream, &request.encode())?;
    let frame = read_frame(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Answer::decode(&frame).ok_or_else(|| io::Error::other("the answer makes no sense"))
}

fn connect(worker: &Worker, peer: &str) -> io::Result<UnixStream> {
    let socket = socket_of(&worker.settings.folder, peer);
    let deadline = boot_time().after(LISTENS_WITHIN);
    loop {
        match UnixStream::connect(&socket) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER_WITHIN))?;
                stream.set_write_timeout(Some(ANSWER_WITHIN))?;
                return Ok(stream);
            }
            Err(error) if boot_time() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(TRY_EVERY),
        }
    }
}
