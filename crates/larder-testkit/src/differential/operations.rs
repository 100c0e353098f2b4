//! Random operations of Larder's own stores: the calls of scripts as they are in production.

use std::time::Duration;

use bytes::Bytes;
use larder_core::area::{Area, area_key};
use larder_core::bus::Reader;
use larder_core::codec::CodecId;
use larder_core::counter::counter_key;
use larder_core::lane::{Gap, Position};
use larder_core::lock::{FencingToken, Owner, lock_key};
use larder_core::rate::{RateLimit, rate_key};
use larder_core::record::{Expiry, Kind, Life};
use larder_core::runtime::Timestamp;
use larder_core::space::Space;
use larder_core::store::{Batch, Expect, LeaseToken, Put, Store, Within, Write};
use larder_core::tag::{Bond, Cut, Tags, dependency_key, tag_key};
use larder_core::version::Version;

use super::commands;
use crate::sim::Random;

/// From now on changes are logged and published.
pub(super) async fn begin_log(store: &dyn Store, random: &mut Random) {
    if let Some(bus) = store.describe().bus {
        drop(bus.poll(&reader(random)).await);
    }
}

/// One random operation. What it gives does not matter: all that it asks is compared.
pub(super) async fn step(store: &dyn Store, random: &mut Random) {
    let key = commands::key(random);
    match random.below(23) {
        0 | 1 => drop(store.get(&key).await),
        2 => drop(store.get_many(&some(random, commands::key)).await),
        3..9 => drop(store.commit(batch(random)).await),
        9..14 => lease_step(store, key, random).await,
        14 => keyspace_step(store, random).await,
        15 | 16 => tags_step(store, random).await,
        17 | 18 => lock_step(store, key, random).await,
        19 => meter_step(store, key, random).await,
        _ => bus_step(store, random).await,
    }
}

fn some(random: &mut Random, draw: fn(&mut Random) -> Bytes) -> Vec<Bytes> {
    (0..random.below(5)).map(|_| draw(random)).collect()
}

async fn keyspace_step(store: &dyn Store, random: &mut Random) {
    let Some(keyspace) = store.describe().keyspace else {
        return;
    };
    let space = space(random);
    match random.below(5) {
        0 => drop(keyspace.scan(&space, 0, 3).await),
        1 => drop(keyspace.count(&space).await),
        2 => drop(keyspace.random_key(&space).await),
        3 => {
            let before = cut(random);
            let keys = some(random, commands::key);
            drop(keyspace.reclaim(&keys, before).await);
        }
        _ => drop(keyspace.clear(&space).await),
    }
}

async fn tags_step(store: &dyn Store, random: &mut Random) {
    let Some(tags) = store.describe().tags else {
        return;
    };
    match random.below(3) {
        0 => drop(tags.tags(&some(random, numbered)).await),
        1 => drop(tags.watch(&some(random, dependency)).await),
        _ => {
            let keys = some(random, commands::key);
            drop(tags.get_within(&keys, &area_key("c")).await);
        }
    }
}

async fn bus_step(store: &dyn Store, random: &mut Random) {
    let Some(bus) = store.describe().bus else {
        return;
    };
    match random.below(6) {
        0..3 => drop(bus.poll(&reader(random)).await),
        3 => drop(bus.readers().await),
        4 => drop(bus.nudge().await),
        _ => {
            let first = random.below(12);
            let last = first + random.below(8);
            drop(bus.replay(Gap { first, last }).await);
        }
    }
}

fn reader(random: &mut Random) -> Reader {
    let position = Position {
        incarnation: random.below(1 << 50),
        seq: random.below(20),
    };
    Reader {
        node: random.below(3) as u32,
        name: "node".into(),
        cache: "c".into(),
        applied: random.per_mille(500).then_some(position),
        leaves: random.per_mille(100),
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
        0 | 1 => drop(leases.lease(&key, token, ttl, version(random)).await),
        2 => drop(leases.renew(&key, token, ttl).await),
        3 => drop(leases.release(&key, token).await),
        _ => drop(leases.fill(&key, token, put(random)).await),
    }
}

