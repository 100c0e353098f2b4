//! Rules for orders of events that chance brings about once in a hundred thousand runs of the
//! simulation. Each order is told here step by step, and must go wrong without its rule.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use larder::Source;
use larder::core::Runtime;
use larder::core::mutant::{Mutant, activate};
use larder_testkit::sim::Cut;

use crate::support::{Network, Oops, World, found, on_a_network};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The story ends well under every seed, and under some of them not without the rule.
fn needs<F>(rule: Mutant, story: fn(Network) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    on_a_network(story);
    let _out = activate(Some(rule));
    let told = catch_unwind(AssertUnwindSafe(|| on_a_network(story)));
    assert!(told.is_err(), "nobody missed {rule:?}");
}

/// The same with a store that does as it is told.
fn needs_of<F>(rule: Mutant, story: fn(World) -> F)
where
    F: Future<Output = ()>,
{
    let tell = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(async { story(World::new()).await });
    };
    tell();
    let _out = activate(Some(rule));
    let told = catch_unwind(AssertUnwindSafe(tell));
    assert!(told.is_err(), "nobody missed {rule:?}");
}

/// A node is cut off while it loads a value from a near copy that is nearly Δ old. When that copy may
/// no longer be used, whoever asks may not have what is being made from it either, though the load
/// itself is younger than Δ.
#[test]
fn a_load_from_an_old_copy_is_not_joined_when_the_copy_could_not_be_read_any_more() {
    needs(Mutant::OldRead, |mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Both);
        one.insert(&1, 20).await.unwrap();
        network.pass(ms(100)).await;
        let (inner, clock) = (two.clone(), network.runtime.clone());
        let made = two.get_or_load(&2, move |_| async move {
            let read = inner.get(&1).await.unwrap().unwrap();
            assert_eq!((*read, read.source()), (10, Source::Near));
            clock.sleep(ms(1_000)).await;
            Ok::<_, Oops>(*read * 10)
        });
        let later = async {
            network.pass(ms(950)).await;
            two.get_or_load(&2, |_| async { Ok::<_, Oops>(200) }).await
        };
        let (made, later) = tokio::join!(made, later);
        assert_eq!((*made.unwrap(), *later.unwrap()), (100, 200));
    });
}

/// A node that waits for the lease of another one hears that the log has no memory of what it missed,
/// and forgets what it knew of areas. The answer to its next request for the lease is a record that
/// was made void meanwhile.
#[test]
fn a_record_that_comes_instead_of_a_lease_is_held_against_areas_that_are_asked_for() {
    needs(Mutant::LeasedArea, |mut network| async move {
        let (one, two) = network.two().await;
        let clock = network.runtime.clone();
        let holding = async {
            let load = |_| async move {
                clock.sleep(ms(300)).await;
                Ok::<_, Oops>(10)
            };
            assert_eq!(*one.get_or_load(&3, load).await.unwrap(), 10);
            let _ = one.invalidate_pattern("*").await.unwrap();
            network.store.trim_log(0);
            // Else the void record would be reclaimed.
            network.cut(0, Cut::Both);
        };
        let waiting = async {
            network.pass(ms(50)).await;
            network.cut(1, Cut::Pushes);
            two.get_or_load(&3, |_| async { Ok::<_, Oops>(30) }).await
        };
        let ((), waited) = tokio::join!(holding, waiting);
        network.pass(ms(1_200)).await;
        // Who asked before the invalidation may have either.
        assert!([10, 30].contains(&*waited.unwrap()));
        assert_ne!(found(two.get(&3).await), Some((10, Source::Near)));
        assert_ne!(found(two.get(&3).await).map(|(value, _)| value), Some(10));
    });
}

/// What depends on a key is invalidated while it is being made. That the key is still the same does
/// not say that nothing has happened.
#[test]
fn a_load_that_has_read_a_key_is_not_stored_when_its_dependents_are_invalidated() {
    needs(Mutant::UntoldReaders, |mut network| async move {
        let (one, two) = network.two().await;
        let (inner, clock) = (one.clone(), network.runtime.clone());
        let made = one.get_or_load(&2, move |_| async move {
            let read = inner.get(&1).await.unwrap().unwrap();
            clock.sleep(ms(100)).await;
            Ok::<_, Oops>(*read * 10)
        });
        let invalidated = async {
            network.pass(ms(50)).await;
            two.invalidate_dependents(&1).await.map(drop)
        };
        let (made, invalidated) = tokio::join!(made, invalidated);
        invalidated.unwrap();
        assert_eq!(*made.unwrap(), 100);
        network.pass(ms(50)).await;
        for node in [&one, &two] {
            assert_eq!(found(node.get(&2).await), None, "it was made before that");
        }
    });
}

/// A node is told nothing of a change that it asked for. The change may have been made.
#[test]
fn a_copy_goes_when_it_is_unknown_whether_its_key_was_changed() {
    needs(Mutant::Forget, |mut network| async move {
        let (one, two) = network.two().await;
        network.cut(0, Cut::Replies);
        assert!(one.invalidate(&1).await.is_err());
        assert_eq!(found(two.get(&1).await), None, "it was made");
        let read = one.get(&1).await;
        assert!(read.is_err(), "it cannot know: {read:?}");
    });
}

/// A node reads from a place that is behind what it has changed itself: a replica, for one. Nothing
/// has happened to the key since the reading began.
#[test]
fn what_comes_from_before_a_change_does_not_become_a_copy_however_late_it_is_asked_for() {
    needs_of(Mutant::VersionFloor, |world| async move {
        let cache = world.both().build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        let old = world.store.peek(1).await;
        let _ = cache.invalidate(&1).await.unwrap();
        world.store.lag(old);
        cache.get(&1).await.unwrap();
        assert!(cache.get(&1).await.unwrap().is_none());
    });
}
