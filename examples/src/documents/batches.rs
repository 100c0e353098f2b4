//! Several keys at once: invalidated together, written and read in one round trip.

use larder::{Cache, Near};

async fn invalidate_user_caches(
    cache: &Cache<(u64, String), String>,
    user: u64,
) -> Result<usize, larder::Error> {
    let keys = ["profile", "settings", "posts"].map(|part| (user, part.to_owned()));
    Ok(cache.invalidate_many(&keys).await?.existed())
}

async fn batch_and_pipeline(cache: &Cache<String, u64>) -> Result<Vec<u64>, larder::Error> {
    let values = [("key1", 1), ("key2", 2), ("key3", 3)];
    let owned = values.map(|(key, value)| (key.to_owned(), value));
    cache.insert_many(owned).await?;
    let found = cache.get_many(["key1", "key2", "key3"]).await?;
    Ok(found.into_iter().flatten().map(|value| *value).collect())
}

#[tokio::test]
async fn what_is_there_is_removed_and_counted() {
    let cache = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("1MiB"));
    let cache = cache.build().await.unwrap();
    let key = |part: &str| (7, part.to_owned());
    cache.insert(&key("profile"), "…".into()).await.unwrap();
    cache.insert(&key("posts"), "…".into()).await.unwrap();
    assert_eq!(invalidate_user_caches(&cache, 7).await.unwrap(), 2);
    assert!(cache.get(&key("posts")).await.unwrap().is_none());
}

#[tokio::test]
async fn batches_come_back_in_order() {
    let cache = Cache::builder("app:counts")
        .ttl("1h")
        .near(Near::bytes("1MiB"));
    let cache = cache.build().await.unwrap();
    assert_eq!(batch_and_pipeline(&cache).await.unwrap(), [1, 2, 3]);
}
