//! The words of a script in Lua: what is left of its text without blanks and comments.

/// A script longer than this is none of those that are known.
const LONGEST: usize = 4_096;

/// The words, each behind a blank; strings in single quotes, however they were quoted, and the names of
/// commands, which are the first string behind `redis.call (`, in lower case. `None` for what is no
/// text of a known form: too long, or with something in it that none of them has.
pub(super) fn of(script: &[u8]) -> Option<String> {
    let script = std::str::from_utf8(script).ok()?;
    if script.len() > LONGEST {
        return None;
    }
    let (mut rest, mut words) = (script, String::new());
    loop {
        rest = rest.trim_ascii_start();
        let Some(first) = rest.chars().next() else {
            return Some(words);
        };
        if let Some(comment) = rest.strip_prefix("--") {
            // A long comment is in none of them.
            if comment.starts_with("[[") || comment.starts_with("[=") {
                return None;
            }
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let end = match first {
            '"' | '\'' => {
                let (text, after) = rest[1..].split_once(first)?;
                if text.contains(['\\', '\'', '"', '\n']) {
                    return None;
                }
                let is_command = words.ends_with("call (");
                words.push_str(" '");
                match is_command {
                    true => words.push_str(&text.to_ascii_lowercase()),
                    false => words.push_str(text),
                }
                words.push('\'');
                rest = after;
                continue;
            }
            _ if is_letter(first) => rest.find(|letter| !is_letter(letter)),
            _ if ["==", "~=", "<=", ">="]
                .iter()
                .any(|sign| rest.starts_with(sign)) =>
            {
                Some(2)
            }
            _ => Some(first.len_utf8()),
        };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        // It only ends a statement, which the next word does as well.
        if word != ";" {
            words.push(' ');
            words.push_str(word);
        }
        rest = after;
    }
}

/// Names and numbers, with what a script says of `redis`.
fn is_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_comments_and_quotes_make_no_difference() {
        let words = " if redis.call ( 'get' , KEYS [ 1 ] ) == ARGV [ 1 ] then return 0 end";
        for text in [
            "if redis.call('get',KEYS[1]) == ARGV[1] then return 0 end",
            "if redis.call(\"GET\", KEYS[1])==ARGV[1]\n then -- it's mine\n\treturn 0; end",
        ] {
            assert_eq!(of(text.as_bytes()).as_deref(), Some(words), "{text}");
        }
    }

    #[test]
    fn what_means_something_else_has_other_words() {
        let words = |text: &str| of(text.as_bytes());
        assert_ne!(words("return 'A'"), words("return 'a'"));
        assert_ne!(words("return a b"), words("return ab"));
        assert_ne!(words("return 'a b'"), words("return a b"));
        assert_ne!(words("return 1 -- 2"), words("return 1 - - 2"));
        for text in ["return 'a", "return '\\n'", "--[[ long ]] return 1"] {
            assert_eq!(words(text), None, "{text}");
        }
        assert_eq!(of(&[0xff]), None);
        assert_eq!(of(&[b' '; LONGEST + 1]), None);
    }
}
