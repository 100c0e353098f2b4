//! Several caches over one store: what processes that share a remote tier do for each other.

use std::time::Duration;

use larder::core::Runtime;
use larder::core::runtime::Mono;
use larder::{Near, Source};
use larder_testkit::sim::Cut;

use crate::support::{
    Network, Oops, Op, World, in_time, on_a_network, paused, paused_load, settle, spawn_load,
};

/// Longer than the pause between two questions for a lease.
const PAUSE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn two_nodes_load_once() {
    let world = World::new();
    let one = world.both().build().await.unwrap();
    let two = world.remote_only().build().await.unwrap();
    let (first, load) = paused_load(&one, 1).await;
    let second = spawn_load(&two, 1, |_| async { Ok(99) });
    for _ in 0..5 {
        world.clock.advance(PAUSE).await;
    }
    assert!(!second.is_finished());
    load.answer(Ok(10));
    assert_eq!(*first.await.unwrap().unwrap(), 10);
    world.clock.advance(PAUSE).await;
    let second = second.await.unwrap().unwrap();
    assert_eq!((*second, second.source()), (10, Source::Remote));
    assert_eq!(two.stats().loads.succeeded, 0);
}

/// How long after the end of the first node's load, which takes 300 ms, the second one had its value,
/// with this way of messages. It asked a few milliseconds after the first one.
async fn heard_after(mut network: Network, pushes: Cut) -> Duration {
    let (one, two) = network.two().await;
    network.cut(1, pushes);
    let clock = network.runtime.clone();
    let holding = one.get_or_load(&2, move |_| async move {
        clock.sleep(Duration::from_millis(300)).await;
        Ok::<_, Oops>(clock.now().0)
    });
    let waiting = async {
        network.pass(Duration::from_millis(5)).await;
        let got = two.get_or_load(&2, |_| async { Ok::<_, Oops>(0) }).await;
        (got.unwrap(), network.runtime.now())
    };
    let (loaded, (got, at)) = tokio::join!(holding, waiting);
    assert_eq!((*got, got.source()), (*loaded.unwrap(), Source::Remote));
    at.since(Mono(*got))
}

#[test]
fn who_waits_for_the_load_of_another_node_is_told_of_its_end() {
    on_a_network(|network| async move {
        // The fill, the message, the answer: each way takes a millisecond at most.
        let after = heard_after(network, Cut::Nothing).await;
        assert!(after < Duration::from_millis(10), "{after:?}");
    });
}

#[test]
fn who_is_not_told_asks_again() {
    on_a_network(|network| async move {
        let after = heard_after(network, Cut::Pushes).await;
        assert!(
            after > Duration::from_millis(10),
            "nobody told it: {after:?}"
        );
        assert!(after < Duration::from_secs(1), "{after:?}");
    });
}

#[test]
fn who_waits_is_told_of_a_load_that_has_failed_and_of_a_change() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        let (clock, ended) = (network.runtime.clone(), Duration::from_millis(300));
        let failing = one.get_or_load(&2, move |_| async move {
            clock.sleep(ended).await;
            Err::<u64, _>(Oops("down"))
        });
        let waiting = async {
            network.pass(Duration::from_millis(5)).await;
            two.get_or_load(&2, |_| async { Ok::<_, Oops>(20) }).await
        };
        let both = async { tokio::join!(failing, waiting) };
        let ((failed, loaded), took) = network.time(both).await;
        assert!(failed.is_err() && *loaded.unwrap() == 20);
        assert!(took < ended + Duration::from_millis(15), "{took:?}");

        let (clock, writer) = (network.runtime.clone(), one.clone());
        let held = one.get_or_load(&3, move |_| async move {
            clock.sleep(ended).await;
            Ok::<_, Oops>(30)
        });
        let waiting = async {
            network.pass(Duration::from_millis(5)).await;
            two.get_or_load(&3, |_| async { Ok::<_, Oops>(31) }).await
        };
        let writing = async {
            network.pass(Duration::from_millis(50)).await;
            writer.invalidate(&3).await.unwrap();
            network.runtime.now()
        };
        let told = async {
            let loaded = waiting.await;
            (loaded, network.runtime.now())
        };
        let (_, (loaded, at), written) = tokio::join!(held, told, writing);
        assert_eq!(*loaded.unwrap(), 31);
        assert!(at.since(written) < Duration::from_millis(10));
    });
}

#[tokio::test]
async fn a_long_load_keeps_its_lease() {
    let world = World::new();
    let one = world.remote_only().build().await.unwrap();
    let two = world.remote_only().build().await.unwrap();
    let (first, load) = paused_load(&one, 1).await;
    let second = spawn_load(&two, 1, |_| async { Ok(99) });
    // Three times the life of a lease.
    for _ in 0..18 {
        world.clock.advance(Duration::from_millis(500)).await;
    }
    load.answer(Ok(10));
    first.await.unwrap().unwrap();
    world.clock.advance(PAUSE).await;
    assert_eq!(*second.await.unwrap().unwrap(), 10);
    assert!(world.store.calls(Op::Renew) > 0);
}

