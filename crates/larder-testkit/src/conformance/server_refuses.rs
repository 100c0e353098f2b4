//! Stores over servers that take no changes, or none that need memory; and logs that take no records.

use larder_core::error::ErrorKind;
use larder_core::lane::Gap;
use larder_core::store::{Batch, Write};

use super::bus::{log_since, poll, reader};
use super::subject::{Subject, bytes, fine, put_long};
use super::tags::{bump, numbers, tag};
use crate::simredis::Writes;

/// Changes are made elsewhere by now, so it must not vouch for the copies of anybody.
pub async fn what_takes_no_changes_answers_no_poll(subject: &Subject) {
    let before = poll(subject).await;
    for (writes, kind) in [
        (Writes::Replica, ErrorKind::Refused),
        (Writes::NoReplicas, ErrorKind::Unavailable),
    ] {
        subject.hand().set_writes(writes);
        let refused = subject.bus().poll(&reader(1)).await;
        let error = refused.expect_err("it does not know");
        assert_eq!(error.kind(), kind, "{writes:?}: {error}");
        subject.hand().set_writes(Writes::Allowed);
        assert_eq!(poll(subject).await, before, "{writes:?}");
    }
}

/// Whoever cannot invalidate goes on with what is old.
pub async fn a_full_server_does_not_refuse_to_invalidate(subject: &Subject) {
    subject.put("k", "v").await;
    let first = poll(subject).await;
    subject.hand().set_full(true);
    let put = Batch::one(bytes("k"), put_long("w"));
    assert!(subject.store.commit(put).await.is_err(), "it is full");
    let unknown = numbers(subject, &["t"]).await[0];
    let bumped = bump(subject, "t").await;
    assert!(bumped > unknown);
    assert_eq!(numbers(subject, &["t"]).await, [bumped]);
    subject.write("k", Write::Expire).await;
    let batch = Batch::one(bytes("k"), Write::Remove { tombstone_ms: 0 });
    let removed = batch.write(tag("u"), Write::Bump);
    subject.done(removed).await;
    assert!(numbers(subject, &["u"]).await[0] > bumped);
    assert_eq!(log_since(subject, first).await.len(), 3);
    subject.hand().set_full(false);
    subject.assert_absent("k").await;
}

/// Of another life, or no log at all: else no record would be kept from then on, and each push that
/// is lost would cost its reader all copies.
pub async fn what_stands_in_the_way_of_the_log_is_removed(subject: &Subject) {
    let first = poll(subject).await;
    for (at, meddle) in [
        "redis.call('XADD', log, '999-0', 'r', 'x')",
        "redis.call('SET', log, 'x')",
    ]
    .into_iter()
    .enumerate()
    {
        subject.meddle(b"", meddle);
        subject.put("k", "v").await;
        let seq = first.seq + 1 + at as u64;
        assert_eq!(poll(subject).await.seq, seq);
        let gap = Gap {
            first: 1,
            last: seq,
        };
        let replay = fine(subject.bus().replay(gap).await);
        assert_eq!((replay.oldest, replay.records.len()), (seq, 1), "{meddle}");
    }
}
