//! Splits Rust source into code and comments, line by line.
//!
//! Rules look at one of the two: a word in a string or a comment is no code, and a marker in a
//! string is no comment. This is a scanner of a few states, not a parser; it knows strings, raw
//! strings, characters, lifetimes and nested comments, which is all that can hide a brace.

/// The two halves of a source file. Line `n` of each belongs to line `n` of the file.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Code with the insides of strings and characters blanked.
    pub(crate) code: Vec<String>,
    /// Comments with their markers.
    pub(crate) comments: Vec<String>,
}

#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

/// Where a character goes.
#[derive(Clone, Copy)]
enum Half {
    Code,
    Comment,
    Neither,
}

/// Scans a whole file.
pub(crate) fn scan(text: &str) -> Scan {
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        state: State::Code,
        code: String::new(),
        comment: String::new(),
        scan: Scan::default(),
    };
    while scanner.at < scanner.chars.len() {
        scanner.step();
    }
    scanner.end_line();
    scanner.scan
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    state: State,
    code: String,
    comment: String,
    scan: Scan,
}

impl Scanner {
    fn step(&mut self) {
        if self.chars[self.at] == '\n' {
            if matches!(self.state, State::LineComment) {
                self.state = State::Code;
            }
            self.end_line();
            self.at += 1;
            return;
        }
        match self.state {
            State::Code => self.step_code(),
            State::LineComment => self.take(1, Half::Comment),
            State::BlockComment { depth } => self.step_block_comment(depth),
            State::Text => self.step_text(),
            State::RawText { hashes } => self.step_raw_text(hashes),
        }
    }

    fn step_code(&mut self) {
        if self.looking_at("//") {
            self.state = State::LineComment;
            self.take(2, Half::Comment);
        } else if self.looking_at("/*") {
            self.state = State::BlockComment { depth: 1 };
            self.take(2, Half::Comment);
        } else if self.chars[self.at] == '"' {
            self.state = State::Text;
            self.take(1, Half::Code);
        } else if let Some(hashes) = self.raw_text_opening() {
            self.state = State::RawText { hashes };
            self.take(hashes + 2, Half::Code);
        } else if self.chars[self.at] == '\'' {
            self.step_quote();
        } else {
            self.take(1, Half::Code);
        }
    }

    /// A quote opens a character if it closes after one (escaped or not), else it is a lifetime.
    fn step_quote(&mut self) {
        let escaped = self.peek(1) == Some('\\');
        let body = if escaped {
            // The character after the backslash may itself be a quote.
            (3..12)
                .find(|ahead| self.peek(*ahead) == Some('\''))
                .unwrap_or(0)
        } else if self.peek(2) == Some('\'') {
            2
        } else {
            0
        };
        self.take(1, Half::Code);
        if body > 0 {
            self.take(body - 1, Half::Neither);
            self.take(1, Half::Code);
        }
    }

    fn step_block_comment(&mut self, depth: usize) {
        if self.looking_at("/*") {
            self.state = State::BlockComment { depth: depth + 1 };
            self.take(2, Half::Comment);
        } else if self.looking_at("*/") {
            self.state = match depth {
                1 => State::Code,
                _ => State::BlockComment { depth: depth - 1 },
            };
            self.take(2, Half::Comment);
        } else {
            self.take(1, Half::Comment);
        }
    }

    fn step_text(&mut self) {
        match self.chars[self.at] {
            // An escaped line end is left to `step`, which counts lines.
            '\\' if self.peek(1) != Some('\n') => self.take(2, Half::Neither),
            '"' => {
                self.state = State::Code;
                self.take(1, Half::Code);
            }
            _ => self.take(1, Half::Neither),
        }
    }

    fn step_raw_text(&mut self, hashes: usize) {
        let closes =
            self.chars[self.at] == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
        if closes {
            self.state = State::Code;
            self.take(hashes + 1, Half::Code);
        } else {
            self.take(1, Half::Neither);
        }
    }

