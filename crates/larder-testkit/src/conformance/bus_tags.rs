//! Invalidations of tags in the log.

use larder_core::bus::{BusChange, ChangeKind};
use larder_core::store::{Batch, Write};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::bus::{change, changes, log_since, poll};
use super::subject::{Subject, bytes, fine, put_long, token};
use super::tags::{bump, numbers, tag, tagged};

fn bumped(name: &str, number: Cut) -> BusChange {
    BusChange::new(tag(name), Version(number.0), ChangeKind::TagBumped)
}

/// Each is one record, in the order of the numbers.
pub async fn a_bump_is_told_with_its_number(subject: &Subject) {
    let first = poll(subject).await;
    let mut told = Vec::new();
    for name in ["a", "b", "a", "\0 ü"] {
        told.push(vec![bumped(name, bump(subject, name).await)]);
    }
    let records = log_since(subject, first).await;
    let logged: Vec<_> = records.into_iter().map(|record| record.changes).collect();
    assert_eq!(logged, told);
}

/// Together with the other changes of its batch, at its place.
pub async fn a_bump_is_told_at_its_place_in_a_batch(subject: &Subject) {
    let first = poll(subject).await;
    let batch = Batch::default()
        .write(bytes("k"), put_long("v"))
        .write(tag("t"), Write::Bump)
        .write(bytes("k"), Write::Expire)
        .write(tag("t"), Write::Bump);
    let outcomes = subject.done(batch).await;
    let records = log_since(subject, first).await;
    assert_eq!(records.len(), 1);
    let told = [
        change("k", outcomes[0].version, ChangeKind::Replaced),
        bumped("t", Cut(outcomes[1].version.0)),
        change("k", outcomes[2].version, ChangeKind::Expired),
        bumped("t", Cut(outcomes[3].version.0)),
    ];
    assert_eq!(records[0].changes, told);
}

/// Neither reading numbers nor filling with tags is a change, refused or not.
pub async fn only_bumps_of_tags_are_told(subject: &Subject) {
    let first = poll(subject).await;
    numbers(subject, &["a", "b"]).await;
    subject.granted("k", 1).await;
    let key = bytes("k");
    let mut put = tagged("v", &["a", "b"]);
    put.cut = Cut(0);
    fine(subject.leases().fill(&key, token(1), put).await);
    assert_eq!(poll(subject).await, first);
    let version = subject
        .write("k", Write::Put(tagged("v", &["c"])))
        .await
        .version;
    let told = changes(log_since(subject, first).await);
    assert_eq!(told, [change("k", version, ChangeKind::Replaced)]);
}
