//! Cases about the lease: fences only grow, and a leader that was replaced cannot write.

use std::thread;
use std::time::Duration;

use keywheel_engine::ports::{CommitError, Expect, Fence, Store};

use super::{
    Failure, Fixture, Outcome, case_list, commit, commit_fenced, joined, key, put, require, value,
    write,
};

case_list![
    a_free_lease_is_granted_to_one,
    fences_strictly_increase,
    the_same_holder_gets_a_new_fence,
    a_lease_that_ended_is_taken_over,
    a_lease_does_not_end_early,
    a_renewal_extends_the_lease,
    a_renewal_after_a_takeover_fails,
    a_released_lease_is_free,
    a_released_lease_cannot_be_renewed,
    a_late_release_harms_nobody,
    the_newest_fence_may_commit,
    a_stale_fence_writes_nothing,
    a_fence_that_was_never_granted_is_refused,
    a_commit_without_a_fence_goes_through,
    one_of_many_gets_the_lease,
    fences_outlive_their_connections,
];

const TTL: Duration = Duration::from_secs(10);

fn granted(store: &dyn Store, holder: &str) -> Result<Fence, Failure> {
    store
        .acquire(holder, TTL)?
        .ok_or_else(|| Failure(format!("the lease was not granted to {holder}")))
}

fn refused(store: &dyn Store, holder: &str) -> Outcome {
    let fence = store.acquire(holder, TTL)?;
    require!(fence.is_none(), "{holder} got {fence:?} beside a living holder");
    Ok(())
}

fn a_free_lease_is_granted_to_one(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    granted(&*one, "one")?;
    refused(&*other, "other")?;
    refused(&*one, "other")
}

fn fences_strictly_increase(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let mut last = granted(&*one, "one")?;
    for round in 0..12 {
        match round % 3 {
            0 => one.release(last)?,
            1 => fixture.advance(TTL),
            _ => {}
        }
        // Every third round re-acquires for whoever holds the lease already.
        let (store, holder) = if round % 6 < 3 { (&one, "one") } else { (&other, "other") };
        let fence = store.acquire(holder, TTL)?;
        if let Some(fence) = fence {
            require!(fence > last, "{fence:?} follows {last:?}");
            last = fence;
        }
        require!(fence.is_some() || round % 3 == 2, "round {round}: the free lease was refused");
    }
    Ok(())
}

fn the_same_holder_gets_a_new_fence(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let first = granted(&*store, "one")?;
    let second = granted(&*fixture.connect(), "one")?;
    require!(second > first, "{second:?} follows {first:?}");
    require!(!store.renew(first, TTL)?, "the former fence was renewed");
    let result = commit_fenced(&*store, first, vec![write("a", Expect::Any, b"x")]);
    require!(matches!(result, Err(CommitError::Fenced)), "{result:?} was not fenced");
    Ok(())
}

fn a_lease_that_ended_is_taken_over(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let first = granted(&*one, "one")?;
    refused(&*other, "other")?;
    fixture.advance(TTL);
    let second = granted(&*other, "other")?;
    require!(second > first, "{second:?} follows {first:?}");
    refused(&*one, "one")
}

fn a_lease_does_not_end_early(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    granted(&*one, "one")?;
    for _ in 0..9 {
        fixture.advance(TTL / 10);
        refused(&*other, "other")?;
    }
    Ok(())
}

fn a_renewal_extends_the_lease(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let fence = granted(&*one, "one")?;
    for _ in 0..4 {
        fixture.advance(TTL / 2);
        require!(one.renew(fence, TTL)?, "the living lease was not renewed");
        refused(&*other, "other")?;
    }
    fixture.advance(TTL);
    granted(&*other, "other").map(|_| ())
}

fn a_renewal_after_a_takeover_fails(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let first = granted(&*one, "one")?;
    fixture.advance(TTL);
    let second = granted(&*other, "other")?;
    require!(!one.renew(first, TTL)?, "the lost lease was renewed");
    require!(other.renew(second, TTL)?, "the new lease was not renewed");
    Ok(())
}

fn a_released_lease_is_free(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let first = granted(&*one, "one")?;
    refused(&*other, "other")?;
    one.release(first)?;
    let second = granted(&*other, "other")?;
    require!(second > first, "{second:?} follows {first:?}");
    Ok(())
}

fn a_released_lease_cannot_be_renewed(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let fence = granted(&*store, "one")?;
    store.release(fence)?;
    require!(!store.renew(fence, TTL)?, "it was renewed");
    Ok(())
}

