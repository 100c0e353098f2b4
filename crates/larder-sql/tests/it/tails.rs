//! Who follows an outbox: one, several, one that died, one that does not know everything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    PROMISED, ROWS, SOON, Source, Watched, eventually, hold_near, invalidator, node, on, reads_as,
    redis,
};
use larder::Invalidator;
use larder::TokioRuntime;
use larder::core::Runtime;
use larder::core::outbox::Notices;
use larder::outbox::Tail;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tails_share_the_work_and_lose_nothing() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let readers = [node(&server).await, node(&server).await];
    for id in 0..500 {
        let mut connection = source.db.acquire().await.unwrap();
        crate::support::set(&mut connection, id, 0).await;
    }
    for id in [0, 499] {
        hold_near(&readers[0], &source.db, id).await;
        hold_near(&readers[1], &source.db, id).await;
    }
    let tails = readers
        .each_ref()
        .map(|rows| Tail::start(source.outbox.clone(), &invalidator(rows)));
    for id in 0..500 {
        source.write(id, 1).await;
    }
    source.drained().await;
    for (reader, id) in readers.iter().zip([0, 499]) {
        reads_as(reader, &source.db, (id, 1), PROMISED)
            .await
            .unwrap();
    }
    let [one, two] = tails.map(|tail| tail.stats().carried_out);
    assert!(one + two >= 500);
    // If both had done everything, it would be a thousand.
    assert!(one + two < 800, "{one} and {two}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_tail_has_taken_another_takes_over_within_a_second() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let rows = node(&server).await;
    let tail = Tail::start(source.outbox.clone(), &invalidator(&rows));
    source.drained().await;
    hold_near(&rows, &source.db, 1).await;
    let watched = Watched::new(&source.outbox);
    let dead = Tail::start(watched.clone(), &invalidator(&node(&server).await));
    drop(tail);
    // It takes the notice, and the runtime never lets it go on from there.
    watched.freeze_after_claim();
    let written = source.write(1, 1).await;
    watched.has_claimed().await;
    let clock = TokioRuntime::current();
    let start = clock.now();
    let _heir = Tail::start(source.outbox.clone(), &invalidator(&rows));
    reads_as(&rows, &source.db, (1, 1), SOON).await.unwrap();
    let took = clock.now().since(start);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(took > Duration::from_millis(100), "it was held: {took:?}");
    assert_eq!(written.len(), 1);
    assert_eq!(dead.stats().carried_out, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_notices_are_drained_in_batches() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let rows = node(&server).await;
    let tags = on(&server, "app:tagged").build().await.unwrap();
    for part in 0..10i64 {
        let ids: Vec<i64> = (0..1_000).map(|n| part * 1_000 + n).collect();
        let notices = Notices::of(ROWS).keys(&ids).and("app:tagged");
        source.record(&notices.tag(format!("part:{part}"))).await;
    }
    let both = Invalidator::builder().cache(&rows).cache(&tags);
    let calls_before = scripts(&server);
    let clock = TokioRuntime::current();
    let start = clock.now();
    let tail = Tail::start(source.outbox.clone(), &both.build().unwrap());
    source.drained().await;
    let took = clock.now().since(start);
    let calls = scripts(&server) - calls_before;
    println!("10 010 notices drained in {took:?} with {calls} scripts");
    assert_eq!(tail.stats().carried_out, 10_010);
    // 64 keys a script at best; a script each would be ten thousand.
    assert!((157..1_000).contains(&calls), "{calls}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

/// How many scripts the server has run.
fn scripts(server: &larder_testkit::servers::RedisServer) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = |line: &str| -> Option<u64> {
        let line = line.strip_prefix("cmdstat_eval")?;
        let (_, calls) = line.split_once("calls=")?;
        calls.split(',').next()?.parse().ok()
    };
    stats.lines().filter_map(calls).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_understood_stays_and_is_in_nobodys_way() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let mut connection = source.db.acquire().await.unwrap();
    crate::support::set(&mut connection, 1, 0).await;
    let ids: Vec<i64> = (0..1_000).collect();
    // More than one batch of each, and all of it before the one notice that matters.
    source.record(&Notices::of("app:foreign").keys(&ids)).await;
    for (kind, body, count) in [("region", "7", 600), ("tag", "", 600)] {
        let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
             INSERT INTO larder_outbox_v1 (cache, kind, body) SELECT 'app:rows', ?, ? FROM n";
        let insert = sqlx::query(insert).bind(count).bind(kind).bind(body);
        insert.execute(&source.db).await.unwrap();
    }
    let rows = node(&server).await;
    hold_near(&rows, &source.db, 1).await;
    source.write(1, 1).await;
    let tail = Arc::new(Tail::start(source.outbox.clone(), &invalidator(&rows)));
    reads_as(&rows, &source.db, (1, 1), PROMISED).await.unwrap();
    let watched = tail.clone();
    eventually(SOON, "a survey", move || {
        let stats = watched.stats();
        async move { stats.not_understood == 1_600 }
    })
    .await
    .unwrap();
    assert!(tail.stats().unreadable >= 600);
    source.left("%", 2_200).await;
    // Somebody who knows the other cache.
    let foreign = on(&server, "app:foreign").build().await.unwrap();
    let knows = Invalidator::builder().cache(&foreign).build().unwrap();
    let other = Tail::start(source.outbox.clone(), &knows);
    source.left("app:foreign", 0).await;
    assert_eq!(other.stats().carried_out, 1_000);
    source.left("app:rows", 1_200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_notice_is_carried_out() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let rows = node(&server).await;
    let sums = on(&server, "app:sums").build().await.unwrap();
    let other = node(&server).await;
    let _tail = Tail::start(source.outbox.clone(), &invalidator(&other));
    let fill = async || {
        for id in [1, 21, 22, 31, 40] {
            let load = move |cx: larder::Cx<i64, _>| async move {
                cx.tag(format!("row {id}"));
                Ok::<_, Infallible>(id)
            };
            rows.get_or_load(&id, load).await.unwrap();
        }
        // Made from row 40.
        let rows = rows.clone();
        let load = move |_| async move {
            let row = rows.get(&40).await.unwrap();
            Ok::<_, Infallible>(*row.unwrap() * 2)
        };
        sums.get_or_load(&1, load).await.unwrap();
    };
    let all = [1, 21, 22, 31, 40];
    for (notices, gone, sum_stays) in [
        (Notices::of(ROWS).key(&1i64), &[1][..], true),
        (Notices::of(ROWS).tag("row 1"), &[1], true),
        // A part of a cache takes along whatever was made from that cache.
        (Notices::of(ROWS).prefix("2"), &[21, 22], false),
        (Notices::of(ROWS).pattern("?1"), &[21, 31], false),
        (Notices::of(ROWS).dependents(&40i64), &[], false),
        (Notices::of(ROWS).clear(), &all, false),
    ] {
        fill().await;
        source.record(&notices).await;
        source.drained().await;
        for id in all {
            settled(&rows, id, !gone.contains(&id)).await;
        }
        settled(&sums, 1, sum_stays).await;
    }
}

/// Waits until the key is there, or not.
async fn settled(rows: &crate::support::Rows, id: i64, is_there: bool) {
    let rows = rows.clone();
    eventually(PROMISED, "an invalidation", move || {
        let rows = rows.clone();
        async move { rows.contains_key(&id).await.unwrap() == is_there }
    })
    .await
    .unwrap_or_else(|error| panic!("{id} {is_there}: {error}"));
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_is_dropped_or_stopped_is_gone() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let rows = node(&server).await;
    let invalidator = invalidator(&rows);
    let watched = Watched::new(&source.outbox);
    let tail = Tail::start(watched.clone(), &invalidator);
    source.write(1, 1).await;
    source.drained().await;
    drop(tail);
    let shared = watched.clone();
    eventually(SOON, "the end of the task", move || {
        // The test has two handles of it; the task had one.
        let is_gone = shared.handles() == 2;
        async move { is_gone }
    })
    .await
    .unwrap();
    let tail = Tail::start(watched.clone(), &invalidator);
    tail.stop().await;
    assert_eq!(watched.handles(), 1);
    source.write(1, 2).await;
    assert_eq!(source.claim(Duration::from_secs(1)).await.len(), 1);
}

#[tokio::test]
async fn a_pace_out_of_range_is_refused() {
    let source = Source::new().await;
    let rows = larder::Cache::<i64, i64>::builder(ROWS).ttl("1h");
    let rows = rows
        .near(larder::Near::bytes("1MiB"))
        .build()
        .await
        .unwrap();
    for (every, fits) in [
        ("9ms", false),
        ("10ms", true),
        ("500ms", true),
        ("1s", false),
        ("x", false),
    ] {
        let tail = Tail::builder(source.outbox.clone(), &invalidator(&rows)).every(every);
        let started = tail.start();
        assert_eq!(started.is_ok(), fits, "{every}: {started:?}");
    }
}
