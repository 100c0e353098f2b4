//! Links that are open and lead nowhere.

use std::io::ErrorKind;

use larder_testkit::proxy::{Fault, Traffic};

use super::{End, Setting};

#[test]
fn a_black_hole_swallows_bytes_and_tells_nobody() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    setting.proxy.set(Traffic::ALL, Fault::BlackHole);
    client.send(b"request");
    server.send(b"an answer");
    setting.count("both", |counts| {
        (counts.requests.swallowed, counts.replies.swallowed) == (7, 9)
    });
    client.has_nothing();
    server.has_nothing();
    assert_eq!(setting.proxy.counts().open, 1);
}

#[test]
fn a_black_hole_hides_that_a_side_has_closed() {
    let setting = Setting::new();
    let (mut client, server) = setting.connect();
    setting.proxy.set(Traffic::REPLIES, Fault::BlackHole);
    drop(server);
    setting.count("the end", |counts| counts.replies.unsaid == 1);
    client.has_nothing();
    setting.proxy.heal();
    client.is_reset();

    let (client, mut server) = setting.connect();
    setting.proxy.set(Traffic::REQUESTS, Fault::BlackHole);
    drop(client);
    setting.count("the end", |counts| counts.requests.unsaid == 1);
    server.has_nothing();
    setting.proxy.heal();
    server.is_reset();
}

#[test]
fn a_black_hole_of_one_direction_leaves_the_other_open() {
    for (hole, from_client) in [(Traffic::REQUESTS, true), (Traffic::REPLIES, false)] {
        let setting = Setting::new();
        let (mut client, mut server) = setting.connect();
        setting.proxy.set(hole, Fault::BlackHole);
        client.send(b"request");
        server.send(b"a reply");
        if from_client {
            client.gets(b"a reply");
            setting.count("the request", |counts| counts.requests.swallowed == 7);
            server.has_nothing();
        } else {
            server.gets(b"request");
            setting.count("the reply", |counts| counts.replies.swallowed == 7);
            client.has_nothing();
        }
    }
}

#[test]
fn a_connection_that_has_lost_bytes_is_reset_by_the_healing_and_others_go_on() {
    let setting = Setting::new();
    let (mut loser, mut server) = setting.connect();
    let (mut idle, mut idle_server) = setting.connect();
    setting.proxy.set(Traffic::REQUESTS, Fault::BlackHole);
    loser.send(b"lost");
    setting.count("the loss", |counts| counts.requests.swallowed == 4);
    setting.proxy.heal();
    loser.is_reset();
    server.is_reset();
    idle.send(b"not lost");
    idle_server.gets(b"not lost");
    assert_eq!(setting.proxy.counts().reset, 1);
}

#[test]
fn a_link_healed_for_new_connections_leaves_the_old_ones_dead() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    setting.proxy.set(Traffic::ALL, Fault::BlackHole);
    client.send(b"lost");
    server.send(b"lost");
    setting.count("the loss", |counts| {
        counts.requests.swallowed + counts.replies.swallowed == 8
    });
    setting.proxy.heal_new();
    client.send(b"as well");
    setting.count("more", |counts| counts.requests.swallowed == 11);
    server.has_nothing();
    let (mut other, mut other_server) = setting.connect();
    other.send(b"request");
    other_server.gets(b"request");
    client.has_nothing();
    setting.proxy.heal();
    client.is_reset();
    server.is_reset();
}

#[test]
fn a_server_never_hears_of_a_connection_through_a_black_hole() {
    let setting = Setting::new();
    setting.proxy.set(Traffic::REQUESTS, Fault::BlackHole);
    let mut client = setting.client();
    client.send(b"hello");
    setting.count("the bytes", |counts| counts.requests.swallowed == 5);
    setting.server.set_nonblocking(true).unwrap();
    let accepted = setting.server.accept().map_err(|error| error.kind());
    assert_eq!(accepted.map(drop), Err(ErrorKind::WouldBlock));
    client.has_nothing();
    setting.proxy.heal();
    client.is_reset();
}

#[test]
fn marked_connections_are_told_apart_by_what_was_sent_on_them() {
    let setting = Setting::new().marking(b"SUBSCRIBE");
    let (mut plain, mut plain_server) = setting.connect();
    let (mut marked, mut marked_server) = setting.connect();
    plain.send(b"SUBS and CRIBE");
    plain_server.gets(b"SUBS and CRIBE");
    // In two pieces, the second of which comes after the first has arrived.
    marked.send(b"*1 SUBSC");
    marked_server.gets(b"*1 SUBSC");
    marked.send(b"RIBE");
    marked_server.gets(b"RIBE");
    assert_eq!(setting.proxy.counts().marked, 1);
    let swallowed = |server: &mut End, client: &mut End, bytes| {
        server.send(b"x");
        setting.count("the loss", |counts| counts.replies.swallowed == bytes);
        client.has_nothing();
    };
    setting
        .proxy
        .set(Traffic::REPLIES.marked(), Fault::BlackHole);
    plain_server.send(b"a reply");
    plain.gets(b"a reply");
    swallowed(&mut marked_server, &mut marked, 1);
    setting.proxy.heal();
    marked.is_reset();
    setting
        .proxy
        .set(Traffic::REPLIES.unmarked(), Fault::BlackHole);
    swallowed(&mut plain_server, &mut plain, 2);
}
