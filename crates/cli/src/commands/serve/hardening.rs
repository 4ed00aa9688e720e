//! What keeps the keys of a running server out of files that nobody meant to write.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Switches core dumps off, and with them the reading of this process's memory by others of the
/// same user.
pub(super) fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Sandboxes may forbid either; the server is no less useful then.
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
