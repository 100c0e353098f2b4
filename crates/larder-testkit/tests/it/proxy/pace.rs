//! Faults that let everything through, in their own time.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use larder_testkit::proxy::{Fault, Traffic};
use tokio::time::Instant;

use super::{End, NEVER, SOON, Setting, text};

fn late(least: Duration) -> Fault {
    Fault::Latency {
        least,
        jitter: Duration::ZERO,
    }
}

/// How long it takes the bytes from one end to the other.
fn time(from: &mut End, to: &mut End, bytes: &[u8]) -> Duration {
    let began = Instant::now();
    from.send(bytes);
    to.gets(bytes);
    began.elapsed()
}

#[test]
fn latency_delays_the_direction_that_it_is_set_for() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    let some = Duration::from_millis(150);
    setting.proxy.set(Traffic::REPLIES, late(some));
    assert!(time(&mut server, &mut client, b"late") >= some);
    setting.proxy.heal();
    setting.proxy.set(Traffic::REQUESTS, late(NEVER));
    assert!(time(&mut server, &mut client, b"in time") < SOON);
}

#[test]
fn what_is_late_arrives_once_the_link_is_healed() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    setting.proxy.set(Traffic::ALL, late(NEVER));
    client.send(b"request");
    server.send(b"reply");
    server.has_nothing();
    setting.proxy.heal();
    server.gets(b"request");
    client.gets(b"reply");
}

#[test]
fn pieces_are_late_together_and_not_one_after_the_other() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    let some = Duration::from_millis(200);
    setting.proxy.set(Traffic::REQUESTS, late(some));
    // More than is read at once, several times.
    let bytes = text(30 * 16 * 1024);
    let took = time(&mut client, &mut server, &bytes);
    assert!((some..some * 10).contains(&took), "{took:?}");
}

#[test]
fn jitter_does_not_change_the_order() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    let jitter = Fault::Latency {
        least: Duration::ZERO,
        jitter: Duration::from_millis(30),
    };
    setting.proxy.set(Traffic::ALL, jitter);
    let bytes = text(200_000);
    for piece in bytes.chunks(10_000) {
        client.send(piece);
    }
    server.gets(&bytes);
}

#[test]
fn a_narrow_link_takes_the_time_that_its_width_gives() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    setting.proxy.set(Traffic::ALL, Fault::Bandwidth(100_000));
    let bytes = text(30_000);
    let took = time(&mut client, &mut server, &bytes);
    // The first fiftieth of a second is not waited for.
    assert!(took >= Duration::from_millis(270), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    setting.proxy.set(Traffic::ALL, Fault::Bandwidth(1));
    client.send(&bytes);
    setting.count("the first byte", |counts| counts.requests.passed > 30_000);
    setting.proxy.heal();
    server.gets(&bytes);
}

#[test]
fn slices_are_written_one_by_one() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    let fault = Fault::Slices {
        bytes: 3,
        pause: NEVER,
    };
    setting.proxy.set(Traffic::REQUESTS, fault);
    client.send(b"0123456789");
    server.gets(b"012");
    server.has_nothing();
    setting.count("three bytes", |counts| counts.requests.passed == 3);
    let fault = Fault::Slices {
        bytes: 2,
        pause: Duration::from_millis(40),
    };
    let began = Instant::now();
    setting.proxy.set(Traffic::REQUESTS, fault);
    server.gets(b"3456789");
    // 34 56 78 9: three pauses; the one before the first may be over.
    assert!(began.elapsed() >= Duration::from_millis(120));
}

#[test]
fn a_stalled_link_delivers_everything_in_the_end() {
    let setting = Setting::new();
    let (mut client, mut server) = setting.connect();
    setting.proxy.set(Traffic::ALL, Fault::Stall);
    client.send(b"request");
    client.finish();
    server.send(b"reply");
    let mut late = setting.client();
    late.send(b"another");
    server.has_nothing();
    client.has_nothing();
    setting.proxy.heal();
    server.gets(b"request");
    server.is_closed();
    client.gets(b"reply");
    let (accepted, _) = setting.server.accept().unwrap();
    End::new(accepted).gets(b"another");
    let counts = setting.proxy.counts();
    assert_eq!(counts.requests.swallowed + counts.replies.swallowed, 0);
}

#[test]
fn what_a_stalled_link_holds_has_a_bound() {
    let setting = Setting::new();
    let (client, _server) = setting.connect();
    setting.proxy.set(Traffic::REQUESTS, Fault::Stall);
    let pause = Some(Duration::from_millis(500));
    client.0.set_write_timeout(pause).unwrap();
    let bytes = text(1 << 20);
    // The buffers of four sockets and the proxy's own: a few MiB each at most.
    let written = (0..100).map(|_| (&client.0).write_all(&bytes));
    let error = written.filter_map(Result::err).next();
    assert_eq!(error.unwrap().kind(), ErrorKind::WouldBlock);
}
