//! Addresses that are taken, and what is said about those that are not.

use std::path::PathBuf;

use larder_core::error::ErrorKind;

use super::{Endpoint, Redis, Tls};

fn open(url: &str) -> Redis {
    Redis::open(url).unwrap()
}

fn refusal(url: &str) -> String {
    let error = Redis::open(url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn every_part_of_a_url_is_read() {
    let address = open("redis://us%40er:p%2Fw@cache.local:7000/2").address;
    assert_eq!(
        address.endpoint,
        Endpoint::Tcp {
            host: "cache.local".into(),
            port: 7000
        }
    );
    assert_eq!(address.user.as_deref(), Some("us@er"));
    assert_eq!(address.password.unwrap().expose(), "p/w");
    assert_eq!((address.database, address.tls), (2, Tls::Off));
}

#[test]
fn all_but_the_host_may_be_left_out() {
    let address = open("valkey://cache").address;
    assert_eq!(address.to_string(), "redis://cache:6379/0");
    assert_eq!((address.user, address.password), (None, None));
    let address = open("redis://:word@[::1]:1/").address;
    assert_eq!(address.to_string(), "redis://[::1]:1/0");
    assert_eq!(address.user, None);
    assert!(address.password.is_some());
}

#[test]
fn tls_is_trusted_as_asked_for() {
    assert_eq!(open("rediss://cache").address.tls, Tls::System);
    assert_eq!(
        open("rediss://cache?ca_file=/etc/ca.pem").address.tls,
        Tls::Authority("/etc/ca.pem".into())
    );
    assert_eq!(
        open("valkeys://cache/1#insecure").address.tls,
        Tls::AcceptAny
    );
}

#[test]
fn sockets_take_their_options_from_the_query() {
    let address = open("redis+unix:///run/my%20redis.sock?db=3&user=u&password=p").address;
    assert_eq!(
        address.endpoint,
        Endpoint::Unix(PathBuf::from("/run/my redis.sock"))
    );
    assert_eq!((address.database, address.user.as_deref()), (3, Some("u")));
    assert_eq!(address.to_string(), "unix:///run/my redis.sock?db=3");
}

#[test]
fn a_wrong_part_is_named() {
    for (url, part) in [
        ("cache:6379", "redis://"),
        ("http://cache", "http:// is not known"),
        ("redis://", "host"),
        ("redis://cache:port", "port"),
        ("redis://cache:70000", "port"),
        ("redis://cache/users", "database"),
        ("redis://cache/-1", "database"),
        ("redis://cache/65536", "database"),
        ("redis://cache?db=1", "\"db\""),
        ("redis://cache#insecure", "insecure"),
        ("rediss://cache#trust", "insecure"),
        ("unix://run/redis.sock", "absolute"),
        ("unix:///run/redis.sock?pasword=x", "\"pasword\""),
        ("redis://us%ffer@cache", "user"),
    ] {
        let said = refusal(url);
        assert!(said.contains(part), "{url}: {said}");
    }
}

#[test]
fn the_password_is_never_shown() {
    for url in [
        "redis://user:hunter2@cache:x",
        "redis://user:hunter2@cache/x",
        "redis://user:hunter2/@cache:6379",
        "redis://:hunter2@",
        "unix:///s?password=hunter2&x=1",
        "rediss://user:hunter2@cache?ca=1",
    ] {
        let said = refusal(url);
        assert!(!said.contains("hunter2"), "{url}: {said}");
    }
    let redis = open("redis://user:hunter2@cache");
    assert!(!format!("{redis:?} {redis}").contains("hunter2"));
}
