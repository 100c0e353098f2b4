//! Notices: written as caches write, read back, and refused with everything that is wrong.

use super::*;

fn recorded(notices: &Notices) -> Vec<(String, &'static str, String)> {
    let text = |what: &What| String::from_utf8(what.body().to_vec()).unwrap();
    let checked = notices.check().unwrap();
    let row = |(cache, what): (&str, &What)| (cache.to_owned(), what.kind(), text(what));
    checked.into_iter().map(row).collect()
}

#[test]
fn keys_are_written_as_the_cache_writes_them() {
    let notices = Notices::of("app:users")
        .key(&7u64)
        .key("a b:c")
        .key(&("a:b", 1u8))
        .keys(&[8u64, 9])
        .tag("tenant: 7")
        .prefix("a b:")
        .pattern("a b:*")
        .dependents(&("a:b", 1u8))
        .and("app:pages")
        .clear();
    let expected = [
        ("app:users", "key", "7"),
        ("app:users", "key", "a%20b:c"),
        ("app:users", "key", "a%3Ab:1"),
        ("app:users", "key", "8"),
        ("app:users", "key", "9"),
        ("app:users", "tag", "tenant: 7"),
        ("app:users", "prefix", "a%20b:"),
        ("app:users", "pattern", "a%20b:*"),
        ("app:users", "dependents", "a%3Ab:1"),
        ("app:pages", "clear", ""),
    ];
    let expected = expected.map(|(cache, kind, body)| (cache.to_owned(), kind, body.to_owned()));
    assert_eq!(recorded(&notices), expected);
}

#[test]
fn what_is_said_twice_is_recorded_once() {
    let twice = Notices::of("a").key(&1u8).key("1").and("a").key(&1u8);
    assert_eq!(recorded(&twice).len(), 1);
    let two_caches = Notices::of("a").key(&1u8).and("b").key(&1u8);
    assert_eq!(recorded(&two_caches).len(), 2);
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let notices = Notices::of("app users")
        .tag("")
        .and("ok")
        .key(&"x".repeat(MAX_KEY_BYTES + 1))
        .tag("t".repeat(MAX_TAG_BYTES + 1))
        .pattern("")
        .prefix(&"p".repeat(MAX_AREA_BYTES + 1));
    let error = notices.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for said in [
        "' ' at position 4",
        "the tag has 0 bytes; it must have 1 to 256",
        "the key has 65537 bytes",
        "ok: the tag has 257 bytes",
        "ok: the pattern has 0 bytes; it must have 1 to 256",
        "ok: the prefix has 257 bytes",
    ] {
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn there_is_a_limit_to_what_one_transaction_records() {
    let keys: Vec<u64> = (0..=MAX_NOTICES as u64).collect();
    assert!(Notices::of("a").keys(&keys[1..]).check().is_ok());
    let error = Notices::of("a").keys(&keys).check().unwrap_err();
    assert!(error.to_string().contains("1025 notices"), "{error}");
}

#[test]
fn every_kind_reads_back_and_others_are_refused_with_a_reason() {
    let whats = [
        What::Key(Bytes::from_static(b"7")),
        What::Key(Bytes::new()),
        What::Tag("tenant:7".into()),
        What::Prefix(Bytes::new()),
        What::Pattern(Bytes::from_static(b"*")),
        What::Dependents(Bytes::from_static(b"7")),
        What::Clear,
    ];
    for what in whats {
        assert!(What::KINDS.contains(&what.kind()));
        let body = Bytes::copy_from_slice(what.body());
        assert_eq!(What::read(what.kind(), body), Ok(what));
    }
    for (kind, body, said) in [
        ("region", &b"7"[..], "no notices of kind \"region\""),
        ("tag", b"", "the tag has 0 bytes"),
        ("tag", b"\xff", "not UTF-8"),
    ] {
        let refused = What::read(kind, Bytes::from_static(body)).unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }
}
