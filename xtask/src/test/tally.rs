//! The sum of the tests, read from the summary lines that cargo's test harness prints.
//!
//! Only complete summaries count, not the lines of single tests, which are harder to tell from what
//! a test prints by itself.

use std::fmt;

/// How many tests passed and failed so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    summaries: u64,
}

impl Tally {
    /// Takes one line of output; lines that are no summary change nothing.
    pub(crate) fn read(&mut self, line: &str) {
        let plain = without_colour(line);
        let Some(counts) = plain.trim_start().strip_prefix("test result: ") else {
            return;
        };
        // `ok. 3 passed; 0 failed; 1 ignored; …`: the word before the first count ends in a dot.
        let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
        if let (Some(passed), Some(failed)) = (count(counts, "passed"), count(counts, "failed")) {
            self.passed += passed;
            self.failed += failed;
            self.summaries += 1;
        }
    }

    /// Returns whether any test binary reported, be it with no tests.
    pub(crate) fn seen(&self) -> bool {
        self.summaries > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn count(counts: &str, word: &str) -> Option<u64> {
    let part = counts
        .split(';')
        .find_map(|part| part.trim().strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok())
}

/// Drops terminal colour codes, which cargo prints when it is told to.
fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().find(|end| end.is_ascii_alphabetic());
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_add_up_and_other_lines_do_not_count() {
        let mut tally = Tally::default();
        assert!(!tally.seen());
        tally.read("running 3 tests");
        tally.read("test a ... ok");
        tally.read("test result: ok. not a summary");
        tally.read("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        tally.read("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured");
        assert_eq!(tally.to_string(), "7 passed, 2 failed");
        assert!(tally.seen());
    }

    #[test]
    fn colour_does_not_hide_a_summary() {
        let mut tally = Tally::default();
        tally.read("test result: \u{1b}[32mok\u{1b}[0m. 5 passed; 0 failed; 0 ignored");
        assert_eq!(tally.to_string(), "5 passed, 0 failed");
    }
}
