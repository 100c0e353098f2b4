//! Records that travel with what is pushed.

use larder_core::bus::{BusRecord, ChangeKind, MAX_CARRIED};
use larder_core::record::Life;
use larder_core::store::{Batch, Write};

use super::bus::{log_since, poll};
use super::bus_feed::{next, subscribe};
use super::subject::{LONG, REMOVE, Subject, bytes, put, put_long, put_of};

async fn carry(subject: &Subject, batch: Batch) {
    subject
        .done(Batch {
            carry: true,
            ..batch
        })
        .await;
}

/// What is pushed for a batch that lets its records travel.
async fn pushed(subject: &Subject, batch: Batch) -> BusRecord {
    poll(subject).await;
    let mut feed = subscribe(subject).await;
    carry(subject, batch).await;
    next(&mut *feed).await.expect("a record")
}

/// The same record that a read gives, with its version, its times and its encoding.
pub async fn what_travels_is_what_is_stored(subject: &Subject) {
    let mut one = put_of("value", Life::fresh_for_ms(LONG));
    one.origin = 7;
    one.schema = 3;
    let record = pushed(subject, Batch::one(bytes("k"), Write::Put(one))).await;
    let change = &record.changes[0];
    assert_eq!(change.kind, ChangeKind::Replaced);
    let carried = change.carried.as_deref().expect("the record travels along");
    assert_eq!(*carried, subject.record("k").await);
    assert_eq!(carried.version, change.version);
}

/// Unless its writer lets it, nothing travels.
pub async fn nothing_travels_unasked(subject: &Subject) {
    poll(subject).await;
    let mut feed = subscribe(subject).await;
    subject.put("k", "v").await;
    let record = next(&mut *feed).await.expect("a record");
    assert_eq!(record.changes[0].carried, None);
}

/// The log would need the memory of all values: it keeps the change alone.
pub async fn the_log_keeps_no_values(subject: &Subject) {
    let first = poll(subject).await;
    carry(subject, Batch::one(bytes("k"), put_long("v"))).await;
    let records = log_since(subject, first).await;
    assert_eq!(records[0].changes[0].kind, ChangeKind::Replaced);
    assert_eq!(records[0].changes[0].carried, None);
}

/// Of a batch, as much travels as there is room for; all of it is told.
pub async fn large_values_do_not_travel(subject: &Subject) {
    let large = "x".repeat(MAX_CARRIED);
    let half = "x".repeat(MAX_CARRIED / 2);
    let life = Life::fresh_for_ms(LONG);
    let batch = Batch::one(bytes("large"), put(&large, life))
        .write(bytes("one"), put(&half, life))
        .write(bytes("other"), put(&half, life))
        .write(bytes("small"), put("v", life));
    let record = pushed(subject, batch).await;
    let travels = |at: usize| record.changes[at].carried.is_some();
    assert_eq!(record.changes.len(), 4);
    assert_eq!(
        [travels(0), travels(1), travels(2), travels(3)],
        [false, true, false, true]
    );
}

/// Other changes have nothing that could travel, and what is over does not.
pub async fn only_what_is_put_travels(subject: &Subject) {
    subject.put("old", "v").await;
    subject.put("touched", "v").await;
    let batch = Batch::one(bytes("old"), REMOVE)
        .write(bytes("touched"), Write::Touch(Life::fresh_for_ms(LONG * 2)))
        .write(bytes("ended"), put("v", Life::fresh_for_ms(0)))
        .write(bytes("new"), put_long("v"));
    let record = pushed(subject, batch).await;
    let carried: Vec<_> = record
        .changes
        .iter()
        .filter(|change| change.carried.is_some())
        .map(|change| change.key.clone())
        .collect();
    assert_eq!((record.changes.len(), carried), (4, vec![bytes("new")]));
}

/// A key that is put twice: whatever travels has the version of its own change.
pub async fn of_two_puts_of_a_key_none_poses_as_the_other(subject: &Subject) {
    let batch = Batch::one(bytes("k"), put_long("first")).write(bytes("k"), put_long("second"));
    let record = pushed(subject, batch).await;
    for (change, value) in record.changes.iter().zip(["first", "second"]) {
        if let Some(carried) = &change.carried {
            assert_eq!(
                (carried.version, &carried.value[..]),
                (change.version, value.as_bytes())
            );
        }
    }
    assert!(record.changes[1].carried.is_some());
}
