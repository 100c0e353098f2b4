//! An embedded store that may hold only so much.

use std::sync::Arc;

use bytes::Bytes;
use larder::TokioRuntime;
use larder::embedded::{Embedded, MemoryLimit, WhenFull};
use larder_core::codec::CodecId;
use larder_core::error::{ErrorKind, Result};
use larder_core::record::{Kind, Life};
use larder_core::store::{Batch, Committed, Expect, Fill, LeaseToken, Leases, Put, Store, Write};
use larder_core::tag::{Cut, Tags};
use larder_core::version::Version;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn store(mib: usize, when_full: WhenFull) -> Embedded {
    let mut limit = MemoryLimit::bytes(mib * MIB);
    limit.when_full = when_full;
    Embedded::within(Arc::new(TokioRuntime::current()), limit)
}

fn key(number: usize) -> Bytes {
    Bytes::from(format!("key:{number}"))
}

fn value(bytes: usize) -> Put {
    Put {
        kind: Kind::Value,
        life: Life::FOREVER,
        origin: 0,
        load_cost_ms: 0,
        codec: CodecId::RAW,
        schema: 0,
        tags: Tags::default(),
        bonds: Vec::new(),
        within: None,
        cut: Cut(0),
        value: Bytes::from(vec![b'v'; bytes]),
    }
}

async fn put(store: &Embedded, number: usize, bytes: usize) -> Result<Committed> {
    let write = Write::Put(value(bytes));
    store.commit(Batch::one(key(number), write)).await
}

async fn holds(store: &Embedded, number: usize) -> bool {
    let found = store.get(&key(number)).await;
    found.expect("a read never fails").into_record().is_some()
}

#[tokio::test]
async fn what_is_held_never_exceeds_the_limit_and_what_is_read_often_stays() {
    let store = store(4, WhenFull::Evict);
    for number in 0..1_000 {
        put(&store, number, 1_000).await.expect("there is room");
    }
    assert_eq!(store.stats().evicted, 0);
    // Ten times as much as there is room for, and a hundred keys are read all the while.
    for number in 1_000..40_000 {
        put(&store, number, 1_000).await.expect("room is made");
        if number % 10 == 0 {
            holds(&store, number / 10 % 100).await;
        }
        let stats = store.held_now();
        assert!(stats <= 4 * MIB + 4 * MIB / 16 + 2_048, "{stats} bytes");
    }
    let stats = store.stats();
    assert_eq!(stats.limit, 4 * MIB as u64);
    assert!(stats.bytes > 3 * MIB as u64, "{stats:?}");
    assert_eq!(stats.records + stats.evicted, 40_000);
    let mut kept = 0;
    for number in 0..100 {
        kept += usize::from(holds(&store, number).await);
    }
    assert!(kept >= 95, "{kept} of the 100 that are read are left");
    let mut unread = 0;
    for number in 1_000..2_000 {
        unread += usize::from(holds(&store, number).await);
    }
    assert!(unread <= 50, "{unread} of 1000 that nobody reads are left");
}

#[tokio::test]
async fn a_full_store_that_refuses_says_so_and_takes_removals() {
    let store = store(1, WhenFull::Refuse);
    let mut taken = 0;
    let error = loop {
        match put(&store, taken, 1_000).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().starts_with("OOM "), "{error}");
    assert!((500..1_100).contains(&taken), "{taken}");
    for number in 0..taken {
        assert!(holds(&store, number).await, "nothing is evicted");
    }
    // A fill is refused by itself, and leaves the lease as it was.
    let token = LeaseToken::from_random(7 << 11);
    let absent = key(1_000_000);
    let ttl = Duration::from_secs(10);
    let asked = store.lease(&absent, token, ttl, Version::ZERO).await;
    asked.expect("leases cost nothing");
    assert!(store.fill(&absent, token, value(1_000)).await.is_err());
    for number in 0..10 {
        let remove = Write::Remove { tombstone_ms: 0 };
        let removed = store.commit(Batch::one(key(number), remove)).await;
        removed.expect("removals are taken");
    }
    let mut later = value(1_000);
    later.cut = Cut(Cut::LOST.0 - 1);
    let filled = store.fill(&absent, token, later).await;
    assert!(matches!(filled, Ok(Fill::Stored { .. })), "{filled:?}");
}

#[tokio::test]
async fn a_value_larger_than_the_whole_store_is_refused_and_changes_nothing() {
    for when_full in [WhenFull::Evict, WhenFull::Refuse] {
        let store = store(1, when_full);
        put(&store, 1, 10).await.expect("there is room");
        let error = put(&store, 1, 2 * MIB).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.message().contains("2MiB"), "{error}");
        let batch =
            Batch::one(key(2), Write::Put(value(10))).write(key(3), Write::Put(value(2 * MIB)));
        assert!(store.commit(batch).await.is_err());
        assert!(holds(&store, 1).await && !holds(&store, 2).await);
        // Nor by a batch that would not have taken place.
        let batch = Batch::one(key(3), Write::Put(value(10))).check(key(1), Expect::Absent);
        let refused = store
            .commit(batch)
            .await
            .expect("it is held against its check");
        assert_eq!(refused, Committed::Refused(0));
    }
}

#[tokio::test]
async fn what_is_removed_or_replaced_makes_room_again() {
    let store = store(1, WhenFull::Refuse);
    for round in 0..100 {
        for number in 0..400 {
            let bytes = 500 + round;
            put(&store, number, bytes).await.expect("replaced in place");
        }
    }
    store.restart_empty();
    assert_eq!(store.held_now(), 0);
    put(&store, 1, 10).await.expect("there is room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_many_threads_at_once_stay_within_the_limit() {
    let store = store(4, WhenFull::Evict);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..10_000 {
                    let done = put(&store, writer * 10_000 + number, 1_000).await;
                    done.expect("room is made");
                    assert!(store.held_now() < 5 * MIB);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no write fails");
    }
    let stats = store.stats();
    assert_eq!(stats.records + stats.evicted, 40_000);
    assert_eq!(stats.bytes as usize, store.held_now());
}
