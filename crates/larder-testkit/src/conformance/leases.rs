//! The right to load a key: one at a time, for a time.

use std::time::Duration;

use larder_core::record::{Kind, Life};
use larder_core::store::{Lease, Lookup, Put, Write};

use super::subject::{LONG, LONG_LEASE, SHORT_LEASE, Subject, bytes, fine, put_of};

fn stale_value(lease: &Lease) -> Option<&[u8]> {
    let (Lease::Granted { stale, .. } | Lease::Taken { stale, .. }) = lease else {
        panic!("not a hit: {lease:?}");
    };
    stale.as_ref().map(|record| &record.value[..])
}

/// A fresh value needs no load.
pub async fn a_fresh_value_is_a_hit(subject: &Subject) {
    let outcome = subject.put("k", "v").await;
    let Lease::Hit(record) = subject.lease("k", 1).await else {
        panic!("the value is fresh");
    };
    assert_eq!(
        (record.version, &record.value[..]),
        (outcome.version, &b"v"[..])
    );
    assert_eq!(subject.record("k").await, record);
}

/// Remembered absence needs no load either.
pub async fn a_negative_entry_is_a_hit(subject: &Subject) {
    let put = Put {
        kind: Kind::Negative,
        ..put_of("", Life::fresh_for_ms(LONG))
    };
    subject.write("k", Write::Put(put)).await;
    let lease = subject.lease("k", 1).await;
    assert!(matches!(lease, Lease::Hit(record) if record.kind == Kind::Negative));
}

/// The first who asks loads, the others are told for how long.
pub async fn one_at_a_time_gets_the_lease(subject: &Subject) {
    assert_eq!(subject.granted("k", 1).await, None);
    let Lease::Taken { remaining, stale } = subject.lease("k", 2).await else {
        panic!("it is taken");
    };
    assert!(remaining > Duration::ZERO && remaining <= LONG_LEASE);
    assert_eq!(stale, None);
    assert!(subject.renew("k", 1).await);
    assert!(!subject.renew("k", 2).await);
}

/// Leases of different keys have nothing to do with each other.
pub async fn keys_are_leased_one_by_one(subject: &Subject) {
    subject.granted("a", 1).await;
    subject.granted("b", 1).await;
    subject.granted("c", 2).await;
    subject.release("a", 1).await;
    assert!(subject.renew("b", 1).await);
}

/// A lease without a value is seen by nobody.
pub async fn a_lease_is_no_record(subject: &Subject) {
    subject.granted("k", 1).await;
    subject.assert_absent("k").await;
    let many = subject.store.get_many(&[bytes("k")]).await;
    assert_eq!(fine(many), [Lookup::Absent]);
    assert!(!subject.remove("k").await.existed);
}

/// A value that is stale by time comes with the lease, and to those who wait.
pub async fn a_stale_value_comes_along(subject: &Subject) {
    subject.put_stale("k", "v").await;
    let lease = subject.lease("k", 1).await;
    assert!(matches!(lease, Lease::Granted { .. }));
    assert_eq!(stale_value(&lease), Some(&b"v"[..]));
    let lease = subject.lease("k", 2).await;
    assert!(matches!(lease, Lease::Taken { .. }));
    assert_eq!(stale_value(&lease), Some(&b"v"[..]));
    subject.assert_value("k", "v").await;
}

/// So does a value that was marked stale.
pub async fn a_value_marked_stale_comes_along(subject: &Subject) {
    subject.put("k", "v").await;
    subject.write("k", Write::Expire).await;
    let stale = subject.granted("k", 1).await.expect("the value is kept");
    assert!(stale.marked_stale && stale.value == "v");
}

/// A value that has ended, or was removed, does not.
pub async fn what_is_gone_does_not_come_along(subject: &Subject) {
    subject.put_ended("ended", "v").await;
    assert_eq!(subject.granted("ended", 1).await, None);
    subject.put("removed", "v").await;
    subject.remove("removed").await;
    assert_eq!(subject.granted("removed", 1).await, None);
    subject.put("buried", "v").await;
    subject.bury("buried").await;
    assert_eq!(subject.granted("buried", 1).await, None);
}

