//! How nodes come together: by one member, all at once, by a list, by a call; and how they leave.

use larder_mesh::{Address, DownReason, Membership, NodeName, Seat, State};
use larder_testkit::servers::free_port;

use crate::support::{World, config, joining, wait, wait_all_alive};

#[test]
fn a_node_that_joins_one_member_meets_all_others() {
    let world = World::new();
    let a = world.start(config("a"));
    let b = world.start(joining("b", &[&a.address()]));
    let c = world.start(joining("c", &[&b.address()]));
    let d = world.start(joining("d", &[&a.address()]));
    wait_all_alive(&[&a, &b, &c, &d]);
    let c_of_d = d
        .mesh
        .members()
        .into_iter()
        .find(|m| m.name.as_str() == "c")
        .unwrap();
    assert_eq!(c_of_d.address, c.address());
    assert_eq!(c_of_d.incarnation, Some(c.mesh.incarnation()));
    wait("a measured way", || {
        a.mesh
            .members()
            .iter()
            .all(|member| member.round_trip.is_some())
    });
}

#[test]
fn three_that_start_at_once_in_any_order_have_one_link_per_pair_and_never_lose_it() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let world = World::new();
        let ports = [free_port(), free_port(), free_port()];
        let all = ports.map(|port| Address::parse(&format!("127.0.0.1:{port}")).unwrap());
        let start = |at: usize| {
            // Each has all three in its list, itself among them.
            let mut config = joining(["a", "b", "c"][at], &[&all[0], &all[1], &all[2]]);
            config.listen.set_port(ports[at]);
            world.start(config)
        };
        let nodes = order.map(start);
        wait_all_alive(&[&nodes[0], &nodes[1], &nodes[2]]);
        // Each finds itself behind one of the addresses, and that is no member.
        wait("itself is found", || {
            nodes.iter().all(|node| node.refused("itself") > 0)
        });
        for node in &nodes {
            assert_eq!(node.mesh.members().len(), 2);
            assert_eq!(node.downs(), [], "{order:?}");
            assert!(["a", "b", "c"].iter().all(|of| node.ups(of).len() <= 1));
        }
    }
}

#[test]
fn an_address_can_be_given_at_run_time() {
    let world = World::new();
    let a = world.start(config("a"));
    let b = world.start(config("b"));
    assert_eq!(a.mesh.members(), []);
    a.mesh.connect(&b.address());
    wait_all_alive(&[&a, &b]);
}

#[test]
fn an_address_where_nobody_is_yet_is_dialled_until_somebody_is() {
    let world = World::new();
    let port = free_port();
    let later = Address::parse(&format!("localhost:{port}")).unwrap();
    let a = world.start(joining("a", &[&later]));
    let mut config = config("b");
    config.listen.set_port(port);
    let b = world.start(config);
    wait_all_alive(&[&a, &b]);
}

#[test]
fn a_fixed_list_knows_its_majority_and_refuses_whoever_is_not_in_it() {
    let world = World::new();
    let ports = [free_port(), free_port(), free_port()];
    let seats: Vec<Seat> = ["a", "b", "c"]
        .iter()
        .zip(ports)
        .map(|(name, port)| Seat {
            name: NodeName::new(name).unwrap(),
            address: Address::parse(&format!("127.0.0.1:{port}")).unwrap(),
        })
        .collect();
    let start = |at: usize| {
        let mut config = config(seats[at].name.as_str());
        config.membership = Membership::Fixed(seats.clone());
        config.listen.set_port(ports[at]);
        world.start(config)
    };
    let (a, b) = (start(0), start(1));
    wait("two of three", || {
        a.is("b", State::Alive) && b.is("a", State::Alive)
    });
    assert_eq!(a.mesh.majority(), Some(2));
    assert!(a.state("c").is_some_and(|state| state != State::Alive));
    let stranger = world.start(joining("x", &[&a.address()]));
    wait("a refusal", || stranger.refused("not_a_member") > 0);
    assert_eq!(a.state("x"), None);
    assert_eq!(stranger.mesh.majority(), None);
    let c = start(2);
    wait_all_alive(&[&a, &b, &c]);
}

#[test]
fn who_leaves_is_gone_at_once_and_its_port_is_free() {
    let world = World::new();
    let a = world.start(config("a"));
    let b = world.start(joining("b", &[&a.address()]));
    wait_all_alive(&[&a, &b]);
    let life = b.mesh.incarnation();
    for n in 0..100_u8 {
        b.mesh
            .send(b.peer("a").unwrap(), vec![n; 1000].into())
            .unwrap();
    }
    world.shutdown(&b);
    wait("the goodbye", || a.downs() == [DownReason::Left]);
    assert!(a.is("b", State::Gone));
    assert_eq!(
        a.received().len(),
        100,
        "what was queued is sent before the goodbye"
    );
    // The same name again, on the same port, is another life.
    let mut again = joining("b", &[&a.address()]);
    again.listen = b.mesh.address();
    let again = world.start(again);
    wait_all_alive(&[&a, &again]);
    assert_eq!(a.ups("b"), [life, again.mesh.incarnation()]);
}
