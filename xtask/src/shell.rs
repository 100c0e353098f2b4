//! Running other programs: by name, with their output streamed, captured or both.
//!
//! A failed program becomes a message that repeats its command line, so that it can be pasted and
//! run by hand.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Returns the path of `program` in `PATH`, if there is one.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Returns the cargo that started this process, so that toolchain overrides hold for its children.
pub(crate) fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    // `cargo run` describes xtask to us in these; passed on, they would describe it to the build
    // scripts of other crates, and make them run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command with its output going straight to the user.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{}` failed: {status}", line(command)))
}

/// Runs a command quietly and returns what it printed; on failure the message has its stderr.
pub(crate) fn read(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "`{}` failed: {}\n{}",
        line(command),
        output.status,
        stderr.trim_end()
    ))
}

/// Returns whether a command could be started and succeeded; prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Runs a command, printing each line of its stdout as it comes and showing it to `watch` too.
///
/// Returns whether the command succeeded; stderr is the user's, untouched.
pub(crate) fn tee(command: &mut Command, mut watch: impl FnMut(&str)) -> Result<bool, String> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let stdout = child
        .stdout
        .take()
        .ok_or("the child's stdout was not piped")?;
    let mut reader = BufReader::new(stdout);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        // Bytes, not lines: a test may print what is not UTF-8, and that must not end the run.
        let length = reader
            .read_until(b'\n', &mut bytes)
            .map_err(|error| error.to_string())?;
        if length == 0 {
            break;
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&bytes)
            .and_then(|()| out.flush())
            .map_err(|error| error.to_string())?;
        watch(String::from_utf8_lossy(&bytes).trim_end());
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(status.success())
}

/// Runs a command that must end by itself within `limit`; one that does not is killed.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<(), String> {
    let shown = line(command);
    let mut child = command
        .spawn()
        .map_err(|error| not_started(command, &error))?;
    let pid = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || {
        // The receiver lives until this thread is joined, so sending cannot fail.
        let _ = sender.send(child.wait());
    });
    let ended = receiver.recv_timeout(limit);
    if ended.is_err() {
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
    }
    let _ = waiter.join();
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("`{shown}` failed: {status}")),
        Ok(Err(error)) => Err(format!("`{shown}`: {error}")),
        Err(_) => Err(format!(
            "`{shown}` did not end within {} s",
            limit.as_secs()
        )),
    }
}

fn not_started(command: &Command, error: &std::io::Error) -> String {
    format!("`{}` could not be started: {error}", line(command))
}

/// Returns the command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    let words = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name)
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_repeats_the_command_line() {
        let message = run(&mut sh("exit 3")).unwrap_err();
        assert!(message.starts_with("`sh -c exit 3` failed:"), "{message}");
    }

    #[test]
    fn tee_sees_every_line_and_the_outcome() {
        let mut seen = Vec::new();
        let watch = |line: &str| seen.push(line.to_owned());
        assert!(!tee(&mut sh("printf 'one\\ntwo'; exit 1"), watch).unwrap());
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let message = run_within(&mut sh("exec tail -f /dev/null"), Duration::from_millis(50));
        assert!(message.unwrap_err().ends_with("did not end within 0 s"));
    }

    #[test]
    fn what_is_not_in_path_is_not_found() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-at-all").is_none());
    }
}
