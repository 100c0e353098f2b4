//! Values that are no longer fresh: kept, marked, and never fresh again by accident.

use larder_core::freshness::{Freshness, classify};
use larder_core::record::{Expiry, Life};
use larder_core::store::Write;

use super::subject::{LONG, SHORT, Subject, put_of};

async fn freshness(subject: &Subject, key: &str) -> Freshness {
    classify(&subject.record(key).await, subject.store.now())
}

/// After its fresh life a value is there for as long as it was given.
pub async fn a_value_outlives_its_fresh_life(subject: &Subject) {
    subject.put_stale("k", "v").await;
    subject.assert_value("k", "v").await;
    assert_eq!(freshness(subject, "k").await, Freshness::Stale);
}

/// And then it is gone.
pub async fn a_stale_value_ends_too(subject: &Subject) {
    let life = Life {
        fresh: Expiry::In(1),
        stale_for_ms: SHORT,
    };
    subject.put_for("k", "v", life).await;
    subject.pass_short().await;
    subject.assert_absent("k").await;
}

/// `Expire` keeps the value and its ends, marks it, and gives it a version.
pub async fn expire_marks_and_keeps(subject: &Subject) {
    subject.put("k", "v").await;
    let before = subject.record("k").await;
    let outcome = subject.write("k", Write::Expire).await;
    assert!(outcome.existed && outcome.version > before.version);
    let after = subject.record("k").await;
    assert!(after.marked_stale);
    assert_eq!(after.version, outcome.version);
    assert_eq!(after.value, before.value);
    assert_eq!(after.expires_at, before.expires_at);
    assert_eq!(after.created, before.created);
    assert_eq!(freshness(subject, "k").await, Freshness::Stale);
}

/// `Expire` makes nothing of nothing.
pub async fn expire_does_not_create(subject: &Subject) {
    assert!(!subject.write("k", Write::Expire).await.existed);
    subject.assert_absent("k").await;
    subject.bury("t").await;
    assert!(!subject.write("t", Write::Expire).await.existed);
    subject.assert_absent("t").await;
}

/// A longer life does not undo an expiry: that would revive what somebody has invalidated.
pub async fn touch_does_not_make_an_expired_value_fresh(subject: &Subject) {
    subject.put("k", "v").await;
    subject.write("k", Write::Expire).await;
    let outcome = subject
        .write("k", Write::Touch(Life::fresh_for_ms(LONG)))
        .await;
    assert!(outcome.existed);
    assert!(subject.record("k").await.marked_stale);
    assert_eq!(freshness(subject, "k").await, Freshness::Stale);
}

/// A value that is stale by time becomes fresh by a longer life.
pub async fn touch_renews_a_value_that_is_stale_by_time(subject: &Subject) {
    subject.put_stale("k", "v").await;
    subject
        .write("k", Write::Touch(Life::fresh_for_ms(LONG)))
        .await;
    assert_eq!(freshness(subject, "k").await, Freshness::Fresh);
}

/// `Touch` sets both ends.
pub async fn touch_gives_a_fresh_and_a_stale_life(subject: &Subject) {
    subject.put("k", "v").await;
    let life = Life {
        fresh: Expiry::In(LONG),
        stale_for_ms: 77,
    };
    let outcome = subject.write("k", Write::Touch(life)).await;
    let record = subject.record("k").await;
    assert_eq!(record.version, outcome.version);
    let (fresh, end) = (
        record.fresh_until.expect("an end"),
        record.expires_at.expect("an end"),
    );
    assert_eq!(end.0, fresh.0 + 77);
}

/// A new value is fresh, whatever was said of the old one.
pub async fn a_put_is_fresh_again(subject: &Subject) {
    subject.put("k", "v").await;
    subject.write("k", Write::Expire).await;
    subject.put("k", "w").await;
    assert!(!subject.record("k").await.marked_stale);
    assert_eq!(freshness(subject, "k").await, Freshness::Fresh);
}

/// `Keep` keeps both ends of a record.
pub async fn keep_keeps_the_stale_life(subject: &Subject) {
    let life = Life {
        fresh: Expiry::In(LONG),
        stale_for_ms: 55,
    };
    subject.put_for("k", "v", life).await;
    let before = subject.record("k").await;
    subject
        .write("k", Write::Put(put_of("w", Life::KEEP)))
        .await;
    let after = subject.record("k").await;
    assert_eq!(after.fresh_until, before.fresh_until);
    assert_eq!(after.expires_at, before.expires_at);
}
