//! Tags: their numbers, what records carry of them, and that they are nobody's keys.

use bytes::Bytes;
use larder_core::record::{Kind, Life, Record};
use larder_core::space::Space;
use larder_core::store::{Batch, Committed, Expect, Put, Write};
use larder_core::tag::{Cut, MAX_TAG_BYTES, MAX_TAGS, Tags, tag_key};

use super::keyspace::{count, scan};
use super::subject::{LONG, Subject, bytes, fine, put_long, put_of};

/// The stored key of a tag.
pub(super) fn tag(name: &str) -> Bytes {
    tag_key("cache", name).expect("a sound tag")
}

pub(super) fn tags(names: &[&str]) -> Tags {
    Tags::new(names.iter().map(|name| tag(name))).expect("few tags")
}

pub(super) fn tagged(value: &str, names: &[&str]) -> Put {
    Put {
        tags: tags(names),
        ..put_of(value, Life::fresh_for_ms(LONG))
    }
}

pub(super) async fn numbers(subject: &Subject, names: &[&str]) -> Vec<Cut> {
    let keys: Vec<Bytes> = names.iter().map(|name| tag(name)).collect();
    fine(subject.tags().tags(&keys).await)
}

/// Invalidates a tag; gives its new number.
pub(super) async fn bump(subject: &Subject, name: &str) -> Cut {
    let outcomes = subject.done(Batch::one(tag(name), Write::Bump)).await;
    assert_eq!(outcomes.len(), 1);
    assert!(!outcomes[0].existed);
    Cut(outcomes[0].version.0)
}

/// Whether no tag of the record has a number beyond its cut.
pub(super) async fn is_valid(subject: &Subject, record: &Record) -> bool {
    let numbers = fine(subject.tags().tags(record.tags.keys()).await);
    assert_eq!(numbers.len(), record.tags.keys().len());
    numbers.iter().all(|number| *number <= record.cut)
}

/// All of which nothing is known have one number, and it is below every bump that follows.
pub async fn unknown_tags_have_the_number_of_the_clock(subject: &Subject) {
    let unknown = numbers(subject, &["a", "b", "c"]).await;
    assert_eq!(unknown, [unknown[0]; 3]);
    assert_eq!(numbers(subject, &["b"]).await, unknown[..1]);
    let bumped = bump(subject, "a").await;
    assert!(bumped > unknown[0]);
    assert_eq!(numbers(subject, &["b", "c"]).await, [bumped; 2]);
}

/// Whatever tag it is of.
pub async fn every_bump_exceeds_all_before(subject: &Subject) {
    let mut last = numbers(subject, &["a"]).await[0];
    for round in 0..50 {
        let name = ["a", "b", "c"][round % 3];
        let bumped = bump(subject, name).await;
        assert!(bumped > last, "{bumped:?} after {last:?}");
        assert_eq!(numbers(subject, &[name]).await, [bumped]);
        last = bumped;
    }
}

/// In the order of the questions, repeats included.
pub async fn the_number_of_a_tag_is_that_of_its_last_bump(subject: &Subject) {
    bump(subject, "a").await;
    let b = bump(subject, "b").await;
    let a = bump(subject, "a").await;
    assert_eq!(numbers(subject, &["b", "a", "b", "?"]).await, [b, a, b, a]);
    assert_eq!(numbers(subject, &[]).await, []);
}

