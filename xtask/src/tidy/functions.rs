//! A function fits on a screen: at most 70 lines, its comments included.
//!
//! Clippy's `too_many_lines` counts without comments and skips some macros; this counts what a
//! reader sees, from the line with `fn` to the closing brace.

use super::scan::{closing_line, words};
use super::tree::Rust;
use super::{Finding, Tree};

const LIMIT: usize = 70;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &Rust) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.scan.code.iter().enumerate() {
        for (column, name) in functions(line) {
            let length = length(&file.scan.code, index, column);
            if length > LIMIT {
                let advice = format!(
                    "`{name}` has {length} lines; the limit is {LIMIT}: \
                     keep the branches here and move the leaves out"
                );
                findings.push(Finding::error(&file.path, index, advice));
            }
        }
    }
    findings
}

/// Returns the functions that a line begins to define, by column and name.
fn functions(line: &str) -> Vec<(usize, &str)> {
    let words = words(line);
    let is_definition = |pair: &&[(usize, &str)]| {
        let between = &line[pair[0].0 + 2..pair[1].0];
        // `fn(u8) -> u8` is a type, and has more than blanks between `fn` and the next word.
        pair[0].1 == "fn" && between.trim().is_empty()
    };
    words
        .windows(2)
        .filter(is_definition)
        .map(|pair| (pair[0].0, pair[1].1))
        .collect()
}

/// Returns the number of lines of the function whose `fn` is at `(line, column)`.
fn length(code: &[String], line: usize, column: usize) -> usize {
    let mut nesting = 0_i32;
    for (index, text) in code.iter().enumerate().skip(line) {
        let from = if index == line { column } else { 0 };
        for (at, character) in text.char_indices().skip_while(|(at, _)| *at < from) {
            match character {
                '(' | '[' => nesting += 1,
                ')' | ']' => nesting -= 1,
                // A declaration without a body: in a trait, or in an `extern` block.
                ';' if nesting == 0 => return 1,
                '{' if nesting == 0 => {
                    return closing_line(code, index, at).map_or(1, |end| end - line + 1);
                }
                _ => {}
            }
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        check(&Tree::of(&[("src/a.rs", text)]))
            .iter()
            .map(Finding::to_string)
            .collect()
    }

    #[test]
    fn a_function_over_the_limit_is_found_and_one_at_the_limit_is_not() {
        let body = |lines: usize| {
            format!(
                "\nfn long(a: [u8; 2])\n{{\n{}}}\n",
                "// why\n".repeat(lines)
            )
        };
        assert_eq!(found(&body(LIMIT - 3)), [""; 0]);
        let found = found(&body(LIMIT - 2));
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("src/a.rs:2: `long` has 71 lines"),
            "{found:?}"
        );
    }

    #[test]
    fn declarations_and_types_have_no_length() {
        let text = format!(
            "trait A {{ fn a(&self); }}\ntype F = fn(u8);\n{}",
            "\n".repeat(90)
        );
        assert_eq!(found(&text), [""; 0]);
    }
}
