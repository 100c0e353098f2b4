//! Counters.

use std::time::Duration;

use larder_core::counter::{Added, counter_key};
use larder_core::error::ErrorKind;
use larder_core::space::Space;

use super::subject::{LONG_LEASE, SHORT_LEASE, Subject, fine};

/// From nothing, up and down.
pub async fn a_counter_begins_at_nothing_and_goes_both_ways(subject: &Subject) {
    assert_eq!(subject.counted("c").await, None);
    assert_eq!(subject.count("c", 5).await, Added::Now(5));
    assert_eq!(subject.count("c", -8).await, Added::Now(-3));
    assert_eq!(subject.counted("c").await, Some(-3));
    assert_eq!(subject.count("d", 0).await, Added::Now(0));
    assert_eq!(subject.counted("d").await, Some(0));
}

/// However they come.
pub async fn no_addition_is_lost(subject: &Subject) {
    let added = futures_util::future::join_all((0..100).map(|_| subject.count("c", 1))).await;
    assert!(added.contains(&Added::Now(100)));
    assert_eq!(subject.counted("c").await, Some(100));
}

/// Beyond what a float holds, too.
pub async fn numbers_are_exact_in_their_whole_range(subject: &Subject) {
    let number = (1 << 53) + 1;
    assert_eq!(subject.count("c", number).await, Added::Now(number));
    assert_eq!(subject.count("c", 1).await, Added::Now(number + 1));
    assert_eq!(subject.count("d", i64::MAX).await, Added::Now(i64::MAX));
    assert_eq!(subject.count("e", i64::MIN).await, Added::Now(i64::MIN));
    assert_eq!(subject.counted("d").await, Some(i64::MAX));
}

/// What would overflow adds nothing, and is no error of the store.
pub async fn beyond_their_range_nothing_is_added(subject: &Subject) {
    subject.count("c", i64::MAX).await;
    assert_eq!(subject.count("c", 1).await, Added::Overflow);
    assert_eq!(subject.counted("c").await, Some(i64::MAX));
    subject.count("d", i64::MIN).await;
    assert_eq!(subject.count("d", -1).await, Added::Overflow);
    assert_eq!(subject.counted("d").await, Some(i64::MIN));
}

/// A counter of a minute counts that minute, however often it is added to.
pub async fn its_life_is_that_of_the_first_addition(subject: &Subject) {
    let name = counter_key(b"c");
    let add = |ttl| subject.counters().add(&name, 1, Some(ttl));
    fine(add(SHORT_LEASE).await);
    fine(add(LONG_LEASE).await);
    subject.pass_short().await;
    assert_eq!(subject.counted("c").await, None);
    assert_eq!(fine(add(LONG_LEASE).await), Added::Now(1));
    subject.pass_short().await;
    assert_eq!(subject.counted("c").await, Some(1));
    let nothing = add(Duration::ZERO).await.expect_err("it is refused");
    assert_eq!(nothing.kind(), ErrorKind::Invalid);
}

/// Each addition is in one taking, and in no other.
pub async fn a_counter_is_taken_away_with_its_number(subject: &Subject) {
    let name = counter_key(b"c");
    assert_eq!(fine(subject.counters().take(&name).await), None);
    subject.count("c", 3).await;
    assert_eq!(fine(subject.counters().take(&name).await), Some(3));
    assert_eq!(subject.counted("c").await, None);
    assert_eq!(subject.count("c", 1).await, Added::Now(1));
}

/// They are in no space.
pub async fn counters_are_no_keys_of_users(subject: &Subject) {
    subject.count("c", 1).await;
    let space = Space::default();
    assert_eq!(fine(subject.keyspace().count(&space).await), 0);
    assert_eq!(fine(subject.keyspace().clear(&space).await), 0);
    assert_eq!(subject.counted("c").await, Some(1));
}
