//! The sum of the tests, read from the summary lines that cargo's test harness prints.
//!
//! Only complete summaries count, not the lines of single tests, which are harder to tell from what
//! a test prints by itself. Those of tests that failed are kept, so that they can be run again.

use std::fmt;

/// More failures than this are no matter of chance.
const FEW: usize = 3;

/// How many tests passed and failed so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// What failed, by name.
    failures: Vec<String>,
    /// What failed among others and passed by itself.
    unsteady: Vec<String>,
    summaries: u64,
}

impl Tally {
    /// Takes one line of output; lines that are no summary change nothing.
    pub(crate) fn read(&mut self, line: &str) {
        let plain = without_colour(line);
        let test = plain.strip_prefix("test ");
        if let Some(name) = test.and_then(|test| test.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
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

    /// What failed, if all of it has a name, and it is little enough to be a matter of chance.
    pub(crate) fn worth_another_try(&self) -> Option<&[String]> {
        let names = &self.failures;
        let is_worth = !names.is_empty() && names.len() <= FEW && names.len() as u64 == self.failed;
        is_worth.then_some(names)
    }

    /// Takes what came of running again what failed. Nothing is gained unless all of it passed.
    pub(crate) fn settle(&mut self, again: &Tally) {
        if again.failed == 0 && again.passed >= self.failed {
            self.passed += self.failed;
            self.failed = 0;
            self.unsteady.append(&mut self.failures);
        }
    }

    /// What passed only by itself.
    pub(crate) fn unsteady(&self) -> &[String] {
        &self.unsteady
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

    fn failed(names: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for name in names {
            tally.read(&format!("test {name} ... FAILED"));
        }
        let sum = names.len();
        tally.read(&format!(
            "test result: FAILED. 5 passed; {sum} failed; 0 ignored"
        ));
        tally
    }

    fn summary(line: &str) -> Tally {
        let mut tally = Tally::default();
        tally.read(line);
        tally
    }

    #[test]
    fn few_failures_with_names_are_worth_another_try() {
        assert_eq!(
            failed(&["a::b"]).worth_another_try(),
            Some(&["a::b".to_owned()][..])
        );
        assert_eq!(failed(&["a", "b", "c", "d"]).worth_another_try(), None);
        assert_eq!(Tally::default().worth_another_try(), None);
        let nameless = summary("test result: FAILED. 5 passed; 1 failed; 0 ignored");
        assert_eq!(nameless.worth_another_try(), None);
    }

    #[test]
    fn what_passes_by_itself_counts_as_passed_and_is_named() {
        let mut tally = failed(&["a", "b"]);
        tally.settle(&summary("test result: ok. 2 passed; 0 failed; 0 ignored"));
        assert_eq!(tally.to_string(), "7 passed, 0 failed");
        assert_eq!(tally.unsteady(), ["a", "b"]);
    }

    #[test]
    fn what_fails_again_or_is_not_found_stays_failed() {
        for again in [
            "test result: FAILED. 1 passed; 1 failed; 0 ignored",
            "test result: ok. 1 passed; 0 failed; 0 ignored",
        ] {
            let mut tally = failed(&["a", "b"]);
            tally.settle(&summary(again));
            assert_eq!(tally.to_string(), "5 passed, 2 failed");
            assert!(tally.unsteady().is_empty());
        }
    }

    #[test]
    fn colour_does_not_hide_a_summary() {
        let mut tally = Tally::default();
        tally.read("test result: \u{1b}[32mok\u{1b}[0m. 5 passed; 0 failed; 0 ignored");
        assert_eq!(tally.to_string(), "5 passed, 0 failed");
    }
}
