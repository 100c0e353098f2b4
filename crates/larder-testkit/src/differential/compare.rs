//! When two replies count as the same, and how they are shown if they do not.

use std::fmt::Write;
use std::ops::Range;

use bytes::Bytes;
use larder_resp::Reply;

/// Integers in these ranges may be what is left of a life, in milliseconds. Between them lie the
/// present time, and versions.
const LIVES: [Range<i64>; 2] = [1_000..20_000_000_000, 4_000_000_000_000_000..i64::MAX];

fn is_life(number: i64) -> bool {
    LIVES.iter().any(|range| range.contains(&number))
}

/// Whether two replies are the same, but for lives that differ by so many milliseconds.
pub(super) fn same(real: &Reply, simulated: &Reply, slack_ms: i64) -> bool {
    match (real, simulated) {
        (Reply::Array(real), Reply::Array(simulated)) => {
            let pairs = real.iter().zip(simulated);
            real.len() == simulated.len()
                && pairs
                    .into_iter()
                    .all(|(one, other)| same(one, other, slack_ms))
        }
        (Reply::Integer(real), Reply::Integer(simulated)) => {
            let are_lives = is_life(*real) && is_life(*simulated);
            real == simulated || (are_lives && (real - simulated).abs() <= slack_ms)
        }
        (real, simulated) => real == simulated,
    }
}

/// The moment at which a life ends, or that there is none.
pub(super) fn same_end(real: &Reply, simulated: &Reply, slack_ms: i64) -> bool {
    match (real, simulated) {
        (Reply::Integer(real), Reply::Integer(simulated)) if *real >= 0 && *simulated >= 0 => {
            (real - simulated).abs() <= slack_ms
        }
        (real, simulated) => real == simulated,
    }
}

/// Bytes in a form that can be read.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 160;
    let mut text = bytes[..bytes.len().min(MOST)].escape_ascii().to_string();
    if bytes.len() > MOST {
        let _ = write!(text, "… ({} bytes)", bytes.len());
    }
    text
}

pub(super) fn command(args: &[Bytes]) -> String {
    let args: Vec<String> = args
        .iter()
        .map(|arg| format!("\"{}\"", shown(arg)))
        .collect();
    args.join(" ")
}

pub(super) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) => format!("+{}", shown(text)),
        Reply::Error(text) => format!("-{}", text.escape_ascii()),
        Reply::Integer(number) => format!(":{number}"),
        Reply::Bulk(bytes) => format!("\"{}\"", shown(bytes)),
        Reply::Array(items) => {
            let items: Vec<String> = items.iter().map(self::reply).collect();
            format!("[{}]", items.join(", "))
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lives_may_differ_and_only_a_little() {
        let number = Reply::Integer;
        assert!(same(&number(60_000), &number(59_998), 2));
        assert!(!same(&number(60_000), &number(59_997), 2));
        assert!(!same(&number(1), &number(2), 2));
        let version = 1_700_000_000_000_000;
        assert!(!same(&number(version), &number(version + 1), 2));
        let list = |end| Reply::Array(vec![Reply::bulk("v"), number(end)]);
        assert!(same(&list(5_000), &list(5_001), 2));
        assert!(!same(
            &list(5_000),
            &Reply::Array(vec![Reply::bulk("v")]),
            2
        ));
        assert!(!same(&Reply::Null, &Reply::NullArray, 2));
    }
}
