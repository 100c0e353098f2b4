//! Refreshes that a change overtakes: neither the old value stays nor does what they bring.

use larder::embedded::Embedded;
use larder::{Cx, InsertOptions, Refresh, Refusal};
use tokio::sync::oneshot;

use super::{POINT, TTL, peek, read, refreshes, refused};
use crate::support::{Oops, Users, World, in_time, settle};

const OLD: u64 = 1;
const LATE: u64 = 2;
const INSERTED: u64 = 3;
const INNER: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Key,
    Tag,
    Clear,
    Prefix,
    Pattern,
    Expire,
    Insert,
    TaggedInsert,
    Dependency,
}

const CHANGES: [Change; 9] = [
    Change::Key,
    Change::Tag,
    Change::Clear,
    Change::Prefix,
    Change::Pattern,
    Change::Expire,
    Change::Insert,
    Change::TaggedInsert,
    Change::Dependency,
];

async fn make(change: Change, cache: &Users) {
    match change {
        Change::Key => drop(cache.invalidate(&1).await.unwrap()),
        Change::Tag => drop(cache.invalidate_tag("t").await.unwrap()),
        Change::Clear => drop(cache.clear().await.unwrap()),
        Change::Prefix => drop(cache.invalidate_prefix("1").await.unwrap()),
        Change::Pattern => drop(cache.invalidate_pattern("[1]").await.unwrap()),
        Change::Expire => drop(cache.expire(&1).await.unwrap()),
        Change::Insert => drop(cache.insert(&1, INSERTED).await.unwrap()),
        Change::TaggedInsert => {
            let tagged = InsertOptions::new().tag("t");
            let _ = cache.insert_with(&1, INSERTED, tagged).await.unwrap();
        }
        Change::Dependency => drop(cache.invalidate(&INNER).await.unwrap()),
    }
}

/// Loads or refreshes the key of these tests: by a tag, and from another key.
async fn load(
    cache: &Users,
    value: u64,
    wait: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
) -> u64 {
    let reading = cache.clone();
    let loader = move |cx: Cx<u64, _>| async move {
        cx.tag("t");
        // Not to be refreshed itself.
        let inner = |cx: Cx<u64, _>| async move {
            cx.ttl(TTL * 100);
            Ok::<_, Oops>(0)
        };
        let _ = reading.get_or_load(&INNER, inner).await;
        if let Some((begin, end)) = wait {
            let _ = begin.send(());
            let _ = end.await;
        }
        Ok::<_, Oops>(value)
    };
    *in_time(cache.get_or_load(&1, loader)).await.unwrap()
}

/// A cache that refreshes, and another one of the same store through which changes are made, or the
/// same.
async fn pairs(world: &World) -> Vec<(Users, Users)> {
    let refresh = || Refresh::after(0.8).and_stale();
    let store = Embedded::new(world.clock.clone());
    let alone = world.near_only().ttl(TTL).stale_for("1h");
    let alone = alone.refresh(refresh()).build().await.unwrap();
    let mut pairs = vec![(alone.clone(), alone)];
    for (near, other) in [(true, false), (true, true), (false, false), (false, true)] {
        let builder = || {
            let builder = if near {
                world.near_only()
            } else {
                world.bare()
            };
            builder.ttl(TTL).stale_for("1h").refresh(refresh())
        };
        let one = builder().remote(store.clone()).build().await.unwrap();
        let two = builder().remote(store.clone()).build().await.unwrap();
        pairs.push((one.clone(), if other { two } else { one }));
    }
    pairs
}

#[tokio::test]
async fn what_changes_during_a_refresh_leaves_neither_the_old_value_nor_the_late_one() {
    let mut reasons = std::collections::BTreeSet::new();
    for wait in [POINT, TTL] {
        for change in CHANGES {
            let world = World::new();
            for (at, (cache, changing)) in pairs(&world).await.into_iter().enumerate() {
                let case = format!("{change:?} after {wait:?}, pair {at}");
                let _ = changing.clear().await.unwrap();
                assert_eq!(load(&cache, OLD, None).await, OLD);
                // Step by step, so that the nodes hear of each other.
                for _ in 0..50 {
                    world.clock.advance(wait / 50).await;
                }
                let (begin, begun) = oneshot::channel();
                let (go_on, end) = oneshot::channel();
                assert_eq!(load(&cache, LATE, Some((begin, end))).await, OLD, "{case}");
                in_time(begun).await.unwrap();
                make(change, &changing).await;
                settle().await;
                let expected = match change {
                    Change::Insert | Change::TaggedInsert => Some(INSERTED),
                    _ => None,
                };
                assert_eq!(peek(&cache).await, expected, "{case}, at once");
                go_on.send(()).unwrap();
                settle().await;
                for cache in [&cache, &changing] {
                    assert_eq!(peek(cache).await, expected, "{case}");
                }
                let counts = refreshes(&cache);
                assert_eq!((counts.refused, counts.loaded), (1, 0), "{case}");
                reasons.extend(refused(&cache).into_iter().map(|(why, _)| why.as_str()));
                // Nor as something stale.
                if expected.is_none() {
                    let fail = cache.get_or_load(&1, |_| async { Err(Oops("down")) });
                    let left = in_time(fail).await.ok().map(|got| (*got, got.is_stale()));
                    let kept = (change == Change::Expire).then_some((OLD, true));
                    assert_eq!(left, kept, "{case}");
                }
            }
        }
    }
    for reason in [
        Refusal::Raced,
        Refusal::LeaseLost,
        Refusal::TagRaced,
        Refusal::DependencyRaced,
    ] {
        assert!(reasons.contains(reason.as_str()), "{reason:?}: {reasons:?}");
    }
}

