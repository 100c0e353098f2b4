//! Larder's own build and test commands: `cargo xtask <command>`.
//!
//! One command is what a contributor types before pushing and what CI runs, so the two can never
//! disagree. Everything is plain Rust and ordinary processes: no shell of a given kind is assumed,
//! except where Debian packages are installed (`setup`).

mod clock;
mod setup;
mod shell;
mod sim;
mod test;
mod threads;
mod tidy;
mod workspace;

use std::process::ExitCode;

/// The page that `cargo xtask help` prints.
const HELP: &str = "\
Larder's build and test commands.

USAGE
    cargo xtask <command>

COMMANDS
    test            Run everything that CI runs, in order, and stop at the first step that fails:
                    setup, format, clippy, tidy, tests (unit, integration, doc), threads, docs,
                    examples.
                    The last line is the sum of all tests: `N passed, N failed`.
    test --quick    Only what needs no servers and no installs: format, clippy, tidy, unit tests.
    setup           Install what the tests need: redis-server, redis-cli, redis-benchmark, openssl,
                    a Python environment in target/venv and Node packages in target/node.
    sim             Run the simulation with many seeds, or replay one (docs/simulation.md):
                    [--seeds N] [--from S] [--seed S] [--setup NAME] [--store NAME]
                    [--mutant NAME] [--mutants] [--rewinds] [--repeats].
    compare         Compare the simulated Redis with a real one (docs/simulation.md):
                    [--sequences N] [--from S].
    threads         Try orders of threads in the near cache, flights and the link
                    (docs/threads.md): [--runs N] [--seed S].
    tidy            Check the rules of the house that the compiler cannot see (CONTRIBUTING.md).
    help            Print this page.

ENVIRONMENT
    CI=true                     A missing tool is an error instead of a skipped test.
    LARDER_REQUIRE_SERVERS=1    The same, for tests only; `test` sets it when setup is complete.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => return test::run(test::Extent::Everything),
        ["test", "--quick"] => return test::run(test::Extent::Quick),
        ["setup"] => setup::run().map(|_| ()),
        ["sim", words @ ..] => return sim::run("sim", words),
        ["threads", words @ ..] => threads::run(words),
        ["compare", words @ ..] => return sim::run("compare", words),
        ["tidy"] => tidy::run(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(format!("unknown command `{}`\n\n{HELP}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
