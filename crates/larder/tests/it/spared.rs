//! The source is spared while the remote tier is away (`WhenFenced::SpareSource`).

use std::time::Duration;

use larder::{LoadLimit, Near, Ramp, Source, StaleReason, WhenFenced};
use larder_testkit::sim::Cut;

use crate::support::{Network, Oops, Users, found, on_a_network};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A writer, and a node with a near copy of 10 under key 1 that lives for 20 s, cut off for so long
/// that it is fenced.
async fn cut_off(network: &mut Network, policy: WhenFenced) -> (Users, Users) {
    let writer = network.node().await;
    let builder = network.bare(1).near(Near::bytes("1MiB"));
    let reader = builder.ttl("20s").when_fenced(policy).build().await;
    let reader = reader.unwrap();
    network.pass(ms(600)).await;
    hold(network, &reader).await;
    assert_eq!(found(reader.get(&1).await), Some((10, Source::Near)));
    network.cut(1, Cut::Both);
    network.pass(ms(1_500)).await;
    (writer, reader)
}

/// Lets it have a near copy of 10 under key 1.
async fn hold(network: &Network, reader: &Users) {
    reader.insert(&1, 10).await.unwrap();
    network.pass(ms(50)).await;
    reader.get(&1).await.unwrap().unwrap();
}

/// What a reader gets, with a loader that would give 99.
async fn read(reader: &Users, key: u64) -> (u64, Source, Option<StaleReason>) {
    let load = |_| async { Ok::<_, Oops>(99) };
    let loaded = reader.get_or_load(&key, load).await.unwrap();
    (*loaded, loaded.source(), loaded.stale_reason())
}

const SPARED: Option<StaleReason> = Some(StaleReason::Fenced);

#[test]
fn a_fenced_copy_is_used_instead_of_a_load_only_where_the_source_is_to_be_spared() {
    on_a_network(|mut network| async move {
        let (_, reader) = cut_off(&mut network, WhenFenced::SpareSource).await;
        assert_eq!(read(&reader, 1).await, (10, Source::Near, SPARED));
        assert_eq!(reader.stats().loads.succeeded, 0);
    });
    for policy in [WhenFenced::Bypass, WhenFenced::ServeStale] {
        on_a_network(move |mut network| async move {
            let (_, reader) = cut_off(&mut network, policy).await;
            assert_eq!(read(&reader, 1).await, (99, Source::Loaded, None));
        });
    }
}

#[test]
fn the_source_is_asked_once_in_a_ttl_by_who_is_cut_off() {
    on_a_network(|mut network| async move {
        let (_, reader) = cut_off(&mut network, WhenFenced::SpareSource).await;
        assert_eq!(read(&reader, 2).await, (99, Source::Loaded, None));
        network.pass(ms(17_000)).await;
        // Less than the ttl of both ago.
        assert_eq!(read(&reader, 2).await, (99, Source::Near, SPARED));
        network.pass(ms(4_000)).await;
        assert_eq!(read(&reader, 1).await, (99, Source::Loaded, None));
        assert_eq!(read(&reader, 2).await, (99, Source::Loaded, None));
        assert_eq!(reader.stats().loads.succeeded, 3);
    });
}

#[test]
fn a_spare_copy_is_used_no_more_once_the_remote_tier_is_back() {
    on_a_network(|mut network| async move {
        let (writer, reader) = cut_off(&mut network, WhenFenced::SpareSource).await;
        assert_eq!(read(&reader, 2).await, (99, Source::Loaded, None));
        writer.insert(&1, 11).await.unwrap();
        writer.insert(&2, 12).await.unwrap();
        network.pass(ms(1_500)).await;
        assert_eq!(read(&reader, 2).await, (99, Source::Near, SPARED));
        network.cut(1, Cut::Nothing);
        network.pass(ms(3_000)).await;
        for (key, value) in [(1, 11), (2, 12)] {
            let (now, _, stale) = read(&reader, key).await;
            assert_eq!((now, stale), (value, None));
        }
    });
}

#[test]
fn a_copy_whose_fresh_life_was_ended_is_no_spare_one() {
    on_a_network(|mut network| async move {
        let reader = network.bare(0).near(Near::bytes("1MiB"));
        let reader = reader.when_fenced(WhenFenced::SpareSource).build().await;
        let reader = reader.unwrap();
        network.pass(ms(600)).await;
        hold(&network, &reader).await;
        reader.expire(&1).await.unwrap();
        network.cut(0, Cut::Both);
        network.pass(ms(1_500)).await;
        assert_eq!(read(&reader, 1).await, (99, Source::Loaded, None));
    });
}

#[test]
fn the_source_sees_a_ramp_when_the_remote_tier_comes_back_empty() {
    on_a_network(|mut network| async move {
        let limit = LoadLimit::unlimited().ramp(Ramp::from(10.0).over("1s"));
        let reader = network.bare(0).near(Near::bytes("1MiB"));
        let reader = reader.load_limit(limit.clone()).build().await;
        let reader = reader.unwrap();
        network.pass(ms(3_000)).await;
        // The first load behind its end ends it.
        assert_eq!(read(&reader, 1).await, (99, Source::Loaded, None));
        assert!(!limit.stats().is_ramping);
        network.store.restart_empty();
        network.pass(ms(600)).await;
        assert!(limit.stats().is_ramping);
    });
}
