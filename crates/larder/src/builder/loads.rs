//! The settings that protect the source, and those who wait for it.

use std::time::Duration;

use super::Builder;
use super::checks::{Wrong, named};
use crate::engine::Protection;
use crate::limit::LoadLimit;
use crate::options::{IntoDuration, TimeoutPolicy, Timeouts};

/// They as the builder collects them.
pub(super) struct LoadSettings {
    timeouts: Timeouts,
    throttle: Result<Duration, String>,
    pub(super) negative_ttl: Result<Duration, String>,
    limit: Option<LoadLimit>,
}

impl Default for LoadSettings {
    fn default() -> LoadSettings {
        LoadSettings {
            timeouts: Timeouts::new(),
            throttle: Ok(Duration::ZERO),
            negative_ttl: Ok(Duration::ZERO),
            limit: None,
        }
    }
}

impl<K, V, C> Builder<K, V, C> {
    /// How long readers wait for a load, and what becomes of it when they have left. Default: as long
    /// as it takes.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.loads.timeouts = timeouts;
        self
    }

    /// For how long after a load has failed its key is not loaded again in this process, if there is a
    /// stale value: readers get that at once, marked as stale. Where there is none, every reader's load
    /// is tried. Default: not at all.
    pub fn throttle(mut self, pause: impl IntoDuration) -> Self {
        self.loads.throttle = pause.into_duration();
        self
    }

    /// For how long it is remembered that the source has no record of a key
    /// ([`Cx::absent`](crate::Cx::absent)); shortened by the jitter, as any life. Default: not at all, and
    /// every read that brings a loader asks the source again.
    pub fn negative_ttl(mut self, ttl: impl IntoDuration) -> Self {
        self.loads.negative_ttl = ttl.into_duration();
        self
    }

    /// The most loads that ask the source at once. Give clones of one limit to all caches that ask the
    /// same source. Default: any number, one for each key.
    pub fn load_limit(mut self, limit: LoadLimit) -> Self {
        self.loads.limit = Some(limit);
        self
    }
}

impl LoadSettings {
    pub(super) fn check(
        &self,
        stale_for: &Result<Duration, String>,
        wrong: &mut Wrong,
    ) -> Option<Protection> {
        let timeouts = self.timeouts(wrong);
        let throttle = wrong.unwrap(self.throttle.clone().map_err(named("throttle")));
        let limit = self.limit.clone();
        if let Some(limit) = &limit {
            wrong.unwrap(limit.check());
        }
        let (timeouts, throttle) = (timeouts?, throttle?);
        let has_stale = *stale_for != Ok(Duration::ZERO);
        if !has_stale && (timeouts.soft.is_some() || !throttle.is_zero()) {
            let message =
                "a soft timeout and a throttle give out stale values: add .stale_for(\"1h\")";
            wrong.add(message);
        }
        Some(Protection::new(timeouts, throttle, limit))
    }

    fn timeouts(&self, wrong: &mut Wrong) -> Option<TimeoutPolicy> {
        let set = &self.timeouts;
        let mut limit = |name, setting: &Option<Result<Duration, String>>| match setting {
            None => Some(None),
            Some(setting) => wrong.unwrap(setting.clone().map_err(named(name))).map(Some),
        };
        let soft = limit("soft timeout", &set.soft);
        let hard = limit("hard timeout", &set.hard);
        let wait = limit("wait", &set.wait);
        let behind_for = wrong.positive("behind_for", set.behind_for.clone());
        let (soft, hard) = (soft?, hard?);
        if hard.is_some_and(|hard| hard.is_zero()) {
            wrong.add("hard timeout: must be more than zero");
        }
        if let (Some(soft), Some(hard)) = (soft, hard)
            && soft >= hard
        {
            wrong.add(format!(
                "the soft timeout of {soft:?} never passes before the hard one of {hard:?}"
            ));
        }
        Some(TimeoutPolicy {
            soft,
            hard,
            wait: wait?,
            behind: set.behind,
            behind_for: behind_for?,
        })
    }
}
