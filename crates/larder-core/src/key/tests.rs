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
