//! Events: what happened to the values of a cache, told once, whoever did it.

use std::time::Duration;

use bytes::Bytes;
use larder::redis::Redis;
use larder::{
    Cache, Changed, Event, EventCause, Events, InsertOptions, Layout, Mode, Near, Target,
};
use larder_testkit::servers::{RedisOptions, RedisServer};
use larder_testkit::sim::Cut;

use crate::support::{Users, World, in_time, on_a_network, settle};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn key(key: u64) -> Target {
    Target::Key(Bytes::from(key.to_string()))
}

/// The next change; interruptions stand where they must.
async fn changed(events: &mut Events) -> Changed {
    match events.next().await {
        Some(Event::Changed(changed)) => changed,
        other => panic!("a change was expected: {other:?}"),
    }
}

fn kinds(told: &[Changed]) -> Vec<(Target, EventCause)> {
    let kind = |changed: &Changed| (changed.target.clone(), changed.cause);
    told.iter().map(kind).collect()
}

/// One change of each kind, through `cache`.
async fn change_everything(cache: &Users) {
    cache.insert(&1, 10).await.unwrap();
    cache.expire(&1).await.unwrap();
    cache.invalidate(&1).await.unwrap();
    cache.invalidate_tag("tenant:7").await.unwrap();
    cache.invalidate_prefix("1").await.unwrap();
    cache.invalidate_pattern("?").await.unwrap();
    cache.invalidate_dependents(&1).await.unwrap();
    cache.clear().await.unwrap();
}

fn everything() -> Vec<(Target, EventCause)> {
    vec![
        (key(1), EventCause::Inserted),
        (key(1), EventCause::Expired),
        (key(1), EventCause::Invalidated),
        (Target::Tag("tenant:7".into()), EventCause::Tag),
        (Target::Prefix("1".into()), EventCause::Invalidated),
        (Target::Pattern("?".into()), EventCause::Invalidated),
        (Target::Dependents("1".into()), EventCause::Invalidated),
        (Target::All, EventCause::Cleared),
    ]
}

async fn take(events: &mut Events, count: usize) -> Vec<Changed> {
    let mut told = Vec::new();
    for _ in 0..count {
        told.push(changed(events).await);
    }
    told
}

#[test]
fn every_change_is_told_once_on_every_node_with_who_made_it() {
    on_a_network(|mut network| async move {
        let (one, two) = (network.node().await, network.node().await);
        let mut all = [one.events(), two.events()];
        change_everything(&one).await;
        two.insert(&2, 20).await.unwrap();
        let mut first = None;
        for events in &mut all {
            let mut told = take(events, 9).await;
            // What is pushed may be overtaken on its way.
            told.sort_by_key(|changed| changed.position.map(|at| at.seq));
            let mut expected = everything();
            expected.push((key(2), EventCause::Inserted));
            assert_eq!(kinds(&told), expected);
            let origins: Vec<u32> = told.iter().map(|changed| changed.origin).collect();
            let (a, b) = (one.node(), two.node());
            assert!(a != 0 && b != 0 && a != b);
            assert_eq!(origins, [a, a, a, a, a, a, a, a, b]);
            assert_eq!(*first.get_or_insert(told.clone()), told);
        }
        network.pass(ms(600)).await;
        two.insert(&3, 30).await.unwrap();
        for events in &mut all {
            assert_eq!(changed(events).await.target, key(3), "and nothing twice");
        }
    });
}

#[test]
fn the_version_of_an_event_is_that_of_the_value() {
    on_a_network(|mut network| async move {
        let one = network.node().await;
        let mut events = one.events();
        let options = InsertOptions::new().tag("a");
        one.insert_with(&1, 10, options).await.unwrap();
        let version = changed(&mut events).await.version;
        assert_eq!(one.get(&1).await.unwrap().unwrap().version(), version);
    });
}

#[test]
fn caches_without_a_near_cache_and_those_that_follow_nobody_hear_of_events_too() {
    on_a_network(|mut network| async move {
        let one = network.node().await;
        let bare = network.bare(1).build().await.unwrap();
        let alone = network.bare(2).near(Near::bytes("1MiB"));
        let alone = alone.coherence(Mode::None).build().await.unwrap();
        for cache in [&bare, &alone] {
            let mut events = cache.events();
            // It begins to follow here: what was before is not told.
            assert_eq!(events.next().await, Some(Event::Interrupted));
            change_everything(&one).await;
            let mut told = take(&mut events, 8).await;
            told.sort_by_key(|changed| changed.position.map(|at| at.seq));
            assert_eq!(kinds(&told), everything());
            cache.insert(&5, 50).await.unwrap();
            let own = changed(&mut events).await;
            assert_eq!((own.target, own.origin), (key(5), cache.node()));
            cache.invalidate(&5).await.unwrap();
            assert_eq!(changed(&mut events).await.target, key(5));
        }
    });
}

