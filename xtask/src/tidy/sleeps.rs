//! Tests do not sleep: a sleep is either too short, and flickers, or too long, and is waited for.
//!
//! A test drives a clock by hand, or waits for a condition with a deadline. The test kit is test
//! code throughout; its one helper that looks at real processes again and again is excepted.

use super::scan::words;
use super::tree::Rust;
use super::{Finding, Tree};

/// Files that may sleep, each with the reason.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "crates/larder-testkit/src/servers/wait.rs",
    "looks at a real process until a deadline",
)];

const TESTKIT: &str = "crates/larder-testkit/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let is_excepted = |path: &str| EXCEPTIONS.iter().any(|(excepted, _)| *excepted == path);
    tree.rust
        .iter()
        .filter(|file| !is_excepted(&file.path))
        .flat_map(check_file)
        .collect()
}

fn check_file(file: &Rust) -> Vec<Finding> {
    let is_test = |index: usize| file.in_test[index] || file.path.starts_with(TESTKIT);
    let lines = file.scan.code.iter().enumerate();
    let sleeping = lines.filter(|(index, line)| is_test(*index) && sleeps(line));
    let advice = "wait for a condition (larder_testkit::servers::wait), or drive a clock by hand";
    sleeping
        .map(|(index, _)| Finding::error(&file.path, index, advice))
        .collect()
}

/// Returns whether a line names a real sleep by its path; `clock.sleep()` may be virtual.
fn sleeps(line: &str) -> bool {
    let words = words(line);
    let is_sleep = |word: &str| matches!(word, "sleep" | "sleep_until" | "sleep_ms");
    let is_home = |word: &str| matches!(word, "thread" | "time");
    let is_path = words.windows(2).any(|pair| {
        let between = line[pair[0].0 + pair[0].1.len()..pair[1].0].trim();
        is_home(pair[0].1) && is_sleep(pair[1].1) && between == "::"
    });
    let is_import = line.trim_start().starts_with("use ") && line.contains("::{");
    let imports = |check: &dyn Fn(&str) -> bool| words.iter().any(|(_, word)| check(word));
    is_path || (is_import && imports(&is_home) && imports(&is_sleep))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: &str = "thread::sleep(second);";

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn a_sleep_in_a_test_is_found() {
        assert_eq!(found("crates/larder/tests/it/a.rs", SLEEP), 1);
        assert_eq!(
            found(
                "crates/larder/tests/it/a.rs",
                "tokio::time::sleep(x).await;"
            ),
            1
        );
        assert_eq!(
            found(
                "crates/larder/tests/it/a.rs",
                "use tokio::time::{sleep, timeout};"
            ),
            1
        );
        assert_eq!(found("crates/larder-testkit/src/world.rs", SLEEP), 1);
        let module = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{SLEEP}\n}}\n");
        assert_eq!(found("crates/larder/src/a.rs", &module), 1);
    }

    #[test]
    fn virtual_sleeps_code_and_the_polling_helper_are_left_alone() {
        assert_eq!(
            found(
                "crates/larder/tests/it/a.rs",
                "runtime.sleep(second).await;"
            ),
            0
        );
        assert_eq!(
            found("crates/larder/src/a.rs", "tokio::time::sleep(x).await;"),
            0
        );
        assert_eq!(found(EXCEPTIONS[0].0, SLEEP), 0);
    }
}
