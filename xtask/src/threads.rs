//! The models of threads (docs/threads.md): tests of `larder` with a scheduler under its locks and
//! atomics. They are a build of their own, since nothing else works over that scheduler.

use std::process::Command;

use crate::{shell, workspace};

const USAGE: &str = "usage: cargo xtask threads [--runs N] [--seed S]";

/// Runs every model, and what must break it; `words` say how often, and from which seed.
pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    let mut command = command();
    for pair in words.chunks(2) {
        let (name, value) = match pair {
            ["--runs", value] => ("LARDER_THREADS", value),
            ["--seed", value] => ("LARDER_THREADS_SEED", value),
            _ => return Err(USAGE.to_owned()),
        };
        let number = value.parse::<u64>();
        number.map_err(|_| format!("{}: {value} is no number\n{USAGE}", pair[0]))?;
        command.env(name, value);
    }
    shell::run(&mut command)
}

/// The tests, as `cargo xtask test` runs them.
pub(crate) fn command() -> Command {
    let mut command = shell::cargo(&workspace::root());
    command.args(["test", "--package", "larder", "--lib"]);
    command.args(["--features", "shuttle", "--", "threads::"]);
    // Thousands of runs end with a panic, as they must.
    command.env("RUST_BACKTRACE", "0");
    command
}
