//! Cache-aside over SQLite: typed rows, loaded once, invalidated after each update.

use larder::{Cache, LoadError, Loaded, Near, Source};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: i64,
    name: String,
}

/// What a program has for its users: the source, and the cache in front of it.
#[derive(Clone)]
struct Users {
    db: SqlitePool,
    cache: Cache<i64, User>,
}

impl Users {
    async fn open() -> Result<Users, Box<dyn std::error::Error>> {
        // Each connection to `:memory:` is a database of its own, so there must be only one.
        let db = SqlitePoolOptions::new()
            .max_connections(1)
            .connect("sqlite::memory:")
            .await?;
        sqlx::query("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            .execute(&db)
            .await?;
        sqlx::query("INSERT INTO users VALUES (1, 'Ada'), (2, 'Grace')")
            .execute(&db)
            .await?;
        let cache = Cache::builder("app:users")
            .ttl("1h")
            .near(Near::bytes("16MiB"))
            .build()
            .await?;
        Ok(Users { db, cache })
    }

    async fn get(&self, id: i64) -> Result<Loaded<User>, LoadError<sqlx::Error>> {
        let db = self.db.clone();
        let load = move |cx: larder::Cx<i64, _>| async move {
            let row = sqlx::query_as("SELECT id, name FROM users WHERE id = ?");
            let (id, name): (i64, String) = row.bind(*cx.key()).fetch_one(&db).await?;
            Ok(User { id, name })
        };
        self.cache.get_or_load(&id, load).await
    }

    /// The source first, then the cache: the other way round, a reader in between would load the
    /// old row and keep it.
    async fn rename(&self, id: i64, name: &str) -> Result<(), Box<dyn std::error::Error>> {
        sqlx::query("UPDATE users SET name = ? WHERE id = ?")
            .bind(name)
            .bind(id)
            .execute(&self.db)
            .await?;
        let _ = self.cache.invalidate(&id).await?;
        Ok(())
    }
}

async fn show(users: &Users, id: i64, name: &str, from: Source) -> Result<(), sqlx::Error> {
    let user = users.get(id).await.expect("there is such a user");
    println!("{:8} from {:?}", user.name, user.source());
    assert_eq!((user.name.as_str(), user.source()), (name, from));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users = Users::open().await?;
    show(&users, 1, "Ada", Source::Loaded).await?;
    show(&users, 1, "Ada", Source::Near).await?;

    users.rename(1, "Ada L.").await?;
    show(&users, 1, "Ada L.", Source::Loaded).await?;
    show(&users, 1, "Ada L.", Source::Near).await?;

    // A hundred tasks, one query.
    let before = users.cache.stats().loads.succeeded;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let users = users.clone();
            tokio::spawn(async move { users.get(2).await.map(|user| user.name.clone()) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await??, "Grace");
    }
    assert_eq!(users.cache.stats().loads.succeeded - before, 1);

    // The source's own error comes back as it is, and nothing is stored.
    match users.get(404).await {
        Err(LoadError::Loader(error)) => assert!(matches!(*error, sqlx::Error::RowNotFound)),
        other => panic!("{other:?}"),
    }
    println!("queries: {}", users.cache.stats().loads.succeeded);
    Ok(())
}
