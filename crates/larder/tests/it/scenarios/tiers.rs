//! How long values live, and in which tier.

use std::time::Duration;

use larder::codec::Json;
use larder::{Cache, Cx, ErrorKind, InsertOptions, Layout, LoadError, Near, Source};

use super::{Place, scenes, until};
use crate::support::{Oops, World, address, redis_at};

const SOME: Duration = Duration::from_millis(300);

/// A value of others in the plain layout, with a life that they gave it.
#[tokio::test]
async fn t02_a_near_copy_lives_as_long_as_the_shorter_of_both_lives() {
    for scene in scenes() {
        let Place::Redis(server) = &scene.place else {
            continue;
        };
        let plain = |near_ttl: &'static str| {
            Cache::<u64, u64>::builder("app:users")
                .ttl("1h")
                .codec(Json)
                .layout(Layout::Plain)
                .near(Near::bytes("1MiB").ttl(near_ttl))
                .remote(redis_at(address(server)))
        };
        let long = plain("1h").build().await.unwrap();
        let short = plain("300ms").build().await.unwrap();

        // The server's life is the shorter one.
        server.cli(&["SET", "app:users:1", "10", "PX", "300"]);
        let began = tokio::time::Instant::now();
        assert_eq!(*long.get(&1).await.unwrap().unwrap(), 10);
        let near = long.get(&1).await.unwrap();
        assert!(near.is_none_or(|found| found.source() == Source::Near));
        until(async || long.get(&1).await.unwrap().is_none()).await;
        assert!(began.elapsed() >= SOME - Duration::from_millis(50));

        // Ours is; the server's value is changed behind our back.
        server.cli(&["SET", "app:users:2", "20", "PX", "3600000"]);
        // And one that never ends there.
        server.cli(&["SET", "app:users:3", "30"]);
        for (key, value) in [(2, 20), (3, 30)] {
            assert_eq!(*short.get(&key).await.unwrap().unwrap(), value);
            server.cli(&["SET", &format!("app:users:{key}"), "99", "KEEPTTL"]);
            until(async || *short.get(&key).await.unwrap().unwrap() == 99).await;
        }

        // What is not there is asked for again.
        assert!(long.get(&4).await.unwrap().is_none());
        server.cli(&["SET", "app:users:4", "40"]);
        assert_eq!(*long.get(&4).await.unwrap().unwrap(), 40);
    }
}

#[tokio::test]
async fn t03_a_life_of_nothing_stores_nothing_and_one_without_end_has_none() {
    for scene in scenes() {
        let cache = scene
            .bare()
            .near(Near::bytes("1MiB"))
            .build()
            .await
            .unwrap();
        let nothing = InsertOptions::new().ttl(Duration::ZERO);
        let refused = cache.insert_with(&1, 10, nothing).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{}", scene.name);
        let loader = |cx: Cx<u64, _>| async move {
            cx.ttl(Duration::ZERO);
            cx.stale_for(Duration::ZERO);
            Ok::<_, Oops>(10)
        };
        assert_eq!(*cache.get_or_load(&1, loader).await.unwrap(), 10);
        assert!(cache.get(&1).await.unwrap().is_none(), "{}", scene.name);

        let Place::Redis(server) = &scene.place else {
            continue;
        };
        let endless = Cache::<u64, u64>::builder("app:endless").without_ttl();
        let endless = endless.remote(redis_at(address(server)));
        let endless = endless.build().await.unwrap();
        let _ = endless.insert(&1, 10).await.unwrap();
        assert_eq!(server.cli(&["TTL", "app:endless:1"]), "-1");
        let zero = scene.named::<u64>("app:zero").ttl("0s").build().await;
        assert_eq!(zero.err().unwrap().kind(), ErrorKind::Config);
    }
}

