//! `cargo xtask sim` and `cargo xtask compare`: what tests do with a bounded number of seeds, built in
//! release mode and with as many as one likes. What they take and print is the business of the
//! programs themselves (`larder-testkit`, `src/bin`).

use std::process::ExitCode;

use crate::{shell, workspace};

/// Builds and runs a program of the test kit; its outcome is that of the command.
pub(crate) fn run(program: &str, words: &[&str]) -> ExitCode {
    let mut command = shell::cargo(&workspace::root());
    command.args(["run", "--quiet", "--release", "--package", "larder-testkit"]);
    command.args(["--bin", program, "--"]).args(words);
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        // 1: something was found; 2: it was called in a wrong way.
        Ok(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            ExitCode::from(code.unwrap_or(1))
        }
        Err(error) => {
            eprintln!("xtask: {program} could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}
