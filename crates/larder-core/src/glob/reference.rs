//! The glob matcher against the obvious recursion, which is right and slow.

use super::matches;
use proptest::prelude::*;

/// Matches by trying every way in which a `*` can be spent.
fn reference(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], _) => text.is_empty(),
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| reference(rest, &text[skip..])),
        (_, []) => false,
        ([b'?', rest @ ..], [_, tail @ ..]) => reference(rest, tail),
        ([b'[', ..], [byte, tail @ ..]) => {
            let (listed, rest) = class(&pattern[1..], *byte);
            listed && reference(rest, tail)
        }
        ([b'\\', literal, rest @ ..], [byte, tail @ ..])
        | ([literal, rest @ ..], [byte, tail @ ..]) => literal == byte && reference(rest, tail),
    }
}

/// Reads a class into the set of its members.
fn class(mut pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let negated = pattern.starts_with(b"^");
    if negated {
        pattern = &pattern[1..];
    }
    let mut members = Vec::new();
    while let [first, rest @ ..] = pattern {
        pattern = rest;
        match (*first, rest) {
            (b']', _) => break,
            (b'\\', [literal, rest @ ..]) => {
                members.push(*literal);
                pattern = rest;
            }
            (from, [b'-', to, rest @ ..]) => {
                members.extend(from..=*to);
                members.extend(*to..=from);
                pattern = rest;
            }
            (literal, _) => members.push(literal),
        }
    }
    (members.contains(&byte) != negated, pattern)
}

fn small(alphabet: &'static [u8], longest: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::sample::select(alphabet), 0..longest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_matcher_agrees_with_the_obvious_recursion(
        pattern in small(b"**?ab[]^-\\", 9),
        text in small(b"ab-]\\", 8),
    ) {
        prop_assert_eq!(matches(&pattern, &text), reference(&pattern, &text));
    }

    #[test]
    fn arbitrary_patterns_are_survived(pattern: Vec<u8>, text: Vec<u8>) {
        let _ = matches(&pattern, &text);
    }
}
