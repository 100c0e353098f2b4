//! Modes of coherence: what other nodes make of a change.

use std::time::Duration;

use larder::core::codec::{Codec, CodecError, CodecId};
use larder::redis::Redis;
use larder::{Cache, InsertOptions, Mode, Near, Source};
use larder_testkit::servers::{RedisOptions, RedisServer};
use larder_testkit::sim::Cut;

use crate::support::{Network, Oops, Users, found, in_time, on_a_network};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two nodes that follow each other in this mode, with a near copy of 10 under key 1 each.
async fn two(network: &mut Network, mode: Mode) -> (Users, Users) {
    let mut nodes = Vec::new();
    for node in 0..2 {
        let builder = network.bare(node).near(Near::bytes("1MiB"));
        nodes.push(builder.coherence(mode).build().await.unwrap());
    }
    network.pass(ms(600)).await;
    nodes[0].insert(&1, 10).await.unwrap();
    network.pass(ms(50)).await;
    for node in &nodes {
        node.get(&1).await.unwrap().unwrap();
        assert_eq!(found(node.get(&1).await), Some((10, Source::Near)));
    }
    let two = nodes.remove(1);
    (nodes.remove(0), two)
}

/// B10 of the conformance scenarios.
#[test]
fn an_update_is_there_without_a_look_at_the_remote_tier() {
    on_a_network(|mut network| async move {
        let (one, two) = two(&mut network, Mode::Update).await;
        for key in [1, 2] {
            one.insert(&key, 20).await.unwrap();
            network.pass(ms(50)).await;
        }
        // It could not be asked.
        network.cut(1, Cut::Requests);
        for key in [1, 2] {
            assert_eq!(found(two.get(&key).await), Some((20, Source::Near)));
        }
        assert_eq!(two.stats().bus.updates, 3, "the first insert came so, too");
        assert_eq!(one.stats().bus.updates, 0, "own values are here already");
        network.cut(1, Cut::Nothing);
        one.invalidate(&1).await.unwrap();
        network.pass(ms(50)).await;
        for node in [&one, &two] {
            assert_eq!(found(node.get(&1).await), None);
        }
    });
}

#[test]
fn an_update_has_the_life_that_it_was_given() {
    on_a_network(|mut network| async move {
        let (one, two) = two(&mut network, Mode::Update).await;
        let brief = InsertOptions::new().ttl(Duration::from_secs(3));
        one.insert_with(&2, 20, brief.stale_for(Duration::ZERO))
            .await
            .unwrap();
        network.pass(Duration::from_secs(2)).await;
        assert_eq!(found(two.get(&2).await), Some((20, Source::Near)));
        network.pass(Duration::from_secs(2)).await;
        assert_eq!(found(two.get(&2).await), None);
    });
}

/// Pushes are on their way for up to 1 ms here, and overtake each other.
#[test]
fn updates_that_are_overtaken_never_bring_an_older_value_back() {
    on_a_network(|mut network| async move {
        let (one, two) = two(&mut network, Mode::Update).await;
        let mut updates = 0;
        for value in 11..111 {
            // Both are on their way at once.
            one.insert(&1, value).await.unwrap();
            let gone = value % 3 == 0;
            if gone {
                one.invalidate(&1).await.unwrap();
            }
            network
                .pass(Duration::from_micros(value * 17 % 1_500))
                .await;
            let seen = two.get(&1).await.unwrap().map(|loaded| *loaded);
            network.pass(ms(30)).await;
            let expected = (!gone).then_some(value);
            assert_eq!(two.get(&1).await.unwrap().map(|loaded| *loaded), expected);
            // On its way it was older by one change at most.
            assert!(
                seen.is_none_or(|seen| seen + 1 >= value),
                "{seen:?} {value}"
            );
            updates = two.stats().bus.updates;
        }
        assert!(updates > 30, "{updates}");
    });
}

#[test]
fn an_update_that_is_lost_is_an_invalidation() {
    on_a_network(|mut network| async move {
        let (one, two) = two(&mut network, Mode::Update).await;
        network.cut(1, Cut::Pushes);
        one.insert(&1, 20).await.unwrap();
        network.pass(ms(600)).await;
        assert_eq!(found(two.get(&1).await), Some((20, Source::Remote)));
    });
}

#[test]
fn values_with_tags_do_not_travel_and_are_void_with_their_tag() {
    on_a_network(|mut network| async move {
        let (one, two) = two(&mut network, Mode::Update).await;
        let tagged = InsertOptions::new().tag("a");
        one.insert_with(&1, 20, tagged).await.unwrap();
        network.pass(ms(50)).await;
        assert_eq!(found(two.get(&1).await), Some((20, Source::Remote)));
        one.invalidate_tag("a").await.unwrap();
        network.pass(ms(50)).await;
        assert_eq!(found(two.get(&1).await), None);
    });
}

#[test]
fn a_node_that_only_invalidates_makes_nothing_of_the_value() {
    on_a_network(|mut network| async move {
        let update = network.bare(0).near(Near::bytes("1MiB"));
        let one = update.coherence(Mode::Update).build().await.unwrap();
        let two = network
            .bare(1)
            .near(Near::bytes("1MiB"))
            .build()
            .await
            .unwrap();
        network.pass(ms(600)).await;
        one.insert(&1, 20).await.unwrap();
        network.pass(ms(50)).await;
        assert_eq!(found(two.get(&1).await), Some((20, Source::Remote)));
        // And the other way round: what does not travel is an invalidation.
        two.insert(&1, 30).await.unwrap();
        network.pass(ms(50)).await;
        assert_eq!(found(one.get(&1).await), Some((30, Source::Remote)));
    });
}

