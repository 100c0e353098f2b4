//! Values and keys between the cache and its remote tier: codecs, schemas, key types, sizes.

use bytes::Bytes;
use larder::codec::{Json, MessagePack, Postcard, Raw};
use larder::core::codec::{Codec, CodecError, CodecId};
use larder::core::store::Store;
use larder::{Builder, Cache, ErrorKind, Key, KeyWriter, RawKey};
use serde::{Deserialize, Serialize};

use crate::support::{Oops, World};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    tags: Vec<u32>,
}

fn ada() -> User {
    User {
        name: "Ada".to_owned(),
        tags: vec![1, 2, 3],
    }
}

async fn comes_back<V, C>(cache: Builder<u64, V, C>, value: V)
where
    V: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    C: Codec<V>,
{
    let cache = cache.build().await.unwrap();
    cache.insert(&1, value.clone()).await.unwrap();
    let read = cache.get(&1).await.unwrap().unwrap();
    assert_eq!(*read, value);
}

#[tokio::test]
async fn values_come_back_from_every_codec() {
    let world = World::new();
    let remote = || world.bare().remote(world.remote());
    comes_back(remote(), ada()).await;
    comes_back(remote().codec(MessagePack), ada()).await;
    comes_back(remote().codec(Json), ada()).await;
    comes_back(remote().codec(Postcard), ada()).await;
    let raw = || world.bare().remote(world.remote()).codec(Raw);
    comes_back(raw(), "text".to_owned()).await;
    let bytes = world.bare().remote(world.remote()).codec(Raw);
    comes_back(bytes, Bytes::from_static(b"\0\xff")).await;
    let vec = world.bare().remote(world.remote()).codec(Raw);
    comes_back(vec, vec![0u8, 255]).await;
}

#[tokio::test]
async fn a_value_of_another_codec_or_schema_is_a_miss_and_is_replaced() {
    let world = World::new();
    let remote = || world.bare::<u64>().remote(world.remote());
    let packed = remote().build().await.unwrap();
    let json = remote().codec(Json).build().await.unwrap();
    let newer = remote().codec(Json).schema(2).build().await.unwrap();
    let load = |value| move |_| async move { Ok::<_, Oops>(value) };
    for (before, after, value) in [(&packed, &json, 11), (&json, &newer, 12)] {
        before.insert(&1, 10).await.unwrap();
        assert!(after.get(&1).await.unwrap().is_none());
        assert!(!after.contains_key(&1).await.unwrap());
        assert_eq!(*after.get_or_load(&1, load(value)).await.unwrap(), value);
        assert_eq!(*after.get(&1).await.unwrap().unwrap(), value);
        assert!(after.stats().remote.damaged >= 2);
    }
}

#[tokio::test]
async fn a_value_that_no_longer_decodes_is_a_miss_and_is_replaced() {
    let world = World::new();
    let numbers = world.remote_only().codec(Json).build().await.unwrap();
    let users = world.bare::<User>().remote(world.remote()).codec(Json);
    let users = users.build().await.unwrap();
    numbers.insert(&1, 10).await.unwrap();
    assert!(users.get(&1).await.unwrap().is_none());
    assert_eq!(users.stats().remote.damaged, 1);
    let loaded = users.get_or_load(&1, |_| async { Ok::<_, Oops>(ada()) });
    assert_eq!(*loaded.await.unwrap(), ada());
    assert_eq!(*users.get(&1).await.unwrap().unwrap(), ada());
}

/// A codec of a user: numbers as text between brackets, none above 999.
struct Brackets;

impl Codec<u64> for Brackets {
    fn id(&self) -> CodecId {
        CodecId(100)
    }

