//! The cache on a real server: what lies there, what others write there, and what faults do.

use std::sync::Arc;
use std::time::Duration;

use larder::codec::Json;
use larder::redis::Redis;
use larder::{Builder, Cache, ErrorKind, Layout, Near, Source};
use larder_testkit::servers::{RedisOptions, RedisServer};

use crate::support::{Oops, Users, paused_load};

fn server() -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new())
}

fn on(server: &RedisServer) -> Builder<u64, u64> {
    Cache::builder("app:users")
        .ttl("1h")
        .remote(Redis::open(&server.url()).unwrap())
}

async fn load(cache: &Users, value: u64) -> larder::Loaded<u64> {
    let loader = move |_| async move { Ok::<_, Oops>(value) };
    cache.get_or_load(&1, loader).await.unwrap()
}

#[tokio::test]
async fn keys_lie_there_as_namespace_entity_id_and_with_an_end() {
    let Some(server) = server() else { return };
    let cache = on(&server).build().await.unwrap();
    cache.insert(&123, 10).await.unwrap();
    assert_eq!(server.cli(&["KEYS", "app:*"]), "app:users:123");
    let ttl: i64 = server.cli(&["TTL", "app:users:123"]).parse().unwrap();
    assert!((3_400..=3_600).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn bytes_of_others_are_a_miss_and_are_replaced() {
    let Some(server) = server() else { return };
    let cache = on(&server).build().await.unwrap();
    let text = "x".repeat(500);
    for (damaged, foreign) in ["", "Ada", "{\"id\":1}", text.as_str()].iter().enumerate() {
        server.cli(&["SET", "app:users:1", foreign]);
        assert!(cache.get(&1).await.unwrap().is_none(), "{foreign:?}");
        assert_eq!(load(&cache, 10).await.source(), Source::Loaded);
        assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 10, "{foreign:?}");
        assert!(cache.stats().remote.damaged > damaged as u64);
    }
    server.cli(&["DEL", "app:users:1"]);
    server.cli(&["LPUSH", "app:users:1", "a list"]);
    assert_eq!(*load(&cache, 10).await, 10, "a key of another type");
}

#[tokio::test]
async fn a_damaged_record_is_a_miss_and_is_replaced() {
    let Some(server) = server() else { return };
    let cache = on(&server).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    // The last byte belongs to the value, which the checksum covers.
    let length: usize = server.cli(&["STRLEN", "app:users:1"]).parse().unwrap();
    let last = (length - 1).to_string();
    server.cli(&["SETRANGE", "app:users:1", &last, "!"]);
    assert!(cache.get(&1).await.unwrap().is_none());
    assert_eq!(cache.stats().remote.damaged, 1);
    assert_eq!(*load(&cache, 20).await, 20);
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 20);
}

#[tokio::test]
async fn every_cut_of_a_record_is_a_miss() {
    let Some(server) = server() else { return };
    let cache = on(&server).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    let length: usize = server.cli(&["STRLEN", "app:users:1"]).parse().unwrap();
    let cut = "local v = redis.call('GET', KEYS[1]) \
               redis.call('SET', KEYS[2], string.sub(v, 1, ARGV[1]))";
    for keep in (0..length).step_by(7) {
        let keep = keep.to_string();
        let keys = ["EVAL", cut, "2", "app:users:1", "app:users:2", &keep];
        server.cli(&keys);
        assert!(cache.get(&2).await.unwrap().is_none(), "{keep} bytes");
    }
}

#[tokio::test]
async fn a_record_moved_to_another_key_is_a_miss() {
    let Some(server) = server() else { return };
    let cache = on(&server).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    server.cli(&["RENAME", "app:users:1", "app:users:2"]);
    assert!(cache.get(&2).await.unwrap().is_none());
    assert_eq!(cache.stats().remote.damaged, 1);
}

#[tokio::test]
async fn the_plain_layout_is_read_and_written_by_anyone() {
    let Some(server) = server() else { return };
    let cache = on(&server).layout(Layout::Plain).codec(Json);
    let cache = cache.build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(server.cli(&["GET", "app:users:1"]), "10");
    server.cli(&["SET", "app:users:2", "20"]);
    assert_eq!(*cache.get(&2).await.unwrap().unwrap(), 20);
    server.cli(&["SET", "app:users:3", "no number"]);
    assert!(cache.get(&3).await.unwrap().is_none());
    assert_eq!(cache.stats().remote.damaged, 1);
}

#[tokio::test]
async fn in_the_plain_layout_a_load_does_not_undo_a_change_of_its_process() {
    let Some(server) = server() else { return };
    let near = Near::bytes("1MiB");
    let cache = on(&server).near(near).layout(Layout::Plain);
    let cache = cache.build().await.unwrap();
    let (call, load) = paused_load(&cache, 1).await;
    let _ = cache.invalidate(&1).await.unwrap();
    load.answer(Ok(10));
    assert_eq!(*call.await.unwrap().unwrap(), 10);
    assert!(cache.get(&1).await.unwrap().is_none());
}

