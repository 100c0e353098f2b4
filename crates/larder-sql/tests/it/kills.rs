//! Writers that are killed between the commit and the invalidation: the reason for the outbox.
//!
//! `LARDER_KILLS=200 cargo test -p larder-sql --release --test it kills -- --nocapture` does it as
//! often as that and prints how long it took.

use std::env;
use std::time::Duration;

use larder::TokioRuntime;
use larder::core::Runtime;
use larder::outbox::Tail;

use crate::support::{PROMISED, SOON, Source, hold_near, invalidator, node, reads_as, redis};
use crate::writer::{Point, write_and_die};

/// Kills in the usual run of the tests.
const KILLS: i64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_killed_between_commit_and_invalidation_leaves_nothing_stale() {
    let Some(server) = redis() else { return };
    let kills = env::var("LARDER_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let source = Source::new().await;
    source.write(1, 0).await;
    let readers = [node(&server).await, node(&server).await];
    let tail = Tail::start(source.outbox.clone(), &invalidator(&readers[0]));
    source.drained().await;
    let clock = TokioRuntime::current();
    let mut took = Vec::new();
    let mut stale = 0;
    for value in 1..=kills {
        for reader in &readers {
            reads_as(reader, &source.db, (1, value - 1), SOON)
                .await
                .unwrap();
            hold_near(reader, &source.db, 1).await;
        }
        let file = source.file();
        let writing = move || write_and_die(&file, value, Point::AfterCommit);
        tokio::task::spawn_blocking(writing).await.unwrap();
        let killed = clock.now();
        for reader in &readers {
            let read = reads_as(reader, &source.db, (1, value), PROMISED).await;
            stale += usize::from(read.is_err());
        }
        took.push(clock.now().since(killed));
    }
    source.drained().await;
    took.sort();
    let middle = took[took.len() / 2];
    let most = took.last().unwrap();
    println!(
        "{kills} writers killed between commit and invalidation, two readers: {stale} stale after \
         {PROMISED:?}; until both read the committed value: median {middle:?}, most {most:?}"
    );
    assert_eq!(stale, 0);
    // Nobody else has invalidated anything.
    assert!(tail.stats().carried_out >= u64::try_from(kills).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_tail_the_same_writer_leaves_its_readers_stale() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let readers = [node(&server).await, node(&server).await];
    for reader in &readers {
        hold_near(reader, &source.db, 1).await;
    }
    let file = source.file();
    let writing = move || write_and_die(&file, 1, Point::AfterCommit);
    tokio::task::spawn_blocking(writing).await.unwrap();
    for reader in &readers {
        let read = reads_as(reader, &source.db, (1, 1), PROMISED).await;
        assert!(read.is_err(), "nothing has told the reader");
    }
    // Whoever comes later finds what the dead one has left.
    let late = node(&server).await;
    let _tail = Tail::start(source.outbox.clone(), &invalidator(&late));
    for reader in &readers {
        reads_as(reader, &source.db, (1, 1), PROMISED)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_killed_before_its_commit_leaves_no_notice_and_no_change() {
    let source = Source::new().await;
    source.write(1, 0).await;
    let before = source.claim(Duration::ZERO).await;
    let file = source.file();
    let writing = move || write_and_die(&file, 1, Point::BeforeCommit);
    tokio::task::spawn_blocking(writing).await.unwrap();
    let ids = |notices: &[larder::core::outbox::Notice]| -> Vec<u64> {
        notices.iter().map(|notice| notice.id).collect()
    };
    assert_eq!(ids(&source.claim(Duration::ZERO).await), ids(&before));
    let value = sqlx::query_scalar::<_, i64>("SELECT value FROM rows WHERE id = 1");
    assert_eq!(value.fetch_one(&source.db).await.unwrap(), 0);
}
