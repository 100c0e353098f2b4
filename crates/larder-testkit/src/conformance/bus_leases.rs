//! The word that a lease is free, for those who were refused it.

use bytes::Bytes;
use larder_core::bus::{ChangeKind, Pushed, Subscription};
use larder_core::store::{Fill, Lease, Write};

use super::bus::poll;
use super::bus_feed::{message, next, subscribe};
use super::subject::Subject;

async fn free(feed: &mut dyn Subscription) -> Bytes {
    match message(feed).await {
        Some(Pushed::Free(key)) => key,
        other => panic!("a free lease was expected, and came: {other:?}"),
    }
}

async fn assert_taken(subject: &Subject, key: &str, token: u64) {
    let lease = subject.lease(key, token).await;
    assert!(matches!(lease, Lease::Taken { .. }), "{lease:?}");
}

async fn assert_filled(subject: &Subject, key: &str, token: u64) {
    let fill = subject.fill(key, token, "v").await;
    assert!(matches!(fill, Fill::Stored { .. }), "{fill:?}");
}

/// Every subscriber hears of a fill that somebody waits for, once for all who do, and it is no record.
pub async fn a_fill_that_is_waited_for_is_told(subject: &Subject) {
    let first = poll(subject).await;
    let mut feeds = [subscribe(subject).await, subscribe(subject).await];
    subject.granted("k", 1).await;
    assert_taken(subject, "k", 2).await;
    assert_taken(subject, "k", 3).await;
    assert!(subject.renew("k", 1).await);
    assert_filled(subject, "k", 1).await;
    subject.put("other", "v").await;
    for feed in &mut feeds {
        assert_eq!(free(&mut **feed).await, "k");
        let record = next(&mut **feed).await.expect("the change of the other");
        assert_eq!(record.position.seq, first.seq + 1);
    }
}

/// So is a lease that is given back without a value, whether there is an old one or not.
pub async fn a_lease_given_back_that_is_waited_for_is_told(subject: &Subject) {
    poll(subject).await;
    let mut feed = subscribe(subject).await;
    subject.put_stale("old", "v").await;
    assert!(next(&mut *feed).await.is_some());
    for key in ["new", "old"] {
        subject.granted(key, 1).await;
        assert_taken(subject, key, 2).await;
        subject.release(key, 2).await;
        subject.release(key, 1).await;
        assert_eq!(free(&mut *feed).await, key.as_bytes());
        subject.assert_free(key).await;
    }
}

/// A load that nobody else waits for sends nothing. Nor does the one after a change of its key, or
/// after a fill: those who waited have been told.
pub async fn nobody_is_told_where_nobody_waits(subject: &Subject) {
    poll(subject).await;
    let mut feed = subscribe(subject).await;
    subject.granted("k", 1).await;
    assert_filled(subject, "k", 1).await;
    subject.granted("j", 1).await;
    subject.release("j", 1).await;
    subject.put_stale("k", "old").await;
    assert!(next(&mut *feed).await.is_some());

    subject.granted("k", 1).await;
    assert_taken(subject, "k", 2).await;
    subject.write("k", Write::Expire).await;
    let expired = next(&mut *feed).await.expect("the change of the key");
    assert_eq!(expired.changes[0].kind, ChangeKind::Expired);
    subject.granted("k", 3).await;
    assert_filled(subject, "k", 3).await;
    subject.put("other", "v").await;
    let last = next(&mut *feed).await.expect("the change of the other");
    assert_eq!(last.changes[0].key, "other");
}

/// That somebody waits for the lease of a stale value is no part of the value.
pub async fn a_value_whose_lease_is_waited_for_reads_as_ever(subject: &Subject) {
    subject.put_stale("k", "old").await;
    let before = subject.record("k").await;
    subject.granted("k", 1).await;
    assert_taken(subject, "k", 2).await;
    assert_eq!(subject.record("k").await, before);
    subject.release("k", 1).await;
    assert_eq!(subject.record("k").await, before);
}
