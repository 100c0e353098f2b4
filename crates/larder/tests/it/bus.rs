//! Near caches of several connections to one real server: what one changes the others hear of, and
//! what they do while they cannot hear.
//!
//! Every cache has a ttl of an hour: nothing below ends by itself.

use std::sync::Arc;
use std::time::Duration;

use larder::core::store::{Batch, Committed, Store, Write};
use larder::redis::Redis;
use larder::{Builder, Cache, Near, Source, TokioRuntime, WhenFenced};
use larder_testkit::servers::{RedisOptions, RedisServer, until};

use crate::support::{Oops, Users};

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(30);
/// A frozen server is given up after this, so that fenced reads come to an end.
const BRIEF: Duration = Duration::from_millis(200);

fn server() -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new())
}

fn on(server: &RedisServer) -> Builder<u64, u64> {
    let redis = Redis::open(&server.url()).unwrap();
    Cache::builder("app:users")
        .ttl("1h")
        .stale_for("1h")
        .near(Near::bytes("1MiB"))
        .remote(redis.response_timeout(BRIEF))
}

async fn node(server: &RedisServer) -> Users {
    on(server).build().await.unwrap()
}

/// Looks again and again until `condition` holds, without holding up the runtime.
async fn eventually<F>(what: &'static str, condition: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = bool>,
{
    let handle = tokio::runtime::Handle::current();
    let looking =
        tokio::task::spawn_blocking(move || until(SOON, what, || handle.block_on(condition())));
    looking.await.unwrap().unwrap();
}

/// Where a read of key 1 finds its value; with no value anywhere the loader gives `value`.
async fn read(cache: &Users, value: u64) -> (u64, Source) {
    let loader = move |_| async move { Ok::<_, Oops>(value) };
    let loaded = cache.get_or_load(&1, loader).await.unwrap();
    (*loaded, loaded.source())
}

/// Waits until the cache answers from its near copy, which must be of this value.
async fn holds(cache: &Users, value: u64) {
    let cache = cache.clone();
    eventually("a near hit", move || {
        let cache = cache.clone();
        async move { matches!(read(&cache, value).await, (found, Source::Near) if found == value) }
    })
    .await;
}

/// Waits until the cache no longer has this value, wherever it looks.
async fn loses(cache: &Users, value: u64) {
    let cache = cache.clone();
    eventually("the end of the near copy", move || {
        let cache = cache.clone();
        async move {
            let found = cache.get(&1).await;
            found.is_ok_and(|found| found.is_none_or(|found| *found != value))
        }
    })
    .await;
}

/// Two caches on connections of their own, with a near copy of 10 each.
async fn two(server: &RedisServer) -> (Users, Users) {
    let (one, two) = (node(server).await, node(server).await);
    one.insert(&1, 10).await.unwrap();
    holds(&one, 10).await;
    holds(&two, 10).await;
    (one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_is_heard_by_the_others() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    assert_eq!(one.invalidate(&1).await.unwrap().existed(), 1);
    loses(&two, 10).await;
    assert_eq!(read(&two, 20).await.0, 20);
    assert!(two.stats().bus.received > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_is_heard_by_the_others() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    one.insert(&1, 11).await.unwrap();
    loses(&two, 10).await;
    assert_eq!(*two.get(&1).await.unwrap().unwrap(), 11);
    assert_eq!(*one.get(&1).await.unwrap().unwrap(), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expiry_is_heard_by_the_others_and_leaves_what_fail_safe_needs() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    assert_eq!(one.expire(&1).await.unwrap().existed(), 1);
    loses(&two, 10).await;
    let failed = two.get_or_load(&1, |_| async { Err(Oops("down")) });
    let stale = failed.await.unwrap();
    assert_eq!((*stale, stale.is_stale()), (10, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clear_is_heard_by_the_others() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    one.clear().await.unwrap();
    loses(&two, 10).await;
    assert!(two.get(&1).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_are_all_heard() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    for value in 11..200 {
        one.insert(&1, value).await.unwrap();
    }
    holds(&two, 199).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_a_bare_store_is_heard() {
    let Some(server) = server() else { return };
    let (_, two) = two(&server).await;
    let redis = Redis::open(&server.url()).unwrap();
    let store = redis.store(Arc::new(TokioRuntime::current()));
    let remove = Batch::one(
        bytes::Bytes::from_static(b"app:users:1"),
        Write::Remove { tombstone_ms: 0 },
    );
    assert!(matches!(
        store.commit(remove).await.unwrap(),
        Committed::Done(_)
    ));
    loses(&two, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_of_the_server_is_noticed() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    assert_eq!(server.cli(&["FLUSHALL"]), "OK");
    loses(&one, 10).await;
    loses(&two, 10).await;
    one.insert(&1, 20).await.unwrap();
    holds(&two, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_empty_takes_all_near_copies_with_it() {
    let Some(mut server) = server() else { return };
    let (one, two) = two(&server).await;
    server.kill();
    server.restart();
    loses(&one, 10).await;
    loses(&two, 10).await;
    let writer = one.clone();
    eventually("an insert", move || {
        let writer = writer.clone();
        async move { writer.insert(&1, 20).await.is_ok() }
    })
    .await;
    holds(&one, 20).await;
    holds(&two, 20).await;
}

/// Waits until a read of key 1 no longer comes from the near copy of 10. What was loaded meanwhile
/// is then kept for a moment, and is told apart by its value.
async fn is_fenced(cache: &Users) {
    let cache = cache.clone();
    eventually("the fence", move || {
        let cache = cache.clone();
        async move { read(&cache, 99).await.0 == 99 }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_copies_are_fenced_while_the_server_is_silent_and_used_afterwards() {
    let Some(server) = server() else { return };
    let cache = node(&server).await;
    cache.insert(&2, 10).await.unwrap();
    let reader = cache.clone();
    let from = move |source| {
        let cache = reader.clone();
        move || {
            let cache = cache.clone();
            async move {
                let loader = |_| async { Ok::<_, Oops>(99) };
                let found = cache.get_or_load(&2, loader).await.unwrap();
                found.source() == source
            }
        }
    };
    eventually("a near hit", from(Source::Near)).await;
    server.stop_signal();
    eventually("the fence", from(Source::Loaded)).await;
    server.cont_signal();
    eventually("a near hit again", from(Source::Near)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_nothing_replaced_is_used_again_after_the_fence() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    server.stop_signal();
    // Only `two` reads while the server is silent: the copy of `one` stays what it was.
    is_fenced(&two).await;
    let fenced = one.clone();
    eventually("an error instead of a near hit", move || {
        let fenced = fenced.clone();
        async move { fenced.get(&1).await.is_err() }
    })
    .await;
    server.cont_signal();
    let again = one.clone();
    eventually("the near copy", move || {
        let again = again.clone();
        async move {
            let found = again.get(&1).await.ok().flatten();
            found.is_some_and(|found| (*found, found.source()) == (10, Source::Near))
        }
    })
    .await;
    assert_eq!(one.stats().loads.succeeded, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_during_the_silence_is_seen_when_it_is_over() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    server.stop_signal();
    // It is open whether this took place: it lies in the buffer of the frozen server.
    one.invalidate(&1).await.unwrap_err();
    server.cont_signal();
    loses(&two, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_repair_what_a_lost_subscription_missed() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    for value in 11..16 {
        // As many as there are: a subscription that is being renewed is not killed again.
        server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        one.insert(&1, value).await.unwrap();
        holds(&two, value).await;
    }
}

/// A cache whose only copy is fenced and whose loader fails.
async fn fail_fenced(when_fenced: WhenFenced) -> Option<(u64, bool)> {
    let server = server()?;
    let cache: Users = on(&server).when_fenced(when_fenced).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    holds(&cache, 10).await;
    server.stop_signal();
    let fenced = cache.clone();
    eventually("the fence", move || {
        let fenced = fenced.clone();
        async move { fenced.get(&1).await.is_err() }
    })
    .await;
    let failed = cache.get_or_load(&1, |_| async { Err(Oops("down")) }).await;
    server.cont_signal();
    Some(failed.map_or((0, false), |stale| (*stale, stale.is_stale())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_copy_is_served_as_stale_only_where_that_is_wanted() {
    let Some(served) = fail_fenced(WhenFenced::ServeStale).await else {
        return;
    };
    assert_eq!(served, (10, true));
    assert_eq!(fail_fenced(WhenFenced::Bypass).await, Some((0, false)));
}

/// Connections by which pushed records come.
fn subscribers(server: &RedisServer) -> usize {
    let list = server.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    list.lines().filter(|line| !line.is_empty()).count()
}

/// Connections by which commands go.
fn commanders(server: &RedisServer) -> usize {
    let list = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
    let ours = |line: &&str| line.contains("name=larder");
    list.lines().filter(ours).count()
}

/// Scripts that the server has run so far: polls are among them.
fn scripts(server: &RedisServer) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = stats.lines().filter_map(|line| {
        let counts = line.strip_prefix("cmdstat_evalsha:calls=")?;
        counts.split(',').next()?.parse::<u64>().ok()
    });
    calls.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_is_gone_asks_no_more_and_leaves_no_connection() {
    let Some(server) = server() else { return };
    let (one, two) = two(&server).await;
    until(SOON, "two subscriptions", || subscribers(&server) == 2).unwrap();
    let before = scripts(&server);
    until(SOON, "more polls", || scripts(&server) > before + 4).unwrap();
    // Nothing changes after this: no record tells the listeners that nobody is left.
    drop((one, two));
    until(SOON, "the end of the subscriptions", || {
        subscribers(&server) == 0
    })
    .unwrap();
    until(SOON, "the end of the connections", || {
        commanders(&server) == 0
    })
    .unwrap();
    // With polls four times a second, so many looks do not see the same count.
    let (mut last, mut same) = (0, 0);
    until(SOON, "the end of the polls", || {
        let now = scripts(&server);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same == 50
    })
    .unwrap();
}
