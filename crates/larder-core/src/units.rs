//! Durations and sizes as people write them: `"90s"`, `"1h"`, `"256MiB"`.

use std::time::Duration;

/// Reads a duration: a number and `ms`, `s`, `m`, `h` or `d` (`"1.5h"` is fine; no signs).
/// The error says what is accepted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let accepted =
        || format!("{text:?} is not a duration; write for example 250ms, 30s, 5m, 1h or 7d");
    let (number, unit) = split(text).ok_or_else(accepted)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err(accepted()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| format!("{text:?} is too long"))
}

/// Reads a size in bytes: a number and `B`, `KiB`, `MiB`, `GiB` (powers of 1024, any case) or
/// `kB`, `MB`, `GB` (powers of 1000, any case).
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let accepted = || format!("{text:?} is not a size; write for example 512KiB, 64MiB or 2GiB");
    let (number, unit) = split(text).ok_or_else(accepted)?;
    let scale: u64 = match unit.to_ascii_lowercase().as_str() {
        "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(accepted()),
    };
    let bytes = number * scale as f64;
    if bytes >= 9e18 {
        Err(format!("{text:?} is too large"))
    } else {
        Ok(bytes as u64)
    }
}

/// A duration as people would write it, exact to the millisecond.
pub fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if ms >= size && ms.is_multiple_of(size) {
            return format!("{}{unit}", ms / size);
        }
    }
    format!("{ms}ms")
}

/// A size as people would write it, exact to the byte.
pub fn show_bytes(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let unit = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let number: f64 = text[..unit].parse().ok()?;
    Some((number, text[unit..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_written() {
        for (text, ms) in [
            ("250ms", 250),
            ("1s", 1_000),
            ("1.5h", 5_400_000),
            ("7 d", 604_800_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for (text, bytes) in [
            ("0B", 0),
            ("256MiB", 256 << 20),
            ("1kb", 1_000),
            ("2gib", 2 << 30),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn wrong_text_is_refused_with_an_example() {
        for text in ["", "1", "h", "-1s", "1 fortnight", "1e3s", "..s"] {
            assert!(
                parse_duration(text).unwrap_err().contains("250ms"),
                "{text}"
            );
            assert!(parse_bytes(text).unwrap_err().contains("64MiB"), "{text}");
        }
        assert!(parse_duration("99999999999999999999999d").is_err());
        assert!(parse_bytes("99999999999999999999GiB").is_err());
    }

    #[test]
    fn shown_units_read_back() {
        for ms in [0, 1, 999, 1_000, 60_000, 5_400_000, 86_400_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        for bytes in [0, 1, 1_023, 1_024, 3 << 20, (3 << 30) + 1] {
            assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
        }
    }
}