/// A codec that panics over one value.
#[derive(Clone, Default)]
struct Fragile;

impl Codec<u64> for Fragile {
    fn id(&self) -> CodecId {
        CodecId::RAW
    }

    fn encode(&self, value: &u64, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend(value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &bytes::Bytes) -> Result<u64, CodecError> {
        let value = u64::from_be_bytes(bytes[..].try_into().unwrap());
        assert!(value != 666, "a test");
        Ok(value)
    }
}

#[test]
fn a_codec_that_panics_does_not_end_the_link() {
    on_a_network(|mut network| async move {
        let mut nodes = Vec::new();
        for node in 0..2 {
            let builder = network.bare(node).near(Near::bytes("1MiB")).codec(Fragile);
            nodes.push(builder.coherence(Mode::Update).build().await.unwrap());
        }
        network.pass(ms(600)).await;
        nodes[0].insert(&1, 666).await.unwrap();
        network.pass(ms(50)).await;
        nodes[0].insert(&2, 7).await.unwrap();
        network.pass(ms(50)).await;
        network.cut(1, Cut::Requests);
        assert_eq!(found(nodes[1].get(&2).await), Some((7, Source::Near)));
    });
}

/// B11 of the conformance scenarios: with the bus off, others keep what they have.
#[test]
fn a_cache_that_follows_nobody_keeps_its_copies_until_their_ttl() {
    on_a_network(|mut network| async move {
        let builder = network.bare(0).near(Near::bytes("1MiB").ttl("5s"));
        let alone = builder.coherence(Mode::None).build().await.unwrap();
        let one = network.node().await;
        one.insert(&1, 10).await.unwrap();
        alone.get(&1).await.unwrap();
        one.insert(&1, 20).await.unwrap();
        network.pass(Duration::from_secs(4)).await;
        assert_eq!(found(alone.get(&1).await), Some((10, Source::Near)));
        network.pass(Duration::from_secs(2)).await;
        assert_eq!(found(alone.get(&1).await), Some((20, Source::Remote)));
        // It does not ask how far the log is, and is not fenced when nobody can.
        network.cut(0, Cut::Both);
        network.pass(Duration::from_secs(3)).await;
        assert_eq!(found(alone.get(&1).await), Some((20, Source::Near)));
        network.cut(0, Cut::Nothing);
        // What it changes itself shows at once, here and on the nodes that follow.
        alone.insert(&1, 30).await.unwrap();
        assert_eq!(found(alone.get(&1).await), Some((30, Source::Near)));
        network.pass(ms(50)).await;
        assert_eq!(*one.get(&1).await.unwrap().unwrap(), 30);
    });
}

#[test]
fn a_cache_that_follows_nobody_still_asks_which_tags_are_void() {
    on_a_network(|mut network| async move {
        let builder = network.bare(0).near(Near::bytes("1MiB").ttl("1s"));
        let alone = builder.coherence(Mode::None).build().await.unwrap();
        let one = network.node().await;
        let load = async |value| {
            let loader = move |cx: larder::Cx<u64, _>| async move {
                cx.tag("a");
                Ok::<_, Oops>(value)
            };
            *alone.get_or_load(&1, loader).await.unwrap()
        };
        assert_eq!(load(10).await, 10);
        one.invalidate_tag("a").await.unwrap();
        network.pass(Duration::from_secs(2)).await;
        // The near copy has ended, and the value of the remote tier is void.
        assert_eq!(load(20).await, 20);
        assert_eq!(load(30).await, 20);
    });
}

#[test]
fn with_a_ticket_a_cache_that_follows_nobody_asks_the_remote_tier() {
    on_a_network(|mut network| async move {
        let builder = network.bare(0).near(Near::bytes("1MiB"));
        let alone = builder.coherence(Mode::None).build().await.unwrap();
        let one = network.node().await;
        one.insert(&1, 10).await.unwrap();
        alone.get(&1).await.unwrap();
        let ticket = one.insert(&1, 20).await.unwrap().ticket();
        assert_eq!(found(alone.get(&1).await), Some((10, Source::Near)));
        let read = alone.get_with_ticket(&1, &ticket).await;
        assert_eq!(found(read), Some((20, Source::Remote)));
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_real_server_a_value_is_there_without_a_look() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let mut nodes: Vec<Cache<u64, String>> = Vec::new();
    for _ in 0..2 {
        let node = Cache::builder("app:users")
            .ttl("1h")
            .coherence(Mode::Update)
            .near(Near::bytes("16MiB"))
            .remote(Redis::open(&server.url()).unwrap().key_prefix("p:"));
        nodes.push(node.build().await.unwrap());
    }
    let mut events = nodes[1].events();
    while nodes[1].stats().bus.flushes == 0 {
        in_time(events.next()).await;
    }
    let small = "x".repeat(60_000);
    let large = "x".repeat(70_000);
    for round in 0..20 {
        nodes[0].insert(&round, small.clone()).await.unwrap();
        let receipt = nodes[0]
            .insert(&(round + 100), large.clone())
            .await
            .unwrap();
        assert!(
            receipt
                .wait_all(Duration::from_secs(20))
                .await
                .unwrap()
                .complete
        );
        let read = nodes[1].get(&round).await.unwrap().unwrap();
        assert_eq!((read.len(), read.source()), (60_000, Source::Near));
        let read = nodes[1].get(&(round + 100)).await.unwrap().unwrap();
        assert_eq!((read.len(), read.source()), (70_000, Source::Remote));
        nodes[0].invalidate(&round).await.unwrap();
    }
    assert_eq!(nodes[1].stats().bus.updates, 20);
}
