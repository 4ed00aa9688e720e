//! What can happen in the small world, and how it is said in words.

use keywheel_core::id::VersionNumber;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Time,
    Tick,
    /// The leader sleeps, having decided already, or about to decide on what it has read.
    Sleep {
        decided: bool,
    },
    Wake(u8),
    Takeover(u8),
    Crash,
    Jump(i8),
    TakeUp(u8),
    Fetch(u8),
    Sync {
        node: u8,
        keep: bool,
    },
    EndWork(u8),
    Delay(u8),
    Deliver(u8),
    DelayReport(u8),
    DeliverReport(u8),
    Cut(u8),
    Heal(u8),
    Goodbye(u8),
    Register(u8),
    Load {
        node: u8,
        server: u8,
    },
    Rotate,
    Rollback,
    Pause,
    Resume,
    Suspend(VersionNumber),
    ResumeVersion(VersionNumber),
    Compromise {
        version: VersionNumber,
        reject_first: bool,
    },
    Edit(u8),
    Waive {
        gate: &'static str,
        node: Option<u8>,
    },
    Destroy(VersionNumber),
    Backup,
    Restore,
}

impl Action {
    /// The action in words; instances are called by the names that the scenario gave them.
    pub(crate) fn words(self, name: impl Fn(u8) -> String) -> String {
        match self {
            Self::Time => "a millisecond passes".into(),
            Self::Tick => "the leader ticks".into(),
            Self::Sleep { decided: true } => {
                "the leader reads, decides, and falls asleep before its commit".into()
            }
            Self::Sleep { decided: false } => {
                "the leader reads, and falls asleep before it decides".into()
            }
            Self::Wake(server) => format!("server {server} wakes and goes on"),
            Self::Takeover(server) => format!("server {server} takes the lease over"),
            Self::Crash => "the leader crashes".into(),
            Self::Jump(by) => format!("the wall clock jumps by {by} ms"),
            Self::TakeUp(server) => format!("server {server} takes up the current document"),
            Self::Fetch(server) => format!("the passive consumer fetches from server {server}"),
            Self::Sync { node, keep: false } => {
                format!("{} takes the current keyset and reports", name(node))
            }
            Self::Sync { node, keep: true } => format!(
                "{} takes the current keyset, still has older work in progress, and reports",
                name(node)
            ),
            Self::EndWork(node) => format!("{} ends its older work and reports", name(node)),
            Self::Delay(node) => format!("the current keyset is on its way to {}", name(node)),
            Self::Deliver(node) => format!("the late keyset reaches {}", name(node)),
            Self::DelayReport(node) => format!("a report of {} is on its way", name(node)),
            Self::DeliverReport(node) => format!("the late report of {} arrives", name(node)),
            Self::Cut(node) => format!("{} is cut off", name(node)),
            Self::Heal(node) => format!("{} is connected again", name(node)),
            Self::Goodbye(node) => format!("{} says goodbye", name(node)),
            Self::Register(node) => format!("{} registers", name(node)),
            Self::Load { node, server } => {
                format!("{} loads its first keyset through server {server}", name(node))
            }
            Self::Rotate => "an operator rotates".into(),
            Self::Rollback => "an operator rolls back".into(),
            Self::Pause => "an operator pauses the ring".into(),
            Self::Resume => "an operator lets the ring go on".into(),
            Self::Suspend(version) => format!("an operator suspends {version}"),
            Self::ResumeVersion(version) => format!("an operator resumes {version}"),
            Self::Compromise { version, reject_first: true } => {
                format!("{version} is compromised, reject first")
            }
            Self::Compromise { version, reject_first: false } => {
                format!("{version} is compromised, switch first")
            }
            Self::Edit(policy) => format!("an operator applies policy {policy}"),
            Self::Waive { gate, node: None } => format!("an operator waives gate {gate}"),
            Self::Waive { gate, node: Some(node) } => {
                format!("an operator excuses {} at gate {gate}", name(node))
            }
            Self::Destroy(version) => format!("an operator destroys {version}"),
            Self::Backup => "an operator takes a backup".into(),
            Self::Restore => "an operator restores the backup".into(),
        }
    }
}
