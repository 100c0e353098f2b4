//! Several caches over one store: what processes that share a remote tier do for each other.

use std::time::Duration;

use larder::{Near, Source};

use crate::support::{Oops, Op, World, in_time, paused, paused_load, settle, spawn_load};

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
