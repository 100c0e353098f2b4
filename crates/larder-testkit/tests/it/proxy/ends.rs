//! Faults that end connections.

use std::io::ErrorKind;
use std::net::TcpStream;

use larder_testkit::proxy::{Fault, Traffic};

use super::Setting;

#[test]
fn a_reset_ends_what_is_open_and_nothing_else() {
    let setting = Setting::new();
    let (mut one, mut one_server) = setting.connect();
    let (mut two, mut two_server) = setting.connect();
    setting.proxy.reset();
    assert_eq!(
        (setting.proxy.counts().open, setting.proxy.counts().reset),
        (0, 2)
    );
    for end in [&mut one, &mut one_server, &mut two, &mut two_server] {
        end.is_reset();
    }
    let (mut three, mut three_server) = setting.connect();
    three.send(b"request");
    three_server.gets(b"request");
}

#[test]
fn new_connections_can_be_reset_too_until_the_link_is_healed() {
    let setting = Setting::new();
    let (mut old, _server) = setting.connect();
    setting.proxy.reset_all();
    old.is_reset();
    for _ in 0..3 {
        setting.client().is_reset();
    }
    setting.proxy.heal();
    let (mut client, mut server) = setting.connect();
    client.send(b"request");
    server.gets(b"request");
}

#[test]
fn a_cut_closes_and_refuses_until_the_link_is_healed() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    setting.proxy.cut();
    client.is_closed();
    server.is_closed();
    let refused = TcpStream::connect(setting.proxy.address()).map_err(|error| error.kind());
    assert_eq!(refused.map(drop), Err(ErrorKind::ConnectionRefused));
    setting.proxy.heal();
    let (mut client, mut server) = setting.connect();
    client.send(b"request");
    server.gets(b"request");
}

#[test]
fn a_limit_lets_so_many_bytes_pass_and_closes() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    client.send(b"before");
    server.gets(b"before");
    setting.proxy.set(Traffic::REQUESTS, Fault::Limit(4));
    client.send(b"abcdefgh");
    server.gets(b"abcd");
    server.is_closed();
    // The limit is one of each connection, and begins anew with each order.
    let (mut client, mut server) = setting.connect();
    client.send(b"xyz");
    server.gets(b"xyz");
    setting.proxy.set(Traffic::REQUESTS, Fault::Limit(4));
    server.send(b"replies have no limit");
    client.gets(b"replies have no limit");
    client.send(b"123");
    server.gets(b"123");
    client.send(b"45");
    server.gets(b"4");
    server.is_closed();
}

#[test]
fn a_limit_of_nothing_closes_at_the_first_byte() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    setting.proxy.set(Traffic::REPLIES, Fault::Limit(0));
    client.send(b"request");
    server.gets(b"request");
    server.send(b"reply");
    client.is_closed();
}
