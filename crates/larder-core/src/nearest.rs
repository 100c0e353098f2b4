//! The known name that somebody most likely meant.

/// The known name nearest to `name`, if one is near enough to be meant.
///
/// Near is: the same words in another order, the end of a longer name (`MAX_CLIENTS` for
/// `RESP_MAX_CLIENTS`), or few edits for the length of the name.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().filter_map(|candidate| {
        let score = score(&normal(name), &normal(candidate))?;
        Some((score, candidate))
    });
    let best = scored.min_by_key(|(score, _)| *score);
    best.map(|(_, candidate)| candidate)
}

/// Lower case, and all marks between words the same.
fn normal(name: &str) -> Vec<char> {
    let plain = |c: char| if "-._".contains(c) { '_' } else { c };
    name.to_lowercase().chars().map(plain).collect()
}

fn score(name: &[char], candidate: &[char]) -> Option<usize> {
    let edits = edits(name, candidate);
    // One letter of three, two of a word, three of a long name.
    let tolerated = match name.len() {
        0..=3 => 1,
        4..=11 => 2,
        _ => 3,
    };
    if edits <= tolerated {
        return Some(edits);
    }
    let words = |name: &[char]| {
        let mut words: Vec<Vec<char>> = name.split(|c| *c == '_').map(<[char]>::to_vec).collect();
        words.sort();
        words
    };
    let is_end = name.len() >= 3
        && candidate.ends_with(name)
        && candidate[..candidate.len() - name.len()].ends_with(&['_']);
    (is_end || words(name) == words(candidate)).then_some(tolerated + 1)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_what_was_meant() {
        let known = [
            "ttl",
            "url",
            "type",
            "resp_addr",
            "resp_max_clients",
            "pool_min_size",
        ];
        for (name, meant) in [
            ("tll", Some("ttl")),
            ("tpye", Some("type")),
            ("RESP-ADR", Some("resp_addr")),
            ("max_clients", Some("resp_max_clients")),
            ("pool_size_min", Some("pool_min_size")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
