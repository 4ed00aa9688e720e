//! Cases about reading: absence, prefixes, order, pages, snapshots.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use keywheel_engine::ports::{Expect, Key, Store, StoreError};

use super::{Failure, Fixture, Outcome, case_list, commit, joined, key, put, require, write};

case_list![
    an_empty_store_has_nothing,
    a_prefix_is_taken_literally,
    a_list_is_in_bytewise_order,
    pages_have_no_gap_and_no_overlap,
    after_outside_the_prefix_is_understood,
    a_limit_of_nothing_gives_nothing,
    a_list_is_one_snapshot,
];

fn names(
    store: &dyn Store,
    prefix: &str,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let found = store.list(prefix, after, limit)?;
    Ok(found.into_iter().map(|(key, _)| key.as_str().to_owned()).collect())
}

fn fill(store: &dyn Store, names: &[&str]) -> Outcome {
    for name in names {
        put(store, name, name.as_bytes())?;
    }
    Ok(())
}

fn an_empty_store_has_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    require!(store.read(&key("ring/a"))?.is_none(), "an absent key was read");
    require!(store.list("", None, 10)?.is_empty(), "something is listed");
    require!(store.changes(store.head()?, 10)?.is_empty(), "something was changed");
    Ok(())
}

fn a_prefix_is_taken_literally(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    fill(
        &*store,
        &["ring", "ring/a", "ring/a%b", "ring/a_b", "ring/aXb", "ring0", "Ring/a", "rin"],
    )?;
    for (prefix, expected) in [
        ("ring/", vec!["ring/a", "ring/a%b", "ring/aXb", "ring/a_b"]),
        ("ring/a%", vec!["ring/a%b"]),
        ("ring/a_", vec!["ring/a_b"]),
        ("Ring", vec!["Ring/a"]),
        ("zebra", vec![]),
        ("", vec!["Ring/a", "rin", "ring", "ring/a", "ring/a%b", "ring/aXb", "ring/a_b", "ring0"]),
    ] {
        let found = names(&*store, prefix, None, 100)?;
        require!(found == expected, "`{prefix}` gave {found:?}");
    }
    Ok(())
}

fn a_list_is_in_bytewise_order(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let mut expected = ["k/~", "k/a", "k/Z", "k/10", "k/9", "k/-", "k/a/b", "k/a-b", "k/_"];
    fill(&*store, &expected)?;
    expected.sort_unstable();
    let found = names(&*store, "k/", None, 100)?;
    require!(found == expected, "the order is {found:?}");
    Ok(())
}

fn pages_have_no_gap_and_no_overlap(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let all: Vec<String> = (0..23).map(|n| format!("instance/{n:02}")).collect();
    let writes = all.iter().rev().map(|name| write(name, Expect::Absent, b"x")).collect();
    commit(&*store, writes)?;
    put(&*store, "instancf", b"behind the last page")?;
    for limit in [1, 5, 23, 24] {
        let (mut seen, mut after) = (Vec::new(), None);
        // One page more than can be needed, so that a store that repeats itself is caught.
        for _ in 0..=all.len() {
            let page = names(&*store, "instance/", after.as_ref(), limit)?;
            require!(page.len() <= limit, "{} keys on a page of {limit}", page.len());
            let Some(last) = page.last() else { break };
            after = Some(key(last));
            seen.extend(page);
        }
        require!(seen == all, "pages of {limit} gave {seen:?}");
    }
    Ok(())
}

fn after_outside_the_prefix_is_understood(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    fill(&*store, &["a", "m/1", "m/2", "z"])?;
    let before = names(&*store, "m/", Some(&key("a")), 10)?;
    require!(before == ["m/1", "m/2"], "after `a`: {before:?}");
    let behind = names(&*store, "m/", Some(&key("z")), 10)?;
    require!(behind.is_empty(), "after `z`: {behind:?}");
    let absent = names(&*store, "m/", Some(&key("m/1x")), 10)?;
    require!(absent == ["m/2"], "after a key that does not exist: {absent:?}");
    Ok(())
}

fn a_limit_of_nothing_gives_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let before = store.head()?;
    put(&*store, "ring/a", b"x")?;
    require!(store.list("", None, 0)?.is_empty(), "a list of nothing has something");
    require!(store.changes(before, 0)?.is_empty(), "changes of nothing have something");
    Ok(())
}

fn a_list_is_one_snapshot(fixture: &dyn Fixture) -> Outcome {
    let both = |round: u32| {
        ["pair/a", "pair/b"].map(|name| write(name, Expect::Any, &round.to_be_bytes())).to_vec()
    };
    commit(&*fixture.connect(), both(0))?;
    let done = AtomicBool::new(false);
    let writing = || -> Outcome {
        let store = fixture.connect();
        for round in 1..=60 {
            let result = commit(&*store, both(round));
            if result.is_err() || round == 60 {
                done.store(true, Ordering::SeqCst);
            }
            result?;
        }
        Ok(())
    };
    let reading = || -> Outcome {
        let store = fixture.connect();
        while !done.load(Ordering::SeqCst) {
            let found = store.list("pair/", None, 10)?;
            let [(_, a), (_, b)] = found.as_slice() else {
                return Err(Failure(format!("{} of 2 keys are listed", found.len())));
            };
            require!(a == b, "{a:?} and {b:?} are of two commits");
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(writing), scope.spawn(reading)];
        threads.into_iter().try_for_each(joined)
    })
}