#[tokio::test]
async fn in_the_plain_layout_the_last_change_is_what_is_read_whatever_its_bytes() {
    let Some(server) = server() else { return };
    let near = Near::bytes("1MiB");
    let cache = on(&server).near(near).layout(Layout::Plain);
    let cache = cache.build().await.unwrap();
    for value in 0..20 {
        cache.insert(&1, value).await.unwrap();
        let read = cache.get(&1).await.unwrap().unwrap();
        assert_eq!((*read, read.source()), (value, Source::Near));
    }
    let _ = cache.invalidate(&1).await.unwrap();
    assert!(cache.get(&1).await.unwrap().is_none());
}

#[tokio::test]
async fn in_the_plain_layout_nothing_stale_is_served() {
    let Some(server) = server() else { return };
    let cache = on(&server).near(Near::bytes("1MiB")).stale_for("1h");
    let cache = cache.layout(Layout::Plain).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    let _ = cache.expire(&1).await.unwrap();
    assert_eq!(server.cli(&["EXISTS", "app:users:1"]), "0");
    let failed = cache.get_or_load(&1, |_| async { Err(Oops("down")) });
    assert!(failed.await.is_err());
}

#[tokio::test]
async fn two_processes_load_once() {
    let Some(server) = server() else { return };
    let one = on(&server).build().await.unwrap();
    let two = on(&server).build().await.unwrap();
    let (first, paused) = paused_load(&one, 1).await;
    let second = tokio::spawn({
        let two = two.clone();
        async move { load(&two, 99).await }
    });
    paused.answer(Ok(10));
    assert_eq!(*first.await.unwrap().unwrap(), 10);
    assert_eq!(*second.await.unwrap(), 10);
    assert_eq!(two.stats().loads.succeeded, 0);
}

#[tokio::test]
async fn a_flush_during_a_load_refuses_its_value() {
    let Some(server) = server() else { return };
    let cache = on(&server).near(Near::bytes("1MiB"));
    let cache = cache.build().await.unwrap();
    let (call, load) = paused_load(&cache, 1).await;
    server.cli(&["FLUSHALL"]);
    load.answer(Ok(10));
    assert_eq!(*call.await.unwrap().unwrap(), 10);
    assert!(cache.get(&1).await.unwrap().is_none());
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn a_cache_is_built_and_loads_without_a_server() {
    let port = larder_testkit::servers::free_port();
    let redis = Redis::open(&format!("redis://127.0.0.1:{port}")).unwrap();
    let cache = Cache::builder("app:users").ttl("1h").remote(redis);
    let cache: Users = cache.build().await.unwrap();
    assert_eq!(*load(&cache, 10).await, 10);
    let error = cache.get(&1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_resumes_when_the_server_comes_back() {
    let Some(mut server) = server() else { return };
    let cache = on(&server).near(Near::bytes("1MiB"));
    let cache = cache.build().await.unwrap();
    assert_eq!(*load(&cache, 10).await, 10);
    server.kill();
    assert_eq!(*load(&cache, 10).await, 10, "a near hit, or the loader");
    let other = cache.get_or_load(&2, |_| async { Ok::<_, Oops>(20) });
    assert_eq!(*other.await.unwrap(), 20, "loaded without the server");
    cache.insert(&1, 11).await.unwrap_err();
    server.restart();
    let back = Arc::new(cache.clone());
    let limit = Duration::from_secs(20);
    let runtime = tokio::runtime::Handle::current();
    let insert = move || runtime.block_on(back.insert(&1, 30)).is_ok();
    let waiting = move || larder_testkit::servers::until(limit, "an insert", insert);
    tokio::task::spawn_blocking(waiting).await.unwrap().unwrap();
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 30);
    assert_eq!(server.cli(&["EXISTS", "app:users:1"]), "1");
}

#[tokio::test]
async fn a_frozen_server_delays_a_load_by_its_limits_only() {
    let Some(server) = server() else { return };
    let brief = Duration::from_millis(50);
    let redis = Redis::open(&server.url()).unwrap().response_timeout(brief);
    let cache: Users = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("1MiB"))
        .remote(redis)
        .build()
        .await
        .unwrap();
    cache.insert(&1, 10).await.unwrap();
    server.stop_signal();
    let other = cache.get_or_load(&2, |_| async { Ok::<_, Oops>(20) });
    assert_eq!(*other.await.unwrap(), 20);
    let error = cache.invalidate(&1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        cache.stats().near.entries,
        1,
        "the key of unknown state is gone"
    );
    server.cont_signal();
}
