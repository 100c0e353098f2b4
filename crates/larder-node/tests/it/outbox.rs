//! An outbox that nodes follow: what a writer has committed is invalidated, in whatever language it was
//! written and whatever became of it.

use std::time::Duration;

use larder_testkit::servers::{RedisOptions, RedisServer, until};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::node::{LIMIT, Node, refusal, run};
use crate::wire::{Wire, until_reply};

#[test]
fn a_row_in_the_outbox_ends_near_copies_on_every_node() {
    let Some(redis) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("app.db");
    let url = format!("sqlite:{}", file.display());
    let runtime = Runtime::new().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true);
    let db = runtime.block_on(SqlitePool::connect_with(options)).unwrap();
    let sql = |text: &'static str| {
        runtime.block_on(sqlx::raw_sql(text).execute(&db)).unwrap();
    };
    sql(larder_sql::sqlite::SCHEMA);
    let flags = [
        "--outbox-url",
        &url,
        "--outbox-caches",
        "app:users, app:orders",
    ];
    let nodes = [
        Node::over(&redis.url(), &flags),
        Node::over(&redis.url(), &[]),
    ];
    let mut wires = [Wire::connect(nodes[0].resp), Wire::connect(nodes[1].resp)];
    for row in [
        "INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES ('app:users', 'key', '7')",
        "INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES ('app:users', 'tag', 'all')",
        "INSERT INTO larder_outbox_v1 (cache, kind, body) VALUES ('app:users', 'clear', '')",
    ] {
        wires[0].ask("CACHE.SET app:users:7 ann TAGS app:users 1 all");
        for wire in &mut wires {
            until_reply(wire, "GET app:users:7", "ann");
        }
        sql(row);
        let committed = Instant::now();
        for wire in &mut wires {
            until_reply(wire, "GET app:users:7", "(nil)");
        }
        let took = committed.elapsed();
        assert!(took < Duration::from_secs(4), "{row}: {took:?}");
    }
    let left = "SELECT count(*) FROM larder_outbox_v1";
    until(LIMIT, "an empty outbox", || {
        runtime
            .block_on(sqlx::query_scalar::<_, i64>(left).fetch_one(&db))
            .unwrap()
            == 0
    })
    .unwrap();
    let done = "cache_outbox_notices_total{outcome=\"carried_out\"}";
    assert!(nodes[0].metric(done) >= 3.0);
    assert!(!nodes[1].get("/metrics").body.contains("cache_outbox"));
}

#[test]
fn an_outbox_of_no_cache_or_of_another_kind_is_refused() {
    let refused = refusal(&run(&["--check", "--outbox-url", "sqlite:/x.db"], &[]));
    assert!(refused.contains("says of no cache"), "{refused}");
    let refused = refusal(&run(&["--check", "--outbox-caches", "app:users"], &[]));
    assert!(refused.contains("set outbox.url"), "{refused}");
    let flags = [
        "--check",
        "--outbox-caches",
        "a",
        "--outbox-url",
        "postgres://x",
    ];
    let output = run(&flags, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("accepted: sqlite: and the path of a file"),
        "{stderr}"
    );
    let flags = [
        "--check",
        "--outbox-url",
        "sqlite:/x.db",
        "--outbox-caches",
        "a*",
    ];
    let refused = String::from_utf8(run(&flags, &[]).stderr).unwrap();
    assert!(
        refused.contains("has \"a*\", which is no name of a cache"),
        "{refused}"
    );
}
