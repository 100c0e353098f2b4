//! Finding the `\r\n` that ends a length or a short value, without reading any byte twice.

/// What the bytes after a type byte hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The line ends (exclusively) at this index; the next value starts two bytes later.
    Ends(usize),
    /// The line end has not arrived.
    Incomplete,
    /// The line passes the limit.
    TooLong,
    /// A `\r` without its `\n`.
    Broken,
}

/// Looks for the end of the line that starts at `start`.
///
/// `scanned` counts the bytes of this line that earlier calls have already seen; it is kept up to
/// date for the next call and back at 0 once the line has ended. The answer depends on the bytes
/// of the line alone, not on the pieces in which they arrived.
pub(crate) fn find(bytes: &[u8], start: usize, scanned: &mut usize, max: usize) -> Line {
    let unseen = bytes.get(start + *scanned..).unwrap_or_default();
    let Some(offset) = unseen.iter().position(|&byte| byte == b'\r') else {
        *scanned += unseen.len();
        return if *scanned > max {
            Line::TooLong
        } else {
            Line::Incomplete
        };
    };
    *scanned += offset;
    if *scanned > max {
        return Line::TooLong;
    }
    let end = start + *scanned;
    match bytes.get(end + 1) {
        None => Line::Incomplete,
        Some(b'\n') => {
            *scanned = 0;
            Line::Ends(end)
        }
        Some(_) => Line::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_however_it_arrives() {
        let bytes = b"*1234\r\n";
        let mut scanned = 0;
        for end in 1..bytes.len() {
            assert_eq!(find(&bytes[..end], 1, &mut scanned, 4), Line::Incomplete);
        }
        assert_eq!(find(bytes, 1, &mut scanned, 4), Line::Ends(5));
        assert_eq!(scanned, 0);
    }

    #[test]
    fn a_long_line_is_refused_with_and_without_its_end() {
        assert_eq!(find(b"12345", 0, &mut 0, 4), Line::TooLong);
        assert_eq!(find(b"12345\r\n", 0, &mut 0, 4), Line::TooLong);
    }

    #[test]
    fn a_lone_carriage_return_breaks_the_line() {
        assert_eq!(find(b"12\rx", 0, &mut 0, 4), Line::Broken);
    }
}
