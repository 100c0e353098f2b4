//! What nodes tell each other, and how often.

use larder::{InsertOptions, Mode, Near, Source};
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{Place, fail, following, heard, holds, load, loses, read, scenes, take_out, until};
use crate::support::{address, in_time, node_at, redis_at};

#[tokio::test]
async fn b01_a_set_elsewhere_ends_the_copy_and_fail_safe_has_the_new_value() {
    for scene in scenes() {
        let [a, b] = scene.nodes().await;
        load(&a, 1, 10).await;
        holds(&b, 1, 10).await;
        let _ = a.insert(&1, 20).await.unwrap();
        loses(&b, 1, 10).await;
        assert_eq!(read(&b, 1).await, Some(20), "{}", scene.name);
        let _ = a.expire(&1).await.unwrap();
        loses(&b, 1, 20).await;
        assert_eq!(fail(&b, 1).await, Some((20, true)), "{}", scene.name);
    }
}

#[tokio::test]
async fn b02_each_change_is_one_record_and_causes_no_other() {
    for scene in scenes() {
        let [a, b] = scene.nodes().await;
        load(&a, 1, 10).await;
        holds(&b, 1, 10).await;
        let before = [heard(&a), heard(&b)];
        let _ = a.insert(&1, 11).await.unwrap();
        loses(&b, 1, 10).await;
        let _ = a.invalidate(&2).await.unwrap();
        let _ = b.insert(&3, 30).await.unwrap();
        // The last record of all: whatever had come before it has been counted.
        let _ = a.invalidate(&4).await.unwrap();
        let all = [before[0] + 4, before[1] + 4];
        until(async || heard(&a) >= all[0] && heard(&b) >= all[1]).await;
        assert_eq!([heard(&a), heard(&b)], all, "{}", scene.name);
        let own = a.get(&1).await.unwrap().unwrap();
        assert_eq!((*own, own.source()), (11, Source::Near), "{}", scene.name);
    }
}

