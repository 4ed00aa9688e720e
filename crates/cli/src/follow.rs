//! The change feed as commands follow it: server-sent events, taken up again where they broke off.
//! A change is a hint; who hears one reads the ring again.

use keywheel_api::watch::Change;
use keywheel_client::clock::boot_time;
use keywheel_client::http::{Events, Next};
use keywheel_core::time::Span;

use crate::failure::Failure;
use crate::remote::Remote;

/// Follows the change feed.
pub struct Follower<'remote> {
    remote: &'remote Remote,
    events: Option<Events>,
    since: Option<u64>,
}

/// What a wait brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A ring changed.
    Change(Change),
    /// Nothing; or the stream broke, so that anything may have changed.
    Nothing,
}

impl<'remote> Follower<'remote> {
    /// Joins the feed at its present end.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub fn join(remote: &'remote Remote) -> Result<Self, Failure> {
        let mut follower = Self { remote, events: None, since: None };
        follower.connect()?;
        Ok(follower)
    }

    /// Waits for the next change.
    ///
    /// # Errors
    /// When the stream broke and cannot be taken up again.
    pub fn next(&mut self, at_most: Span) -> Result<Heard, Failure> {
        let deadline = boot_time().after(at_most);
        let Some(events) = &mut self.events else {
            self.connect()?;
            return Ok(Heard::Nothing);
        };
        loop {
            match events.wait(deadline, None) {
                Ok(Next::Event(event)) => {
                    let Ok(change) = serde_json::from_str::<Change>(&event.data) else { continue };
                    self.since = Some(change.seq);
                    return Ok(Heard::Change(change));
                }
                Ok(Next::Deadline | Next::Woken) => return Ok(Heard::Nothing),
                Ok(Next::Ended) | Err(_) => {
                    self.events = None;
                    self.connect()?;
                    return Ok(Heard::Nothing);
                }
            }
        }
    }

    fn connect(&mut self) -> Result<(), Failure> {
        let path = match self.since {
            Some(since) => format!("/v1/watch?since={since}"),
            None => "/v1/watch".to_owned(),
        };
        self.events = Some(self.remote.http().sse(&path, &[], None)?);
        Ok(())
    }
}
