//! Answers that a change overtakes: nothing of them is kept.

use larder::embedded::Embedded;
use larder::{Cx, LoadError, Refusal};
use tokio::sync::oneshot;

use super::{LATER, TTL, fail, peek, refused};
use crate::support::{Oops, Users, World, in_time, settle};

#[derive(Clone, Copy, Debug)]
enum Says {
    Same,
    Equal,
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Key,
    Tag,
    Clear,
    Prefix,
    Pattern,
    Expire,
    Insert,
}

const CHANGES: [Change; 7] = [
    Change::Key,
    Change::Tag,
    Change::Clear,
    Change::Prefix,
    Change::Pattern,
    Change::Expire,
    Change::Insert,
];

async fn make(change: Change, cache: &Users) {
    let _ = match change {
        Change::Key => cache.invalidate(&1).await.unwrap(),
        Change::Tag => cache.invalidate_tag("t").await.unwrap(),
        Change::Clear => cache.clear().await.unwrap(),
        Change::Prefix => cache.invalidate_prefix("1").await.unwrap(),
        Change::Pattern => cache.invalidate_pattern("[1]").await.unwrap(),
        Change::Expire => cache.expire(&1).await.unwrap(),
        Change::Insert => cache.insert(&1, 30).await.unwrap(),
    };
}

/// A cache that loads, and another one of the same store through which changes are made, or the same.
async fn pairs(world: &World) -> Vec<(Users, Users)> {
    let store = Embedded::new(world.clock.clone());
    let settings =
        |builder: larder::Builder<u64, u64>| builder.ttl(TTL).stale_for("1h").negative_ttl("10s");
    let alone = settings(world.near_only()).build().await.unwrap();
    let mut pairs = vec![(alone.clone(), alone)];
    for (near, other) in [(true, false), (true, true), (false, false), (false, true)] {
        let builder = || match near {
            true => settings(world.near_only()).remote(store.clone()),
            false => settings(world.bare()).remote(store.clone()),
        };
        let one = builder().build().await.unwrap();
        let two = builder().build().await.unwrap();
        pairs.push((one.clone(), if other { two } else { one }));
    }
    pairs
}

#[tokio::test]
async fn what_changes_during_a_load_leaves_nothing_of_its_answer() {
    let mut reasons = std::collections::BTreeSet::new();
    for says in [Says::Same, Says::Equal, Says::Absent] {
        for change in CHANGES {
            let world = World::new();
            for (at, (cache, changing)) in pairs(&world).await.into_iter().enumerate() {
                let case = format!("{says:?}, {change:?}, pair {at}");
                let tagged = |cx: Cx<u64, u64>| async move {
                    cx.tag("t");
                    Ok::<_, Oops>(10)
                };
                let _ = changing.clear().await.unwrap();
                in_time(cache.get_or_load(&1, tagged)).await.unwrap();
                // Step by step, so that the nodes hear of each other.
                for _ in 0..5 {
                    world.clock.advance(LATER / 5).await;
                }
                let ((begin, begun), (go_on, end)) = (oneshot::channel(), oneshot::channel());
                let answer = move |cx: Cx<u64, u64>| async move {
                    cx.tag("t");
                    let _ = begin.send(());
                    let _ = end.await;
                    match says {
                        Says::Same => cx.not_modified().await,
                        Says::Equal => Ok::<_, Oops>(10),
                        Says::Absent => cx.absent().await,
                    }
                };
                let loading = cache.clone();
                let call = tokio::spawn(async move { loading.get_or_load(&1, answer).await });
                in_time(begun).await.unwrap();
                make(change, &changing).await;
                settle().await;
                go_on.send(()).unwrap();
                // Who waited for it is told all the same.
                match (says, in_time(call).await.unwrap()) {
                    (Says::Absent, answered) => {
                        assert!(matches!(answered, Err(LoadError::Absent)), "{case}");
                    }
                    (_, answered) => assert_eq!(*answered.unwrap(), 10, "{case}"),
                }
                settle().await;
                let expected = (change == Change::Insert).then_some(30);
                for cache in [&cache, &changing] {
                    assert_eq!(peek(cache).await, expected, "{case}");
                }
                let left = match (fail(&cache).await, change) {
                    (Ok(left), Change::Insert) => left == (30, false),
                    // What was expired is there for when a load fails.
                    (Ok(left), Change::Expire) => left == (10, true),
                    (Err(LoadError::Loader(_)), _) => change != Change::Insert,
                    _ => false,
                };
                assert!(left, "{case}");
                let refused = refused(&cache);
                assert_eq!(
                    refused.iter().map(|(_, count)| count).sum::<u64>(),
                    1,
                    "{case}"
                );
                assert_eq!(cache.stats().loads.confirmed, 0, "{case}");
                reasons.extend(refused.into_iter().map(|(reason, _)| reason.as_str()));
            }
        }
    }
    let expected = [Refusal::LeaseLost, Refusal::Raced, Refusal::TagRaced];
    for reason in expected {
        assert!(reasons.contains(reason.as_str()), "{reasons:?}");
    }
}
