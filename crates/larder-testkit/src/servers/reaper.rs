//! Ends what a test process leaves behind when it is killed.
//!
//! A process that is killed drops nothing, and its servers would go on for ever. A shell of its own
//! process group is told which processes there are, over a pipe; when the pipe ends, so did whoever
//! held it, and the shell kills what is left on its list.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Keeps the list, and kills at the end. Frozen processes end by it as well.
const SCRIPT: &str = r#"
list=' '
while read -r sign pid; do
    case "$sign" in
    +) list="$list$pid " ;;
    -) list="${list%% "$pid" *} ${list#* "$pid" }" ;;
    esac
done
for pid in $list; do kill -9 "$pid"; done 2>/dev/null
"#;

static REAPER: OnceLock<Option<Mutex<ChildStdin>>> = OnceLock::new();

/// This process is to end with the present one.
pub(super) fn watch(pid: u32) {
    tell('+', pid);
}

/// It has ended, and its number may soon be somebody else's.
pub(super) fn forget(pid: u32) {
    tell('-', pid);
}

fn tell(sign: char, pid: u32) {
    let Some(pipe) = REAPER.get_or_init(start) else {
        return;
    };
    if let Ok(mut pipe) = pipe.lock() {
        // Without a reaper, tests run as well.
        let _ = writeln!(pipe, "{sign} {pid}");
    }
}

#[cfg(unix)]
fn start() -> Option<Mutex<ChildStdin>> {
    use std::os::unix::process::CommandExt;

    let child = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    child.ok()?.stdin.map(Mutex::new)
}

#[cfg(not(unix))]
fn start() -> Option<Mutex<ChildStdin>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> std::process::Child {
        let mut command = Command::new("sleep");
        command
            .arg("1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.spawn().expect("a process can be started")
    }

    #[test]
    fn what_is_left_when_the_pipe_ends_is_killed_and_what_was_forgotten_is_not() {
        let mut children: Vec<_> = (0..3).map(|_| sleeper()).collect();
        let pipe = start().expect("there is a shell");
        let mut pipe = pipe.into_inner().expect("nobody has panicked");
        for child in &children {
            writeln!(pipe, "+ {}", child.id()).expect("it listens");
        }
        writeln!(pipe, "- {}", children[1].id()).expect("it listens");
        drop(pipe);
        for child in [0, 2] {
            let ended = children[child].wait().expect("it can be waited for");
            assert!(!ended.success(), "it was killed");
        }
        let spared = children[1].try_wait().expect("it can be asked");
        assert_eq!(spared, None, "it was forgotten");
        children[1].kill().expect("it runs");
        children[1].wait().expect("it ends");
    }
}
