//! What the documents call a fallback, behind one verb: one load at a time, a stale value when the source is down.

use std::sync::Arc;
use std::time::Duration;

use larder::{Cache, LoadError, Loaded, Near};

use super::source::{Accounts, NotFound, User};

async fn fail_safe_users() -> Result<Cache<u64, User>, larder::Error> {
    Cache::builder("app:users")
        .ttl("1h")
        .stale_for("24h")
        .near(Near::bytes("64MiB"))
        .build()
        .await
}

async fn get_with_fallback(
    users: &Cache<u64, User>,
    accounts: &Accounts,
    id: u64,
) -> Result<Loaded<User>, LoadError<NotFound>> {
    let accounts = accounts.clone();
    users
        .get_or_load(&id, |cx| async move { accounts.get_user(*cx.key()).await })
        .await
}

#[tokio::test]
async fn a_hundred_callers_ask_the_source_once() {
    let users = Arc::new(fail_safe_users().await.unwrap());
    let accounts = Accounts::with_ada();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let (users, accounts) = (users.clone(), accounts.clone());
            tokio::spawn(async move {
                let user = get_with_fallback(&users, &accounts, 7).await;
                user.map(|user| user.name.clone())
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "Ada");
    }
    assert_eq!(accounts.queries(), 1);
}

#[tokio::test]
async fn an_expired_value_is_better_than_none() {
    let users = fail_safe_users().await.unwrap();
    assert_eq!(users.policy().stale_for, Duration::from_hours(24));
    get_with_fallback(&users, &Accounts::with_ada(), 7)
        .await
        .unwrap();
    assert_eq!(users.expire(&7).await.unwrap().existed(), 1);
    let source_without_rows = Accounts::default();
    let user = get_with_fallback(&users, &source_without_rows, 7).await;
    assert!(user.unwrap().is_stale());
}
