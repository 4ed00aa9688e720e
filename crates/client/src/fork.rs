//! Notices that this process is a forked child. The only file of this crate with unsafe code.
//!
//! A child of `fork` has one thread: the one that called. The watcher is gone, locks that other
//! threads held stay locked for ever, and sockets are shared with the parent. So the child leaves
//! everything where it is and starts anew under an identity of its own; all that must happen in the
//! moment of the fork is that a number grows.
//!
//! Handlers of `pthread_atfork` run for `fork` of every language's runtime that goes through libc
//! (`os.register_at_fork` of Python does not run under uWSGI). They do not run for a raw `clone`,
//! nor for `vfork` and `posix_spawn`, after which a program has to `exec` anyway.

#![expect(unsafe_code, reason = "pthread_atfork has no safe binding")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);
static HOOKED: AtomicBool = AtomicBool::new(false);

/// How many forks lie between the process that asked first and this one.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

extern "C" fn child() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// How many forks lie between the process that asked first and this one; forks are noticed from
/// the first question on.
///
/// # Errors
/// When the system does not let forks be noticed.
pub fn forks() -> io::Result<u64> {
    notice()?;
    Ok(generation())
}

/// Makes forks count from now on.
///
/// There is no lock here, which a fork in the wrong moment would leave locked in the child: two
/// threads that come at once may both install the handler, and then each fork counts twice.
pub(crate) fn notice() -> io::Result<()> {
    if HOOKED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: `child` lives as long as the program, takes no argument, does not unwind, and does
    // only what is safe in a child of a process with threads: it adds to an atomic number. This
    // crate cannot be unloaded with the handler installed, as Rust never unloads libraries, and
    // glibc removes the handlers of a shared object that is.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(child)) };
    if refused != 0 {
        return Err(io::Error::from_raw_os_error(refused));
    }
    HOOKED.store(true, Ordering::Release);
    Ok(())
}
