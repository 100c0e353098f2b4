//! The log of changes: what is told, and what is not.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use larder_core::bus::{BusChange, BusRecord, ChangeKind, Reader};
use larder_core::lane::{Gap, Position};
use larder_core::record::Life;
use larder_core::space::Space;
use larder_core::store::{Batch, Fill, Lease, Write};
use larder_core::version::Version;

use super::keyspace::{count, scan};
use super::subject::{ANY_CUT, LONG, REMOVE, SHORT, Subject, bytes, fine, put_long, put_of, token};

/// Somebody who polls.
pub(super) fn reader(node: u32) -> Reader {
    Reader {
        node,
        name: format!("node {node}").into(),
        cache: "app:users".into(),
        applied: None,
        leaves: false,
    }
}

pub(super) async fn poll(subject: &Subject) -> Position {
    fine(subject.bus().poll(&reader(1)).await)
}

/// All records behind `seen`, up to what a poll mentions: in order, and without a gap.
pub(super) async fn log_since(subject: &Subject, seen: Position) -> Vec<BusRecord> {
    let now = poll(subject).await;
    assert_eq!(now.incarnation, seen.incarnation, "the log is another one");
    let mut records: Vec<BusRecord> = Vec::new();
    while seen.seq + (records.len() as u64) < now.seq {
        let gap = Gap {
            first: seen.seq + records.len() as u64 + 1,
            last: now.seq,
        };
        let replay = fine(subject.bus().replay(gap).await);
        assert_eq!(replay.incarnation, seen.incarnation);
        assert!(replay.oldest <= gap.first, "nothing has been trimmed");
        assert!(!replay.records.is_empty(), "{gap:?} is missing");
        records.extend(replay.records);
    }
    for (at, record) in records.iter().enumerate() {
        let seq = seen.seq + at as u64 + 1;
        assert_eq!(record.position, Position { seq, ..seen });
        assert!(!record.changes.is_empty(), "a record of nothing");
    }
    records
}

pub(super) fn changes(records: Vec<BusRecord>) -> Vec<BusChange> {
    let changes = records.into_iter().map(|record| record.changes);
    changes.flatten().collect()
}

pub(super) fn change(key: &str, version: Version, kind: ChangeKind) -> BusChange {
    BusChange::new(bytes(key), version, kind)
}

/// The log has one life, which is not zero, and begins before its first record.
pub async fn a_log_that_nothing_happens_to_stays(subject: &Subject) {
    let first = poll(subject).await;
    assert!(first.incarnation != 0 && first.seq == 0, "{first:?}");
    assert_eq!(poll(subject).await, first);
    assert_eq!(log_since(subject, first).await, []);
}

/// Once a change is acknowledged, a poll knows of it.
pub async fn a_poll_mentions_what_was_acknowledged(subject: &Subject) {
    subject.put("before", "v").await;
    let first = poll(subject).await;
    for at in 1..=20 {
        subject.put("k", "v").await;
        let seq = first.seq + at;
        assert_eq!(poll(subject).await, Position { seq, ..first });
    }
}

/// Each change is one record, with the version that it gave and what it means for copies.
pub async fn each_kind_of_change_is_told(subject: &Subject) {
    let first = poll(subject).await;
    let mut told = Vec::new();
    for (write, kind) in [
        (put_long("v"), ChangeKind::Replaced),
        (put_long("w"), ChangeKind::Replaced),
        (Write::Touch(Life::fresh_for_ms(LONG)), ChangeKind::Replaced),
        (Write::Expire, ChangeKind::Expired),
        (REMOVE, ChangeKind::Removed),
        (put_long("v"), ChangeKind::Replaced),
        (Write::Remove { tombstone_ms: LONG }, ChangeKind::Removed),
        (put_long("v"), ChangeKind::Replaced),
    ] {
        let version = subject.write("k", write).await.version;
        told.push(vec![change("k", version, kind)]);
    }
    let records = log_since(subject, first).await;
    let logged: Vec<_> = records.into_iter().map(|record| record.changes).collect();
    assert_eq!(logged, told);
}

/// The store may have lost what others still have copies of.
pub async fn what_is_absent_is_removed_and_expired_all_the_same(subject: &Subject) {
    subject.put_ended("ended", "v").await;
    let first = poll(subject).await;
    let mut told = Vec::new();
    for key in ["absent", "ended"] {
        let version = subject.write(key, Write::Expire).await.version;
        told.push(change(key, version, ChangeKind::Expired));
        let version = subject.remove(key).await.version;
        told.push(change(key, version, ChangeKind::Removed));
    }
    assert_eq!(changes(log_since(subject, first).await), told);
}

