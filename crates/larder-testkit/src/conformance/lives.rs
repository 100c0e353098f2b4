//! How long values live: for every store.

use larder_core::record::{Expiry, Life};
use larder_core::runtime::Timestamp;
use larder_core::store::Write;

use super::subject::{LONG, SHORT, Subject, put};

/// How far two measurements of one end may be apart where the end is calculated from what is
/// left, on a busy machine.
const TOLERANCE: u64 = 5_000;

fn at(time: Timestamp) -> Life {
    Life {
        fresh: Expiry::At(time),
        stale_for_ms: 0,
    }
}

async fn end(subject: &Subject, key: &str) -> Option<Timestamp> {
    subject.record(key).await.expires_at
}

async fn assert_ends_in(subject: &Subject, key: &str, ms: u64) {
    let end = end(subject, key).await.expect("an end").0;
    let now = subject.store.now().0;
    assert!(
        end <= now + ms && end + TOLERANCE >= now + ms,
        "{end}, not {ms} after {now}"
    );
}

/// A value is gone when its life is over.
pub async fn a_value_ends_with_its_life(subject: &Subject) {
    subject.put_ended("k", "v").await;
    subject.assert_absent("k").await;
}

/// A value that ends at a time is gone then.
pub async fn a_value_ends_at_its_time(subject: &Subject) {
    // The first answer sets the clock of a remote store.
    subject.assert_absent("k").await;
    let now = subject.store.now().0;
    subject.put_for("k", "v", at(Timestamp(now + SHORT))).await;
    subject.pass_short().await;
    subject.assert_absent("k").await;
    subject.put_for("k", "v", at(Timestamp(now + LONG))).await;
    subject.assert_value("k", "v").await;
}

/// The store's own clock measures the life, and `now` is not behind it.
pub async fn what_remains_is_never_more_than_was_given(subject: &Subject) {
    subject.put("k", "v").await;
    assert_ends_in(subject, "k", LONG).await;
    let record = subject.record("k").await;
    assert!(record.fresh_until <= record.expires_at);
}

/// Without an end there is none.
pub async fn a_life_without_end_has_none(subject: &Subject) {
    subject.put_for("k", "v", Life::FOREVER).await;
    assert_eq!(end(subject, "k").await, None);
    subject.pass_short().await;
    subject.assert_value("k", "v").await;
}

/// A life that is over already stores nothing, and removes what was there.
pub async fn a_life_that_is_over_leaves_nothing(subject: &Subject) {
    for (name, life) in [
        ("zero", Life::fresh_for_ms(0)),
        ("the epoch", at(Timestamp(0))),
        ("long ago", at(Timestamp(1_000))),
    ] {
        subject.put("k", "before").await;
        assert!(subject.put_for("k", "v", life).await.existed, "{name}");
        subject.assert_absent("k").await;
    }
}

/// The longest lives that can be asked for do not wrap around.
pub async fn a_very_long_life_does_not_overflow(subject: &Subject) {
    for fresh in [Expiry::In(u64::MAX), Expiry::At(Timestamp(u64::MAX))] {
        for stale_for_ms in [0, u64::MAX] {
            let life = Life {
                fresh,
                stale_for_ms,
            };
            subject.put_for("k", "v", life).await;
            subject.assert_value("k", "v").await;
            subject.write("k", Write::Touch(life)).await;
            subject.assert_value("k", "v").await;
        }
    }
}

/// `Keep` leaves the end where it was.
pub async fn keep_keeps_the_end(subject: &Subject) {
    subject.put("k", "one").await;
    subject.put_for("k", "two", Life::KEEP).await;
    subject.assert_value("k", "two").await;
    assert_ends_in(subject, "k", LONG).await;
    subject.put_for("k", "three", Life::FOREVER).await;
    subject.put_for("k", "four", Life::KEEP).await;
    assert_eq!(end(subject, "k").await, None);
}

/// `Keep` without anything to keep is for ever.
pub async fn keep_without_a_record_never_ends(subject: &Subject) {
    subject.put_for("k", "v", Life::KEEP).await;
    assert_eq!(end(subject, "k").await, None);
    subject.put_ended("e", "v").await;
    subject.put_for("e", "v", Life::KEEP).await;
    assert_eq!(end(subject, "e").await, None);
}

/// `Touch` gives another life, longer, shorter or none.
pub async fn touch_gives_another_life(subject: &Subject) {
    subject.put("k", "v").await;
    let longer = Life::fresh_for_ms(LONG * 2);
    assert!(subject.write("k", Write::Touch(longer)).await.existed);
    assert_ends_in(subject, "k", LONG * 2).await;
    subject.write("k", Write::Touch(Life::KEEP)).await;
    assert_ends_in(subject, "k", LONG * 2).await;
    subject.write("k", Write::Touch(Life::FOREVER)).await;
    assert_eq!(end(subject, "k").await, None);
    subject.assert_value("k", "v").await;
    let short = Life::fresh_for_ms(SHORT);
    subject.write("k", Write::Touch(short)).await;
    subject.pass_short().await;
    subject.assert_absent("k").await;
}

/// `Touch` with a life that is over removes.
pub async fn touch_can_end_a_life(subject: &Subject) {
    for life in [Life::fresh_for_ms(0), at(Timestamp(1))] {
        subject.put("k", "v").await;
        subject.write("k", Write::Touch(life)).await;
        subject.assert_absent("k").await;
    }
}

/// `Touch` does nothing to what is absent.
pub async fn touch_does_not_create(subject: &Subject) {
    let touch = || Write::Touch(Life::FOREVER);
    assert!(!subject.write("k", touch()).await.existed);
    subject.assert_absent("k").await;
    subject.put_ended("e", "v").await;
    assert!(!subject.write("e", touch()).await.existed);
    subject.assert_absent("e").await;
}

/// A new put does not inherit the end of what it replaces.
pub async fn a_put_has_its_own_end(subject: &Subject) {
    subject.put_for("k", "one", Life::fresh_for_ms(SHORT)).await;
    subject.write("k", put("two", Life::FOREVER)).await;
    subject.pass_short().await;
    subject.assert_value("k", "two").await;
}
