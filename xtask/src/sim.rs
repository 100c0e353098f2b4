//! `cargo xtask sim`: the simulation, built in release mode, with more seeds than tests have time
//! for. What it takes and prints is the runner's business (`larder-testkit`, `src/bin/sim.rs`).

use std::process::ExitCode;

use crate::{shell, workspace};

/// Builds and runs the simulation; its outcome is that of the command.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let mut command = shell::cargo(&workspace::root());
    command.args(["run", "--quiet", "--release", "--package", "larder-testkit"]);
    command.args(["--bin", "sim", "--"]).args(words);
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        // 1: a promise was broken; 2: it was called in a wrong way.
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            ExitCode::from(code.unwrap_or(1))
        }
        Err(error) => {
            eprintln!("xtask: the simulation could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}
