//! This program again, in several processes: each is told lines on its standard input and answers
//! with lines on its standard output.

use std::env;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Nothing takes this long unless something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the processes. It ends with its handle.
pub(crate) struct Member {
    _process: Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Member {
    /// Starts one and waits until it says that it is ready.
    pub(crate) async fn start(arguments: &[&str]) -> Member {
        let program = env::current_exe().expect("this program has a path");
        let process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = process.expect("this program starts");
        let answers = process.stdout.take().expect("it is piped");
        let mut member = Member {
            ask: process.stdin.take().expect("it is piped"),
            answers: BufReader::new(answers).lines(),
            _process: process,
        };
        assert_eq!(member.hear().await, "ready");
        member
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        let told = self.ask.write_all(format!("{line}\n").as_bytes()).await;
        told.expect("the process runs");
    }

    pub(crate) async fn hear(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        let line = line.expect("it answers within a minute");
        line.ok().flatten().expect("the process runs")
    }
}

/// What a member says to whoever started it. Where that one is gone, it ends as well.
pub(crate) fn say(line: &str) {
    let said = writeln!(std::io::stdout(), "{line}");
    said.unwrap_or(());
}

/// Waits for an instant of [`instant`](crate::measure::instant).
pub(crate) async fn wait_until(instant: i64) {
    let left = instant - crate::measure::instant();
    let left = Duration::from_nanos(u64::try_from(left).unwrap_or(0));
    tokio::time::sleep(left).await;
}

/// The value of an option among the arguments, as `--name value`.
///
/// # Errors
///
/// What is wrong, for whoever has typed it.
pub(crate) fn option<'a>(
    arguments: &mut Vec<&'a str>,
    name: &str,
) -> Result<Option<&'a str>, String> {
    let Some(at) = arguments.iter().position(|argument| *argument == name) else {
        return Ok(None);
    };
    arguments.remove(at);
    if at == arguments.len() {
        return Err(format!("{name} needs a value"));
    }
    Ok(Some(arguments.remove(at)))
}

/// The same for a number.
pub(crate) fn number(arguments: &mut Vec<&str>, name: &str, default: u64) -> Result<u64, String> {
    let Some(value) = option(arguments, name)? else {
        return Ok(default);
    };
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{name} takes a number above 0, not {value:?}")),
    }
}

/// Whether a flag is among the arguments.
pub(crate) fn flag(arguments: &mut Vec<&str>, name: &str) -> bool {
    let before = arguments.len();
    arguments.retain(|argument| *argument != name);
    arguments.len() < before
}
