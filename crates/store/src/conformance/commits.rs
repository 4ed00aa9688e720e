//! Cases about writing: compare-and-swap, all or nothing, numbering, durability.

use std::collections::BTreeSet;
use std::thread;

use keywheel_engine::ports::{Commit, CommitError, Expect, Seq};

use super::{
    Failure, Fixture, Outcome, case_list, commit, joined, key, put, removal, require, value, write,
};

case_list![
    a_committed_value_is_read_back,
    absent_refuses_a_key_that_exists,
    at_refuses_a_value_that_was_replaced,
    at_refuses_a_key_that_is_absent,
    any_overwrites_whatever_is_there,
    a_conflict_names_the_key,
    a_key_named_twice_is_refused,
    one_failed_expectation_writes_nothing,
    the_writes_of_a_commit_share_its_number,
    commit_numbers_only_grow,
    a_refused_commit_is_not_seen_in_the_head,
    an_empty_commit_is_numbered,
    a_removed_key_is_absent_again,
    a_removal_keeps_its_expectation,
    a_removed_key_does_not_meet_its_old_number,
    values_of_one_mebibyte_and_of_nothing,
    values_may_hold_any_byte,
    one_writer_wins_each_swap,
    no_increment_is_lost_under_threads,
    commits_outlive_their_connections,
];

fn is_conflict(result: &Result<Seq, CommitError>, name: &str) -> bool {
    matches!(result, Err(CommitError::Conflict(found)) if found.as_str() == name)
}

fn a_committed_value_is_read_back(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let seq = commit(&*one, vec![write("ring/a", Expect::Absent, b"first")])?;
    for store in [&one, &other] {
        let stored = store.read(&key("ring/a"))?;
        require!(
            stored.as_ref().is_some_and(|s| s.value == b"first" && s.seq == seq),
            "{stored:?} is not what commit {seq:?} wrote"
        );
    }
    Ok(())
}

fn absent_refuses_a_key_that_exists(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    put(&*store, "ring/a", b"first")?;
    let refused = commit(&*store, vec![write("ring/a", Expect::Absent, b"second")]);
    require!(is_conflict(&refused, "ring/a"), "{refused:?} is no conflict");
    require!(value(&*store, "ring/a")?.as_deref() == Some(b"first"), "the value was changed");
    Ok(())
}

fn at_refuses_a_value_that_was_replaced(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let first = put(&*store, "ring/a", b"first")?;
    let second = commit(&*store, vec![write("ring/a", Expect::At(first), b"second")])?;
    let refused = commit(&*store, vec![write("ring/a", Expect::At(first), b"third")]);
    require!(is_conflict(&refused, "ring/a"), "{refused:?} is no conflict");
    commit(&*store, vec![write("ring/a", Expect::At(second), b"third")])?;
    require!(value(&*store, "ring/a")?.as_deref() == Some(b"third"), "the swap did not happen");
    Ok(())
}

fn at_refuses_a_key_that_is_absent(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    for seq in [Seq(0), Seq(1), Seq(u64::MAX)] {
        let refused = commit(&*store, vec![write("ring/a", Expect::At(seq), b"x")]);
        require!(is_conflict(&refused, "ring/a"), "at {seq:?}: {refused:?} is no conflict");
    }
    require!(value(&*store, "ring/a")?.is_none(), "a value appeared");
    Ok(())
}

fn any_overwrites_whatever_is_there(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    for text in [b"one".as_slice(), b"two", b"three"] {
        put(&*store, "presence/a", text)?;
        require!(value(&*store, "presence/a")?.as_deref() == Some(text), "{text:?} is not there");
    }
    Ok(())
}

fn a_conflict_names_the_key(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    put(&*store, "ring/b", b"x")?;
    let writes = ["ring/a", "ring/b", "ring/c"].map(|name| write(name, Expect::Absent, b"y"));
    let refused = commit(&*store, writes.to_vec());
    require!(is_conflict(&refused, "ring/b"), "{refused:?} does not name ring/b");
    Ok(())
}

