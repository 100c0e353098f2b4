//! The central invalidator: one event, and everything that shows a user is invalid.

use larder::{Cache, InsertOptions, Invalidator, Near, Rules};

fn user_rules() -> Rules {
    Rules::new().on("user", |rule| {
        rule.key("app:user", "{id}")
            .key("app:user", "{id}:profile")
            .key("app:user", "{id}:posts")
            .key("app:user", "{id}:friends")
            .tag("app:pages", "user:{id}")
    })
}

async fn update_user(caches: &Invalidator, id: u64) -> Result<usize, larder::Error> {
    // Here the row is updated, and then:
    let report = caches.event("user", [("id", id)]).await?;
    Ok(report.existed())
}

async fn cache(name: &str) -> Cache<String, u64> {
    let builder = Cache::builder(name).ttl("1h").near(Near::bytes("1MiB"));
    builder.build().await.unwrap()
}

#[tokio::test]
async fn nothing_that_shows_the_user_is_left() {
    let (users, pages) = (cache("app:user").await, cache("app:pages").await);
    for key in ["7", "7:profile", "7:friends", "8", "70"] {
        users.insert(key, 1).await.unwrap();
    }
    let tagged = InsertOptions::new().tag("user:7");
    pages.insert_with("home", 1, tagged).await.unwrap();
    let caches = Invalidator::builder().cache(&users).cache(&pages);
    let caches = caches.rules(user_rules()).build().unwrap();
    assert_eq!(update_user(&caches, 7).await.unwrap(), 3);
    assert!(!pages.contains_key("home").await.unwrap());
    for (key, is_there) in [("7:profile", false), ("8", true), ("70", true)] {
        assert_eq!(users.contains_key(key).await.unwrap(), is_there, "{key}");
    }
}
