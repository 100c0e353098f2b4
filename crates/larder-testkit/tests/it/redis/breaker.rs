//! The breaker of a store, and what is repeated.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use larder_core::breaker::{BreakerPolicy, BreakerState};
use larder_core::error::ErrorKind;
use larder_core::store::{HealthReport, Store, Write};
use larder_redis::RedisStore;
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::{RedisOptions, RedisServer, until};

use super::bus::reader;
use super::{SOON, eventually, get, open, patient, put, start, try_write, value};

/// How long an answer may take in the tests that wait for none.
const LIMIT: Duration = Duration::from_millis(100);

fn report(store: &RedisStore) -> HealthReport {
    let described = store.describe();
    described.health.expect("a server is behind it").report()
}

async fn becomes(store: &Arc<RedisStore>, state: BreakerState) {
    let watched = Arc::clone(store);
    eventually("the breaker is as expected", move || {
        let state_now = report(&watched).breaker;
        async move { state_now == state }
    })
    .await;
}

/// Asks so often at once, and gives the errors.
async fn ask_at_once(store: &Arc<RedisStore>, times: usize) -> Vec<ErrorKind> {
    let asking: Vec<_> = (0..times)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move { get(&*store, "k").await.err().map(|error| error.kind()) })
        })
        .collect();
    let mut errors = Vec::new();
    for asked in asking {
        errors.extend(tokio::time::timeout(SOON, asked).await.unwrap().unwrap());
    }
    errors
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_left_alone_and_used_again_once_it_goes_on() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(open(&server.url()).response_timeout(LIMIT));
    put(&*store, "k", "v").await;
    server.stop_signal();
    assert_eq!(ask_at_once(&store, 40).await, [ErrorKind::Timeout; 40]);
    assert_eq!(report(&store).breaker, BreakerState::Open);
    assert_eq!(report(&store).opened, 1);

    // From here on it costs nothing: a thousand waits would take a hundred seconds.
    let asking = async {
        for _ in 0..1_000 {
            let error = get(&*store, "k").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            if report(&store).breaker == BreakerState::Open {
                assert!(error.to_string().contains("breaker open"), "{error}");
            }
        }
    };
    tokio::time::timeout(SOON, asking).await.unwrap();
    assert!(report(&store).refused >= 900, "{:?}", report(&store));

    server.cont_signal();
    let asked = Arc::clone(&store);
    eventually("it is used again", move || {
        let store = Arc::clone(&asked);
        async move { matches!(get(&*store, "k").await, Ok(Some(value)) if &value[..] == b"v") }
    })
    .await;
    for _ in 0..5 {
        let _ = get(&*store, "k").await;
    }
    becomes(&store, BreakerState::Closed).await;
    assert!(get(&*store, "k").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_slow_is_left_alone() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let proxy = Proxy::to_port(server.port());
    let policy = BreakerPolicy {
        slow: Duration::from_millis(50),
        ..BreakerPolicy::default()
    };
    let redis = open(&format!("redis://{}", proxy.address()));
    let store = start(
        redis
            .response_timeout(SOON)
            .connect_timeout(SOON)
            .breaker(policy),
    );
    put(&*store, "k", "v").await;
    proxy.set(
        Traffic::REPLIES,
        Fault::Latency {
            least: Duration::from_millis(80),
            jitter: Duration::ZERO,
        },
    );
    assert_eq!(ask_at_once(&store, 40).await, []);
    assert_eq!(report(&store).breaker, BreakerState::Open);
    let error = get(&*store, "k").await.unwrap_err();
    assert!(error.to_string().contains("too slowly"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn misses_refusals_and_callers_who_go_away_do_not_open_it() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    server.cli(&["LPUSH", "list", "x"]);
    for _ in 0..50 {
        assert_eq!(get(&*store, "nothing").await.unwrap(), None);
        let refused = try_write(&*store, "list", Write::Put(value("v"))).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Refused);
    }
    server.stop_signal();
    for _ in 0..50 {
        let asking = get(&*store, "k");
        let gone = tokio::time::timeout(Duration::from_millis(1), asking).await;
        assert!(gone.is_err(), "the server stands still");
    }
    server.cont_signal();
    assert_eq!(report(&store).breaker, BreakerState::Closed);
    assert_eq!(report(&store).opened, 0);
    assert!(get(&*store, "k").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_are_made_while_it_is_open_and_show_that_the_server_is_back() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    // The pause is longer than the test may take.
    let policy = BreakerPolicy {
        first_pause: Duration::from_secs(3_600),
        longest_pause: Duration::from_secs(3_600),
        ..BreakerPolicy::default()
    };
    let redis = open(&server.url()).response_timeout(LIMIT);
    let store = start(redis.breaker(policy));
    put(&*store, "k", "v").await;
    server.stop_signal();
    ask_at_once(&store, 40).await;
    assert_eq!(report(&store).breaker, BreakerState::Open);
    server.cont_signal();
    let polled = Arc::clone(&store);
    eventually("a poll is answered", move || {
        let store = Arc::clone(&polled);
        async move {
            let bus = store.describe().bus.expect("there is a log");
            bus.poll(&reader()).await.is_ok()
        }
    })
    .await;
    assert_ne!(report(&store).breaker, BreakerState::Open);
    for _ in 0..5 {
        assert!(get(&*store, "k").await.is_ok());
    }
    assert_eq!(report(&store).breaker, BreakerState::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_breaker_each_caller_waits_for_itself() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let redis = open(&server.url()).response_timeout(LIMIT);
    let store = start(redis.without_breaker());
    put(&*store, "k", "v").await;
    server.stop_signal();
    assert_eq!(ask_at_once(&store, 60).await, [ErrorKind::Timeout; 60]);
    assert_eq!(ask_at_once(&store, 60).await, [ErrorKind::Timeout; 60]);
    server.cont_signal();
    assert_eq!(report(&store).refused, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_whose_connection_breaks_is_repeated_and_a_change_is_not() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let proxy = Proxy::to_port(server.port());
    let redis = open(&format!("redis://{}", proxy.address()));
    let store = start(redis.response_timeout(SOON).connect_timeout(SOON));
    put(&*store, "k", "v").await;

    let reading = {
        let store = Arc::clone(&store);
        async move { get(&*store, "k").await.map(|value| value.is_some()) }
    };
    assert!(broken(&proxy, reading).await.unwrap());
    assert_eq!(report(&store).repeated, 1);

    let writing = {
        let store = Arc::clone(&store);
        async move {
            let put = try_write(&*store, "k", Write::Put(value("w"))).await;
            put.map(|outcome| outcome.existed)
        }
    };
    let error = broken(&proxy, writing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(report(&store).repeated, 1);
}

/// Does `work`; its question passes, and the connection ends in place of an answer.
async fn broken<T: Send + 'static>(
    proxy: &Proxy,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    proxy.set(Traffic::REPLIES, Fault::Stall);
    let before = proxy.counts().requests.passed;
    let work = tokio::spawn(work);
    let has_passed = || proxy.counts().requests.passed > before;
    tokio::task::block_in_place(|| until(SOON, "the question has passed", has_passed)).unwrap();
    proxy.reset();
    proxy.heal();
    tokio::time::timeout(SOON, work).await.unwrap().unwrap()
}
