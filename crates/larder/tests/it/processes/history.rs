//! What was acknowledged when, and whether what processes have read is in keeping with it.

use std::collections::BTreeMap;
use std::time::Duration;

use larder::core::lane::LEASE;

use super::engine::ROWS;

/// The engine's clock is coarse: it may be a tick behind, which is 10 ms at most.
const TICK: Duration = Duration::from_millis(15);

/// Rows whose values only grow. Times are of the clock that all processes of a machine share.
pub(super) struct History {
    acknowledged: Vec<Vec<(u64, u64)>>,
    /// From here on every read must be of the last value.
    well_since: u64,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Processes that have read something.
    pub(super) lives: usize,
    pub(super) near: u64,
    pub(super) remote: u64,
    pub(super) loaded: u64,
    pub(super) stale: u64,
    pub(super) failed: u64,
    /// Reads once all was well again.
    pub(super) last: u64,
    /// By how much a fresh value was behind at most.
    pub(super) worst: Duration,
    pub(super) changes: u64,
    /// Changes that had to be repeated.
    pub(super) repeated: u64,
    pub(super) faults: BTreeMap<String, u64>,
}

pub(super) struct Verdict {
    pub(super) tally: Tally,
    /// Reads that broke a promise.
    pub(super) broken: Vec<String>,
}

impl History {
    pub(super) fn new() -> History {
        History {
            acknowledged: vec![Vec::new(); ROWS as usize],
            well_since: u64::MAX,
        }
    }

    pub(super) fn acknowledged(&mut self, key: u64, value: u64, at: u64) {
        self.acknowledged[key as usize].push((at, value));
    }

    pub(super) fn all_is_well(&mut self, at: u64) {
        self.well_since = at;
    }

    pub(super) fn changes(&self) -> u64 {
        self.acknowledged.iter().map(|row| row.len() as u64).sum()
    }

    /// Holds all that a process has written down against this.
    pub(super) fn judge(&self, log: &str, verdict: &mut Verdict) {
        // What follows the last line end was cut short when the process was killed.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut has_read = false;
        for line in whole.lines() {
            has_read |= self.judge_line(line, verdict).is_some();
        }
        verdict.tally.lives += usize::from(has_read);
    }

    /// `None` for what is no read.
    fn judge_line(&self, line: &str, verdict: &mut Verdict) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let (source, key) = (words.next()?, words.next()?.parse::<u64>().ok()?);
        let began = words.next()?.parse::<u64>().ok()?;
        let tally = &mut verdict.tally;
        let count = match source {
            "near" => &mut tally.near,
            "remote" => &mut tally.remote,
            "loaded" => &mut tally.loaded,
            "stale" => &mut tally.stale,
            "failed" => &mut tally.failed,
            _ => return None,
        };
        *count += 1;
        if source == "stale" || source == "failed" {
            return Some(());
        }
        let value = words.next()?.parse::<u64>().ok()?;
        let row = &self.acknowledged[key as usize];
        let first = row.partition_point(|(_, newer)| *newer <= value);
        let superseded = row.get(first).map(|(at, _)| *at);
        let behind = superseded.map_or(0, |at| began.saturating_sub(at));
        let behind = Duration::from_nanos(behind);
        let is_well = began >= self.well_since;
        tally.last += u64::from(is_well);
        tally.worst = tally.worst.max(behind);
        if behind > LEASE + TICK || (is_well && superseded.is_some()) {
            let text = format!("{line}: superseded {behind:?} before it was asked for");
            verdict.broken.push(text);
        }
        Some(())
    }
}
