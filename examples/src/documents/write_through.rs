//! Writing: the source first, then an invalidation; `insert` is for what has no other source.

use larder::{Cache, LoadError, Near, Source};

use super::source::{Accounts, NotFound, User};

type Error = Box<dyn std::error::Error>;

async fn update_user(
    accounts: &Accounts,
    users: &Cache<u64, User>,
    id: u64,
    name: &str,
) -> Result<(), Error> {
    accounts.update_user(id, name).await?; // 1. the truth
    let _ = users.invalidate(&id).await?; // 2. and no copy of what it was
    Ok(())
}

#[tokio::test]
async fn the_next_reader_gets_what_was_written() {
    let accounts = Accounts::with_ada();
    let users = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("1MiB"));
    let users = users.build().await.unwrap();
    let read = async || -> Result<_, LoadError<NotFound>> {
        let accounts = accounts.clone();
        let load = |cx: larder::Cx<u64, _>| async move { accounts.get_user(*cx.key()).await };
        users.get_or_load(&7, load).await
    };
    assert_eq!(read().await.unwrap().name, "Ada");
    update_user(&accounts, &users, 7, "Ada L.").await.unwrap();
    let user = read().await.unwrap();
    assert_eq!(
        (user.name.as_str(), user.source()),
        ("Ada L.", Source::Loaded)
    );
}