async fn lock_step(store: &dyn Store, key: Bytes, random: &mut Random) {
    let Some(locks) = store.describe().locks else {
        return;
    };
    let name = lock_key(&key);
    let owner = Owner::from_random(random.below(3), 0);
    let ttl = Duration::from_millis(commands::life(random).clamp(1, 86_400_000));
    match random.below(7) {
        0..3 => {
            let seen = fencing_token(random);
            drop(locks.acquire(&name, owner, ttl, seen).await);
        }
        3 => drop(locks.prolong(&name, owner, ttl).await),
        4 => drop(locks.release(&name, owner).await),
        _ => {
            let mut batch = batch(random);
            batch.checks.clear();
            drop(
                locks
                    .commit_fenced(&key, fencing_token(random), batch)
                    .await,
            );
        }
    }
}

/// None, or one near those that are given.
fn fencing_token(random: &mut Random) -> FencingToken {
    match random.below(3) {
        0 => FencingToken::ZERO,
        1 => FencingToken::from_number(1_790_000_000_000_000 + random.below(1 << 50)),
        _ => FencingToken::from_number(random.draw() >> 20),
    }
}

async fn meter_step(store: &dyn Store, key: Bytes, random: &mut Random) {
    let description = store.describe();
    let (Some(rates), Some(counters)) = (description.rates, description.counters) else {
        return;
    };
    let name = counter_key(&key);
    match random.below(6) {
        0..3 => {
            let period = Duration::from_micros(1 + (random.draw() >> (30 + random.below(33))));
            let (count, burst) = (1 + random.below(9), 1 + random.below(9));
            if let Ok(limit) = RateLimit::new(count, period, burst) {
                let name = rate_key(&limit, &key);
                drop(rates.request(&name, &limit, random.below(burst + 1)).await);
            }
        }
        3 | 4 => {
            let by = random.draw() >> random.below(64);
            let ttl = Duration::from_millis(1 + commands::life(random));
            let ttl = random.per_mille(500).then_some(ttl);
            drop(counters.add(&name, by.cast_signed(), ttl).await);
        }
        _ => drop(counters.take(&name).await),
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

fn dependency(random: &mut Random) -> Bytes {
    dependency_key(&commands::key(random)).unwrap_or_else(|| tag(random))
}

/// Whatever has a number on the tag clock.
fn numbered(random: &mut Random) -> Bytes {
    match random.below(4) {
        0 => area_key("c"),
        1 => dependency(random),
        _ => tag(random),
    }
}

fn area(random: &mut Random) -> Area {
    let area = match random.below(4) {
        0 => Ok(Area::ALL),
        1 => Area::pattern(b"k*1"),
        2 => Ok(Area::Expired),
        _ => Area::prefix([&b"k"[..], b"k1", b"o"][random.below(3) as usize]),
    };
    area.expect("they are short")
}

/// Nothing, something small, something near the present, or more.
fn cut(random: &mut Random) -> Cut {
    match random.below(4) {
        0 => Cut::default(),
        1 => Cut(1_790_000_000_000_000 + random.below(1 << 50)),
        _ => Cut(random.draw() >> random.below(64)),
    }
}

fn version(random: &mut Random) -> Version {
    match random.below(4) {
        0 => Version(random.below(1 << 50)),
        _ => Version::ZERO,
    }
}

fn batch(random: &mut Random) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..random.below(8).saturating_sub(5) {
        let expect = match random.below(4) {
            0 => Expect::Absent,
            1 => Expect::Present,
            _ => Expect::Version(version(random)),
        };
        batch = batch.check(commands::key(random), expect);
    }
    for _ in 0..1 + random.below(4).saturating_sub(1) {
        let write = match random.below(12) {
            0..5 => Write::Put(put(random)),
            5 => Write::Remove { tombstone_ms: 0 },
            6 => Write::Remove {
                tombstone_ms: commands::life(random),
            },
            7 => Write::Expire,
            8 | 9 => Write::Touch(life(random)),
            10 => Write::Bump,
            _ => Write::Void(area(random)),
        };
        let key = match &write {
            Write::Bump => tag(random),
            Write::Void(_) => area_key("c"),
            _ => commands::key(random),
        };
        batch = batch.write(key, write);
    }
    batch.carry = random.per_mille(300);
    batch.probe = random.per_mille(50);
    batch.by(random.below(4) as u32)
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
        bonds: bonds(random),
        within: random.per_mille(500).then(|| Within {
            cache: area_key("c"),
            checked: cut(random),
        }),
        cut: cut(random),
        value: commands::value(random),
    }
}

fn bonds(random: &mut Random) -> Vec<Bond> {
    let bonds = (0..random.below(5).saturating_sub(2)).map(|_| Bond {
        tag: numbered(random),
        cut: cut(random),
        version: version(random),
    });
    bonds.collect()
}
