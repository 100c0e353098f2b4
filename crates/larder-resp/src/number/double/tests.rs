//! The table of spellings, and the promise that each reads back as the same value.

use proptest::prelude::*;

use super::*;

fn text(value: f64) -> String {
    String::from_utf8_lossy(Double::new(value).as_bytes()).into_owned()
}

#[test]
fn doubles_are_spelled_as_redis_spells_them() {
    let table = [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-3.0, "-3"),
        (3.25, "3.25"),
        (-0.1, "-0.1"),
        (10.5, "10.5"),
        (0.000_001, "0.000001"),
        (0.000_000_1, "1e-7"),
        (0.000_123_4, "1.234e-4"),
        (0.001_234, "0.001234"),
        (1.5e300, "1.5e+300"),
        (-2.5e-300, "-2.5e-300"),
        (1e20, "1e+20"),
        (4_503_599_627_370_497.0, "4503599627370497"),
        (9_007_199_254_740_992.0, "9007199254740992"),
        (0.1 + 0.2, "0.30000000000000004"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ];
    for (value, expected) in table {
        assert_eq!(text(value), expected);
    }
}

#[test]
fn the_extremes_fit_the_buffer() {
    for value in [
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -1.797_693_134_862_315_7e308,
    ] {
        assert_eq!(parse_f64(text(value).as_bytes()), Some(value));
    }
}

#[test]
fn words_that_are_no_numbers_are_refused() {
    for word in ["", " 1", "1 ", "abc", "1e", "0x10", "1,5"] {
        assert_eq!(parse_f64(word.as_bytes()), None, "{word:?}");
    }
}

proptest! {
    #[test]
    fn every_double_reads_back(bits: u64) {
        let value = f64::from_bits(bits);
        let back = parse_f64(Double::new(value).as_bytes()).expect("own spelling");
        prop_assert!(back == value || (back.is_nan() && value.is_nan()));
    }
}
