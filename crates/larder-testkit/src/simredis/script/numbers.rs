//! Numbers of Lua as arguments of commands and as integers of replies.

/// Digits that tell every double from every other.
const DIGITS: usize = 17;

/// Beyond this not every integer is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The number as C's `%.17g` writes it, which is how a script's number becomes an argument.
pub(super) fn argument(number: f64) -> String {
    if number.is_nan() {
        let sign = if number.is_sign_negative() { "-" } else { "" };
        return format!("{sign}nan");
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number.abs() < EXACT
        && number.fract() == 0.0
        && !(number == 0.0 && number.is_sign_negative())
    {
        return (number as i64).to_string();
    }
    let scientific = format!("{number:.*e}", DIGITS - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS as i32).contains(&exponent) {
        let decimals = (DIGITS as i32 - 1 - exponent).max(0) as usize;
        return trimmed(&format!("{number:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.unsigned_abs())
}

/// Without zeros at the end of a fraction.
fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// The number as C casts it to a 64-bit integer, which is how a script's number becomes a reply.
pub(super) fn integer(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) {
        number as i64
    } else {
        // What the processor gives for all that does not fit.
        i64::MIN
    }
}

/// The number as C casts it to 64 bits without a sign: negative ones keep their bits, and of those
/// that do not fit comes what the processor gives.
pub(super) fn unsigned(number: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if number >= HALF {
        integer(number - HALF).cast_unsigned() ^ (1 << 63)
    } else {
        integer(number).cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_written_with_all_their_digits() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (600.0, "600"),
            (-7.0, "-7"),
            (0.5, "0.5"),
            (0.1, "0.10000000000000001"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (2f64.powi(100), "1.2676506002282294e+30"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (123_456.789, "123456.789"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(argument(number), text);
        }
    }

    #[test]
    fn replies_are_cut_to_integers() {
        assert_eq!((integer(3.99), integer(-3.99)), (3, -3));
        assert_eq!((integer(1e30), integer(f64::NAN)), (i64::MIN, i64::MIN));
        assert_eq!((unsigned(7.9), unsigned(-1.0)), (7, u64::MAX));
        assert_eq!(
            (unsigned(1e19), unsigned(1.9e19)),
            (10_000_000_000_000_000_000, 0)
        );
    }
}
