//! Rules for orders of events that chance brings about once in a hundred thousand runs of the
//! simulation. Each order is told here step by step, and must go wrong without its rule.

use std::time::Duration;

use larder::core::Runtime;
use larder::core::lane::{Answer, Lane, Position};
use larder::core::mutant::Mutant;
use larder::core::runtime::Mono;
use larder::{InsertOptions, Loaded, Source};
use larder_testkit::sim::Cut;

use crate::support::{Oops, World, found, needs, needs_alone};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
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
    needs_alone(Mutant::VersionFloor, || async {
        let world = World::new();
        let cache = world.both().build().await.unwrap();
        cache.insert(&1, 10).await.unwrap();
        let old = world.store.peek(1).await;
        let _ = cache.invalidate(&1).await.unwrap();
        world.store.lag(old);
        cache.get(&1).await.unwrap();
        assert!(cache.get(&1).await.unwrap().is_none());
    });
}

/// Nothing is wrong with the life of a log but that it has become shorter: an old dump of a server
/// that does not know of its restart.
#[test]
fn a_log_that_becomes_shorter_is_another_one() {
    needs_alone(Mutant::IgnoreRewind, || async {
        let mut lane = Lane::default();
        let at = |seq| Position {
            incarnation: 1,
            seq,
        };
        let sent = lane.poll(Mono(1));
        assert_eq!(lane.on_poll(sent, at(5)), Answer::Resync);
        let (generation, sent) = (lane.generation(), lane.poll(Mono(2)));
        assert_eq!(lane.on_poll(sent, at(3)), Answer::Resync);
        assert_ne!(lane.generation(), generation);
        assert_eq!(lane.position(), Some(at(3)));
    });
}

/// A record is read after its tag was invalidated, of which the reader has not heard, and then nothing
/// arrives any more. What it knows of the tag is as old as its last poll, and so is the copy.
#[test]
fn a_copy_is_no_younger_than_what_is_known_of_its_tags() {
    needs(Mutant::ProvenAlone, |mut network| async move {
        let (one, two) = network.two().await;
        let tagged = || InsertOptions::new().tag("t");
        // The reader knows the tag.
        one.insert_with(&3, 10, tagged()).await.unwrap();
        assert_eq!(found(two.get(&3).await), Some((10, Source::Remote)));
        one.insert_with(&4, 10, tagged()).await.unwrap();
        network.pass(ms(10)).await;
        network.cut(1, Cut::Pushes);
        let _ = one.invalidate_tag("t").await.unwrap();
        let invalidated = network.runtime.now();
        network.pass(ms(60)).await;
        let _ = two.get(&4).await.unwrap();
        network.cut(1, Cut::Both);
        let passed = network.runtime.now().since(invalidated);
        network.pass(ms(1_001) - passed).await;
        let read = two.get(&4).await;
        assert!(read.is_err(), "{read:?}");
    });
}

/// While nobody vouches for it a value is used for Δ from when its load began: the source was read
/// after that, and nobody knows when.
#[test]
fn a_value_that_is_not_proven_is_used_for_as_long_as_if_its_load_had_taken_no_time() {
    needs(Mutant::BriefFromEnd, |mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Both);
        let clock = network.runtime.clone();
        let began = std::sync::Arc::new(std::sync::Mutex::new(None));
        let begins = began.clone();
        let loaded = two.get_or_load(&5, move |_| async move {
            *begins.lock().unwrap() = Some(clock.now());
            clock.sleep(ms(900)).await;
            Ok::<_, Oops>(10)
        });
        assert_eq!(*loaded.await.unwrap(), 10);
        let used = found(two.get(&5).await);
        assert_eq!(used, Some((10, Source::Near)), "until then");
        let began = began.lock().unwrap().expect("it was loaded");
        // As if the source had been changed just after it was read.
        let _ = one.insert(&5, 20).await.unwrap();
        let passed = network.runtime.now().since(began);
        network.pass(ms(1_001).saturating_sub(passed)).await;
        let read = two.get(&5).await;
        assert!(read.is_err(), "{read:?}");
    });
}

/// The stale value is what is there, and its key does not change any more.
#[test]
fn a_value_that_is_made_from_a_stale_one_is_not_stored() {
    needs(Mutant::UnprovenInner, |mut network| async move {
        let (one, _) = network.two().await;
        let _ = one.expire(&1).await.unwrap();
        let inner = one.clone();
        let made = one.get_or_load(&2, move |_| async move {
            let read = inner.get_or_load(&1, |_| async { Err::<u64, _>(Oops("down")) });
            let read: Loaded<u64> = read.await.unwrap();
            assert!(read.is_stale());
            Ok::<_, Oops>(*read * 10)
        });
        assert_eq!(*made.await.unwrap(), 100);
        assert_eq!(found(one.get(&2).await), None);
    });
}

/// Who asked for a change has gone away before its end. It is concluded all the same.
#[test]
fn a_change_is_seen_through_without_the_caller_who_asked_for_it() {
    needs(Mutant::ChangeDropped, |mut network| async move {
        let (one, two) = network.two().await;
        network.cut(0, Cut::Pushes);
        tokio::select! {
            biased;
            _ = one.invalidate(&1) => panic!("it takes a round trip"),
            () = std::future::ready(()) => {}
        }
        network.pass(ms(20)).await;
        assert_eq!(found(two.get(&1).await), None, "it was made");
        assert_eq!(found(one.get(&1).await), None, "and concluded");
    });
}
