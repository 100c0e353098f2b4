//! The first program: a near cache in front of something slow. The same as in README.md.

use std::io;

use larder::{Cache, Near, Source};

async fn find_user(id: u64) -> io::Result<String> {
    Ok(format!("user {id}")) // here you would ask your database
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users: Cache<u64, String> = Cache::builder("app:users")
        .ttl("1h")
        .near(Near::bytes("64MiB"))
        .build()
        .await?;

    // However many tasks ask for user 7 at once, the source is asked once.
    let load = |cx: larder::Cx<u64, _>| async move { find_user(*cx.key()).await };
    let user = users.get_or_load(&7, load).await?;
    assert_eq!((user.as_str(), user.source()), ("user 7", Source::Loaded));

    let user = users.get_or_load(&7, load).await?;
    assert_eq!((user.as_str(), user.source()), ("user 7", Source::Near));

    // After a change of the source: no later read gives what was read before this call.
    let receipt = users.invalidate(&7).await?;
    assert_eq!(receipt.existed(), 1);
    assert!(users.get(&7).await?.is_none());

    println!("hits: {}", users.stats().near.hits);
    Ok(())
}
