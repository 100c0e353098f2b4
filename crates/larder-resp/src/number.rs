//! Numbers as Redis reads and writes them.
//!
//! The integer grammar is strict on purpose: one spelling per value. `INCR` on `"007"` fails in
//! Redis, and a length of `+3` is a protocol error.

mod double;

pub use double::{Double, parse_f64};

/// Reads a 64-bit integer: an optional `-`, then digits without leading zeros.
///
/// Refuses the empty string, `+1`, `01`, `-0`, blanks, and whatever does not fit.
#[must_use]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        _ => {}
    }
    // Counting downwards, because only the negative side holds every magnitude.
    let mut value = 0i64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_sub(i64::from(digit - b'0'))?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

/// Reads a length: an integer that is not negative.
pub(crate) fn parse_length(text: &[u8]) -> Option<usize> {
    parse_i64(text).and_then(|length| usize::try_from(length).ok())
}

/// The decimal digits of an integer, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Integer {
    bytes: [u8; Self::MAX],
    start: u8,
}

impl Integer {
    /// The length of `i64::MIN`, which is also that of `u64::MAX`.
    const MAX: usize = 20;

    /// Formats a signed integer.
    #[must_use]
    pub fn new(value: i64) -> Self {
        let mut digits = Self::unsigned(value.unsigned_abs());
        if value < 0 {
            digits.start -= 1;
            digits.bytes[usize::from(digits.start)] = b'-';
        }
        digits
    }

    /// Formats an unsigned integer.
    #[must_use]
    pub fn unsigned(mut value: u64) -> Self {
        let mut bytes = [b'0'; Self::MAX];
        let mut start = Self::MAX;
        loop {
            start -= 1;
            bytes[start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return Self {
                    bytes,
                    start: start as u8,
                };
            }
        }
    }

    /// Returns the digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_spelling() {
        for value in [
            0,
            1,
            -1,
            9,
            10,
            -10,
            12_345,
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
        ] {
            let text = value.to_string();
            assert_eq!(Integer::new(value).as_bytes(), text.as_bytes());
            assert_eq!(parse_i64(text.as_bytes()), Some(value));
        }
        assert_eq!(
            Integer::unsigned(u64::MAX).as_bytes(),
            u64::MAX.to_string().as_bytes()
        );
    }

    #[test]
    fn other_spellings_are_refused() {
        let refused = [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            "00",
            " 1",
            "1 ",
            "1a",
            "0x1",
            "1.0",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999",
        ];
        for text in refused {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }
}
