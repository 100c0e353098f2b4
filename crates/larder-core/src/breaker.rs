//! When to leave a server alone: the circuit breaker in front of it, and the budget of repetitions.
//!
//! A server that does not answer costs each caller its timeout, and a server that is too slow gets no
//! faster by more requests. Past a share of failed or slow calls the breaker *opens*: calls are refused
//! at once. After a pause it is *half-open*: a few calls go through, and if enough of them go well it
//! *closes* (Nygard, "Release It!", 2007; the windows and rates are those of resilience4j).
//!
//! Only what a server does counts: a refusal is an answer, a miss is a success, and a call whose caller
//! went away says nothing.

mod budget;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::runtime::Mono;

pub use budget::Budget;

/// When a breaker opens, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerPolicy {
    /// How many calls are looked back at.
    pub calls: usize,
    /// None that ended longer ago than this is looked back at.
    pub period: Duration,
    /// It never opens on fewer calls.
    pub least_calls: usize,
    /// It opens when so many of a hundred have failed.
    pub failed_percent: u8,
    /// It opens when so many of a hundred were slow.
    pub slow_percent: u8,
    /// A call is slow that takes longer.
    pub slow: Duration,
    /// The first pause. Each one that follows on a failed attempt is twice as long.
    pub first_pause: Duration,
    /// The longest pause. To both, up to a quarter is added or taken away at random.
    pub longest_pause: Duration,
    /// Calls that are let through at once while it is half-open.
    pub probes: u32,
    /// It closes after so many of them went well.
    pub successes: u32,
}

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy {
            calls: 100,
            period: Duration::from_secs(10),
            least_calls: 20,
            failed_percent: 50,
            slow_percent: 60,
            slow: Duration::from_millis(250),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            probes: 3,
            successes: 5,
        }
    }
}

/// What a breaker does with calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum BreakerState {
    /// All go through.
    Closed,
    /// None does.
    Open,
    /// A few do, and decide.
    HalfOpen,
}

impl BreakerState {
    /// The state as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The server answered, whatever it said, after so long.
    Answered(Duration),
    /// It did not, or said that it cannot.
    Failed,
    /// Nobody can tell: the caller went away, or the call was never sent.
    Unknown,
}

/// The right to make one call; its end must be told to [`Breaker::ended`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Pass {
    /// The state in which it was given, by number.
    turn: u64,
}

/// Open, half-open or closed gate before one server.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// Rises with each change of state: what began in an earlier one decides nothing any more.
    turn: u64,
    window: Window,
    /// Attempts since it was closed last.
    attempts: u32,
}

#[derive(Clone, Debug)]
enum State {
    Closed,
    Open { until: Mono },
    HalfOpen { under_way: u32, well: u32 },
}

impl Breaker {
    /// A closed one.
    pub fn new(policy: BreakerPolicy) -> Breaker {
        Breaker {
            policy,
            state: State::Closed,
            turn: 0,
            window: Window::default(),
            attempts: 0,
        }
    }

    /// What it does now.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// A pass for a call, or how long calls are refused for. A `vital` one is made all the same: it is
    /// small, there are few of them, and too much hangs on it (the polls by which copies live); and
    /// how it ends shows early that a server is back.
    pub fn enter(&mut self, now: Mono, vital: bool) -> Result<Pass, Duration> {
        if let State::Open { until } = self.state {
            match now < until {
                true if vital => return Ok(self.pass()),
                true => return Err(until.since(now)),
                false => self.half_open(),
            }
        }
        if let State::HalfOpen { under_way, .. } = &mut self.state {
            if *under_way >= self.policy.probes && !vital {
                return Err(Duration::ZERO);
            }
            *under_way += 1;
        }
        Ok(self.pass())
    }

    fn pass(&self) -> Pass {
        Pass { turn: self.turn }
    }

