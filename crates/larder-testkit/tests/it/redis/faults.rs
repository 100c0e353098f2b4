//! Servers that are dead, die, come back, or fall silent.

use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder_core::error::ErrorKind;
use larder_core::store::Store;
use larder_testkit::servers::{RedisOptions, RedisServer, free_port};

use super::{SOON, connections, eventually, get, open, patient, put, start};

#[tokio::test]
async fn nothing_is_opened_before_the_first_command() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    assert_eq!(
        store.describe().name,
        format!("redis://127.0.0.1:{}/0", server.port())
    );
    assert_eq!(connections(&server), 0);
    assert_eq!(get(&*store, "k").await.unwrap(), None);
    assert_eq!(connections(&server), 1);
}

#[tokio::test]
async fn a_dead_server_is_named_at_once_and_costs_nothing_after() {
    let address = format!("redis://user:hunter2@127.0.0.1:{}/3", free_port());
    let store = start(open(&address));
    let asking = async {
        for _ in 0..200 {
            let error = get(&*store, "k").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            let said = format!("{error:?}");
            assert!(
                said.contains("127.0.0.1") && !said.contains("hunter2"),
                "{said}"
            );
        }
    };
    // The limit of one attempt would allow for two commands.
    tokio::time::timeout(Duration::from_secs(2), asking)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("redis://{}", listener.local_addr().unwrap());
    let store = start(open(&address).connect_timeout(Duration::from_millis(100)));
    let error = get(&*store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_resumes_by_itself_after_a_kill_and_a_restart() {
    let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(open(&server.url()));
    put(&*store, "k", "v").await;
    server.kill();
    let error = get(&*store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    server.restart();
    let again = Arc::clone(&store);
    eventually("an answer", move || {
        let store = Arc::clone(&again);
        async move { get(&*store, "k").await.is_ok() }
    })
    .await;
    assert_eq!(get(&*store, "k").await.unwrap(), None, "it came back empty");
    put(&*store, "k", "w").await;
    assert_eq!(get(&*store, "k").await.unwrap().unwrap(), "w");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_under_way_fail_when_the_connection_breaks() {
    let Some(mut server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    put(&*store, "k", "v").await;
    server.stop_signal();
    let asking: Vec<_> = (0..10)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { get(&*store, "k").await })
        })
        .collect();
    tokio::task::yield_now().await;
    server.kill();
    for asked in asking {
        let failed = tokio::time::timeout(SOON, asked).await.unwrap().unwrap();
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_a_timeout_and_works_on_when_it_goes_on() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(open(&server.url()).response_timeout(Duration::from_millis(200)));
    put(&*store, "k", "v").await;
    server.stop_signal();
    let asked = tokio::time::timeout(SOON / 10, get(&*store, "k")).await;
    let error = asked.expect("within the limit").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.to_string().contains("200 ms"), "{error}");
    server.cont_signal();
    eventually("an answer", move || {
        let store = Arc::clone(&store);
        async move { matches!(get(&*store, "k").await, Ok(Some(value)) if value == "v") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_stays_silent_is_given_up() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let short = Duration::from_millis(100);
    let store = start(
        open(&server.url())
            .response_timeout(short)
            .connect_timeout(short),
    );
    put(&*store, "k", "v").await;
    server.stop_signal();
    let asking = Arc::clone(&store);
    eventually("the end of the connection", move || {
        let store = Arc::clone(&asking);
        async move {
            get(&*store, "k")
                .await
                .is_err_and(|e| e.kind() == ErrorKind::Unavailable)
        }
    })
    .await;
    server.cont_signal();
    eventually("an answer", move || {
        let store = Arc::clone(&store);
        async move { get(&*store, "k").await.is_ok() }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_store_leaves_no_connection() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server).pool(2, 4, SOON));
    put(&*store, "k", "v").await;
    let keyspace = store.describe().keyspace.unwrap();
    keyspace
        .count(&larder_core::space::Space::default())
        .await
        .unwrap();
    assert!(connections(&server) >= 2);
    drop(store);
    let server = Arc::new(server);
    eventually("the end of all connections", move || {
        let server = Arc::clone(&server);
        async move { connections(&server) == 0 }
    })
    .await;
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_first_used_on() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let long_lived = runtime();
    let clock = Arc::new(TokioRuntime::on(long_lived.handle().clone()));
    let store = Arc::new(patient(&server).store(clock));
    for round in ["one", "two", "three"] {
        let runtime = runtime();
        let store = Arc::clone(&store);
        runtime.block_on(async move {
            put(&*store, "k", round).await;
            assert_eq!(get(&*store, "k").await.unwrap().unwrap(), round);
        });
    }
}
