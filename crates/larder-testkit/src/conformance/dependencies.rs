//! A value that was made from others is void once one of these has changed.

use bytes::Bytes;
use larder_core::record::Life;
use larder_core::space::Space;
use larder_core::store::{Fill, Lease, Put, Write};
use larder_core::tag::{Bond, Cut, Tags, dependency_key};
use larder_core::version::Version;

use super::subject::{LONG, Subject, bytes, fine, put_of, token};
use super::tags::{bump, tagged};

pub(super) fn on(key: &str) -> Bytes {
    dependency_key(key.as_bytes()).expect("it is short")
}

/// What the reading of a record leaves behind.
pub(super) async fn read(subject: &Subject, key: &str) -> Bond {
    let record = subject.record(key).await;
    Bond {
        tag: on(key),
        cut: record.cut,
        version: record.version,
    }
}

/// Begins a load of `outer`; gives the cut of its lease.
pub(super) async fn begin(subject: &Subject) -> Cut {
    match subject.lease("outer", 1).await {
        Lease::Granted { cut, .. } => cut,
        other => panic!("a lease was expected, and got: {other:?}"),
    }
}

pub(super) async fn fill(subject: &Subject, cut: Cut, bonds: Vec<Bond>) -> Fill {
    let key = bytes("outer");
    let put = Put {
        bonds,
        cut,
        ..put_of("made", Life::fresh_for_ms(LONG))
    };
    fine(subject.leases().fill(&key, token(1), put).await)
}

/// Whether readers may use the value, by what it depends on.
pub(super) async fn is_valid(subject: &Subject) -> bool {
    let record = subject.record("outer").await;
    let numbers = fine(subject.tags().tags(record.tags.keys()).await);
    numbers.into_iter().all(|number| number <= record.cut)
}

/// A stored value that was made from `inner`.
pub(super) async fn made_from(subject: &Subject, inner: &str) {
    let cut = begin(subject).await;
    let bond = read(subject, inner).await;
    let filled = fill(subject, cut, vec![bond]).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    assert!(is_valid(subject).await);
}

/// The first time too, when nobody has depended on it yet.
pub async fn a_value_made_from_another_is_stored(subject: &Subject) {
    subject.put("inner", "v").await;
    made_from(subject, "inner").await;
    let record = subject.record("outer").await;
    assert_eq!(record.tags, Tags::new([on("inner")]).expect("one tag"));
}

/// Each kind of change of the inner key voids it.
pub async fn a_change_voids_what_was_made_from_the_key(subject: &Subject) {
    for change in ["put", "remove", "expire"] {
        subject.put("inner", "v").await;
        made_from(subject, "inner").await;
        match change {
            "put" => drop(subject.put("inner", "w").await),
            "remove" => drop(subject.remove("inner").await),
            _ => drop(subject.write("inner", Write::Expire).await),
        }
        assert!(!is_valid(subject).await, "{change}");
        subject.remove("outer").await;
    }
}

/// As each removal of a key would.
pub async fn clearing_voids_what_was_made_from_what_it_removes(subject: &Subject) {
    subject.put("app:inner", "v").await;
    made_from(subject, "app:inner").await;
    for (prefix, removed) in [("other:", 0), ("app:", 1)] {
        assert!(is_valid(subject).await, "{prefix}");
        let space = Space::prefix(prefix);
        assert_eq!(fine(subject.keyspace().clear(&space).await), removed);
    }
    assert!(!is_valid(subject).await);
}

/// Changes of other keys, and tags, do not concern it.
pub async fn what_it_was_not_made_from_does_not_void_it(subject: &Subject) {
    subject.put("inner", "v").await;
    subject.put("other", "v").await;
    made_from(subject, "inner").await;
    subject.put("other", "w").await;
    subject.remove("inne").await;
    subject.put("inner2", "w").await;
    bump(subject, "t").await;
    assert!(is_valid(subject).await);
}

