//! Values go in and come out: what holds for every store, whatever else it keeps.

use bytes::Bytes;
use larder_core::record::{Kind, Life};
use larder_core::space::Space;
use larder_core::store::{Batch, Lookup, Write};

use super::subject::{Subject, bytes, fine, put_long, put_of};

/// What was never put is absent.
pub async fn what_was_never_put_is_absent(subject: &Subject) {
    subject.assert_absent("k").await;
}

/// All 256 bytes come back.
pub async fn a_value_comes_back_byte_for_byte(subject: &Subject) {
    let all: Bytes = (0..=255).collect();
    let mut put = put_of("", Life::FOREVER);
    put.value = all.clone();
    subject.write("k", Write::Put(put)).await;
    let record = subject.record("k").await;
    assert_eq!((record.kind, record.value), (Kind::Value, all));
}

/// No bytes are a value too.
pub async fn an_empty_value_is_a_value(subject: &Subject) {
    subject.put("k", "").await;
    subject.assert_value("k", "").await;
}

/// Large values come back whole.
pub async fn a_value_of_a_mebibyte_comes_back(subject: &Subject) {
    let large: Bytes = (0..1 << 20).map(|at: u32| ((at * 31) >> 8) as u8).collect();
    let mut put = put_of("", Life::FOREVER);
    put.value = large.clone();
    subject.write("k", Write::Put(put)).await;
    assert!(subject.record("k").await.value == large);
}

/// Keys are compared byte for byte: no pattern, no trimming, no case.
pub async fn keys_are_exact_bytes(subject: &Subject) {
    let keys: [&[u8]; 12] = [
        b"a",
        b"A",
        b"a ",
        b" a",
        b"a*",
        b"a?",
        b"[a]",
        b"a\r\nb",
        b"\xff\xfe",
        b"a\0",
        b"a\\",
        b"{a}",
    ];
    let keys = keys.map(Bytes::from_static);
    let batch = keys
        .iter()
        .enumerate()
        .fold(Batch::default(), |batch, (at, key)| {
            batch.write(key.clone(), put_long(&at.to_string()))
        });
    subject.done(batch).await;
    for (at, key) in keys.iter().enumerate() {
        let record = fine(subject.store.get(key).await).into_record();
        assert_eq!(record.expect("it was put").value, at.to_string(), "{key:?}");
    }
}

/// User keys that begin with zero bytes are keys like all others.
pub async fn keys_that_begin_with_a_zero_byte_are_kept(subject: &Subject) {
    for user in [&b"\0"[..], b"\0\0", b"\0sshard", b"\0d\x01k"] {
        let key = Space::default().stored(&Bytes::copy_from_slice(user));
        subject.done(Batch::one(key.clone(), put_long("v"))).await;
        let found = fine(subject.store.get(&key).await).into_record();
        assert_eq!(found.expect("it was put").value, "v", "{user:?}");
    }
}

/// The last value counts.
pub async fn a_put_replaces(subject: &Subject) {
    subject.put("k", "one").await;
    subject.put("k", "two").await;
    subject.assert_value("k", "two").await;
}

/// A removed value is gone, and can be put again.
pub async fn a_removed_value_is_absent_until_it_is_put_again(subject: &Subject) {
    subject.put("k", "one").await;
    assert!(subject.remove("k").await.existed);
    subject.assert_absent("k").await;
    assert!(!subject.remove("k").await.existed);
    subject.put("k", "two").await;
    subject.assert_value("k", "two").await;
}

/// Answers have the order of the questions, repeats and gaps included.
pub async fn many_keys_are_answered_in_order(subject: &Subject) {
    subject.put("a", "1").await;
    subject.put("b", "2").await;
    let keys = ["b", "missing", "a", "b", "a"].map(bytes);
    let found = fine(subject.store.get_many(&keys).await);
    let found: Vec<_> = found
        .into_iter()
        .map(|lookup| lookup.into_record().map(|record| record.value))
        .collect();
    let expected = [Some("2"), None, Some("1"), Some("2"), Some("1")];
    assert_eq!(found, expected.map(|value| value.map(bytes)));
}

/// No questions, no answers.
pub async fn no_keys_give_no_answers(subject: &Subject) {
    assert_eq!(fine(subject.store.get_many(&[]).await), []);
}

/// More keys than fit into one command are written and read like few.
pub async fn a_thousand_keys_are_written_and_read_at_once(subject: &Subject) {
    let keys: Vec<Bytes> = (0..1_100).map(|at| bytes(&format!("k{at}"))).collect();
    let batch = keys.iter().fold(Batch::default(), |batch, key| {
        let value = std::str::from_utf8(key).expect("it was text");
        batch.write(key.clone(), put_long(value))
    });
    assert_eq!(subject.done(batch).await.len(), keys.len());
    let found = fine(subject.store.get_many(&keys).await);
    assert_eq!(found.len(), keys.len());
    for (key, lookup) in keys.iter().zip(found) {
        assert!(
            matches!(&lookup, Lookup::Found(record) if record.value == key),
            "{key:?}: {lookup:?}"
        );
    }
}

/// The store says what it is.
pub async fn a_store_has_a_name(subject: &Subject) {
    assert!(!subject.store.describe().name.is_empty());
}
