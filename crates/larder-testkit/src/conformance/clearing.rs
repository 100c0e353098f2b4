//! Clearing a space: all of it, nothing beside it, and no load that began before comes after.

use larder_core::space::Space;
use larder_core::store::Fill;

use super::keyspace::{count, put_in, scan};
use super::subject::{Subject, bytes, fine};

async fn clear(subject: &Subject, space: &Space) -> u64 {
    fine(subject.keyspace().clear(space).await)
}

/// Everything goes, and is counted.
pub async fn clearing_removes_everything(subject: &Subject) {
    for at in 0..300 {
        subject.put(&format!("k{at}"), "v").await;
    }
    assert_eq!(clear(subject, &Space::default()).await, 300);
    assert_eq!(count(subject, &Space::default()).await, 0);
    subject.assert_absent("k0").await;
    assert_eq!(clear(subject, &Space::default()).await, 0);
}

/// Other prefixes and databases stay.
pub async fn clearing_stays_within_its_space(subject: &Subject) {
    let other = Space::database(1);
    for key in ["app:1", "app:2", "apple"] {
        subject.put(key, "v").await;
        put_in(subject, &other, key).await;
    }
    assert_eq!(clear(subject, &Space::prefix("app:")).await, 2);
    subject.assert_value("apple", "v").await;
    assert_eq!(count(subject, &other).await, 3);
    assert_eq!(clear(subject, &other).await, 3);
    assert_eq!(scan(subject, &Space::default(), 10).await.len(), 1);
}

/// Leases go with the rest: what was loaded before is not stored after.
pub async fn clearing_refuses_loads_begun_before(subject: &Subject) {
    subject.put_stale("stale", "v").await;
    subject.bury("buried").await;
    let keys = ["absent", "stale", "buried"];
    for key in keys {
        subject.granted(key, 1).await;
    }
    assert_eq!(clear(subject, &Space::default()).await, 1);
    for key in keys {
        subject.assert_refused(key, 1).await;
        subject.assert_absent(key).await;
        subject.granted(key, 2).await;
        assert!(matches!(
            subject.fill(key, 2, "new").await,
            Fill::Stored { .. }
        ));
    }
}

/// Loads of other spaces go on.
pub async fn clearing_leaves_loads_elsewhere(subject: &Subject) {
    subject.granted("b:1", 1).await;
    subject.put("a:1", "v").await;
    clear(subject, &Space::prefix("a:")).await;
    assert!(matches!(
        subject.fill("b:1", 1, "v").await,
        Fill::Stored { .. }
    ));
}

/// A version never falls back, not even by clearing.
pub async fn clearing_keeps_the_order(subject: &Subject) {
    let before = subject.put("k", "v").await.version;
    clear(subject, &Space::default()).await;
    assert!(subject.put("k", "v").await.version > before);
    let stored = fine(subject.store.get(&bytes("k")).await);
    assert!(stored.into_record().is_some());
}
