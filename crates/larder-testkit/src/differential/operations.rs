//! Random operations of Larder's own stores: the calls of scripts as they are in production.

use std::time::Duration;

use bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::lane::Gap;
use larder_core::record::{Expiry, Kind, Life};
use larder_core::runtime::Timestamp;
use larder_core::space::Space;
use larder_core::store::{Batch, Expect, LeaseToken, Put, Store, Write};
use larder_core::tag::{Cut, Tags, tag_key};
use larder_core::version::Version;

use super::commands;
use crate::sim::Random;

/// From now on changes are logged and published.
pub(super) async fn begin_log(store: &dyn Store) {
    if let Some(bus) = store.describe().bus {
        drop(bus.poll().await);
    }
}

/// One random operation. What it gives does not matter: all that it asks is compared.
pub(super) async fn step(store: &dyn Store, random: &mut Random) {
    let key = commands::key(random);
    let description = store.describe();
    match random.below(16) {
        0 | 1 => drop(store.get(&key).await),
        2 => {
            let keys: Vec<Bytes> = (0..random.below(6))
                .map(|_| commands::key(random))
                .collect();
            drop(store.get_many(&keys).await);
        }
        3..8 => drop(store.commit(batch(random)).await),
        8..12 => lease_step(store, key, random).await,
        12 => {
            if let Some(keyspace) = description.keyspace {
                let space = space(random);
                match random.below(4) {
                    0 => drop(keyspace.scan(&space, 0, 3).await),
                    1 => drop(keyspace.count(&space).await),
                    2 => drop(keyspace.random_key(&space).await),
                    _ => drop(keyspace.clear(&space).await),
                }
            }
        }
        13 => {
            if let Some(tags) = description.tags {
                let keys: Vec<Bytes> = (0..random.below(4)).map(|_| tag(random)).collect();
                drop(tags.tags(&keys).await);
            }
        }
        _ => {
            if let Some(bus) = description.bus {
                let first = random.below(12);
                let last = first + random.below(8);
                match random.below(2) {
                    0 => drop(bus.poll().await),
                    _ => drop(bus.replay(Gap { first, last }).await),
                }
            }
        }
    }
}

async fn lease_step(store: &dyn Store, key: Bytes, random: &mut Random) {
    let Some(leases) = store.describe().leases else {
        return;
    };
    // Few, so that they meet again.
    let token = LeaseToken::from_random((1 + random.below(3)) << 11);
    let ttl = Duration::from_millis(commands::life(random));
    match random.below(6) {
        0 | 1 => drop(leases.lease(&key, token, ttl).await),
        2 => drop(leases.renew(&key, token, ttl).await),
        3 => drop(leases.release(&key, token).await),
        _ => drop(leases.fill(&key, token, put(random)).await),
    }
}

fn space(random: &mut Random) -> Space {
    match random.below(3) {
        0 => Space::default(),
        1 => Space::prefix("k"),
        _ => Space::database(2),
    }
}

fn tag(random: &mut Random) -> Bytes {
    let name = ["t", "u"][random.below(2) as usize];
    tag_key("c", name).expect("it is a tag")
}

fn batch(random: &mut Random) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..random.below(8).saturating_sub(5) {
        let expect = match random.below(4) {
            0 => Expect::Absent,
            1 => Expect::Present,
            2 => Expect::Version(Version::ZERO),
            _ => Expect::Version(Version(random.below(1 << 50))),
        };
        batch = batch.check(commands::key(random), expect);
    }
    for _ in 0..1 + random.below(4).saturating_sub(1) {
        let write = match random.below(10) {
            0..4 => Write::Put(put(random)),
            4 => Write::Remove { tombstone_ms: 0 },
            5 => Write::Remove {
                tombstone_ms: commands::life(random),
            },
            6 => Write::Expire,
            7 | 8 => Write::Touch(life(random)),
            _ => Write::Bump,
        };
        let key = if write == Write::Bump {
            tag(random)
        } else {
            commands::key(random)
        };
        batch = batch.write(key, write);
    }
    batch
}

fn life(random: &mut Random) -> Life {
    let fresh = match random.below(6) {
        0 => Expiry::Never,
        1 => Expiry::Keep,
        // Long ago, or never in practice.
        2 => Expiry::At(Timestamp(match random.below(2) {
            0 => random.below(1_600_000_000_000),
            _ => u64::MAX - random.below(9),
        })),
        _ => Expiry::In(commands::life(random)),
    };
    let stale_for_ms = match random.below(3) {
        0 => 0,
        1 => commands::life(random),
        _ => u64::MAX,
    };
    Life {
        fresh,
        stale_for_ms,
    }
}

fn put(random: &mut Random) -> Put {
    let tags = (0..random.below(5).saturating_sub(2)).map(|_| tag(random));
    let tags = Tags::new(tags.collect::<Vec<_>>()).expect("they are few");
    Put {
        kind: match random.below(4) {
            0 => Kind::Negative,
            _ => Kind::Value,
        },
        life: life(random),
        origin: random.below(9) as u32,
        load_cost_ms: random.below(9) as u32,
        codec: CodecId::RAW,
        schema: 0,
        tags,
        cut: Cut(random.draw() >> random.below(64)),
        value: commands::value(random),
    }
}