    fn encode(&self, value: &u64, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if *value > 999 {
            return Err("too many digits".into());
        }
        out.extend_from_slice(format!("[{value}]").as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &Bytes) -> Result<u64, CodecError> {
        let text = std::str::from_utf8(bytes)?;
        Ok(text.trim_matches(['[', ']']).parse()?)
    }
}

#[tokio::test]
async fn a_codec_of_ones_own_is_used() {
    let world = World::new();
    let cache = world.remote_only().codec(Brackets).build().await.unwrap();
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), 10);
    let record = world.store.peek(1).await.into_record().unwrap();
    assert_eq!(
        (&record.value[..], record.codec),
        (&b"[10]"[..], CodecId(100))
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_returned_by_a_load_and_refused_by_an_insert() {
    let world = World::new();
    let cache = world.both().codec(Brackets).build().await.unwrap();
    let error = cache.insert(&1, 1_000).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Codec);
    assert!(error.to_string().contains("too many digits"), "{error}");
    let loaded = cache.get_or_load(&1, |_| async { Ok::<_, Oops>(1_000) });
    assert_eq!(*loaded.await.unwrap(), 1_000);
    assert!(cache.get(&1).await.unwrap().is_none());
    assert!(cache.stats().errors.contains(&(ErrorKind::Codec, 1)));
}

#[tokio::test]
async fn a_value_above_the_limit_is_refused_by_an_insert_and_changes_nothing() {
    let world = World::new();
    let cache = world.bare::<String>().remote(world.remote());
    let cache = cache.max_value("1KiB").build().await.unwrap();
    cache.insert(&1, "old".to_owned()).await.unwrap();
    let error = cache.insert(&1, "x".repeat(2_000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("max_value"), "{error}");
    assert_eq!(*cache.get(&1).await.unwrap().unwrap(), "old");
}

#[derive(Clone, PartialEq, Eq)]
struct Field {
    user: u64,
    name: String,
}

impl Key for Field {
    fn write(&self, out: &mut KeyWriter<'_>) {
        out.parts(&[&self.user, &self.name]);
    }
}

async fn keyed<K: Key>(world: &World) -> Cache<K, u64> {
    let cache = Cache::builder("app:users")
        .ttl("1h")
        .remote(world.remote())
        .runtime(world.clock.clone());
    cache.build().await.unwrap()
}

#[tokio::test]
async fn keys_are_written_as_namespace_entity_id_and_field() {
    let world = World::new();
    let stored = async |key: &'static str| {
        let key = Bytes::from_static(key.as_bytes());
        let found = world.store.get(&key).await.unwrap();
        assert!(found.into_record().is_some(), "{key:?}");
    };
    let fields = keyed::<Field>(&world).await;
    let field = |user, name: &str| Field {
        user,
        name: name.to_owned(),
    };
    fields.insert(&field(123, "name"), 1).await.unwrap();
    stored("app:users:123:name").await;
    fields.insert(&field(1, "a:b c"), 1).await.unwrap();
    stored("app:users:1:a%3Ab%20c").await;
    assert!(fields.get(&field(1, "a:b c")).await.unwrap().is_some());

    let pairs = keyed::<(u64, String)>(&world).await;
    pairs.insert(&(9, "x".to_owned()), 1).await.unwrap();
    stored("app:users:9:x").await;

    let texts = keyed::<String>(&world).await;
    texts.insert("feature_flags", 1).await.unwrap();
    stored("app:users:feature_flags").await;
    assert!(texts.get("feature_flags").await.unwrap().is_some());

    let raw = keyed::<RawKey>(&world).await;
    let key = RawKey(Bytes::from_static(b"%:\x01"));
    raw.insert(&key, 1).await.unwrap();
    stored("app:users:%:\x01").await;
}

#[tokio::test]
async fn a_key_that_is_too_long_is_an_error_everywhere() {
    let world = World::new();
    let cache = keyed::<String>(&world).await;
    let long = "x".repeat(70_000);
    let kind = |error: larder::Error| error.kind();
    let too_large = ErrorKind::TooLarge;
    assert_eq!(cache.get(&long).await.map_err(kind).unwrap_err(), too_large);
    assert_eq!(cache.insert(&long, 1).await.map_err(kind), Err(too_large));
    let load = cache.get_or_load(&long, |_| async { Ok::<_, Oops>(1) });
    match load.await {
        Err(larder::LoadError::Cache(error)) => assert_eq!(error.kind(), too_large),
        other => panic!("{other:?}"),
    }
}
