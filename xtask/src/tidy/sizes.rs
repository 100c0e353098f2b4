//! Files stay short enough to be read in one sitting.
//!
//! Counted are lines of code: not blank, not only a comment, and not in a test module. A file that
//! passes the soft limit is listed; one that passes the hard limit must be cut. Files of tests are
//! tables more than they are programs, and may be longer.

use super::{Finding, Tree};
use crate::tidy::tree::Rust;

const SOFT: usize = 350;
const HARD: usize = 500;
const HARD_FOR_TESTS: usize = 800;

/// Files that may be longer, each with the reason.
const EXCEPTIONS: [(&str, &str); 0] = [];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust
        .iter()
        .filter(|file| !is_excepted(&file.path))
        .filter_map(check_file)
        .collect()
}

fn is_excepted(path: &str) -> bool {
    EXCEPTIONS
        .iter()
        .any(|(excepted, _reason)| *excepted == path)
}

fn check_file(file: &Rust) -> Option<Finding> {
    let counts =
        |index: &usize| file.is_code(*index) && (file.is_test_file() || !file.in_test[*index]);
    let count = (0..file.lines.len()).filter(counts).count();
    let hard = if file.is_test_file() {
        HARD_FOR_TESTS
    } else {
        HARD
    };
    if count > hard {
        let advice = format!("{count} lines of code; the limit is {hard}: cut the file in two");
        return Some(Finding::about(&file.path, advice));
    }
    if count > SOFT && !file.is_test_file() {
        let advice = format!("{count} lines of code; think of a cut before it reaches {hard}");
        return Some(Finding::warning(&file.path, advice));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::Severity;

    fn severity(path: &str, text: &str) -> Option<Severity> {
        check(&Tree::of(&[(path, text)]))
            .first()
            .map(|finding| finding.severity)
    }

    #[test]
    fn long_files_are_listed_and_longer_ones_refused() {
        let lines = |count: usize| "let a = 1;\n".repeat(count);
        assert_eq!(severity("src/a.rs", &lines(SOFT)), None);
        assert_eq!(
            severity("src/a.rs", &lines(SOFT + 1)),
            Some(Severity::Warning)
        );
        assert_eq!(
            severity("src/a.rs", &lines(HARD + 1)),
            Some(Severity::Error)
        );
        assert_eq!(severity("tests/it/a.rs", &lines(HARD + 1)), None);
        assert_eq!(
            severity("tests/it/a.rs", &lines(HARD_FOR_TESTS + 1)),
            Some(Severity::Error)
        );
    }

    #[test]
    fn comments_blank_lines_and_the_test_module_do_not_count() {
        let comments = "// why\n\n".repeat(HARD);
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "let a = 1;\n".repeat(HARD)
        );
        assert_eq!(severity("src/a.rs", &format!("{comments}{tests}")), None);
    }
}