#[tokio::test]
async fn a_holder_that_goes_away_frees_the_key_at_once() {
    let world = World::new();
    let one = world.remote_only().build().await.unwrap();
    let two = world.remote_only().build().await.unwrap();
    let (first, _load) = paused_load(&one, 1).await;
    let (loader, mut load) = paused();
    let second = spawn_load(&two, 1, loader);
    settle().await;
    assert!(!load.has_begun());
    first.abort();
    settle().await;
    world.clock.advance(PAUSE).await;
    assert!(load.has_begun());
    load.answer(Ok(20));
    assert_eq!(*second.await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn a_holder_that_cannot_give_its_lease_back_is_waited_for_as_long_as_it_lasts() {
    let world = World::new();
    let one = world.remote_only().build().await.unwrap();
    let two = world.remote_only().build().await.unwrap();
    let (first, _load) = paused_load(&one, 1).await;
    // What a process that dies looks like to the others: no release, no renewal.
    world.store.hurt(crate::support::Trouble::Refuses);
    first.abort();
    settle().await;
    world.store.heal();
    let second = spawn_load(&two, 1, |_| async { Ok(20) });
    world.clock.advance(Duration::from_secs(2)).await;
    assert!(!second.is_finished());
    world.clock.advance(Duration::from_secs(2)).await;
    assert_eq!(*second.await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn a_change_on_one_node_revokes_the_load_of_another() {
    for changed in ["invalidate", "insert", "expire", "clear"] {
        let world = World::new();
        let one = world.both().build().await.unwrap();
        let two = world.remote_only().build().await.unwrap();
        let (call, load) = paused_load(&one, 1).await;
        match changed {
            "invalidate" => drop(two.invalidate(&1).await.unwrap()),
            "insert" => drop(two.insert(&1, 20).await.unwrap()),
            "expire" => drop(two.expire(&1).await.unwrap()),
            _ => drop(two.clear().await.unwrap()),
        }
        load.answer(Ok(10));
        assert_eq!(*call.await.unwrap().unwrap(), 10, "{changed}");
        // The old value is neither in the remote tier nor in the near cache of its loader.
        for cache in [&one, &two] {
            let now = cache.get(&1).await.unwrap().map(|loaded| *loaded);
            assert_eq!(now, (changed == "insert").then_some(20), "{changed}");
        }
    }
}

#[tokio::test]
async fn a_near_copy_never_outlives_the_remote_value() {
    let world = World::new();
    let one = world.both().ttl("10s").build().await.unwrap();
    let two = world.both().ttl("10s").build().await.unwrap();
    one.insert(&1, 10).await.unwrap();
    world.clock.advance(Duration::from_secs(8)).await;
    assert_eq!(two.get(&1).await.unwrap().unwrap().source(), Source::Remote);
    world.clock.advance(Duration::from_millis(1_900)).await;
    assert_eq!(two.get(&1).await.unwrap().unwrap().source(), Source::Near);
    world.clock.advance(Duration::from_millis(200)).await;
    assert!(two.get(&1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_near_copy_of_another_node_ends_with_the_near_ttl() {
    let world = World::new();
    let near = Near::bytes("1MiB").ttl("5s");
    let one = world.remote_only().build().await.unwrap();
    let two = world.remote_only().near(near).build().await.unwrap();
    one.insert(&1, 10).await.unwrap();
    two.get(&1).await.unwrap();
    one.insert(&1, 20).await.unwrap();
    assert_eq!(*two.get(&1).await.unwrap().unwrap(), 10, "nobody told it");
    world.clock.advance(Duration::from_secs(5)).await;
    let read = two.get(&1).await.unwrap().unwrap();
    assert_eq!((*read, read.source()), (20, Source::Remote));
}

#[tokio::test]
async fn the_value_inserted_last_is_what_all_nodes_read() {
    let world = World::new();
    let one = world.both().build().await.unwrap();
    let two = world.both().build().await.unwrap();
    let gate = world.store.gate(Op::Commit);
    let first = tokio::spawn({
        let one = one.clone();
        async move { one.insert(&1, 10).await }
    });
    gate.reached().await;
    two.insert(&1, 20).await.unwrap();
    gate.open();
    first.await.unwrap().unwrap();
    // The store took 10 first. The first node keeps what it wrote for the near ttl at most; the
    // remote tier and the second node have the last value.
    assert_eq!(*two.get(&1).await.unwrap().unwrap(), 20);
    let fresh = world.remote_only().build().await.unwrap();
    assert_eq!(*fresh.get(&1).await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn caches_of_different_names_do_not_see_each_other() {
    let world = World::new();
    let users = world.remote_only().build().await.unwrap();
    let other = larder::Cache::<u64, u64>::builder("app:users2")
        .ttl("1h")
        .runtime(world.clock.clone())
        .remote(world.remote());
    let other = other.build().await.unwrap();
    users.insert(&1, 10).await.unwrap();
    assert!(other.get(&1).await.unwrap().is_none());
    other.insert(&1, 20).await.unwrap();
    users.clear().await.unwrap();
    assert_eq!(*other.get(&1).await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn a_reader_of_another_type_of_error_is_served_from_the_other_node_too() {
    let world = World::new();
    let one = world.remote_only().build().await.unwrap();
    let two = world.remote_only().build().await.unwrap();
    let (first, load) = paused_load(&one, 1).await;
    load.answer(Err(Oops("down")));
    assert!(first.await.unwrap().is_err());
    // A failed load leaves no lease behind.
    let second = two.get_or_load(&1, |_| async { Ok::<_, std::fmt::Error>(20) });
    assert_eq!(*in_time(second).await.unwrap(), 20);
}
