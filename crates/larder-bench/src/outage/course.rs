//! What was told and counted in the course of a run.

/// What one process has done so far, at one instant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tick {
    pub(crate) at: i64,
    /// Reads that were begun, ended, ended with an error, and given a stale value.
    pub(crate) offered: u64,
    pub(crate) answered: u64,
    pub(crate) errors: u64,
    pub(crate) stale: u64,
    /// Calls of the source.
    pub(crate) source: u64,
    /// The longest read that ended since the tick before, in microseconds.
    pub(crate) longest: u64,
    /// 0 while the breaker is closed.
    pub(crate) breaker: u64,
}

impl Tick {
    pub(crate) fn parse(line: &str) -> Option<Tick> {
        let mut words = line.split(' ');
        let at = words.next()?.parse().ok()?;
        let mut word = || words.next()?.parse().ok();
        Some(Tick {
            at,
            offered: word()?,
            answered: word()?,
            errors: word()?,
            stale: word()?,
            source: word()?,
            longest: word()?,
            breaker: word()?,
        })
    }

    pub(crate) fn line(&self) -> String {
        let Tick {
            at,
            offered,
            answered,
            errors,
            stale,
            source,
            longest,
            breaker,
        } = self;
        format!("{at} {offered} {answered} {errors} {stale} {source} {longest} {breaker}")
    }
}

/// A run; instants are in nanoseconds.
pub(crate) struct Course {
    pub(crate) steady: i64,
    pub(crate) killed: i64,
    pub(crate) returned: i64,
    pub(crate) ended: i64,
    /// Of each process.
    pub(crate) ticks: Vec<Vec<Tick>>,
    /// Commands of the steady time.
    pub(crate) commands_steady: u64,
    /// Commands since the return, at instants.
    pub(crate) commands_after: Vec<(i64, u64)>,
}

/// What a stretch of a run comes to.
pub(crate) struct Stretch {
    pub(crate) seconds: f64,
    pub(crate) offered: u64,
    pub(crate) errors: u64,
    pub(crate) stale: u64,
    pub(crate) source: u64,
    pub(crate) longest: u64,
}

impl Stretch {
    /// Calls of the source in a second.
    pub(crate) fn source_rate(&self) -> f64 {
        self.source as f64 / self.seconds
    }
}

impl Course {
    pub(crate) fn stretch(&self, from: i64, to: i64) -> Stretch {
        let mut sum = Stretch {
            seconds: (to - from) as f64 / 1e9,
            offered: 0,
            errors: 0,
            stale: 0,
            source: 0,
            longest: 0,
        };
        for ticks in &self.ticks {
            let at = |instant: i64| {
                let before = ticks.iter().take_while(|tick| tick.at <= instant);
                before.last().copied().unwrap_or_default()
            };
            let (first, last) = (at(from), at(to));
            sum.offered += last.offered - first.offered;
            sum.errors += last.errors - first.errors;
            sum.stale += last.stale - first.stale;
            sum.source += last.source - first.source;
            let within = ticks.iter().filter(|tick| tick.at > from && tick.at <= to);
            let longest = within.map(|tick| tick.longest).max();
            sum.longest = sum.longest.max(longest.unwrap_or(0));
        }
        sum
    }

    /// Most calls of the source in one second of a stretch.
    pub(crate) fn worst_second(&self, from: i64, to: i64) -> u64 {
        let seconds = (from..to).step_by(1_000_000_000);
        let end = |begin: i64| to.min(begin + 1_000_000_000);
        let calls = seconds.map(|begin| self.stretch(begin, end(begin)).source);
        calls.max().unwrap_or(0)
    }

    /// How long after `from` the breakers of all processes were as wanted, in seconds.
    pub(crate) fn breakers(&self, from: i64, is_wanted: impl Fn(u64) -> bool) -> Option<f64> {
        let mut latest = from;
        for ticks in &self.ticks {
            let mut after = ticks.iter().filter(|tick| tick.at > from);
            latest = latest.max(after.find(|tick| is_wanted(tick.breaker))?.at);
        }
        Some((latest - from) as f64 / 1e9)
    }

    /// Reads that have not ended by the end.
    pub(crate) fn unanswered(&self) -> u64 {
        let last = self.ticks.iter().filter_map(|ticks| ticks.last());
        last.map(|tick| tick.offered - tick.answered).sum()
    }
}
