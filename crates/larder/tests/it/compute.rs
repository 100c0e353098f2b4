//! Values that are made of the ones before them: none is lost, and what makes the one void makes the
//! other void.

use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Cache, Computed, ErrorKind, InsertOptions, Near, Source, TokioRuntime};
use larder_testkit::sim::Cut;

use crate::support::{Oops, Users, found, in_time, on_a_network};

fn more(count: Option<&u64>) -> Computed<u64> {
    Computed::Insert(count.unwrap_or(&0) + 1)
}

async fn near_only() -> Users {
    let builder = Cache::builder("app:users").ttl("1h").stale_for("1h");
    builder.near(Near::bytes("1MiB")).build().await.unwrap()
}

/// A cache with nothing but a near cache, and one over a store.
async fn caches() -> [Users; 2] {
    let store = Embedded::new(std::sync::Arc::new(TokioRuntime::current()));
    let builder = Cache::builder("app:users").ttl("1h").stale_for("1h");
    let builder = builder.near(Near::bytes("1MiB")).remote(store);
    [near_only().await, builder.build().await.unwrap()]
}

async fn value(users: &Users, key: u64) -> Option<u64> {
    found(users.get(&key).await).map(|(value, _)| value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_threads_none_is_lost() {
    for users in caches().await {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let users = users.clone();
            tasks.spawn(async move { users.compute(&1, more).await.unwrap() });
        }
        while let Some(done) = in_time(tasks.join_next()).await {
            done.unwrap();
        }
        assert_eq!(value(&users, 1).await, Some(200));
    }
}

#[tokio::test]
async fn each_outcome_is_what_it_says() {
    for users in caches().await {
        assert!(
            users
                .compute(&1, |_| Computed::Keep)
                .await
                .unwrap()
                .is_none()
        );
        let one = users.compute(&1, more).await.unwrap().unwrap();
        assert_eq!((*one, one.source()), (1, Source::Loaded));
        let kept = users.compute(&1, |_| Computed::Keep).await.unwrap();
        assert_eq!(kept.as_deref(), Some(&1));
        assert_eq!(value(&users, 1).await, Some(1));
        let gone = users.compute(&1, |_| Computed::Remove).await.unwrap();
        assert!(gone.is_none());
        assert_eq!(value(&users, 1).await, None);
        // Removed, and not only stale.
        let fails = |_| async { Err::<u64, _>(Oops("down")) };
        users.get_or_load(&1, fails).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_stale_value_is_no_value() {
    for users in caches().await {
        drop(users.insert(&1, 7).await.unwrap());
        drop(users.expire(&1).await.unwrap());
        assert_eq!(*users.compute(&1, more).await.unwrap().unwrap(), 1);
        assert_eq!(value(&users, 1).await, Some(1));
    }
}

#[tokio::test]
async fn a_life_of_nothing_is_refused_and_nothing_is_done() {
    for users in caches().await {
        drop(users.insert(&1, 7).await.unwrap());
        let none = |_: Option<&u64>| Computed::InsertFor(8, Duration::ZERO);
        let error = users.compute(&1, none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(value(&users, 1).await, Some(7));
    }
}

#[tokio::test]
async fn a_panic_is_the_callers_and_nobody_waits_for_it() {
    for users in caches().await {
        let panics = users.clone();
        let task = tokio::spawn(async move {
            let oops = |_: Option<&u64>| -> Computed<u64> { panic!("oops") };
            let _ = panics.compute(&1, oops).await;
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(*in_time(users.compute(&1, more)).await.unwrap().unwrap(), 1);
    }
}

#[tokio::test]
async fn what_makes_the_one_void_makes_the_other_void() {
    for users in caches().await {
        let red = || InsertOptions::new().tag("red");
        drop(users.insert_with(&1, 7, red()).await.unwrap());
        assert_eq!(*users.compute(&1, more).await.unwrap().unwrap(), 8);
        assert_eq!(value(&users, 1).await, Some(8));
        drop(users.invalidate_tag("red").await.unwrap());
        assert_eq!(value(&users, 1).await, None);
        // What is void is no value to compute from.
        drop(users.insert_with(&1, 7, red()).await.unwrap());
        drop(users.invalidate_tag("red").await.unwrap());
        assert_eq!(*users.compute(&1, more).await.unwrap().unwrap(), 1);
        drop(users.clear().await.unwrap());
        assert_eq!(*users.compute(&1, more).await.unwrap().unwrap(), 1);
    }
}

#[tokio::test]
async fn what_a_loader_computes_with_is_what_its_value_depends_on() {
    for users in caches().await {
        let reads = users.clone();
        let loader = move |_| async move {
            let count = reads
                .compute(&1, more)
                .await
                .map_err(|_| Oops("no count"))?;
            Ok::<_, Oops>(10 * count.as_deref().copied().unwrap_or(0))
        };
        assert_eq!(*users.get_or_load(&2, loader).await.unwrap(), 10);
        assert_eq!(value(&users, 2).await, Some(10));
        assert_eq!(*users.compute(&1, more).await.unwrap().unwrap(), 2);
        assert_eq!(value(&users, 2).await, None);
    }
}

#[tokio::test]
async fn what_a_near_cache_cannot_hold_changes_nothing() {
    let builder = Cache::builder("app:texts").ttl("1h");
    let builder = builder.near(Near::bytes("64KiB"));
    let texts: Cache<u64, String> = builder.build().await.unwrap();
    drop(texts.insert(&1, "short".to_owned()).await.unwrap());
    let long = |_: Option<&String>| Computed::Insert("x".repeat(1 << 20));
    let error = texts.compute(&1, long).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(&**texts.get(&1).await.unwrap().unwrap(), "short");
}

#[test]
fn a_node_that_has_not_heard_of_a_change_computes_from_it_all_the_same() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Pushes);
        drop(one.insert(&1, 20).await.unwrap());
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        assert_eq!(*two.compute(&1, more).await.unwrap().unwrap(), 21);
        assert_eq!(found(two.get(&1).await), Some((21, Source::Near)));
    });
}

#[test]
fn a_change_in_between_is_computed_with_and_not_lost() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let more = move |count: Option<&u64>| {
            sender.send(count.copied()).expect("somebody listens");
            Computed::Insert(count.unwrap_or(&0) + 1)
        };
        let interrupt = async {
            let first = receiver.recv().await.unwrap();
            // The other one's write is under way by now: this one comes before it or after it.
            drop(one.insert(&1, 50).await.unwrap());
            first
        };
        let (last, first) = tokio::join!(two.compute(&1, more), interrupt);
        let (last, mut seen) = (*last.unwrap().unwrap(), vec![first]);
        while let Ok(next) = receiver.try_recv() {
            seen.push(next);
        }
        network.pass(Duration::from_millis(50)).await;
        let found = found(one.get(&1).await).map(|(value, _)| value);
        match seen[..] {
            [Some(10)] => assert_eq!((last, found), (11, Some(50))),
            [Some(10), Some(50)] => assert_eq!((last, found), (51, Some(51))),
            _ => panic!("{seen:?}"),
        }
    });
}
