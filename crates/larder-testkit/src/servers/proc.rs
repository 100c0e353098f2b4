//! A process that serves: started, watched until it is ready, measured, hurt, and never left over.
//!
//! Its output goes to a file, so that it never blocks on a full pipe, and so that a failure can
//! show what the process had to say.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{reaper, wait};

/// How much of the log an error shows.
const LOG_TAIL_LINES: usize = 30;

/// A running process with its log. Dropping it kills the process.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    /// Known once the process has ended and was waited for; its id may then be somebody else's.
    ended: Option<ExitStatus>,
    log: PathBuf,
}

impl Daemon {
    /// Starts a command whose output goes to the file `log`, which is emptied first.
    ///
    /// # Errors
    ///
    /// The reason why the log could not be made or the command could not be started.
    pub fn spawn(command: &mut Command, log: &Path) -> io::Result<Self> {
        let name = Path::new(command.get_program())
            .file_name()
            .unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let stdout = File::create(log)?;
        let stderr = stdout.try_clone()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        reaper::watch(child.id());
        Ok(Self {
            name,
            child,
            ended: None,
            log: log.to_path_buf(),
        })
    }

    /// Blocks until `is_ready` holds, which is given the log so far.
    ///
    /// # Errors
    ///
    /// If the process ends first, or `limit` is over; both show the end of the log.
    pub fn wait_ready(
        &mut self,
        limit: Duration,
        is_ready: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let waited = wait::until(limit, "readiness", || {
            let has_ended = !self.is_running();
            has_ended || is_ready(&self.log())
        });
        let problem = match (self.ended, waited) {
            (None, Ok(())) => return Ok(()),
            (Some(status), _) => format!("ended before it was ready: {status}"),
            (None, Err(timed_out)) => timed_out.to_string(),
        };
        Err(io::Error::other(format!(
            "{}: {problem}; its log:\n{}",
            self.name,
            self.log_tail()
        )))
    }

    /// Returns what the process has printed so far, stdout and stderr as one.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the process has not ended; a stopped one has not.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            let ended = self.child.try_wait().ok().flatten();
            self.note(ended);
        }
        self.ended.is_none()
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only if the process has ended already, which is what is wanted.
        let _ = self.child.kill();
        let ended = self.child.wait().ok();
        self.note(ended);
    }

    fn note(&mut self, ended: Option<ExitStatus>) {
        if ended.is_some() && self.ended.is_none() {
            reaper::forget(self.child.id());
        }
        self.ended = self.ended.or(ended);
    }

    /// Asks the process to end (SIGTERM) and returns how it did, or `None` if not within `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.send(Signal::TERM);
        let _ = wait::until(limit, "the end", || !self.is_running());
        self.ended
    }

    /// Freezes the process (SIGSTOP): its sockets stay open and nobody answers.
    pub fn stop_signal(&self) {
        self.send(Signal::STOP);
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn cont_signal(&self) {
        self.send(Signal::CONT);
    }

    /// Returns the memory that the process holds (resident set), in KiB; 0 if it has ended.
    pub fn rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Returns the processor time that the process has used, user and system; 0 if it has ended.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        Duration::from_secs_f64(cpu_ticks(&stat) as f64 / ticks_per_second.max(1) as f64)
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // While the child has not been waited for, its id cannot belong to another process.
        if let Some(pid) = pid.filter(|_| self.ended.is_none()) {
            let _ = kill_process(pid, signal);
        }
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads `utime` and `stime`, fields 14 and 15 of `/proc/<pid>/stat`.
fn cpu_ticks(stat: &str) -> u64 {
    // Field 2 is the name in parentheses and may hold blanks: count from its end.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_the_name() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20";
        assert_eq!(cpu_ticks(stat), 42);
        assert_eq!(cpu_ticks(""), 0);
    }
}
