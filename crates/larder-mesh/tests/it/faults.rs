//! Links that lie, partners that do not read, and what is thought of them.

use std::time::Duration;

use bytes::Bytes;
use larder_mesh::{Address, Config, DownReason, State, Timing};
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use larder_testkit::servers::free_port;

use crate::support::{Node, World, config, joining, wait, wait_all_alive};

/// The patience of these tests: shorter, in the same proportions.
fn impatient(mut config: Config) -> Config {
    config.timing = Timing {
        heartbeat: Duration::from_millis(100),
        suspect_after: Duration::from_millis(500),
        cut_after: Duration::from_secs(1),
        gone_after: Duration::from_secs(3),
        greeting: Duration::from_secs(1),
        ..Timing::default()
    };
    config
}

/// Two nodes that reach each other only over two proxies, one before each.
struct Pair {
    a: Node,
    b: Node,
    before: [Proxy; 2],
}

fn pair(world: &World, patience: fn(Config) -> Config) -> Pair {
    let ports = [free_port(), free_port()];
    let before = ports.map(Proxy::to_port);
    let reach = [0, 1].map(|at| Address::from(before[at].address()));
    let start = |at: usize, join: &[&Address]| {
        let mut config = patience(joining(["a", "b"][at], join));
        config.listen.set_port(ports[at]);
        config.advertise = Some(reach[at].clone());
        world.start(config)
    };
    let a = start(0, &[]);
    let b = start(1, &[&reach[0]]);
    wait_all_alive(&[&a, &b]);
    Pair { a, b, before }
}

#[test]
fn a_link_that_leads_nowhere_is_suspected_cut_and_mended_in_either_direction() {
    for traffic in [Traffic::ALL, Traffic::REPLIES, Traffic::REQUESTS] {
        let world = World::new();
        let Pair { a, b, before } = pair(&world, impatient);
        before
            .iter()
            .for_each(|proxy| proxy.set(traffic, Fault::BlackHole));
        let is_doubted = |of: Option<State>| of.is_some_and(|state| state != State::Alive);
        wait("doubt", || {
            is_doubted(a.state("b")) || is_doubted(b.state("a"))
        });
        // On a machine that is too busy links may have broken before, in their greeting.
        let was_silent = |node: &Node| node.downs().contains(&DownReason::Silent);
        wait("the cut", || was_silent(&a) || was_silent(&b));
        wait("the end of patience", || {
            a.is("b", State::Gone) && b.is("a", State::Gone)
        });
        before.iter().for_each(Proxy::heal);
        wait("the return", || {
            a.is("b", State::Alive) && b.is("a", State::Alive)
        });
        // It is the same life, and each knows it.
        assert!(a.ups("b").iter().all(|life| *life == b.mesh.incarnation()));
        let peer = a.peer("b");
        wait("a message", || {
            let sent = peer.or_else(|| a.peer("b"));
            sent.is_some_and(|peer| a.mesh.send(peer, Bytes::from_static(b"x")).is_ok())
        });
        wait("it arrives", || !b.received().is_empty());
    }
}

#[test]
fn a_slow_link_is_no_reason_to_doubt() {
    let world = World::new();
    let Pair { a, b, before } = pair(&world, |config| config);
    let late = Fault::Latency {
        least: Duration::from_millis(60),
        jitter: Duration::from_millis(20),
    };
    before
        .iter()
        .for_each(|proxy| proxy.set(Traffic::ALL, late));
    let is_measured = |node: &Node| {
        let members = node.mesh.members();
        members[0]
            .round_trip
            .is_some_and(|way| way >= Duration::from_millis(110))
    };
    wait("the measured delay", || is_measured(&a) && is_measured(&b));
    assert_eq!([a.downs(), b.downs()].concat(), []);
    wait_all_alive(&[&a, &b]);
}

#[test]
fn a_connection_that_is_reset_is_dialled_again_at_once() {
    let world = World::new();
    let Pair { a, b, before } = pair(&world, |config| config);
    for round in 1..=5 {
        before.iter().for_each(Proxy::reset);
        wait("the return", || {
            a.ups("b").len() > round && b.ups("a").len() > round
        });
        wait_all_alive(&[&a, &b]);
    }
    assert!(a.downs().iter().all(|reason| *reason == DownReason::Broken));
    assert_eq!(a.mesh.peers().len() + b.mesh.peers().len(), 2);
}

