//! Members found by a name service whose answers change, or are bad.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use larder_mesh::{Address, Config, Discovery, DnsName, Membership, State};
use larder_testkit::servers::{DnsMood, DnsRecord, DnsServer, free_port};

use crate::support::{Node, World, config, wait, wait_all_alive};

const NAME: &str = "larder.default.svc.cluster.local";

fn ip(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// A node that asks the server for these names, on an address of its own on loopback.
fn asking(server: &DnsServer, name: &str, listen: (IpAddr, u16), dns: &[DnsName]) -> Config {
    let discovery = Discovery {
        dns: dns.to_vec(),
        dns_servers: vec![server.address()],
        dns_interval: Duration::from_millis(100),
        ..Discovery::default()
    };
    Config {
        listen: listen.into(),
        membership: Membership::Learned(discovery),
        ..config(name)
    }
}

/// As pods of a headless service: all on one port, each with its own address.
fn pods(world: &World, server: &DnsServer, names: &[&str]) -> Vec<Node> {
    let port = free_port();
    let dns = [DnsName::Addresses(Address::of(NAME, port).unwrap())];
    let pods = names.iter().zip(1..);
    let start = |(name, last): (&&str, u8)| {
        let config = asking(server, name, (ip(last), port), &dns);
        world.start(config)
    };
    pods.map(start).collect()
}

#[test]
fn the_addresses_of_a_headless_service_become_a_mesh_as_they_appear() {
    let world = World::new();
    let server = DnsServer::start();
    let nodes = pods(&world, &server, &["a", "b", "c"]);
    wait("questions", || server.asked().0 > 10);
    assert!(
        nodes.iter().all(|node| node.alive() == 0),
        "the name does not exist yet"
    );
    server.set(NAME, &[DnsRecord::Ip(ip(1)), DnsRecord::Ip(ip(2))]);
    // Each finds its own address among the answers, and leaves it alone.
    wait("two", || {
        nodes[0].is("b", State::Alive) && nodes[1].is("a", State::Alive)
    });
    server.set(
        NAME,
        &[
            DnsRecord::Ip(ip(3)),
            DnsRecord::Ip(Ipv6Addr::LOCALHOST.into()),
        ],
    );
    wait_all_alive(&nodes.iter().collect::<Vec<_>>());
    // A name that is gone takes no links away.
    server.set(NAME, &[]);
    let before = server.asked().0;
    wait("more questions", || server.asked().0 > before + 20);
    wait_all_alive(&nodes.iter().collect::<Vec<_>>());
    assert!(nodes.iter().all(|node| node.downs().is_empty()));
}

#[test]
fn services_say_hosts_and_ports_and_aliases_are_followed() {
    let world = World::new();
    let server = DnsServer::start();
    let service = "_mesh._tcp.larder.local";
    let dns = [DnsName::Services(service.to_owned())];
    let ports = [free_port(), free_port()];
    let start = |at: usize, name: &str| {
        let config = asking(&server, name, (ip(1), ports[at]), &dns);
        world.start(config)
    };
    let (a, b) = (start(0, "a"), start(1, "b"));
    server.set(
        "one.larder.local",
        &[DnsRecord::Alias("host.larder.local".to_owned())],
    );
    server.set("host.larder.local", &[DnsRecord::Ip(ip(1))]);
    let of = |port| DnsRecord::Service("one.larder.local".to_owned(), port);
    server.set(service, &[of(ports[0]), of(ports[1])]);
    wait_all_alive(&[&a, &b]);
}

#[test]
fn a_server_that_is_bad_in_whatever_way_delays_but_does_not_mislead() {
    for mood in [
        DnsMood::Truncating,
        DnsMood::Failing,
        DnsMood::Babbling,
        DnsMood::Forged,
    ] {
        let world = World::new();
        let server = DnsServer::start();
        server.mood(mood);
        server.set(NAME, &[DnsRecord::Ip(ip(1)), DnsRecord::Ip(ip(2))]);
        let nodes = pods(&world, &server, &["a", "b"]);
        let (a, b) = (&nodes[0], &nodes[1]);
        let is_useful = matches!(mood, DnsMood::Truncating | DnsMood::Forged);
        if is_useful {
            wait_all_alive(&[a, b]);
            assert_eq!(server.asked().1 > 0, mood == DnsMood::Truncating);
        } else {
            wait("questions", || server.asked().0 > 10);
            assert_eq!(a.alive() + b.alive(), 0, "{mood:?}");
            server.mood(DnsMood::Sound);
            wait_all_alive(&[a, b]);
        }
    }
}

#[test]
fn a_silent_server_does_not_take_away_who_is_there_and_the_next_one_is_asked() {
    let world = World::new();
    let (silent, sound) = (DnsServer::start(), DnsServer::start());
    silent.mood(DnsMood::Silent);
    let port = free_port();
    let dns = [DnsName::Addresses(Address::of(NAME, port).unwrap())];
    sound.set(NAME, &[DnsRecord::Ip(ip(1)), DnsRecord::Ip(ip(2))]);
    let start = |name: &str, last| {
        let mut config = asking(&silent, name, (ip(last), port), &dns);
        if let Membership::Learned(discovery) = &mut config.membership {
            discovery.dns_servers.push(sound.address());
        }
        world.start(config)
    };
    let (a, b) = (start("a", 1), start("b", 2));
    wait_all_alive(&[&a, &b]);
    assert!(silent.asked().0 > 0);
    sound.mood(DnsMood::Silent);
    let before = sound.asked().0;
    wait("silence", || sound.asked().0 > before + 1);
    wait_all_alive(&[&a, &b]);
}
