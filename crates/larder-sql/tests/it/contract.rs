//! What the table itself does: recording, taking, holding, deleting.

use std::time::Duration;

use larder::core::outbox::{Claim, Notice, Notices, Outbox, What};
use larder::{Error, ErrorKind};
use larder_sql::sqlite::{self, SqliteOutbox};
use sqlx::sqlite::SqliteConnectOptions;

use crate::support::{ROWS, SOON, Source, connect, eventually, set};

const MINUTE: Duration = Duration::from_mins(1);

fn whats(notices: &[Notice]) -> Vec<What> {
    let what = |notice: &Notice| notice.what.clone().unwrap();
    notices.iter().map(what).collect()
}

fn ids(notices: &[Notice]) -> Vec<u64> {
    notices.iter().map(|notice| notice.id).collect()
}

async fn run(source: &Source, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&source.db).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_leaves_nothing() {
    let source = Source::new().await;
    let mut transaction = source.db.begin().await.unwrap();
    set(&mut transaction, 1, 10).await;
    let recorded = sqlite::record(&mut transaction, &Notices::of(ROWS).key(&1i64)).await;
    assert_eq!(recorded.unwrap().len(), 1);
    transaction.rollback().await.unwrap();
    assert_eq!(source.count().await, 0);
    assert!(source.claim(MINUTE).await.is_empty());
}

#[tokio::test]
async fn what_is_recorded_is_found_as_it_was_the_oldest_first() {
    let source = Source::new().await;
    let notices = Notices::of(ROWS)
        .key(&1i64)
        .key(&("a:b", 2u8))
        .tag("tenant:7")
        .prefix("a:")
        .pattern("a:*:b")
        .dependents(&1i64)
        .clear();
    let recorded = source.record(&notices).await;
    let later = source.record(&Notices::of(ROWS).key("later")).await;
    let expected: Vec<Notice> = [recorded, later].concat();
    let found = source.claim(MINUTE).await;
    assert_eq!(ids(&found), ids(&expected));
    assert_eq!(whats(&found), whats(&expected));
    assert_eq!(found[1].what, Ok(What::Key("a%3Ab:2".into())));
    assert!(
        found
            .iter()
            .all(|notice| notice.cache == ROWS && notice.age < SOON)
    );
}

#[tokio::test]
async fn many_notices_of_one_transaction_are_recorded_in_order() {
    let source = Source::new().await;
    let keys: Vec<i64> = (0..1_000).collect();
    let recorded = source.record(&Notices::of(ROWS).keys(&keys)).await;
    assert_eq!(source.count().await, 1_000);
    assert!(recorded.is_sorted_by(|a, b| a.id < b.id));
    let claim = Claim {
        caches: &[ROWS],
        except: &[],
        limit: 2_000,
        hold: MINUTE,
    };
    assert_eq!(
        whats(&source.outbox.claim(claim).await.unwrap()),
        whats(&recorded)
    );
}

#[tokio::test]
async fn recording_outside_of_a_transaction_is_refused() {
    let source = Source::new().await;
    let mut connection = source.db.acquire().await.unwrap();
    let refused: Error = sqlite::record(&mut connection, &Notices::of(ROWS).key(&1i64))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.to_string().contains("begin one"), "{refused}");
    assert_eq!(source.count().await, 0);
}

#[tokio::test]
async fn a_database_without_an_outbox_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let db = connect(&dir.path().join("plain.db")).await;
    let mut transaction = db.begin().await.unwrap();
    let refused = sqlite::record(&mut transaction, &Notices::of(ROWS).key(&1i64)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(
        refused.to_string().contains("SqliteOutbox::create"),
        "{refused}"
    );
}

#[tokio::test]
async fn creating_it_again_keeps_what_is_in_it() {
    let source = Source::new().await;
    source.write(1, 10).await;
    source.outbox.create().await.unwrap();
    run(&source, sqlite::SCHEMA).await;
    assert_eq!(source.count().await, 1);
}

