//! A move with the keys of a ring: from every other version to the primary, for the columns that
//! the ring declares. The server learns how many rows are left, and nothing of the database.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use keywheel_api::column::{ColumnReport, ColumnStatus, RingColumns};
use keywheel_client::{ProtectError, Version};
use keywheel_codec::Key;
use keywheel_core::id::{ColumnName, RingName, VersionNumber};
use keywheel_reencrypt::{Keys, Outcome as Moved, Progress, Verdict};

use super::arguments::What;
use super::stop::Stop;
use super::{RunArgs, move_column, show, verify_column};
use crate::commands::jwt::ring::{OpenRing, unreached};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;
use crate::remote::Remote;

/// How often the server is told how far a move is.
const TELLS_EVERY: Duration = Duration::from_secs(5);

/// Moves the columns of a ring, verifies them, and reports what is left. As a service it stays, and
/// does so again while a version retires.
///
/// # Errors
/// When the server or the database refuses. A service tries again.
pub(super) fn run(invocation: &Invocation, args: &RunArgs, ring: &RingName) -> Outcome {
    let stop = Stop::listen()?;
    let work = Work::begin(invocation, &args.what, ring)?;
    if let Some(secs) = args.how.every {
        return work.stay(invocation, args, Duration::from_secs(secs), &stop);
    }
    let declared = work.remote.columns(ring)?;
    let moved = work.move_all(invocation, args, &declared, &stop)?;
    Ok(if moved.is_some() { Exit::Done } else { Exit::Found })
}

/// Reads every row of the columns, and reports what is left.
///
/// # Errors
/// When the server or the database refuses.
pub(super) fn verify(invocation: &Invocation, what: &What, ring: &RingName) -> Outcome {
    let stop = Stop::listen()?;
    let work = Work::begin(invocation, what, ring)?;
    let declared = work.remote.columns(ring)?;
    let is_zero = work.count_all(invocation, what, &declared, &stop)?;
    Ok(if is_zero { Exit::Done } else { Exit::Found })
}

/// What a move of a ring has at hand.
struct Work<'a> {
    remote: Remote,
    open: OpenRing,
    ring: &'a RingName,
    only: Option<&'a str>,
}

impl<'a> Work<'a> {
    fn begin(invocation: &Invocation, what: &'a What, ring: &'a RingName) -> Result<Self, Failure> {
        Ok(Self {
            remote: Remote::open(invocation)?,
            open: OpenRing::open(invocation, ring, what.consumer.as_ref())?,
            ring,
            only: what.column.as_deref(),
        })
    }

    /// Moves while a version retires, until it is told to stop. What may pass, like a server that
    /// is not there or a row that stays locked, is said and tried again.
    fn stay(
        &self,
        invocation: &Invocation,
        args: &RunArgs,
        every: Duration,
        stop: &Stop,
    ) -> Outcome {
        let mut settled = None;
        loop {
            settled = match self.turn(invocation, args, settled, stop) {
                Ok(settled) => settled,
                Err(failure) if matches!(failure.exit, Exit::Usage | Exit::Permission) => {
                    return Err(failure);
                }
                Err(failure) => {
                    failure.report(&invocation.console);
                    None
                }
            };
            if stop.wait(every) {
                return Ok(Exit::Done);
            }
        }
    }

    /// Does what there is to do, and gives back the version to which all rows have moved. Where
    /// they had before, it looks first: a row that was found closes the gate before it moves.
    fn turn(
        &self,
        invocation: &Invocation,
        args: &RunArgs,
        settled: Option<VersionNumber>,
        stop: &Stop,
    ) -> Result<Option<VersionNumber>, Failure> {
        let declared = self.remote.columns(self.ring)?;
        if declared.retiring.is_empty() {
            return Ok(None);
        }
        let is_settled = settled.is_some_and(|to| declared.primary == Some(to.0));
        if is_settled && self.count_all(invocation, &args.what, &declared, stop)? {
            return Ok(settled);
        }
        if stop.is_told() {
            return Ok(None);
        }
        self.move_all(invocation, args, &declared, stop)
    }

