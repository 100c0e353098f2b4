//! Outboxes that are locked or missing, and remote tiers that are away.

use std::time::Duration;

use larder::Layout;
use larder::codec::Json;
use larder::outbox::{Notices, Tail};
use larder::redis::Redis;
use larder_sql::sqlite::SqliteOutbox;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::support::{
    PROMISED, ROWS, SOON, Source, Watched, eventually, hold_near, invalidator, node, on, reads_as,
    redis,
};

/// Waits until `condition` holds of the tail's counts.
macro_rules! until_stats {
    ($tail:expr, $what:literal, $condition:expr) => {{
        let tail = $tail.clone();
        let condition = $condition;
        eventually(SOON, $what, move || {
            let holds = condition(tail.stats());
            async move { holds }
        })
        .await
        .unwrap();
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_delays_the_deletion_and_not_the_invalidation() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let rows = node(&server).await;
    hold_near(&rows, &source.db, 1).await;
    source.write(1, 1).await;
    let options = SqliteConnectOptions::new().filename(source.file());
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let watched = Watched::new(&source.outbox);
    let tail = Tail::start(watched.clone(), &invalidator(&rows));
    reads_as(&rows, &source.db, (1, 1), PROMISED).await.unwrap();
    let before = watched.asked();
    eventually(SOON, "further questions", move || {
        let asked = watched.asked();
        async move { asked >= before + 5 }
    })
    .await
    .unwrap();
    assert_eq!(source.count().await, 2);
    lock.rollback().await.unwrap();
    source.drained().await;
    // Both notices, and each of them once: what could not be deleted was remembered.
    assert_eq!(tail.stats().carried_out, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_missing_is_waited_for() {
    let Some(server) = redis() else { return };
    let rows = node(&server).await;
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.db");
    let outbox = SqliteOutbox::open(SqliteConnectOptions::new().filename(&missing));
    let tail = std::sync::Arc::new(Tail::start(outbox, &invalidator(&rows)));
    until_stats!(tail, "an error", |stats: larder::outbox::TailStats| stats
        .outbox_errors
        > 1);
    let source = Source::new().await;
    source.write(1, 0).await;
    hold_near(&rows, &source.db, 1).await;
    source.write(1, 1).await;
    // The same database under the name that was missing.
    let copy = sqlx::query("VACUUM INTO ?").bind(missing.to_str());
    copy.execute(&source.db).await.unwrap();
    reads_as(&rows, &source.db, (1, 1), SOON).await.unwrap();
    until_stats!(
        tail,
        "both notices",
        |stats: larder::outbox::TailStats| stats.carried_out == 2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_wait_for_a_remote_tier_that_is_frozen() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let rows = node(&server).await;
    let tail = std::sync::Arc::new(Tail::start(source.outbox.clone(), &invalidator(&rows)));
    source.drained().await;
    hold_near(&rows, &source.db, 1).await;
    let before = tail.stats().carried_out;
    server.stop_signal();
    source.write(1, 1).await;
    until_stats!(tail, "failures", |stats: larder::outbox::TailStats| stats
        .failed
        >= 2);
    assert_eq!(source.count().await, 1);
    assert_eq!(tail.stats().carried_out, before);
    server.cont_signal();
    reads_as(&rows, &source.db, (1, 1), PROMISED).await.unwrap();
    source.drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_survive_a_remote_tier_that_is_killed_and_comes_back() {
    let Some(mut server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let rows = node(&server).await;
    let tail = std::sync::Arc::new(Tail::start(source.outbox.clone(), &invalidator(&rows)));
    source.drained().await;
    hold_near(&rows, &source.db, 1).await;
    server.kill();
    for value in 1..=50 {
        source.write(1, value).await;
    }
    until_stats!(tail, "failures", |stats: larder::outbox::TailStats| stats
        .failed
        > 0);
    assert_eq!(source.count().await, 50);
    server.restart();
    source.drained().await;
    reads_as(&rows, &source.db, (1, 50), PROMISED)
        .await
        .unwrap();
    let stats = tail.stats();
    assert_eq!(stats.carried_out, 51, "{stats:?}");
    assert!(stats.longest < Duration::from_secs(30), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tier_that_hangs_holds_up_its_own_caches_alone() {
    let (Some(frozen), Some(server)) = (redis(), redis()) else {
        return;
    };
    let source = Source::new().await;
    source.write(1, 0).await;
    let rows = node(&server).await;
    // Given up only long after what is promised of the other.
    let redis = Redis::open(&frozen.url()).unwrap();
    let slow = on(&frozen, "app:slow").remote(redis.response_timeout(SOON));
    let slow = slow.build().await.unwrap();
    let both = larder::Invalidator::builder().cache(&rows).cache(&slow);
    let _tail = Tail::start(source.outbox.clone(), &both.build().unwrap());
    source.drained().await;
    frozen.stop_signal();
    let many: Vec<i64> = (0..1_000).collect();
    let notices = Notices::of("app:slow").keys(&many);
    source.record(&notices).await;
    for value in 1..=3 {
        hold_near(&rows, &source.db, 1).await;
        source.write(1, value).await;
        reads_as(&rows, &source.db, (1, value), PROMISED)
            .await
            .unwrap();
    }
    assert!(source.count().await >= 1_000);
    frozen.cont_signal();
    source.drained().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cache_refuses_for_ever_does_not_delay_the_rest_of_it() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let plain = on(&server, ROWS).layout(Layout::Plain).codec(Json);
    let rows = plain.build().await.unwrap();
    let tail = Tail::start(source.outbox.clone(), &invalidator(&rows));
    source.drained().await;
    // Bare values have no tags; nor will they ever.
    source.record(&Notices::of(ROWS).tag("tenant:7")).await;
    for value in 1..=5 {
        hold_near(&rows, &source.db, 1).await;
        source.write(1, value).await;
        reads_as(&rows, &source.db, (1, value), PROMISED)
            .await
            .unwrap();
    }
    source.left(ROWS, 1).await;
    let stats = tail.stats();
    assert_eq!(stats.carried_out, 6, "{stats:?}");
    assert!(stats.failed >= 1, "{stats:?}");
    assert!(stats.longest < Duration::from_millis(900), "{stats:?}");
}
