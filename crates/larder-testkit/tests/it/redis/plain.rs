//! The plain layout: what other programs see, and what is not kept.

use std::sync::Arc;

use larder::TokioRuntime;
use larder_core::codec::CodecId;
use larder_core::error::ErrorKind;
use larder_core::record::{Expiry, Kind, Life};
use larder_core::space::Space;
use larder_core::store::{Batch, Keyspace, Lookup, Put, Store, Write};
use larder_core::tag::{Tags, tag_key};
use larder_core::version::Version;
use larder_redis::PlainStore;
use larder_testkit::servers::{RedisOptions, RedisServer};

use super::{get, lookup, patient, put, try_write, value, write};

fn plain(server: &RedisServer) -> PlainStore {
    let runtime = Arc::new(TokioRuntime::current());
    patient(server).plain_store(runtime, CodecId::JSON)
}

#[tokio::test]
async fn others_read_what_we_write_and_we_what_they_write() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = plain(&server);
    put(&store, "k", "{\"a\":1}").await;
    assert_eq!(server.cli(&["GET", "k"]), "{\"a\":1}");
    let left: u64 = server.cli(&["PTTL", "k"]).parse().unwrap();
    assert!(left > 0 && left <= 600_000, "{left}");
    server.cli(&["SET", "theirs", "[]", "PX", "60000"]);
    let record = lookup(&store, "theirs").await.into_record().unwrap();
    assert_eq!((record.value, record.codec), ("[]".into(), CodecId::JSON));
    let end = record.expires_at.unwrap().0;
    assert!(end <= store.now().0 + 60_000 && end + 5_000 > store.now().0 + 60_000);
    assert_eq!(record.fresh_until, record.expires_at);
    server.cli(&["DEL", "theirs"]);
    assert_eq!(lookup(&store, "theirs").await, Lookup::Absent);
    assert!(store.describe().leases.is_none());
}

#[tokio::test]
async fn nothing_stale_and_nothing_negative_is_kept() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = plain(&server);
    put(&store, "k", "v").await;
    let outcome = write(&store, "k", Write::Expire).await;
    assert!(outcome.existed && outcome.version == Version::ZERO);
    assert_eq!(server.cli(&["EXISTS", "k"]), "0");
    put(&store, "k", "v").await;
    let negative = Put {
        kind: Kind::Negative,
        ..value("")
    };
    write(&store, "k", Write::Put(negative)).await;
    assert_eq!(server.cli(&["EXISTS", "k"]), "0");
    let life = Life {
        fresh: Expiry::In(60_000),
        stale_for_ms: 600_000,
    };
    write(&store, "k", Write::Put(Put { life, ..value("v") })).await;
    let left: u64 = server.cli(&["PTTL", "k"]).parse().unwrap();
    assert!(left <= 60_000, "{left}");
}

#[tokio::test]
async fn tags_are_refused() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = plain(&server);
    assert!(store.describe().tags.is_none());
    let tag = tag_key("c", "t").unwrap();
    let tagged = Put {
        tags: Tags::new([tag.clone()]).unwrap(),
        ..value("v")
    };
    let tagged = Batch::one("k".into(), Write::Put(tagged));
    for batch in [Batch::one(tag, Write::Bump), tagged] {
        let batch = batch.write("other".into(), Write::Put(value("v")));
        let error = store.commit(batch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("no tags"), "{error}");
        assert_eq!(server.cli(&["DBSIZE"]), "0", "nothing in part");
    }
}

#[tokio::test]
async fn a_version_is_of_the_bytes() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = plain(&server);
    let one = put(&store, "k", "v").await.version;
    let two = put(&store, "l", "v").await.version;
    assert_eq!(one, two);
    assert_eq!(
        lookup(&store, "k").await.into_record().unwrap().version,
        one
    );
    assert_ne!(put(&store, "k", "w").await.version, one);
}

#[tokio::test]
async fn another_type_reads_as_absent_and_is_never_changed() {
    let Some(server) = RedisServer::start_or_skip(RedisOptions::new()) else {
        return;
    };
    let store = plain(&server);
    server.cli(&["RPUSH", "list", "one"]);
    assert_eq!(get(&store, "list").await.unwrap(), None);
    for change in [
        Write::Put(value("v")),
        Write::Remove { tombstone_ms: 0 },
        Write::Touch(Life::FOREVER),
    ] {
        let error = try_write(&store, "list", change).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    }
    assert_eq!(server.cli(&["LRANGE", "list", "0", "-1"]), "one");
}

#[tokio::test]
async fn a_user_with_the_listed_commands_can_do_everything() {
    let rules = "~app:* resetchannels -@all +get +set +strlen +exists +type +unlink +pexpireat \
        +persist +pttl +time +eval +evalsha +scan +randomkey";
    let options = RedisOptions::new().user("app", "secret", rules);
    let Some(server) = RedisServer::start_or_skip(options) else {
        return;
    };
    let runtime = Arc::new(TokioRuntime::current());
    let redis = patient(&server).key_prefix("app:");
    let store = redis.plain_store(runtime, CodecId::RAW);
    put(&store, "k", "v").await;
    write(&store, "k", Write::Touch(Life::FOREVER)).await;
    write(&store, "k", Write::Touch(Life::fresh_for_ms(60_000))).await;
    let all = Space::default();
    assert_eq!(store.scan(&all, 0, 100).await.unwrap().keys, ["k"]);
    assert_eq!(store.random_key(&all).await.unwrap().unwrap(), "k");
    assert_eq!(store.count(&all).await.unwrap(), 1);
    assert_eq!(store.clear(&all).await.unwrap(), 1);
    write(&store, "k", Write::Expire).await;
}