/// In virtual time, and without a bus: both copies end by themselves.
#[tokio::test]
async fn t05_of_two_stale_values_the_one_in_the_remote_tier_is_served() {
    let world = World::new();
    let one = world.both().stale_for("1h").build().await.unwrap();
    let two = world.remote_only().stale_for("1h").build().await.unwrap();
    let _ = one.insert(&1, 10).await.unwrap();
    one.get(&1).await.unwrap();
    let _ = two.insert(&1, 20).await.unwrap();
    let near = one.get(&1).await.unwrap().unwrap();
    assert_eq!((*near, near.source()), (10, Source::Near), "nobody told it");
    world.clock.advance(Duration::from_secs(3_700)).await;
    let failed = one.get_or_load(&1, |_| async { Err(Oops("down")) });
    let stale = failed.await.unwrap();
    let found = (*stale, stale.is_stale(), stale.source());
    assert_eq!(found, (20, true, Source::Remote));
}

#[tokio::test]
async fn t06_a_stale_value_of_the_remote_tier_serves_nodes_that_never_had_it() {
    for scene in scenes() {
        let one = scene.bare().build().await.unwrap();
        let _ = one.insert(&1, 10).await.unwrap();
        let _ = one.expire(&1).await.unwrap();
        let [two] = scene.nodes().await;
        assert_eq!(
            super::fail(&two, 1).await,
            Some((10, true)),
            "{}",
            scene.name
        );
    }
}

#[tokio::test]
async fn t11_a_stored_nothing_is_a_value_and_absence_is_not() {
    for scene in scenes() {
        let builder = || scene.named::<Option<u64>>("app:maybe").negative_ttl("1h");
        let one = builder().near(Near::bytes("1MiB")).build().await.unwrap();
        let two = builder().build().await.unwrap();
        assert!(one.get(&1).await.unwrap().is_none(), "{}", scene.name);
        let loader = |cx: Cx<u64, _>| async move {
            // What is not there may be asked for again sooner.
            cx.ttl(Duration::from_secs(60));
            Ok::<_, Oops>(None)
        };
        assert_eq!(*one.get_or_load(&1, loader).await.unwrap(), None);
        for cache in [&one, &two] {
            let found = cache.get(&1).await.unwrap();
            assert_eq!(found.map(|found| *found), Some(None), "{}", scene.name);
            assert!(cache.contains_key(&1).await.unwrap());
            let unused = |_| async { Err::<Option<u64>, _>(Oops("not needed")) };
            assert_eq!(*cache.get_or_load(&1, unused).await.unwrap(), None);
        }
        // The source has no record at all, and that is remembered as such.
        let deny = |cx: Cx<u64, Option<u64>>| async move { cx.absent::<Result<_, Oops>>().await };
        assert!(matches!(
            one.get_or_load(&2, deny).await,
            Err(LoadError::Absent)
        ));
        for cache in [&one, &two] {
            assert!(cache.get(&2).await.unwrap().is_none(), "{}", scene.name);
            assert!(!cache.contains_key(&2).await.unwrap());
            let unused = |_| async { Err::<Option<u64>, _>(Oops("not needed")) };
            let known = cache.get_or_load(&2, unused).await;
            assert!(matches!(known, Err(LoadError::Absent)), "{}", scene.name);
        }
        let _ = two.insert(&2, None).await.unwrap();
        until(async || {
            one.get(&2)
                .await
                .unwrap()
                .is_some_and(|found| found.is_none())
        })
        .await;
        let _ = two.insert(&1, Some(10)).await.unwrap();
        until(async || {
            one.get(&1)
                .await
                .unwrap()
                .is_some_and(|found| *found == Some(10))
        })
        .await;
        if let Place::Redis(server) = &scene.place {
            let _ = two.invalidate(&1).await.unwrap();
            until(async || one.get(&1).await.unwrap().is_none()).await;
            one.get_or_load(&1, loader).await.unwrap();
            let ttl: i64 = server.cli(&["TTL", "app:maybe:1"]).parse().unwrap();
            // Its own life, and then the cache's stale one.
            assert!((3_600..=3_660).contains(&ttl), "{ttl}");
        }
    }
}
