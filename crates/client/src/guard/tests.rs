//! The race between guards and swaps.

use super::*;
use crate::clock::boot_time;
use crate::live::Live;
use crate::local::Local;
use crate::material::tests::wire;
use crate::state::{Applied, ConsumerState};

fn swap(local: &mut Local, state: &mut ConsumerState, live: &Live, revision: u64) {
    let ring = state.ring().clone();
    let arrived = local.parse(wire(revision, Some(1), &[1]), &ring).unwrap();
    assert_eq!(state.apply(arrived.offer, boot_time()), Applied::Swapped);
    local.adopt(arrived.versions);
    live.slots[0].show(Arc::new(local.view(state).unwrap()));
}

fn world() -> (Arc<Live>, Local, ConsumerState) {
    let ring: RingName = "r".parse().unwrap();
    let live = Arc::new(Live::new(crate::fork::generation(), std::slice::from_ref(&ring)).unwrap());
    live.slots[0].set_contact(boot_time());
    (live, Local::default(), ConsumerState::new(ring))
}

#[test]
fn a_swap_in_the_middle_of_taking_a_guard_is_noticed() {
    for when in [Moment::Loaded, Moment::Counted] {
        let (live, mut local, mut state) = world();
        swap(&mut local, &mut state, &live, 1);
        let mut seen = None;
        let guard = Guard::take_between(&live, 0, boot_time(), |moment| {
            if moment == when && seen.is_none() {
                swap(&mut local, &mut state, &live, 2);
                seen = Some(local.oldest_guard().map(|epoch| epoch.0));
            }
        });
        let guard = guard.unwrap();
        // Either the watcher saw the guard, or the guard saw the swap.
        let watcher_saw = seen.unwrap() == Some(1);
        assert!(watcher_saw || guard.revision().0 == 2, "{when:?}");
        assert_eq!(watcher_saw, when == Moment::Counted);
        assert_eq!(local.oldest_guard(), Some(guard.keyset.in_use.epoch));
        drop(guard);
        assert_eq!(local.oldest_guard(), None);
    }
}

#[test]
fn the_last_guard_of_an_older_keyset_rings() {
    let (live, mut local, mut state) = world();
    swap(&mut local, &mut state, &live, 1);
    let take = || Guard::take(&live, 0, boot_time()).unwrap();
    let rang = || live.wake.silence();
    drop(take());
    assert!(!rang(), "nobody waits for work with the present keyset");
    let (one, two) = (take(), take());
    swap(&mut local, &mut state, &live, 2);
    assert_eq!(local.oldest_guard().map(|epoch| epoch.0), Some(1));
    drop(one);
    assert!(!rang());
    drop(two);
    assert!(rang());
    assert_eq!(local.oldest_guard(), None);
}

#[test]
fn a_guard_is_refused_for_a_reason() {
    let (live, mut local, mut state) = world();
    let refusal = |now| Guard::take(&live, 0, now).err().unwrap();
    assert!(matches!(refusal(boot_time()), ProtectError::Client(ClientError::NotLoaded { .. })));
    swap(&mut local, &mut state, &live, 1);
    let late = boot_time().after(Span::from_secs(3_601));
    assert!(matches!(refusal(late), ProtectError::Offline { .. }));
    assert!(Guard::take(&live, 0, boot_time()).is_ok());
    live.closing.store(true, Ordering::SeqCst);
    assert!(matches!(refusal(boot_time()), ProtectError::Client(ClientError::Closed)));
    assert_eq!(local.oldest_guard(), None, "a refused guard does not count");
}