fn a_key_named_twice_is_refused(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let twice = vec![
        write("ring/a", Expect::Any, b"one"),
        write("ring/b", Expect::Any, b"one"),
        write("ring/a", Expect::Any, b"two"),
    ];
    let refused = commit(&*store, twice);
    require!(is_conflict(&refused, "ring/a"), "{refused:?} is no conflict");
    require!(store.list("", None, 10)?.is_empty(), "a part of it was written");
    Ok(())
}

fn one_failed_expectation_writes_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    put(&*store, "taken", b"old")?;
    let before = store.list("", None, 10)?;
    for place in 0..3 {
        let mut writes =
            vec![write("ring/a", Expect::Absent, b"new"), removal("ring/b", Expect::Any)];
        writes.insert(place, write("taken", Expect::Absent, b"new"));
        let refused = commit(&*store, writes);
        require!(is_conflict(&refused, "taken"), "at {place}: {refused:?} is no conflict");
        let after = store.list("", None, 10)?;
        require!(after == before, "at {place}: a part of the refused commit was written");
    }
    Ok(())
}

fn the_writes_of_a_commit_share_its_number(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let names = ["audit/1", "instance/x", "ring/a"];
    let writes = names.map(|name| write(name, Expect::Absent, name.as_bytes()));
    let seq = commit(&*store, writes.to_vec())?;
    let stored = store.list("", None, 10)?;
    require!(stored.len() == names.len(), "{} of 3 keys were written", stored.len());
    require!(stored.iter().all(|(_, s)| s.seq == seq), "{stored:?} are not all at {seq:?}");
    Ok(())
}

fn commit_numbers_only_grow(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let mut last = one.head()?;
    for turn in 0..20 {
        let store = if turn % 2 == 0 { &one } else { &other };
        let seq = put(&**store, "ring/a", b"x")?;
        require!(seq > last, "{seq:?} follows {last:?}");
        let heads = (one.head()?, other.head()?);
        require!(heads == (seq, seq), "the heads are {heads:?} after {seq:?}");
        last = seq;
    }
    Ok(())
}

fn a_refused_commit_is_not_seen_in_the_head(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let head = put(&*store, "ring/a", b"x")?;
    let refused = commit(&*store, vec![write("ring/a", Expect::Absent, b"y")]);
    require!(refused.is_err(), "it was not refused");
    require!(store.head()? == head, "the head moved");
    Ok(())
}

fn an_empty_commit_is_numbered(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let before = store.head()?;
    let seq = store.commit(&Commit::default())?;
    require!(seq > before && store.head()? == seq, "{seq:?} does not follow {before:?}");
    Ok(())
}

fn a_removed_key_is_absent_again(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let seq = put(&*store, "ring/a", b"x")?;
    commit(&*store, vec![removal("ring/a", Expect::At(seq))])?;
    require!(value(&*store, "ring/a")?.is_none(), "it is still there");
    require!(store.list("ring/", None, 10)?.is_empty(), "it is still listed");
    commit(&*store, vec![write("ring/a", Expect::Absent, b"again")])?;
    require!(value(&*store, "ring/a")?.as_deref() == Some(b"again"), "it did not come back");
    Ok(())
}

fn a_removal_keeps_its_expectation(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let first = put(&*store, "ring/a", b"x")?;
    put(&*store, "ring/a", b"y")?;
    for expect in [Expect::At(first), Expect::Absent] {
        let refused = commit(&*store, vec![removal("ring/a", expect)]);
        require!(is_conflict(&refused, "ring/a"), "{expect:?}: {refused:?} is no conflict");
    }
    require!(value(&*store, "ring/a")?.is_some(), "it was removed");
    Ok(())
}

fn a_removed_key_does_not_meet_its_old_number(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let first = put(&*store, "ring/a", b"x")?;
    let removed = commit(&*store, vec![removal("ring/a", Expect::Any)])?;
    for seq in [first, removed] {
        let refused = commit(&*store, vec![write("ring/a", Expect::At(seq), b"y")]);
        require!(is_conflict(&refused, "ring/a"), "at {seq:?}: {refused:?} is no conflict");
    }
    Ok(())
}

