//! The outbox in a SQLite database: recording inside of the writer's transaction, and taking notices
//! from any process that can open the file.
//!
//! The outbox has connections of its own beside those of the program, so that neither waits for the
//! other's pool, and so that its patience with a locked file is its own. Time is that of SQL: all who
//! open a file are on one machine and read one clock.

mod statements;

use std::time::Duration;

use bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::outbox::{Backlog, Claim, Notice, Notices, Outbox, What};
use larder_core::runtime::BoxFuture;
use sqlx::error::ErrorKind as SqlKind;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool, SqlitePoolOptions};
use sqlx::{Connection, QueryBuilder, Sqlite};

use statements::{BACKLOG, CLAIM, CREATE, DONE, LOOK, POSTPONE, TABLE, WAITING};

/// How long a statement waits for others who write. Notices can be read meanwhile, and deleted
/// later; whoever takes them has more to do than to wait.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a caller waits for one of the connections.
const QUEUE: Duration = Duration::from_secs(2);

/// One for whoever takes notices, one for writers who delete their own.
const CONNECTIONS: u32 = 2;

/// Notices that one statement inserts.
const ROWS: usize = 64;

/// The statements that make the table, for programs that keep their schema in files. They may be
/// run again and again.
pub const SCHEMA: &str = CREATE;

/// The outbox of a SQLite database. Cheap to clone.
///
/// ```
/// use larder_core::outbox::Notices;
/// use larder_sql::sqlite::{self, SqliteOutbox};
/// use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
///
/// async fn rename(db: &SqlitePool, id: i64, name: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let mut transaction = db.begin().await?;
///     sqlx::query("UPDATE users SET name = ? WHERE id = ?")
///         .bind(name)
///         .bind(id)
///         .execute(&mut *transaction)
///         .await?;
///     let notices = Notices::of("app:users").key(&id).tag("names");
///     sqlite::record(&mut transaction, &notices).await?;
///     transaction.commit().await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteOutbox {
    pool: SqlitePool,
}

impl SqliteOutbox {
    /// The outbox of the database that these options open. Does no I/O; a missing file is an error
    /// of every later call until it is there, and is never created.
    ///
    /// The options are those with which the program opens its own connections; only the time limit
    /// for a locked database is replaced. A database in memory has no outbox that others could open,
    /// and would be another one for each connection.
    pub fn open(options: SqliteConnectOptions) -> SqliteOutbox {
        let options = options.create_if_missing(false).busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(QUEUE)
            .connect_lazy_with(options);
        SqliteOutbox { pool }
    }

    /// The outbox of the database at `sqlite:` and the path of its file. Does no I/O, as
    /// [`open`](SqliteOutbox::open).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the address is another one.
    pub fn at(url: &str) -> Result<SqliteOutbox> {
        let path = url.strip_prefix("sqlite:").filter(|path| !path.is_empty());
        let Some(path) = path else {
            let message = "an outbox is at sqlite: and the path of a file";
            return Err(Error::new(ErrorKind::Config, message));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        Ok(SqliteOutbox::open(
            SqliteConnectOptions::new().filename(path),
        ))
    }

    /// Creates the table, unless it is there. [`SCHEMA`] is what it runs.
    ///
    /// # Errors
    ///
    /// When the file is missing, locked for long, or cannot be written.
    pub async fn create(&self) -> Result<()> {
        let created = sqlx::raw_sql(CREATE).execute(&self.pool).await;
        created.map(drop).map_err(|error| failed("created", error))
    }

    /// Closes the connections. Every later call is an error.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn take(&self, claim: Claim<'_>) -> Result<Vec<Notice>> {
        let read = |error| failed("read", error);
        let mut connection = self.pool.acquire().await.map_err(read)?;
        let waiting: Vec<String> = sqlx::query_scalar(WAITING)
            .bind(json(claim.caches))
            .bind(json(claim.except))
            .fetch_all(&mut *connection)
            .await
            .map_err(read)?;
        let mut notices = Vec::new();
        for cache in waiting {
            let left = claim.limit.saturating_sub(notices.len());
            if left == 0 {
                break;
            }
            notices.extend(take_from(&mut connection, &cache, left, claim).await?);
        }
        Ok(notices)
    }
}

impl Outbox for SqliteOutbox {
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Vec<Notice>>> {
        Box::pin(self.take(claim))
    }

