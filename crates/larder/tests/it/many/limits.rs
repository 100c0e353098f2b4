//! How long callers of many keys wait, and how many calls of loaders run at once.

use std::time::Duration;

use larder::core::mutant::Mutant;
use larder::{LoadLimit, ManyCx, ManyOptions, Refresh, StaleReason, Timeouts};

use super::{Given, clear, kinds, many, stored};
use crate::support::many::{Asked, all, bare, cued, spawn_many, tenfold};
use crate::support::{Oops, Users, World, in_time, needs_alone, paused_load, settle};

const TTL: Duration = Duration::from_secs(100);

/// Gives keys stale values: 1 under each.
async fn age(world: &World, cache: &Users, keys: &[u64]) {
    let values = keys.iter().map(|key| (*key, 1));
    let _ = cache.insert_many(values).await.unwrap();
    world.clock.advance(TTL).await;
}

fn reasons(given: &Given) -> Vec<Option<StaleReason>> {
    let reason = |one: &larder::Loaded<u64>| one.stale_reason();
    given.iter().flatten().flatten().map(reason).collect()
}

#[tokio::test]
async fn who_has_a_stale_value_gets_it_in_time_and_the_others_wait() {
    let world = World::new();
    let timeouts = || Timeouts::new().soft("50ms").hard("2s");
    let set = |it: larder::Builder<u64, u64>| it.ttl(TTL).stale_for("1h").timeouts(timeouts());
    for cache in kinds(&world, set).await {
        age(&world, &cache, &[1]).await;
        let (loader, mut calls) = cued();
        let call = spawn_many(&cache, &[1, 2], loader.clone());
        let load = calls.next().await;
        world.clock.advance(Duration::from_millis(60)).await;
        assert!(!call.is_finished(), "there is nothing for 2");
        load.go();
        let given = in_time(call).await.unwrap();
        assert_eq!(all(&given), [1, 20]);
        assert_eq!(reasons(&given), [Some(StaleReason::TimedOut), None]);
        settle().await;
        assert_eq!(stored(&cache, &[1, 2]).await, [Some(10), Some(20)]);
        // The hard one is an error where there is nothing, and the load goes on behind.
        age(&world, &cache, &[3]).await;
        let call = spawn_many(&cache, &[3, 4], loader);
        let load = calls.next().await;
        world.clock.advance(Duration::from_millis(60)).await;
        world.clock.advance(Duration::from_secs(2)).await;
        let given = bare(&in_time(call).await.unwrap());
        assert_eq!(given[0], Ok(Some(1)));
        assert!(
            given[1].as_ref().unwrap_err().contains("hard timeout"),
            "{given:?}"
        );
        load.go();
        settle().await;
        assert_eq!(stored(&cache, &[3, 4]).await, [Some(30), Some(40)]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn one_call_may_have_limits_of_its_own() {
    let world = World::new();
    for cache in super::each(&world).await {
        let (loader, mut calls) = cued();
        let options = ManyOptions::new().hard_timeout(Duration::from_secs(1));
        let users = cache.clone();
        let call = tokio::spawn(async move {
            in_time(users.get_or_load_many_with(&[1, 2], options, loader)).await
        });
        let load = calls.next().await;
        world.clock.advance(Duration::from_secs(1)).await;
        let given = bare(&in_time(call).await.unwrap());
        assert!(given.iter().all(Result::is_err), "{given:?}");
        load.go();
        settle().await;
        assert_eq!(stored(&cache, &[1, 2]).await, [Some(10), Some(20)]);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn a_call_of_the_loader_is_one_load_to_the_limit() {
    let world = World::new();
    for at in 0..3 {
        let limit = LoadLimit::new(1).queue(1).queue_for("2s");
        let set =
            |it: larder::Builder<u64, u64>| it.ttl(TTL).stale_for("1h").load_limit(limit.clone());
        let cache = &kinds(&world, set).await[at];
        let (loader, mut calls) = cued();
        let first = spawn_many(cache, &[1, 2, 3, 4, 5], loader.clone());
        let load = calls.next().await;
        assert_eq!((limit.stats().running, limit.stats().waiting), (1, 0));
        let second = spawn_many(cache, &[6, 7, 8], loader.clone());
        assert!(calls.now().await.is_none());
        assert_eq!((limit.stats().running, limit.stats().waiting), (1, 1));
        load.go();
        assert_eq!(all(&in_time(first).await.unwrap()), [10, 20, 30, 40, 50]);
        let load = calls.next().await;
        age(&world, cache, &[9]).await;
        // Leases are renewed in the queue, and while the loader runs.
        let waiting = spawn_many(cache, &[11, 12], loader.clone());
        settle().await;
        let given = many(cache, &[9, 10], loader.clone()).await;
        assert_eq!(bare(&given)[0], Ok(Some(1)));
        assert_eq!(reasons(&given), [Some(StaleReason::Overloaded)]);
        assert!(bare(&given)[1].as_ref().unwrap_err().contains("refused"));
        assert_eq!(limit.stats().refused, 1);
        load.go();
        assert_eq!(all(&in_time(second).await.unwrap()), [60, 70, 80]);
        calls.next().await.go();
        assert_eq!(all(&in_time(waiting).await.unwrap()), [110, 120]);
        assert_eq!((limit.stats().running, limit.stats().waiting), (0, 0));
        clear(cache).await;
    }
}

#[tokio::test]
async fn a_loader_that_asks_for_many_goes_with_its_own_load() {
    let world = World::new();
    let limit = LoadLimit::new(1).queue(0);
    for cache in kinds(&world, |it| it.load_limit(limit.clone())).await {
        let users = cache.clone();
        let page =
            in_time(cache.get_or_load(&100, move |_| async move {
                let users = users.get_or_load_many(&[1, 2], |cx: ManyCx<u64, _>| async move {
                    tenfold(cx.keys())
                });
                Ok::<_, Oops>(all(&Box::pin(users).await).iter().sum())
            }));
        assert_eq!(*page.await.unwrap(), 30);
        clear(&cache).await;
    }
}

#[tokio::test]
async fn refreshes_of_many_do_not_queue() {
    let world = World::new();
    let limit = LoadLimit::new(1);
    let set = |it: larder::Builder<u64, u64>| {
        let it = it.ttl(TTL).stale_for("1h").load_limit(limit.clone());
        it.refresh(Refresh::stale())
    };
    for cache in kinds(&world, set).await {
        age(&world, &cache, &[1, 2]).await;
        let (running, load) = paused_load(&cache, 9).await;
        let asked = Asked::default();
        let given = many(&cache, &[1, 2], asked.loader()).await;
        assert_eq!(all(&given), [1, 1]);
        settle().await;
        assert_eq!((limit.stats().waiting, asked.take().len()), (0, 0));
        assert_eq!(cache.stats().refreshes.given_up, 2);
        load.answer(Ok(90));
        in_time(running).await.unwrap().unwrap();
        world.clock.advance(Duration::from_millis(1_010)).await;
        many(&cache, &[1, 2], asked.loader()).await;
        settle().await;
        assert_eq!(asked.take(), [[1, 2]]);
        assert_eq!(stored(&cache, &[1, 2]).await, [Some(10), Some(20)]);
        clear(&cache).await;
    }
}

/// The server does one thing after the other, and each takes it 10 ms.
async fn many_keys_over_a_slow_link() {
    const EACH: Duration = Duration::from_millis(10);
    let keys: Vec<u64> = (0..150).collect();
    let world = World::new();
    let builder = world.both().refresh(Refresh::after(TTL).limit(keys.len()));
    let cache = builder.build().await.unwrap();
    world.store.slow_down(EACH).await;
    let asked = Asked::default();
    let call = spawn_many(&cache, &keys, asked.loader());
    // A look, and a lease and a fill for each.
    for _ in 0..2 * keys.len() + 10 {
        world.clock.advance(EACH).await;
    }
    assert_eq!(all(&in_time(call).await.unwrap()).len(), keys.len());
    assert_eq!(
        stored(&cache, &keys).await.iter().flatten().count(),
        keys.len()
    );
    let in_vain = |cache: &Users| cache.stats().refused.iter().map(|(_, it)| it).sum::<u64>();
    assert_eq!(in_vain(&cache), 0);
    // So do refreshes.
    world.clock.advance(TTL).await;
    many(&cache, &keys, asked.loader()).await;
    for _ in 0..2 * keys.len() + 10 {
        world.clock.advance(EACH).await;
    }
    assert_eq!(cache.stats().refreshes.loaded, 150);
    assert_eq!(
        asked.take().iter().map(Vec::len).collect::<Vec<_>>(),
        [150, 150]
    );
    assert_eq!(in_vain(&cache), 0);
    let longest = world.store.longest();
    assert!(longest < Duration::from_secs(1), "{longest:?} is slow");
}

#[test]
fn each_of_many_keys_is_answered_in_time_over_a_slow_link() {
    needs_alone(Mutant::AllAtOnce, many_keys_over_a_slow_link);
}
