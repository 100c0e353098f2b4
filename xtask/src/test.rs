//! `cargo xtask test`: every check of the project, in order, as a person and CI both run it.
//!
//! Cheap checks come first. The first step that fails ends the run with its name; the last line
//! printed is always the sum of the tests, so that the outcome of a run can be read off its end.

mod examples;
mod tally;

use std::path::Path;
use std::process::ExitCode;

use crate::clock::Stopwatch;
use crate::setup::{self, Readiness};
use crate::{shell, threads, tidy, workspace};
use tally::Tally;

/// How much of the checks to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All steps: what CI runs.
    Everything,
    /// What needs no servers, no installs and no documentation build.
    Quick,
}

/// What the steps share.
struct Run {
    root: std::path::PathBuf,
    extent: Extent,
    readiness: Readiness,
    tally: Tally,
}

type Step = (&'static str, fn(&mut Run) -> Result<(), String>);

const EVERYTHING: [Step; 8] = [
    ("setup", install),
    ("format", format),
    ("clippy", clippy),
    ("tidy", |_| tidy::run()),
    ("tests", tests),
    ("threads", threads),
    ("docs", docs),
    ("examples", |run| examples::run(&run.root)),
];

const QUICK: [Step; 4] = [
    ("format", format),
    ("clippy", clippy),
    ("tidy", |_| tidy::run()),
    ("tests", tests),
];

/// Runs the steps of `extent` and says how they ended; the sum of the tests is the last line.
pub(crate) fn run(extent: Extent) -> ExitCode {
    let root = workspace::root();
    let mut run = Run {
        root,
        extent,
        readiness: Readiness::Incomplete,
        tally: Tally::default(),
    };
    let steps: &[Step] = match extent {
        Extent::Everything => &EVERYTHING,
        Extent::Quick => &QUICK,
    };
    let outcome = run_steps(&mut run, steps);
    if let Err(message) = &outcome {
        eprintln!("xtask: {message}");
    }
    for name in run.tally.unsteady() {
        println!("unsteady, passed only when run again by itself: {name}");
    }
    if run.tally.seen() {
        println!("{}", run.tally);
    }
    if outcome.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run_steps(run: &mut Run, steps: &[Step]) -> Result<(), String> {
    for (index, (name, step)) in steps.iter().enumerate() {
        println!("==> [{}/{}] {name}", index + 1, steps.len());
        let watch = Stopwatch::start();
        let outcome = step(run);
        let seconds = watch.elapsed().as_secs_f64();
        if let Err(message) = outcome {
            return Err(format!(
                "step `{name}` failed after {seconds:.1} s: {message}"
            ));
        }
        println!("<== [{}/{}] {name}: {seconds:.1} s", index + 1, steps.len());
    }
    Ok(())
}

fn install(run: &mut Run) -> Result<(), String> {
    run.readiness = setup::run()?;
    Ok(())
}

fn format(run: &mut Run) -> Result<(), String> {
    shell::run(shell::cargo(&run.root).args(["fmt", "--all", "--check"]))
        .map_err(|message| format!("{message}; `cargo fmt --all` repairs it"))
}

fn clippy(run: &mut Run) -> Result<(), String> {
    let mut command = shell::cargo(&run.root);
    shell::run(command.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn tests(run: &mut Run) -> Result<(), String> {
    let mut command = test_command(&run.root, run.extent);
    if run.readiness == Readiness::Complete {
        // Everything was found a moment ago: a test that skips now would hide a mistake.
        command.env("LARDER_REQUIRE_SERVERS", "1");
    }
    let tally = &mut run.tally;
    let success = shell::tee(&mut command, |line| tally.read(line))?;
    if let Some(names) = tally.worth_another_try() {
        // Beside hundreds of others a server may be late. What is wrong is wrong by itself, too.
        println!("once more, by themselves: {}", names.join(", "));
        if run.extent == Extent::Everything {
            // Not the examples of the documentation, whose names are none.
            command.arg("--tests");
        }
        command.args(["--", "--exact"]).args(names);
        let mut again = Tally::default();
        shell::tee(&mut command, |line| again.read(line))?;
        tally.settle(&again);
    }
    if run.tally.failed > 0 {
        return Err(format!("tests failed: {}", run.tally.failed));
    }
    if !success && run.tally.unsteady().is_empty() {
        return Err(String::from(
            "`cargo test` failed without naming a test (see above)",
        ));
    }
    if run.tally.passed == 0 {
        return Err(String::from("no tests were run"));
    }
    Ok(())
}

fn threads(run: &mut Run) -> Result<(), String> {
    let tally = &mut run.tally;
    match shell::tee(&mut threads::command(), |line| tally.read(line))? {
        true => Ok(()),
        false => Err(String::from(
            "an order of threads broke a model (see above)",
        )),
    }
}

fn test_command(root: &Path, extent: Extent) -> std::process::Command {
    let mut command = shell::cargo(root);
    command.args(["test", "--workspace", "--no-fail-fast"]);
    if extent == Extent::Quick {
        command.args(["--lib", "--bins"]);
    }
    command
}

fn docs(run: &mut Run) -> Result<(), String> {
    let mut command = shell::cargo(&run.root);
    command
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    shell::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run {
            root: workspace::root(),
            extent: Extent::Quick,
            readiness: Readiness::Incomplete,
            tally: Tally::default(),
        }
    }

    #[test]
    fn the_first_failing_step_ends_the_run_and_is_named() {
        let steps: [Step; 3] = [
            ("first", |_| Ok(())),
            ("second", |_| Err(String::from("reason"))),
            ("third", |_| panic!("a step ran after one that failed")),
        ];
        let message = run_steps(&mut run(), &steps).unwrap_err();
        assert!(
            message.starts_with("step `second` failed after "),
            "{message}"
        );
        assert!(message.ends_with(": reason"), "{message}");
    }

    #[test]
    fn the_quick_run_is_part_of_the_whole() {
        for (name, _) in QUICK {
            assert!(EVERYTHING.iter().any(|(whole, _)| *whole == name), "{name}");
        }
    }
}
