//! Cases about the change feed: nothing is missed, whoever writes and however it is paged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keywheel_engine::ports::{Change, Expect, Key, Seq};

use super::{
    Failure, Fixture, Outcome, case_list, commit, joined, key, put, removal, require, write,
};

case_list![
    changes_come_oldest_first,
    a_key_written_twice_appears_once,
    removed_keys_appear,
    a_key_that_came_back_appears_once,
    changes_begin_after_since,
    since_beyond_the_head_gives_nothing,
    a_commit_is_never_cut_in_two,
    a_commit_larger_than_the_limit_comes_whole,
    no_change_is_missed_beside_writers,
    the_feed_outlives_its_connections,
    wait_answers_at_once_when_behind,
    wait_gives_up_when_the_time_is_over,
    wait_wakes_for_a_commit,
];

fn change(seq: Seq, name: &str) -> Change {
    Change { seq, key: key(name) }
}

fn changes_come_oldest_first(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let start = store.head()?;
    let mut expected = Vec::new();
    for name in ["c", "a", "b"] {
        expected.push(change(put(&*store, name, b"x")?, name));
    }
    let found = store.changes(start, 10)?;
    require!(found == expected, "the changes are {found:?}");
    Ok(())
}

fn a_key_written_twice_appears_once(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let start = store.head()?;
    put(&*store, "a", b"1")?;
    let b = put(&*store, "b", b"1")?;
    let a = put(&*store, "a", b"2")?;
    let found = store.changes(start, 10)?;
    require!(found == [change(b, "b"), change(a, "a")], "the changes are {found:?}");
    Ok(())
}

fn removed_keys_appear(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let start = put(&*store, "a", b"1")?;
    let removed = commit(&*store, vec![removal("a", Expect::Any)])?;
    let found = store.changes(start, 10)?;
    require!(found == [change(removed, "a")], "the changes are {found:?}");
    Ok(())
}

fn a_key_that_came_back_appears_once(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let start = store.head()?;
    put(&*store, "a", b"1")?;
    commit(&*store, vec![removal("a", Expect::Any)])?;
    let back = put(&*store, "a", b"2")?;
    let found = store.changes(start, 10)?;
    require!(found == [change(back, "a")], "the changes are {found:?}");
    let removed = commit(&*store, vec![removal("a", Expect::Any)])?;
    let found = store.changes(start, 10)?;
    require!(found == [change(removed, "a")], "removed again, the changes are {found:?}");
    Ok(())
}

fn changes_begin_after_since(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let first = put(&*store, "a", b"1")?;
    let second = put(&*store, "b", b"1")?;
    let found = store.changes(first, 10)?;
    require!(found == [change(second, "b")], "after the first: {found:?}");
    let found = store.changes(second, 10)?;
    require!(found.is_empty(), "after the second: {found:?}");
    Ok(())
}

fn since_beyond_the_head_gives_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    put(&*store, "a", b"1")?;
    for since in [Seq(1 << 40), Seq(u64::MAX)] {
        let found = store.changes(since, 10)?;
        require!(found.is_empty(), "after {since:?}: {found:?}");
    }
    Ok(())
}

fn a_commit_is_never_cut_in_two(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let start = store.head()?;
    let pair = |a: &str, b: &str| {
        commit(&*store, vec![write(a, Expect::Any, b"x"), write(b, Expect::Any, b"x")])
    };
    let one = pair("a", "b")?;
    let two = pair("c", "d")?;
    for limit in [2, 3] {
        let found = store.changes(start, limit)?;
        let expected = [change(one, "a"), change(one, "b")];
        require!(found == expected, "a page of {limit} is {found:?}");
    }
    let found = store.changes(one, 3)?;
    require!(found == [change(two, "c"), change(two, "d")], "the next page is {found:?}");
    let found = store.changes(start, 4)?;
    require!(found.len() == 4, "a page of 4 is {found:?}");
    Ok(())
}

fn a_commit_larger_than_the_limit_comes_whole(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let start = store.head()?;
    let names = ["a", "b", "c", "d", "e"];
    let large = commit(&*store, names.map(|name| write(name, Expect::Any, b"x")).to_vec())?;
    let next = put(&*store, "f", b"x")?;
    let found = store.changes(start, 2)?;
    require!(found == names.map(|name| change(large, name)), "the first page is {found:?}");
    let found = store.changes(large, 2)?;
    require!(found == [change(next, "f")], "the second page is {found:?}");
    Ok(())
}