    /// Moves and verifies each column, and gives back to which version if nothing is left.
    fn move_all(
        &self,
        invocation: &Invocation,
        args: &RunArgs,
        declared: &RingColumns,
        stop: &Stop,
    ) -> Result<Option<VersionNumber>, Failure> {
        // While rows are sealed with the primary, it is in use: a rotation waits for the guard.
        let guard = self.open.handle().guard().map_err(|error| barred(&error))?;
        let keys = self.keys(guard.number())?;
        let mut is_zero = true;
        for column in self.columns(declared)? {
            let moved = self.move_one(invocation, args, declared, column, &keys, stop);
            if let Ok(moved) = &moved {
                show::moved(invocation, moved, args.how.dry_run)?;
            }
            if args.how.dry_run {
                moved?;
                continue;
            }
            // Whatever kept rows from moving, what is left is counted and told.
            let counted =
                self.count(invocation, &args.what, column, &keys, moved.as_ref().ok(), stop);
            moved?;
            is_zero &= counted?;
        }
        Ok(is_zero.then(|| guard.number()))
    }

    /// Moves one column, and tells the server meanwhile how far it is.
    fn move_one(
        &self,
        invocation: &Invocation,
        args: &RunArgs,
        declared: &RingColumns,
        column: &ColumnStatus,
        keys: &Keys,
        stop: &Stop,
    ) -> Result<Moved, Failure> {
        let target = args.what.declared(column)?;
        let latest = Mutex::new(None);
        let show = |progress: &Progress| {
            *latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(*progress);
        };
        std::thread::scope(|scope| {
            let (ended, ends) = sync_channel(0);
            if !args.how.dry_run {
                let latest = &latest;
                scope.spawn(move || self.tell(declared, column, latest, &ends));
            }
            let moved = move_column(invocation, args, target, keys, &show, stop);
            drop::<std::sync::mpsc::SyncSender<()>>(ended);
            moved
        })
    }

    /// Tells the server how far a move is, until it has ended. It proves nothing, so nothing is
    /// lost where it does not arrive.
    fn tell(
        &self,
        declared: &RingColumns,
        column: &ColumnStatus,
        latest: &Mutex<Option<Progress>>,
        ends: &Receiver<()>,
    ) {
        let Ok(name) = column.name.parse::<ColumnName>() else { return };
        while ends.recv_timeout(TELLS_EVERY) == Err(RecvTimeoutError::Timeout) {
            let taken = latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let Some(Progress { counts, rows_about, .. }) = taken else { continue };
            // Rows that no key opens are not forgotten because the others are looked at again.
            let is_spoilt = |version: u32| {
                let mut reports = column.reports.iter();
                reports.any(|one| one.version == version && one.quarantined > 0)
            };
            for retiring in declared.retiring.iter().filter(|one| !is_spoilt(one.version)) {
                let report = ColumnReport {
                    version: retiring.version,
                    incarnation: declared.incarnation.clone(),
                    seen: declared.revision,
                    left: rows_about.saturating_sub(counts.read),
                    moved: counts.moved,
                    quarantined: counts.quarantined,
                    rows: rows_about,
                    verified: false,
                };
                let _ = self.remote.report_column(self.ring, &name, &report);
            }
        }
    }

    /// Counts what is left in each column, tells the server, and says whether it is nothing.
    fn count_all(
        &self,
        invocation: &Invocation,
        what: &What,
        declared: &RingColumns,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        let guard = self.open.handle().guard().map_err(|error| barred(&error))?;
        let keys = self.keys(guard.number())?;
        drop(guard);
        let mut is_zero = true;
        for column in self.columns(declared)? {
            is_zero &= self.count(invocation, what, column, &keys, None, stop)?;
        }
        Ok(is_zero)
    }

