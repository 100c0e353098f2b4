//! A load that began before one of its tags was invalidated is not stored, whichever ends first.

use larder_core::store::{Fill, Lease, Write};
use larder_core::tag::Cut;

use super::subject::{ANY_CUT, Subject, bytes, fine, token};
use super::tags::{bump, is_valid, numbers, tagged, tags};

/// Takes a lease that must be given; gives its cut.
async fn cut_of_lease(subject: &Subject, key: &str, token: u64) -> Cut {
    match subject.lease(key, token).await {
        Lease::Granted { cut, .. } => cut,
        other => panic!("a lease of {key:?} was expected, and got: {other:?}"),
    }
}

/// Fills under the lease with this token, with the cut of that lease.
async fn fill(subject: &Subject, key: &str, number: u64, names: &[&str], cut: Cut) -> Fill {
    let mut put = tagged("loaded", names);
    put.cut = cut;
    let key = bytes(key);
    fine(subject.leases().fill(&key, token(number), put).await)
}

async fn assert_stored(subject: &Subject, key: &str, names: &[&str], cut: Cut) {
    let filled = fill(subject, key, 1, names, cut).await;
    let record = subject.record(key).await;
    let (version, stamped) = (record.version, record.cut);
    assert_eq!(
        filled,
        Fill::Stored {
            version,
            cut: stamped
        }
    );
    assert!(
        stamped >= cut,
        "valid as of the fill: {stamped:?} after {cut:?}"
    );
    assert_eq!(record.tags, tags(names));
    assert_eq!(record.value, "loaded");
    assert!(is_valid(subject, &record).await);
    assert!(matches!(subject.lease(key, 2).await, Lease::Hit(hit) if hit == record));
}

/// Refused because of this tag. The lease stands, because its holder may find that nothing stands in
/// the way; given back, it is free for the next.
async fn assert_raced(subject: &Subject, key: &str, names: &[&str], cut: Cut, of: &str) {
    let filled = fill(subject, key, 1, names, cut).await;
    assert_eq!(filled, Fill::Raced(tags(&[of]).keys().to_vec()));
    subject.assert_absent(key).await;
    assert!(subject.renew(key, 1).await, "the lease stands");
    subject.release(key, 1).await;
    subject.assert_refused(key, 1).await;
    let cut = cut_of_lease(subject, key, 2).await;
    let filled = fill(subject, key, 2, names, cut).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
}

/// The clock as it stands before the load, from before all bumps that follow.
pub async fn a_lease_says_where_the_clock_stands(subject: &Subject) {
    let first = cut_of_lease(subject, "k", 1).await;
    assert_eq!(numbers(subject, &["t"]).await, [first]);
    for round in 2..20 {
        let bumped = bump(subject, "t").await;
        assert!(bumped > first);
        let key = format!("k{round}");
        let cut = cut_of_lease(subject, &key, round).await;
        assert!(cut >= bumped, "{cut:?} after {bumped:?}");
        assert_eq!(cut_of_lease(subject, &key, round).await, cut, "asked again");
        assert!(bump(subject, "u").await > cut);
    }
}

/// Of tags that nobody ever invalidated.
pub async fn a_fill_with_unknown_tags_is_stored_while_the_clock_stands(subject: &Subject) {
    let cut = cut_of_lease(subject, "k", 1).await;
    assert_stored(subject, "k", &["a", "b"], cut).await;
    let cut = cut_of_lease(subject, "l", 1).await;
    assert_stored(subject, "l", &["c"], cut).await;
}

/// Nobody knows whether it was that tag.
pub async fn a_fill_with_an_unknown_tag_is_refused_once_the_clock_has_moved(subject: &Subject) {
    let cut = cut_of_lease(subject, "k", 1).await;
    bump(subject, "other").await;
    assert_raced(subject, "k", &["unknown"], cut, "unknown").await;
}

/// Only the tags of the record count, and only from the lease on.
pub async fn a_fill_whose_tags_were_bumped_before_its_lease_is_stored(subject: &Subject) {
    bump(subject, "a").await;
    bump(subject, "b").await;
    let cut = cut_of_lease(subject, "k", 1).await;
    bump(subject, "other").await;
    assert_stored(subject, "k", &["a", "b"], cut).await;
}

/// The value may have been read before.
pub async fn a_fill_whose_tag_was_bumped_after_its_lease_is_refused(subject: &Subject) {
    // Once while nothing is known of the tag, and once when it has a number.
    for key in ["k", "l"] {
        let cut = cut_of_lease(subject, key, 1).await;
        bump(subject, "t").await;
        assert_raced(subject, key, &["t"], cut, "t").await;
    }
}

/// One of them is enough.
pub async fn a_fill_is_refused_for_one_of_its_tags(subject: &Subject) {
    bump(subject, "a").await;
    bump(subject, "b").await;
    for (key, name) in [("k", "a"), ("l", "b")] {
        let cut = cut_of_lease(subject, key, 1).await;
        bump(subject, name).await;
        assert_raced(subject, key, &["a", "b"], cut, name).await;
    }
}

/// What was there before stays, stale as it was.
pub async fn a_refused_fill_leaves_the_stale_value(subject: &Subject) {
    subject.put("k", "stale").await;
    subject.write("k", Write::Expire).await;
    let cut = cut_of_lease(subject, "k", 1).await;
    bump(subject, "t").await;
    let filled = fill(subject, "k", 1, &["t"], cut).await;
    assert!(matches!(filled, Fill::Raced(_)), "{filled:?}");
    let record = subject.record("k").await;
    assert!(record.marked_stale && record.value == "stale");
    subject.release("k", 1).await;
    subject.assert_refused("k", 1).await;
    subject.assert_free("k").await;
}

/// Without tags there is nothing to race with.
pub async fn a_fill_without_tags_is_not_refused_for_any(subject: &Subject) {
    cut_of_lease(subject, "k", 1).await;
    bump(subject, "t").await;
    let filled = fill(subject, "k", 1, &[], ANY_CUT).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
}

/// A fill that has no lease is that, whatever its tags.
pub async fn a_fill_with_tags_needs_its_lease(subject: &Subject) {
    let cut = bump(subject, "t").await;
    assert_eq!(fill(subject, "k", 1, &["t"], cut).await, Fill::Lost);
    let cut = cut_of_lease(subject, "k", 1).await;
    assert_eq!(fill(subject, "k", 2, &["t"], cut).await, Fill::Revoked);
    subject.assert_absent("k").await;
    assert_stored(subject, "k", &["t"], cut).await;
}
