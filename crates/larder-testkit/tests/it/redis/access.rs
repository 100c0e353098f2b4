//! Who may connect, how, and to which keys.

use std::sync::Arc;
use std::time::Duration;

use larder::Cache;
use larder_core::codec::CodecId;
use larder_core::error::ErrorKind;
use larder_core::record::Life;
use larder_core::space::Space;
use larder_core::store::{Batch, Expect, Keyspace, Leases, Put, Store, TagStore, Write};
use larder_core::tag::{Tags, tag_key};
use larder_redis::Redis;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{SOON, bytes, get, loaded, open, patient, put, start, token, try_write, value, write};

const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_wrong_or_missing_password_is_refused_and_never_shown() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new().password("right")) else {
        return;
    };
    let port = server.port();
    for (url, advice) in [
        (format!("redis://:hunter2@127.0.0.1:{port}"), "WRONGPASS"),
        (format!("redis://bob:hunter2@127.0.0.1:{port}"), "WRONGPASS"),
        (format!("redis://127.0.0.1:{port}"), "NOAUTH"),
    ] {
        let store = start(open(&url));
        let error = get(&*store, "k").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(advice), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error}");
    }
    let store = start(patient(&server));
    put(&*store, "k", "v").await;
}

/// The commands that the page of the crate lists.
const RULES: &str = "~app:* resetchannels -@all +get +mget +getrange +set +setrange +unlink \
    +exists +pexpire +pexpireat +persist +pttl +hget +hmget +hset +hdel +time +eval +evalsha +scan +randomkey";

