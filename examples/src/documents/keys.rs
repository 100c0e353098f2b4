//! Keys: `<namespace>:<entity>:<id>:<field>`.

use std::sync::Arc;

use larder::core::space::Space;
use larder::core::store::Keyspace;
use larder::embedded::Embedded;
use larder::{Cache, TokioRuntime};

async fn name_keys(store: &Embedded) -> Result<(), larder::Error> {
    let users: Cache<(u64, String), String> = Cache::builder("app:users")
        .ttl("1h")
        .remote(store.clone())
        .build()
        .await?;
    let config: Cache<String, bool> = Cache::builder("app:config")
        .ttl("5m")
        .remote(store.clone())
        .build()
        .await?;
    users.insert(&(123, "name".into()), "Ada".into()).await?; // app:users:123:name
    config.insert("feature_flags", true).await?; // app:config:feature_flags
    Ok(())
}

#[tokio::test]
async fn keys_are_written_as_the_documents_want_them() {
    let store = Embedded::new(Arc::new(TokioRuntime::current()));
    name_keys(&store).await.unwrap();
    let all = Space::default();
    let mut keys = store.scan(&all, 0, usize::MAX).await.unwrap().keys;
    keys.sort();
    assert_eq!(keys, ["app:config:feature_flags", "app:users:123:name"]);
}
