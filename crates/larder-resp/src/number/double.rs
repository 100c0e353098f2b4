//! Doubles as Redis 7.2 and later write them: the shortest digits that read back as the same value.

use std::fmt::{self, Write};

use super::Integer;

/// The longest text: `-0.` and leading zeros before 17 digits, or 17 digits with an exponent.
const MAX: usize = 32;

/// The text of a double, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Double {
    text: Text,
}

impl Double {
    /// Formats a double: `3`, `3.14`, `1e+20`, `-0`, `inf`, `-inf`, `nan`.
    #[must_use]
    pub fn new(value: f64) -> Self {
        let mut text = Text::default();
        if value.is_nan() {
            text.push(b"nan");
        } else if value.is_infinite() {
            text.push(if value < 0.0 { b"-inf" } else { b"inf" });
        } else if value == 0.0 {
            text.push(if value.is_sign_negative() {
                b"-0"
            } else {
                b"0"
            });
        } else if value.fract() == 0.0 && value.abs() < 4_503_599_627_370_496.0 {
            text.push(Integer::new(value as i64).as_bytes());
        } else {
            push_shortest(&mut text, value);
        }
        Self { text }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Reads a double: decimal or scientific notation, `inf`, `-inf` or `nan` in any case.
///
/// Refuses the empty string and surrounding blanks. A magnitude too large becomes infinite.
#[must_use]
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Writes a finite value that is not zero, choosing between the plain and the scientific form.
fn push_shortest(out: &mut Text, value: f64) {
    let mut scientific = Text::default();
    write!(scientific, "{:e}", value.abs()).expect("17 digits and an exponent fit the buffer");
    let (digits, exponent) = split_scientific(scientific.as_bytes());
    let digits = digits.as_bytes();
    let count = digits.len() as i32;
    // The value is the digits, read as an integer, times ten to the power of `scale`.
    let scale = exponent - (count - 1);

    if value < 0.0 {
        out.push(b"-");
    }
    if scale >= 0 && exponent.abs() < count + 7 {
        out.push(digits);
        out.push_zeros(scale);
    } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        let before_point = count + scale;
        if before_point <= 0 {
            out.push(b"0.");
            out.push_zeros(-before_point);
            out.push(digits);
        } else {
            let (whole, fraction) = digits.split_at(before_point as usize);
            out.push(whole);
            out.push(b".");
            out.push(fraction);
        }
    } else {
        let (first, rest) = digits.split_at(1);
        out.push(first);
        if !rest.is_empty() {
            out.push(b".");
            out.push(rest);
        }
        out.push(if exponent < 0 { b"e-" } else { b"e+" });
        out.push(Integer::new(i64::from(exponent.abs())).as_bytes());
    }
}

/// Takes `d.ddde-x` apart into its digits and its exponent.
fn split_scientific(text: &[u8]) -> (Text, i32) {
    let mut digits = Text::default();
    let mut parts = text.split(|&byte| byte == b'e');
    for part in parts.next().unwrap_or_default().split(|&byte| byte == b'.') {
        digits.push(part);
    }
    let exponent = parts.next().and_then(super::parse_i64).unwrap_or_default();
    (digits, exponent as i32)
}

/// A short text on the stack.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    bytes: [u8; MAX],
    len: usize,
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn push_zeros(&mut self, count: i32) {
        for _ in 0..count {
            self.push(b"0");
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.len + part.len() > MAX {
            return Err(fmt::Error);
        }
        self.push(part.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
