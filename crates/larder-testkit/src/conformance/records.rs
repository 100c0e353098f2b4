//! What a record carries beside its value, and the versions of changes.

use larder_core::codec::CodecId;
use larder_core::record::{Expiry, Kind, Life};
use larder_core::runtime::Timestamp;
use larder_core::store::{Batch, Fill, Put, Write};
use larder_core::version::Version;

use super::subject::{LONG, REMOVE, Subject, bytes, put_long, put_of};

/// Every field comes back as it was written.
pub async fn every_field_comes_back(subject: &Subject) {
    let put = Put {
        kind: Kind::Value,
        life: Life {
            fresh: Expiry::In(LONG),
            stale_for_ms: 1_234,
        },
        origin: u32::MAX,
        load_cost_ms: u32::MAX - 1,
        codec: CodecId(200),
        schema: 0xfedc_ba98,
        tags: larder_core::tag::Tags::default(),
        bonds: Vec::new(),
        within: None,
        cut: larder_core::tag::Cut::default(),
        value: bytes("value"),
    };
    let before = subject.store.now();
    let outcome = subject.write("k", Write::Put(put.clone())).await;
    let record = subject.record("k").await;
    assert_eq!(record.kind, Kind::Value);
    assert_eq!(record.version, outcome.version);
    assert!(!record.marked_stale);
    assert_eq!(record.origin, put.origin);
    assert_eq!(record.load_cost_ms, put.load_cost_ms);
    assert_eq!((record.codec, record.schema), (put.codec, put.schema));
    assert_eq!(record.value, put.value);
    let fresh_until = record.fresh_until.expect("an end");
    assert_eq!(record.expires_at, Some(Timestamp(fresh_until.0 + 1_234)));
    assert_eq!(fresh_until, Timestamp(record.created.0 + LONG));
    // Another clock may have answered before the first command.
    assert!(record.created.0 + 60_000 >= before.0);
    assert!(record.created <= subject.store.now());
}

/// The remembered absence of a value is a record.
pub async fn a_negative_entry_comes_back(subject: &Subject) {
    let put = Put {
        kind: Kind::Negative,
        ..put_of("", Life::fresh_for_ms(LONG))
    };
    subject.write("k", Write::Put(put)).await;
    let record = subject.record("k").await;
    assert_eq!((record.kind, record.value), (Kind::Negative, bytes("")));
    assert!(subject.put("k", "v").await.existed);
    assert_eq!(subject.record("k").await.kind, Kind::Value);
}

/// Every change has a version above all before it, whatever it is and whatever it finds.
pub async fn versions_grow_with_every_change(subject: &Subject) {
    let changes = [
        put_long("1"),
        put_long("2"),
        Write::Touch(Life::FOREVER),
        Write::Expire,
        Write::Touch(Life::KEEP),
        put_long("3"),
        REMOVE,
        REMOVE,
        Write::Expire,
        put_long("4"),
        Write::Remove { tombstone_ms: LONG },
        Write::Expire,
        put_long("5"),
    ];
    let mut last = Version::ZERO;
    for change in changes {
        let version = subject.write("k", change.clone()).await.version;
        assert!(version > last, "{change:?}: {version:?} after {last:?}");
        assert!(version <= Version::MAX);
        last = version;
    }
    assert_eq!(subject.record("k").await.version, last);
}

/// Also within one batch, and after a record and its version are gone.
pub async fn versions_grow_within_a_batch_and_across_removals(subject: &Subject) {
    let batch = Batch::default()
        .write(bytes("k"), put_long("1"))
        .write(bytes("k"), REMOVE)
        .write(bytes("k"), put_long("2"))
        .write(bytes("k"), REMOVE);
    let outcomes = subject.done(batch).await;
    let rising = outcomes
        .windows(2)
        .all(|pair| pair[0].version < pair[1].version);
    assert!(rising, "{outcomes:?}");
    let next = subject.put("k", "3").await.version;
    assert!(next > outcomes[3].version);
}

/// A fill is a change like the others.
pub async fn versions_grow_with_fills(subject: &Subject) {
    let removed = subject.bury("k").await.version;
    subject.granted("k", 1).await;
    let Fill::Stored {
        version: filled, ..
    } = subject.fill("k", 1, "v").await
    else {
        panic!("the lease stands");
    };
    assert!(filled > removed);
    assert_eq!(subject.record("k").await.version, filled);
    assert!(subject.put("k", "w").await.version > filled);
}

/// A tombstone hides the value, keeps the order, and gives way to the next value.
pub async fn a_tombstone_keeps_only_the_version(subject: &Subject) {
    subject.put("k", "v").await;
    let buried = subject.bury("k").await;
    assert!(buried.existed);
    subject.assert_absent("k").await;
    let again = subject.bury("k").await;
    assert!(!again.existed && again.version > buried.version);
    assert!(!subject.put("k", "w").await.existed);
    subject.assert_value("k", "w").await;
}