#[tokio::test]
async fn what_one_has_taken_others_do_not_get_until_it_is_given_back() {
    let source = Source::new().await;
    source.write(1, 10).await;
    let taken = source.claim(MINUTE).await;
    assert_eq!(taken.len(), 1);
    assert!(source.claim(MINUTE).await.is_empty());
    source
        .outbox
        .postpone(&ids(&taken), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(ids(&source.claim(MINUTE).await), ids(&taken));
    source.outbox.postpone(&ids(&taken), MINUTE).await.unwrap();
    assert!(source.claim(MINUTE).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_has_taken_is_free_again_when_its_time_is_over() {
    let source = Source::new().await;
    source.write(1, 10).await;
    let hold = Duration::from_millis(300);
    assert_eq!(source.claim(hold).await.len(), 1);
    assert!(source.claim(hold).await.is_empty());
    let outbox = source.outbox.clone();
    eventually(SOON, "a free notice", move || {
        let outbox = outbox.clone();
        async move {
            let claim = Claim {
                caches: &[ROWS],
                except: &[],
                limit: 1,
                hold: MINUTE,
            };
            !outbox.claim(claim).await.unwrap().is_empty()
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_frees_notices_instead_of_keeping_them() {
    let source = Source::new().await;
    source.write(1, 10).await;
    assert_eq!(source.claim(MINUTE).await.len(), 1);
    // What the row looks like once the clock has been set back by an hour.
    run(
        &source,
        "UPDATE larder_outbox_v1 SET held_ms = held_ms + 3600000",
    )
    .await;
    run(
        &source,
        "UPDATE larder_outbox_v1 SET recorded_ms = recorded_ms + 3600000",
    )
    .await;
    let found = source.claim(MINUTE).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].age, Duration::ZERO);
}

#[tokio::test]
async fn a_number_is_never_given_twice_so_that_a_late_deletion_meets_nothing_new() {
    let source = Source::new().await;
    let first = source.write(1, 10).await;
    source.outbox.done(&ids(&first)).await.unwrap();
    assert_eq!(source.count().await, 0);
    let second = source.write(1, 11).await;
    assert!(second[0].id > first[0].id);
    source.outbox.done(&ids(&first)).await.unwrap();
    assert_eq!(source.count().await, 1);
}

#[tokio::test]
async fn only_what_is_asked_for_is_taken() {
    let source = Source::new().await;
    let notices = Notices::of("app:other").key(&1i64).and(ROWS);
    let recorded = source.record(&notices.keys(&[1i64, 2, 3, 4])).await;
    let claim = Claim {
        caches: &["app:none", ROWS],
        except: &[recorded[1].id],
        limit: 2,
        hold: MINUTE,
    };
    let found = source.outbox.claim(claim).await.unwrap();
    assert_eq!(ids(&found), [recorded[2].id, recorded[3].id]);
    let both = Claim {
        caches: &["app:other", ROWS],
        except: &[],
        limit: 9,
        ..claim
    };
    let mut found = ids(&source.outbox.claim(both).await.unwrap());
    found.sort_unstable();
    assert_eq!(found, [recorded[0].id, recorded[1].id, recorded[4].id]);
}

#[tokio::test]
async fn asking_in_vain_writes_nothing() {
    let source = Source::new().await;
    source.record(&Notices::of("app:other").key(&1i64)).await;
    // One connection: the number is about what others have written since it looked last.
    let mut watching = source.db.acquire().await.unwrap();
    let version = "PRAGMA data_version";
    let before: i64 = sqlx::query_scalar(version)
        .fetch_one(&mut *watching)
        .await
        .unwrap();
    for _ in 0..10 {
        assert!(source.claim(MINUTE).await.is_empty());
        source.outbox.backlog().await.unwrap();
    }
    let after: i64 = sqlx::query_scalar(version)
        .fetch_one(&mut *watching)
        .await
        .unwrap();
    assert_eq!(before, after);
    source.write(1, 10).await;
    let written: i64 = sqlx::query_scalar(version)
        .fetch_one(&mut *watching)
        .await
        .unwrap();
    assert_ne!(after, written);
}

#[tokio::test]
async fn plain_sql_and_triggers_record_as_well() {
    let source = Source::new().await;
    run(
        &source,
        "CREATE TRIGGER rows_change AFTER UPDATE ON rows BEGIN
            INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES ('app:rows', 'key', NEW.id);
         END;
         INSERT INTO rows VALUES (42, 1);
         UPDATE rows SET value = 2 WHERE id = 42;
         INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES ('app:rows', 'tag', 'ü');
         INSERT INTO larder_outbox_v1 (cache, kind) VALUES ('app:rows', 'clear');",
    )
    .await;
    let found = source.claim(MINUTE).await;
    let expected = [What::Key("42".into()), What::Tag("ü".into()), What::Clear];
    assert_eq!(whats(&found), expected);
    assert!(found.iter().all(|notice| notice.age < SOON));
}

#[tokio::test]
async fn later_kinds_stay_and_broken_notices_say_why() {
    let source = Source::new().await;
    run(
        &source,
        "INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES
            ('app:rows', 'region', '1'), ('app:rows', 'tag', ''), ('app:rows', 'tag', x'ff');",
    )
    .await;
    let found = source.claim(MINUTE).await;
    let problems: Vec<String> = found.into_iter().map(|it| it.what.unwrap_err()).collect();
    assert_eq!(
        problems,
        [
            "the tag has 0 bytes; it must have 1 to 256",
            "the tag is not UTF-8"
        ]
    );
    assert_eq!(source.count().await, 3);
}

#[tokio::test]
async fn how_much_waits_is_told_by_cache_and_kind() {
    let source = Source::new().await;
    assert!(source.outbox.backlog().await.unwrap().is_empty());
    source
        .record(&Notices::of(ROWS).keys(&[1i64, 2]).tag("t"))
        .await;
    source.record(&Notices::of("app:other").clear()).await;
    run(
        &source,
        "UPDATE larder_outbox_v1 SET recorded_ms = recorded_ms - 5000 WHERE id = 2",
    )
    .await;
    let backlog = source.outbox.backlog().await.unwrap();
    let found: Vec<_> = backlog
        .iter()
        .map(|group| (group.cache.as_str(), group.kind.as_str(), group.count))
        .collect();
    assert_eq!(
        found,
        [
            ("app:other", "clear", 1),
            (ROWS, "key", 2),
            (ROWS, "tag", 1)
        ]
    );
    assert!(backlog[1].oldest >= Duration::from_secs(5));
    assert!(backlog[2].oldest < Duration::from_secs(5));
}

#[tokio::test]
async fn a_notice_is_bounded_whoever_records_it() {
    let source = Source::new().await;
    let insert = "INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES (?, 'key', ?)";
    for (cache, body, fits) in [
        ("c".repeat(128), 65_536, true),
        ("c".repeat(129), 1, false),
        ("c".into(), 65_537, false),
    ] {
        let inserted = sqlx::query(insert)
            .bind(cache)
            .bind(vec![b'x'; body])
            .execute(&source.db);
        assert_eq!(inserted.await.is_ok(), fits, "{body}");
    }
    let text = "ü".repeat(40_000);
    let inserted = sqlx::query(insert).bind("c").bind(text).execute(&source.db);
    assert!(inserted.await.is_err(), "bytes count, not characters");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("missing.db");
    let outbox = SqliteOutbox::open(SqliteConnectOptions::new().filename(&file));
    assert_eq!(
        outbox.backlog().await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert!(outbox.create().await.is_err());
    assert!(!file.exists());
    outbox.close().await;
    assert_eq!(
        outbox.backlog().await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}