/// It may be told or not: nobody loses more than a copy of what is not there.
pub async fn touching_what_is_absent_does_no_harm(subject: &Subject) {
    let first = poll(subject).await;
    let life = Life::fresh_for_ms(SHORT);
    let version = subject.write("k", Write::Touch(life)).await.version;
    for told in changes(log_since(subject, first).await) {
        assert_eq!((&told.key[..], told.version), (&b"k"[..], version));
        assert_ne!(told.kind, ChangeKind::Expired);
    }
}

/// Reads, scans, polls and leases change nothing.
pub async fn looking_is_not_logged(subject: &Subject) {
    subject.put("k", "v").await;
    let first = poll(subject).await;
    subject.assert_value("k", "v").await;
    subject.assert_absent("absent").await;
    fine(subject.store.get_many(&[bytes("k")]).await);
    count(subject, &Space::default()).await;
    subject.granted("absent", 1).await;
    assert!(subject.renew("absent", 1).await);
    subject.release("absent", 1).await;
    assert_eq!(poll(subject).await, first);
}

/// A fill replaces nothing that a copy could still be used of.
pub async fn fills_are_not_logged(subject: &Subject) {
    let first = poll(subject).await;
    subject.granted("k", 1).await;
    let filled = subject.fill("k", 1, "v").await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    assert_eq!(poll(subject).await, first);
    let Fill::Stored { version, .. } = filled else {
        return;
    };
    // Nor does one that leaves the value where it is.
    let (key, never) = (bytes("k"), Duration::from_millis(LONG));
    let again = subject.leases().lease(&key, token(2), never, version);
    assert!(matches!(fine(again.await), Lease::Granted { .. }));
    let mut put = put_of("", Life::fresh_for_ms(LONG));
    put.cut = ANY_CUT;
    let confirmed = subject.leases().confirm(&key, token(2), version, put);
    let Fill::Stored { version, .. } = fine(confirmed.await) else {
        panic!("its lease stands");
    };
    assert_eq!(poll(subject).await, first);
    // And their versions are below those of all changes that come after them.
    subject.remove("k").await;
    let told = changes(log_since(subject, first).await);
    assert!(told[0].version > version, "{told:?}");
}

/// The end of a clear: the store may have lost what others still have copies of.
fn assert_whole(prefix: &str, told: Option<BusChange>) {
    let told = told.expect("a change");
    assert_eq!((told.kind, told.key), (ChangeKind::Cleared, bytes(prefix)));
}

/// What is cleared is removed for everybody, and nothing else is. At last the space is named.
pub async fn clearing_logs_what_it_removes(subject: &Subject) {
    let mut put = BTreeMap::new();
    for at in 0..150 {
        let key = format!("a:{at}");
        put.insert(bytes(&key), subject.put(&key, "v").await.version);
        subject.put(&format!("b:{at}"), "v").await;
    }
    let first = poll(subject).await;
    fine(subject.keyspace().clear(&Space::prefix("a:")).await);
    let mut told = changes(log_since(subject, first).await);
    assert_whole("a:", told.pop());
    for told in told {
        let version = put.remove(&told.key);
        let version = version.expect("of the space, and told once");
        assert!(told.kind == ChangeKind::Removed && told.version > version);
    }
    assert!(put.is_empty(), "not told: {put:?}");
    let now = poll(subject).await;
    fine(subject.keyspace().clear(&Space::prefix("a:")).await);
    let mut told = changes(log_since(subject, now).await);
    assert_whole("a:", told.pop());
    assert_eq!(told, [], "there was nothing left");
}

/// Keys are told as the store was given them, whatever their bytes.
pub async fn keys_are_exact(subject: &Subject) {
    let first = poll(subject).await;
    let mut keys: Vec<Bytes> = [&b"\0"[..], b"\0d", b"\xff\xfe", b"a b\r\n", b"%s%%"]
        .iter()
        .map(|key| Space::database(3).stored(&Bytes::from_static(key)))
        .collect();
    keys.push(Space::default().stored(&Bytes::from_static(b"\0sshard")));
    keys.push(Bytes::from(vec![b'k'; 70_000]));
    for key in &keys {
        subject.done(Batch::one(key.clone(), put_long("v"))).await;
    }
    let told = changes(log_since(subject, first).await);
    let told: Vec<Bytes> = told.into_iter().map(|one| one.key).collect();
    assert_eq!(told, keys);
}

/// Nobody lists the log, and clearing does not end it.
pub async fn the_log_is_in_no_space(subject: &Subject) {
    let first = poll(subject).await;
    subject.put("k", "v").await;
    for database in 0..3 {
        let space = Space::database(database);
        let here = u64::from(database == 0);
        assert_eq!(count(subject, &space).await, here);
        assert_eq!(scan(subject, &space, 100).await.len() as u64, here);
        assert_eq!(fine(subject.keyspace().clear(&space).await), here);
    }
    // The put, the removal, and that each space was cleared.
    assert_eq!(log_since(subject, first).await.len(), 5);
}