async fn every_command(redis: Redis) {
    let store = start(redis);
    put(&*store, "k", "v").await;
    put(&*store, "k", "w").await;
    write(&*store, "k", Write::Touch(Life::FOREVER)).await;
    write(&*store, "k", Write::Touch(Life::fresh_for_ms(60_000))).await;
    write(&*store, "k", Write::Expire).await;
    write(
        &*store,
        "t",
        Write::Remove {
            tombstone_ms: 60_000,
        },
    )
    .await;
    let (key, token) = (bytes("k"), token(1));
    store
        .lease(&key, token, LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    assert!(store.renew(&key, token, LEASE * 2).await.unwrap());
    store.release(&key, token).await.unwrap();
    store
        .lease(&key, token, LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    store.fill(&key, token, loaded("x")).await.unwrap();
    store.get_many(&[key.clone(), bytes("t")]).await.unwrap();
    let tag = tag_key("c", "t").unwrap();
    let tagged = || Put {
        tags: Tags::new([tag.clone()]).unwrap(),
        ..value("x")
    };
    write(&*store, "k", Write::Put(tagged())).await;
    write(&*store, "k", Write::Expire).await;
    store
        .lease(&key, token, LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    let bump = Batch::one(tag.clone(), Write::Bump);
    store.commit(bump).await.unwrap();
    let cut = store.tags(std::slice::from_ref(&tag)).await.unwrap()[0];
    let put = Put { cut, ..tagged() };
    store.fill(&key, token, put).await.unwrap();
    let all = Space::default();
    assert_eq!(store.scan(&all, 0, 100).await.unwrap().keys, ["k"]);
    assert_eq!(store.count(&all).await.unwrap(), 1);
    assert!(store.random_key(&all).await.unwrap().is_some());
    assert_eq!(store.clear(&all).await.unwrap(), 1);
}

/// What a cache does beyond single records: parts of it, all of it, and what depends on a key.
async fn every_invalidation(redis: Redis) {
    let store: Arc<dyn Store> = start(redis);
    let cache: Cache<u64, u64> = Cache::builder("c")
        .ttl("1h")
        .remote(store)
        .build()
        .await
        .unwrap();
    let load = async |key: u64| {
        let inner = cache.clone();
        let outer = cache.get_or_load(&key, move |cx: larder::Cx<u64, _>| async move {
            cx.tag("t");
            inner
                .get(&0)
                .await
                .map(|found| found.map_or(0, |found| *found))
        });
        *outer.await.unwrap()
    };
    let _ = cache.insert(&0, 10).await.unwrap();
    for change in 0..6 {
        assert_eq!(load(1).await, 10);
        assert!(
            cache.get(&1).await.unwrap().is_some(),
            "it is stored: {change}"
        );
        match change {
            0 => drop(cache.invalidate_prefix("1").await.unwrap()),
            1 => drop(cache.invalidate_pattern("?").await.unwrap()),
            2 => drop(cache.invalidate_tag("t").await.unwrap()),
            3 => drop(cache.invalidate_dependents(&0).await.unwrap()),
            4 => drop(cache.insert(&0, 10).await.unwrap()),
            _ => drop(cache.clear().await.unwrap()),
        }
        assert!(cache.get(&1).await.unwrap().is_none(), "{change}");
        let _ = cache.insert(&0, 10).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_with_the_listed_commands_can_do_everything() {
    let options = RedisOptions::new().user("app", "secret", RULES);
    let Some(server) = RedisServer::start_or_skip(options) else {
        return;
    };
    every_command(patient(&server).key_prefix("app:")).await;
    every_invalidation(patient(&server).key_prefix("app:")).await;
}

#[tokio::test]
async fn a_user_without_rights_to_a_key_is_told_so() {
    let options = RedisOptions::new().user("app", "secret", "~app:* +@all");
    let Some(server) = RedisServer::start_or_skip(options) else {
        return;
    };
    let store = start(patient(&server));
    for error in [
        get(&*store, "k").await.unwrap_err(),
        try_write(&*store, "k", Write::Put(value("v")))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("NOPERM"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn databases_of_the_server_are_apart() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = |database: &str| start(open(&server.url().replace("/0", database)));
    let (zero, five) = (store("/0"), store("/5"));
    put(&*zero, "k", "zero").await;
    put(&*five, "k", "five").await;
    assert_eq!(get(&*zero, "k").await.unwrap().unwrap(), "zero");
    assert_eq!(five.clear(&Space::default()).await.unwrap(), 1);
    assert_eq!(get(&*zero, "k").await.unwrap().unwrap(), "zero");
    let error = get(&*store("/99"), "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn a_unix_socket_works_like_a_port() {
    let options = RedisOptions::new().unix_socket().password("p@ss");
    let Some(server) = RedisServer::start_or_skip(options) else {
        return;
    };
    let path = server.socket_path();
    let url = format!("unix://{}?db=2&password=p%40ss", path.display());
    every_command(open(&url)).await;
    let store = start(open(&format!("unix://{}x", path.display())));
    let error = get(&*store, "k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn tls_trusts_the_given_authority_and_no_other() {
    let options = || RedisOptions::new().tls().password("word");
    let Some(server) = RedisServer::start_or_skip(options()) else {
        return;
    };
    let tls = || {
        open(&server.tls_url())
            .connect_timeout(SOON)
            .response_timeout(SOON)
    };
    every_command(tls().ca_file(server.ca_pem_path())).await;
    every_command(tls().accept_any_certificate()).await;
    let by_url = format!(
        "{}?ca_file={}",
        server.tls_url(),
        server.ca_pem_path().display()
    );
    every_command(open(&by_url)).await;

    let other = RedisServer::start(options());
    for (distrusted, kind) in [
        (tls().ca_file(other.ca_pem_path()), ErrorKind::Refused),
        (tls().ca_file("/no/such/file.pem"), ErrorKind::Config),
    ] {
        let store = start(distrusted);
        let error = get(&*store, "k").await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.to_string().contains("word"), "{error}");
    }
}

#[tokio::test]
async fn tls_to_a_port_without_it_fails() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let redis = patient(&server).accept_any_certificate();
    let store = start(redis.connect_timeout(Duration::from_secs(1)));
    assert!(get(&*store, "k").await.is_err());
}

#[tokio::test]
async fn key_prefixes_keep_systems_apart() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let one = start(patient(&server).key_prefix("one:"));
    let two = start(patient(&server).key_prefix("two*:"));
    put(&*one, "k", "1").await;
    put(&*two, "k", "2").await;
    assert_eq!(get(&*one, "k").await.unwrap().unwrap(), "1");
    let absent = Batch::default().check(bytes("one:k"), Expect::Absent);
    two.commit(absent).await.unwrap();
    let all = Space::default();
    assert_eq!(one.count(&all).await.unwrap(), 1);
    assert_eq!(two.clear(&all).await.unwrap(), 1);
    assert_eq!(get(&*one, "k").await.unwrap().unwrap(), "1");
    assert_eq!(server.cli(&["EXISTS", "one:k"]), "1");
    let plain = patient(&server).key_prefix("bare:");
    let plain = plain.plain_store(
        std::sync::Arc::new(larder::TokioRuntime::current()),
        CodecId::RAW,
    );
    put(&plain, "k", "3").await;
    assert_eq!(server.cli(&["GET", "bare:k"]), "3");
    assert_eq!(plain.clear(&all).await.unwrap(), 1);
    assert_eq!(server.cli(&["EXISTS", "one:k"]), "1");
}