    /// Returns the number of hashes if a raw string starts here with its `r`.
    fn raw_text_opening(&self) -> Option<usize> {
        if self.chars[self.at] != 'r' || !self.starts_word() {
            return None;
        }
        let hashes = (1..)
            .take_while(|ahead| self.peek(*ahead) == Some('#'))
            .count();
        (self.peek(hashes + 1) == Some('"')).then_some(hashes)
    }

    /// Returns whether a word starts here; `b` and `c` may stand before the `r` of a raw string.
    fn starts_word(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|index| self.chars[index]);
        match before(1) {
            Some('b' | 'c') => !before(2).is_some_and(is_word),
            Some(other) => !is_word(other),
            None => true,
        }
    }

    fn looking_at(&self, marker: &str) -> bool {
        marker
            .chars()
            .enumerate()
            .all(|(ahead, expected)| self.peek(ahead) == Some(expected))
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take(&mut self, count: usize, half: Half) {
        for _ in 0..count {
            let Some(&character) = self.chars.get(self.at) else {
                return;
            };
            let (code, comment) = match half {
                Half::Code => (character, ' '),
                Half::Comment => (' ', character),
                Half::Neither => (' ', ' '),
            };
            self.code.push(code);
            self.comment.push(comment);
            self.at += 1;
        }
    }

    fn end_line(&mut self) {
        self.scan.code.push(std::mem::take(&mut self.code));
        self.scan.comments.push(std::mem::take(&mut self.comment));
    }
}

/// Returns whether a character can be part of an identifier.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns the identifiers and keywords of a line of code, each with its byte offset.
pub(crate) fn words(line: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    for (index, character) in line.char_indices().chain([(line.len(), ' ')]) {
        match (is_word(character), start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                words.push((from, &line[from..index]));
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// Returns the line on which the braces opened at or after `(line, column)` close again.
pub(crate) fn closing_line(code: &[String], line: usize, column: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, text) in code.iter().enumerate().skip(line) {
        let from = if index == line { column } else { 0 };
        for character in text.get(from..).unwrap_or_default().chars() {
            match character {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => continue,
            }
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_characters_and_comments_hide_braces() {
        let source = "let a = \"{\\\"{\"; // {\nlet b = '{'; let c: &'a str = r#\"{\"{\"#; /* { /* { */ { */ }";
        let scan = scan(source);
        assert_eq!(scan.code.concat().matches('{').count(), 0);
        assert_eq!(scan.code.concat().matches('}').count(), 1);
        assert!(scan.comments[0].contains("// {"));
        assert!(scan.code[1].contains("&'a str"));
    }

    #[test]
    fn an_escaped_quote_is_a_character() {
        let scan = scan(r"let q = '\''; let n = '\u{7b}'; x");
        assert!(scan.code[0].ends_with("; x"));
        assert!(!scan.code[0].contains('{'));
    }

    #[test]
    fn a_string_over_many_lines_keeps_the_lines_apart() {
        let scan = scan("let a = \"one \\\n two\n three\";\nlet b = 1;");
        assert_eq!(scan.code.len(), 4);
        assert_eq!(scan.code[3], "let b = 1;");
        assert!(!scan.code.concat().contains("two"));
    }

    #[test]
    fn a_raw_identifier_opens_no_string() {
        let scan = scan("let r#type = br\"x\"; let four = 4;");
        assert!(scan.code[0].contains("r#type"));
        assert!(scan.code[0].contains("four"));
        assert!(!scan.code[0].contains('x'));
    }

    #[test]
    fn braces_are_matched_over_lines() {
        let code: Vec<String> = ["fn a() {", "  if x { y }", "}", "fn b() {}"]
            .map(String::from)
            .into();
        assert_eq!(closing_line(&code, 0, 0), Some(2));
        assert_eq!(closing_line(&code, 3, 0), Some(3));
    }
}
