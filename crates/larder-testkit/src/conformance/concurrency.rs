//! Many at once: nothing is lost, and nobody sees half of a batch.

use std::sync::Arc;

use larder_core::store::{Batch, Committed, Expect, Lease, Store};
use larder_core::version::Version;

use super::subject::{LONG_LEASE, Subject, bytes, fine, put_long, token};

const TASKS: u64 = 8;
const INCREMENTS: u64 = 200;

async fn increment(store: &dyn Store) {
    let key = bytes("counter");
    // LIMIT: others may win this often only if the store gives no progress at all.
    for _ in 0..100_000 {
        let record = fine(store.get(&key).await).into_record();
        let (version, value) = match &record {
            Some(record) => (
                record.version,
                std::str::from_utf8(&record.value).expect("text"),
            ),
            None => (Version::ZERO, "0"),
        };
        let next = value.parse::<u64>().expect("a number") + 1;
        let batch = Batch::one(key.clone(), put_long(&next.to_string()))
            .check(key.clone(), Expect::Version(version));
        if let Committed::Done(_) = fine(store.commit(batch).await) {
            return;
        }
    }
    panic!("never got through");
}

/// Compare-and-set loses no increment.
pub async fn no_increment_is_lost(subject: &Subject) {
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = Arc::clone(&subject.store);
            tokio::spawn(async move {
                for _ in 0..INCREMENTS {
                    increment(&*store).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    let total = (TASKS * INCREMENTS).to_string();
    subject.assert_value("counter", &total).await;
}

/// Two keys that are always written together are always equal in a checked read.
pub async fn batches_do_not_interleave(subject: &Subject) {
    let writers: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&subject.store);
            tokio::spawn(async move {
                for at in 0..50 {
                    let value = format!("{task}-{at}");
                    let batch = Batch::one(bytes("left"), put_long(&value))
                        .write(bytes("right"), put_long(&value));
                    fine(store.commit(batch).await);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("no panic");
    }
    let left = subject.record("left").await.value;
    assert_eq!(subject.record("right").await.value, left);
}

/// However many ask at once, one loads.
pub async fn one_of_many_gets_the_lease(subject: &Subject) {
    let asking: Vec<_> = (1..=32)
        .map(|number| {
            let store = Arc::clone(&subject.store);
            tokio::spawn(async move {
                let leases = store.describe().leases.expect("the store has leases");
                let key = bytes("k");
                let lease = leases
                    .lease(&key, token(number), LONG_LEASE, Version::ZERO)
                    .await;
                matches!(fine(lease), Lease::Granted { .. })
            })
        })
        .collect();
    let mut granted = 0;
    for asked in asking {
        granted += u32::from(asked.await.expect("no panic"));
    }
    assert_eq!(granted, 1);
}
