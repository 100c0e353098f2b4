//! Batches in the log: one record each, whole or not at all, in the order of the changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder_core::bus::ChangeKind;
use larder_core::store::{Batch, Committed, Expect, Write};

use super::bus::{change, changes, log_since, poll};
use super::subject::{REMOVE, Subject, bytes, fine, put_long};

const TASKS: usize = 8;
const BATCHES: usize = 50;

/// The changes of a batch are told together and in order.
pub async fn a_batch_is_one_record(subject: &Subject) {
    subject.put("b", "v").await;
    let first = poll(subject).await;
    let batch = Batch::default()
        .check(bytes("b"), Expect::Present)
        .check(bytes("d"), Expect::Absent)
        .write(bytes("a"), put_long("v"))
        .write(bytes("b"), REMOVE)
        .write(bytes("c"), Write::Expire);
    let outcomes = subject.done(batch).await;
    let records = log_since(subject, first).await;
    assert_eq!(records.len(), 1);
    let told = vec![
        change("a", outcomes[0].version, ChangeKind::Replaced),
        change("b", outcomes[1].version, ChangeKind::Removed),
        change("c", outcomes[2].version, ChangeKind::Expired),
    ];
    assert_eq!(records[0].changes, told);
}

/// The last change of a key comes last.
pub async fn a_key_that_changes_twice_is_named_twice(subject: &Subject) {
    let first = poll(subject).await;
    let batch = Batch::default()
        .write(bytes("k"), REMOVE)
        .write(bytes("k"), put_long("v"));
    let outcomes = subject.done(batch).await;
    let told = vec![
        change("k", outcomes[0].version, ChangeKind::Removed),
        change("k", outcomes[1].version, ChangeKind::Replaced),
    ];
    assert_eq!(changes(log_since(subject, first).await), told);
}

/// What did not take place is not told.
pub async fn a_refused_batch_is_not_logged(subject: &Subject) {
    let first = poll(subject).await;
    let batch = Batch::one(bytes("k"), put_long("v")).check(bytes("l"), Expect::Present);
    assert_eq!(subject.commit(batch).await, Committed::Refused(0));
    assert_eq!(poll(subject).await, first);
}

/// Checks change nothing, and neither does nothing.
pub async fn checks_alone_are_not_logged(subject: &Subject) {
    let first = poll(subject).await;
    subject.done(Batch::default()).await;
    let batch = Batch::default().check(bytes("k"), Expect::Absent);
    subject.done(batch).await;
    assert_eq!(poll(subject).await, first);
}

/// Of a batch that a store divides, all parts are told, in order.
pub async fn a_large_batch_is_logged_whole(subject: &Subject) {
    let first = poll(subject).await;
    let key = |at: usize| format!("k{at}");
    let batch = (0..300).fold(Batch::default(), |batch, at| {
        batch.write(bytes(&key(at)), put_long("v"))
    });
    let outcomes = subject.done(batch).await;
    let told: Vec<_> = outcomes
        .iter()
        .enumerate()
        .map(|(at, outcome)| change(&key(at), outcome.version, ChangeKind::Replaced))
        .collect();
    assert_eq!(changes(log_since(subject, first).await), told);
    let conditional = (0..200).fold(Batch::default(), |batch, at| {
        batch.write(bytes(&key(at)), REMOVE)
    });
    let first = poll(subject).await;
    let conditional = conditional.check(bytes("k0"), Expect::Present);
    subject.done(conditional).await;
    let records = log_since(subject, first).await;
    assert_eq!((records.len(), records[0].changes.len()), (1, 200));
}

/// However many write at once: each batch is told once, and a key's changes in their order.
pub async fn many_writers_make_one_log(subject: &Subject) {
    let first = poll(subject).await;
    let writers: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&subject.store);
            tokio::spawn(async move {
                let mut given = Vec::new();
                for at in 0..BATCHES {
                    let key = bytes(&format!("k{}", (task + at) % 5));
                    let batch = Batch::one(key, put_long("v")).write(bytes("all"), REMOVE);
                    match fine(store.commit(batch).await) {
                        Committed::Done(outcomes) => given.push(outcomes[1].version),
                        Committed::Refused(_) => panic!("there was no check"),
                    }
                }
                given
            })
        })
        .collect();
    let mut given = Vec::new();
    for writer in writers {
        given.extend(writer.await.expect("no panic"));
    }
    let records = log_since(subject, first).await;
    assert_eq!(records.len(), TASKS * BATCHES);
    assert!(records.iter().all(|record| record.changes.len() == 2));
    let mut newest = BTreeMap::new();
    let mut logged = Vec::new();
    for change in changes(records) {
        let before = newest.insert(change.key.clone(), change.version);
        assert!(before < Some(change.version), "{change:?}");
        if change.key == "all" {
            logged.push(change.version);
        }
    }
    given.sort_unstable();
    assert_eq!(logged, given);
}
