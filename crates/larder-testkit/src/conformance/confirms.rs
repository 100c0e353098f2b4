//! A record whose load has found it to be the same gets another life where it is, under the proof of any
//! load.

use larder_core::codec::CodecId;
use larder_core::record::{Expiry, Kind, Life, Record};
use larder_core::store::{Fill, Lease, Put, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::subject::{ANY_CUT, LONG, SHORT, Subject, bytes, fine, put_long, put_of, token};
use super::tags::{bump, is_valid, tagged, tags};

fn another_life() -> Put {
    Put {
        cut: ANY_CUT,
        ..put_of("", Life::fresh_for_ms(LONG))
    }
}

async fn confirm(subject: &Subject, key: &str, number: u64, old: Version, put: Put) -> Fill {
    let key = bytes(key);
    let leases = subject.leases();
    fine(leases.confirm(&key, token(number), old, put).await)
}

/// Puts a value that is marked stale, and takes its lease.
async fn leased(subject: &Subject, key: &str, number: u64, put: Put) -> Record {
    subject.write(key, Write::Put(put)).await;
    subject.write(key, Write::Expire).await;
    let stale = subject.granted(key, number).await;
    stale.expect("it comes along")
}

/// All that a reader of the value looks at stays; all that says how old it is is new.
pub async fn the_payload_stays_and_the_rest_is_new(subject: &Subject) {
    let put = Put {
        codec: CodecId(9),
        schema: 10,
        origin: 7,
        ..tagged("v", &["t"])
    };
    let old = leased(subject, "k", 1, put).await;
    let put = Put {
        life: Life {
            fresh: Expiry::In(LONG),
            stale_for_ms: 5,
        },
        origin: 8,
        load_cost_ms: 11,
        tags: tags(&["t"]),
        // What it would be if it were sent.
        kind: Kind::Negative,
        ..another_life()
    };
    let filled = confirm(subject, "k", 1, old.version, put).await;
    let new = subject.record("k").await;
    assert!(new.version > old.version && new.cut >= old.cut);
    let (version, cut) = (new.version, new.cut);
    assert_eq!(filled, Fill::Stored { version, cut });
    assert_eq!((new.kind, &new.value[..]), (Kind::Value, &b"v"[..]));
    assert_eq!((new.codec, new.schema), (CodecId(9), 10));
    assert_eq!((&new.tags, new.marked_stale), (&tags(&["t"]), false));
    assert_eq!((new.origin, new.load_cost_ms), (8, 11));
    let fresh = new.fresh_until.expect("an end");
    assert_eq!(new.expires_at.expect("an end").0, fresh.0 + 5);
    assert!(is_valid(subject, &new).await);
    assert!(matches!(subject.lease("k", 2).await, Lease::Hit(hit) if hit == new));
}

/// Longer than it had, shorter, and for ever.
pub async fn a_confirmed_record_has_a_life_of_its_own(subject: &Subject) {
    let life = |fresh| Life {
        fresh,
        stale_for_ms: 0,
    };
    for (key, fresh) in [("short", Expiry::In(SHORT)), ("ever", Expiry::Never)] {
        let old = leased(subject, key, 1, put_of("v", Life::fresh_for_ms(LONG))).await;
        let put = Put {
            life: life(fresh),
            ..another_life()
        };
        let filled = confirm(subject, key, 1, old.version, put).await;
        assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    }
    assert_eq!(subject.record("ever").await.expires_at, None);
    subject.pass_short().await;
    subject.assert_absent("short").await;
    subject.assert_value("ever", "v").await;
    // A life that is over is taken and leaves nothing.
    let old = leased(subject, "over", 1, put_of("v", Life::FOREVER)).await;
    let put = Put {
        life: life(Expiry::In(0)),
        ..another_life()
    };
    confirm(subject, "over", 1, old.version, put).await;
    subject.assert_absent("over").await;
    subject.assert_free("over").await;
}

/// The caller has another value in mind: the lease stands, so that it may be filled.
pub async fn only_the_record_of_that_version_is_confirmed(subject: &Subject) {
    let old = leased(subject, "k", 1, put_of("v", Life::fresh_for_ms(LONG))).await;
    let other = Version(old.version.0 - 1);
    let filled = confirm(subject, "k", 1, other, another_life()).await;
    assert_eq!(filled, Fill::Gone);
    assert_eq!(subject.record("k").await, old);
    let filled = subject.fill("k", 1, "w").await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    // Where there is nothing but the lease.
    subject.granted("none", 1).await;
    let filled = confirm(subject, "none", 1, old.version, another_life()).await;
    assert_eq!(filled, Fill::Gone);
    subject.assert_absent("none").await;
    // And where its life has ended meanwhile.
    subject
        .put_for(
            "ends",
            "v",
            Life {
                fresh: Expiry::In(0),
                stale_for_ms: SHORT,
            },
        )
        .await;
    let old = subject.granted("ends", 1).await.expect("it comes along");
    subject.pass_short().await;
    let filled = confirm(subject, "ends", 1, old.version, another_life()).await;
    assert_eq!(filled, Fill::Gone);
    subject.assert_absent("ends").await;
}

/// Whatever changed the key; and without a lease at all.
pub async fn a_confirmation_needs_its_lease(subject: &Subject) {
    let changes = [
        Write::Remove { tombstone_ms: LONG },
        Write::Remove { tombstone_ms: 0 },
        Write::Expire,
        Write::Touch(Life::fresh_for_ms(LONG)),
        put_long("newer"),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let key = format!("k{at}");
        let old = leased(subject, &key, 1, put_of("v", Life::fresh_for_ms(LONG))).await;
        subject.write(&key, change).await;
        let after = subject.get(&key).await;
        let filled = confirm(subject, &key, 1, old.version, another_life()).await;
        assert!(matches!(filled, Fill::Revoked | Fill::Lost), "{filled:?}");
        assert_eq!(subject.get(&key).await, after);
    }
    let old = leased(subject, "k", 1, put_of("v", Life::fresh_for_ms(LONG))).await;
    let filled = confirm(subject, "k", 2, old.version, another_life()).await;
    assert_eq!(filled, Fill::Revoked);
    subject.release("k", 1).await;
    let filled = confirm(subject, "k", 1, old.version, another_life()).await;
    assert!(matches!(filled, Fill::Revoked | Fill::Lost), "{filled:?}");
    assert_eq!(subject.record("k").await, old);
}

/// As a fill is. The lease stands.
pub async fn a_confirmation_is_held_to_its_tags(subject: &Subject) {
    let old = leased(subject, "k", 1, tagged("v", &["t"])).await;
    let put = |cut: Cut| Put {
        tags: tags(&["t"]),
        cut,
        ..another_life()
    };
    bump(subject, "t").await;
    let filled = confirm(subject, "k", 1, old.version, put(old.cut)).await;
    assert_eq!(filled, Fill::Raced(tags(&["t"]).keys().to_vec()));
    assert_eq!(subject.record("k").await, old);
    assert!(subject.renew("k", 1).await, "the lease stands");
}