/// A holder that never comes back does not block the key.
pub async fn a_lease_ends_by_itself(subject: &Subject) {
    subject.put_stale("stale", "v").await;
    for key in ["absent", "stale"] {
        let lease = subject.lease_for(key, 1, SHORT_LEASE).await;
        assert!(matches!(lease, Lease::Granted { .. }), "{key}");
        subject.pass_short().await;
        assert!(!subject.renew(key, 1).await, "{key}: ended, not asleep");
        subject.granted(key, 2).await;
    }
}

/// A renewed lease lasts from then on.
pub async fn renewing_makes_a_lease_last(subject: &Subject) {
    subject.bury("buried").await;
    subject.put_stale("stale", "v").await;
    for key in ["absent", "stale", "buried"] {
        let second = Duration::from_secs(1);
        let lease = subject.lease_for(key, 1, second).await;
        assert!(matches!(lease, Lease::Granted { .. }), "{key}");
        assert!(subject.renew(key, 1).await, "{key}");
        let Lease::Taken { remaining, .. } = subject.lease(key, 2).await else {
            panic!("{key}: it was renewed");
        };
        assert!(remaining > second, "{key}: {remaining:?}");
    }
}

/// What is not held cannot be renewed.
pub async fn only_a_standing_lease_is_renewed(subject: &Subject) {
    assert!(!subject.renew("k", 1).await);
    subject.put("k", "v").await;
    assert!(!subject.renew("k", 1).await);
    subject.granted("l", 1).await;
    subject.fill("l", 1, "v").await;
    assert!(!subject.renew("l", 1).await);
    subject.granted("m", 1).await;
    subject.release("m", 1).await;
    assert!(!subject.renew("m", 1).await);
}

/// Every change of the key revokes its lease, and renewing does not bring it back.
pub async fn every_change_revokes_the_lease(subject: &Subject) {
    for (name, change) in [
        ("put", Write::Put(put_of("w", Life::fresh_for_ms(0)))),
        ("remove", Write::Remove { tombstone_ms: 0 }),
        ("bury", Write::Remove { tombstone_ms: LONG }),
        ("expire", Write::Expire),
    ] {
        subject.put_stale("stale", "v").await;
        for key in ["stale", "absent"] {
            subject.granted(key, 1).await;
            subject.write(key, change.clone()).await;
            assert!(!subject.renew(key, 1).await, "{name} {key}");
            subject.assert_refused(key, 1).await;
            subject.assert_free(key).await;
            subject.release(key, 99).await;
        }
    }
}

/// `Touch` changes a value, and so revokes; to an absent key it does nothing at all.
pub async fn touch_revokes_the_lease_of_a_value_only(subject: &Subject) {
    subject.put_stale("stale", "v").await;
    subject.granted("stale", 1).await;
    subject.write("stale", Write::Touch(Life::FOREVER)).await;
    subject.assert_refused("stale", 1).await;
    subject.granted("absent", 1).await;
    subject.write("absent", Write::Touch(Life::FOREVER)).await;
    assert!(subject.renew("absent", 1).await);
}

/// A lease given back is free at once, with the stale value still there.
pub async fn a_released_lease_is_free(subject: &Subject) {
    subject.put_stale("stale", "v").await;
    subject.bury("buried").await;
    for key in ["absent", "stale", "buried"] {
        subject.granted(key, 1).await;
        subject.release(key, 1).await;
        subject.assert_refused(key, 1).await;
        subject.granted(key, 2).await;
    }
    subject.assert_value("stale", "v").await;
}

/// Giving back what one does not hold does nothing.
pub async fn only_the_holder_releases(subject: &Subject) {
    subject.release("k", 1).await;
    subject.granted("k", 1).await;
    subject.release("k", 2).await;
    assert!(subject.renew("k", 1).await);
    subject.fill("k", 1, "v").await;
    subject.release("k", 1).await;
    subject.assert_value("k", "v").await;
}