    fn count(
        &self,
        invocation: &Invocation,
        what: &What,
        column: &ColumnStatus,
        keys: &Keys,
        moved: Option<&Moved>,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        // What counts is a scan that began after the server was asked.
        let seen = self.remote.columns(self.ring)?;
        let verdict = verify_column(invocation, what, &what.declared(column)?, keys, stop)?;
        show::verdict(invocation, &verdict)?;
        // A scan that was ended says only what it found, and not that it found nothing.
        let says = verdict.is_complete || verdict.found() > 0 || moved.is_some();
        if says {
            self.report(&seen, column, moved, &verdict)?;
        }
        Ok(verdict.is_zero())
    }

    /// The columns that are meant.
    fn columns<'c>(&self, declared: &'c RingColumns) -> Result<Vec<&'c ColumnStatus>, Failure> {
        let is_meant = |column: &&ColumnStatus| self.only.is_none_or(|only| only == column.name);
        let meant: Vec<_> = declared.columns.iter().filter(is_meant).collect();
        if meant.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                format!("ring {} declares no such column", self.ring),
                format!("add a [[ring.{}.column]], see docs/how-to/reencrypt.md", self.ring),
            ));
        }
        Ok(meant)
    }

    /// The keys: the primary, and all other accepted versions.
    fn keys(&self, primary: VersionNumber) -> Result<Keys, Failure> {
        let keyset = self.open.handle().current().map_err(|error| unreached(&error))?;
        let named = |version: &Version| {
            let material = version.material().ok_or_else(|| {
                Failure::failed(
                    format!("the material of {} was not given to this consumer", version.number()),
                    "give the consumer the role `protect`",
                )
            })?;
            let bytes = material.expose().to_vec();
            // An imported key that can be guessed stays stretched.
            let guessable = version.is_guessable();
            let key = if guessable { Key::passphrase(bytes) } else { Key::generated(bytes) };
            Ok::<_, Failure>((format!("v{}", version.number().0), key))
        };
        let to = keyset.by_number(primary).ok_or_else(|| {
            Failure::failed(
                "the ring changed meanwhile",
                "run it again: what was moved stays moved",
            )
        })?;
        let others = keyset.versions().iter().filter(|one| one.number() != primary);
        let from: Vec<_> = others.map(|version| named(version)).collect::<Result<_, _>>()?;
        if from.is_empty() {
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "ring {} has no version but the primary, so no row needs another",
                    self.ring
                ),
                format!("rotate it first: keywheel rotate {}", self.ring),
            ));
        }
        Ok(Keys { from, to: named(to)?, version: primary.0 })
    }

    /// Tells the server of each version that retires what is left of it.
    fn report(
        &self,
        seen: &RingColumns,
        column: &ColumnStatus,
        moved: Option<&Moved>,
        verdict: &Verdict,
    ) -> Result<(), Failure> {
        let name: ColumnName = column.name.parse().map_err(|_| {
            Failure::failed(
                "the server names a column that cannot be",
                "use client and server of one release",
            )
        })?;
        for retiring in &seen.retiring {
            let of = format!("v{}", retiring.version);
            let left = verdict.left.iter().find(|(name, _)| *name == of);
            let report = ColumnReport {
                version: retiring.version,
                incarnation: seen.incarnation.clone(),
                seen: seen.revision,
                left: left.map_or(0, |(_, rows)| *rows),
                moved: moved.map_or(0, |moved| moved.counts.moved),
                quarantined: verdict.quarantined,
                rows: verdict.rows,
                verified: verdict.is_complete && verdict.held_by.is_empty() && left.is_some(),
            };
            self.remote.report_column(self.ring, &name, &report)?;
        }
        Ok(())
    }
}

/// What is said when nothing may be sealed.
fn barred(error: &ProtectError) -> Failure {
    let text = chain(error);
    let (cause, remedy) = text.rsplit_once("; ").unwrap_or((&text, "see: keywheel status"));
    Failure::new(Exit::Refused, cause, remedy)
}
