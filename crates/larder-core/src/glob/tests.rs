//! The pattern language as a table, with the corners that Redis defined by implementation.

use proptest::prelude::*;

use super::{escape, matches};

#[test]
fn the_pattern_language_is_that_of_redis() {
    let table = [
        // (pattern, texts that match, texts that do not)
        ("", &[""][..], &["a"][..]),
        ("*", &["", "a", "abc"], &[]),
        ("**", &["", "a"], &[]),
        ("h?llo", &["hello", "h*llo"], &["hllo", "heello"]),
        ("h*llo", &["hllo", "heeeello", "hllollo"], &["hllox"]),
        ("*a*b", &["ab", "xaxb", "abab", "aab"], &["ba", "abx"]),
        ("h[ae]llo", &["hallo", "hello"], &["hillo", "hllo"]),
        ("h[^e]llo", &["hallo", "h^llo"], &["hello", "hllo"]),
        (
            "h[a-c]llo",
            &["hallo", "hbllo", "hcllo"],
            &["hdllo", "h-llo"],
        ),
        ("h[c-a]llo", &["hallo", "hbllo", "hcllo"], &["hdllo"]),
        (
            "user:*:name",
            &["user:1:name", "user::name", "user:1:2:name"],
            &["user:1:names"],
        ),
        ("?", &["a"], &["", "ab"]),
        ("a*", &["a", "ab"], &["", "ba"]),
        ("a\\*", &["a*"], &["ab", "a\\*"]),
        ("\\?\\[", &["?["], &["a["]),
        ("Key", &["Key"], &["key"]),
    ];
    for (pattern, matching, others) in table {
        for text in matching {
            assert!(
                matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern:?} {text:?}"
            );
        }
        for text in others {
            assert!(
                !matches(pattern.as_bytes(), text.as_bytes()),
                "{pattern:?} {text:?}"
            );
        }
    }
}

#[test]
fn unfinished_patterns_mean_what_they_mean_in_redis() {
    let table = [
        ("\\", "\\", true),
        ("a\\", "a\\", true),
        ("a\\", "a", false),
        ("[", "[", false),
        ("[a", "a", true),
        ("[ab", "b", true),
        ("[^a", "b", true),
        ("[^", "x", true),
        ("[]", "]", false),
        ("[]a]", "a", false),
        ("[^]", "x", true),
        ("[\\]]", "]", true),
        ("[\\", "\\", true),
        ("[a\\-z]", "-", true),
        ("[a\\-z]", "b", false),
        ("[a-]", "]", true),
        ("[a-]", "a", true),
        ("[a-]", "-", false),
        ("[-a]", "-", true),
        ("[a-", "-", true),
        ("*[", "[", false),
    ];
    for (pattern, text, expected) in table {
        assert_eq!(
            matches(pattern.as_bytes(), text.as_bytes()),
            expected,
            "{pattern:?} {text:?}"
        );
    }
}

#[test]
fn bytes_are_compared_not_characters() {
    assert!(matches(b"\xff?\x00", b"\xff\xfe\x00"));
    assert!(matches(b"[\x80-\xff]", b"\xc3"));
    assert!(!matches(b"?", "ä".as_bytes()));
}

#[test]
fn a_bomb_of_stars_is_harmless() {
    let pattern = "a*".repeat(2_000) + "b";
    let text = "a".repeat(20_000);
    assert!(!matches(pattern.as_bytes(), text.as_bytes()));
    let pattern = "*a".repeat(500) + "*[^a]";
    assert!(!matches(pattern.as_bytes(), text.as_bytes()));
}

proptest! {
    #[test]
    fn an_escaped_text_matches_itself_and_nothing_else(
        text in "[a-c*?\\[\\]^\\\\-]{0,6}", other in "[a-c*?\\[\\]^\\\\-]{0,6}",
    ) {
        let pattern = escape(text.as_bytes());
        prop_assert!(matches(&pattern, text.as_bytes()));
        prop_assert_eq!(matches(&pattern, other.as_bytes()), text == other);
        let prefixed = [&pattern[..], b":*"].concat();
        prop_assert_eq!(matches(&prefixed, format!("{other}:x").as_bytes()), text == other);
    }
}