#[test]
fn a_node_that_does_not_read_is_cut_off_and_others_do_not_notice() {
    let world = World::new();
    let mut config = config("a");
    config.limits.queue_bytes = 18 << 20;
    let a = world.start(config);
    let mut deaf = joining("deaf", &[&a.address()]);
    deaf.limits.inbox_events = 8;
    let (deaf, events) = world.start_deaf(deaf);
    let c = world.start(joining("c", &[&a.address()]));
    wait("both", || a.mesh.peers().len() == 2);
    let to = a.peer("deaf").unwrap();
    let message = Bytes::from(vec![7; 64 << 10]);
    // Nothing blocks: what does not fit any more ends the link.
    let mut sent = 0;
    wait("the end of the queue", || {
        let is_sent = a.mesh.send(to, message.clone()).is_ok();
        sent += u32::from(is_sent);
        !is_sent
    });
    assert!(sent > 10, "{sent}");
    wait("the cut", || a.downs().contains(&DownReason::NotReading));
    a.mesh
        .send(a.peer("c").unwrap(), Bytes::from_static(b"still here"))
        .unwrap();
    wait("the other", || c.received() == ["still here"]);
    assert_eq!(c.downs(), []);
    // Once it takes what has arrived, it is back.
    deaf.listen(&world, events);
    wait("the return", || {
        a.ups("deaf").len() >= 2 && a.is("deaf", State::Alive)
    });
}

#[test]
fn a_node_whose_events_nobody_takes_does_not_doubt_others() {
    let world = World::new();
    let a = world.start(config("a"));
    let mut slow = joining("slow", &[&a.address()]);
    slow.limits.inbox_events = 2;
    let (slow, events) = world.start_deaf(slow);
    wait("the link", || a.peer("slow").is_some());
    for n in 0..20_u8 {
        a.mesh
            .send(a.peer("slow").unwrap(), vec![n].into())
            .unwrap();
    }
    // Far longer than the patience of either: it is not reading, but it lives, and so does `a`.
    let mut beats = slow.mesh.changes();
    let watched = world.runtime.spawn(async move {
        let limit = Duration::from_secs(5);
        let mut doubts = 0;
        while let Ok(Ok(())) = tokio::time::timeout(limit, beats.changed()).await {
            doubts += 1;
        }
        doubts
    });
    world.runtime.block_on(watched).unwrap();
    wait("no doubt", || {
        slow.is("a", State::Alive) && a.is("slow", State::Alive)
    });
    assert_eq!(a.downs(), []);
    slow.listen(&world, events);
    wait("all of it", || slow.received().len() == 20);
    assert!(matches!(slow.told()[0], larder_mesh::Event::Up { .. }));
}

#[test]
fn links_that_come_and_go_while_nobody_takes_events_are_told_in_order_and_do_not_pile_up() {
    let world = World::new();
    let port = free_port();
    let proxy = Proxy::to_port(port);
    let via = Address::from(proxy.address());
    let mut config = impatient(config("deaf"));
    config.limits.inbox_events = 1;
    config.listen.set_port(port);
    config.advertise = Some(via.clone());
    let (deaf, events) = world.start_deaf(config);
    let first = world.start(impatient(joining("first", &[&deaf.address()])));
    wait("an event that nobody takes", || first.alive() == 1);
    let mut config = impatient(joining("a", &[&via]));
    // Nobody is there: all links are dialled by `a`, through the proxy.
    config.advertise = Address::of("127.0.0.1", free_port());
    let a = world.start(config);
    for round in 1..20 {
        wait("a link", || a.ups("deaf").len() >= round);
        proxy.reset();
        wait("its end", || a.downs().len() >= round);
    }
    deaf.listen(&world, events);
    wait("the last one", || {
        deaf.peer("a").is_some() && a.peer("deaf").is_some()
    });
    // Up and down alternate, and what lies between was never told.
    let of_a = a.mesh.id();
    let told = deaf.told().into_iter().filter_map(|event| match event {
        larder_mesh::Event::Up { peer, .. } if peer.node() == of_a => Some((true, peer)),
        larder_mesh::Event::Down { peer, .. } if peer.node() == of_a => Some((false, peer)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert!(told.len() < 8, "{}", told.len());
    for (at, (is_up, peer)) in told.iter().enumerate() {
        assert_eq!(*is_up, at % 2 == 0);
        assert!(*is_up || told[at - 1].1 == *peer);
    }
}
