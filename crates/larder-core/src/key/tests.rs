//! Keys on the wire: readable, one-to-one, never failing on data.

use proptest::prelude::*;

use super::*;

fn wire<K: Key + ?Sized>(key: &K) -> String {
    String::from_utf8(wire_key(b"app:users:", key).unwrap().to_vec()).unwrap()
}

#[test]
fn keys_read_as_namespace_entity_id_field() {
    assert_eq!(wire(&123u64), "app:users:123");
    assert_eq!(wire(&(123u64, "name")), "app:users:123:name");
    assert_eq!(wire(&i64::MIN), "app:users:-9223372036854775808");
    assert_eq!(wire(&u128::MAX), format!("app:users:{}", u128::MAX));
    assert_eq!(wire("alice@example.com"), "app:users:alice@example.com");
    assert_eq!(wire("shoes:page:1"), "app:users:shoes:page:1");
    assert_eq!(wire("日本"), "app:users:日本");
    assert_eq!(wire(&true), "app:users:true");
}

#[test]
fn no_data_breaks_the_structure() {
    assert_eq!(wire("a b\n%"), "app:users:a%20b%0A%25");
    assert_eq!(wire(""), "app:users:%e");
    assert_ne!(wire(&("a:b", "c")), wire(&("a", "b:c")));
    assert_ne!(wire(&(("a", "b"), "c:d")), wire(&(("a", "b:c"), "d")));
    assert_eq!(wire(&("a:b", "c")), "app:users:a%3Ab:c");
}

#[test]
fn a_key_that_is_too_long_says_how_long() {
    let error = wire_key(b"", &"x".repeat(MAX_KEY_BYTES + 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("65537 bytes"), "{error}");
}

#[test]
fn names_say_which_character_is_wrong_and_where() {
    for good in ["app", "app:users", "a.b-c_d:1:x"] {
        assert_eq!(Name::new(good).unwrap().as_str(), good);
    }
    for (bad, said) in [
        ("", "empty segment at position 1"),
        ("app:", "empty segment at position 5"),
        ("app::users", "empty segment at position 5"),
        ("app users", "' ' at position 4"),
        ("app:üsers", "'ü' at position 5"),
        ("app\0", "'\\0' at position 4"),
    ] {
        let error = Name::new(bad).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(Name::new(&"x".repeat(200)).is_err());
}

#[cfg(feature = "uuid")]
#[test]
fn uuids_are_hyphenated_and_lower_case() {
    let id = uuid::Uuid::from_u128(0xA1A2_A3A4_B1B2_C1C2_D1D2_D3D4_D5D6_D7D8);
    assert_eq!(wire(&id), "app:users:a1a2a3a4-b1b2-c1c2-d1d2-d3d4d5d6d7d8");
}

proptest! {
    #[test]
    fn different_tuples_never_meet(
        a: (String, String), b: (String, String),
    ) {
        prop_assert_eq!(a == b, wire(&a) == wire(&b));
    }

    #[test]
    fn different_strings_never_meet(a: String, b: String) {
        prop_assert_eq!(a == b, wire(&a) == wire(&b));
    }

    #[test]
    fn strings_are_printable_on_the_wire(a: String) {
        prop_assert!(!wire(&a).bytes().any(|byte| byte <= b' ' || byte == 0x7f));
    }
}

/// The id of a key as it is written, and as it is read from its bytes.
fn ids<K: Key + ?Sized>(key: &K) -> [(u64, WireKey); 2] {
    let hasher = KeyHasher::new(7);
    let (mut text, spelled) = (WireKey::new(), wire_key(b"", key).unwrap());
    [Id::write(key, &mut text), Id::of(&spelled)].map(|id| (hasher.hash_id(id), id.spelled()))
}

#[test]
fn an_id_is_the_same_whether_it_was_written_or_read() {
    struct User(u64);
    impl Key for User {
        fn write(&self, out: &mut KeyWriter<'_>) {
            out.part(&self.0);
        }
    }
    let texts = [
        "",
        "0",
        "00",
        "7",
        "07",
        "+7",
        "-7",
        "7a",
        "7:8",
        "18446744073709551615",
    ];
    let texts = texts
        .iter()
        .chain(&["18446744073709551616", "999999999999999999999", "%e"]);
    for text in texts {
        let [written, read] = ids(*text);
        assert_eq!(written, read, "{text}");
        let spelled = wire_key(b"", *text).unwrap();
        assert_eq!(written.1, spelled, "{text}");
        let is_number = matches!(Id::of(&spelled), Id::Number(_));
        let number: Option<u64> = text.parse().ok();
        let is_spelled_so = number.is_some_and(|number| number.to_string() == *text);
        assert_eq!(is_number, is_spelled_so, "{text}");
    }
    let seven = ids(&7u64);
    assert_eq!(seven[0], seven[1]);
    for same in [
        ids("7"),
        ids(&7u8),
        ids(&7i64),
        ids(&7u128),
        ids(&User(7)),
        ids(&RawKey("7".into())),
    ] {
        assert_eq!(same, seven);
    }
    for key in [
        ids(&-7i64),
        ids(&u128::MAX),
        ids(&(7u64, 8u64)),
        ids(&(7u64, "x")),
        ids(&true),
    ] {
        assert_eq!(key[0], key[1]);
        assert_ne!(key, seven);
    }
}

proptest! {
    #[test]
    fn numbers_have_the_ids_of_their_texts(number: u64, text in "[0-9]{1,21}") {
        let spelled = number.to_string();
        prop_assert_eq!(ids(&number), ids(spelled.as_str()));
        let [written, read] = ids(text.as_str());
        prop_assert_eq!(&written, &read);
        prop_assert_eq!(&written.1[..], text.as_bytes());
    }
}

#[test]
fn numbers_in_a_row_are_spread_over_all_bits_of_their_hashes() {
    const PARTS: usize = 256;
    let hasher = KeyHasher::new(0x1234_5678_9abc_def0);
    for step in [1, 8, 1 << 20, 1 << 40] {
        for shift in [0, 16, 40, 56] {
            let mut parts = [0u32; PARTS];
            for n in 0..64 * PARTS as u64 {
                let hash = hasher.hash_id(Id::Number(n * step));
                parts[(hash >> shift) as usize % PARTS] += 1;
            }
            // 64 each; five standard deviations are 40.
            assert!(
                parts.iter().all(|part| (24..=104).contains(part)),
                "step {step}, shift {shift}: {parts:?}"
            );
        }
    }
}
