//! What a writer is told of the log: the place of its change; and what the log tells of a writer.

use larder_core::bus::BusRecord;
use larder_core::lane::{Gap, Position};
use larder_core::store::{Batch, Committed, Expect, Outcomes};

use super::bus::{log_since, poll};
use super::subject::{REMOVE, Subject, bytes, fine, put_long};

async fn commit(subject: &Subject, batch: Batch) -> Outcomes {
    match subject.commit(batch).await {
        Committed::Done(outcomes) => outcomes,
        Committed::Refused(check) => panic!("refused by check {check}"),
    }
}

async fn record_at(subject: &Subject, at: Position) -> BusRecord {
    let gap = Gap {
        first: at.seq,
        last: at.seq,
    };
    let mut replay = fine(subject.bus().replay(gap).await);
    assert_eq!(replay.records.len(), 1, "{at:?}");
    replay.records.remove(0)
}

/// The place that it is given is where its record is.
pub async fn a_change_is_told_its_place(subject: &Subject) {
    let first = poll(subject).await;
    for seq in 1..=5 {
        let key = bytes(&format!("k{seq}"));
        let batch = Batch::one(key.clone(), put_long("v")).write(bytes("both"), REMOVE);
        let done = commit(subject, batch).await;
        let position = done.position.expect("there is a log");
        assert_eq!(position, Position { seq, ..first });
        let record = record_at(subject, position).await;
        assert_eq!(record.position, position);
        assert_eq!(record.changes[0].key, key);
        assert_eq!(record.changes[0].version, done[0].version);
    }
}

/// Nobody reads it.
pub async fn without_a_log_there_is_no_place(subject: &Subject) {
    let done = commit(subject, Batch::one(bytes("k"), put_long("v"))).await;
    assert_eq!(done.position, None);
    assert_eq!(commit(subject, Batch::probe()).await.position, None);
}

/// It may be divided; then it is told the place behind which all of it lies.
pub async fn a_large_batch_is_told_its_last_place(subject: &Subject) {
    poll(subject).await;
    let mut batch = Batch::default();
    for at in 0..150 {
        batch.writes.push((bytes(&format!("k{at}")), put_long("v")));
    }
    let done = commit(subject, batch).await;
    assert_eq!(done.len(), 150);
    let now = poll(subject).await;
    assert_eq!(done.position, Some(now));
    let last = record_at(subject, now).await.changes.pop();
    assert_eq!(last.expect("a change").key, "k149");
}

/// Nothing to tell of.
pub async fn checks_alone_are_given_no_place(subject: &Subject) {
    poll(subject).await;
    let check = Batch::default().check(bytes("k"), Expect::Absent);
    assert_eq!(commit(subject, check).await.position, None);
    assert_eq!(commit(subject, Batch::default()).await.position, None);
}

/// Each record names the node that made it, and when.
pub async fn records_say_who_wrote_them_and_when(subject: &Subject) {
    let first = poll(subject).await;
    let nodes = [1, 7, u32::MAX, 0];
    for node in nodes {
        let write = Batch::one(bytes("k"), put_long("v")).by(node);
        commit(subject, write).await;
    }
    subject.pass(50).await;
    commit(subject, Batch::one(bytes("k"), REMOVE).by(9)).await;
    let records = log_since(subject, first).await;
    let origins: Vec<u32> = records.iter().map(|record| record.origin).collect();
    assert_eq!(origins, [1, 7, u32::MAX, 0, 9]);
    let written = |at: usize| records[at].written;
    // Clocks of stores may be coarse.
    assert!(written(3) <= written(4) && written(4).since(written(3)).as_millis() >= 40);
    // The clock of the store is never behind.
    let age = subject.store.now().since(written(4));
    assert!(age.as_secs() < 30, "{age:?}");
}

/// A record of nothing, in its place among the others.
pub async fn a_probe_is_a_record_without_changes(subject: &Subject) {
    let first = poll(subject).await;
    subject.put("k", "v").await;
    let probe = commit(subject, Batch::probe().by(5)).await;
    assert_eq!(probe.len(), 0);
    let position = Position { seq: 2, ..first };
    assert_eq!(probe.position, Some(position));
    let record = record_at(subject, position).await;
    assert_eq!((record.origin, record.changes.len()), (5, 0));
    subject.put("k", "v").await;
    assert_eq!(poll(subject).await.seq, 3);
}
