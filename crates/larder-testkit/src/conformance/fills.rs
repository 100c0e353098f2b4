//! A loaded value is stored only while nothing has changed since before its load.

use larder_core::codec::CodecId;
use larder_core::record::{Expiry, Kind, Life};
use larder_core::store::{Fill, Lease, Put, Write};

use super::subject::{
    ANY_CUT, LONG, SHORT, SHORT_LEASE, Subject, bytes, fine, put_long, put_of, token,
};

/// The record is stored with all that the loader says, and the lease ends.
pub async fn a_fill_stores_and_ends_the_lease(subject: &Subject) {
    subject.granted("k", 1).await;
    let put = Put {
        kind: Kind::Value,
        life: Life {
            fresh: Expiry::In(LONG),
            stale_for_ms: 5,
        },
        origin: 7,
        load_cost_ms: 8,
        codec: CodecId(9),
        schema: 10,
        tags: larder_core::tag::Tags::default(),
        bonds: Vec::new(),
        within: None,
        cut: ANY_CUT,
        value: bytes("v"),
    };
    let key = bytes("k");
    let filled = fine(subject.leases().fill(&key, token(1), put).await);
    let record = subject.record("k").await;
    assert!(matches!(filled, Fill::Stored { version, .. } if version == record.version));
    assert_eq!((record.origin, record.load_cost_ms), (7, 8));
    assert_eq!((record.codec, record.schema), (CodecId(9), 10));
    let fresh = record.fresh_until.expect("an end");
    assert_eq!(record.expires_at.expect("an end").0, fresh.0 + 5);
    assert!(matches!(subject.lease("k", 2).await, Lease::Hit(_)));
}

/// Absence can be loaded too.
pub async fn a_negative_fill_is_stored(subject: &Subject) {
    subject.granted("k", 1).await;
    let put = Put {
        kind: Kind::Negative,
        cut: ANY_CUT,
        ..put_of("", Life::fresh_for_ms(LONG))
    };
    let key = bytes("k");
    let filled = fine(subject.leases().fill(&key, token(1), put).await);
    assert!(matches!(filled, Fill::Stored { .. }));
    assert_eq!(subject.record("k").await.kind, Kind::Negative);
}

/// A stale value is replaced, mark and all.
pub async fn a_fill_replaces_a_stale_value(subject: &Subject) {
    subject.put("k", "old").await;
    subject.write("k", Write::Expire).await;
    subject.granted("k", 1).await;
    assert!(matches!(
        subject.fill("k", 1, "new").await,
        Fill::Stored { .. }
    ));
    let record = subject.record("k").await;
    assert!(!record.marked_stale && record.value == "new");
}

/// A tombstone does not stand in the way of a load that began after it.
pub async fn a_fill_replaces_a_tombstone(subject: &Subject) {
    subject.bury("k").await;
    subject.granted("k", 1).await;
    assert!(matches!(
        subject.fill("k", 1, "new").await,
        Fill::Stored { .. }
    ));
    subject.assert_value("k", "new").await;
}

/// A value that ends while it is loaded anew does not take the lease with it.
pub async fn a_lease_outlives_the_value_that_it_replaces(subject: &Subject) {
    let life = Life {
        fresh: Expiry::In(0),
        stale_for_ms: SHORT,
    };
    subject.put_for("k", "old", life).await;
    subject.granted("k", 1).await;
    subject.pass_short().await;
    subject.assert_absent("k").await;
    assert!(matches!(
        subject.fill("k", 1, "new").await,
        Fill::Stored { .. }
    ));
    subject.assert_value("k", "new").await;
}

/// A life that is over is taken and leaves nothing.
pub async fn a_fill_may_leave_nothing(subject: &Subject) {
    subject.granted("k", 1).await;
    let put = Put {
        cut: ANY_CUT,
        ..put_of("v", Life::fresh_for_ms(0))
    };
    let key = bytes("k");
    fine(subject.leases().fill(&key, token(1), put).await);
    subject.assert_absent("k").await;
    subject.assert_free("k").await;
}

/// One lease, one fill.
pub async fn a_second_fill_is_refused(subject: &Subject) {
    subject.granted("k", 1).await;
    assert!(matches!(
        subject.fill("k", 1, "v").await,
        Fill::Stored { .. }
    ));
    subject.assert_refused("k", 1).await;
    subject.assert_value("k", "v").await;
}

/// Absence refuses.
pub async fn a_fill_without_a_lease_is_lost(subject: &Subject) {
    assert_eq!(subject.fill("k", 1, "v").await, Fill::Lost);
    subject.assert_absent("k").await;
    subject.put("v", "v").await;
    subject.assert_refused("v", 1).await;
    subject.assert_value("v", "v").await;
}

/// Another's lease is not one's own.
pub async fn a_fill_under_anothers_lease_is_revoked(subject: &Subject) {
    subject.granted("k", 1).await;
    assert_eq!(subject.fill("k", 2, "v").await, Fill::Revoked);
    subject.assert_absent("k").await;
    assert!(matches!(
        subject.fill("k", 1, "v").await,
        Fill::Stored { .. }
    ));
}

/// The load was too slow: its lease has ended.
pub async fn a_fill_after_the_end_of_its_lease_is_refused(subject: &Subject) {
    subject.put_stale("stale", "v").await;
    for key in ["absent", "stale"] {
        subject.lease_for(key, 1, SHORT_LEASE).await;
        subject.pass_short().await;
        subject.assert_refused(key, 1).await;
        subject.granted(key, 2).await;
        subject.assert_refused(key, 1).await;
        assert!(matches!(
            subject.fill(key, 2, "w").await,
            Fill::Stored { .. }
        ));
        subject.assert_refused(key, 1).await;
        subject.assert_value(key, "w").await;
    }
}

/// A value removed while it was loaded does not come back.
pub async fn a_fill_does_not_outlive_a_removal(subject: &Subject) {
    for tombstone_ms in [0, 1, LONG] {
        subject.put_stale("stale", "v").await;
        for key in ["absent", "stale"] {
            subject.granted(key, 1).await;
            subject.write(key, Write::Remove { tombstone_ms }).await;
            subject.assert_refused(key, 1).await;
            subject.assert_absent(key).await;
        }
    }
}

/// A value expired while it was loaded stays stale.
pub async fn a_fill_does_not_outlive_an_expiry(subject: &Subject) {
    subject.granted("absent", 1).await;
    subject.write("absent", Write::Expire).await;
    subject.assert_refused("absent", 1).await;
    subject.assert_absent("absent").await;
    subject.bury("buried").await;
    subject.granted("buried", 1).await;
    subject.write("buried", Write::Expire).await;
    subject.assert_refused("buried", 1).await;
    subject.assert_absent("buried").await;
    subject.put_stale("stale", "v").await;
    subject.granted("stale", 1).await;
    subject.write("stale", Write::Expire).await;
    subject.assert_refused("stale", 1).await;
    let record = subject.record("stale").await;
    assert!(record.marked_stale && record.value == "v");
}

/// A newer value is not replaced by one that was read before it.
pub async fn a_fill_does_not_replace_a_newer_value(subject: &Subject) {
    subject.granted("k", 1).await;
    subject.write("k", put_long("newer")).await;
    subject.assert_refused("k", 1).await;
    subject.assert_value("k", "newer").await;
    subject.write("k", Write::Expire).await;
    subject.granted("k", 2).await;
    subject.assert_refused("k", 1).await;
    assert!(matches!(
        subject.fill("k", 2, "newest").await,
        Fill::Stored { .. }
    ));
}
