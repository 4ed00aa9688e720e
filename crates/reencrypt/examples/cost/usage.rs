//! What was used: CPU of this process and of the server's, WAL, and the size of a table.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use postgres::Client;
use rustix::time::{ClockId, clock_gettime};

/// What a move cost, for each row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU microseconds of this process.
    pub(crate) client: f64,
    /// CPU microseconds of the server.
    pub(crate) server: f64,
    /// Bytes of WAL.
    pub(crate) wal: f64,
    /// How large table and index are, to what they were.
    pub(crate) size: f64,
}

/// What was used up to a moment.
pub(crate) struct Usage {
    client: Duration,
    server: Duration,
    wal: i64,
    size: i64,
}

/// The processes of a server.
pub(crate) struct Cluster {
    postmaster: u32,
    /// Those that are there while nobody else is connected.
    children: BTreeSet<u32>,
}

impl Cluster {
    pub(crate) fn find(client: &mut Client) -> Self {
        let folder: String = client.query_one("SHOW data_directory", &[]).unwrap().get(0);
        let text = fs::read_to_string(format!("{folder}/postmaster.pid")).unwrap();
        let postmaster = text.lines().next().unwrap().parse().unwrap();
        Self { postmaster, children: children(postmaster) }
    }

    /// What was used, once nobody but this client is connected.
    pub(crate) fn usage(&self, client: &mut Client) -> Usage {
        while children(self.postmaster) != self.children {
            // tidy: sleeps because a server says in no other way that a connection has ended.
            std::thread::sleep(Duration::from_millis(20));
        }
        let asked = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8, \
                     COALESCE(pg_total_relation_size(to_regclass('people')), 0)";
        let row = client.query_one(asked, &[]).unwrap();
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let nanos = u32::try_from(time.tv_nsec).unwrap();
        Usage {
            client: Duration::new(u64::try_from(time.tv_sec).unwrap(), nanos),
            server: self.cpu(),
            wal: row.get(0),
            size: row.get(1),
        }
    }

    /// CPU of all processes that are there, by the scheduler's count, and of those that have ended.
    fn cpu(&self) -> Duration {
        let children: Duration = self.children.iter().copied().map(on_cpu).sum();
        on_cpu(self.postmaster) + ended(self.postmaster) + children
    }
}

fn children(postmaster: u32) -> BTreeSet<u32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child =
        |pid: &u32| fields(*pid).is_some_and(|one| one.get(1) == Some(&u64::from(postmaster)));
    pids.filter(is_child).collect()
}

impl Usage {
    /// What was used since then, for each of so many rows.
    pub(crate) fn since(&self, before: &Self, rows: i64) -> Cost {
        let each = |now: Duration, before: Duration| {
            now.saturating_sub(before).as_secs_f64() * 1e6 / rows as f64
        };
        Cost {
            client: each(self.client, before.client),
            server: each(self.server, before.server),
            wal: (self.wal - before.wal) as f64 / rows as f64,
            size: self.size as f64 / before.size as f64,
        }
    }
}

/// The numbers of a process behind its name and state: those of the manual from 4 on.
fn fields(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    // The state stands first, and a few numbers are negative, which nobody asks for here.
    Some(rest.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}

fn on_cpu(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// User and system time of the children that have ended, in ticks of 10 ms.
fn ended(pid: u32) -> Duration {
    let fields = fields(pid).unwrap_or_default();
    let ticks = fields.get(13).unwrap_or(&0) + fields.get(14).unwrap_or(&0);
    Duration::from_millis(ticks * 10)
}

/// How busy the machine is.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(", ")
}
