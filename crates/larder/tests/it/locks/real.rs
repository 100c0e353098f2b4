//! Locks over a real server: word of a release, a server that forgets, and more keys than it remembers.

use std::time::Duration;

use larder::core::lock::FENCES;
use larder::{Cache, ErrorKind, Near, Source};
use larder_testkit::servers::RedisServer;

use crate::support::{Users, address, eventually, in_time, node_at, redis_at, server};

const LONG: &str = "10m";

async fn users(server: &RedisServer) -> Users {
    node_at(address(server)).build().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_another_process_is_told_by_the_server() {
    let Some(server) = server() else { return };
    let (one, other) = (users(&server).await, users(&server).await);
    let guard = one.try_lock(&1, LONG).await.unwrap().unwrap();
    let waiting = tokio::spawn({
        let request = other.lock(&1, LONG).unwrap().wait("1h");
        async move { request.acquire().await }
    });
    let cli = || server.cli(&["PUBSUB", "CHANNELS", "*locks*"]);
    larder_testkit::servers::until(Duration::from_secs(30), "it listens", || !cli().is_empty())
        .unwrap();
    assert!(!waiting.is_finished());
    let before = guard.token();
    assert!(guard.release().await.unwrap());
    let next = in_time(waiting).await.unwrap().unwrap();
    assert!(next.token() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_flushed_refuses_the_tokens_of_before_and_gives_greater_ones() {
    let Some(server) = server() else { return };
    let (one, other) = (users(&server).await, users(&server).await);
    let guard = one.try_lock(&1, LONG).await.unwrap().unwrap();
    drop(one.insert_fenced(&1, 1, guard.token()).await.unwrap());
    assert_eq!(server.cli(&["FLUSHALL"]), "OK");
    let refused = one.insert_fenced(&1, 2, guard.token()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    assert!(!guard.renew().await.unwrap(), "its lock is gone");
    let next = other.try_lock(&1, LONG).await.unwrap().unwrap();
    assert!(next.token() > guard.token());
    drop(other.insert_fenced(&1, 3, next.token()).await.unwrap());
    let refused = one.insert_fenced(&1, 4, guard.token()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    assert!(!guard.release().await.unwrap());
    assert!(next.renew().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_empty_gives_greater_tokens() {
    let Some(mut server) = server() else { return };
    let (one, other) = (users(&server).await, users(&server).await);
    let request = one.lock(&1, LONG).unwrap().renewed_for(LONG);
    let guard = request.acquire().await.unwrap();
    server.restart();
    let request = other.lock(&1, LONG).unwrap().wait("30s");
    let next = in_time(request.acquire()).await.unwrap();
    assert!(next.token() > guard.token());
    drop(other.insert_fenced(&1, 1, next.token()).await.unwrap());
    let late = {
        let (one, token) = (one.clone(), guard.token());
        move || {
            let one = one.clone();
            async move {
                let refused = one.insert_fenced(&1, 2, token).await.unwrap_err();
                refused.kind() == ErrorKind::Fenced
            }
        }
    };
    eventually("the late holder is refused", late).await;
    let read = one.get(&1).await.unwrap().unwrap();
    assert_eq!((*read, read.source()), (1, Source::Remote));
}

/// Fills the half of the memory that is added to, as so many other keys would.
fn fill_memory(server: &RedisServer) {
    let fill = format!(
        "local half = redis.call('HGET', '\\0sshard', 'young') \
         for i = 1, {FENCES} do redis.call('HSET', '\\0sfences:' .. half, 'of:' .. i, '1') end \
         return 'done'"
    );
    assert_eq!(server.cli(&["EVAL", &fill, "0"]), "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_remembered_until_so_many_other_keys_were_written_and_refused_then() {
    let Some(server) = server() else { return };
    let users = users(&server).await;
    let old = users.try_lock(&1, LONG).await.unwrap().unwrap();
    drop(users.insert_fenced(&1, 1, old.token()).await.unwrap());
    fill_memory(&server);
    let next = users.try_lock(&2, LONG).await.unwrap().unwrap();
    drop(users.insert_fenced(&2, 1, next.token()).await.unwrap());
    // Its half is the older one now.
    drop(users.insert_fenced(&1, 2, old.token()).await.unwrap());
    drop(users.insert_fenced(&1, 3, next.token()).await.unwrap());
    let refused = users.insert_fenced(&1, 4, old.token()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    fill_memory(&server);
    let last = users.try_lock(&3, LONG).await.unwrap().unwrap();
    drop(users.insert_fenced(&3, 1, last.token()).await.unwrap());
    for (key, token) in [(1, old.token()), (5, old.token())] {
        let refused = users.insert_fenced(&key, 6, token).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Fenced, "{key}");
    }
    assert!(!old.renew().await.unwrap(), "its holder is told");
    let count = "return redis.call('HLEN', '\\0sfences:1') + redis.call('HLEN', '\\0sfences:2')";
    let kept: usize = server.cli(&["EVAL", count, "0"]).parse().unwrap();
    assert!((FENCES..2 * FENCES).contains(&kept), "{kept}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_a_server_that_does_not_answer_is_an_error_and_ends_by_itself() {
    let Some(server) = server() else { return };
    let (one, other) = (users(&server).await, users(&server).await);
    let guard = one.try_lock(&1, "2s").await.unwrap().unwrap();
    server.stop_signal();
    let error = other.try_lock(&2, LONG).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable),
        "{error}"
    );
    in_time(guard.lost()).await;
    server.cont_signal();
    let request = other.lock(&1, LONG).unwrap().wait("30s");
    let next = in_time(request.acquire()).await.unwrap();
    assert!(next.token() > guard.token());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_hear_of_a_fenced_write() {
    let Some(server) = server() else { return };
    let (one, other) = (users(&server).await, users(&server).await);
    drop(one.insert(&1, 1).await.unwrap());
    let reader = other.clone();
    eventually("it has a near copy", move || {
        let reader = reader.clone();
        async move { reader.get(&1).await.unwrap().unwrap().source() == Source::Near }
    })
    .await;
    let guard = one.try_lock(&1, LONG).await.unwrap().unwrap();
    let receipt = one.insert_fenced(&1, 2, guard.token()).await.unwrap();
    let all = receipt.wait_all(Duration::from_secs(10)).await.unwrap();
    assert!(all.complete, "{all:?}");
    assert_eq!(*other.get(&1).await.unwrap().unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_and_counters_are_shared_through_the_server() {
    let Some(server) = server() else { return };
    let (one, other) = (users(&server).await, users(&server).await);
    let limit = larder::RateLimit::new(1, Duration::from_secs(3_600), 2).unwrap();
    for users in [&one, &other] {
        assert!(users.rate_limit(&1, &limit).await.unwrap().is_allowed);
    }
    assert!(!one.rate_limit(&1, &limit).await.unwrap().is_allowed);
    let (here, there) = (one.counters().unwrap(), other.counters().unwrap());
    here.add(&1, 40).await.unwrap();
    assert_eq!(there.add(&1, 2).await.unwrap(), 42);
    let kept = "return redis.call('GET', '\\0scount:app:users:1')";
    assert_eq!(server.cli(&["EVAL", kept, "0"]), "42");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bare_values_have_no_locks() {
    let Some(server) = server() else { return };
    let builder = Cache::<u64, u64>::builder("app:users").ttl("1h");
    let builder = builder
        .near(Near::bytes("1MiB"))
        .remote(redis_at(address(&server)));
    let builder = builder.layout(larder::Layout::Plain);
    let users = builder.codec(larder::codec::Json).build().await.unwrap();
    let error = users.locks().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("enveloped layout"), "{error}");
}
