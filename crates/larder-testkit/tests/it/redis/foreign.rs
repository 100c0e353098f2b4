//! Servers on which others write too, that forget scripts, or are full.

use std::time::Duration;

use larder_core::error::ErrorKind;
use larder_core::record::Life;
use larder_core::space::Space;
use larder_core::store::{
    Batch, Damage, Expect, Fill, Keyspace, Lease, Leases, Lookup, Store, Write,
};
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{bytes, get, loaded, lookup, patient, put, start, token, try_write, value, write};

const LEASE: Duration = Duration::from_secs(60);
const REMOVE: Write = Write::Remove { tombstone_ms: 0 };

#[tokio::test]
async fn a_string_of_somebody_else_counts_as_absent() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    for foreign in [
        "",
        "x",
        "C1",
        "C1\u{2}another format of a length that could be a record, but \
                     is not one that we know how to read",
    ] {
        for key in ["put", "remove", "lease", "keep"] {
            server.cli(&["SET", key, foreign]);
            let found = lookup(&*store, key).await;
            assert!(
                matches!(found, Lookup::Damaged(_)),
                "{foreign:?}: {found:?}"
            );
            let absent = Batch::default().check(bytes(key), Expect::Absent);
            store.commit(absent).await.unwrap();
        }
        assert!(!put(&*store, "put", "v").await.existed);
        assert_eq!(get(&*store, "put").await.unwrap().unwrap(), "v");
        assert!(!write(&*store, "remove", REMOVE).await.existed);
        assert_eq!(server.cli(&["EXISTS", "remove"]), "0");
        let lease = store
            .lease(&bytes("lease"), token(1), LEASE, larder_core::Version::ZERO)
            .await
            .unwrap();
        assert!(
            matches!(lease, Lease::Granted { stale: None, .. }),
            "{lease:?}"
        );
        assert!(
            !write(&*store, "keep", Write::Touch(Life::FOREVER))
                .await
                .existed
        );
        assert!(!write(&*store, "keep", Write::Expire).await.existed);
        assert_eq!(server.cli(&["GET", "keep"]), foreign);
        write(&*store, "put", REMOVE).await;
        write(&*store, "lease", REMOVE).await;
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_refused_and_left_alone() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    server.cli(&["RPUSH", "list", "one"]);
    put(&*store, "k", "v").await;
    assert_eq!(
        lookup(&*store, "list").await,
        Lookup::Damaged(Damage::Foreign)
    );
    let found = store.get_many(&["list", "k"].map(bytes)).await.unwrap();
    assert!(
        matches!(&found[..], [Lookup::Absent, Lookup::Found(_)]),
        "{found:?}"
    );
    for change in [
        Write::Put(value("x")),
        REMOVE,
        Write::Expire,
        Write::Touch(Life::FOREVER),
    ] {
        let batch = Batch::one(bytes("k"), Write::Put(value("x"))).write(bytes("list"), change);
        let error = store.commit(batch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("WRONGTYPE"), "{error}");
        assert_eq!(
            get(&*store, "k").await.unwrap().unwrap(),
            "v",
            "nothing in part"
        );
    }
    let error = store
        .lease(&bytes("list"), token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_eq!(server.cli(&["LRANGE", "list", "0", "-1"]), "one");
}

#[tokio::test]
async fn listing_and_clearing_leave_what_others_wrote() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    server.cli(&["RPUSH", "list", "one"]);
    server.cli(&["SET", "text", "one"]);
    let all = Space::default();
    assert_eq!(store.random_key(&all).await.unwrap(), None);
    put(&*store, "k", "v").await;
    assert_eq!(store.scan(&all, 0, 100).await.unwrap().keys, ["k"]);
    assert_eq!(store.count(&all).await.unwrap(), 1);
    assert_eq!(store.random_key(&all).await.unwrap().unwrap(), "k");
    assert_eq!(store.clear(&all).await.unwrap(), 1);
    assert_eq!(server.cli(&["EXISTS", "k", "list", "text"]), "2");
}

#[tokio::test]
async fn a_damaged_record_is_loaded_anew() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    put(&*store, "k", "value").await;
    server.cli(&["SETRANGE", "k", "97", "X"]);
    assert_eq!(lookup(&*store, "k").await, Lookup::Damaged(Damage::Corrupt));
    let key = bytes("k");
    let lease = store
        .lease(&key, token(1), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    assert!(
        matches!(lease, Lease::Granted { stale: None, .. }),
        "{lease:?}"
    );
    let taken = store
        .lease(&key, token(2), LEASE, larder_core::Version::ZERO)
        .await
        .unwrap();
    assert!(
        matches!(taken, Lease::Taken { stale: None, .. }),
        "{taken:?}"
    );
    let filled = store.fill(&key, token(1), loaded("new")).await.unwrap();
    assert!(matches!(filled, Fill::Stored { .. }));
    assert_eq!(get(&*store, "k").await.unwrap().unwrap(), "new");
    // A record that was copied to another key is not that key's.
    server.cli(&["COPY", "k", "copy"]);
    assert_eq!(
        lookup(&*store, "copy").await,
        Lookup::Damaged(Damage::OtherKey)
    );
}

#[tokio::test]
async fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    for round in 0..20 {
        let text = round.to_string();
        put(&*store, "k", &text).await;
        server.cli(&["SCRIPT", "FLUSH"]);
        assert_eq!(get(&*store, "k").await.unwrap().unwrap(), text);
        let many = (0..200).fold(Batch::default(), |batch, at| {
            batch.write(bytes(&format!("m{at}")), Write::Put(value(&text)))
        });
        store.commit(many).await.unwrap();
        server.cli(&["SCRIPT", "FLUSH"]);
        assert_eq!(store.clear(&Space::default()).await.unwrap(), 201);
    }
}

#[tokio::test]
async fn a_full_server_refuses_values_but_not_invalidations() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    for key in ["remove", "bury", "expire", "touch"] {
        put(&*store, key, "v").await;
    }
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = try_write(&*store, "k", Write::Put(value("v")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("maxmemory"), "{error}");
    assert!(write(&*store, "remove", REMOVE).await.existed);
    assert!(
        write(
            &*store,
            "bury",
            Write::Remove {
                tombstone_ms: 60_000
            }
        )
        .await
        .existed
    );
    assert!(write(&*store, "expire", Write::Expire).await.existed);
    assert!(
        write(&*store, "touch", Write::Touch(Life::fresh_for_ms(60_000)))
            .await
            .existed
    );
    assert_eq!(get(&*store, "remove").await.unwrap(), None);
    assert_eq!(get(&*store, "bury").await.unwrap(), None);
    let marked = lookup(&*store, "expire").await.into_record().unwrap();
    assert!(marked.marked_stale);
}

#[tokio::test]
async fn a_replica_says_that_it_is_one() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = start(patient(&server));
    put(&*store, "k", "v").await;
    server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = try_write(&*store, "k", Write::Put(value("w")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("primary"), "{error}");
}
