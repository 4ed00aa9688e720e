//! A move with the keys of a ring: from every other version to the primary, for the columns that
//! the ring declares. The server learns how many rows are left, and nothing of the database.

use std::time::Duration;

use keywheel_api::column::{ColumnReport, ColumnStatus, RingColumns};
use keywheel_client::{ProtectError, Version};
use keywheel_codec::Key;
use keywheel_core::id::{ColumnName, RingName, VersionNumber};
use keywheel_reencrypt::{Keys, Outcome as Moved, Verdict};

use super::arguments::What;
use super::stop::Stop;
use super::{RunArgs, move_column, show, verify_column};
use crate::commands::jwt::ring::{OpenRing, unreached};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, chain};
use crate::invocation::Invocation;
use crate::remote::Remote;

/// Moves the columns of a ring, verifies them, and reports what is left. As a service it stays, and
/// does so again while a version retires.
///
/// # Errors
/// When the server or the database refuses.
pub(super) fn run(invocation: &Invocation, args: &RunArgs, ring: &RingName) -> Outcome {
    let stop = Stop::listen()?;
    let work = Work::begin(invocation, &args.what, ring)?;
    loop {
        let declared = work.remote.columns(ring)?;
        let has_work = args.how.every.is_none() || !declared.retiring.is_empty();
        let left = has_work && work.move_all(invocation, args, &declared, &stop)?;
        let Some(every) = args.how.every else {
            return Ok(if left { Exit::Found } else { Exit::Done });
        };
        if stop.wait(Duration::from_secs(every)) {
            return Ok(Exit::Done);
        }
    }
}

/// Reads every row of the columns, and reports what is left.
///
/// # Errors
/// When the server or the database refuses.
pub(super) fn verify(invocation: &Invocation, what: &What, ring: &RingName) -> Outcome {
    let stop = Stop::listen()?;
    let work = Work::begin(invocation, what, ring)?;
    let seen = work.remote.columns(ring)?;
    let guard = work.open.handle().guard().map_err(|error| barred(&error))?;
    let keys = work.keys(guard.number())?;
    drop(guard);
    let mut left = false;
    for column in work.columns(&seen)? {
        let verdict = verify_column(invocation, what, &what.declared(column)?, &keys, &stop)?;
        show::verdict(invocation, &verdict)?;
        work.report(&seen, column, None, &verdict)?;
        left |= !verdict.is_zero();
    }
    Ok(if left { Exit::Found } else { Exit::Done })
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

    /// Moves and verifies each column, and says whether something is left.
    fn move_all(
        &self,
        invocation: &Invocation,
        args: &RunArgs,
        declared: &RingColumns,
        stop: &Stop,
    ) -> Result<bool, Failure> {
        // While rows are sealed with the primary, it is in use: a rotation waits for the guard.
        let guard = self.open.handle().guard().map_err(|error| barred(&error))?;
        let keys = self.keys(guard.number())?;
        let mut left = false;
        for column in self.columns(declared)? {
            let target = args.what.declared(column)?;
            let moved = move_column(invocation, args, target.clone(), &keys, stop)?;
            show::moved(invocation, &moved, args.how.dry_run)?;
            if args.how.dry_run {
                continue;
            }
            // What counts is a scan that began after the server was asked.
            let seen = self.remote.columns(self.ring)?;
            let verdict = verify_column(invocation, &args.what, &target, &keys, stop)?;
            show::verdict(invocation, &verdict)?;
            self.report(&seen, column, Some(&moved), &verdict)?;
            left |= !verdict.is_zero();
        }
        Ok(left)
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
            let key = Key::generated(material.expose().to_vec());
            Ok::<_, Failure>((format!("v{}", version.number().0), key))
        };
        let to = keyset.by_number(primary).ok_or_else(|| {
            Failure::failed(
                "the ring changed meanwhile",
                "run it again: what was moved stays moved",
            )
        })?;
        let others = keyset.versions().iter().filter(|one| one.number() != primary);
        Ok(Keys {
            from: others.map(|version| named(version)).collect::<Result<_, _>>()?,
            to: named(to)?,
            version: primary.0,
        })
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