/// A watcher pages through the feed while several writers commit. At the end it must know the
/// newest commit of every key.
fn no_change_is_missed_beside_writers(fixture: &dyn Fixture) -> Outcome {
    const WRITERS: usize = 3;
    const TURNS: usize = 30;
    let start = fixture.connect().head()?;
    let done = AtomicBool::new(false);
    let writing = |writer: usize| -> Outcome {
        let store = fixture.connect();
        for turn in 0..TURNS {
            let own = format!("own/{writer}/{}", turn % 7);
            let shared = format!("shared/{}", turn % 5);
            let last = if turn % 4 == 3 {
                removal(&own, Expect::Any)
            } else {
                write(&own, Expect::Any, b"x")
            };
            commit(&*store, vec![write(&shared, Expect::Any, b"x"), last])?;
        }
        Ok(())
    };
    let watching = || -> Result<BTreeMap<Key, Seq>, Failure> {
        let store = fixture.connect();
        let (mut known, mut seen) = (BTreeMap::new(), start);
        loop {
            // Read before the page: when all is written and the page is empty, nothing is missing.
            let written = done.load(Ordering::SeqCst);
            let page = store.changes(seen, 3)?;
            for line in &page {
                require!(line.seq > seen, "{line:?} came again after {seen:?}");
            }
            seen = page.last().map_or(seen, |line| line.seq);
            known.extend(page.iter().map(|line| (line.key.clone(), line.seq)));
            if written && page.is_empty() {
                return Ok(known);
            }
        }
    };
    let known = thread::scope(|scope| {
        let watcher = scope.spawn(watching);
        let writing = &writing;
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || writing(writer))).collect();
        let written: Vec<Outcome> = writers.into_iter().map(joined).collect();
        done.store(true, Ordering::SeqCst);
        let known = joined(watcher);
        written.into_iter().collect::<Outcome>()?;
        known
    })?;
    let truth = fixture.connect().changes(start, usize::MAX)?;
    let truth: BTreeMap<Key, Seq> = truth.into_iter().map(|line| (line.key, line.seq)).collect();
    require!(known == truth, "the watcher knows {known:?}, but the feed says {truth:?}");
    require!(truth.len() == 5 + WRITERS * 7, "{} keys are in the feed", truth.len());
    Ok(())
}

fn the_feed_outlives_its_connections(fixture: &dyn Fixture) -> Outcome {
    if !fixture.outlives_its_connections() {
        return Ok(());
    }
    let store = fixture.connect();
    let start = store.head()?;
    put(&*store, "a", b"1")?;
    let b = put(&*store, "b", b"1")?;
    let a = commit(&*store, vec![removal("a", Expect::Any)])?;
    drop(store);
    let found = fixture.connect().changes(start, 10)?;
    require!(found == [change(b, "b"), change(a, "a")], "the changes are {found:?}");
    Ok(())
}

fn wait_answers_at_once_when_behind(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let start = store.head()?;
    let head = put(&*store, "a", b"1")?;
    // A wait that does not answer at once would take an hour, and the test run would be ended.
    let found = store.wait(start, Duration::from_hours(1))?;
    require!(found == head, "the head is {head:?}, and wait said {found:?}");
    Ok(())
}

fn wait_gives_up_when_the_time_is_over(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let head = put(&*store, "a", b"1")?;
    for at_most in [Duration::ZERO, Duration::from_millis(30)] {
        let found = store.wait(head, at_most)?;
        require!(found == head, "the head is {head:?}, and wait said {found:?}");
    }
    Ok(())
}

fn wait_wakes_for_a_commit(fixture: &dyn Fixture) -> Outcome {
    for same_connection in [true, false] {
        let store = fixture.connect();
        let writer = if same_connection { store.clone() } else { fixture.connect() };
        let start = store.head()?;
        let (answer, answered) = mpsc::channel();
        // Not a scoped thread: one that never wakes must fail the case and not hang it.
        thread::spawn(move || {
            // Nobody listens any more once the case has failed.
            let _ = answer.send(store.wait(start, Duration::from_hours(1)));
        });
        let head = put(&*writer, "a", b"1")?;
        let woken = answered
            .recv_timeout(Duration::from_mins(1))
            .map_err(|_| Failure("nobody was woken within a minute".to_owned()))?;
        require!(woken? == head, "it was woken for another head than {head:?}");
    }
    Ok(())
}
