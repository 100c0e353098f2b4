//! A value that was read before a change is never returned after it: K01 to K04 on one node, with
//! the load or the reply stopped at the point where it hurts.

use larder::{Cache, Refusal};

use crate::support::{Op, Users, World, paused_load, settle};

fn refused<K, V>(cache: &Cache<K, V>, reason: Refusal) -> u64
where
    K: larder::Key + Send + 'static,
    V: Send + Sync + 'static,
{
    let refused = cache.stats().refused;
    refused.into_iter().find(|(of, _)| *of == reason).unwrap().1
}

/// The layouts of tiers in which a race can be lost, with the refusal that stops the old value.
async fn nodes(world: &World) -> [(&'static str, Users, Refusal); 3] {
    [
        ("near", world.near_only().build().await, Refusal::Raced),
        (
            "remote",
            world.remote_only().build().await,
            Refusal::LeaseLost,
        ),
        ("both", world.both().build().await, Refusal::LeaseLost),
    ]
    .map(|(name, cache, refusal)| (name, cache.unwrap(), refusal))
}

#[tokio::test]
async fn a_load_that_an_invalidation_overtakes_is_returned_and_not_stored() {
    for (tiers, cache, refusal) in nodes(&World::new()).await {
        let (call, load) = paused_load(&cache, 1).await;
        let _ = cache.invalidate(&1).await.unwrap();
        load.answer(Ok(10));
        assert_eq!(*call.await.unwrap().unwrap(), 10, "{tiers}");
        assert!(cache.get(&1).await.unwrap().is_none(), "{tiers}");
        assert_eq!(refused(&cache, refusal), 1, "{tiers}");
    }
}

#[tokio::test]
async fn a_load_that_an_insert_overtakes_does_not_replace_it() {
    for (tiers, cache, refusal) in nodes(&World::new()).await {
        let (call, load) = paused_load(&cache, 1).await;
        cache.insert(&1, 20).await.unwrap();
        load.answer(Ok(10));
        assert_eq!(*call.await.unwrap().unwrap(), 10, "{tiers}");
        assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 20, "{tiers}");
        assert_eq!(refused(&cache, refusal), 1, "{tiers}");
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_load_that_an_expiry_overtakes_is_not_stored() {
    for (tiers, cache, refusal) in nodes(&World::new()).await {
        let (call, load) = paused_load(&cache, 1).await;
        let _ = cache.expire(&1).await.unwrap();
        load.answer(Ok(10));
        assert_eq!(*call.await.unwrap().unwrap(), 10, "{tiers}");
        assert!(cache.get(&1).await.unwrap().is_none(), "{tiers}");
        assert_eq!(refused(&cache, refusal), 1, "{tiers}");
    }
}

#[tokio::test]
async fn a_load_that_a_clear_overtakes_is_not_stored() {
    for (tiers, cache, refusal) in nodes(&World::new()).await {
        let (call, load) = paused_load(&cache, 1).await;
        cache.clear().await.unwrap();
        load.answer(Ok(10));
        assert_eq!(*call.await.unwrap().unwrap(), 10, "{tiers}");
        assert!(cache.get(&1).await.unwrap().is_none(), "{tiers}");
        assert_eq!(refused(&cache, refusal), 1, "{tiers}");
    }
}

#[tokio::test]
async fn a_caller_after_a_change_does_not_join_the_load_from_before_it() {
    for (tiers, cache, _) in nodes(&World::new()).await {
        let (old_call, old) = paused_load(&cache, 1).await;
        let _ = cache.invalidate(&1).await.unwrap();
        let (new_call, new) = paused_load(&cache, 1).await;
        old.answer(Ok(10));
        assert_eq!(*old_call.await.unwrap().unwrap(), 10, "{tiers}");
        new.answer(Ok(20));
        assert_eq!(*new_call.await.unwrap().unwrap(), 20, "{tiers}");
        assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 20, "{tiers}");
        let _ = cache.invalidate(&1).await.unwrap();
    }
}

#[tokio::test]
async fn a_reply_from_before_a_change_is_not_promoted() {
    for changed in ["invalidate", "insert", "expire", "clear"] {
        let world = World::new();
        let cache = world.both().build().await.unwrap();
        let other = world.remote_only().build().await.unwrap();
        other.insert(&1, 10).await.unwrap();
        let gate = world.store.gate(Op::Get);
        let reading = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get(&1).await }
        });
        gate.reached().await;
        match changed {
            "invalidate" => drop(cache.invalidate(&1).await.unwrap()),
            "insert" => drop(cache.insert(&1, 20).await.unwrap()),
            "expire" => drop(cache.expire(&1).await.unwrap()),
            _ => drop(cache.clear().await.unwrap()),
        }
        gate.open();
        // The reader itself asked before the change: it may have the old value.
        assert_eq!(*reading.await.unwrap().unwrap().unwrap(), 10, "{changed}");
        let now = cache.get(&1).await.unwrap().map(|loaded| *loaded);
        assert_eq!(now, (changed == "insert").then_some(20), "{changed}");
        assert_eq!(refused(&cache, Refusal::Raced), 1, "{changed}");
    }
}

#[tokio::test]
async fn many_replies_from_before_a_change_are_not_promoted() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let other = world.remote_only().build().await.unwrap();
    other.insert_many([(1, 10), (2, 20)]).await.unwrap();
    let gate = world.store.gate(Op::GetMany);
    let reading = tokio::spawn({
        let cache = cache.clone();
        async move { cache.get_many(&[1, 2]).await }
    });
    gate.reached().await;
    let _ = cache.invalidate(&1).await.unwrap();
    gate.open();
    reading.await.unwrap().unwrap();
    assert!(cache.get(&1).await.unwrap().is_none());
    assert_eq!(*cache.get(&2).await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn a_change_that_is_still_under_way_keeps_older_replies_out_already() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let gate = world.store.gate(Op::Commit);
    let inserting = tokio::spawn({
        let cache = cache.clone();
        async move { cache.insert(&1, 10).await }
    });
    gate.reached().await;
    let again = world.store.gate(Op::Commit);
    let invalidating = tokio::spawn({
        let cache = cache.clone();
        async move { cache.invalidate(&1).await.map(drop) }
    });
    again.reached().await;
    // The replies arrive in the order that is the opposite of what the store did.
    again.open();
    invalidating.await.unwrap().unwrap();
    gate.open();
    inserting.await.unwrap().unwrap();
    assert!(cache.get(&1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_fill_whose_reply_is_late_does_not_undo_an_invalidation() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let (call, load) = paused_load(&cache, 1).await;
    let gate = world.store.gate(Op::Fill);
    load.answer(Ok(10));
    gate.reached().await;
    let _ = cache.invalidate(&1).await.unwrap();
    gate.open();
    assert_eq!(*call.await.unwrap().unwrap(), 10);
    settle().await;
    assert!(cache.get(&1).await.unwrap().is_none());
    assert_eq!(refused(&cache, Refusal::Raced), 1);
}

#[tokio::test]
async fn a_reply_from_a_place_that_lags_behind_a_change_is_not_promoted() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    let old = world.store.peek(1).await;
    let _ = cache.invalidate(&1).await.unwrap();
    world.store.lag(old);
    cache.get(&1).await.unwrap();
    assert_eq!(refused(&cache, Refusal::Superseded), 1);
    assert!(cache.get(&1).await.unwrap().is_none());
}
