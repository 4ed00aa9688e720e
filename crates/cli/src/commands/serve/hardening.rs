//! What keeps the keys of a running server out of files that nobody meant to write.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Switches core dumps off, and with them the reading of this process's memory by others of the
/// same user.
pub(in crate::commands) fn no_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Sandboxes may forbid either; the server is no less useful then.
    let _ = setrlimit(Resource::Core, none);
    not_dumpable();
}

/// The same for a process that starts programs, which shall leave no core files either; how that is
/// seen to is in `keywheel_deliver::hook`.
pub(in crate::commands) fn no_core_dumps_of_hooks() {
    keywheel_deliver::hook::forbid_core_files();
    not_dumpable();
}

/// Lets others of the same user not read this process's memory. Programs that it starts are not
/// affected.
pub(in crate::commands) fn not_dumpable() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
