//! Checks and writes take place together or not at all: for every store.

use larder_core::store::{Batch, Committed, Expect};
use larder_core::version::Version;

use super::subject::{REMOVE, Subject, bytes, put_long};

/// Nothing to do is done.
pub async fn an_empty_batch_is_done(subject: &Subject) {
    assert_eq!(subject.done(Batch::default()).await, []);
}

/// Checks alone change nothing.
pub async fn a_batch_may_only_check(subject: &Subject) {
    subject.put("k", "v").await;
    let present = Batch::default().check(bytes("k"), Expect::Present);
    assert_eq!(subject.done(present).await, []);
    let absent = Batch::default().check(bytes("k"), Expect::Absent);
    assert_eq!(subject.commit(absent).await, Committed::Refused(0));
    subject.assert_value("k", "v").await;
}

/// The first check that does not hold is named, and nothing has happened.
pub async fn a_refused_batch_changes_nothing(subject: &Subject) {
    subject.put("a", "1").await;
    let batch = Batch::default()
        .check(bytes("a"), Expect::Present)
        .check(bytes("b"), Expect::Present)
        .check(bytes("a"), Expect::Absent)
        .write(bytes("a"), put_long("2"))
        .write(bytes("c"), put_long("2"))
        .write(bytes("a"), REMOVE);
    assert_eq!(subject.commit(batch).await, Committed::Refused(1));
    subject.assert_value("a", "1").await;
    subject.assert_absent("c").await;
}

/// A check may be of another key than the writes.
pub async fn checks_and_writes_are_of_any_keys(subject: &Subject) {
    subject.put("guard", "v").await;
    let batch = Batch::one(bytes("k"), put_long("1")).check(bytes("guard"), Expect::Present);
    subject.done(batch).await;
    subject.assert_value("k", "1").await;
}

/// Checks see what was there before the batch.
pub async fn checks_do_not_see_the_writes(subject: &Subject) {
    let batch = Batch::one(bytes("k"), put_long("1")).check(bytes("k"), Expect::Absent);
    subject.done(batch.clone()).await;
    assert_eq!(subject.commit(batch).await, Committed::Refused(0));
}

/// Writes are done one after the other, also when they are of one key.
pub async fn writes_take_place_in_order(subject: &Subject) {
    let batch = Batch::default()
        .write(bytes("k"), put_long("1"))
        .write(bytes("l"), put_long("1"))
        .write(bytes("k"), REMOVE)
        .write(bytes("k"), REMOVE)
        .write(bytes("k"), put_long("2"))
        .write(bytes("l"), REMOVE);
    let existed: Vec<_> = subject
        .done(batch)
        .await
        .iter()
        .map(|one| one.existed)
        .collect();
    assert_eq!(existed, [false, false, true, false, false, true]);
    subject.assert_value("k", "2").await;
    subject.assert_absent("l").await;
}

/// Many writes without a check are taken, in order.
pub async fn many_writes_take_place_in_order(subject: &Subject) {
    let batch = (0..300).fold(Batch::default(), |batch, at| {
        batch.write(bytes(&format!("k{}", at % 7)), put_long(&at.to_string()))
    });
    let outcomes = subject.done(batch).await;
    let existed = outcomes.iter().filter(|outcome| outcome.existed).count();
    assert_eq!((outcomes.len(), existed), (300, 293));
    for last in 293..300 {
        let key = format!("k{}", last % 7);
        subject.assert_value(&key, &last.to_string()).await;
    }
}

/// A large batch with conditions is still one.
pub async fn a_large_conditional_batch_is_all_or_nothing(subject: &Subject) {
    let batch = |check: Expect| {
        let key = |at: u32| bytes(&format!("k{at}"));
        let batch = (0..200).fold(Batch::default(), |batch, at| batch.check(key(at), check));
        (0..200).fold(batch, |batch, at| batch.write(key(at), put_long("v")))
    };
    let refused = batch(Expect::Present);
    assert_eq!(subject.commit(refused).await, Committed::Refused(0));
    subject.assert_absent("k0").await;
    assert_eq!(subject.done(batch(Expect::Absent)).await.len(), 200);
    subject.put("k150", "other").await;
    subject.remove("k150").await;
    let refused = batch(Expect::Present);
    assert_eq!(subject.commit(refused).await, Committed::Refused(150));
    subject.assert_absent("k150").await;
}

/// A version names one state: it holds while nothing has changed, and not after.
pub async fn a_version_holds_until_the_value_changes(subject: &Subject) {
    let replace = |version, value| {
        Batch::one(bytes("k"), put_long(value)).check(bytes("k"), Expect::Version(version))
    };
    subject.done(replace(Version::ZERO, "1")).await;
    let first = subject.record("k").await.version;
    assert!(first > Version::ZERO && first <= Version::MAX);
    let refused = subject.commit(replace(Version::ZERO, "x")).await;
    assert_eq!(refused, Committed::Refused(0));
    subject.done(replace(first, "2")).await;
    let refused = subject.commit(replace(first, "x")).await;
    assert_eq!(refused, Committed::Refused(0));
    subject.assert_value("k", "2").await;
    let second = subject.record("k").await.version;
    subject.remove("k").await;
    let refused = subject.commit(replace(second, "x")).await;
    assert_eq!(refused, Committed::Refused(0));
    subject.done(replace(Version::ZERO, "3")).await;
}

/// A put says the version that a read then gives.
pub async fn a_put_says_its_version(subject: &Subject) {
    let outcome = subject.put("k", "v").await;
    assert_eq!(subject.record("k").await.version, outcome.version);
}
