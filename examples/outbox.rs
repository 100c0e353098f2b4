//! An outbox in SQLite: a writer that dies right after its commit leaves nothing stale.

use std::time::Duration;

use larder::outbox::{Notices, Tail};
use larder::{Cache, Invalidator, LoadError, Near};
use larder_sql::sqlite::{self, SqliteOutbox};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

type Names = Cache<i64, String>;

/// The change and its notice, in one transaction; then the invalidation, at once.
async fn rename(
    db: &SqlitePool,
    outbox: &SqliteOutbox,
    caches: &Invalidator,
    (id, name): (i64, &str),
) -> Result<(), Box<dyn std::error::Error>> {
    let mut transaction = db.begin().await?;
    sqlx::query("UPDATE users SET name = ? WHERE id = ?")
        .bind(name)
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    let notices = Notices::of("app:names").key(&id).tag("all names");
    let notices = sqlite::record(&mut transaction, &notices).await?;
    let delivery = caches
        .commit_and_deliver(transaction.commit(), outbox, &notices)
        .await?;
    // What could not be delivered now is in the outbox, and is no reason to fail.
    println!("renamed {id}: {delivery:?}");
    Ok(())
}

/// The same by a writer that dies between its commit and its invalidation.
async fn rename_and_die(
    db: &SqlitePool,
    id: i64,
    name: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut transaction = db.begin().await?;
    sqlx::query("UPDATE users SET name = ? WHERE id = ?")
        .bind(name)
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    sqlite::record(&mut transaction, &Notices::of("app:names").key(&id)).await?;
    transaction.commit().await?;
    Ok(()) // And nothing more.
}

async fn name(names: &Names, db: &SqlitePool, id: i64) -> Result<String, LoadError<sqlx::Error>> {
    let db = db.clone();
    let load = move |cx: larder::Cx<i64, _>| async move {
        let row = sqlx::query_scalar("SELECT name FROM users WHERE id = ?");
        row.bind(*cx.key()).fetch_one(&db).await
    };
    Ok((*names.get_or_load(&id, load).await?).clone())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let file = SqliteConnectOptions::new().filename(dir.path().join("app.db"));
    let db = SqlitePool::connect_with(file.clone().create_if_missing(true)).await?;
    sqlx::raw_sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
         INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')",
    )
    .execute(&db)
    .await?;

    // With `.remote(…)`, all processes that share the remote tier hear of what one of them finds.
    let names: Names = Cache::builder("app:names")
        .ttl("1h")
        .near(Near::bytes("16MiB"))
        .build()
        .await?;
    let caches = Invalidator::builder().cache(&names).build()?;

    // Every process that serves follows the outbox for as long as it lives.
    let outbox = SqliteOutbox::open(file);
    outbox.create().await?;
    let tail = Tail::start(outbox.clone(), &caches);

    assert_eq!(name(&names, &db, 1).await?, "Ada");
    rename(&db, &outbox, &caches, (1, "Ada L.")).await?;
    assert_eq!(name(&names, &db, 1).await?, "Ada L.");

    assert_eq!(name(&names, &db, 2).await?, "Grace");
    rename_and_die(&db, 2, "Grace H.").await?;
    let found = async {
        while name(&names, &db, 2).await? != "Grace H." {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<(), LoadError<sqlx::Error>>(())
    };
    tokio::time::timeout(Duration::from_secs(2), found).await??;
    println!("found what the dead writer had left: {:?}", tail.stats());
    tail.stop().await;
    Ok(())
}
