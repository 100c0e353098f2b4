//! Every expectation against every state that a key can be in.

use larder_core::record::Kind;
use larder_core::record::Life;
use larder_core::store::{Batch, Committed, Expect, Put, Write};
use larder_core::version::Version;

use super::subject::{LONG, SHORT_LEASE, Subject, bytes, put_of};

const K: &str = "k";

/// Only this: a live record is there, and which version it has.
async fn assert_state(subject: &Subject, live: Option<Version>) {
    let version = live.unwrap_or(Version::ZERO);
    for (expect, holds) in [
        (Expect::Absent, live.is_none()),
        (Expect::Present, live.is_some()),
        (Expect::Version(version), true),
        (Expect::Version(Version(version.0 + 1)), false),
        (Expect::Version(Version::ZERO), live.is_none()),
    ] {
        let checked = subject
            .commit(Batch::default().check(bytes(K), expect))
            .await;
        assert_eq!(matches!(checked, Committed::Done(_)), holds, "{expect:?}");
    }
}

/// Nothing was ever there.
pub async fn of_what_was_never_there(subject: &Subject) {
    assert_state(subject, None).await;
}

/// A fresh value.
pub async fn of_a_fresh_value(subject: &Subject) {
    let outcome = subject.put(K, "v").await;
    assert_state(subject, Some(outcome.version)).await;
}

/// A negative entry is a record.
pub async fn of_a_negative_entry(subject: &Subject) {
    let put = Put {
        kind: Kind::Negative,
        ..put_of("", Life::fresh_for_ms(LONG))
    };
    let outcome = subject.write(K, Write::Put(put)).await;
    assert_state(subject, Some(outcome.version)).await;
}

/// A value that is stale by time is there.
pub async fn of_a_stale_value(subject: &Subject) {
    let outcome = subject.put_stale(K, "v").await;
    assert_state(subject, Some(outcome.version)).await;
}

/// A value that was marked stale is there, with a new version.
pub async fn of_a_value_marked_stale(subject: &Subject) {
    let put = subject.put(K, "v").await;
    let outcome = subject.write(K, Write::Expire).await;
    assert!(outcome.version > put.version);
    assert_state(subject, Some(outcome.version)).await;
}

/// A removed value is absent.
pub async fn of_a_removed_value(subject: &Subject) {
    subject.put(K, "v").await;
    subject.remove(K).await;
    assert_state(subject, None).await;
}

/// A tombstone counts as absent.
pub async fn of_a_tombstone(subject: &Subject) {
    subject.put(K, "v").await;
    subject.bury(K).await;
    assert_state(subject, None).await;
}

/// A lease without a value counts as absent.
pub async fn of_a_lease(subject: &Subject) {
    subject.granted(K, 1).await;
    assert_state(subject, None).await;
}

/// A record whose life is over counts as absent.
pub async fn of_an_ended_value(subject: &Subject) {
    subject.put_ended(K, "v").await;
    assert_state(subject, None).await;
}

/// A record whose life is over counts as absent even while its lease is held.
pub async fn of_an_ended_value_under_a_lease(subject: &Subject) {
    subject.put_for(K, "v", Life::fresh_for_ms(1)).await;
    subject.lease_for(K, 1, SHORT_LEASE * 100).await;
    subject.pass_short().await;
    assert_state(subject, None).await;
    subject.assert_absent(K).await;
}

/// A stale value under a lease is there.
pub async fn of_a_stale_value_under_a_lease(subject: &Subject) {
    let outcome = subject.put_stale(K, "v").await;
    subject.granted(K, 1).await;
    assert_state(subject, Some(outcome.version)).await;
}
