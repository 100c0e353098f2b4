//! Writers that carry out their own notices, so that nobody has to find them.

use std::time::Duration;

use larder::outbox::{Notices, Tail};
use larder::{Delivery, Invalidator};
use larder_sql::sqlite;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use crate::support::{
    PROMISED, ROWS, Source, hold_near, invalidator, node, read, reads_as, redis, set,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_lives_invalidates_at_once_and_leaves_an_empty_outbox() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let old = source.write(1, 0).await;
    let rows = node(&server).await;
    let caches = invalidator(&rows);
    assert!(matches!(
        caches.deliver(&source.outbox, &old).await,
        Delivery::Done
    ));
    hold_near(&rows, &source.db, 1).await;
    let mut transaction = source.db.begin().await.unwrap();
    set(&mut transaction, 1, 1).await;
    let notices = Notices::of(ROWS).key(&1i64).tag("all");
    let notices = sqlite::record(&mut transaction, &notices).await.unwrap();
    let delivery = caches
        .commit_and_deliver(transaction.commit(), &source.outbox, &notices)
        .await
        .unwrap();
    assert!(matches!(delivery, Delivery::Done), "{delivery:?}");
    assert_eq!(read(&rows, &source.db, 1).await, 1);
    assert_eq!(source.count().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_invalidates_nothing() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let notices = source.write(1, 0).await;
    let rows = node(&server).await;
    hold_near(&rows, &source.db, 1).await;
    let failing = async { Err("the disk is full") };
    let failed = invalidator(&rows)
        .commit_and_deliver(failing, &source.outbox, &notices)
        .await;
    assert_eq!(failed.unwrap_err(), "the disk is full");
    let value = rows.get(&1).await.unwrap().unwrap();
    assert_eq!(value.source(), larder::Source::Near);
    assert_eq!(source.count().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_writer_cannot_carry_out_is_left_for_the_tail() {
    let Some(mut server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let rows = node(&server).await;
    let caches = invalidator(&rows);
    hold_near(&rows, &source.db, 1).await;
    server.kill();
    let notices = source.write(1, 1).await;
    let delivery = caches.deliver(&source.outbox, &notices).await;
    assert!(matches!(delivery, Delivery::Left(_)), "{delivery:?}");
    assert!(!delivery.is_invalidated());
    assert_eq!(source.count().await, 2);
    let _tail = Tail::start(source.outbox.clone(), &caches);
    server.restart();
    source.drained().await;
    reads_as(&rows, &source.db, (1, 1), PROMISED).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_is_locked_does_not_keep_a_writer_from_invalidating() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    source.write(1, 0).await;
    let rows = node(&server).await;
    hold_near(&rows, &source.db, 1).await;
    let notices = source.write(1, 1).await;
    let options = SqliteConnectOptions::new().filename(source.file());
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    let _lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let delivery = invalidator(&rows).deliver(&source.outbox, &notices).await;
    assert!(matches!(delivery, Delivery::Lingers(_)), "{delivery:?}");
    assert!(delivery.is_invalidated());
    assert_eq!(read(&rows, &source.db, 1).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_carries_out_what_it_knows_and_leaves_the_rest() {
    let Some(server) = redis() else { return };
    let source = Source::new().await;
    let rows = node(&server).await;
    let notices = Notices::of(ROWS).key(&1i64).and("app:foreign").key(&1i64);
    let notices = source.record(&notices).await;
    let delivery = invalidator(&rows).deliver(&source.outbox, &notices).await;
    let Delivery::Left(error) = delivery else {
        panic!("{delivery:?}");
    };
    assert!(error.to_string().contains("\"app:foreign\""), "{error}");
    assert!(source.claim(Duration::ZERO).await.is_empty());
    assert_eq!(source.count().await, 1);
    let foreign = crate::support::on(&server, "app:foreign");
    let foreign = foreign.build().await.unwrap();
    let knows = Invalidator::builder().cache(&foreign).build().unwrap();
    let delivery = knows.deliver(&source.outbox, &notices[1..]).await;
    assert!(matches!(delivery, Delivery::Done), "{delivery:?}");
    assert_eq!(source.count().await, 0);
}