    fn done<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let deleted = sqlx::query(DONE).bind(json(ids)).execute(&self.pool).await;
            deleted.map(drop).map_err(|error| failed("emptied", error))
        })
    }

    fn postpone<'a>(&'a self, ids: &'a [u64], by: Duration) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let postponed = sqlx::query(POSTPONE)
                .bind(json(ids))
                .bind(millis(by))
                .execute(&self.pool)
                .await;
            postponed
                .map(drop)
                .map_err(|error| failed("written", error))
        })
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Vec<Backlog>>> {
        Box::pin(async move {
            let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(BACKLOG)
                .fetch_all(&self.pool)
                .await
                .map_err(|error| failed("read", error))?;
            let backlog = |(cache, kind, count, oldest)| Backlog {
                cache,
                kind,
                count: u64::try_from(count).unwrap_or(0),
                oldest: age(oldest),
            };
            Ok(rows.into_iter().map(backlog).collect())
        })
    }
}

/// Records notices inside of the transaction that `connection` is in: they are there if and only if
/// the transaction commits. Returns them as they are in the outbox, for whoever wants to carry them
/// out without waiting for somebody else to find them (`larder::Invalidator::deliver`).
///
/// # Errors
///
/// [`ErrorKind::Invalid`] for [notices](Notices::check) that are wrong, and outside of a transaction
/// begun by sqlx, where notices could be left by a change that never came. [`ErrorKind::Config`]
/// when the database has no outbox. Nothing was recorded; roll back.
///
/// # Cancellation
///
/// Roll back: some may have been recorded.
pub async fn record(connection: &mut SqliteConnection, notices: &Notices) -> Result<Vec<Notice>> {
    let notices = notices.check()?;
    if !connection.is_in_transaction() {
        let message = "notices are recorded inside of a transaction: begin one (sqlx: begin), \
                       change the source and record in it, then commit";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let mut recorded = Vec::with_capacity(notices.len());
    for rows in notices.chunks(ROWS) {
        let mut insert =
            QueryBuilder::<Sqlite>::new(format!("INSERT INTO {TABLE} (cache, kind, body) "));
        insert.push_values(rows, |mut row, (cache, what)| {
            row.push_bind((*cache).to_owned())
                .push_bind(what.kind())
                .push_bind(what.body().to_vec());
        });
        insert.push(" RETURNING id");
        let mut ids: Vec<i64> = insert
            .build_query_scalar()
            // Each number of rows is another statement: not to be kept in the writer's connection.
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| failed("written", error))?;
        // The order in which they are returned is not promised; that of the numbers is.
        ids.sort_unstable();
        recorded.extend(ids.into_iter().zip(rows).map(|(id, (cache, what))| Notice {
            id: id.cast_unsigned(),
            cache: (*cache).to_owned(),
            what: Ok((*what).clone()),
            age: Duration::ZERO,
        }));
    }
    Ok(recorded)
}

type Row = (i64, String, Vec<u8>, i64);

async fn take_from(
    connection: &mut SqliteConnection,
    cache: &str,
    limit: usize,
    claim: Claim<'_>,
) -> Result<Vec<Notice>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let except = json(claim.except);
    let held = sqlx::query_as(CLAIM)
        .bind(cache)
        .bind(&except)
        .bind(limit)
        .bind(millis(claim.hold))
        .fetch_all(&mut *connection)
        .await;
    let rows: Vec<Row> = match held {
        Ok(rows) => rows,
        // Somebody writes for long, or the file cannot be written at all. That must not keep copies
        // stale: what cannot be held can still be carried out.
        Err(_) => sqlx::query_as(LOOK)
            .bind(cache)
            .bind(&except)
            .bind(limit)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| failed("read", error))?,
    };
    let notice = |(id, kind, body, recorded): Row| Notice {
        id: id.cast_unsigned(),
        cache: cache.to_owned(),
        what: What::read(&kind, Bytes::from(body)),
        age: age(recorded),
    };
    Ok(rows.into_iter().map(notice).collect())
}

fn age(ms: i64) -> Duration {
    // Negative when the clock was set back.
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn json<T: Clone + Into<serde_json::Value>>(list: &[T]) -> String {
    serde_json::Value::from(list).to_string()
}

/// What a caller can do about an error of SQLite.
fn failed(what: &str, error: sqlx::Error) -> Error {
    let text = error.to_string();
    let has_no_table = text.contains("no such table");
    let kind = match &error {
        sqlx::Error::PoolTimedOut => ErrorKind::Timeout,
        sqlx::Error::PoolClosed => ErrorKind::Closed,
        sqlx::Error::Database(_) if has_no_table => ErrorKind::Config,
        sqlx::Error::Database(refused) if refused.kind() != SqlKind::Other => ErrorKind::Refused,
        _ => ErrorKind::Unavailable,
    };
    let advice = if has_no_table {
        "; create it with SqliteOutbox::create, or the statements of SCHEMA"
    } else {
        ""
    };
    let message = format!("the outbox {TABLE} could not be {what}{advice}");
    Error::with_source(kind, message, std::sync::Arc::new(error))
}