fn a_late_release_harms_nobody(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let first = granted(&*one, "one")?;
    one.release(first)?;
    one.release(first)?;
    let second = granted(&*other, "other")?;
    one.release(first)?;
    one.release(Fence(u64::MAX))?;
    refused(&*one, "one")?;
    require!(other.renew(second, TTL)?, "the lease of the other was lost");
    Ok(())
}

fn the_newest_fence_may_commit(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let fence = granted(&*store, "one")?;
    let seq = commit_fenced(&*store, fence, vec![write("a", Expect::Absent, b"x")])?;
    let stored = store.read(&key("a"))?;
    require!(stored.is_some_and(|s| s.seq == seq), "the fenced commit is not there");
    // Expectations hold under a fence as well.
    let result = commit_fenced(&*store, fence, vec![write("a", Expect::Absent, b"y")]);
    require!(matches!(result, Err(CommitError::Conflict(_))), "{result:?} is no conflict");
    Ok(())
}

fn a_stale_fence_writes_nothing(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let stale = granted(&*one, "one")?;
    let seq = commit_fenced(&*one, stale, vec![write("a", Expect::Absent, b"old")])?;
    fixture.advance(TTL);
    let fresh = granted(&*other, "other")?;
    let head = one.head()?;
    let late = vec![write("a", Expect::At(seq), b"late"), write("b", Expect::Absent, b"late")];
    let result = commit_fenced(&*one, stale, late);
    require!(matches!(result, Err(CommitError::Fenced)), "{result:?} was not fenced");
    // Whoever is no longer the leader must hear that first, whatever else is wrong.
    for expect in [Expect::Absent, Expect::At(seq)] {
        let twice = vec![write("a", expect, b"late"), write("a", expect, b"late")];
        let result = commit_fenced(&*one, stale, twice);
        require!(matches!(result, Err(CommitError::Fenced)), "{result:?} was not fenced");
    }
    require!(value(&*one, "a")?.as_deref() == Some(b"old"), "the stale leader wrote");
    require!(value(&*one, "b")?.is_none(), "the stale leader wrote a part");
    require!(one.head()? == head, "the refused commit moved the head");
    commit_fenced(&*other, fresh, vec![write("a", Expect::At(seq), b"new")])?;
    Ok(())
}

fn a_fence_that_was_never_granted_is_refused(fixture: &dyn Fixture) -> Outcome {
    let store = fixture.connect();
    let fence = granted(&*store, "one")?;
    for forged in [Fence(0), Fence(fence.0 + 1), Fence(u64::MAX)] {
        let result = commit_fenced(&*store, forged, vec![write("a", Expect::Any, b"x")]);
        require!(matches!(result, Err(CommitError::Fenced)), "{forged:?} gave {result:?}");
        require!(!store.renew(forged, TTL)?, "{forged:?} was renewed");
    }
    Ok(())
}

fn a_commit_without_a_fence_goes_through(fixture: &dyn Fixture) -> Outcome {
    let (one, other) = (fixture.connect(), fixture.connect());
    let fence = granted(&*one, "one")?;
    commit(&*other, vec![write("instance/x", Expect::Absent, b"hello")])?;
    put(&*other, "instance/x", b"again")?;
    require!(one.renew(fence, TTL)?, "the lease was lost by an unfenced commit");
    Ok(())
}

fn one_of_many_gets_the_lease(fixture: &dyn Fixture) -> Outcome {
    let connections: Vec<_> = (0..4).map(|_| fixture.connect()).collect();
    for round in 0..3 {
        let winners = thread::scope(|scope| {
            let threads: Vec<_> = connections
                .iter()
                .enumerate()
                .map(|(number, store)| {
                    scope.spawn(move || -> Result<Option<Fence>, Failure> {
                        Ok(store.acquire(&format!("server-{round}-{number}"), TTL)?)
                    })
                })
                .collect();
            threads.into_iter().map(joined).collect::<Result<Vec<_>, _>>()
        })?;
        let won = winners.iter().flatten().count();
        require!(won == 1, "round {round}: {won} of 4 got the lease");
        fixture.advance(TTL);
    }
    Ok(())
}

fn fences_outlive_their_connections(fixture: &dyn Fixture) -> Outcome {
    if !fixture.outlives_its_connections() {
        return Ok(());
    }
    let first = granted(&*fixture.connect(), "one")?;
    refused(&*fixture.connect(), "other")?;
    fixture.advance(TTL);
    let second = granted(&*fixture.connect(), "other")?;
    require!(second > first, "{second:?} follows {first:?}");
    Ok(())
}
