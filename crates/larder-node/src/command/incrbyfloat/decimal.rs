//! Sums of decimal numbers given as text.

use larder_resp::number;

/// Places behind the point, as many as Redis prints.
const PLACES: usize = 17;
/// Whole numbers up to here are added exactly.
const LARGEST: i128 = 10_i128.pow(20);
const ONE: i128 = 10_i128.pow(PLACES as u32);

/// Whether this is a number at all; infinity is, NaN is not.
pub(super) fn is_number(text: &[u8]) -> bool {
    number::parse_f64(text).is_some_and(|value| !value.is_nan())
}

/// The sum as text; `None` if it is not finite.
pub(super) fn add(left: &[u8], right: &[u8]) -> Option<String> {
    match (fixed(left), fixed(right)) {
        (Some(left), Some(right)) => Some(print(left + right)),
        _ => {
            let sum = number::parse_f64(left)? + number::parse_f64(right)?;
            // Plain digits at any size, as Redis prints them.
            sum.is_finite().then(|| sum.to_string())
        }
    }
}

/// The number in units of the last place, if it is of an everyday size and form.
fn fixed(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|&byte| byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &[][..]),
    };
    let all = || whole.iter().chain(fraction);
    if fraction.len() > PLACES || whole.len() > 20 || !all().all(u8::is_ascii_digit) {
        return None;
    }
    let units = all().fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    let units = units * 10_i128.pow((PLACES - fraction.len()) as u32);
    (units < LARGEST * ONE).then_some(if negative { -units } else { units })
}

fn print(units: i128) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let units = units.unsigned_abs();
    let (whole, fraction) = (units / ONE.unsigned_abs(), units % ONE.unsigned_abs());
    let text = format!("{sign}{whole}.{fraction:017}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{add, is_number};

    #[test]
    fn sums_are_exact_where_people_look() {
        let table = [
            ("10", "0.5", "10.5"),
            ("10", "-10.5", "-0.5"),
            ("0.1", "0.2", "0.3"),
            ("1000.1", "0.1", "1000.2"),
            ("-1", "1", "0"),
            ("3.0e3", "200", "3200"),
            ("1e300", "0", &format!("1{}", "0".repeat(300))),
            ("99999999999999999999", "1", "100000000000000000000"),
        ];
        for (left, right, sum) in table {
            assert_eq!(add(left.as_bytes(), right.as_bytes()).as_deref(), Some(sum));
        }
        assert_eq!(add(b"1", b"inf"), None);
        assert_eq!(add(b"1.7e308", b"1.7e308"), None);
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in ["", " 1", "1 ", "abc", "nan", "1.2.3", "."] {
            assert!(!is_number(text.as_bytes()), "{text:?}");
        }
    }
}
