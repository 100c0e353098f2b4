//! Patterns as in `KEYS`, `SCAN … MATCH`, `PSUBSCRIBE` and access rules.
//!
//! Same language as Redis, other algorithm. When a match fails, only the last `*` needs to be
//! tried again further on: what stood before it is matched as early as can be. That makes the time
//! at most the product of both lengths, where the obvious recursion needs hours for
//! `a*a*a*a*a*a*b`; patterns come from clients.

/// Returns whether the whole of `text` matches `pattern`.
///
/// - `*` is any number of bytes, `?` exactly one;
/// - `[abc]` is one of these, `[a-z]` one from the range (in either order), `[^…]` one not listed;
///   `\` makes the next byte ordinary, and a class without its `]` extends to the pattern's end;
/// - `\` makes the next byte ordinary, and as the last byte stands for itself;
/// - anything else is itself. Bytes are compared, not characters, and case matters.
///
/// # Cost
///
/// At most proportional to the product of both lengths; allocates nothing.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern_at, mut text_at) = (0, 0);
    // Behind the last `*` seen, and where in the text the rest of the pattern was last tried.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let rest = &pattern[pattern_at..];
        if rest.first() == Some(&b'*') {
            pattern_at += 1;
            if pattern_at == pattern.len() {
                return true;
            }
            retry = Some((pattern_at, text_at));
            continue;
        }
        let step = match text.get(text_at) {
            None => return rest.is_empty(),
            Some(&byte) => match_one(rest, byte),
        };
        match (step, retry) {
            (Some(width), _) => {
                pattern_at += width;
                text_at += 1;
            }
            (None, Some((behind_star, tried))) => {
                pattern_at = behind_star;
                text_at = tried + 1;
                retry = Some((behind_star, text_at));
            }
            (None, None) => return false,
        }
    }
}

/// A pattern that only `text` itself matches.
#[must_use]
pub fn escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        if b"*?[]^-\\".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

/// Matches one byte against the front of a pattern that is not `*`; returns the width of that
/// front if they match.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    let (matched, width) = match pattern {
        [] => (false, 0),
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (matched, width) = match_class(class, byte);
            (matched, width + 1)
        }
        [b'\\', literal, ..] => (*literal == byte, 2),
        [literal, ..] => (*literal == byte, 1),
    };
    matched.then_some(width)
}

/// Matches one byte against a class, given what follows its `[`. Returns the width of that.
fn match_class(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut listed = false;
    loop {
        let (range, width) = match &class[at..] {
            [] => return (listed != negated, at),
            [b']', ..] => return (listed != negated, at + 1),
            [b'\\', literal, ..] => (*literal..=*literal, 2),
            // Even a `]` may end a range.
            [from, b'-', to, ..] => (*from.min(to)..=*from.max(to), 3),
            [literal, ..] => (*literal..=*literal, 1),
        };
        listed |= range.contains(&byte);
        at += width;
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
