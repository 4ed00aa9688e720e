//! A bell: it interrupts the one thread that waits for a socket. Ringing never blocks and takes no
//! lock, so any thread may ring, also while another one forks.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::clock::{BootTime, boot_time};

const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The bell.
#[derive(Debug)]
pub struct Wake {
    sender: UnixStream,
    receiver: UnixStream,
}

impl Wake {
    /// Makes a bell.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        Ok(Self { sender, receiver })
    }

    /// Rings. When the pipe is full, it has been rung often enough.
    pub fn ring(&self) {
        let _ = (&self.sender).write(&[1]);
    }

    /// Waits until it rings, or until the deadline.
    pub fn wait(&self, deadline: BootTime) {
        loop {
            let left = deadline.since(boot_time());
            let Ok(timeout) = Timespec::try_from(left.to_std().min(LONGEST_WAIT)) else { return };
            let mut ready = [PollFd::new(self, PollFlags::IN)];
            match poll(&mut ready, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) if boot_time() < deadline => {}
                _ => return,
            }
        }
    }

    /// Silences the bell, and says whether it rang. Do this before looking at what it was rung for.
    pub fn silence(&self) -> bool {
        let mut heard = [0; 64];
        let mut rang = false;
        while matches!((&self.receiver).read(&mut heard), Ok(1..)) {
            rang = true;
        }
        rang
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}
