//! How fast loads begin after everything was lost at once: a bucket of tokens whose rate grows.

use std::time::Duration;

use larder_core::runtime::Mono;

use crate::options::IntoDuration;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// The part of a second that the bucket holds.
const BURST: f64 = 0.1;
/// However slow the ramp: somebody looks again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many loads a second begin after a cache was built or cleared: a few at first, then more and
/// more, so that the source sees a ramp and not a flood. Part of a [`LoadLimit`](crate::LoadLimit),
/// whose queue the others wait in.
///
/// The rate is that of one process. With leases in a remote tier each key is loaded by one process, so
/// that a cluster begins at most as many times this rate as it has processes.
#[derive(Clone, Debug)]
#[must_use]
pub struct Ramp {
    rate: f64,
    double_every: Result<Duration, String>,
    over: Result<Duration, String>,
}

impl Ramp {
    /// So many loads a second at the beginning.
    pub fn from(rate: f64) -> Ramp {
        Ramp {
            rate,
            double_every: Ok(Duration::from_secs(2)),
            over: Ok(Duration::from_secs(20)),
        }
    }

    /// The rate is twice as high each time that this has passed. Default: 2 s.
    pub fn double_every(mut self, period: impl IntoDuration) -> Ramp {
        self.double_every = period.into_duration();
        self
    }

    /// When the ramp ends; from then on loads begin as they come. Default: 20 s, when the rate is a
    /// thousand times that of the beginning.
    pub fn over(mut self, over: impl IntoDuration) -> Ramp {
        self.over = over.into_duration();
        self
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(format!(
                "ramp: the rate is {}; it must be more than zero",
                self.rate
            ));
        }
        for (name, setting) in [("double_every", &self.double_every), ("over", &self.over)] {
            match setting {
                Err(error) => return Err(format!("ramp {name}: {error}")),
                Ok(period) if period.is_zero() => {
                    return Err(format!("ramp {name}: must be more than zero"));
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

/// The bucket of a ramp that is under way.
struct Bucket {
    rate: f64,
    double_every: f64,
    began: Mono,
    until: Mono,
    tokens: f64,
    at: Mono,
}

impl Bucket {
    fn refill(&mut self, now: Mono) {
        let age = now.since(self.began).as_secs_f64();
        let rate = self.rate * (age / self.double_every).exp2();
        let more = rate * now.since(self.at).as_secs_f64();
        self.tokens = (self.tokens + more).min((rate * BURST).max(1.0));
        self.at = now;
    }

    /// How long until there is a token, at the present rate.
    fn pause(&self, now: Mono) -> Duration {
        let age = now.since(self.began).as_secs_f64();
        let rate = self.rate * (age / self.double_every).exp2();
        let seconds = (1.0 - self.tokens) / rate;
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE);
        pause.clamp(Duration::from_millis(1), LONGEST_PAUSE)
    }
}

/// How fast loads may begin now.
#[derive(Default)]
pub(super) struct Pace {
    is_on: AtomicBool,
    bucket: Mutex<Option<Bucket>>,
}

impl Pace {
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Begins anew, from the bottom.
    pub(super) fn begin(&self, ramp: &Ramp, now: Mono) {
        let (Ok(double_every), Ok(over)) = (&ramp.double_every, &ramp.over) else {
            return;
        };
        let mut bucket = self.bucket.lock();
        *bucket = Some(Bucket {
            rate: ramp.rate,
            double_every: double_every.as_secs_f64(),
            began: now,
            until: now.after(*over),
            tokens: 1.0,
            at: now,
        });
        self.is_on.store(true, Ordering::Relaxed);
    }

    /// Takes a token, or says how long to wait for one.
    pub(super) fn take(&self, now: Mono) -> Result<(), Duration> {
        let mut held = self.bucket.lock();
        let Some(bucket) = held.as_mut().filter(|bucket| now < bucket.until) else {
            *held = None;
            self.is_on.store(false, Ordering::Relaxed);
            return Ok(());
        };
        bucket.refill(now);
        if bucket.tokens < 1.0 {
            return Err(bucket.pause(now));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many begin in each of the seconds after the beginning, if there is always somebody.
    fn begun(ramp: &Ramp, seconds: usize) -> Vec<u32> {
        let (pace, start) = (Pace::default(), Mono(5_000_000_000));
        pace.begin(ramp, start);
        let mut begun = vec![0; seconds];
        let mut now = start;
        while now < start.after(Duration::from_secs(seconds as u64)) && pace.is_on() {
            match pace.take(now) {
                Ok(()) => begun[now.since(start).as_secs() as usize] += 1,
                Err(pause) => now = now.after(pause),
            }
        }
        begun
    }

    #[test]
    fn a_ramp_doubles_and_ends() {
        let ramp = Ramp::from(10.0).double_every("1s").over("4s");
        let begun = begun(&ramp, 6);
        // The means of the rate over each second are 1.44 times the rate at its beginning.
        for (second, expected) in [14, 29, 58, 115].into_iter().enumerate() {
            let is_close = begun[second].abs_diff(expected) <= 2 + expected / 10;
            assert!(is_close, "{begun:?}");
        }
        assert_eq!(begun[5], 0, "it is over, and nobody is counted any more");
    }

    #[test]
    fn what_was_not_used_is_not_saved_up() {
        let (pace, start) = (Pace::default(), Mono(0));
        pace.begin(&Ramp::from(100.0).double_every("1h").over("1h"), start);
        let later = start.after(Duration::from_secs(60));
        let at_once = (0..1_000).take_while(|_| pace.take(later).is_ok()).count();
        assert!((9..=11).contains(&at_once), "{at_once}");
    }

    #[test]
    fn without_a_ramp_nobody_waits() {
        let pace = Pace::default();
        assert!(!pace.is_on() && (0..100).all(|_| pace.take(Mono(7)).is_ok()));
    }
}