/// Between the reading and the fill.
pub async fn a_value_whose_source_changed_during_the_load_is_refused(subject: &Subject) {
    // Once while nobody has depended on it yet, and once when somebody has.
    for _ in 0..2 {
        subject.put("inner", "v").await;
        let cut = begin(subject).await;
        let bond = read(subject, "inner").await;
        subject.put("inner", "w").await;
        let filled = fill(subject, cut, vec![bond]).await;
        assert_eq!(filled, Fill::Raced(vec![on("inner")]));
        subject.release("outer", 1).await;
        subject.assert_absent("outer").await;
    }
    made_from(subject, "inner").await;
}

/// A value that is read from a copy which is behind.
pub async fn a_value_made_from_an_outdated_copy_is_refused(subject: &Subject) {
    subject.put("inner", "v").await;
    let outdated = read(subject, "inner").await;
    subject.put("inner", "w").await;
    let cut = begin(subject).await;
    let filled = fill(subject, cut, vec![outdated]).await;
    assert_eq!(filled, Fill::Raced(vec![on("inner")]));
}

/// The record is gone, and nobody changed the key: what is known of the key decides.
pub async fn a_source_that_is_gone_is_no_change_if_the_key_is_watched(subject: &Subject) {
    subject.put("inner", "v").await;
    fine(subject.tags().watch(&[on("inner")]).await);
    subject.put("inner", "v").await;
    let bond = Bond {
        tag: on("inner"),
        cut: fine(subject.tags().tags(&[on("inner")]).await)[0],
        version: Version::ZERO,
    };
    let cut = begin(subject).await;
    let filled = fill(subject, cut, vec![bond.clone()]).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    subject.remove("inner").await;
    assert!(!is_valid(subject).await);
    subject.remove("outer").await;
    let cut = begin(subject).await;
    let filled = fill(subject, cut, vec![bond]).await;
    assert_eq!(filled, Fill::Raced(vec![on("inner")]));
}

/// That there was nothing is a thing to depend on.
pub async fn absence_can_be_depended_on(subject: &Subject) {
    let cut = begin(subject).await;
    let watched = fine(subject.tags().watch(&[on("inner")]).await)[0];
    subject.assert_absent("inner").await;
    let absence = Bond {
        tag: on("inner"),
        cut: watched,
        version: Version::ZERO,
    };
    let filled = fill(subject, cut, vec![absence.clone()]).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    assert!(is_valid(subject).await);
    subject.put("inner", "v").await;
    assert!(!is_valid(subject).await);
    subject.remove("outer").await;
    let cut = begin(subject).await;
    let filled = fill(subject, cut, vec![absence]).await;
    assert_eq!(filled, Fill::Raced(vec![on("inner")]));
}

/// What nobody knows of may have changed.
pub async fn an_unknown_dependency_is_lost(subject: &Subject) {
    let asked = [on("never")];
    assert_eq!(fine(subject.tags().tags(&asked).await), [Cut::LOST]);
    let watched = fine(subject.tags().watch(&asked).await);
    assert!(watched[0] < Cut::LOST);
    assert_eq!(fine(subject.tags().watch(&asked).await), watched, "once");
    assert_eq!(fine(subject.tags().tags(&asked).await), watched);
}

/// Tags of what it was made from count as of when that was read.
pub async fn it_is_held_to_the_tags_of_what_it_was_made_from(subject: &Subject) {
    subject
        .write("inner", Write::Put(tagged("v", &["t"])))
        .await;
    let inner = subject.record("inner").await;
    let bonds = || {
        let of = |tag: &Bytes, version| Bond {
            tag: tag.clone(),
            cut: inner.cut,
            version,
        };
        vec![
            of(&on("inner"), inner.version),
            of(&inner.tags.keys()[0], Version::ZERO),
        ]
    };
    let cut = begin(subject).await;
    let filled = fill(subject, cut, bonds()).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
    bump(subject, "t").await;
    assert!(!is_valid(subject).await);
    // A load that began after the bump, and has read a copy from before it.
    subject.remove("outer").await;
    let cut = begin(subject).await;
    let filled = fill(subject, cut, bonds()).await;
    assert_eq!(filled, Fill::Raced(vec![inner.tags.keys()[0].clone()]));
}
