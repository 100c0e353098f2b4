//! Rules: one event invalidates everything that was declared, in all caches, or says what it could
//! not.

use larder::core::outbox::What;
use larder::embedded::Embedded;
use larder::{Cache, ErrorKind, InsertOptions, Invalidator, Near, Rules};

use crate::support::{Trouble, World};

/// Caches of users (by id), of their fields (by id and name), and of pages (by text).
struct Shop {
    /// What users are stored in can be made to fail.
    world: World,
    users: Cache<u64, u64>,
    fields: Cache<(String, String), u64>,
    pages: Cache<String, u64>,
}

impl Shop {
    async fn new() -> Shop {
        let world = World::new();
        let users = world.both().build().await.unwrap();
        let fields = Cache::builder("app:fields")
            .ttl("1h")
            .runtime(world.clock.clone())
            .near(Near::bytes("1MiB"))
            .build()
            .await
            .unwrap();
        let pages = Cache::builder("app:pages")
            .ttl("1h")
            .runtime(world.clock.clone())
            .remote(Embedded::new(world.clock.clone()))
            .build()
            .await
            .unwrap();
        Shop {
            world,
            users,
            fields,
            pages,
        }
    }

    /// Users 7 and 8, their names, and a page with both of them.
    async fn fill(&self) {
        for id in [7, 8] {
            self.users.insert(&id, id).await.unwrap();
            let name = (id.to_string(), "name".to_owned());
            self.fields.insert(&name, id).await.unwrap();
            let tagged = InsertOptions::new().tag(format!("user:{id}"));
            let page = format!("page of {id}");
            self.pages.insert_with(&page, id, tagged).await.unwrap();
        }
    }

    async fn there(&self) -> Vec<String> {
        let mut there = Vec::new();
        for id in [7u64, 8] {
            if self.users.contains_key(&id).await.unwrap() {
                there.push(format!("user {id}"));
            }
            let name = (id.to_string(), "name".to_owned());
            if self.fields.contains_key(&name).await.unwrap() {
                there.push(format!("name {id}"));
            }
            let page = format!("page of {id}");
            if self.pages.contains_key(&page).await.unwrap() {
                there.push(page);
            }
        }
        there
    }

    fn invalidator(&self, rules: Rules) -> Invalidator {
        let builder = Invalidator::builder()
            .cache(&self.users)
            .cache(&self.fields)
            .cache(&self.pages);
        builder.rules(rules).build().unwrap()
    }
}

fn user_rules() -> Rules {
    Rules::new().on("user", |rule| {
        rule.key("app:users", "{id}")
            .key("app:fields", "{id}:name")
            .tag("app:pages", "user:{id}")
    })
}

#[tokio::test]
async fn one_event_invalidates_all_that_was_declared_and_nothing_else() {
    let shop = Shop::new().await;
    shop.fill().await;
    let invalidator = shop.invalidator(user_rules());
    let report = invalidator.event("user", [("id", 7)]).await.unwrap();
    assert_eq!(shop.there().await, ["user 8", "name 8", "page of 8"]);
    assert_eq!(report.existed(), 2);
    let expected = [
        ("app:users".to_owned(), What::Key("7".into())),
        ("app:fields".to_owned(), What::Key("7:name".into())),
        ("app:pages".to_owned(), What::Tag("user:7".into())),
    ];
    assert_eq!(report.invalidated(), expected);
    // Again does no harm.
    let report = invalidator.event("user", [("id", "7")]).await.unwrap();
    assert_eq!(report.existed(), 0);
}

#[tokio::test]
async fn no_value_of_a_field_reaches_beyond_its_place() {
    let shop = Shop::new().await;
    shop.fill().await;
    let invalidator = shop.invalidator(user_rules());
    for id in ["*", "7:name", "", "?", "{id}", "7*"] {
        let _ = invalidator.event("user", [("id", id)]).await.unwrap();
    }
    assert_eq!(shop.there().await.len(), 6);
}

#[tokio::test]
async fn a_key_with_a_colon_is_met_in_caches_of_parts_and_in_caches_of_texts() {
    let shop = Shop::new().await;
    let name = ("a:b".to_owned(), "name".to_owned());
    shop.fields.insert(&name, 1).await.unwrap();
    shop.pages.insert("a:b", 1).await.unwrap();
    let rules = Rules::new().on("user", |rule| {
        rule.key("app:fields", "{id}:name").key("app:pages", "{id}")
    });
    let invalidator = shop.invalidator(rules);
    let report = invalidator.event("user", [("id", "a:b")]).await.unwrap();
    assert!(!shop.fields.contains_key(&name).await.unwrap());
    assert!(!shop.pages.contains_key("a:b").await.unwrap());
    assert_eq!(report.existed(), 2);
}

