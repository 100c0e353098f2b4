//! Stores over servers that lose what the shard remembers, as by eviction: what was known only there
//! counts as changed.

use larder_core::area::{Area, area_key};
use larder_core::store::{Fill, Lease, Write};
use larder_core::tag::{Bond, Cut};
use larder_core::version::Version;

use super::areas::void;
use super::dependencies::{begin, fill, is_valid, made_from, on, read};
use super::subject::{Subject, fine, put_long};
use super::tags::{bump, numbers};

/// An hour, in the microseconds of versions.
const HOUR: u64 = 3_600_000_000;

/// The shard gives versions that are an hour ahead, as while its clock was. It forgets them when it
/// forgets all, so that then its clock seems to have been set back.
async fn runs_ahead(subject: &Subject) -> Version {
    let ahead = subject.put("other", "v").await.version.0 + HOUR;
    let script = format!("redis.call('HSET', shard, 'high_water', '{ahead}')");
    subject.meddle(b"", &script);
    Version(ahead)
}

/// Copies elsewhere are compared by version, so one that is repeated would pass for another value.
pub async fn a_version_exceeds_that_of_its_key(subject: &Subject) {
    for change in [put_long("w"), Write::Expire] {
        let ahead = runs_ahead(subject).await;
        let before = subject.put("k", "v").await.version;
        assert!(before > ahead);
        subject.forget_the_shard().await;
        let after = subject.write("k", change.clone()).await.version;
        assert!(after > before, "{change:?}: {after:?} after {before:?}");
    }
}

/// That is what a tombstone is for: nothing else knows of the version of what was removed.
pub async fn a_version_exceeds_that_of_what_was_removed(subject: &Subject) {
    let ahead = runs_ahead(subject).await;
    subject.put("k", "v").await;
    let removed = subject.bury("k").await.version;
    assert!(removed > ahead);
    subject.forget_the_shard().await;
    let after = subject.put("k", "w").await.version;
    assert!(after > removed, "{after:?} after {removed:?}");
}

/// Whatever would have stood in its way was forgotten with the rest.
pub async fn a_lease_of_before_fills_nothing(subject: &Subject) {
    let cut = begin(subject).await;
    subject.forget_the_shard().await;
    assert_eq!(fill(subject, cut, Vec::new()).await, Fill::Lost);
    subject.assert_absent("outer").await;
    let Lease::Granted { cut, .. } = subject.lease("outer", 1).await else {
        panic!("whose fill was refused may ask again");
    };
    let filled = fill(subject, cut, Vec::new()).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
}

/// Numbers go on beyond all that were given, whether the shard knows of them or not.
pub async fn a_lost_clock_goes_on_beyond_all_before(subject: &Subject) {
    let bumped = bump(subject, "t").await;
    for lost in [
        "redis.call('DEL', shard)",
        "redis.call('HDEL', shard, 'tags')",
    ] {
        let cut = begin(subject).await;
        subject.pass(1).await;
        subject.meddle(b"", lost);
        let unknown = numbers(subject, &["unknown"]).await[0];
        assert!(unknown > cut, "{lost}: {unknown:?} after {cut:?}");
        assert_eq!(numbers(subject, &["t"]).await, [bumped], "it is not lost");
        subject.release("outer", 1).await;
    }
}

/// A value of another cache, which was invalidated there while nobody remembers it any more. The load
/// began after that, and the record that it has read from a copy is still the same.
pub async fn what_was_made_under_areas_that_are_forgotten_is_refused(subject: &Subject) {
    subject.put("inner", "v").await;
    let area = area_key("inner's");
    let within = Bond {
        tag: area.clone(),
        cut: subject.record("inner").await.cut,
        version: Version::ZERO,
    };
    let inner = read(subject, "inner").await;
    void(subject, "inner's", Area::ALL).await;
    subject.forget_the_shard().await;
    let cut = begin(subject).await;
    let filled = fill(subject, cut, vec![inner, within]).await;
    assert_eq!(filled, Fill::Raced(vec![area]));
}

/// The number of the dependency is there still, and the change came while the shard did not know that
/// it has any.
pub async fn what_was_made_from_a_copy_is_refused_when_changes_were_not_noted(subject: &Subject) {
    subject.put("inner", "v").await;
    made_from(subject, "inner").await;
    let copy = read(subject, "inner").await;
    subject.forget_the_shard().await;
    subject.put("inner", "w").await;
    assert!(!is_valid(subject).await);
    subject.remove("outer").await;
    let cut = begin(subject).await;
    let filled = fill(subject, cut, vec![copy]).await;
    assert_eq!(filled, Fill::Raced(vec![on("inner")]));
}

/// Nobody noted the changes meanwhile, so whoever watches it anew makes void what named it before.
pub async fn a_dependency_that_was_forgotten_is_a_new_one(subject: &Subject) {
    for only_the_dependency in [true, false] {
        subject.put("inner", "v").await;
        made_from(subject, "inner").await;
        if only_the_dependency {
            let (dependency, delete) = (on("inner"), "assert(redis.call('DEL', held) == 1)");
            subject.meddle(&dependency, delete);
        } else {
            subject.forget_the_shard().await;
        }
        subject.put("inner", "w").await;
        let watched = fine(subject.tags().watch(&[on("inner")]).await)[0];
        assert!(watched < Cut::LOST, "it is known from now on");
        assert!(!is_valid(subject).await);
        subject.put("inner", "x").await;
        let noted = fine(subject.tags().tags(&[on("inner")]).await)[0];
        assert!(noted > watched && noted < Cut::LOST);
        subject.remove("outer").await;
    }
}