    /// Takes the end of a call into account; the new state, if that changes it. `random` draws
    /// a number, if one is needed.
    pub fn ended(
        &mut self,
        pass: Pass,
        ended: Ended,
        now: Mono,
        random: impl FnOnce() -> u64,
    ) -> Option<BreakerState> {
        if pass.turn != self.turn {
            return None;
        }
        let is_slow = matches!(ended, Ended::Answered(took) if took > self.policy.slow);
        let call = Call {
            ended_at: now,
            failed: ended == Ended::Failed,
            slow: is_slow,
        };
        match &mut self.state {
            State::Closed => {
                if ended == Ended::Unknown {
                    return None;
                }
                self.window.push(call, &self.policy);
                // A call that goes well is no reason, whatever there was before it: the server may be back.
                let is_reason = call.failed || call.slow;
                if !is_reason || !self.window.is_bad(&self.policy) {
                    return None;
                }
                self.open(now, random());
            }
            // Only vital ones are made now.
            State::Open { .. } => {
                if call.failed || call.slow || ended == Ended::Unknown {
                    return None;
                }
                self.half_open();
            }
            State::HalfOpen { under_way, well } => {
                *under_way = under_way.saturating_sub(1);
                if ended == Ended::Unknown {
                    return None;
                }
                if call.failed || call.slow {
                    self.open(now, random());
                } else {
                    *well += 1;
                    if *well < self.policy.successes {
                        return None;
                    }
                    self.close();
                }
            }
        }
        Some(self.state())
    }

    /// There is a new connection to the server: it is worth an attempt. The new state, if that
    /// changes it.
    pub fn reachable(&mut self) -> Option<BreakerState> {
        if !matches!(self.state, State::Open { .. }) {
            return None;
        }
        self.half_open();
        Some(BreakerState::HalfOpen)
    }

    /// Failed calls, slow calls and all calls that it looks back at.
    pub fn looked_at(&self) -> (usize, usize, usize) {
        (
            self.window.failed,
            self.window.slow,
            self.window.calls.len(),
        )
    }

    fn open(&mut self, now: Mono, random: u64) {
        let pause = self.pause(random);
        self.attempts = self.attempts.saturating_add(1);
        self.state = State::Open {
            until: now.after(pause),
        };
        self.turn += 1;
    }

    fn half_open(&mut self) {
        self.state = State::HalfOpen {
            under_way: 0,
            well: 0,
        };
        self.turn += 1;
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.turn += 1;
        self.attempts = 0;
        self.window = Window::default();
    }

    /// Twice as long as the one before, and a quarter longer or shorter, so that the clients of a
    /// server do not come back together.
    fn pause(&self, random: u64) -> Duration {
        let doubled = self
            .policy
            .first_pause
            .saturating_mul(1 << self.attempts.min(16));
        let pause = doubled.min(self.policy.longest_pause);
        let quarter = pause / 4;
        let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
        pause - quarter + (quarter * 2).mul_f64(share)
    }
}

#[derive(Clone, Copy, Debug)]
struct Call {
    ended_at: Mono,
    failed: bool,
    slow: bool,
}

/// The last calls.
#[derive(Clone, Default, Debug)]
struct Window {
    calls: VecDeque<Call>,
    failed: usize,
    slow: usize,
}

impl Window {
    fn push(&mut self, call: Call, policy: &BreakerPolicy) {
        self.failed += usize::from(call.failed);
        self.slow += usize::from(call.slow);
        self.calls.push_back(call);
        while let Some(first) = self.calls.front() {
            let is_old = call.ended_at.since(first.ended_at) > policy.period;
            if !is_old && self.calls.len() <= policy.calls {
                break;
            }
            self.failed -= usize::from(first.failed);
            self.slow -= usize::from(first.slow);
            self.calls.pop_front();
        }
    }

    fn is_bad(&self, policy: &BreakerPolicy) -> bool {
        let all = self.calls.len();
        let reaches = |part: usize, percent: u8| part * 100 >= all * usize::from(percent);
        all >= policy.least_calls.max(1)
            && (self.failed > 0 && reaches(self.failed, policy.failed_percent)
                || self.slow > 0 && reaches(self.slow, policy.slow_percent))
    }
}
