//! Rules: one event of the program invalidates what was declared in one place.

use larder::{Cache, InsertOptions, Invalidator, Near, Rules};

/// What becomes invalid when a user changes: everything that shows one.
fn rules() -> Rules {
    Rules::new().on("user", |rule| {
        rule.key("app:users", "{id}")
            .key("app:profiles", "{id}:short")
            .key("app:profiles", "{id}:long")
            .tag("app:orders", "user:{id}")
    })
}

/// The same as configuration.
const CONFIGURATION: &str = r#"
[on.user]
key = { "app:users" = "{id}", "app:profiles" = ["{id}:short", "{id}:long"] }
tag = { "app:orders" = "user:{id}" }

[on.price-list]
clear = ["app:orders"]
"#;

async fn cache<K: larder::Key>(name: &str) -> Result<Cache<K, String>, larder::Error> {
    let builder = Cache::builder(name).ttl("1h");
    builder.near(Near::bytes("16MiB")).build().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let users: Cache<u64, String> = cache("app:users").await?;
    let profiles: Cache<(u64, String), String> = cache("app:profiles").await?;
    let orders: Cache<u64, String> = cache("app:orders").await?;

    // Checked as a whole: a cache that is not there, a template that cannot be read.
    let caches = Invalidator::builder()
        .cache(&users)
        .cache(&profiles)
        .cache(&orders)
        .rules(rules())
        .build()?;

    for id in [7, 8] {
        users.insert(&id, format!("user {id}")).await?;
        profiles.insert(&(id, "short".into()), "…".into()).await?;
        let of_user = InsertOptions::new().tag(format!("user:{id}"));
        let order = format!("an order of {id}");
        orders.insert_with(&(100 + id), order, of_user).await?;
    }

    // Wherever the program changes a user:
    let report = caches.event("user", [("id", 7)]).await?;
    println!("invalidated: {:?}", report.invalidated());
    assert_eq!(report.existed(), 2);
    assert!(users.get(&7).await?.is_none());
    assert!(orders.get(&107).await?.is_none());
    assert!(orders.get(&108).await?.is_some());

    // A value of a field is never more than that.
    let report = caches.event("user", [("id", "*")]).await?;
    assert_eq!(report.existed(), 0);
    assert!(users.get(&8).await?.is_some());

    let configured = Invalidator::builder()
        .cache(&users)
        .cache(&profiles)
        .cache(&orders)
        .rules(Rules::from_toml(CONFIGURATION)?)
        .build()?;
    let no_fields: [(&str, &str); 0] = [];
    let _ = configured.event("price-list", no_fields).await?;
    assert!(orders.get(&108).await?.is_none());

    // Mistakes are told all at once, with what was meant.
    let mistaken = "[on.user]\nkye = { \"app:users\" = \"{id\" }\ntag = { \"a\" = \"{id\" }";
    if let Err(error) = Rules::from_toml(mistaken) {
        println!("{error}");
    }
    Ok(())
}