#[tokio::test]
async fn who_reads_after_a_change_gets_nothing_that_the_refresh_before_it_offers() {
    for wait in [POINT, TTL] {
        for change in CHANGES {
            let world = World::new();
            for (at, (cache, changing)) in pairs(&world).await.into_iter().enumerate() {
                // Without a log, a near copy of another node lives until its end.
                if at == 2 && !matches!(change, Change::Key) || at == 4 {
                    continue;
                }
                let case = format!("{change:?} after {wait:?}, pair {at}");
                let _ = changing.clear().await.unwrap();
                load(&cache, OLD, None).await;
                for _ in 0..50 {
                    world.clock.advance(wait / 50).await;
                }
                let (begin, begun) = oneshot::channel();
                let (go_on, end) = oneshot::channel();
                load(&cache, LATE, Some((begin, end))).await;
                in_time(begun).await.unwrap();
                make(change, &changing).await;
                settle().await;
                let reader = cache.clone();
                let reading = tokio::spawn(async move { *read(&reader, 50).await });
                for _ in 0..8 {
                    world
                        .clock
                        .advance(std::time::Duration::from_millis(500))
                        .await;
                }
                go_on.send(()).unwrap();
                settle().await;
                // What does not revoke the lease of the refresh lets the reader wait for its end.
                world.clock.advance(std::time::Duration::from_secs(1)).await;
                let got = in_time(reading).await.unwrap();
                let expected = match change {
                    Change::Insert | Change::TaggedInsert => INSERTED,
                    _ => 50,
                };
                assert_eq!(got, expected, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_refresh_inside_a_load_is_none_of_what_that_depends_on() {
    let world = World::new();
    for (cache, _) in pairs(&world).await {
        let _ = cache.clear().await.unwrap();
        cache.insert(&INNER, 7).await.unwrap();
        load(&cache, OLD, None).await;
        world.clock.advance(POINT).await;
        // The loader of 5 reads 1, whose refresh reads 1,001 and waits.
        let (begin, begun) = oneshot::channel::<()>();
        let (go_on, end) = oneshot::channel::<()>();
        let (outer, inner) = (cache.clone(), cache.clone());
        let page = cache.get_or_load(&5, move |_| async move {
            let refresh = move |_| async move {
                let _ = inner
                    .get_or_load(&1_001, |_| async { Ok::<_, Oops>(1) })
                    .await;
                let _ = begin.send(());
                let _ = end.await;
                Ok::<_, Oops>(LATE)
            };
            outer
                .get_or_load(&1, refresh)
                .await
                .map(|user| *user)
                .map_err(|_| Oops("inner"))
        });
        if *in_time(page).await.unwrap() != OLD {
            panic!("it did not wait");
        }
        if begun.await.is_err() {
            // A load inside of another one refreshes only what is near: it ends with that.
            assert_eq!(refreshes(&cache).begun, 0);
            continue;
        }
        let _ = cache.invalidate(&1_001).await.unwrap();
        assert_eq!(cache.get(&5).await.unwrap().map(|page| *page), Some(OLD));
        go_on.send(()).unwrap();
        settle().await;
        assert_eq!(
            peek(&cache).await,
            Some(OLD),
            "what it had read was changed"
        );
        assert_eq!(refreshes(&cache).refused, 1);
        assert_eq!(refused(&cache), [(Refusal::DependencyRaced, 1)]);
    }
}

#[tokio::test]
async fn the_tags_of_a_refreshed_value_take_the_place_of_the_old_ones() {
    let world = World::new();
    for (cache, _) in pairs(&world).await {
        let _ = cache.clear().await.unwrap();
        let tagged = |tag: &'static str| {
            move |cx: Cx<u64, _>| async move {
                cx.tag(tag);
                Ok::<_, Oops>(7)
            }
        };
        cache.get_or_load(&1, tagged("a")).await.unwrap();
        world.clock.advance(POINT).await;
        cache.get_or_load(&1, tagged("b")).await.unwrap();
        settle().await;
        assert_eq!(refreshes(&cache).loaded, 1);
        let _ = cache.invalidate_tag("a").await.unwrap();
        assert_eq!(peek(&cache).await, Some(7));
        let _ = cache.invalidate_tag("b").await.unwrap();
        assert_eq!(peek(&cache).await, None);
    }
}