/// More tags than fit into one command are bumped and read like few.
pub async fn a_thousand_tags_are_bumped_and_read_at_once(subject: &Subject) {
    let keys: Vec<Bytes> = (0..1_100).map(|at| tag(&at.to_string())).collect();
    let batch = keys.iter().fold(Batch::default(), |batch, key| {
        batch.write(key.clone(), Write::Bump)
    });
    let bumped: Vec<Cut> = subject
        .done(batch)
        .await
        .iter()
        .map(|outcome| Cut(outcome.version.0))
        .collect();
    assert!(bumped.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(fine(subject.tags().tags(&keys).await), bumped);
}

/// Tags are compared byte for byte, and may be long.
pub async fn tags_are_exact(subject: &Subject) {
    let long = "x".repeat(MAX_TAG_BYTES);
    let names = [
        "a", "A", "a ", "a*", "[a]", "\0", "a\0b", "a\r\n", "%s", "ü", "1", "01", &long,
    ];
    let mut bumped = Vec::new();
    for name in names {
        bumped.push(bump(subject, name).await);
    }
    assert_eq!(numbers(subject, &names).await, bumped);
    subject
        .write("k", Write::Put(tagged("\0\r\n", &names)))
        .await;
    let record = subject.record("k").await;
    assert_eq!((record.tags, record.value), (tags(&names), bytes("\0\r\n")));
    let of_other = tag_key("cache2", "a").expect("a sound tag");
    let other = fine(subject.tags().tags(&[of_other]).await);
    assert_eq!(other[0], bumped[names.len() - 1], "not known");
}

/// As many as there may be, of values and of remembered absence.
pub async fn tags_come_back(subject: &Subject) {
    let many: Vec<String> = (0..MAX_TAGS).map(|at| format!("tag{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let negative = Put {
        kind: Kind::Negative,
        ..tagged("", &["a"])
    };
    for (key, put) in [
        ("one", tagged("v", &["a"])),
        ("many", tagged("v", &many)),
        ("negative", negative),
        ("empty", tagged("", &["b", "a"])),
    ] {
        subject.write(key, Write::Put(put.clone())).await;
        let record = subject.record(key).await;
        assert_eq!((record.kind, &record.tags), (put.kind, &put.tags), "{key}");
        assert_eq!(record.value, put.value, "{key}");
        let found = fine(subject.store.get_many(&[bytes(key)]).await);
        let found = found.into_iter().next().expect("one answer");
        assert_eq!(found.into_record(), Some(record), "{key}");
    }
}

/// Whatever was there before.
pub async fn a_record_without_tags_depends_on_none(subject: &Subject) {
    subject.write("k", Write::Put(tagged("v", &["a"]))).await;
    subject.put("k", "w").await;
    let record = subject.record("k").await;
    assert!(record.tags.is_empty());
}

/// A put is read after all bumps before it, and before all bumps after it.
pub async fn a_put_is_valid_until_a_bump(subject: &Subject) {
    bump(subject, "known").await;
    let names = ["known", "unknown"];
    for name in names {
        subject.write("k", Write::Put(tagged("v", &names))).await;
        let record = subject.record("k").await;
        assert!(is_valid(subject, &record).await);
        bump(subject, name).await;
        assert_eq!(subject.record("k").await, record, "nothing is touched");
        assert!(!is_valid(subject, &record).await, "{name}");
    }
}

/// Within a batch the order counts.
pub async fn a_put_behind_a_bump_is_valid_and_one_before_it_is_void(subject: &Subject) {
    for known in [false, true] {
        let batch = Batch::default()
            .write(bytes("before"), Write::Put(tagged("v", &["t"])))
            .write(tag("t"), Write::Bump)
            .write(bytes("behind"), Write::Put(tagged("v", &["t"])));
        subject.done(batch).await;
        let before = subject.record("before").await;
        assert!(!is_valid(subject, &before).await, "known: {known}");
        let behind = subject.record("behind").await;
        assert!(is_valid(subject, &behind).await, "known: {known}");
    }
}

/// Bumps are part of their batch.
pub async fn bumps_take_place_with_their_batch_or_not_at_all(subject: &Subject) {
    let bumped = bump(subject, "t").await;
    let batch = Batch::default()
        .write(tag("t"), Write::Bump)
        .write(bytes("k"), put_long("v"))
        .write(tag("u"), Write::Bump);
    let refused = batch.clone().check(bytes("k"), Expect::Present);
    assert_eq!(subject.commit(refused).await, Committed::Refused(0));
    assert_eq!(numbers(subject, &["t", "u"]).await, [bumped; 2]);
    subject.assert_absent("k").await;
    let done = subject.done(batch.check(bytes("k"), Expect::Absent)).await;
    let [t, u] = [&done[0], &done[2]].map(|outcome| Cut(outcome.version.0));
    assert!(bumped < t && t < u);
    assert_eq!(numbers(subject, &["t", "u"]).await, [t, u]);
    assert_eq!(subject.record("k").await.version, done[1].version);
}

/// Its own tags were never invalidated, and are known from the moment when it was put.
pub async fn a_record_outlives_the_bumps_of_other_tags(subject: &Subject) {
    subject
        .write("k", Write::Put(tagged("v", &["a", "b"])))
        .await;
    bump(subject, "other").await;
    let record = subject.record("k").await;
    assert!(is_valid(subject, &record).await);
    bump(subject, "b").await;
    assert!(!is_valid(subject, &record).await);
}

/// What changes the life of a record leaves what it depends on.
pub async fn tags_and_cut_outlive_a_change_of_life(subject: &Subject) {
    subject
        .write("k", Write::Put(tagged("v", &["a", "b"])))
        .await;
    let put = subject.record("k").await;
    bump(subject, "other").await;
    for change in [
        Write::Touch(Life::FOREVER),
        Write::Touch(Life::fresh_for_ms(LONG)),
        Write::Expire,
    ] {
        subject.write("k", change.clone()).await;
        let record = subject.record("k").await;
        assert_eq!((record.cut, record.tags), (put.cut, put.tags.clone()));
    }
    let stale = subject.granted("k", 1).await.expect("it is kept");
    assert_eq!((stale.cut, stale.tags), (put.cut, put.tags));
}

/// Nobody lists tags, and clearing does not forget them.
pub async fn tags_are_in_no_space(subject: &Subject) {
    let bumped = bump(subject, "t").await;
    for database in 0..3 {
        let space = Space::database(database);
        assert_eq!(count(subject, &space).await, 0);
        assert!(scan(subject, &space, 100).await.is_empty());
        assert_eq!(fine(subject.keyspace().random_key(&space).await), None);
        assert_eq!(fine(subject.keyspace().clear(&space).await), 0);
    }
    subject.write("k", Write::Put(tagged("v", &["t"]))).await;
    assert_eq!(
        fine(subject.keyspace().clear(&Space::default()).await),
        1,
        "the record"
    );
    assert_eq!(numbers(subject, &["t"]).await, [bumped]);
}
