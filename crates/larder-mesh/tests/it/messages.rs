//! What is sent arrives, once and in order; what does not fit is refused.

use bytes::Bytes;
use larder_mesh::{DownReason, NotSent, Tls};

use crate::support::{World, config, joining, wait, wait_all_alive};

#[test]
fn messages_arrive_once_and_in_order_with_tls_and_without() {
    for tls in [Tls::Secret, Tls::Off] {
        let world = World::new();
        let with = |mut config: larder_mesh::Config| {
            config.tls = tls.clone();
            world.start(config)
        };
        let a = with(config("a"));
        let b = with(joining("b", &[&a.address()]));
        wait_all_alive(&[&a, &b]);
        let to = a.peer("b").unwrap();
        let of = |n: u32| {
            // Small ones, long ones, and such as are written by themselves.
            let length = if n.is_multiple_of(100) {
                100_000
            } else {
                10 + n as usize % 90
            };
            let mut bytes = n.to_be_bytes().to_vec();
            bytes.resize(length, n as u8);
            Bytes::from(bytes)
        };
        for n in 0..5_000 {
            a.mesh.send(to, of(n)).unwrap();
        }
        wait("all messages", || b.received().len() >= 5_000);
        let received = b.received();
        assert_eq!(received.len(), 5_000);
        assert!(
            received
                .into_iter()
                .enumerate()
                .all(|(n, bytes)| bytes == of(n as u32))
        );
    }
}

#[test]
fn the_longest_message_arrives_and_a_longer_one_is_not_sent() {
    let world = World::new();
    let mut short = config("a");
    short.limits.message_bytes = 1 << 20;
    let a = world.start(short.clone());
    let b = world.start(larder_mesh::Config {
        limits: short.limits,
        ..joining("b", &[&a.address()])
    });
    wait_all_alive(&[&a, &b]);
    let peer = a.peer("b").unwrap();
    let longest = Bytes::from(vec![7; 1 << 20]);
    a.mesh.send(peer, longest.clone()).unwrap();
    wait("the message", || b.received() == [longest.clone()]);
    let longer = Bytes::from(vec![7; (1 << 20) + 1]);
    assert_eq!(a.mesh.send(peer, longer.clone()), Err(NotSent::TooLong));
    assert_eq!(a.mesh.broadcast(&longer), Err(NotSent::TooLong));
}

#[test]
fn a_node_that_allows_longer_messages_loses_its_link_by_one_that_the_other_does_not() {
    let world = World::new();
    let mut short = config("a");
    short.limits.message_bytes = 1_000;
    let a = world.start(short);
    let b = world.start(joining("b", &[&a.address()]));
    wait_all_alive(&[&a, &b]);
    b.mesh
        .send(b.peer("a").unwrap(), Bytes::from(vec![7; 1_001]))
        .unwrap();
    wait("the cut", || a.downs() == [DownReason::Unreadable]);
    wait("the return", || a.ups("b").len() == 2);
}

#[test]
fn a_broadcast_reaches_everybody_and_nothing_goes_to_a_link_that_has_ended() {
    let world = World::new();
    let a = world.start(config("a"));
    let b = world.start(joining("b", &[&a.address()]));
    let c = world.start(joining("c", &[&a.address()]));
    wait_all_alive(&[&a, &b, &c]);
    assert_eq!(a.mesh.broadcast(&Bytes::from_static(b"all")), Ok(2));
    wait("both", || {
        [&b, &c].iter().all(|node| node.received() == ["all"])
    });
    let old = a.peer("b").unwrap();
    world.shutdown(&b);
    wait("the end", || a.mesh.peers().len() == 1);
    let _again = world.start(joining("b", &[&a.address()]));
    wait("the return", || a.peer("b").is_some());
    // Another life of the same node does not get what was meant for the first.
    assert_eq!(
        a.mesh.send(old, Bytes::from_static(b"late")),
        Err(NotSent::Down)
    );
}

#[test]
fn the_version_of_messages_is_the_oldest_that_all_read() {
    let world = World::new();
    let versions = |oldest, newest| larder_mesh::Versions { oldest, newest };
    let mut new = config("a");
    new.versions = versions(1, 3);
    let a = world.start(new.clone());
    assert_eq!(a.mesh.common_version(), 3);
    let mut old = joining("b", &[&a.address()]);
    old.versions = versions(1, 2);
    let b = world.start(old);
    wait_all_alive(&[&a, &b]);
    assert_eq!((a.mesh.common_version(), b.mesh.common_version()), (2, 2));
    let mut future = joining("c", &[&a.address()]);
    future.versions = versions(4, 4);
    let c = world.start(future);
    wait("a refusal", || c.refused("no_common_version") > 0);
    assert_eq!(a.alive(), 1);
}
