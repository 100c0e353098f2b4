//! The form people type: words separated by blanks, with quotes and escapes.
//!
//! The same rules serve `telnet` users on the wire and command lines in tools.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::spans::{Span, Spans};

/// A command line opens a quote and does not close it, or goes on right after a closing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

impl fmt::Display for UnbalancedQuotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unbalanced quotes")
    }
}

impl std::error::Error for UnbalancedQuotes {}

/// Splits a line into its words, unescaped and laid end to end, and their places.
pub(super) fn split(line: &[u8]) -> Result<(BytesMut, Spans), UnbalancedQuotes> {
    // Unescaping never makes a word longer.
    let mut words = BytesMut::with_capacity(line.len());
    let mut spans = Spans::default();
    let mut rest = skip_blanks(line);
    while !rest.is_empty() {
        let start = words.len();
        rest = skip_blanks(word(rest, &mut words)?);
        spans.push(Span::new(start, words.len() - start));
    }
    Ok((words, spans))
}

/// Reads one word and returns what follows it.
fn word<'a>(mut rest: &'a [u8], out: &mut BytesMut) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        match rest {
            [] | [b' ' | b'\t' | b'\r' | b'\n', ..] => return Ok(rest),
            [b'"', inner @ ..] => return after_quote(double_quoted(inner, out)?),
            [b'\'', inner @ ..] => return after_quote(single_quoted(inner, out)?),
            [byte, tail @ ..] => {
                out.put_u8(*byte);
                rest = tail;
            }
        }
    }
}

/// A closing quote ends the word: a blank or the end of the line must follow.
fn after_quote(rest: &[u8]) -> Result<&[u8], UnbalancedQuotes> {
    match rest.first() {
        Some(&byte) if !is_blank(byte) => Err(UnbalancedQuotes),
        _ => Ok(rest),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], out: &mut BytesMut) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        let (byte, tail) = match rest {
            [] => return Err(UnbalancedQuotes),
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex(*high) << 4 | hex(*low), tail)
            }
            [b'\\', escaped, tail @ ..] => (unescape(*escaped), tail),
            [byte, tail @ ..] => (*byte, tail),
        };
        out.put_u8(byte);
        rest = tail;
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], out: &mut BytesMut) -> Result<&'a [u8], UnbalancedQuotes> {
    loop {
        let (byte, tail) = match rest {
            [] => return Err(UnbalancedQuotes),
            [b'\'', tail @ ..] => return Ok(tail),
            [b'\\', b'\'', tail @ ..] => (b'\'', tail),
            [byte, tail @ ..] => (*byte, tail),
        };
        out.put_u8(byte);
        rest = tail;
    }
}

fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// The value of a byte known to be a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// What C calls a space. Two of these, vertical tab and form feed, separate words without ending
/// one, which is how Redis has it.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|&&byte| is_blank(byte)).count();
    &line[blanks..]
}

#[cfg(test)]
mod tests {
    use crate::{Request, UnbalancedQuotes};

    #[test]
    fn words_quotes_and_escapes_are_read_as_redis_reads_them() {
        let table: [(&[u8], &[&[u8]]); 14] = [
            (b"GET key\r\n", &[b"GET", b"key"]),
            (b"  \t GET\t\x0b key  ", &[b"GET", b"key"]),
            (b"a\x0bb c", &[b"a\x0bb", b"c"]),
            (br#"SET k "a b""#, &[b"SET", b"k", b"a b"]),
            (br#"x"y z""#, &[b"xy z"]),
            (br#"SET "" ''"#, &[b"SET", b"", b""]),
            (
                br#""\x00\xfF\n\r\t\b\a\"\\\q""#,
                &[b"\x00\xff\n\r\t\x08\x07\"\\q"],
            ),
            (br#""\xg0""#, &[b"xg0"]),
            (br#""\x4""#, &[b"x4"]),
            (br"'a\'b\n'", &[br"a'b\n"]),
            (br#"'"' "'""#, &[b"\"", b"'"]),
            (br"a\x41", &[br"a\x41"]),
            (b"\"a\"\x0bb", &[b"a", b"b"]),
            (b"a\x00b", &[b"a\x00b"]),
        ];
        for (line, expected) in table {
            let request = Request::from_line(line)
                .expect("balanced")
                .expect("some word");
            assert!(
                request.iter().eq(expected.iter().copied()),
                "{}",
                line.escape_ascii()
            );
        }
    }

    #[test]
    fn a_blank_line_holds_no_command() {
        for line in [&b""[..], b" ", b"\r\n", b"\t\x0b\x0c"] {
            assert_eq!(Request::from_line(line), Ok(None));
        }
    }

    #[test]
    fn open_quotes_and_words_glued_to_quotes_are_refused() {
        for line in [
            r#"""#,
            r#"a ""#,
            r#""a\""#,
            r#""a\"#,
            "'",
            r"'\'",
            r#""a"b"#,
            "'a'b",
            r#""a"'b'"#,
        ] {
            assert_eq!(
                Request::from_line(line.as_bytes()),
                Err(UnbalancedQuotes),
                "{line}"
            );
        }
    }
}
