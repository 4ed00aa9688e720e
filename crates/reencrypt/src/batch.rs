//! One page of rows: opened, sealed, compared, and written where nothing changed meanwhile.

use keywheel_codec::Opened;
use postgres::Client;

use crate::catalog::Leaf;
use crate::error::{Doing as _, Error};
use crate::job::{self, Counts, Held, Range};
use crate::statement::{Item, RowKey, Statements, Write};
use crate::trial::{Found, Trial};

/// Why a value is left alone that several keys open.
const SEVERAL: &str = "more than one key opens it, and the format does not tell which is right";

/// What shall become of a row.
pub(crate) enum Fate {
    /// The column is NULL.
    Null,
    /// It is under the new key.
    Current,
    /// It gets this value.
    Move(Vec<u8>),
    /// No key opens it.
    Quarantine(String),
}

/// A row and its fate.
pub(crate) struct Judged {
    pub(crate) item: Item,
    pub(crate) fate: Fate,
}

/// Opens every value, and seals those again that are under an old key.
pub(crate) fn judge(trial: &mut Trial<'_>, items: Vec<Item>) -> Result<Vec<Judged>, Error> {
    let values: Vec<&[u8]> = items.iter().filter_map(|item| item.value.as_deref()).collect();
    let mut fates: Vec<Option<Fate>> = values.iter().map(|_| None).collect();
    trial.each(&values, &mut |trial, found| {
        let olds: Vec<&Opened> = found
            .iter()
            .filter_map(|(_, found)| match found {
                Found::Old(_, opened) => Some(opened),
                _ => None,
            })
            .collect();
        let mut sealed = trial.seal(&olds)?.into_iter();
        for (at, found) in &found {
            let fate = match found {
                Found::Current => Fate::Current,
                Found::Old(..) => Fate::Move(sealed.next().ok_or(Error::OwnOutput)?),
                Found::Several => Fate::Quarantine(SEVERAL.to_owned()),
                Found::None(why) => Fate::Quarantine(why.to_string()),
            };
            if let Some(slot) = fates.get_mut(*at) {
                *slot = Some(fate);
            }
        }
        Ok(())
    })?;
    let mut fates = fates.into_iter();
    let mut judged = Vec::with_capacity(items.len());
    for item in items {
        let fate = match item.value {
            None => Fate::Null,
            Some(_) => fates.next().flatten().ok_or(Error::OwnOutput)?,
        };
        judged.push(Judged { item, fate });
    }
    Ok(judged)
}

/// Counts rows by their fate; what is moved is counted when it is.
pub(crate) fn tally(judged: &[Judged]) -> Counts {
    let mut counts = Counts::default();
    for one in judged {
        match one.fate {
            Fate::Null => counts.null += 1,
            Fate::Current => counts.current += 1,
            Fate::Quarantine(_) => counts.quarantined += 1,
            Fate::Move(_) => {}
        }
    }
    counts
}

/// Where a batch is written.
pub(crate) struct Place<'a> {
    pub(crate) held: &'a Held,
    pub(crate) range: &'a Range,
    pub(crate) leaf: &'a Leaf,
    pub(crate) statements: &'a Statements,
}

/// What became of a batch.
pub(crate) struct Done {
    pub(crate) counts: Counts,
    /// Rows that somebody else changed.
    pub(crate) missed: Vec<RowKey>,
    /// How many sessions waited for its rows.
    pub(crate) waiters: u64,
}

/// Writes rows, and the checkpoint, in one transaction. With rows that somebody else changed the
/// checkpoint stays where it was.
pub(crate) fn write(
    client: &mut Client,
    place: &Place<'_>,
    judged: &[Judged],
    reached: Option<&RowKey>,
    mut counts: Counts,
) -> Result<Done, Error> {
    const DOING: &str = "writing a batch";
    let writes: Vec<Write<'_>> = judged
        .iter()
        .filter_map(|one| match (&one.fate, &one.item.value) {
            (Fate::Move(new), Some(old)) => Some(Write { key: &one.item.key, old, new }),
            _ => None,
        })
        .collect();
    let table = || place.leaf.name.clone();
    let mut transaction = client.transaction().doing(DOING)?;
    let mut missed = Vec::new();
    if !writes.is_empty() {
        let written = place.statements.update(&mut transaction, &writes)?;
        if !written.stand {
            // Dropping the transaction takes everything back.
            return Err(Error::Changed { table: table() });
        }
        let stale = writes.iter().zip(&written.done).filter(|(_, done)| !**done);
        missed.extend(stale.map(|(write, _)| write.key.clone()));
        let moved = writes.len().saturating_sub(missed.len());
        counts.moved += u64::try_from(moved).unwrap_or(0);
    }
    let lost: Vec<(&RowKey, String)> = judged
        .iter()
        .filter_map(|one| match &one.fate {
            Fate::Quarantine(why) => Some((&one.item.key, why.clone())),
            _ => None,
        })
        .collect();
    job::quarantine(&mut transaction, place.held, &place.leaf.name, &lost)?;
    let reached = reached.filter(|_| missed.is_empty());
    let waiters = job::checkpoint(&mut transaction, place.held, place.range, reached, counts)?;
    transaction.commit().doing(DOING)?;
    Ok(Done { counts, missed, waiters })
}
