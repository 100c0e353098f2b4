//! Tags: many values made void at once, whatever tier they are in and whatever is under way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use larder::bytes::ByteCache;
use larder::core::Runtime;
use larder::embedded::Embedded;
use larder::{Cache, Cx, ErrorKind, InsertOptions, LoadError, Near, Refusal, TokioRuntime};
use tokio::sync::oneshot;

use crate::support::{Users, in_time};

/// A store, and the surroundings of those who use it.
fn store() -> (Embedded, Arc<dyn Runtime>) {
    let runtime: Arc<dyn Runtime> = Arc::new(TokioRuntime::current());
    (Embedded::new(runtime.clone()), runtime)
}

async fn node(store: &Embedded) -> Users {
    let builder = Cache::builder("app:users")
        .ttl("1h")
        .stale_for("1h")
        .near(Near::bytes("1MiB"));
    builder.remote(store.clone()).build().await.unwrap()
}

async fn near_only() -> Users {
    let builder = Cache::builder("app:users").ttl("1h").stale_for("1h");
    builder.near(Near::bytes("1MiB")).build().await.unwrap()
}

/// Loads `value` under a tag.
async fn load(users: &Users, key: u64, tag: &'static str, value: u64) -> u64 {
    let loader = move |cx: Cx<u64, _>| async move {
        cx.tag(tag);
        Ok::<_, std::fmt::Error>(value)
    };
    *users.get_or_load(&key, loader).await.unwrap()
}

fn refused(users: &Users, reason: Refusal) -> u64 {
    let counts = users.stats().refused;
    counts
        .iter()
        .find(|(refusal, _)| *refusal == reason)
        .map_or(0, |(_, count)| *count)
}

#[tokio::test]
async fn a_tag_makes_void_what_bears_it_and_nothing_else() {
    for users in [near_only().await, node(&store().0).await] {
        load(&users, 1, "red", 10).await;
        load(&users, 2, "red", 20).await;
        load(&users, 3, "blue", 30).await;
        users.invalidate_tag("red").await.unwrap();
        assert_eq!(load(&users, 1, "red", 11).await, 11);
        assert_eq!(load(&users, 2, "red", 21).await, 21);
        assert_eq!(load(&users, 3, "blue", 31).await, 30);
        // And what was loaded after it stays.
        assert_eq!(load(&users, 1, "red", 12).await, 11);
    }
}

#[tokio::test]
async fn a_load_that_began_before_is_given_to_its_caller_and_not_kept() {
    for users in [near_only().await, node(&store().0).await] {
        let (go_on, wait) = oneshot::channel::<()>();
        let (begun, has_begun) = oneshot::channel::<()>();
        let slow = users.clone();
        let loading = tokio::spawn(async move {
            let loader = move |cx: Cx<u64, _>| async move {
                begun.send(()).unwrap();
                wait.await.unwrap();
                cx.tag("red");
                Ok::<_, std::fmt::Error>(10)
            };
            *slow.get_or_load(&1, loader).await.unwrap()
        });
        has_begun.await.unwrap();
        users.invalidate_tag("red").await.unwrap();
        go_on.send(()).unwrap();
        assert_eq!(loading.await.unwrap(), 10);
        assert_eq!(refused(&users, Refusal::TagRaced), 1);
        assert_eq!(load(&users, 1, "red", 11).await, 11);
    }
}

#[tokio::test]
async fn another_node_is_told() {
    let (store, _) = store();
    let (a, b) = (node(&store).await, node(&store).await);
    load(&a, 1, "red", 10).await;
    assert_eq!(load(&b, 1, "red", 0).await, 10);
    a.invalidate_tag("red").await.unwrap();
    in_time(async {
        while load(&b, 1, "red", 11).await != 11 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn fail_safe_does_not_bring_a_void_value_back() {
    for users in [near_only().await, node(&store().0).await] {
        load(&users, 1, "red", 10).await;
        let _ = users.expire(&1).await.unwrap();
        let failing = |_| async { Err::<u64, _>(std::fmt::Error) };
        assert!(users.get_or_load(&1, failing).await.unwrap().is_stale());
        users.invalidate_tag("red").await.unwrap();
        let failed = users.get_or_load(&1, failing).await;
        assert!(matches!(failed, Err(LoadError::Loader(_))), "{failed:?}");
    }
}

#[tokio::test]
async fn inserted_values_can_bear_tags() {
    for users in [near_only().await, node(&store().0).await] {
        let tagged = InsertOptions::new().tag("red").ttl(Duration::from_secs(60));
        users.insert_with(&1, 10, tagged).await.unwrap();
        assert_eq!(*users.get(&1).await.unwrap().unwrap(), 10);
        users.invalidate_tags(["blue", "red"]).await.unwrap();
        assert!(users.get(&1).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn tags_that_are_none_are_refused_and_cost_no_value() {
    let users = node(&store().0).await;
    assert_eq!(
        users.invalidate_tag("").await.unwrap_err().kind(),
        ErrorKind::Invalid
    );
    let loader = |cx: Cx<u64, _>| async move {
        (0..33).for_each(|n| cx.tag(format!("tag {n}")));
        Ok::<_, std::fmt::Error>(10)
    };
    assert_eq!(*users.get_or_load(&1, loader).await.unwrap(), 10);
    assert_eq!(refused(&users, Refusal::TagsRefused), 1);
    assert!(users.get(&1).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reader_of_bytes_does_not_get_a_void_value_either() {
    let (store, runtime) = store();
    let users = node(&store).await;
    load(&users, 1, "red", 10).await;
    let bytes = ByteCache::new(Arc::new(store.clone()), runtime).database(0);
    let key = Bytes::from_static(b"app:users:1");
    assert!(bytes.get(&key).await.unwrap().is_some());
    users.invalidate_tag("red").await.unwrap();
    assert!(bytes.get(&key).await.unwrap().is_none());
    assert_eq!(bytes.get_many(&[key]).await.unwrap(), [None]);
}
