//! What the tests share: a source in a SQLite file, and caches over a Redis server that load from it.

mod watched;

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::core::outbox::{Claim, Notice, Notices, Outbox};
use larder::redis::Redis;
use larder::{Builder, Cache, Invalidator, Near};
use larder_sql::sqlite::{self, SqliteOutbox};
use larder_testkit::servers::{RedisOptions, RedisServer, TimedOut, until};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
use tempfile::TempDir;

pub(crate) use watched::Watched;

/// Far more than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// What the outbox promises.
pub(crate) const PROMISED: Duration = Duration::from_secs(2);

/// A cache of the rows of a source.
pub(crate) type Rows = Cache<i64, i64>;

/// The name of that cache.
pub(crate) const ROWS: &str = "app:rows";

/// A SQLite file with a table of numbers, and an outbox in it.
pub(crate) struct Source {
    pub(crate) db: SqlitePool,
    pub(crate) outbox: SqliteOutbox,
    dir: TempDir,
}

impl Source {
    pub(crate) async fn new() -> Source {
        let dir = tempfile::tempdir().unwrap();
        let db = connect(&file(&dir)).await;
        sqlx::query("CREATE TABLE rows (id INTEGER PRIMARY KEY, value INTEGER NOT NULL)")
            .execute(&db)
            .await
            .unwrap();
        let outbox = SqliteOutbox::open(SqliteConnectOptions::new().filename(file(&dir)));
        outbox.create().await.unwrap();
        Source { db, outbox, dir }
    }

    pub(crate) fn file(&self) -> PathBuf {
        file(&self.dir)
    }

    /// Changes a row and records that its key is invalid, in one transaction.
    pub(crate) async fn write(&self, id: i64, value: i64) -> Vec<Notice> {
        let mut transaction = self.db.begin().await.unwrap();
        set(&mut transaction, id, value).await;
        let notices = Notices::of(ROWS).key(&id);
        let recorded = sqlite::record(&mut transaction, &notices).await.unwrap();
        transaction.commit().await.unwrap();
        recorded
    }

    /// Records notices and nothing else.
    pub(crate) async fn record(&self, notices: &Notices) -> Vec<Notice> {
        let mut transaction = self.db.begin().await.unwrap();
        let recorded = sqlite::record(&mut transaction, notices).await.unwrap();
        transaction.commit().await.unwrap();
        recorded
    }

    /// How many notices are in the outbox.
    pub(crate) async fn count(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM larder_outbox_v1");
        count.fetch_one(&self.db).await.unwrap()
    }

    /// Takes notices of the rows' cache as a tail would.
    pub(crate) async fn claim(&self, hold: Duration) -> Vec<Notice> {
        let claim = Claim {
            caches: &[ROWS],
            except: &[],
            limit: 100,
            hold,
        };
        self.outbox.claim(claim).await.unwrap()
    }

    /// Waits until no notice is left.
    pub(crate) async fn drained(&self) {
        self.left("%", 0).await;
    }

    /// Waits until so many notices are left of the caches whose names are like this.
    pub(crate) async fn left(&self, like: &'static str, expected: i64) {
        let db = self.db.clone();
        eventually(SOON, "the deletion of notices", move || {
            let db = db.clone();
            async move {
                let count = "SELECT count(*) FROM larder_outbox_v1 WHERE cache LIKE ?";
                let count = sqlx::query_scalar::<_, i64>(count).bind(like);
                count.fetch_one(&db).await.unwrap() == expected
            }
        })
        .await
        .unwrap();
    }
}

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("source.db")
}

/// Connections as a program has them.
pub(crate) async fn connect(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    SqlitePool::connect_with(options).await.unwrap()
}

pub(crate) async fn set(connection: &mut sqlx::SqliteConnection, id: i64, value: i64) {
    sqlx::query("INSERT OR REPLACE INTO rows VALUES (?, ?)")
        .bind(id)
        .bind(value)
        .execute(connection)
        .await
        .unwrap();
}

pub(crate) fn redis() -> Option<RedisServer> {
    RedisServer::start_or_skip(RedisOptions::new())
}

pub(crate) fn on(server: &RedisServer, name: &str) -> Builder<i64, i64> {
    let redis = Redis::open(&server.url()).unwrap();
    // A server that is frozen or dead is given up after this, so that tests come to an end.
    let redis = redis.response_timeout(Duration::from_millis(300));
    Cache::builder(name)
        .ttl("1h")
        .near(Near::bytes("4MiB"))
        .remote(redis)
}

/// A cache with a near cache of its own, as another process would have it.
pub(crate) async fn node(server: &RedisServer) -> Rows {
    on(server, ROWS).build().await.unwrap()
}

pub(crate) fn invalidator(rows: &Rows) -> Invalidator {
    Invalidator::builder().cache(rows).build().unwrap()
}

/// The value of a row, by way of a cache.
pub(crate) async fn read(rows: &Rows, db: &SqlitePool, id: i64) -> i64 {
    let db = db.clone();
    let load = move |cx: larder::Cx<i64, _>| async move {
        let row = sqlx::query_scalar("SELECT value FROM rows WHERE id = ?");
        row.bind(*cx.key()).fetch_one(&db).await
    };
    *rows.get_or_load(&id, load).await.unwrap()
}

/// Reads until the value comes from the near cache.
pub(crate) async fn hold_near(rows: &Rows, db: &SqlitePool, id: i64) {
    let (rows, db) = (rows.clone(), db.clone());
    eventually(SOON, "a near copy", move || {
        let (rows, db) = (rows.clone(), db.clone());
        async move {
            read(&rows, &db, id).await;
            let found = rows.get(&id).await.unwrap();
            found.is_some_and(|value| value.source() == larder::Source::Near)
        }
    })
    .await
    .unwrap();
}

/// Waits until a row reads as `value` by way of a cache.
pub(crate) async fn reads_as(
    rows: &Rows,
    db: &SqlitePool,
    (id, value): (i64, i64),
    limit: Duration,
) -> Result<(), TimedOut> {
    let (rows, db) = (rows.clone(), db.clone());
    eventually(limit, "the committed value", move || {
        let (rows, db) = (rows.clone(), db.clone());
        async move { read(&rows, &db, id).await == value }
    })
    .await
}

/// Looks again and again until `condition` holds, without holding up the runtime.
pub(crate) async fn eventually<F>(
    limit: Duration,
    what: &'static str,
    condition: impl Fn() -> F + Send + 'static,
) -> Result<(), TimedOut>
where
    F: Future<Output = bool>,
{
    let handle = tokio::runtime::Handle::current();
    let looking =
        tokio::task::spawn_blocking(move || until(limit, what, || handle.block_on(condition())));
    looking.await.unwrap()
}