fn values_of_one_mebibyte_and_of_nothing(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let large: Vec<u8> = (0..1_u32 << 20).map(|n| n.wrapping_mul(31).to_le_bytes()[0]).collect();
    put(&*store, "large", &large)?;
    put(&*store, "nothing", b"")?;
    require!(value(&*store, "large")? == Some(large), "the large value came back otherwise");
    require!(value(&*store, "nothing")? == Some(Vec::new()), "the empty value came back otherwise");
    Ok(())
}

fn values_may_hold_any_byte(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let every: Vec<u8> = (0..=u8::MAX).collect();
    put(&*store, "every", &every)?;
    require!(value(&*store, "every")? == Some(every), "the value came back otherwise");
    Ok(())
}

fn one_writer_wins_each_swap(fixture: &dyn Fixture) -> Outcome {
    let mut seq = put(&*fixture.connect(), "ring/a", b"start")?;
    for _ in 0..5 {
        let attempt = || -> Result<Option<Seq>, Failure> {
            let store = fixture.connect();
            match commit(&*store, vec![write("ring/a", Expect::At(seq), b"mine")]) {
                Ok(won) => Ok(Some(won)),
                Err(CommitError::Conflict(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let winners = thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(attempt)).collect();
            threads.into_iter().map(joined).collect::<Result<Vec<_>, _>>()
        })?;
        let winners: Vec<Seq> = winners.into_iter().flatten().collect();
        let [winner] = winners.as_slice() else {
            return Err(Failure(format!("{} of 6 writers won one swap", winners.len())));
        };
        seq = *winner;
    }
    Ok(())
}

fn no_increment_is_lost_under_threads(fixture: &dyn Fixture) -> Outcome {
    const THREADS: u64 = 4;
    const TURNS: u64 = 25;
    put(&*fixture.connect(), "counter", &0_u64.to_be_bytes())?;
    let count_up = || -> Result<Vec<Seq>, Failure> {
        let store = fixture.connect();
        let mut seqs = Vec::new();
        // Each lost swap is another thread's progress, so this many attempts suffice for all.
        for _ in 0..THREADS * TURNS {
            if seqs.len() as u64 == TURNS {
                break;
            }
            let stored = store.read(&key("counter"))?.ok_or_else(lost)?;
            let count = stored.value.as_slice().try_into().map(u64::from_be_bytes);
            let next = count.map_err(|_| lost())? + 1;
            let swap = write("counter", Expect::At(stored.seq), &next.to_be_bytes());
            match commit(&*store, vec![swap]) {
                Ok(seq) => seqs.push(seq),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(seqs)
    };
    let seqs = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(count_up)).collect();
        threads.into_iter().map(joined).collect::<Result<Vec<_>, _>>()
    })?;
    let distinct: BTreeSet<Seq> = seqs.into_iter().flatten().collect();
    let total = value(&*fixture.connect(), "counter")?;
    let expected = (THREADS * TURNS).to_be_bytes();
    require!(total.as_deref() == Some(&expected), "the counter is at {total:?}");
    require!(distinct.len() as u64 == THREADS * TURNS, "{} numbers are distinct", distinct.len());
    Ok(())
}

fn lost() -> Failure {
    Failure("the counter was lost".to_owned())
}

fn commits_outlive_their_connections(fixture: &dyn Fixture) -> Outcome {
    if !fixture.outlives_its_connections() {
        return Ok(());
    }
    let store = fixture.connect();
    put(&*store, "ring/a", b"kept")?;
    put(&*store, "ring/b", b"gone")?;
    let head = commit(&*store, vec![removal("ring/b", Expect::Any)])?;
    drop(store);
    let store = fixture.connect();
    require!(value(&*store, "ring/a")?.as_deref() == Some(b"kept"), "the value is gone");
    require!(value(&*store, "ring/b")?.is_none(), "the removed key is back");
    require!(store.head()? == head, "the head is {:?}, and was {head:?}", store.head()?);
    Ok(())
}