#[tokio::test]
async fn b03_caches_of_other_names_prefixes_and_databases_keep_their_copies() {
    for scene in scenes() {
        let [a, b] = scene.nodes().await;
        // The one name begins with the other.
        let mut others = vec![following(scene.named("app:users2")).await];
        if let Place::Redis(server) = &scene.place {
            let prefixed = redis_at(address(server)).key_prefix("app:");
            let elsewhere = format!("redis://{}/3", address(server));
            let elsewhere = larder::redis::Redis::open(&elsewhere).unwrap();
            for redis in [prefixed, elsewhere] {
                others.push(following(crate::support::node_on(redis)).await);
            }
        }
        let tagged = || InsertOptions::new().tag("t");
        for cache in others.iter().chain([&a]) {
            let _ = cache.insert_with(&1, 10, tagged()).await.unwrap();
            holds(cache, 1, 10).await;
        }
        holds(&b, 1, 10).await;
        a.invalidate_tag("t").await.unwrap();
        let _ = a.invalidate(&1).await.unwrap();
        a.invalidate_prefix("1").await.unwrap();
        a.clear().await.unwrap();
        let sign = a.insert(&2, 20).await.unwrap();
        drop(sign);
        holds(&b, 2, 20).await;
        assert_eq!(read(&b, 1).await, None, "{}", scene.name);
        for other in &others {
            let kept = other.get(&1).await.unwrap().unwrap();
            assert_eq!((*kept, kept.source()), (10, Source::Near), "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn z16_a_clear_takes_its_own_cache_and_neither_namesakes_nor_what_others_wrote() {
    const FOREIGN: [&str; 3] = ["app:users", "app:usersx", "app:users:foreign"];
    for scene in scenes() {
        let cache = async |name| following(scene.named(name)).await;
        let (own, elsewhere) = (cache("app:users").await, cache("app:users").await);
        let others = [cache("app:users2").await, cache("app").await];
        // Without near copies: what they had there is there still.
        let looking = [scene.named::<u64>("app:users2"), scene.named("app")];
        for cache in others.iter().chain([&own]) {
            let _ = cache.insert(&1, 10).await.unwrap();
        }
        holds(&elsewhere, 1, 10).await;
        if let Place::Redis(server) = &scene.place {
            for foreign in FOREIGN {
                server.cli(&["SET", foreign, "theirs"]);
            }
        }
        let _ = own.clear().await.unwrap();
        loses(&elsewhere, 1, 10).await;
        assert_eq!(read(&own, 1).await, None);
        if let Place::Redis(server) = &scene.place {
            // What it held is released behind.
            until(async || server.cli(&["EXISTS", "app:users:1"]) == "0").await;
            for foreign in FOREIGN {
                assert_eq!(server.cli(&["GET", foreign]), "theirs");
            }
        }
        for cache in &others {
            assert_eq!(read(cache, 1).await, Some(10), "{}", scene.name);
        }
        for cache in looking {
            let found = read(&cache.build().await.unwrap(), 1).await;
            assert_eq!(found, Some(10), "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn b04_an_expiry_reaches_every_copy_and_makes_none() {
    for scene in scenes() {
        let [a, b, c] = scene.nodes().await;
        load(&a, 1, 10).await;
        holds(&b, 1, 10).await;
        let before = heard(&c);
        let _ = a.expire(&1).await.unwrap();
        loses(&b, 1, 10).await;
        until(async || heard(&c) > before).await;
        assert_eq!(c.stats().near.entries, 0, "{}", scene.name);
        for node in [&a, &b, &c] {
            assert_eq!(read(node, 1).await, None, "{}", scene.name);
            assert_eq!(fail(node, 1).await, Some((10, true)), "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn b09_more_caches_than_the_server_takes_connections_wait_for_nobody() {
    take_out();
    let options = RedisOptions::new().args(["--maxclients", "9"]);
    let Some(server) = RedisServer::start_or_skip(options) else {
        return;
    };
    // Two connections each: not all of them get any.
    let mut nodes = Vec::new();
    for _ in 0..8 {
        let node = node_at(address(&server)).near(Near::bytes("1MiB"));
        nodes.push(node.build().await.unwrap());
    }
    for round in 0..5 {
        for (at, node) in nodes.iter().enumerate() {
            let key = at as u64;
            let value = in_time(load(node, key, round)).await;
            assert!(value <= round);
        }
    }
    // Who is left gets what the others had.
    nodes.truncate(2);
    for node in &nodes {
        until(async || node.insert(&9, 90).await.is_ok()).await;
    }
    holds(&nodes[0], 9, 90).await;
    holds(&nodes[1], 9, 90).await;
    let _ = nodes[0].insert(&9, 91).await.unwrap();
    loses(&nodes[1], 9, 90).await;
}

#[tokio::test]
async fn b10_a_value_that_travels_is_there_without_a_look_and_its_removal_wins() {
    for scene in scenes() {
        let node = || following(scene.bare().coherence(Mode::Update));
        let (a, b, looking) = (node().await, node().await, scene.looking().await);
        for value in [10, 20] {
            let _ = a.insert(&1, value).await.unwrap();
            until(async || b.stats().bus.updates == value / 10).await;
            let found = b.get(&1).await.unwrap().unwrap();
            assert_eq!(
                (*found, found.source()),
                (value, Source::Near),
                "{}",
                scene.name
            );
        }
        assert_eq!(b.stats().remote.hits, 0, "{}", scene.name);
        let _ = a.invalidate(&1).await.unwrap();
        loses(&b, 1, 20).await;
        for node in [&a, &b, &looking] {
            assert_eq!(read(node, 1).await, None, "{}", scene.name);
        }
    }
}

#[tokio::test]
async fn b11_who_follows_nobody_keeps_its_copy_until_that_ends() {
    for scene in scenes() {
        let near = || Near::bytes("1MiB").ttl("700ms");
        let alone = scene.bare().near(near()).coherence(Mode::None);
        let alone = alone.build().await.unwrap();
        let [a] = scene.nodes().await;
        load(&a, 1, 10).await;
        holds(&alone, 1, 10).await;
        let before = heard(&a);
        let _ = a.insert(&1, 20).await.unwrap();
        until(async || heard(&a) > before).await;
        assert_eq!(alone.stats().bus.received, 0, "{}", scene.name);
        loses(&alone, 1, 10).await;
        assert_eq!(read(&alone, 1).await, Some(20), "{}", scene.name);
        // What it changes itself, it sees at once, and tells the others.
        let _ = alone.insert(&1, 30).await.unwrap();
        assert_eq!(read(&alone, 1).await, Some(30), "{}", scene.name);
        loses(&a, 1, 20).await;
        holds(&a, 1, 30).await;
    }
}

#[tokio::test]
async fn b13_thousands_of_removals_are_few_records_and_none_is_lost_at_the_end() {
    const KEYS: u64 = 3_000;
    /// How many keys a record holds at most.
    const GROUP: u64 = 64;
    for scene in scenes() {
        let [a, b] = scene.nodes().await;
        let values = (0..KEYS).map(|key| (key, key));
        let _ = a.insert_many(values).await.unwrap();
        let keys: Vec<u64> = (0..KEYS).collect();
        let found = b.get_many(&keys).await.unwrap();
        assert!(found.iter().all(Option::is_some), "{}", scene.name);
        // What stands before this in the log has been applied where it shows.
        let _ = a.insert(&KEYS, KEYS).await.unwrap();
        holds(&b, KEYS, KEYS).await;
        let before = heard(&b);
        assert_eq!(a.invalidate_many(&keys).await.unwrap().existed(), 3_000);
        // Its cache ends with it.
        a.close().await;
        drop(a);
        is_empty(&b, &keys).await;
        let records = heard(&b) - before;
        assert!((1..=KEYS.div_ceil(GROUP)).contains(&records), "{records}");
    }
}

async fn is_empty(cache: &super::Users, keys: &[u64]) {
    until(async || {
        let found = cache.get_many(keys).await.unwrap();
        found.iter().all(Option::is_none)
    })
    .await;
    assert_eq!(cache.stats().near.entries, 1, "the sign");
}
