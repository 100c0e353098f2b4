//! Cache-aside: load on demand, invalidate after a change.

use larder::{Cache, LoadError, Loaded, Near};

use super::source::{Accounts, NotFound, User};

type Error = Box<dyn std::error::Error>;

struct Users {
    accounts: Accounts,
    cache: Cache<u64, User>,
}

impl Users {
    async fn get_user(&self, id: u64) -> Result<Loaded<User>, LoadError<NotFound>> {
        let accounts = self.accounts.clone();
        self.cache
            .get_or_load(&id, |cx| async move { accounts.get_user(*cx.key()).await })
            .await
    }

    async fn update_user(&self, id: u64, name: &str) -> Result<(), Error> {
        self.accounts.update_user(id, name).await?;
        let _ = self.cache.invalidate(&id).await?;
        Ok(())
    }
}

async fn read_through(accounts: Accounts) -> Result<Cache<u64, User>, larder::Error> {
    Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("64MiB"))
        .loader(move |cx| {
            let accounts = accounts.clone();
            async move { accounts.get_user(*cx.key()).await }
        })
        .build()
        .await
}

async fn users() -> Users {
    let cache = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("64MiB"));
    Users {
        accounts: Accounts::with_ada(),
        cache: cache.build().await.unwrap(),
    }
}

#[tokio::test]
async fn a_user_is_read_once_and_again_after_an_update() {
    let users = users().await;
    for _ in 0..3 {
        assert_eq!(users.get_user(7).await.unwrap().name, "Ada");
    }
    assert_eq!(users.accounts.queries(), 1);
    users.update_user(7, "Ada L.").await.unwrap();
    assert_eq!(users.get_user(7).await.unwrap().name, "Ada L.");
    assert!(users.get_user(8).await.is_err());
}

#[tokio::test]
async fn a_reading_through_cache_loads_by_get() {
    let accounts = Accounts::with_ada();
    let cache = read_through(accounts.clone()).await.unwrap();
    for _ in 0..3 {
        let user = cache.get(&7).await.unwrap().unwrap();
        assert_eq!(user.name, "Ada");
    }
    assert_eq!(accounts.queries(), 1);
    assert!(cache.get(&8).await.is_err());
}