#[tokio::test]
async fn patterns_and_prefixes_take_what_they_say_and_a_star_in_an_id_takes_nothing() {
    let shop = Shop::new().await;
    let rules = Rules::new().on("search", |rule| {
        rule.pattern("app:pages", "search:{query}:page:*")
            .prefix("app:fields", "{query}:")
    });
    let invalidator = shop.invalidator(rules);
    let pages = ["search:a b:page:1", "search:a b:page:2", "search:c:page:1"];
    for page in pages {
        shop.pages.insert(page, 1).await.unwrap();
    }
    let field = |query: &str| (query.to_owned(), "hits".to_owned());
    for query in ["a b", "a bc"] {
        shop.fields.insert(&field(query), 1).await.unwrap();
    }
    for query in ["*", "", "search:*", "?"] {
        let _ = invalidator
            .event("search", [("query", query)])
            .await
            .unwrap();
    }
    for page in pages {
        assert!(shop.pages.contains_key(page).await.unwrap(), "{page}");
    }
    let _ = invalidator
        .event("search", [("query", "a b")])
        .await
        .unwrap();
    for (page, stays) in pages.into_iter().zip([false, false, true]) {
        assert_eq!(
            shop.pages.contains_key(page).await.unwrap(),
            stays,
            "{page}"
        );
    }
    assert!(!shop.fields.contains_key(&field("a b")).await.unwrap());
    assert!(shop.fields.contains_key(&field("a bc")).await.unwrap());
}

#[tokio::test]
async fn a_whole_cache_can_be_cleared_by_an_event() {
    let shop = Shop::new().await;
    shop.fill().await;
    let rules = Rules::new().on("import", |rule| {
        rule.clear("app:users")
            .clear("app:fields")
            .clear("app:pages")
    });
    let invalidator = shop.invalidator(rules);
    let none: [(&str, &str); 0] = [];
    let _ = invalidator.event("import", none).await.unwrap();
    assert!(shop.there().await.is_empty());
}

#[tokio::test]
async fn what_fails_is_named_the_rest_is_done_and_the_event_can_be_repeated() {
    let shop = Shop::new().await;
    shop.fill().await;
    let invalidator = shop.invalidator(user_rules());
    shop.world.store.hurt(Trouble::Refuses);
    let event = invalidator.event("user", [("id", "secret7")]);
    let failed = event.await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Unavailable);
    let said = failed.to_string();
    let expected = "the event \"user\": 1 of 3 orders failed, repeat it: the key \"{id}\" of \
                    app:users: ";
    assert!(said.starts_with(expected), "{said}");
    assert!(!said.contains("secret7"), "values are not for logs: {said}");
    assert!(invalidator.event("user", [("id", 7)]).await.is_err());
    shop.world.store.heal();
    let left = ["user 7", "user 8", "name 8", "page of 8"];
    assert_eq!(shop.there().await, left);
    let _ = invalidator.event("user", [("id", 7)]).await.unwrap();
    assert_eq!(shop.there().await, ["user 8", "name 8", "page of 8"]);
}

#[tokio::test]
async fn a_value_that_can_be_no_tag_is_an_error_of_its_order_alone() {
    let shop = Shop::new().await;
    shop.fill().await;
    let rules = Rules::new().on("user", |rule| {
        rule.key("app:users", "{id}").tag("app:pages", "{tag}")
    });
    let invalidator = shop.invalidator(rules);
    let fields = [("id", "7".to_owned()), ("tag", "x".repeat(300))];
    let failed = invalidator.event("user", fields).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Invalid);
    assert!(failed.to_string().contains("300 bytes"), "{failed}");
    assert!(!shop.users.contains_key(&7).await.unwrap());
}

#[tokio::test]
async fn more_tags_than_one_value_may_bear_are_invalidated_by_one_event() {
    let shop = Shop::new().await;
    shop.fill().await;
    let rules = Rules::new().on("all", |rule| {
        (0..100).fold(rule, |rule, id| {
            rule.tag("app:pages", &format!("user:{id}"))
        })
    });
    let invalidator = shop.invalidator(rules);
    let none: [(&str, &str); 0] = [];
    let report = invalidator.event("all", none).await.unwrap();
    assert_eq!(report.invalidated().len(), 100);
    assert_eq!(shop.there().await, ["user 7", "name 7", "user 8", "name 8"]);
}

#[tokio::test]
async fn two_caches_of_one_name_and_rules_for_none_are_refused_together() {
    let shop = Shop::new().await;
    let twin = shop.world.near_only().build().await.unwrap();
    let built = Invalidator::builder()
        .cache(&shop.users)
        .cache(&twin)
        .rules(Rules::new().on("user", |rule| rule.key("app:user", "{id}")))
        .build();
    let error = built.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    for said in [
        "there are two caches named \"app:users\"",
        "no cache is named \"app:user\" – did you mean \"app:users\"?",
    ] {
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_cache_that_was_closed_says_so() {
    let shop = Shop::new().await;
    shop.fill().await;
    let invalidator = shop.invalidator(user_rules());
    shop.users.close().await;
    let failed = invalidator.event("user", [("id", 7)]).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Closed);
    assert!(
        failed.to_string().contains("app:users is closed"),
        "{failed}"
    );
}
