//! Time-based expiration: a life for each class of values, and one for a single value.

use std::convert::Infallible;
use std::time::Duration;

use larder::{Builder, Cache, Key, LoadError, Loaded, Near};

struct Caches {
    users: Cache<u64, String>,
    sessions: Cache<String, String>,
    flags: Cache<String, bool>,
}

async fn ttl_classes() -> Result<Caches, larder::Error> {
    fn named<K: Key, V>(name: &str, ttl: &str) -> Builder<K, V> {
        Cache::builder(name).ttl(ttl).near(Near::bytes("16MiB"))
    }
    Ok(Caches {
        users: named("app:users", "1h").build().await?,
        sessions: named("app:session", "24h").build().await?,
        flags: named("app:config", "5m").build().await?,
    })
}

async fn recent_posts(
    pages: &Cache<String, Vec<String>>,
) -> Result<Loaded<Vec<String>>, LoadError<Infallible>> {
    pages
        .get_or_load("posts:recent", |cx| async move {
            let posts = vec!["first".to_owned(), "second".to_owned()];
            // New posts come often; a page without any comes back sooner still.
            cx.ttl(Duration::from_mins(if posts.is_empty() { 1 } else { 5 }));
            Ok(posts)
        })
        .await
}

#[tokio::test]
async fn each_class_has_its_life() {
    let caches = ttl_classes().await.unwrap();
    let hours = |hours| Some(Duration::from_hours(hours));
    assert_eq!(caches.users.policy().ttl, hours(1));
    assert_eq!(caches.sessions.policy().ttl, hours(24));
    assert_eq!(caches.flags.policy().ttl, Some(Duration::from_mins(5)));
}

#[tokio::test]
async fn a_single_value_has_another() {
    let pages = Cache::builder("app:pages")
        .ttl("24h")
        .near(Near::bytes("1MiB"));
    let pages = pages.build().await.unwrap();
    assert_eq!(recent_posts(&pages).await.unwrap().len(), 2);
    assert!(pages.contains_key("posts:recent").await.unwrap());
}
