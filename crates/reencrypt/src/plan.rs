//! Shares a table out into ranges: those that an earlier run left first, then new ones, each cut
//! off when a worker asks for it.

use std::collections::VecDeque;

use postgres::Client;

use crate::catalog::{Leaf, Table};
use crate::error::Error;
use crate::job::{self, Held, Range};
use crate::statement::{RowKey, Span, Statements};

/// How many pages a range has where rows are named by their place.
const RANGE_PAGES: u32 = 4_096;

/// What is left of a pass.
pub(crate) struct Plan {
    left: VecDeque<Range>,
    /// For each leaf that is not cut up yet: its place in the table, and where the rest begins.
    uncut: VecDeque<(usize, Option<RowKey>)>,
    next_number: i32,
    range_rows: usize,
}

/// The block of a place such as `(12,3)`.
pub(crate) fn block(place: &RowKey) -> Option<u32> {
    place.first()?.strip_prefix('(')?.split(',').next()?.parse().ok()
}

/// The place before the first row of a block.
pub(crate) fn before(block: u32) -> RowKey {
    vec![format!("({block},0)")]
}

impl Plan {
    /// Reads what an earlier run of this pass left.
    pub(crate) fn read(
        client: &mut Client,
        held: &Held,
        table: &Table,
        range_rows: usize,
    ) -> Result<Self, Error> {
        let kept = job::ranges(client, held)?;
        let mut left = VecDeque::new();
        let mut uncut = VecDeque::new();
        for (at, leaf) in table.leaves.iter().enumerate() {
            let mine = || kept.iter().filter(|range| range.relation == leaf.name);
            for range in mine().filter(|range| !range.done) {
                let low = range.reached.clone().or_else(|| range.low.clone());
                let span = Span { low, high: range.high.clone() };
                left.push_back(Range { number: range.number, leaf: at, span });
            }
            match mine().next_back() {
                None => uncut.push_back((at, None)),
                Some(last) => {
                    if let Some(high) = &last.high {
                        uncut.push_back((at, Some(high.clone())));
                    }
                }
            }
        }
        let next_number = kept.iter().map(|range| range.number).max().unwrap_or(0) + 1;
        Ok(Self { left, uncut, next_number, range_rows: range_rows.max(1) })
    }

    /// The next range, or none when everything is shared out.
    pub(crate) fn next(
        &mut self,
        client: &mut Client,
        held: &Held,
        table: &Table,
        statements: &[Statements],
    ) -> Result<Option<Range>, Error> {
        if let Some(range) = self.left.pop_front() {
            return Ok(Some(range));
        }
        while let Some((at, low)) = self.uncut.pop_front() {
            let (Some(leaf), Some(statements)) = (table.leaves.get(at), statements.get(at)) else {
                continue;
            };
            let Some(span) = self.cut(client, leaf, statements, low)? else { continue };
            let range = Range { number: self.next_number, leaf: at, span };
            job::begin(client, held, &range, &leaf.name)?;
            self.next_number += 1;
            if let Some(high) = &range.span.high {
                self.uncut.push_front((at, Some(high.clone())));
            }
            return Ok(Some(range));
        }
        Ok(None)
    }

    /// The next range of a leaf after a key, or none when there is no further one.
    fn cut(
        &self,
        client: &mut Client,
        leaf: &Leaf,
        statements: &Statements,
        low: Option<RowKey>,
    ) -> Result<Option<Span>, Error> {
        if !leaf.is_by_place() {
            let high = statements.boundary(client, low.as_ref(), self.range_rows)?;
            return Ok(Some(Span { low, high }));
        }
        let first = low.as_ref().and_then(block).unwrap_or(0);
        if first >= leaf.pages {
            return Ok(None);
        }
        let end = first.saturating_add(RANGE_PAGES).min(leaf.pages);
        Ok(Some(Span { low, high: Some(before(end)) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_its_block() {
        assert_eq!(block(&vec!["(12,3)".to_owned()]), Some(12));
        assert_eq!(block(&before(7)), Some(7));
        assert_eq!(block(&vec!["x".to_owned()]), None);
    }
}