#[test]
fn where_something_may_be_missing_it_is_said() {
    on_a_network(|mut network| async move {
        let (one, two) = (network.node().await, network.node().await);
        let mut events = two.events();
        network.cut(1, Cut::Both);
        for value in 0..10 {
            one.insert(&1, value).await.unwrap();
        }
        network.store.trim_log(0);
        network.cut(1, Cut::Nothing);
        assert_eq!(events.next().await, Some(Event::Interrupted));
        one.insert(&2, 1).await.unwrap();
        assert_eq!(changed(&mut events).await.target, key(2));
        network.store.restart_empty();
        assert_eq!(events.next().await, Some(Event::Interrupted));
    });
}

#[test]
fn what_is_replayed_is_told_and_nothing_else_is_lost() {
    on_a_network(|mut network| async move {
        let (one, two) = (network.node().await, network.node().await);
        let mut events = two.events();
        network.cut(1, Cut::Pushes);
        for value in 0..10 {
            one.insert(&value, value).await.unwrap();
        }
        let told = take(&mut events, 10).await;
        let expected: Vec<Target> = (0..10).map(key).collect();
        let targets: Vec<Target> = told.into_iter().map(|changed| changed.target).collect();
        assert_eq!(targets, expected);
    });
}

#[test]
fn a_slow_subscriber_is_told_how_much_it_has_missed_and_holds_nobody_up() {
    on_a_network(|mut network| async move {
        let one = network.node().await;
        let (mut slow, mut quick) = (one.events(), one.events());
        let mut told = 0;
        for value in 0..3_000 {
            one.insert(&1, value).await.unwrap();
            if value % 100 == 99 {
                told += take(&mut quick, 100).await.len();
            }
        }
        assert_eq!(told, 3_000);
        let Some(Event::Missed(missed)) = slow.next().await else {
            panic!("it has missed some");
        };
        let rest = take(&mut slow, 3_000 - missed as usize).await;
        assert!(rest.len() >= 1_000 && missed >= 1_000, "{missed}");
        let newest = rest.iter().map(|changed| changed.version).max();
        let held = one.get(&1).await.unwrap().unwrap().version();
        assert_eq!(newest, Some(held));
    });
}

#[test]
fn other_caches_of_the_same_store_are_not_told_of() {
    on_a_network(|mut network| async move {
        let one = network.node().await;
        let other = Cache::builder("app:orders")
            .ttl("1h")
            .runtime(std::sync::Arc::new(network.runtime.clone()))
            .remote(network.store.clone());
        let other: Users = other.build().await.unwrap();
        let mut events = one.events();
        change_everything(&other).await;
        one.insert(&9, 9).await.unwrap();
        assert_eq!(changed(&mut events).await.target, key(9));
        let heard = one.stats().bus.heard;
        let heard: u64 = heard.into_iter().map(|(_, count)| count).sum();
        assert_eq!(heard, 1);
    });
}

#[tokio::test]
async fn without_a_remote_tier_events_come_from_the_cache_itself() {
    let world = World::new();
    let cache = world.near_only().build().await.unwrap();
    let mut events = cache.events();
    change_everything(&cache).await;
    let told = take(&mut events, 8).await;
    assert_eq!(kinds(&told), everything());
    assert!(told.iter().all(|changed| changed.position.is_none()));
    assert!(told.iter().all(|changed| changed.origin == cache.node()));
    cache.insert(&2, 20).await.unwrap();
    let version = changed(&mut events).await.version;
    assert_eq!(cache.get(&2).await.unwrap().unwrap().version(), version);
    drop(cache);
    settle().await;
    assert_eq!(in_time(events.next()).await, None, "the cache is gone");
}

/// A store without a log, as the plain layout is.
#[tokio::test]
async fn without_a_log_events_come_from_the_cache_itself() {
    let world = World::new();
    let cache = world.both().build().await.unwrap();
    let mut events = cache.events();
    cache.insert(&1, 10).await.unwrap();
    cache.invalidate(&1).await.unwrap();
    cache.clear().await.unwrap();
    let told = take(&mut events, 3).await;
    let causes: Vec<EventCause> = told.iter().map(|changed| changed.cause).collect();
    assert_eq!(
        causes,
        [
            EventCause::Inserted,
            EventCause::Invalidated,
            EventCause::Cleared
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_real_server_events_are_told_by_both_layouts() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    for layout in [Layout::Enveloped, Layout::Plain] {
        let cache: Cache<u64, String> = Cache::builder("app:users")
            .ttl("1h")
            .layout(layout)
            .codec(larder::codec::Json)
            .remote(Redis::open(&server.url()).unwrap())
            .build()
            .await
            .unwrap();
        // Without a near cache it begins to follow the log here, and says so.
        let mut events = cache.events();
        if layout == Layout::Enveloped {
            assert_eq!(in_time(events.next()).await, Some(Event::Interrupted));
        }
        cache.insert(&1, "v".into()).await.unwrap();
        cache.invalidate(&1).await.unwrap();
        for cause in [EventCause::Inserted, EventCause::Invalidated] {
            let told = in_time(changed(&mut events)).await;
            assert_eq!((told.target, told.cause), (key(1), cause));
            assert_eq!(told.origin, cache.node());
            assert_eq!(told.position.is_some(), layout == Layout::Enveloped);
        }
    }
}
