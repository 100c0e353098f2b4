//! Listing: what is live, and nothing else.

use std::collections::BTreeSet;

use bytes::Bytes;
use larder_core::space::{Space, system_key};
use larder_core::store::{Batch, Lookup};

use super::subject::{REMOVE, Subject, bytes, fine, put_long};

/// All keys of a scan from start to end, and how many steps it took.
pub(super) async fn scan(subject: &Subject, space: &Space, count: usize) -> BTreeSet<Bytes> {
    let (mut keys, mut cursor) = (BTreeSet::new(), 0);
    // LIMIT: a scan that never ends fails here.
    for _ in 0..100_000 {
        let page = fine(subject.keyspace().scan(space, cursor, count).await);
        keys.extend(page.keys);
        cursor = page.next;
        if cursor == 0 {
            return keys;
        }
    }
    panic!("the scan does not end");
}

pub(super) async fn count(subject: &Subject, space: &Space) -> u64 {
    fine(subject.keyspace().count(space).await)
}

pub(super) async fn put_in(subject: &Subject, space: &Space, user: &str) {
    let key = space.stored(&bytes(user));
    subject.done(Batch::one(key, put_long(user))).await;
}

fn set(keys: &[&str]) -> BTreeSet<Bytes> {
    keys.iter().map(|key| bytes(key)).collect()
}

/// Nothing is in an empty store.
pub async fn an_empty_space_lists_nothing(subject: &Subject) {
    let all = Space::default();
    assert_eq!(scan(subject, &all, 10).await, set(&[]));
    assert_eq!(count(subject, &all).await, 0);
    assert_eq!(fine(subject.keyspace().random_key(&all).await), None);
}

/// A scan gives every key, whatever the size of its steps.
pub async fn a_scan_gives_every_key(subject: &Subject) {
    let all = Space::default();
    let keys: BTreeSet<Bytes> = (0..300).map(|at| bytes(&format!("k{at}"))).collect();
    let batch = keys.iter().fold(Batch::default(), |batch, key| {
        batch.write(key.clone(), put_long("v"))
    });
    subject.done(batch).await;
    for step in [1, 10, 1_000] {
        assert_eq!(scan(subject, &all, step).await, keys, "steps of {step}");
    }
    assert_eq!(count(subject, &all).await, 300);
}

/// A space is its prefix, letter by letter.
pub async fn a_prefix_selects(subject: &Subject) {
    for key in ["app:1", "app:2", "apple", "a*p:1", "a", "other"] {
        subject.put(key, "v").await;
    }
    let space = |prefix: &str| Space::prefix(bytes(prefix));
    assert_eq!(
        scan(subject, &space("app:"), 10).await,
        set(&["app:1", "app:2"])
    );
    assert_eq!(scan(subject, &space("a*p"), 10).await, set(&["a*p:1"]));
    assert_eq!(scan(subject, &space("?"), 10).await, set(&[]));
    assert_eq!(count(subject, &space("app")).await, 3);
    assert_eq!(count(subject, &space("")).await, 6);
    let found = fine(subject.keyspace().random_key(&space("oth")).await);
    assert_eq!(found, Some(bytes("other")));
}

/// A removed or ended value is not listed.
pub async fn only_what_is_live_is_listed(subject: &Subject) {
    let all = Space::default();
    subject.put("live", "v").await;
    subject.put("removed", "v").await;
    subject.remove("removed").await;
    subject.put_ended("ended", "v").await;
    assert_eq!(scan(subject, &all, 10).await, set(&["live"]));
    assert_eq!(count(subject, &all).await, 1);
    for _ in 0..10 {
        let found = fine(subject.keyspace().random_key(&all).await);
        assert_eq!(found, Some(bytes("live")));
    }
}

/// Tombstones and leases are not listed; stale values are.
pub async fn tombstones_and_leases_are_not_listed(subject: &Subject) {
    let all = Space::default();
    subject.put("buried", "v").await;
    subject.bury("buried").await;
    subject.granted("leased", 1).await;
    subject.put_stale("stale", "v").await;
    assert_eq!(scan(subject, &all, 10).await, set(&["stale"]));
    assert_eq!(count(subject, &all).await, 1);
    let found = fine(subject.keyspace().random_key(&all).await);
    assert_eq!(found, Some(bytes("stale")));
}

/// A key that is there all the while is met, whatever comes and goes around it.
pub async fn a_scan_misses_no_key_that_stays(subject: &Subject) {
    let all = Space::default();
    let stays: BTreeSet<Bytes> = (0..100).map(|at| bytes(&format!("stays{at}"))).collect();
    let batch = stays.iter().fold(Batch::default(), |batch, key| {
        batch.write(key.clone(), put_long("v"))
    });
    subject.done(batch).await;
    let (mut met, mut cursor, mut step) = (BTreeSet::new(), 0, 0);
    loop {
        let page = fine(subject.keyspace().scan(&all, cursor, 7).await);
        met.extend(page.keys);
        cursor = page.next;
        if cursor == 0 {
            break;
        }
        // The table grows and shrinks under the scan, and the keys that stay change too.
        let churn = (0..50).fold(Batch::default(), |batch, at| {
            let write = if step % 4 < 2 { put_long("v") } else { REMOVE };
            batch.write(bytes(&format!("goes{}", (step % 2) * 50 + at)), write)
        });
        subject.done(churn).await;
        subject.put(&format!("stays{}", step % 100), "again").await;
        step += 1;
        assert!(step < 100_000, "the scan does not end");
    }
    let missed: Vec<_> = stays.difference(&met).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// One user key in two databases is two keys.
pub async fn databases_are_apart(subject: &Subject) {
    let databases = [0, 1, 15].map(Space::database);
    for space in &databases {
        put_in(subject, space, "k").await;
    }
    put_in(subject, &databases[1], "only here").await;
    assert_eq!(scan(subject, &databases[0], 10).await, set(&["k"]));
    assert_eq!(
        scan(subject, &databases[1], 10).await,
        set(&["k", "only here"])
    );
    assert_eq!(count(subject, &databases[2]).await, 1);
    let elsewhere = Space::database(2);
    assert_eq!(count(subject, &elsewhere).await, 0);
    assert_eq!(fine(subject.keyspace().random_key(&elsewhere).await), None);
}

/// User keys that begin with a zero byte are listed as the user wrote them.
pub async fn keys_that_begin_with_a_zero_byte_are_listed(subject: &Subject) {
    for space in [Space::default(), Space::database(3)] {
        let keys = ["\0", "\0\0", "\0sshard", "\0d\u{1}k", "plain"];
        for key in keys {
            put_in(subject, &space, key).await;
        }
        assert_eq!(scan(subject, &space, 10).await, set(&keys));
        assert_eq!(count(subject, &space).await, 5);
    }
}

/// The store's own keys belong to no space.
pub async fn system_keys_are_never_listed(subject: &Subject) {
    subject.put("k", "v").await;
    let own = system_key("of the system");
    subject.done(Batch::one(own.clone(), put_long("v"))).await;
    for database in 0..4 {
        let listed = scan(subject, &Space::database(database), 10).await;
        assert_eq!(listed, if database == 0 { set(&["k"]) } else { set(&[]) });
    }
    fine(subject.keyspace().clear(&Space::default()).await);
    let kept = fine(subject.store.get(&own).await);
    assert!(matches!(kept, Lookup::Found(_)), "clearing left it");
}
